"""How much of a system may be hit at a time, by all executions together."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from contract.conftest import Stores
from support.queue_crowd import Crowd
from support.stores_story import NEW, new_scenario
from test_coordination.application.fleet import BudgetExceededError
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.events import FaultArmed, FaultReverted, FaultRevertFailed
from test_coordination.domain.values import Receipt, ServiceName, StepId, WorkerId


def hit(service: str) -> FaultArmed:
    step, receipt = StepId(f"hit-{service}"), Receipt("{}")
    return FaultArmed(
        step=step, fault="service.stop", service=ServiceName(service), receipt=receipt
    )


def undone(service: str) -> FaultReverted:
    return FaultReverted(step=StepId(f"hit-{service}"), evidence={})


@pytest.fixture
async def crowd(stores: Stores) -> Crowd:
    """Three that have begun, in a system of which two services may be hit at a time."""
    scenario = await stores.scenarios.store(new_scenario())
    crowd = Crowd(log=stores.log, queue=stores.queue, scenario=scenario)
    for name in ("one", "two", "three"):
        await crowd.comes(name, services_max=2)
        await crowd.begins(name)
    return crowd


async def test_a_fault_that_would_hit_too_much_is_not_written_until_another_is_undone(
    stores: Stores, crowd: Crowd
) -> None:
    await crowd.tell("one", hit("a"))
    await crowd.tell("two", hit("b"))

    with pytest.raises(BudgetExceededError) as refused:
        await crowd.tell("three", hit("c"))

    error = refused.value
    assert (error.system, error.limit) == (crowd.system, 2)
    assert sorted(error.hit) == ["a", "b"]
    assert sorted(error.services) == ["c"]
    assert "a, b now: c must wait" in str(error)
    story = crowd.stories["three"]
    assert await stores.log.read(story.record.id) == story.entries[:1]
    await crowd.tell("one", undone("a"))
    await stores.log.append(story.entries[1:], leading_to=story.state, epoch=1)


async def test_what_is_hit_already_may_be_hit_again(crowd: Crowd) -> None:
    await crowd.tell("one", hit("a"))
    await crowd.tell("two", hit("a"), hit("b"))

    await crowd.tell("three", hit("b"))


async def test_what_could_not_be_undone_still_counts(crowd: Crowd) -> None:
    stuck = FaultRevertFailed(step=StepId("hit-a"), reason="it would not go", code="fault.failed")
    await crowd.tell("one", hit("a"), stuck)
    await crowd.ends("one")
    await crowd.tell("two", hit("b"))

    with pytest.raises(BudgetExceededError):
        await crowd.tell("three", hit("c"))


async def test_a_fault_that_is_undone_in_the_same_breath_hits_nothing(crowd: Crowd) -> None:
    await crowd.tell("one", hit("a"))
    await crowd.tell("two", hit("b"))

    await crowd.tell("three", hit("c"), undone("c"))


async def test_faults_of_those_without_a_budget_count_for_those_with_one(crowd: Crowd) -> None:
    for name in ("free", "wide"):
        await crowd.comes(name)
        await crowd.begins(name)
    await crowd.tell("free", hit("a"))
    await crowd.tell("wide", hit("b"), hit("c"))

    with pytest.raises(BudgetExceededError):
        await crowd.tell("one", hit("d"))


async def test_another_system_has_a_budget_of_its_own(stores: Stores, crowd: Crowd) -> None:
    other = Crowd(log=stores.log, queue=stores.queue, scenario=crowd.scenario)
    await other.comes("there", services_max=1)
    await other.begins("there")
    await crowd.tell("one", hit("a"), hit("b"))

    await other.tell("there", hit("c"))


async def test_of_many_who_arm_at_once_as_many_as_may_are_let_through(
    stores: Stores, crowd: Crowd
) -> None:
    stories = list(crowd.stories.values())
    passed, refused = list[int](), list[int]()

    async def arm(at: int) -> None:
        try:
            entries = stories[at].tell(hit(f"service-{at}"))
            await stores.log.append(entries, leading_to=stories[at].state, epoch=1)
        except BudgetExceededError:
            refused.append(at)
        else:
            passed.append(at)

    async with anyio.create_task_group() as group:
        for at in range(3):
            group.start_soon(arm, at)

    assert (len(passed), len(refused)) == (2, 1)


async def test_whoever_lost_the_execution_is_told_that_and_not_that_it_is_too_much(
    stores: Stores, crowd: Crowd
) -> None:
    await crowd.tell("one", hit("a"), hit("b"))
    record = crowd.stories["two"].record
    epoch = await stores.workers.claim(record.id, by=WorkerId(NEW.new()), epoch=1)

    with pytest.raises(LogConflictError):
        await crowd.tell("two", hit("c"))

    story = crowd.stories["two"]
    story.record = replace(record, epoch=epoch or 0)
    with pytest.raises(BudgetExceededError):
        await stores.log.append(story.entries[1:], leading_to=story.state, epoch=epoch or 0)
