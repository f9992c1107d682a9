"""What has happened, and which schedules hear of it, in each implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import anyio
import pytest

from support.schedules_story import HOUR, MINUTE, Desk, always, open_desk
from support.stores_story import new_record, new_scenario
from test_coordination.application.timetable import (
    FiringState,
    Occurrence,
    Sighting,
    StoredSchedule,
)
from test_coordination.domain.schedule import (
    AfterExecution,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
)
from test_coordination.domain.values import ExecutionId, ServiceName
from test_coordination.domain.verdicts import Verdict

ALL = Rules(overlap=Overlap.ALLOW)


@pytest.fixture
async def desk(database: str | None) -> AsyncIterator[Desk]:
    async with open_desk(database) as opened:
        while await opened.inbox.hear(always, limit=100):
            pass
        yield opened


@pytest.fixture
def event() -> str:
    return f"event-{uuid4().hex}"


async def waiting(desk: Desk, event: str) -> StoredSchedule:
    return await desk.schedule(OnEvent(event=event), ALL, due=None)


async def states(desk: Desk, stored: StoredSchedule) -> list[FiringState]:
    return [each.state for each in await desk.timetable.firings(stored.name, limit=99)]


async def test_what_happens_is_heard_by_each_that_waits_for_it_and_decided_then(
    desk: Desk, event: str
) -> None:
    first, second = await waiting(desk, event), await waiting(desk, event)
    other = await waiting(desk, f"{event}-other")
    told = await desk.happened(f"event/{event}", ago=MINUTE)

    heard = await desk.hear(told)
    before = [await states(desk, each) for each in (first, second, other)]
    looked = await desk.look()
    (firing,) = await desk.timetable.firings(first.name, limit=9)

    assert (heard, looked) == (1, 2)
    assert before == [[FiringState.HEARD], [FiringState.HEARD], []]
    assert (firing.due, firing.cause, firing.state) == (told.at, told.cause, FiringState.DUE)
    assert (await desk.timetable.get(first.name)).next_moment is None
    assert await desk.look() == 0
    assert len(await desk.take()) == 2


async def test_what_was_heard_is_heard_once(desk: Desk, event: str) -> None:
    stored = await waiting(desk, event)
    told = await desk.happened(f"event/{event}")
    await desk.inbox.put(told)
    await desk.inbox.put(told)

    stirs = await desk.timetable.stirs(desk.system)
    heard = [await desk.inbox.hear(always, limit=100), await desk.inbox.hear(always, limit=100)]
    again = await desk.hear(told)

    assert stirs
    assert (heard, again) == ([1, 0], 1)
    assert await states(desk, stored) == [FiringState.HEARD]


async def test_many_that_hear_at_once_hear_everything_once(desk: Desk, event: str) -> None:
    stored = [await waiting(desk, event) for _ in range(3)]
    for _ in range(30):
        await desk.inbox.put(await desk.happened(f"event/{event}"))

    async def hear_on() -> None:
        while await desk.inbox.hear(always, limit=3):
            await desk.look()

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(hear_on)
    await desk.look()

    found = [await states(desk, each) for each in stored]
    assert found == [[FiringState.DUE] * 30] * 3


async def test_only_those_that_are_there_and_at_work_and_match_hear_of_it(
    desk: Desk, event: str
) -> None:
    awake, asleep = await waiting(desk, event), await waiting(desk, event)
    await desk.timetable.change(asleep.name, lambda kept, at: replace(kept, paused_at=at))
    early = await desk.happened(f"event/{event}", ago=2 * HOUR)
    other = replace(await desk.happened(f"event/{event}"), data={"n": 2})
    late = await desk.happened(f"event/{event}")
    for each in (early, other, late):
        await desk.inbox.put(each)

    def first_only(stored: StoredSchedule, occurrence: Occurrence) -> bool:
        return stored.id == awake.id and occurrence.data == {"n": 1}

    heard = await desk.inbox.hear(first_only, limit=100)

    assert heard == 3
    assert [f.cause for f in await desk.timetable.firings(awake.name, limit=9)] == [late.cause]
    assert await states(desk, asleep) == []


async def test_what_was_heard_is_dropped_by_who_is_paused(desk: Desk, event: str) -> None:
    stored = await waiting(desk, event)
    await desk.hear(await desk.happened(f"event/{event}"))

    await desk.timetable.change(
        stored.name, lambda kept, at: replace(kept, paused_at=at, next_moment=None)
    )
    await desk.timetable.change(stored.name, lambda kept, _: replace(kept, paused_at=None))

    assert await desk.look() == 0
    assert await states(desk, stored) == []


async def test_who_has_heard_often_enough_forgets_the_rest(desk: Desk, event: str) -> None:
    rules = replace(ALL, max_runs=1)
    stored = await desk.schedule(OnEvent(event=event), rules, due=None)
    await desk.hear(*[await desk.happened(f"event/{event}") for _ in range(3)])

    await desk.look()

    assert await states(desk, stored) == [FiringState.DUE]
    assert (await desk.timetable.get(stored.name)).over_at is not None
    assert await desk.hear(await desk.happened(f"event/{event}")) == 1
    assert await states(desk, stored) == [FiringState.DUE]


async def test_the_end_of_an_execution_is_heard_with_its_verdict(desk: Desk) -> None:
    scenario = await desk.scenarios.store(new_scenario())
    stored = await desk.schedule(AfterExecution(scenario=scenario.name), ALL, due=None)
    story = await desk.begin(scenario=scenario)
    stranger = await desk.begin()
    told: list[Occurrence] = []

    def note(waiting: StoredSchedule, occurrence: Occurrence) -> bool:
        assert waiting.id == stored.id
        told.append(occurrence)
        return True

    early = await desk.inbox.hear(note, limit=9)
    await desk.timetable.change(stored.name, lambda kept, _: kept)
    await desk.end(stranger)
    await desk.end(story, Verdict.BROKEN)
    await desk.inbox.hear(note, limit=9)
    await desk.inbox.hear(note, limit=9)

    assert early == 0
    assert [each.data for each in told] == [
        {"execution": str(story.record.id), "verdict": "broken"}
    ]
    assert told[0].cause == f"execution {story.record.id}"
    assert told[0].at > await desk.timetable.now() - MINUTE


async def test_the_end_of_a_step_of_an_execution_is_not_heard(desk: Desk) -> None:
    scenario = await desk.scenarios.store(new_scenario())
    await desk.schedule(AfterExecution(scenario=scenario.name), ALL, due=None)
    parent = await desk.begin()
    child = replace(new_record(scenario), parent=ExecutionId(parent.record.id))
    story = await desk.begin_recorded(child)

    await desk.end(story)

    assert await desk.inbox.hear(always, limit=9) == 0


async def test_of_those_who_read_on_from_one_position_one_is_the_first(
    desk: Desk, event: str
) -> None:
    source = f"stream {uuid4().hex}"
    stored = await waiting(desk, event)
    told = [await desk.happened(f"event/{event}") for _ in range(2)]

    begun = await desk.inbox.position(source)
    taken = [
        await desk.inbox.receive(source, told[:1], after="", upto="5-0"),
        await desk.inbox.receive(source, told[:1], after="", upto="5-0"),
        await desk.inbox.receive(source, told[1:], after="5-0", upto="7-0"),
        await desk.inbox.receive(source, told[1:], after="5-0", upto="7-0"),
        await desk.inbox.receive(source, [], after="7-0", upto="8-0"),
    ]
    await desk.hear()

    assert begun == ""
    assert taken == [True, False, True, False, True]
    assert await desk.inbox.position(source) == "8-0"
    assert await states(desk, stored) == [FiringState.HEARD] * 2


async def test_a_service_has_changed_when_it_runs_as_a_later_process(desk: Desk) -> None:
    shop = ServiceName("shop")
    stored = await desk.schedule(OnChange(service=shop), ALL, due=None)
    now = await desk.timetable.now()
    first = Sighting(
        service=shop, place=f"here {uuid4()}", mark="1", build="a", started_at=now - HOUR
    )
    second = replace(first, mark="2", started_at=now - MINUTE)
    third = replace(first, mark="3", build="b", started_at=now - timedelta(seconds=1))
    elsewhere = replace(first, place="there", mark="9", started_at=now)
    told: list[Occurrence] = []

    def note(stored: StoredSchedule, occurrence: Occurrence) -> bool:
        del stored
        told.append(occurrence)
        return True

    for sighting in (first, first, second, second, first, elsewhere, third):
        await desk.inbox.see(desk.system, [sighting])
    await desk.inbox.see(desk.system, [])
    await desk.inbox.hear(note, limit=9)

    assert await desk.inbox.watched(desk.system) == [shop]
    assert await desk.inbox.watched("elsewhere") == []
    assert [(each.at, each.data["deployed"]) for each in told] == [
        (second.started_at, False),
        (third.started_at, True),
    ]
    assert await states(desk, stored) == [FiringState.HEARD] * 2
