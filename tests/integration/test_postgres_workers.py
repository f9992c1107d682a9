"""Leases and claims on a real server: who stops in the middle of something, and who is at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import anyio
import asyncpg
import pytest

from support.stores_servers import Urls, administer, new_database
from support.stores_story import NEW, new_record, new_scenario
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import Pool, open_pool, transaction
from test_coordination.adapters.postgres.private import PrivateConnection
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.postgres.workers import CLAIM, LOCK, PostgresWorkers, open_workers
from test_coordination.application.fleet import Worker
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WorkerId

TERMINATE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
LONG = timedelta(minutes=1)
NOT_FROM_LIVING = False
# What is stuck is thrown out after two seconds, a claim waits a fifth of one for each try.
STUCK_S = 2.2
CLAIM_S_MAX = 2.0


@pytest.fixture(scope="module")
async def url(embedded: Urls) -> str:
    url = await new_database(embedded.postgres)
    await migrate(url)
    return url


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with open_pool(url) as pool:
        yield pool


@pytest.fixture
async def workers(pool: Pool, url: str) -> AsyncIterator[PostgresWorkers]:
    async with open_workers(pool, url) as workers:
        yield workers


@pytest.fixture
async def record(pool: Pool) -> ExecutionRecord:
    record = new_record(await PostgresScenarioStore(pool).store(new_scenario()))
    async with open_execution_log(pool) as log:
        await log.create(record)
    return record


def worker(identity: WorkerId | None = None) -> Worker:
    return Worker(id=identity or WorkerId(NEW.new()), host="h", pid=1, born="b")


async def test_who_stopped_in_the_middle_of_a_write_does_not_hold_up_who_claims(
    url: str, workers: PostgresWorkers, record: ExecutionRecord
) -> None:
    async with open_pool(url) as stopped, stopped.acquire() as lent:
        work = lent.transaction()
        await work.start()
        await lent.execute("UPDATE execution SET log_end = 1 WHERE id = $1", record.id)
        copying = anyio.Event()

        async def rows() -> AsyncIterator[Sequence[object]]:
            copying.set()
            await anyio.sleep_forever()
            yield ()

        async def copy() -> None:
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await lent.copy_to_table("execution_event", source=_bytes(rows()), format="text")

        async with anyio.create_task_group() as group:
            group.start_soon(copy)
            await copying.wait()
            await anyio.sleep(STUCK_S)
            with anyio.fail_after(CLAIM_S_MAX):
                claimed = await workers.claim(record.id, by=WorkerId(NEW.new()), epoch=1)
            group.cancel_scope.cancel()

    assert claimed == 2


async def _bytes(rows: AsyncIterator[Sequence[object]]) -> AsyncIterator[bytes]:
    async for _ in rows:
        yield b""


async def test_a_write_that_is_only_slow_is_waited_for_and_not_thrown_out(
    pool: Pool, workers: PostgresWorkers, record: ExecutionRecord
) -> None:
    async with transaction(pool, doing="being slow") as lent:
        await lent.execute("UPDATE execution SET log_end = 1 WHERE id = $1", record.id)
        with pytest.raises(StoreUnavailableError):
            await workers.claim(record.id, by=WorkerId(NEW.new()), epoch=1)

    assert await workers.claim(record.id, by=WorkerId(NEW.new()), epoch=1) == 2


async def test_who_asks_while_a_claim_is_under_way_is_told_of_it(
    pool: Pool, workers: PostgresWorkers, record: ExecutionRecord
) -> None:
    held: list[frozenset[ExecutionId]] = []

    async def ask() -> None:
        held.append(await workers.held({record.id: 1}))

    async with anyio.create_task_group() as group, transaction(pool, doing="claiming") as lent:
        await lent.execute(LOCK, record.id, 1)
        await lent.execute(CLAIM, record.id, WorkerId(NEW.new()), 1, NOT_FROM_LIVING)
        group.start_soon(ask)
        await anyio.sleep(0.1)
        before = list(held)

    assert before == []
    assert held == [frozenset()]


async def test_who_beats_while_a_claim_is_under_way_is_claimed_from_or_seen_and_never_both(
    pool: Pool, workers: PostgresWorkers, record: ExecutionRecord
) -> None:
    silent = worker(record.worker)
    await workers.beat(silent, lease=timedelta(0))
    async with transaction(pool, doing="claiming") as lent:
        await lent.execute(LOCK, record.id, 1)
        await workers.beat(silent, lease=LONG)
        claimed = await lent.fetchval(CLAIM, record.id, WorkerId(NEW.new()), 1, NOT_FROM_LIVING)

    assert claimed is None
    assert await workers.held({record.id: 1}) == {record.id}


async def test_a_beat_does_not_wait_for_a_pool_that_is_exhausted(url: str) -> None:
    async with (
        open_pool(url, connections_max=1) as pool,
        open_workers(pool, url) as workers,
        pool.acquire(),
    ):
        with anyio.fail_after(1):
            await workers.beat(worker(), lease=LONG)
            assert await workers.held({}) == frozenset()


async def test_a_beat_that_was_cut_off_costs_the_next_one_nothing(
    url: str, workers: PostgresWorkers
) -> None:
    await workers.beat(worker(), lease=LONG)
    await administer(url, TERMINATE_OTHERS)
    with pytest.raises(StoreUnavailableError, match="renewing a worker's lease"):
        await workers.beat(worker(), lease=LONG)
    known = worker()

    await workers.beat(known, lease=LONG)

    assert known in await workers.all()


async def test_a_statement_that_is_cancelled_leaves_a_connection_that_nobody_waits_for(
    url: str,
) -> None:
    own = PrivateConnection(url)
    with anyio.move_on_after(0.2) as limit:
        await own.fetch("SELECT pg_sleep(60)", doing="sleeping")

    with anyio.fail_after(1):
        (row,) = await own.fetch("SELECT 1 AS one", doing="looking")
    own.close()
    own.close()

    assert limit.cancelled_caught
    assert row["one"] == 1


async def test_a_database_that_is_not_there_is_said_to_be_away() -> None:
    own = PrivateConnection("postgresql://nobody@/nowhere?host=/nowhere")

    with pytest.raises(StoreUnavailableError):
        await own.fetch("SELECT 1", doing="looking")
