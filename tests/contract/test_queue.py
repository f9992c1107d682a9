"""Who is let in when, and who has to wait for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.conftest import Stores
from support.queue_crowd import Crowd, alone, beside, slots
from support.stores_story import ARMED, NEW, STEP, new_scenario
from test_coordination.domain.admission import PRIORITY_MAX, ClaimKind
from test_coordination.domain.events import (
    AbortRequested,
    ExecutionPaused,
    FaultReverted,
    FaultRevertFailed,
    ResidueAccepted,
)
from test_coordination.domain.values import WorkerId

STUCK = FaultRevertFailed(step=STEP, reason="it would not go", code="fault.failed")
UNDONE = FaultReverted(step=STEP, evidence={})


@pytest.fixture
async def crowd(stores: Stores) -> Crowd:
    scenario = await stores.scenarios.store(new_scenario())
    return Crowd(log=stores.log, queue=stores.queue, scenario=scenario)


async def test_one_that_claims_nothing_waits_only_until_somebody_tries(
    stores: Stores, crowd: Crowd
) -> None:
    story = await crowd.comes("one")
    before = await stores.queue.admitted([story.record.id])
    created = await stores.log.get(story.record.id)

    admitted = await crowd.admit()

    assert (before, admitted) == (frozenset(), ["one"])
    assert await stores.queue.admitted([story.record.id]) == {story.record.id}
    record = await stores.log.get(story.record.id)
    assert record.admitted_at is not None
    assert replace(record, admitted_at=None) == created == story.record
    assert await crowd.admit() == []


async def test_what_one_has_alone_keeps_the_next_one_out_until_it_has_ended(crowd: Crowd) -> None:
    await crowd.come("first second third", alone("service/shop"))

    assert await crowd.admit() == ["first"]
    await crowd.begins("first")
    assert await crowd.admit() == []
    await crowd.ends("first")
    assert await crowd.admit() == ["second"]


async def test_many_share_what_nobody_has_alone(crowd: Crowd) -> None:
    await crowd.come("ann bob", beside("database"))
    await crowd.comes("cat", alone("database"))
    await crowd.comes("dan", beside("database"))

    assert await crowd.admit() == ["ann", "bob"], "dan came after cat, who would starve"
    await crowd.ends("ann")
    assert await crowd.admit() == []
    await crowd.ends("bob")
    assert await crowd.admit() == ["cat"]
    await crowd.ends("cat")
    assert await crowd.admit() == ["dan"]


async def test_a_pool_lets_in_as_many_as_it_has_slots(crowd: Crowd) -> None:
    await crowd.come("one two three", slots(1, of=2))
    await crowd.comes("wide", slots(2, of=2))
    await crowd.comes("last", slots(1, of=2))

    assert await crowd.admit() == ["one", "two"]
    await crowd.ends("one")
    assert await crowd.admit() == ["three"]
    await crowd.ends("two")
    assert await crowd.admit() == [], "the free slot is kept for the one that needs two"
    await crowd.ends("three")
    assert await crowd.admit() == ["wide"]


async def test_a_pool_and_a_lock_of_the_same_name_are_two_things(crowd: Crowd) -> None:
    await crowd.comes("pool", slots(1, of=1))
    await crowd.comes("lock", alone("network"))

    assert await crowd.admit() == ["pool", "lock"]


async def test_one_gets_all_that_it_claims_or_nothing_of_it(crowd: Crowd) -> None:
    await crowd.comes("holder", alone("a"))
    await crowd.admit()
    await crowd.comes("both", alone("a", "b"))
    await crowd.comes("behind", alone("b"))
    await crowd.comes("apart", alone("c"))

    assert await crowd.admit() == ["apart"], "b is kept for whoever came before"
    await crowd.ends("holder")
    assert await crowd.admit() == ["both"]
    await crowd.ends("both")
    assert await crowd.admit() == ["behind"]


async def test_what_is_named_the_same_in_another_system_is_another_thing(
    stores: Stores, crowd: Crowd
) -> None:
    other = Crowd(log=stores.log, queue=stores.queue, scenario=crowd.scenario)
    await crowd.comes("here", alone("service/shop"))
    await other.comes("there", alone("service/shop"))

    admitted = await stores.queue.admit()

    assert crowd.names(admitted) + other.names(admitted) == ["here", "there"]


async def test_what_one_did_not_undo_is_still_its_own_until_it_is_undone(crowd: Crowd) -> None:
    await crowd.come("first second", alone("service/prices"))
    await crowd.admit()
    await crowd.begins("first", ARMED, STUCK)
    await crowd.ends("first")

    assert await crowd.admit() == []
    await crowd.tell("first", UNDONE)
    assert await crowd.admit() == ["second"]


async def test_what_one_did_not_undo_is_free_once_somebody_answers_for_it(crowd: Crowd) -> None:
    await crowd.come("first second", alone("service/prices"))
    await crowd.admit()
    await crowd.begins("first", ARMED, STUCK)
    await crowd.ends("first")
    assert await crowd.admit() == []

    await crowd.tell("first", ResidueAccepted(step=STEP, reason="it was scrapped", by="ann"))

    assert await crowd.admit() == ["second"]


async def test_a_step_that_is_an_execution_waits_for_nobody_and_what_it_left_is_its_parents(
    crowd: Crowd,
) -> None:
    parent = await crowd.comes("parent", alone("service/prices"))
    await crowd.admit()
    child = await crowd.comes("child", alone("service/prices"), parent=parent.record.id)
    await crowd.comes("grandchild", alone("service/prices"), parent=child.record.id)
    await crowd.comes("next", alone("service/prices"))
    assert list(await crowd.line()) == ["parent", "next"]

    for name in ("parent", "child"):
        await crowd.begins(name)
    await crowd.begins("grandchild", ARMED, STUCK)
    for name in ("grandchild", "child", "parent"):
        await crowd.ends(name)

    assert await crowd.admit() == []
    await crowd.tell("grandchild", UNDONE)
    assert await crowd.admit() == ["next"]


async def test_the_end_of_a_step_is_not_that_of_its_parent(crowd: Crowd) -> None:
    parent = await crowd.comes("parent", alone("a"))
    await crowd.admit()
    await crowd.begins("parent")
    await crowd.comes("child", alone("a"), parent=parent.record.id)
    await crowd.begins("child")
    await crowd.comes("next", alone("a"))

    await crowd.ends("child")

    assert await crowd.admit() == []
    await crowd.ends("parent")
    assert await crowd.admit() == ["next"]


async def test_what_a_lost_one_ran_as_a_step_holds_its_claims_until_it_has_ended_too(
    crowd: Crowd,
) -> None:
    parent = await crowd.comes("parent", alone("a"))
    await crowd.admit()
    await crowd.begins("parent")
    child = await crowd.comes("child", alone("a"), parent=parent.record.id)
    await crowd.begins("child")
    await crowd.comes("grandchild", alone("a"), parent=child.record.id)
    await crowd.begins("grandchild")
    await crowd.comes("next", alone("a"))

    for name in ("parent", "child"):
        await crowd.ends(name)
        assert await crowd.admit() == []
    await crowd.ends("grandchild")

    assert await crowd.admit() == ["next"]


async def test_one_that_ends_while_it_waits_is_in_nobodys_way(crowd: Crowd) -> None:
    await crowd.come("holder gone behind", alone("a"))
    await crowd.admit()

    await crowd.ends("gone")
    await crowd.ends("holder")

    assert await crowd.admit() == ["behind"]


async def test_one_that_is_paused_keeps_its_place_and_one_that_is_stopped_leaves_it(
    crowd: Crowd,
) -> None:
    await crowd.come("holder paused stopped behind", alone("a"))
    await crowd.admit()

    await crowd.tell("paused", ExecutionPaused(reason="lunch", by="ann"))
    await crowd.tell("stopped", AbortRequested(reason="not today", by="ann"))

    assert list(await crowd.line()) == ["holder", "paused", "behind"]
    await crowd.ends("holder")
    assert await crowd.admit() == ["paused"]


async def test_whoever_takes_an_execution_over_has_its_claims(stores: Stores, crowd: Crowd) -> None:
    await crowd.come("first second", alone("a"))
    await crowd.admit()
    await crowd.begins("first")
    record = crowd.stories["first"].record

    epoch = await stores.workers.claim(record.id, by=WorkerId(NEW.new()), epoch=record.epoch)

    assert epoch is not None
    assert await crowd.admit() == []
    crowd.stories["first"].record = replace(record, epoch=epoch)
    await crowd.ends("first")
    assert await crowd.admit() == ["second"]


async def test_creating_one_again_lets_it_wait_only_once(stores: Stores, crowd: Crowd) -> None:
    story = await crowd.comes("one")
    await crowd.admit()

    await stores.log.create(story.record)

    assert await stores.queue.admitted([story.record.id]) == {story.record.id}
    assert await crowd.admit() == []


async def test_whoever_is_more_urgent_comes_first(crowd: Crowd) -> None:
    await crowd.come("holder low", alone("a"))
    await crowd.comes("high", alone("a"), priority=1)
    await crowd.comes("lowest", alone("a"), priority=-1)

    order = []
    for _ in range(4):
        (name,) = await crowd.admit()
        order.append(name)
        await crowd.ends(name)

    assert order == ["high", "holder", "low", "lowest"]


async def test_no_urgency_is_beyond_all_bounds(stores: Stores, crowd: Crowd) -> None:
    story = await crowd.comes("one", priority=10**12)

    assert (await stores.log.get(story.record.id)).priority == PRIORITY_MAX


async def test_those_who_ask_for_much_and_for_little_come_in_turns(crowd: Crowd) -> None:
    await crowd.come("ann1 ann2 ann3 ann4", alone("a"), by="ann")
    await crowd.come("bob1 bob2", alone("a"), by="bob")

    order = []
    for _ in range(6):
        (name,) = await crowd.admit()
        order.append(name)
        await crowd.ends(name)

    assert order == ["ann1", "bob1", "ann2", "bob2", "ann3", "ann4"]


async def test_who_has_less_running_comes_first(crowd: Crowd) -> None:
    await crowd.come("ann1 ann2 ann3 ann4", slots(1, of=3), by="ann")
    assert await crowd.admit() == ["ann1", "ann2", "ann3"]
    await crowd.come("bob1 bob2", slots(1, of=3), by="bob")
    await crowd.ends("ann1")
    assert await crowd.admit() == ["bob1"], "bob has none, ann has two"
    await crowd.ends("ann2")

    assert await crowd.admit() == ["ann4"], "each has one, and bob's turn was the last"


async def test_the_queue_tells_who_waits_for_what_and_who_has_it(crowd: Crowd) -> None:
    holder = await crowd.comes("holder", alone("service/prices"))
    await crowd.admit()
    await crowd.begins("holder", ARMED, STUCK)
    await crowd.ends("holder")
    await crowd.comes("wide", alone("database", "service/prices"), priority=3)
    await crowd.comes("behind", beside("database"))

    line = await crowd.line()

    assert list(line) == ["wide", "behind"]
    wide, behind = line.values()
    assert wide.place < behind.place
    assert (wide.priority, wide.requested_by) == (3, crowd.stories["wide"].record.requested_by)
    (obstacle,) = wide.obstacles
    assert (obstacle.claim.kind, obstacle.claim.name) == (ClaimKind.EXCLUSIVE, "service/prices")
    held = obstacle.holding
    assert (held.by, held.scenario) == (holder.record.id, holder.record.scenario_name)
    assert (held.residue, held.reserved) == (True, False)
    assert held.since <= wide.since
    (obstacle,) = behind.obstacles
    assert (obstacle.claim.kind, obstacle.claim.name) == (ClaimKind.SHARED, "database")
    kept = obstacle.holding
    assert (kept.by, kept.reserved) == (crowd.stories["wide"].record.id, True)
    assert kept.since == wide.since


async def test_one_that_was_let_in_is_shown_until_it_begins(crowd: Crowd) -> None:
    await crowd.comes("one", alone("a"))
    await crowd.admit()

    (shown,) = (await crowd.line()).values()
    await crowd.begins("one")

    assert (shown.place, shown.obstacles) == (0, ())
    assert shown.admitted_at is not None
    assert await crowd.line() == {}


async def test_what_is_detached_waits_for_a_program_that_has_a_dispatch(crowd: Crowd) -> None:
    await crowd.comes("attached")
    await crowd.comes("detached", detached=True)

    assert await crowd.admit() == ["attached"]
    shown = (await crowd.line())["detached"]
    assert (shown.detached, shown.admitted_at, shown.obstacles) == (True, None, ())
