"""Brings the schema up to date: numbered files, each applied once, by one program at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import ClassVar, Final

import anyio
import asyncpg

from test_coordination.adapters.postgres.partitions import add_months_ahead
from test_coordination.adapters.postgres.pool import (
    SCHEMA,
    STORE,
    Connection,
    connect,
    translated,
)
from test_coordination.adapters.postgres.releases import bring_up_to_date
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError

SHIPPED: Final = resources.files("test_coordination.adapters.postgres") / "migrations"
STATEMENT_S_MAX: Final = 600.0
TURN_S_MAX: Final = 660.0
POLL_S: Final = 0.1
NAME: Final = re.compile(r"(\d{4})-[a-z0-9-]+\.sql")
QUEUED_SINCE: Final = 7
"""The schema version from which on the job queue has its tables beside ours."""
FLOOR: Final = re.compile(r"^-- compatible-from: (\d+)$", re.MULTILINE)

# Any number will do that nobody else in this database uses.
LOCK: Final = int.from_bytes(hashlib.sha256(SCHEMA.encode()).digest()[:8], "big", signed=True)
TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
UNLOCK: Final = "SELECT pg_advisory_unlock($1)"

# We look before we make: IF NOT EXISTS asks for the right to make even where all is there.
SCHEMA_EXISTS: Final = "SELECT to_regnamespace($1) IS NOT NULL"
CREATE_SCHEMA: Final = "CREATE SCHEMA test_coordination"
VERSIONS_EXIST: Final = "SELECT to_regclass($1) IS NOT NULL"
CREATE_VERSIONS: Final = """
    CREATE TABLE schema_version (
        version integer PRIMARY KEY,
        name text NOT NULL,
        digest text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
APPLIED: Final = "SELECT version, name, digest FROM schema_version ORDER BY version"
RECORD: Final = "INSERT INTO schema_version (version, name, digest) VALUES ($1, $2, $3)"
# The column is there since the first migration that says this of itself.
RAISE_FLOOR: Final = "UPDATE schema_version SET compatible_from = $2 WHERE version = $1"
READ_FLOOR: Final = "SELECT max(compatible_from) FROM schema_version"


@dataclass(eq=False, kw_only=True)
class NewerDatabaseError(CoordinationError):
    """The database was brought where this program cannot follow, by a later version of it."""

    code: ClassVar[str] = "postgres.newer_database"

    database: int
    program: int
    needed: int

    def __str__(self) -> str:
        return (
            f"the database is at schema version {self.database}, which programs can use from "
            f"schema version {self.needed} on, and this one knows only {self.program}; "
            "use the program that brought it there, or a later one"
        )


@dataclass(eq=False, kw_only=True)
class MigrationDriftError(CoordinationError):
    """What was applied is not what this program would have applied."""

    code: ClassVar[str] = "postgres.migration_drift"

    name: str
    applied: str

    def __str__(self) -> str:
        return (
            f"migration {self.name!r} is not the one that was applied to the database, which "
            f"calls it {self.applied!r}; restore the file as it was, and put changes in a new one"
        )


@dataclass(eq=False, kw_only=True)
class MissingRightError(CoordinationError):
    """The role may not do in the database what the schema needs."""

    code: ClassVar[str] = "postgres.missing_right"

    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"PostgreSQL refuses: {self.cause}; let an administrator run: {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file; versions count from 1.

    A program whose newest file is at least the ``floor`` can go on with a database to which
    this one was applied, although it does not know it: what it reads is still there, and what
    it writes is still taken. A file that says nothing of that leaves the floor where it was.
    """

    version: int
    name: str
    text: str

    @property
    def floor(self) -> int | None:
        """Return the version that it says, as ``-- compatible-from: 7`` on a line of its own."""
        found = FLOOR.search(self.text)
        return int(found[1]) if found else None

    @property
    def digest(self) -> str:
        """Return what changes when the text does."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load(folder: Traversable = SHIPPED) -> Sequence[Migration]:
    """Return the migrations of ``folder`` in their order."""
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    found = [
        Migration(version=int(name[1]), name=file.name, text=file.read_text("utf-8"))
        for file in files
        if (name := NAME.fullmatch(file.name))
    ]
    assert len({each.version for each in found}) == len(found), "two migrations of one version"
    return found


async def migrate(url: str, *, migrations: Sequence[Migration] | None = None) -> int:
    """Apply what is missing and make the partitions of the months to come; return how many.

    Any number of programs may call it at once, and repeating it is safe: each file is applied
    as a whole or not at all. What later programs applied is left alone where they say that this
    one can go on with it.

    Raises:
        NewerDatabaseError: later programs brought the database where this one cannot follow.
        MigrationDriftError: an applied file has been changed since.
        MissingRightError: the role lacks a right on the database or the schema.
        StoreUnavailableError: the database cannot be reached, or another program is at it for
            longer than `TURN_S_MAX`.
    """
    known = load() if migrations is None else migrations
    async with connect(url, statement_s_max=STATEMENT_S_MAX) as connection:
        with translated("bringing its schema up to date"):
            async with _turn(connection):
                try:
                    applied = await _bring_up_to_date(connection, known)
                    await add_months_ahead(connection)
                    if known[-1].version >= QUEUED_SINCE:
                        await bring_up_to_date(connection)
                except asyncpg.InsufficientPrivilegeError as error:
                    raise await _missing_right(connection, error) from error
    return applied


@asynccontextmanager
async def _turn(connection: Connection) -> AsyncGenerator[None]:
    # Polled: whoever waits inside pg_advisory_lock() holds a snapshot, and deadlocks with a
    # CREATE INDEX CONCURRENTLY of the one who has the lock.
    with anyio.move_on_after(TURN_S_MAX) as waiting:
        while not await connection.fetchval(TRY_LOCK, LOCK):  # noqa: ASYNC110  another program's
            await anyio.sleep(POLL_S)
    if waiting.cancelled_caught:
        cause = "another program has been changing the schema for too long"
        raise StoreUnavailableError(store=STORE, doing="waiting to change its schema", cause=cause)
    try:
        yield
    finally:
        # Without an answer the lock ends with the connection, which we close next.
        with anyio.CancelScope(shield=True), anyio.move_on_after(POLL_S * 10):
            if not connection.is_closed():
                await connection.fetchval(UNLOCK, LOCK)


async def _bring_up_to_date(connection: Connection, known: Sequence[Migration]) -> int:
    if not await connection.fetchval(SCHEMA_EXISTS, SCHEMA):
        await connection.execute(CREATE_SCHEMA)
    if not await connection.fetchval(VERSIONS_EXIST, f"{SCHEMA}.schema_version"):
        await connection.execute(CREATE_VERSIONS)
    applied = {row["version"]: row for row in await connection.fetch(APPLIED)}
    for migration in known:
        row = applied.get(migration.version)
        if row is not None and row["digest"] != migration.digest:
            raise MigrationDriftError(name=migration.name, applied=row["name"])
    await _refuse_to_follow(connection, applied, newest=known[-1].version)
    missing = [migration for migration in known if migration.version not in applied]
    for migration in missing:
        async with connection.transaction():
            await connection.execute(migration.text)
            await connection.execute(RECORD, migration.version, migration.name, migration.digest)
            if migration.floor is not None:
                await connection.execute(RAISE_FLOOR, migration.version, migration.floor)
    return len(missing)


async def _refuse_to_follow(
    connection: Connection, applied: Collection[int], *, newest: int
) -> None:
    latest = max(applied, default=0)
    if latest <= newest:
        return
    needed = await connection.fetchval(READ_FLOOR)
    if newest < needed:
        raise NewerDatabaseError(database=latest, program=newest, needed=needed)


async def _missing_right(
    connection: Connection, error: asyncpg.InsufficientPrivilegeError
) -> MissingRightError:
    role = await connection.fetchval("SELECT quote_ident(current_user)")
    if await connection.fetchval(SCHEMA_EXISTS, SCHEMA):
        remedy = f"GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO {role};"
    else:
        remedy = f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {role};"
    return MissingRightError(cause=str(error), remedy=remedy)
