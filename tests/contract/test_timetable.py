"""Schedules as they are kept, looked at and fired, in each implementation."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import anyio
import pytest

from support.schedules_story import HOUR, MINUTE, Desk, decide, open_desk
from support.stores_story import NEW
from test_coordination.application.ports import NotFoundError
from test_coordination.application.timetable import (
    Errand,
    FiringState,
    ScheduleExistsError,
    StoredSchedule,
)
from test_coordination.domain.due import Instant, Look, Ruling, Skip, Standing
from test_coordination.domain.schedule import (
    At,
    Blackout,
    Cron,
    Misfire,
    MisfirePolicy,
    Overlap,
    Rules,
    schedule_name,
)
from test_coordination.domain.values import ScheduleId, Value
from test_coordination.domain.verdicts import Verdict

CATCH_UP = Rules(
    misfire=Misfire(policy=MisfirePolicy.RUN_ALL, grace=timedelta(days=1)), overlap=Overlap.ALLOW
)
REPLACE = replace(CATCH_UP, overlap=Overlap.REPLACE)


@pytest.fixture
async def desk(database: str | None) -> AsyncIterator[Desk]:
    async with open_desk(database) as opened:
        yield opened


async def test_a_schedule_is_kept_as_it_is_and_listed_by_name(desk: Desk) -> None:
    nightly = Cron(expression="0 3 * * *", zone="Europe/Berlin")
    rules = Rules(blackouts=(Blackout(begins=nightly, length=HOUR),), max_runs=3, priority=2)
    mark = uuid4().hex
    second = await desk.schedule(nightly, rules, name=f"{mark}-b")
    first = await desk.schedule(name=f"{mark}-a")

    listed = await desk.timetable.list(limit=1, after=mark)
    rest = await desk.timetable.list(limit=2, after=listed[0].name)

    assert listed == [first]
    assert rest[0] == second == await desk.timetable.get(second.name)


async def test_parameters_come_back_as_they_were_given(desk: Desk) -> None:
    plain = await desk.schedule()
    name = schedule_name(f"p{uuid4().hex}")
    stored = replace(plain, id=ScheduleId(NEW.new()), name=name, version=3)
    given: dict[str, Value] = {
        "outage": "5s",
        "share": 0.5,
        "on": True,
        "list": ("a", 1),
        "none": None,
    }
    await desk.timetable.add(replace(stored, parameters=given))

    kept = await desk.timetable.get(stored.name)

    assert kept.parameters == {**given, "list": ["a", 1]}
    assert kept.version == 3


async def test_a_schedule_is_added_once_and_its_name_is_taken(desk: Desk) -> None:
    stored = await desk.schedule()

    await desk.timetable.add(stored)
    with pytest.raises(ScheduleExistsError):
        await desk.timetable.add(replace(stored, id=ScheduleId(NEW.new())))

    assert await desk.timetable.get(stored.name) == stored


async def test_a_schedule_that_is_not_there_is_told_as_that(desk: Desk) -> None:
    timetable = desk.timetable

    for wish in (
        timetable.get("nobody"),
        timetable.delete("nobody"),
        timetable.firings("nobody", limit=1),
        timetable.change("nobody", lambda stored, _: stored),
        timetable.fire("nobody", decide),
    ):
        with pytest.raises(NotFoundError, match="no schedule is stored under 'nobody'"):
            await wish


async def test_what_is_due_is_fired_once_and_what_comes_next_is_kept(desk: Desk) -> None:
    stored = await desk.schedule(due=MINUTE)
    due = stored.next_due

    looked = [await desk.look(), await desk.look()]

    (firing,) = await desk.timetable.firings(stored.name, limit=9)
    assert looked == [1, 0]
    assert (firing.due, firing.state, firing.cause) == (due, FiringState.DUE, "")
    assert firing.execution is not None
    assert firing.execution.version == 7
    after = await desk.timetable.get(stored.name)
    assert due is not None
    assert (after.next_due, after.next_moment, after.runs) == (due + HOUR, due + HOUR, 1)


async def test_many_that_look_at_once_fire_each_once(desk: Desk) -> None:
    schedules = [await desk.schedule(rules=CATCH_UP, due=2 * HOUR) for _ in range(40)]

    async def keep_looking() -> None:
        while await desk.look(limit=7):
            pass

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(keep_looking)

    fired = [await desk.timetable.firings(each.name, limit=9) for each in schedules]
    executions = [firing.execution for firings in fired for firing in firings]
    assert [len(firings) for firings in fired] == [3] * 40
    assert len(set(executions)) == 120
    assert {(await desk.timetable.get(each.name)).runs for each in schedules} == {3}


async def test_a_run_that_was_asked_for_is_not_asked_for_again(desk: Desk) -> None:
    stored = await desk.schedule(due=MINUTE)
    await desk.look()
    before = await desk.timetable.firings(stored.name, limit=9)
    assert stored.next_due is not None

    await desk.again(stored, stored.next_due)
    looked = await desk.look()

    assert looked == 1
    assert await desk.timetable.firings(stored.name, limit=9) == before
    assert (await desk.timetable.get(stored.name)).runs == 1


async def test_only_what_is_due_in_this_system_and_not_at_rest_is_looked_at(desk: Desk) -> None:
    other = replace(desk, system="elsewhere")
    await other.schedule(due=MINUTE)
    await desk.schedule(due=-MINUTE)
    await desk.schedule(due=None)
    paused, over = await desk.schedule(due=MINUTE), await desk.schedule(due=MINUTE)
    now = await desk.timetable.now()
    await desk.timetable.change(paused.name, lambda kept, at: replace(kept, paused_at=at))
    await desk.timetable.change(over.name, lambda kept, at: replace(kept, over_at=at))

    assert not await desk.timetable.stirs(desk.system)
    assert await desk.look() == 0
    assert (await desk.timetable.get(paused.name)).paused_at is not None
    assert (await desk.timetable.get(over.name)).over_at is not None
    assert now <= await desk.timetable.now()


async def test_what_is_due_longest_is_looked_at_first(desk: Desk) -> None:
    young, old = await desk.schedule(due=MINUTE), await desk.schedule(due=2 * MINUTE)

    await desk.look(limit=1)

    assert await desk.timetable.firings(young.name, limit=1) == []
    assert len(await desk.timetable.firings(old.name, limit=1)) == 1


async def test_what_was_left_out_is_kept_with_why(desk: Desk) -> None:
    stored = await desk.schedule(rules=Rules(misfire=Misfire(policy=MisfirePolicy.SKIP)), due=HOUR)

    await desk.look()

    newest, oldest = await desk.timetable.firings(stored.name, limit=9)
    assert (oldest.state, oldest.execution) == (FiringState.SKIPPED, None)
    assert oldest.why == "it was found 3600 s late"
    assert newest.state is FiringState.DUE
    assert await desk.timetable.firings(stored.name, limit=1) == [newest]
    assert await desk.timetable.firings(stored.name, limit=9, before=newest.due) == [oldest]


async def test_a_schedule_that_is_over_is_looked_at_no_more(desk: Desk) -> None:
    moment = await desk.timetable.now()
    once = await desk.schedule(At(moment=moment), due=None)
    await desk.again(once, moment)

    await desk.look()

    kept = await desk.timetable.get(once.name)
    assert kept.over_at is not None
    assert (kept.next_due, kept.next_moment, kept.runs) == (None, None, 1)
    await desk.again(once, moment)
    assert await desk.look() == 0


async def test_what_is_due_is_taken_by_one_until_its_lease_has_ended(desk: Desk) -> None:
    stored = await desk.schedule(due=MINUTE)
    await desk.look()

    (first,) = await desk.take(lease=timedelta(seconds=1))
    meanwhile = await desk.take()
    await anyio.sleep(1.1)
    stirs = await desk.timetable.stirs(desk.system)
    (second,) = await desk.take()

    assert meanwhile == []
    assert stirs
    assert (first.schedule.id, first.execution) == (stored.id, second.execution)
    assert timedelta(0) <= first.waited < second.waited < MINUTE


async def test_many_that_take_at_once_get_each_once_oldest_first(desk: Desk) -> None:
    for number in range(30):
        await desk.schedule(due=number * MINUTE)
    await desk.look()
    taken: list[list[Errand]] = []

    async def take_on() -> None:
        while found := await desk.take(limit=4):
            taken.append(found)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(take_on)

    counted = Counter(errand.execution for found in taken for errand in found)
    assert len(counted) == 30
    assert set(counted.values()) == {1}
    assert all(
        [each.firing.due for each in found] == sorted(each.firing.due for each in found)
        for found in taken
    )


async def test_what_is_settled_is_not_taken_again_unless_it_is_due_again(desk: Desk) -> None:
    stored = [await desk.schedule(due=MINUTE) for _ in range(3)]
    await desk.look()
    errands = {errand.schedule.id: errand for errand in await desk.take()}
    begun, failed, waits = (errands[each.id] for each in stored)

    await desk.timetable.settle(begun, FiringState.STARTED)
    await desk.timetable.settle(failed, FiringState.FAILED, why="no such service")
    await desk.timetable.settle(waits, FiringState.DUE, why="it waits", again=timedelta(0))
    again = await desk.take()

    states = [
        (firing.state, firing.why)
        for each in stored
        for firing in await desk.timetable.firings(each.name, limit=1)
    ]
    assert [errand.execution for errand in again] == [waits.execution]
    assert states == [
        (FiringState.STARTED, ""),
        (FiringState.FAILED, "no such service"),
        (FiringState.DUE, "it waits"),
    ]


async def test_that_an_execution_was_begun_is_noted_whatever_else_was(desk: Desk) -> None:
    stored = await desk.schedule(due=MINUTE)
    await desk.look()
    (errand,) = await desk.take()
    await desk.timetable.settle(errand, FiringState.SKIPPED, why="too late")
    await desk.timetable.settle(errand, FiringState.FAILED, why="not noted")

    skipped = await desk.timetable.firings(stored.name, limit=1)
    await desk.timetable.settle(errand, FiringState.STARTED)
    begun = await desk.timetable.firings(stored.name, limit=1)
    await desk.timetable.delete(stored.name)
    await desk.timetable.settle(errand, FiringState.STARTED)

    assert skipped[0].why == "too late"
    assert begun[0].state is FiringState.STARTED


async def test_what_a_schedule_began_is_under_way_until_its_execution_has_ended(
    desk: Desk,
) -> None:
    stored = await desk.schedule(due=MINUTE)
    seen: list[Standing] = []

    async def standing() -> Standing:
        def note(found: Standing, now: datetime) -> Look:
            seen.append(found)
            return Look(rulings=(Ruling(instant=_by_hand(now), skip=Skip.OVERLAP),))

        await desk.timetable.fire(stored.name, note)
        return seen[-1]

    at_rest = await standing()
    await desk.look()
    due = await standing()
    (errand,) = await desk.take()
    story = await desk.begin(errand.execution)
    await desk.timetable.settle(errand, FiringState.STARTED)
    running = await standing()
    going = await _firing(desk, stored)
    await desk.end(story, Verdict.BROKEN)
    ended = await standing()
    told = await _firing(desk, stored)

    assert [each.busy for each in (at_rest, due, running, ended)] == [False, True, True, False]
    assert (going, told) == ((FiringState.STARTED, None), (FiringState.ENDED, Verdict.BROKEN))
    assert (at_rest.spans, due.spans) == ((), ())
    assert running.spans[0].until is None
    assert (ended.spans[0].until, ended.runs) == ((story.state.ended_at), 1)


async def test_who_replaces_is_told_what_goes_on_and_who_was_replaced_that_he_was(
    desk: Desk,
) -> None:
    stored = await desk.schedule(rules=REPLACE, due=None)

    async def fired() -> Errand:
        await desk.timetable.fire(stored.name, _run)
        return (await desk.take())[-1]

    first = await fired()
    story = await desk.begin(first.execution)
    await desk.timetable.settle(first, FiringState.STARTED)
    second = await fired()
    await desk.timetable.settle(second, FiringState.DUE, again=timedelta(0))
    await desk.timetable.fire(stored.name, _run)
    replaced, newest = await desk.take()
    await desk.end(story)
    await desk.timetable.settle(replaced, FiringState.SKIPPED)
    await desk.timetable.settle(newest, FiringState.DUE, again=timedelta(0))
    (free,) = await desk.take()

    assert (first.older, first.outdated) == ((), False)
    assert (second.older, second.outdated) == ((first.execution,), False)
    assert (replaced.execution, replaced.outdated) == (second.execution, True)
    assert set(newest.older) == {first.execution, second.execution}
    assert (free.execution, free.older) == (newest.execution, ())


async def test_a_run_by_hand_is_kept_and_changes_nothing_else(desk: Desk) -> None:
    stored = await desk.schedule(due=-HOUR)

    firing = await desk.timetable.fire(stored.name, _run)
    (errand,) = await desk.take()

    assert (firing.state, firing.cause) == (FiringState.DUE, "by hand")
    assert (errand.firing.due, errand.execution) == (firing.due, firing.execution)
    assert await desk.timetable.get(stored.name) == stored


async def test_a_schedule_that_is_deleted_is_gone_with_its_firings(desk: Desk) -> None:
    stored = await desk.schedule(due=MINUTE)
    await desk.look()

    await desk.timetable.delete(stored.name)
    anew = replace(stored, id=ScheduleId(NEW.new()), next_due=None, next_moment=None)
    await desk.timetable.add(anew)

    assert await desk.take() == []
    assert await desk.timetable.firings(stored.name, limit=9) == []


def _run(standing: Standing, now: datetime) -> Look:
    del standing
    return Look(rulings=(Ruling(instant=_by_hand(now)),))


def _by_hand(now: datetime) -> Instant:
    return Instant(due=now, moment=now, cause="by hand")


async def _firing(desk: Desk, stored: StoredSchedule) -> tuple[FiringState, Verdict | None]:
    """Return what is told of the one run that time asked for."""
    firings = await desk.timetable.firings(stored.name, limit=99)
    (found,) = [firing for firing in firings if not firing.cause]
    return found.state, found.verdict
