"""Schedules through the domain API: made, looked ahead, paused, fired by hand, told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import anyio
import pytest

from support.engine_lab import Lab
from support.schedules_office import TEXT, TURN, Office
from support.virtual_time import ANCHOR, at, virtual
from test_coordination.application.lending import coordinating
from test_coordination.application.ports import NotFoundError
from test_coordination.application.schedules import EventTooLargeError
from test_coordination.application.timetable import FiringState, ScheduleExistsError
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError
from test_coordination.domain.execution import Status
from test_coordination.domain.expressions import InvalidExpressionError
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Blackout,
    Closure,
    Cron,
    Every,
    InvalidScheduleError,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
    Trigger,
)
from test_coordination.domain.topology import UnknownServiceError
from test_coordination.domain.values import Value

HOUR: Final = timedelta(hours=1)
HOURLY: Final = Every(period=HOUR, anchor=ANCHOR)
NIGHTLY: Final = Cron(expression="30 2 * * *", zone="Europe/Berlin")


@virtual
async def test_a_scenario_is_scheduled_and_the_schedule_is_told_and_listed() -> None:
    async with Lab().coordinator() as coordinator:
        scenario = await coordinator.create_scenario(TEXT)
        identity = await coordinator.schedule_scenario(
            scenario,
            Schedule(trigger=NIGHTLY),
            {"outage": timedelta(seconds=90)},
            name="nightly",
            requested_by="ann",
            seed=5,
        )
        newest = await coordinator.schedule_scenario(
            scenario, Schedule(trigger=HOURLY), name="hourly", newest=True
        )
        listed = await coordinator.list_schedules()
        rest = await coordinator.list_schedules(after="hourly", limit=1)
        nightly = await coordinator.schedule("nightly")

    assert [each.id for each in listed] == [newest, identity]
    assert rest == [nightly]
    assert (nightly.scenario, nightly.version, nightly.system) == ("story", 1, "lab")
    assert (nightly.parameters, nightly.seed, nightly.created_by) == ({"outage": "1m30s"}, 5, "ann")
    assert nightly.next_due == nightly.next_moment == at(3600 * 1.5)
    assert listed[0].version is None
    assert listed[0].seed > 0


@pytest.mark.parametrize(
    ("trigger", "error", "told"),
    [
        (Cron(expression="99 * * * *"), InvalidScheduleError, "the cron is '99"),
        (Cron(expression="0 * * * *", zone="Mars"), InvalidScheduleError, "the zone is 'Mars'"),
        (At(moment=ANCHOR), InvalidScheduleError, "a time to come"),
        (AfterExecution(scenario="nobody"), NotFoundError, "'nobody'"),
        (OnEvent(event="e", match="event.data.n =="), InvalidExpressionError, "schedule nightly"),
        (OnEvent(event="e", match="events.n == 1"), InvalidExpressionError, "events"),
        (OnChange(service="shopp"), UnknownServiceError, "did you mean 'shop'"),
    ],
)
@virtual
async def test_a_schedule_that_cannot_be_is_refused_and_not_kept(
    trigger: Trigger, error: type[CoordinationError], told: str
) -> None:
    async with Lab().coordinator() as coordinator:
        scenario = await coordinator.create_scenario(TEXT)
        with pytest.raises(error, match=told):
            await coordinator.schedule_scenario(scenario, Schedule(trigger=trigger), name="nightly")

        assert await coordinator.list_schedules() == []


@virtual
async def test_what_it_would_run_is_planned_before_it_is_kept() -> None:
    lab = Lab()
    hourly = Schedule(trigger=HOURLY)
    async with lab.coordinator() as coordinator:
        scenario = await coordinator.create_scenario(TEXT)
        with pytest.raises(InvalidDocumentError, match="no parameter is named 'outge'"):
            await coordinator.schedule_scenario(scenario, hourly, {"outge": "5s"}, name="s")
        with pytest.raises(InvalidScheduleError, match="the name is 'A b'"):
            await coordinator.schedule_scenario(scenario, hourly, name="A b")
        await coordinator.schedule_scenario(scenario, hourly, name="s")
        with pytest.raises(ScheduleExistsError, match="a schedule named 's' already"):
            await coordinator.schedule_scenario(scenario, hourly, name="s")
    async with coordinating(replace(lab.world(), system=None)) as stranger:
        with pytest.raises(NoTopologyError, match="scheduling 'story'"):
            await stranger.schedule_scenario(scenario, hourly, name="other")


@virtual
async def test_a_seed_that_is_not_given_is_drawn_and_kept() -> None:
    office = Office()
    window = Rules(window=timedelta(minutes=30))
    drawn = [await office.schedule(HOURLY, window, name=f"s{number}") for number in range(3)]

    assert len({each.seed for each in drawn}) == 3
    assert len({each.next_moment for each in drawn}) == 3
    assert {each.next_due for each in drawn} == {ANCHOR + HOUR}


@virtual
async def test_the_next_runs_are_told_in_the_zone_of_the_schedule() -> None:
    rules = Rules(closures=(Closure(since=at(0), until=at(24 * 3600)),))
    async with Lab().coordinator() as coordinator:
        scenario = await coordinator.create_scenario(TEXT)
        await coordinator.schedule_scenario(
            scenario, Schedule(trigger=NIGHTLY, rules=rules), name="nightly"
        )
        ahead = await coordinator.preview_schedule("nightly", count=2)
        unkept = await coordinator.look_ahead(Schedule(trigger=NIGHTLY, rules=rules), count=2)
        utc = await coordinator.look_ahead(Schedule(trigger=HOURLY), count=1)
        with pytest.raises(InvalidScheduleError):
            await coordinator.look_ahead(Schedule(trigger=Cron(expression="x")))

    assert [each.due.isoformat() for each in ahead] == [
        "2030-01-01T02:30:00+01:00",
        "2030-01-02T02:30:00+01:00",
    ]
    assert [each.blackout for each in ahead] == [True, False]
    assert unkept == ahead
    assert utc[0].moment.isoformat() == "2030-01-01T01:00:00+00:00"


@virtual
async def test_a_run_that_waits_for_its_moment_is_told_until_it_has_begun() -> None:
    office = Office()
    stored = await office.schedule(rules=Rules(window=TURN), name="s")
    assert stored.next_due is not None
    assert stored.next_moment is not None
    async with office.lab.coordinator() as coordinator:
        await anyio.sleep((stored.next_due - ANCHOR).total_seconds() + 0.5)
        waiting = await coordinator.preview_schedule("s", count=1)
        await coordinator.pause_schedule("s", reason="audit")
        paused = await coordinator.preview_schedule("s", count=1)

    assert waiting[0].moment == stored.next_moment > at(600.5)
    assert paused[0].due == ANCHOR + 2 * TURN


@virtual
async def test_nothing_is_told_ahead_of_what_waits_to_hear_or_is_over() -> None:
    office = Office()
    await office.schedule(OnEvent(event="deployed"), name="event")
    await office.schedule(At(moment=at(10)), name="once")
    async with office.lab.coordinator() as coordinator, office.at_work():
        before = await coordinator.preview_schedule("once")
        await anyio.sleep(11)

        assert [each.due for each in before] == [at(10)]
        assert await coordinator.preview_schedule("once") == []
        assert await coordinator.preview_schedule("event") == []


@virtual
async def test_a_pause_is_kept_with_its_reason_and_taken_back() -> None:
    office = Office()
    await office.schedule()
    await office.schedule(At(moment=at(100)), name="once")
    async with office.lab.coordinator() as coordinator:
        for name in ("s", "once"):
            await coordinator.pause_schedule(name, reason="audit")
        await anyio.sleep(700)
        await coordinator.pause_schedule("s", reason="a longer audit")
        paused = await coordinator.schedule("s")
        for name in ("s", "once", "s"):
            await coordinator.resume_schedule(name)
        resumed = await coordinator.schedule("s")
        missed = await coordinator.schedule("once")
        await anyio.sleep(1)
        await coordinator.pause_schedule("once", reason="again")
        await coordinator.resume_schedule("once")
        still = await coordinator.schedule("once")

    assert (paused.paused_at, paused.paused_because) == (at(0), "a longer audit")
    assert (resumed.paused_at, resumed.paused_because) == (None, "")
    assert resumed.next_due == at(1200)
    assert missed.over_at == still.over_at is not None


@virtual
async def test_a_schedule_is_deleted_and_its_executions_are_not() -> None:
    office = Office()
    await office.schedule(At(moment=at(10)), name="once")
    async with office.lab.coordinator() as coordinator:
        async with office.at_work():
            await anyio.sleep(11)
        await coordinator.delete_schedule("once")

        assert len(await coordinator.list_executions()) == 1
        with pytest.raises(NotFoundError, match="no schedule"):
            await coordinator.schedule("once")


@virtual
async def test_a_run_by_hand_is_begun_whatever_the_time_unless_one_is_under_way() -> None:
    office = Office()
    night = Blackout(begins=Cron(expression="0 0 * * *"), length=timedelta(hours=23))
    rules = Rules(blackouts=(night,), max_runs=1)
    await office.schedule(HOURLY, rules)
    async with office.lab.coordinator() as coordinator, office.at_work():
        await coordinator.pause_schedule("s", reason="audit")
        await anyio.sleep(1)
        first = await coordinator.trigger_schedule("s", by="ann")
        await anyio.sleep(1)
        second = await coordinator.trigger_schedule("s")
        told = await coordinator.schedule_history("s")
        before = await coordinator.schedule_history("s", limit=5, before=second.due)
        kept = await coordinator.schedule("s")

    assert first.state is FiringState.DUE
    assert first.cause.startswith("by hand of ann, ")
    assert (second.state, second.why) == (
        FiringState.SKIPPED,
        "an execution of the schedule was under way",
    )
    assert second.cause.startswith("by hand of somebody, ")
    assert [each.state for each in told] == [FiringState.SKIPPED, FiringState.STARTED]
    assert [each.execution for each in before] == [first.execution]
    assert (kept.runs, kept.over_at) == (0, None)


@virtual
async def test_an_event_is_posted_with_its_data() -> None:
    office = Office()
    await office.schedule(
        OnEvent(event="deployed", match="event.data.took == '5s' && event.data.of.shop[1] == 'b'")
    )
    data: dict[str, Value] = {"took": timedelta(seconds=5), "of": {"shop": ("a", "b")}}
    async with office.lab.coordinator() as coordinator, office.at_work():
        await coordinator.post_event("deployed", data)
        await coordinator.post_event("deployed")
        await anyio.sleep(1)
        with pytest.raises(InvalidScheduleError, match="the event is 'two words'"):
            await coordinator.post_event("two words")
        with pytest.raises(EventTooLargeError, match="has 70012 bytes as JSON"):
            await coordinator.post_event("big", {"text": "x" * 70_000})

    assert len(await office.firings()) == 1


@virtual
async def test_what_is_due_runs_to_its_end_on_a_coordinator_that_keeps_the_schedules() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator, anyio.create_task_group() as group:
        scenario = await coordinator.create_scenario(TEXT)
        once = Schedule(trigger=At(moment=at(5)), rules=Rules(overlap=Overlap.REPLACE))
        await coordinator.schedule_scenario(scenario, once, name="once", seed=1)
        group.start_soon(coordinator.run_schedules)
        await anyio.sleep(6)
        (firing,) = await coordinator.schedule_history("once")
        assert firing.execution is not None
        record = await coordinator.execution_record(firing.execution)
        group.cancel_scope.cancel()

    assert (record.status, record.detached) == (Status.PENDING, True)
    assert record.requested_by == "schedule once"
    assert (firing.state, firing.verdict) == (FiringState.STARTED, None)
