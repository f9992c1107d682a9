"""Connections to PostgreSQL, and the one place where its driver's errors become ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar, Final, TypeAlias

import anyio
import asyncpg
from asyncpg.pool import PoolConnectionProxy

from test_coordination.adapters.codec import encode
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

SCHEMA: Final = "test_coordination"
STORE: Final = "PostgreSQL"
APPLICATION: Final = "test-coordination"
"""By what name the database knows our connections."""

CONNECTIONS_MAX: Final = 8
CONNECT_S_MAX: Final = 10.0
ACQUIRE_S_MAX: Final = 10.0
COMMAND_S_MAX: Final = 30.0
# Who has stopped in the middle of a transaction is thrown out before his lease has ended, so that
# his locks keep nobody from taking over what he had.
IDLE_S_MAX: Final = 3.0
ROLLBACK_S_MAX: Final = 5.0
RELEASE_S_MAX: Final = 1.0
LASTING_S: Final = 0.5
"""How much later a refusal is told that does not pass by itself: who is told tries again soon."""

BUSY: Final = "another operation"
# PostgreSQL's own classes of errors: connection lost, takes no writes, not authorised, no such
# database, rolled back for the sake of another transaction, resources exhausted, lock not had in
# time, interrupted by an operator, by a shutdown or by our own time limit, and its own disk.
GONE: Final = ("08", "25006", "28", "3D", "40", "53", "55P03", "57", "58")
REMEDIES: Final = {
    "25006": "it takes no writes, as a standby does: give the address of the primary, or those of "
    "all with target_session_attrs=read-write",
    "28": "see that the user and the password in its URL are right, and let in",
    "3D": "make that database, or name another one in its URL",
    "53100": "make room on the disk of its data",
    "53300": "raise its max_connections, or let fewer programs use it",
    "58": "see what its own log says of its disk",
}
"""What to do about what does not pass by itself, by the beginning of PostgreSQL's own code."""
# The driver has no class of its own for "this connection, or the pool, is no more". One that was
# lost in the middle of a COPY may be left as if that went on, though nobody uses it but who has it.
LOST: Final = ("closed", "closing", "released back to the pool", BUSY)


@dataclass(eq=False, kw_only=True)
class InvalidUrlError(CoordinationError):
    """The URL of the database is malformed; it may hold a password and is not repeated."""

    code: ClassVar[str] = "postgres.invalid_url"

    def __str__(self) -> str:
        return (
            "the URL of PostgreSQL is malformed; expected postgresql://user:password@host:port/"
            "database, where special characters in user and password are written as %XX"
        )


@contextmanager
def translated(doing: str) -> Generator[None]:
    """Turn the driver's errors for "the database is not there" into ours.

    ``doing`` completes the sentence "PostgreSQL went away while …".

    Raises:
        StoreUnavailableError: it could not be reached, did not answer in time, or broke off.
    """
    try:
        yield
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        if not _is_gone(error):
            raise
        raise StoreUnavailableError(store=STORE, doing=doing, cause=_cause(error)) from error


def _cause(error: Exception) -> str:
    """Return in one line what went wrong, and what to do about it if it does not pass."""
    said = " ".join(str(error).split())
    cause = f"{type(error).__name__}: {said}".removesuffix(": ")
    remedy = _remedy(error)
    return f"{cause}; {remedy}" if remedy else cause


def _remedy(error: BaseException | None) -> str:
    """Return what to do about an error that does not pass by itself; empty if it may."""
    state = _state(error)
    return next((to_do for code, to_do in REMEDIES.items() if state.startswith(code)), "")


def _state(error: BaseException | None) -> str:
    """Return PostgreSQL's own code of an error; empty if it has none."""
    return str(getattr(error, "sqlstate", None) or "")


def _is_gone(error: Exception) -> bool:
    match error:
        case OSError():  # among them the TimeoutError of the driver's own limits
            return True
        case asyncpg.InternalClientError():  # as when a server ends it in the middle of a message
            return True
        case asyncpg.PostgresError():
            return _state(error).startswith(GONE)
        case _:
            return any(word in str(error) for word in LOST)


@asynccontextmanager
async def open_pool(
    url: str, *, connections_max: int = CONNECTIONS_MAX, connections_min: int = 1
) -> AsyncGenerator[Pool]:
    """Lend a pool whose connections work in our schema; it outlives restarts of the server.

    With ``connections_min`` of 0 it is not asked whether the server is there.

    Raises:
        InvalidUrlError: the URL is malformed.
        StoreUnavailableError: the database cannot be reached.
    """
    with translated("connecting"):
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=connections_min,
                max_size=connections_max,
                init=_prepare,
                reset=_keep_as_it_is,
                **_settings(statement_s_max=COMMAND_S_MAX, idle_s_max=IDLE_S_MAX),
            )
        except (ValueError, asyncpg.ClientConfigurationError):
            raise InvalidUrlError from None
    try:
        yield pool
    finally:
        # A server that has gone before us is no trouble any more.
        with (
            anyio.CancelScope(shield=True),
            suppress(StoreUnavailableError),
            translated("closing"),
            anyio.move_on_after(ROLLBACK_S_MAX),
        ):
            await pool.close()
        pool.terminate()


@asynccontextmanager
async def connect(url: str, *, statement_s_max: float) -> AsyncGenerator[Connection]:
    """Lend one connection of its own, for work that takes longer than the pool's should.

    Raises:
        InvalidUrlError: the URL is malformed.
        StoreUnavailableError: the database cannot be reached.
    """
    connection = await open_connection(url, statement_s_max=statement_s_max)
    try:
        yield connection
    finally:
        with anyio.CancelScope(shield=True), suppress(OSError, asyncpg.PostgresError):
            await connection.close(timeout=ROLLBACK_S_MAX)


async def open_connection(url: str, *, statement_s_max: float) -> Connection:
    """Return a new connection, which the caller closes.

    Raises:
        InvalidUrlError: the URL is malformed.
        StoreUnavailableError: the database cannot be reached.
    """
    settings = _settings(statement_s_max=statement_s_max, idle_s_max=COMMAND_S_MAX)
    with translated("connecting"):
        try:
            opened: Connection = await asyncpg.connect(url, **settings)
        except (ValueError, asyncpg.ClientConfigurationError):
            raise InvalidUrlError from None
    return opened


@asynccontextmanager
async def connection(pool: Pool, *, doing: str) -> AsyncGenerator[Connection]:
    """Lend a connection on which each statement is a transaction.

    One to a server that takes no writes any more is cut, so that the next one is to another
    server if the URL names several, or if its name leads to another by then.

    Raises:
        StoreUnavailableError: none was free in time, or it broke. What does not pass by itself
            is told after ``LASTING_S``.
    """
    try:
        async with _lent(pool, doing=doing) as lent:
            yield lent
    except StoreUnavailableError as error:
        if _remedy(error.__cause__):
            await anyio.sleep(LASTING_S)
        raise


@asynccontextmanager
async def _lent(pool: Pool, *, doing: str) -> AsyncGenerator[Connection]:
    with translated(doing):
        lent = await pool.acquire(timeout=ACQUIRE_S_MAX)
        try:
            yield lent
        except (asyncpg.ReadOnlySQLTransactionError, asyncpg.InterfaceError):
            lent.terminate()
            raise
        finally:
            # A server that hangs does not even confirm that it stops what was cancelled. Whoever
            # is cancelled does not wait for long, and the driver cuts the connection.
            with (
                anyio.CancelScope(shield=True),
                suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError),
            ):
                await pool.release(lent, timeout=RELEASE_S_MAX)


@asynccontextmanager
async def transaction(pool: Pool, *, doing: str) -> AsyncGenerator[Connection]:
    """Lend a connection for one transaction: committed at the end, rolled back on an error.

    Raises:
        StoreUnavailableError: none was free in time, or it broke before the commit was confirmed.
    """
    async with connection(pool, doing=doing) as lent:
        work = lent.transaction()
        # One that is begun and not known to be would go back into the pool with its connection.
        with anyio.CancelScope(shield=True):
            await work.start()
        try:
            yield lent
        except BaseException:
            # The driver's own rollback would be cancelled together with us.
            with (
                anyio.CancelScope(shield=True),
                suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError),
                anyio.fail_after(ROLLBACK_S_MAX),
            ):
                await work.rollback()
            raise
        # What has been sent cannot be taken back: its answer, in time or not, is worth waiting for.
        with anyio.CancelScope(shield=True):
            await work.commit()


def jsonb(value: object) -> bytes:
    """Return ``value`` as the database's own binary form of jsonb: a version, then the text."""
    return b"\x01" + encode(value)


def _settings(*, statement_s_max: float, idle_s_max: float) -> dict[str, Any]:
    return {
        "timeout": CONNECT_S_MAX,
        "command_timeout": statement_s_max,
        "server_settings": {
            "application_name": APPLICATION,
            "search_path": SCHEMA,
            "timezone": "UTC",
            # Behind the driver's limit, so that nothing goes on when we have given up.
            "statement_timeout": f"{statement_s_max:.0f}s",
            "lock_timeout": f"{ACQUIRE_S_MAX:.0f}s",
            "idle_in_transaction_session_timeout": f"{idle_s_max:.0f}s",
        },
    }


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    # Values come and go as bytes, with no text in between; both functions run in C.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=bytes,
        decoder=itemgetter(slice(1, None)),
        format="binary",
    )


async def _keep_as_it_is(connection: Connection) -> None:
    """Take the place of the round trip that resets a connection: we leave nothing on one."""
