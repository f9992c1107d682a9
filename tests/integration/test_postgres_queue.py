"""The queue's own: many who admit at once, who end at once, and what was there before it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random

import anyio
import asyncpg
import pytest

from support.queue_crowd import Crowd, alone, beside
from support.stores_servers import Urls
from support.stores_story import ARMED, START, STEP, Story, new_record, new_scenario
from test_coordination.adapters.codec import kind_of
from test_coordination.adapters.postgres.executions import PostgresExecutionLog, open_execution_log
from test_coordination.adapters.postgres.lanes import HEADS
from test_coordination.adapters.postgres.migrate import load, migrate
from test_coordination.adapters.postgres.pool import Connection, Pool, jsonb, open_pool
from test_coordination.adapters.postgres.queue import PostgresQueue
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.fleet import Job
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import ExecutionEnded, FaultReverted
from test_coordination.domain.plan import Claims
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

SEEN = re.compile(r"actual rows=([\d.]+) loops=(\d+)")
OLD_VERSION = """
    INSERT INTO scenario_version (
        id, name, version, digest, source, file, stored_at, title, owner, tags, services, parts
    )
    VALUES ($1, 'old', 1, '', '', 'old.yaml', $2, '', '', '{}', '{}', '[]')
"""
HELD = ExecutionEnded(verdict=Verdict.HELD, reason="all checks held")


@pytest.fixture
async def pool(servers: Urls) -> AsyncIterator[Pool]:
    async with open_pool(servers.postgres) as lent:
        yield lent


@pytest.fixture
async def log(pool: Pool) -> AsyncIterator[PostgresExecutionLog]:
    async with open_execution_log(pool) as lent:
        yield lent


@pytest.fixture
async def crowd(pool: Pool, log: PostgresExecutionLog) -> Crowd:
    scenario = await PostgresScenarioStore(pool).store(new_scenario())
    return Crowd(log=log, queue=PostgresQueue(pool), scenario=scenario)


async def test_however_many_admit_at_once_nothing_is_ever_held_by_two(
    servers: Urls, crowd: Crowd
) -> None:
    chance = Random(7)
    for number in range(48):
        names = chance.sample("abcde", chance.randint(1, 3))
        claims = Claims(exclusive=tuple(names[:1]), shared=tuple(names[1:]))
        await crowd.comes(str(number), claims, by=chance.choice(("ann", "bob", "cat")))
    running, order = dict[str, Claims](), list[str]()

    def enter(name: str) -> None:
        claims = crowd.stories[name].record.plan.claims
        for other in running.values():
            taken = {*other.exclusive, *other.shared}
            assert not taken & {*claims.exclusive}
            assert not {*other.exclusive} & {*claims.shared}
        running[name] = claims
        order.append(name)

    async def work(queue: PostgresQueue) -> None:
        """Try the queue, and run what comes in, as a program of its own."""
        while len(order) < len(crowd.stories):
            admitted = crowd.names(await queue.admit())
            for name in admitted:
                enter(name)
            await anyio.sleep(0.001)
            for name in admitted:
                del running[name]
                await crowd.ends(name)

    async with AsyncExitStack() as stack:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    own = await stack.enter_async_context(open_pool(servers.postgres))
                    group.start_soon(work, PostgresQueue(own))

    assert sorted(order, key=int) == list(crowd.stories)
    assert await crowd.line() == {}


async def test_what_cannot_be_handed_to_the_dispatch_is_not_let_in(
    pool: Pool, crowd: Crowd
) -> None:
    given: list[ExecutionId] = []

    async def refuse(_: Connection, jobs: Sequence[Job]) -> None:
        given.extend(job.execution for job in jobs)
        message = "the dispatch is full"
        raise ZeroDivisionError(message)

    await crowd.comes("one", alone("a"))
    story = await crowd.comes("detached", beside("b"), detached=True)
    queue = PostgresQueue(pool, enqueue=refuse)
    await pool.execute(WORKER, story.record.worker)

    with pytest.raises(ZeroDivisionError):
        await queue.admit()

    assert story.record.id in given, "beside those of other tests"
    assert await queue.admitted([s.record.id for s in crowd.stories.values()]) == frozenset()
    await pool.execute("DELETE FROM worker WHERE id = $1", story.record.worker)


WORKER = """
    INSERT INTO worker (id, host, pid, born, lease_ends, offers)
    VALUES ($1, 'here', 1, '1', clock_timestamp() + interval '1 minute', '{}')
"""


async def test_the_database_itself_refuses_a_second_holder(pool: Pool, crowd: Crowd) -> None:
    await crowd.comes("one", alone("a"))
    await crowd.comes("two", alone("b"))
    await crowd.admit()

    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(
            "INSERT INTO claim VALUES ($1, $2, 'exclusive', 'a', 1)",
            crowd.stories["two"].record.id,
            crowd.system,
        )


COPIES = """
    INSERT INTO execution
    SELECT (
        jsonb_populate_record(
            one, jsonb_build_object('id', gen_random_uuid(), 'scenario_name', 'a copy')
        )
    ).*
    FROM execution AS one, generate_series(1, 2000)
    WHERE one.id = $1
"""
WAITING = """
    INSERT INTO waiting_execution
    SELECT (jsonb_populate_record(first, jsonb_build_object('execution_id', execution.id))).*
    FROM waiting_execution AS first, execution
    WHERE first.execution_id = $1 AND execution.scenario_name = 'a copy'
"""


async def test_of_many_that_want_the_same_only_the_first_is_looked_at(
    pool: Pool, crowd: Crowd
) -> None:
    first = (await crowd.comes("first", alone("a"))).record.id
    async with pool.acquire() as lent:
        trial = lent.transaction()
        await trial.start()
        await lent.execute(COPIES, first)
        await lent.execute(WAITING, first)
        await lent.execute("ANALYZE waiting_execution")
        query = "EXPLAIN (ANALYZE, TIMING off) " + HEADS.replace("$1", "false")
        plan = [row[0] for row in await lent.fetch(query)]
        await trial.rollback()

    scans = [line for line in plan if " on waiting_execution" in line]
    seen = [float(rows) * int(loops) for line in scans for rows, loops in SEEN.findall(line)]
    assert len(seen) == len(scans) == 4, plan
    assert max(seen) < 20, plan


OLD_EXECUTION = """
    INSERT INTO execution (
        id, scenario_id, scenario_name, scenario_version, plan, requested_at, requested_by,
        worker, status, verdict, started_at, ended_at, log_end, outstanding, parent, epoch
    )
    VALUES (
        $1, $2, 'old', 1, $3, $4, 'ann', $1, $5::text, $6, $4,
        CASE WHEN $5::text = 'finished' THEN $4::timestamptz END, $7, $8, $9, 1
    )
"""
OLD_EVENT = """
    INSERT INTO execution_event (execution_id, position, at, kind, body)
    VALUES ($1, $2, $3, $4, $5)
"""


async def old(pool: Pool, story: Story) -> None:
    """Keep an execution as the release before did."""
    record, state = story.record, story.state
    await pool.execute(
        OLD_EXECUTION,
        record.id,
        record.scenario,
        jsonb(record.plan),
        START,
        state.status,
        state.verdict,
        state.position,
        len(state.outstanding),
        record.parent,
    )
    for entry in story.entries:
        row = (record.id, entry.position, entry.at, kind_of(entry.event), jsonb(entry.event))
        await pool.execute(OLD_EVENT, *row)


async def test_what_was_under_way_before_there_was_a_queue_holds_what_it_claims(
    empty_database: str,
) -> None:
    await migrate(empty_database, migrations=load()[:3])
    scenario = new_scenario("old")
    names = ("running", "stuck", "parent", "child", "over")
    stories = {name: Story(record_of(scenario, name)) for name in names}
    stories["child"].record = replace(stories["child"].record, parent=stories["parent"].record.id)
    for story in stories.values():
        story.begin()
    for name in ("running", "stuck", "child", "over"):
        stories[name].fault()
    stories["running"].revert()
    stories["running"].tell(ARMED)
    stories["over"].revert()
    for name in ("stuck", "parent", "child", "over"):
        stories[name].end(Verdict.HELD if name == "over" else Verdict.RESIDUE)
    async with open_pool(empty_database) as pool:
        await pool.execute("INSERT INTO scenario VALUES ('old', 1, 'scenario')")
        await pool.execute(OLD_VERSION, scenario.id, START)
        for story in stories.values():
            await old(pool, story)

    await migrate(empty_database)

    async with open_pool(empty_database) as pool, open_execution_log(pool) as log:
        crowd = Crowd(log=log, queue=PostgresQueue(pool), scenario=scenario, system="trading")
        crowd.stories |= stories
        for name in names:
            await crowd.comes(f"after {name}", alone(f"service/{name}"))
        first = await crowd.admit()
        await crowd.tell("stuck", FaultReverted(step=STEP, evidence={}))
        await crowd.tell("child", FaultReverted(step=STEP, evidence={}))
        second = await crowd.admit()
        await crowd.tell("running", FaultReverted(step=STEP, evidence={}), HELD)

        assert first == ["after child", "after over"]
        assert second == ["after stuck", "after parent"]
        assert await crowd.admit() == ["after running"]


def record_of(scenario: StoredScenario, name: str) -> ExecutionRecord:
    """Return the record of one that claims something of its own."""
    record = new_record(scenario)
    return replace(record, plan=replace(record.plan, claims=alone(f"service/{name}")))
