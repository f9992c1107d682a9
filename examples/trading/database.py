"""The way to PostgreSQL: a pool that outlives the server, and the schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg

from trading.builds import Build
from trading.logs import Log

SCHEMA = Path(__file__).with_name("schema.sql")
# Any number will do, as long as all services take the same one.
SCHEMA_LOCK = "SELECT pg_advisory_xact_lock(8085808480838082)"
SCHEMA_STANDS = "SELECT to_regclass('audit.schema_stands') IS NOT NULL"
PING = "SELECT 1"
AUDITOR = "trading_auditor"

# What a server that is away, starting, stopping, full or too slow answers with.
# asyncpg raises InternalClientError when a connection is used at the moment at which it breaks.
STORE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

# As text: the class takes a parameter only where types are checked.
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Database:
    """A service's connections; each call finds a new one if the server was away."""

    def __init__(self, url: str, build: Build, *, log: Log, role: str | None = None) -> None:
        self._url = url
        self._build = build
        self._log = log
        self._role = role
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Wait for the server, however long, and for the schema to stand."""
        while self._pool is None:
            try:
                await self._create_schema()
                self._pool = await self._open_pool()
            except STORE_ERRORS as error:
                self._log.trouble("waiting for the database", error)
                await asyncio.sleep(0.2)

    async def close(self) -> None:
        """Close all connections; needs no server."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Lend a connection.

        Raises:
            OSError: the schema does not stand yet; or one of ``STORE_ERRORS``.
        """
        if self._pool is None:
            message = "the database was not reached yet"
            raise ConnectionError(message)
        async with self._pool.acquire(timeout=self._build.patience_s) as connection:
            try:
                yield connection
            except asyncpg.InternalClientError:
                connection.terminate()  # it would fail the next one who gets it, too
                raise

    async def state(self) -> str:
        """Return ``ok``, or what is wrong with the database."""
        try:
            async with asyncio.timeout(1.0), self.connection() as connection:
                await connection.execute(PING)
        except STORE_ERRORS as error:
            return f"{type(error).__name__}: {error}"
        return "ok"

    async def _create_schema(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=2.0)
        try:
            if not await connection.fetchval(SCHEMA_STANDS):
                async with connection.transaction():
                    await connection.execute(SCHEMA_LOCK)
                    if not await connection.fetchval(SCHEMA_STANDS):
                        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        finally:
            await connection.close(timeout=2.0)

    async def _open_pool(self) -> asyncpg.Pool[asyncpg.Record]:
        return await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=4,
            timeout=2.0,
            command_timeout=self._build.patience_s,
            max_inactive_connection_lifetime=0,
            server_settings={"role": self._role} if self._role else {},
        )
