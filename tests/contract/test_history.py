"""What is read of many logs at once, and of how long things took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from contract.conftest import Stores
from support.stores_story import START, Story, new_record, new_scenario
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.history import PAST_MAX
from test_coordination.domain.events import (
    Entry,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    Outcome,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.domain.verdicts import Verdict

A, B, C = map(StepId, "abc")
DAY = timedelta(days=1)


async def kept(stores: Stores, scenario: StoredScenario) -> Story:
    """Return an execution that is kept, and of which nothing has been written."""
    record = new_record(scenario)
    await stores.log.create(record)
    return Story(record)


async def append(stores: Stores, story: Story, entries: Sequence[Entry]) -> None:
    await stores.log.append(entries, leading_to=story.state, epoch=1)


def after(second: float) -> datetime:
    return START + timedelta(seconds=second)


async def ran(
    stores: Stores, scenario: StoredScenario, *, day: int = 0, events: Sequence[tuple[float, Event]]
) -> ExecutionId:
    """Keep an execution that began on that day, in which this happened at these seconds."""
    record = new_record(scenario)
    await stores.log.create(record)
    state, entries = Execution(id=record.id), list[Entry]()
    for second, event in [(0.0, ExecutionStarted(worker=record.worker)), *events]:
        at = after(second) + day * DAY
        entries.append(Entry(position=state.position + 1, at=at, event=event))
        state = state.apply(entries[-1])
    await stores.log.append(entries, leading_to=state, epoch=1)
    return record.id


def step(name: StepId, begin: float, end: float) -> list[tuple[float, Event]]:
    return [(begin, StepStarted(step=name)), (end, StepEnded(step=name, outcome=Outcome.DONE))]


def end(second: float) -> tuple[float, Event]:
    return second, ExecutionEnded(verdict=Verdict.HELD, reason="so it is")


async def test_news_are_what_is_past_a_position_of_each_log(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    one, two, three = [await kept(stores, scenario) for _ in range(3)]
    await append(stores, one, [*one.begin(), *one.fault()])
    await append(stores, two, two.begin())
    await append(stores, three, three.begin())
    wanted = {one.record.id: 1, two.record.id: 0, three.record.id: 1}

    found = await stores.log.news(wanted, limit=10)

    assert dict(found) == {one.record.id: one.entries[1:], two.record.id: two.entries}


async def test_of_each_log_a_page_is_read_at_most(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    one, two = [await kept(stores, scenario) for _ in range(2)]
    for story in (one, two):
        await append(stores, story, [*story.begin(), *story.fault(), *story.revert()])

    found = await stores.log.news({one.record.id: 0, two.record.id: 3}, limit=2)

    assert dict(found) == {one.record.id: one.entries[:2], two.record.id: two.entries[3:]}
    assert not await stores.log.news({}, limit=2)


async def test_how_long_a_step_took_is_known_of_all_times_that_it_was_done(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    again = StepRetried(step=B, attempt=1, error="no", code="x")
    failed = StepEnded(step=C, outcome=Outcome.FAILED, error="no")
    skipped = StepEnded(step=A, outcome=Outcome.SKIPPED)
    b = step(B, 4, 10)
    await ran(stores, scenario, events=[*step(A, 1, 3.5), b[0], (5, again), b[1], end(11)])
    await ran(stores, scenario, day=1, events=[*step(B, 1, 2), (2, skipped), end(3)])
    await ran(stores, scenario, day=2, events=[(1, StepStarted(step=C)), (2, failed), end(3)])

    found = await stores.log.durations(scenario.name, before=START + 9 * DAY)

    assert {name: sorted(took) for name, took in found.items()} == {
        A: [timedelta(seconds=2.5)],
        B: [timedelta(seconds=1), timedelta(seconds=6)],
    }


async def test_only_what_had_ended_by_then_counts_and_only_of_that_scenario(
    stores: Stores,
) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    other = await stores.scenarios.store(new_scenario())
    await ran(stores, other, events=[*step(A, 1, 100), end(101)])
    await ran(stores, scenario, events=step(A, 1, 50))
    for day in range(PAST_MAX + 3):
        await ran(stores, scenario, day=day, events=[*step(A, 1, 2 + day), end(50)])
    by_then = after(50) + PAST_MAX * DAY

    found = await stores.log.durations(scenario.name, before=by_then)
    early = await stores.log.durations(scenario.name, before=after(50))
    nothing = await stores.log.durations(scenario.name, before=after(49))

    assert sorted(found[A]) == [timedelta(seconds=day + 1) for day in range(1, PAST_MAX + 1)]
    assert list(early[A]) == [timedelta(seconds=1)]
    assert not nothing
