"""Makes those who write to PostgreSQL wait for each other at a place of our choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from test_coordination.adapters.postgres.pool import Pool

BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def blocked(pool: Pool, count: int) -> None:
    """Return when so many others wait for a lock."""
    with anyio.fail_after(10):
        while await pool.fetchval(BLOCKED) < count:  # noqa: ASYNC110  another process's
            await anyio.sleep(0.01)


@asynccontextmanager
async def barrier(pool: Pool, statement: str, *arguments: object) -> AsyncIterator[None]:
    """Hold what ``statement`` locks for as long as the body runs."""
    async with pool.acquire() as lent, lent.transaction():
        await lent.execute(statement, *arguments)
        yield
