"""The queue at the moments at which two programs meet, each brought about on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import pytest

from support.queue_crowd import Crowd, alone
from support.stores_locks import barrier, blocked
from support.stores_servers import Urls
from support.stores_story import ARMED, STEP, new_scenario
from test_coordination.adapters.postgres import queue as queues
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.adapters.postgres.queue import PostgresQueue
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.application.fleet import BudgetExceededError
from test_coordination.domain.events import ExecutionEnded, FaultReverted
from test_coordination.domain.values import ServiceName
from test_coordination.domain.verdicts import Verdict

HELD = ExecutionEnded(verdict=Verdict.HELD, reason="all checks held")
UNDONE = FaultReverted(step=STEP, evidence={})
LOCK_EXECUTION = "SELECT FROM execution WHERE id = $1 FOR UPDATE"


@pytest.fixture
async def pool(servers: Urls) -> AsyncIterator[Pool]:
    async with open_pool(servers.postgres) as lent:
        yield lent


@pytest.fixture
async def crowd(pool: Pool) -> AsyncIterator[Crowd]:
    scenario = await PostgresScenarioStore(pool).store(new_scenario())
    async with open_execution_log(pool) as log:
        yield Crowd(log=log, queue=PostgresQueue(pool), scenario=scenario)


@pytest.fixture
async def elsewhere(servers: Urls, crowd: Crowd) -> AsyncIterator[Crowd]:
    """The same crowd, as another program writes their logs."""
    async with open_pool(servers.postgres) as other, open_execution_log(other) as log:
        yield replace(crowd, log=log)


async def test_one_that_ends_while_it_is_chosen_is_not_let_in(pool: Pool, crowd: Crowd) -> None:
    gone = await crowd.comes("gone", alone("a"))
    await crowd.comes("next", alone("a"))
    admitted = list[str]()

    async def admit() -> None:
        admitted.extend(await crowd.admit())

    async with anyio.create_task_group() as group, barrier(pool, LOCK_EXECUTION, gone.record.id):
        group.start_soon(crowd.ends, "gone")
        await blocked(pool, 1)
        group.start_soon(admit)
        await blocked(pool, 2)

    assert admitted == []
    assert await crowd.admit() == ["next"]


async def test_a_parent_and_its_step_that_end_at_once_let_go_of_what_they_held(
    pool: Pool, crowd: Crowd, elsewhere: Crowd
) -> None:
    parent = await crowd.comes("parent", alone("a"))
    await crowd.admit()
    await crowd.begins("parent")
    await crowd.comes("child", parent=parent.record.id)
    await crowd.begins("child", ARMED)
    await crowd.tell("child", HELD)
    await crowd.comes("heir", alone("a"))

    # Both have changed what is theirs, and neither sees what the other has changed.
    async with (
        anyio.create_task_group() as group,
        barrier(pool, "LOCK TABLE admission IN ACCESS EXCLUSIVE MODE"),
    ):
        group.start_soon(crowd.tell, "parent", HELD)
        group.start_soon(elsewhere.tell, "child", UNDONE)
        await blocked(pool, 2)

    assert await crowd.admit() == ["heir"]


async def test_two_that_arm_a_fault_at_once_do_not_exceed_the_budget_together(
    pool: Pool, crowd: Crowd, elsewhere: Crowd
) -> None:
    refused = list[str]()
    for name in ("one", "two"):
        await crowd.comes(name, services_max=1)
        await crowd.begins(name)

    async def arm(crowd: Crowd, name: str) -> None:
        try:
            await crowd.tell(name, replace(ARMED, service=ServiceName(name)))
        except BudgetExceededError:
            refused.append(name)

    # What is hit can be read meanwhile, but nothing more can be put down as hit.
    async with (
        anyio.create_task_group() as group,
        barrier(pool, "LOCK TABLE fault_receipt IN SHARE MODE"),
    ):
        group.start_soon(arm, crowd, "one")
        group.start_soon(arm, elsewhere, "two")
        await blocked(pool, 2)

    assert len(refused) == 1


async def test_all_of_a_lane_are_let_in_however_few_are_looked_at_at_a_time(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "AT_A_TIME", 2)
    await crowd.come("a b c d e", alone())
    await crowd.come("f g", alone(), by="bob")

    admitted = await crowd.admit()

    assert admitted == ["a", "f", "b", "g", "c", "d", "e"]
