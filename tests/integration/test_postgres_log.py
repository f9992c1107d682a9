"""The log on a real server: races between coordinators, poison, lost connections, restarts."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import asyncpg
import pytest

from support.stores_locks import blocked
from support.stores_servers import Urls, administer, new_database, own_servers
from support.stores_story import Story, new_record, new_scenario
from test_coordination.adapters.postgres import executions
from test_coordination.adapters.postgres import pool as pools
from test_coordination.adapters.postgres.batcher import Append
from test_coordination.adapters.postgres.executions import PostgresExecutionLog, open_execution_log
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import Pool, connection, open_pool
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.application.ports import ExecutionLog, LogConflictError
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.events import Noted, SteadyStateLeft
from test_coordination.domain.values import CheckId, ExecutionId

TERMINATE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


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
async def log(pool: Pool) -> AsyncIterator[PostgresExecutionLog]:
    async with open_execution_log(pool) as log:
        yield log


@pytest.fixture
async def other(url: str) -> AsyncIterator[PostgresExecutionLog]:
    """The log as another coordinator has it."""
    async with open_pool(url) as pool, open_execution_log(pool) as log:
        yield log


async def new_stories(pool: Pool, log: ExecutionLog, count: int) -> list[Story]:
    scenario = await PostgresScenarioStore(pool).store(new_scenario())
    stories = [Story(new_record(scenario)) for _ in range(count)]
    for story in stories:
        await log.create(story.record)
    return stories


async def test_of_two_coordinators_at_the_same_line_one_wins(
    pool: Pool, log: PostgresExecutionLog, other: PostgresExecutionLog
) -> None:
    (story,) = await new_stories(pool, log, 1)
    outcomes: dict[str, bool] = {}

    async def write(name: str, to: ExecutionLog) -> None:
        mine = Story(story.record)
        entries = [*mine.begin(), *mine.tell(Noted(text=name))]
        try:
            await to.append(entries, leading_to=mine.state, epoch=1)
        except LogConflictError:
            outcomes[name] = False
        else:
            outcomes[name] = True

    async with anyio.create_task_group() as group:  # noqa: SIM117  outlives the lock
        async with pool.acquire() as barrier, barrier.transaction():
            await barrier.execute("SELECT FROM execution WHERE id = $1 FOR UPDATE", story.record.id)
            group.start_soon(write, "one", log)
            group.start_soon(write, "other", other)
            await blocked(pool, 2)
    entries = await log.read(story.record.id)

    (winner,) = (name for name, won in outcomes.items() if won)
    assert len(outcomes) == 2
    assert [entry.position for entry in entries] == [1, 2]
    assert entries[1].event == Noted(text=winner)


@pytest.fixture
async def as_in_a_large_table(url: str) -> AsyncIterator[None]:
    """Make new connections look rows up one by one, in the order in which they are asked for."""
    name = urlsplit(url).path[1:]
    for way in ("hashjoin", "mergejoin", "seqscan"):
        await administer(url, f"ALTER DATABASE {name} SET enable_{way} = off")
    yield
    await administer(url, f"ALTER DATABASE {name} RESET ALL")


@pytest.mark.usefixtures("as_in_a_large_table")
async def test_coordinators_whose_batches_overlap_do_not_lock_each_other_up(url: str) -> None:
    async with open_pool(url) as pool, open_execution_log(pool) as log:
        stories = await new_stories(pool, log, 3)
        batch = [
            Append(entries=story.begin(), leading_to=story.state, epoch=1) for story in stories
        ]
        losers: list[Mapping[ExecutionId, CoordinationError]] = []

        async def write(appends: list[Append]) -> None:
            losers.append(await executions.write_batch(pool, appends))

        async with anyio.create_task_group() as group:  # noqa: SIM117  outlives the lock
            async with pool.acquire() as barrier, barrier.transaction():
                # Whoever locks in the order given has the first, and waits here for the second.
                await barrier.execute(
                    "SELECT FROM execution WHERE id = $1 FOR UPDATE", stories[1].record.id
                )
                group.start_soon(write, batch)
                await blocked(pool, 1)
                group.start_soon(write, batch[::-1])
                await blocked(pool, 2)

    assert sorted(map(len, losers)) == [0, 3]


async def test_two_hundred_who_append_at_once_are_few_transactions(
    pool: Pool, log: PostgresExecutionLog
) -> None:
    stories = await new_stories(pool, log, 200)

    async with anyio.create_task_group() as group:
        for story in stories:
            entries = story.begin()
            group.start_soon(partial(log.append, entries, leading_to=story.state, epoch=1))

    ours = [story.record.id for story in stories]
    transactions = await pool.fetchval(
        "SELECT count(DISTINCT xmin::text) FROM execution_event WHERE execution_id = ANY ($1)", ours
    )
    written = await pool.fetchval(
        "SELECT count(*) FROM execution_event WHERE execution_id = ANY ($1)", ours
    )
    assert written == 200
    assert transactions <= 3


async def test_an_event_that_cannot_be_written_fails_its_own_append_only(
    pool: Pool, log: PostgresExecutionLog
) -> None:
    first, bad, last = await new_stories(pool, log, 3)
    failed = []

    async def append(story: Story, observed: object) -> None:
        entries = [
            *story.begin(),
            *story.tell(SteadyStateLeft(check=CheckId("c"), observed=observed)),
        ]
        try:
            await log.append(entries, leading_to=story.state, epoch=1)
        except TypeError:
            failed.append(story)

    async with anyio.create_task_group() as group:
        group.start_soon(append, first, 1)
        group.start_soon(append, bad, object())
        group.start_soon(append, last, 2)

    assert failed == [bad]
    assert [len(await log.read(story.record.id)) for story in (first, bad, last)] == [2, 0, 2]
    assert (await log.get(bad.record.id)).end == 0


async def test_connections_that_were_cut_while_idle_are_not_noticed(
    pool: Pool, log: PostgresExecutionLog, url: str
) -> None:
    (story,) = await new_stories(pool, log, 1)
    await administer(url, TERMINATE_OTHERS)
    await anyio.sleep(0.1)

    await log.append(story.begin(), leading_to=story.state, epoch=1)

    assert len(await log.read(story.record.id)) == 1


async def test_a_connection_that_is_cut_in_the_middle_leaves_the_outcome_open(
    pool: Pool, log: PostgresExecutionLog, url: str
) -> None:
    (story,) = await new_stories(pool, log, 1)
    entries = story.begin()

    async def append() -> None:
        with pytest.raises(StoreUnavailableError, match="not known"):
            await log.append(entries, leading_to=story.state, epoch=1)

    barrier = await asyncpg.connect(url, server_settings={"search_path": "test_coordination"})
    async with anyio.create_task_group() as group:  # noqa: SIM117  outlives the lock
        async with barrier.transaction():
            await barrier.execute("SELECT FROM execution WHERE id = $1 FOR UPDATE", story.record.id)
            group.start_soon(append)
            await blocked(pool, 1)
            await barrier.execute(TERMINATE_OTHERS)
    await barrier.close()

    await log.append(entries, leading_to=story.state, epoch=1)
    assert await log.read(story.record.id) == entries


async def test_waiting_for_a_connection_is_bounded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_S_MAX", 0.1)
    async with open_pool(url, connections_max=1) as pool, connection(pool, doing="holding on"):
        with pytest.raises(StoreUnavailableError, match="while waiting"):
            async with connection(pool, doing="waiting"):
                pass


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_good(
    url: str,
) -> None:
    async with open_pool(url, connections_max=1) as pool:
        with anyio.move_on_after(0.1):
            async with pools.transaction(pool, doing="waiting") as lent:
                await lent.execute("INSERT INTO scenario (name, kind) VALUES ('never', 'scenario')")
                await lent.execute("SELECT pg_sleep(10)")

        assert await pool.fetchval("SELECT count(*) FROM scenario WHERE name = 'never'") == 0


async def test_a_killed_server_loses_nothing_that_was_acknowledged() -> None:
    async with own_servers() as urls:
        await migrate(urls.postgres)
        async with open_pool(urls.postgres) as pool, open_execution_log(pool) as log:
            stories = await new_stories(pool, log, 8)
            acknowledged = dict.fromkeys((story.record.id for story in stories), 0)
            unknown = 0

            async def write(story: Story) -> None:
                nonlocal unknown
                for entries in chain([story.begin()], story.notes(100_000)):
                    try:
                        await log.append(entries, leading_to=story.state, epoch=1)
                    except StoreUnavailableError:
                        unknown += 1
                        return
                    acknowledged[story.record.id] = entries[-1].position

            async with anyio.create_task_group() as group:
                for story in stories:
                    group.start_soon(write, story)
                await anyio.sleep(0.3)
                os.kill(postmaster(urls.postgres), signal.SIGKILL)

            await answering(log)
            for story in stories:
                entries = await log.read(story.record.id)
                record = await log.get(story.record.id)
                positions = [entry.position for entry in entries]
                assert positions == list(range(1, record.end + 1)), "gapless"
                assert record.end >= acknowledged[story.record.id] > 0
                assert entries == story.entries[: len(entries)]
            assert unknown == len(stories)
            await _finish(log, stories)


async def _finish(log: ExecutionLog, stories: list[Story]) -> None:
    """Go on where each log ends, as its worker would."""
    for story in stories:
        entries = await log.read(story.record.id)
        again = Story(story.record)
        again.tell(*(entry.event for entry in entries))
        await log.append(again.end(), leading_to=again.state, epoch=1)


def postmaster(url: str) -> int:
    (sockets,) = parse_qs(urlsplit(url).query)["host"]
    (pid_file,) = Path(sockets).glob("*/postmaster.pid")
    return int(pid_file.read_text().splitlines()[0])


async def answering(log: ExecutionLog) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                await log.recent(limit=1)
            except StoreUnavailableError:
                await anyio.sleep(0.1)
            else:
                return
