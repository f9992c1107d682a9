"""The scheduler: what is due is begun, once, whatever comes between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from support.engine_stores import gone
from support.schedules_office import TEXT, TURN, Office
from support.stores_story import new_scenario
from support.virtual_time import at, virtual
from test_coordination.adapters.memory import schedules as in_memory
from test_coordination.application.scheduler import Pace
from test_coordination.application.schedules import Schedules
from test_coordination.application.timetable import FiringState
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.schedule import (
    At,
    Blackout,
    Cron,
    Keeping,
    Misfire,
    MisfirePolicy,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
)
from test_coordination.domain.verdicts import Verdict

ALL = Rules(overlap=Overlap.ALLOW)


async def passes(turns: float) -> None:
    """Let so much time pass; at the end of each turn the usual schedule is due."""
    await anyio.sleep(turns * TURN.total_seconds())


@virtual
async def test_what_is_due_is_begun_as_it_was_ordered() -> None:
    office = Office()
    rules = Rules(priority=4, labels=frozenset({"zone=eu"}))
    await office.schedule(rules=rules, parameters={"outage": timedelta(seconds=90)})

    async with office.at_work():
        await passes(1.01)

    ((stored, given, order),) = office.begun
    (firing,) = await office.firings()
    assert (stored.name, given) == ("story", {"outage": "1m30s"})
    assert (order.id, order.requested_by) == (firing.execution, "schedule s")
    assert (order.detached, order.priority, order.requires) == (True, 4, frozenset({"zone=eu"}))
    assert firing.state is FiringState.STARTED


@virtual
async def test_it_begins_within_half_a_second_of_its_time() -> None:
    office = Office()
    await office.schedule(At(moment=at(100.3)))

    async with office.at_work():
        await anyio.sleep(100.3 + 0.51)

    assert len(office.begun) == 1


@virtual
async def test_several_at_work_begin_each_once() -> None:
    office = Office()
    for number in range(50):
        await office.schedule(name=f"s{number}")

    async with office.at_work(4):
        await passes(4.1)

    assert len(office.begun) == 200
    assert len({order.id for _, _, order in office.begun}) == 200


@virtual
async def test_the_newest_version_runs_or_always_the_same_one() -> None:
    office = Office()
    await office.schedule(name="newest")
    await office.schedule(name="first", newest=False)
    await office.lab.scenarios.store(new_scenario("story", TEXT + "\ntitle: other"))

    async with office.at_work():
        await passes(1.1)

    versions = {order.requested_by: stored.version for stored, _, order in office.begun}
    assert versions == {"schedule newest": 2, "schedule first": 1}


@virtual
async def test_what_cannot_be_begun_is_told_with_why_and_the_next_one_is_tried() -> None:
    office = Office()
    await office.schedule()
    office.troubles.append(NoTopologyError(doing="planning"))

    async with office.at_work():
        await passes(2.1)

    failed, begun = await office.firings()
    assert failed.state is FiringState.FAILED
    assert failed.why.startswith("planning needs a topology")
    assert failed.why.endswith("[topology.missing]")
    assert begun.state is FiringState.STARTED


@virtual
async def test_what_breaks_one_run_leaves_the_others_alone() -> None:
    office = Office()
    await office.schedule(name="broken")
    await office.schedule(name="sound")
    office.troubles.append(ZeroDivisionError("by nothing"))

    async with office.at_work():
        await passes(1.1)

    (broken,), (sound,) = await office.firings("broken"), await office.firings("sound")
    assert (broken.state, broken.why) == (
        FiringState.FAILED,
        "a bug of ours: ZeroDivisionError: by nothing",
    )
    assert sound.state is FiringState.STARTED


@virtual
async def test_what_cannot_be_decided_rests_and_keeps_nobody_waiting() -> None:
    office = Office()
    mars = Cron(expression="* * * * *", zone="Mars")
    timed = await office.schedule(name="timed")
    heard = await office.schedule(OnEvent(event="e"), Rules(), name="heard")
    for each in (timed, heard):
        rules = Rules(blackouts=(Blackout(begins=mars, length=TURN),))
        trigger = mars if each is timed else each.schedule.trigger
        await office.lab.timetable.delete(each.name)
        schedule = Schedule(trigger=trigger, rules=rules)
        await office.lab.timetable.add(replace(each, schedule=schedule))
    await office.schedule(name="sound")
    await Schedules(world=office.lab.world()).post("e", {})

    async with office.at_work():
        await passes(1.05)
        resting = await office.lab.timetable.get("timed")
        await passes(1)

    (left_out,) = await office.firings("heard")
    assert left_out.why.startswith("it could not be decided: the zone is 'Mars'")
    assert resting.next_due == timed.next_due
    assert resting.next_moment is not None
    assert at(600) < resting.next_moment < at(700)
    assert await office.firings("timed") == []
    assert await office.states("sound") == [FiringState.STARTED] * 2


@virtual
async def test_what_a_store_kept_from_beginning_is_begun_later_as_the_same_execution() -> None:
    office = Office()
    await office.schedule()
    office.troubles.extend([gone(), gone()])

    async with office.at_work():
        await passes(1.0)
        await anyio.sleep(25)

    (firing,) = await office.firings()
    assert [order.id for _, _, order in office.begun] == [firing.execution]


@virtual
async def test_a_store_that_goes_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    await office.schedule()

    async def away(_: str) -> bool:
        raise gone()

    async with office.at_work():
        with monkeypatch.context() as patched:
            patched.setattr(office.lab.timetable, "stirs", away)
            await passes(1.5)
        await anyio.sleep(1)

    assert await office.states() == [FiringState.STARTED]


@virtual
async def test_while_one_is_under_way_the_next_is_left_out() -> None:
    office = Office()
    await office.schedule(rules=Rules())

    async with office.at_work():
        await passes(2.1)
        await office.end(office.begun[0][2].id or office.stopped[0])
        await passes(1)

    states = await office.states()
    assert states == [FiringState.ENDED, FiringState.SKIPPED, FiringState.STARTED]


@virtual
async def test_who_replaces_stops_what_runs_and_begins_when_that_has_ended() -> None:
    office = Office()
    await office.schedule(rules=Rules(overlap=Overlap.REPLACE))

    async with office.at_work():
        await passes(2.01)
        (first, second) = [each.execution for each in await office.firings()]
        assert first is not None
        waiting = (await office.firings())[1]
        begun = len(office.begun)
        await office.end(first, Verdict.STOPPED)
        await anyio.sleep(1.1)

    assert (waiting.state, waiting.why) == (
        FiringState.DUE,
        "it waits for what it replaces to end",
    )
    assert begun == 1
    assert set(office.stopped) == {first}
    assert [order.id for _, _, order in office.begun] == [first, second]


@virtual
async def test_who_cannot_be_stopped_at_once_is_told_again_now_and_then() -> None:
    office = Office()
    await office.schedule(rules=Rules(overlap=Overlap.REPLACE))
    office.deaf = 2

    async with office.at_work():
        await passes(2)
        await anyio.sleep(25)

    assert len(office.stopped) == 3
    assert await office.states() == [FiringState.STARTED, FiringState.DUE]


@virtual
async def test_of_those_that_wait_to_replace_the_newest_does() -> None:
    office = Office()
    await office.schedule(rules=Rules(overlap=Overlap.REPLACE))

    async with office.at_work():
        await passes(3.01)
        first = office.begun[0][2].id
        assert first is not None
        await office.end(first)
        await anyio.sleep(1.1)

    firings = await office.firings()
    assert [each.state for each in firings] == [
        FiringState.ENDED,
        FiringState.SKIPPED,
        FiringState.STARTED,
    ]
    assert firings[1].why == "a later run took its place"


@virtual
async def test_what_was_begun_is_noted_even_if_it_was_to_be_replaced_by_then() -> None:
    office = Office()
    await office.schedule(rules=Rules(overlap=Overlap.REPLACE))
    scheduler = office.scheduler()
    await passes(1)
    settle = office.lab.timetable.settle

    async def lost(*_: object, **__: object) -> None:
        raise gone()

    office.lab.timetable.settle = lost  # type: ignore[method-assign]
    await scheduler.turn()
    office.lab.timetable.settle = settle  # type: ignore[method-assign]
    await passes(1)
    await scheduler.turn()
    await scheduler.turn()

    first, second = await office.firings()
    assert first.state is FiringState.STARTED
    assert (second.state, office.stopped) == (FiringState.DUE, [first.execution])


@pytest.mark.parametrize(
    ("rules", "state", "why"),
    [
        (
            Rules(misfire=Misfire(policy=MisfirePolicy.SKIP)),
            FiringState.SKIPPED,
            "no scheduler began it for 1200 s",
        ),
        (Rules(), FiringState.STARTED, ""),
        (
            Rules(
                blackouts=(
                    Blackout(begins=Cron(expression="20 * * * *"), length=timedelta(minutes=30)),
                )
            ),
            FiringState.SKIPPED,
            "nothing may begin now",
        ),
    ],
)
@virtual
async def test_what_nobody_began_for_long_is_as_if_it_had_been_missed(
    rules: Rules, state: FiringState, why: str
) -> None:
    office = Office()
    await office.schedule(At(moment=at(600)), rules)
    scheduler = office.scheduler(Pace(taken=0))
    await passes(1)
    await scheduler.turn()
    await anyio.sleep(1200)

    await office.scheduler().turn()

    (firing,) = await office.firings()
    assert (firing.state, firing.why) == (state, why)


@virtual
async def test_a_pause_leaves_out_what_would_have_been_and_the_end_is_the_end() -> None:
    office = Office()
    await office.schedule(rules=replace(ALL, max_runs=2))
    schedules = Schedules(world=office.lab.world())

    async with office.at_work():
        await schedules.pause("s", because="audit")
        await passes(3.5)
        await schedules.resume("s")
        await passes(4)

    dues = [each.due for each in await office.firings()]
    assert dues == [at(4 * 600), at(5 * 600)]
    assert (await office.lab.timetable.get("s")).over_at is not None


@virtual
async def test_what_was_long_ago_is_forgotten_while_it_is_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Keeping(firings=2, least=timedelta(minutes=5), most=timedelta(days=90))
    monkeypatch.setattr(in_memory, "KEPT", kept)
    office = Office()
    await office.schedule(rules=Rules())

    async with office.at_work():
        await passes(8.5)

    known = [(each.due, each.state) for each in await office.firings()]
    assert known == [
        (at(1 * 600), FiringState.STARTED),
        (at(7 * 600), FiringState.SKIPPED),
        (at(8 * 600), FiringState.SKIPPED),
    ]
