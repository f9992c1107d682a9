"""What a scheduler hears and sees of the world, and what runs because of it."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from support.engine_stores import gone
from support.schedules_office import EACH_TURN, TURN, Office, sighting
from support.virtual_time import at, virtual
from test_coordination.adapters.redis.events import AbsentEvents
from test_coordination.application.hearing import Ears, Matching
from test_coordination.application.schedules import Schedules
from test_coordination.application.timetable import FiringState, Inbox, Occurrence
from test_coordination.domain.schedule import (
    AfterExecution,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
)
from test_coordination.domain.values import ServiceName
from test_coordination.domain.verdicts import Verdict

ALL = Rules(overlap=Overlap.ALLOW)


async def passes(turns: float) -> None:
    """Let so much time pass; at the end of each turn the usual schedule is due."""
    await anyio.sleep(turns * TURN.total_seconds())


@virtual
async def test_what_ends_makes_what_waits_for_it_run_if_it_ended_so() -> None:
    office = Office()
    await office.schedule(name="first")
    on_break = AfterExecution(scenario="story", verdicts=frozenset({Verdict.BROKEN}))
    await office.schedule(on_break, name="broken")
    await office.schedule(AfterExecution(scenario="story"), replace(ALL, max_runs=2), name="any")

    async with office.at_work(2):
        await passes(2.01)
        for (_, _, order), verdict in zip(
            office.begun[:2], (Verdict.HELD, Verdict.BROKEN), strict=True
        ):
            assert order.id is not None
            await office.end(order.id, verdict)
        await anyio.sleep(2)

    assert len(await office.firings("any")) == 2
    (broken,) = await office.firings("broken")
    assert broken.cause == f"execution {office.begun[1][2].id}"


@virtual
async def test_an_event_makes_those_run_that_it_matches() -> None:
    office = Office()
    conditions = {
        "every": "",
        "two": "event.data.version == '2'",
        "named": "event.name == 'deployed' && event.at > timestamp('2030-01-01T00:00:00Z')",
        "missing": "event.data.nothing == 1",
        "failing": "1 / int(event.data.zero) == 1",
    }
    for name, match in conditions.items():
        await office.schedule(OnEvent(event="deployed", match=match), name=name)
    await office.schedule(OnEvent(event="other"), name="other")
    schedules = Schedules(world=office.lab.world())

    async with office.at_work(2):
        await anyio.sleep(1)
        await schedules.post("deployed", {"version": "1", "zero": 0})
        await schedules.post("deployed", {"version": "2", "zero": 0})
        await anyio.sleep(1)

    counted = {name: len(await office.firings(name)) for name in (*conditions, "other")}
    assert counted == {"every": 2, "two": 1, "named": 2, "missing": 0, "failing": 0, "other": 0}
    assert len(office.begun) == 5


@virtual
async def test_a_stream_is_read_once_by_whoever_is_first() -> None:
    office = Office()
    await office.schedule(OnEvent(event="deployed"))

    async with office.at_work(3):
        for number in range(250):
            office.lab.events.write("deployed", {"n": number}, at=at(0))
        office.lab.events.write("no event at all")
        office.lab.events.write("deployed", at=at(10**6))
        await anyio.sleep(3)
        office.lab.events.write("deployed")
        await anyio.sleep(2)

    firings = await office.firings()
    assert len(firings) == len({each.cause for each in firings}) == 252
    assert max(each.due for each in firings) < at(5)
    assert await office.lab.inbox.position("memory") == "253"


@virtual
async def test_what_was_read_and_not_kept_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    await office.schedule(OnEvent(event="deployed"))
    receive, tries = office.lab.inbox.receive, 0

    async def flaky(*args: object, **kwargs: object) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise gone()
        kept = await receive(*args, **kwargs)  # type: ignore[arg-type]
        if tries == 2:
            raise gone()
        return kept

    monkeypatch.setattr(office.lab.inbox, "receive", flaky)
    async with office.at_work():
        office.lab.events.write("deployed")
        await anyio.sleep(3)

    assert len(await office.firings()) == 1
    assert tries == 2, "the second time it was kept, though that was not told"


@virtual
async def test_a_service_that_runs_as_another_process_makes_those_run_that_watch_it() -> None:
    office = Office()
    shop = ServiceName("shop")
    await office.schedule(OnChange(service=shop), name="changed")
    await office.schedule(OnChange(service=shop, deployed=True), name="deployed")
    office.lab.watch.seen[shop] = sighting("shop", 0)

    async with office.at_work(2):
        await anyio.sleep(6)
        office.lab.watch.seen[shop] = sighting("shop", 6)
        await anyio.sleep(3)
        office.lab.watch.seen[shop] = sighting("shop", 9, build="b")
        await anyio.sleep(3)

    assert [each.due for each in await office.firings("changed")] == [at(6), at(9)]
    assert [each.due for each in await office.firings("deployed")] == [at(9)]


@virtual
async def test_a_change_that_its_own_execution_made_makes_nothing_run() -> None:
    office = Office()
    shop = ServiceName("shop")
    await office.schedule(OnChange(service=shop))
    office.lab.watch.seen[shop] = sighting("shop", 0)

    async with office.at_work():
        await anyio.sleep(6)
        office.lab.watch.seen[shop] = sighting("shop", 6)
        await anyio.sleep(3)
        office.lab.watch.seen[shop] = sighting("shop", 8)
        await office.end(office.begun[0][2].id or office.stopped[0])
        await anyio.sleep(3)

    assert await office.states() == [FiringState.ENDED, FiringState.SKIPPED]


@virtual
async def test_without_a_system_it_only_hears_for_others() -> None:
    office = Office()
    await office.schedule(EACH_TURN, name="timed")
    await office.schedule(OnEvent(event="deployed"))
    stranger = office.scheduler(system=False)
    office.lab.events.write("deployed")
    await passes(1)

    with anyio.move_on_after(5):
        await stranger.run()

    assert await office.states() == [FiringState.HEARD]
    assert await office.states("timed") == []
    assert not await stranger.turn()


@virtual
async def test_a_service_that_is_not_in_the_topology_is_not_looked_at() -> None:
    office = Office()
    stored = await office.schedule(OnChange(service="shop"))
    system = office.lab.world().topology(doing="testing")
    services = {name: each for name, each in system.services.items() if name != "shop"}
    world = office.lab.world(replace(system, services=services))
    office.lab.watch.seen[ServiceName("shop")] = sighting("shop", 0)
    seen: list[object] = []
    inbox: Inbox = office.lab.inbox

    async def see(name: str, sightings: object) -> None:
        seen.append((name, sightings))

    inbox.see = see  # type: ignore[method-assign,assignment]
    scheduler = type(office.scheduler())(world, begin=office.begin, stop=office.stop)
    with anyio.move_on_after(10):
        await scheduler.run()

    assert stored.system == "lab"
    assert seen == []


@virtual
async def test_where_there_is_no_stream_none_is_read() -> None:
    office = Office()
    await office.schedule(OnEvent(event="deployed"))
    office.lab.events.write("deployed")
    world = office.lab.world()
    timing = replace(world.timing, events=AbsentEvents())
    ears = Ears(timing=timing, topology=None)

    assert not await ears.read()
    assert await AbsentEvents().read(after="", limit=9) == []
    assert await office.lab.inbox.position("memory") == ""


@virtual
async def test_a_condition_that_is_not_understood_takes_nothing() -> None:
    office = Office()
    stored = await office.schedule(OnEvent(event="e"))
    schedule = Schedule(trigger=OnEvent(event="e", match="event.soon()"))
    happened = Occurrence(topic="event/e", cause="c", at=at(0))
    matching = Matching(expressions=office.lab.world().expressions)

    assert matching.fits(stored, happened)
    assert not matching.fits(replace(stored, schedule=schedule), happened)


@virtual
async def test_what_goes_by_time_takes_nothing_that_happens() -> None:
    office = Office()
    timed = await office.schedule()
    happened = Occurrence(topic="event/e", cause="c", at=at(0))

    assert not Matching(expressions=office.lab.world().expressions).fits(timed, happened)
