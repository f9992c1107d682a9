from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial
from itertools import chain

import anyio
import pytest

from contract.conftest import Stores
from support.stores_story import NEW, START, Story, new_record, new_scenario
from test_coordination.application.fleet import NOBODY
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.domain.events import Entry, Noted, StepEnded
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import PLAN_FORMATS
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.domain.verdicts import Verdict


@pytest.fixture
async def story(stores: Stores) -> Story:
    """An execution that is kept, and of which nothing has been written."""
    record = new_record(await stores.scenarios.store(new_scenario()))
    await stores.log.create(record)
    return Story(record)


async def append(stores: Stores, story: Story, entries: Sequence[Entry]) -> None:
    await stores.log.append(entries, leading_to=story.state, epoch=1)


async def test_a_new_execution_is_pending_and_its_log_is_empty(
    stores: Stores, story: Story
) -> None:
    assert await stores.log.get(story.record.id) == story.record
    assert await stores.log.read(story.record.id) == []


async def test_creating_again_changes_nothing(stores: Stores, story: Story) -> None:
    await append(stores, story, story.begin())

    await stores.log.create(story.record)

    assert (await stores.log.get(story.record.id)).end == 1


async def test_an_execution_of_a_scenario_that_is_not_stored_is_refused(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="no definition"):
        await stores.log.create(new_record(new_scenario()))


async def test_what_was_appended_is_read_back_in_order(stores: Stores, story: Story) -> None:
    await append(stores, story, story.begin())
    await append(stores, story, story.fault())
    await append(stores, story, [*story.revert(), *story.end()])

    read = await stores.log.read(story.record.id)

    assert read == story.entries
    assert Execution.of(story.record.id, read) == story.state
    assert all(entry.at.tzinfo is not None and entry.at.utcoffset() is not None for entry in read)


async def test_reading_past_a_position_leaves_out_what_is_before(
    stores: Stores, story: Story
) -> None:
    await append(stores, story, [*story.begin(), *story.fault()])

    assert await stores.log.read(story.record.id, after=1) == story.entries[1:]
    assert await stores.log.read(story.record.id, after=3) == []


async def test_the_record_keeps_step_with_the_log(stores: Stores, story: Story) -> None:
    await append(stores, story, [*story.begin(), *story.fault()])
    during = await stores.log.get(story.record.id)
    await append(stores, story, [*story.revert(), *story.end(Verdict.BROKEN)])
    after = await stores.log.get(story.record.id)

    began, ended = story.entries[0].at, story.entries[-1].at
    assert during == replace(
        story.record, status=Status.RUNNING, started_at=began, end=3, outstanding=1
    )
    assert after == replace(
        story.record,
        status=Status.FINISHED,
        verdict=Verdict.BROKEN,
        started_at=began,
        ended_at=ended,
        end=5,
    )
    assert after.started_at is not None
    assert after.started_at.utcoffset() == UTC.utcoffset(START)


async def test_a_writer_that_fell_behind_is_told_to_reload_and_writes_nothing(
    stores: Stores, story: Story
) -> None:
    behind = Story(story.record)
    await append(stores, story, story.begin())

    with pytest.raises(LogConflictError) as refused:
        await append(stores, behind, [*behind.begin(), *behind.fault()])

    assert refused.value.expected == 0
    assert refused.value.execution == story.record.id
    assert await stores.log.read(story.record.id) == story.entries
    assert (await stores.log.get(story.record.id)).outstanding == 0


async def test_an_append_that_landed_conflicts_when_it_is_repeated(
    stores: Stores, story: Story
) -> None:
    entries = story.begin()
    await append(stores, story, entries)

    with pytest.raises(LogConflictError):
        await append(stores, story, entries)

    assert await stores.log.read(story.record.id) == entries


async def test_a_writer_that_is_ahead_leaves_no_gap(stores: Stores, story: Story) -> None:
    story.begin()

    with pytest.raises(LogConflictError):
        await append(stores, story, story.fault())

    assert await stores.log.read(story.record.id) == []


async def test_appending_to_an_unknown_execution_conflicts(stores: Stores) -> None:
    story = Story(new_record(new_scenario()))

    with pytest.raises(LogConflictError):
        await append(stores, story, story.begin())


async def test_appending_nothing_does_nothing(stores: Stores, story: Story) -> None:
    await append(stores, story, [])

    assert (await stores.log.get(story.record.id)).end == 0


async def test_of_writers_who_start_together_one_wins(stores: Stores, story: Story) -> None:
    outcomes: list[Sequence[Entry] | None] = []

    async def write(number: int) -> None:
        mine = Story(story.record)
        entries = [*mine.begin(), *mine.tell(Noted(text=f"writer {number}"))]
        try:
            await append(stores, mine, entries)
        except LogConflictError:
            outcomes.append(None)
        else:
            outcomes.append(entries)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(write, number)

    (won,) = filter(None, outcomes)
    assert len(outcomes) == 10
    assert await stores.log.read(story.record.id) == won


async def test_appends_of_one_execution_that_are_not_waited_for_land_in_order(
    stores: Stores, story: Story
) -> None:
    async with anyio.create_task_group() as group:
        for entries in chain([story.begin()], story.notes(30)):
            group.start_soon(partial(stores.log.append, entries, leading_to=story.state, epoch=1))

    assert await stores.log.read(story.record.id) == story.entries


async def test_what_no_database_can_keep_is_replaced(stores: Stores, story: Story) -> None:
    step = story.record.plan.steps[0].id
    dirty = StepEnded(step=step, outcome="failed", error="a\0b", facts={"out\0": ["\ud83d"]})  # type: ignore[arg-type]  # as JSON has it
    await append(stores, story, [*story.begin(), *story.tell(dirty)])

    event = (await stores.log.read(story.record.id))[1].event

    assert isinstance(event, StepEnded)
    assert event.error == "a\N{REPLACEMENT CHARACTER}b"
    assert event.facts == {"out\N{REPLACEMENT CHARACTER}": ["\N{REPLACEMENT CHARACTER}"]}


async def test_the_newest_executions_come_first_and_page_by_page(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    made = [new_record(scenario) for _ in range(5)]
    for record in made:
        await stores.log.create(record)

    first = await stores.log.recent(limit=2)
    rest = await stores.log.recent(limit=3, before=first[-1].id)

    assert [*first, *rest] == made[::-1]


async def test_the_executions_of_one_run_of_a_suite_are_told_apart(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    suite = f"nightly/{NEW.new()}"
    inside = [replace(new_record(scenario), suite=suite) for _ in range(3)]
    for record in [*inside, new_record(scenario), replace(new_record(scenario), suite="other/1")]:
        await stores.log.create(record)

    assert await stores.log.recent(limit=9, suite=suite) == inside[::-1]
    assert await stores.log.recent(limit=9, suite=suite, before=inside[1].id) == inside[:1]
    assert await stores.log.recent(limit=1, suite=suite) == inside[2:]


async def test_an_execution_that_is_a_step_of_another_names_it(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    parent = new_record(scenario)
    child = replace(new_record(scenario), parent=parent.id)

    for record in (parent, child):
        await stores.log.create(record)

    assert (await stores.log.get(child.id)).parent == parent.id
    assert (await stores.log.get(parent.id)).parent is None


async def test_the_latest_execution_of_a_scenario_is_the_one_that_was_the_last_to_end(
    stores: Stores,
) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    changed = await stores.scenarios.store(new_scenario(scenario.name, "another"))
    short, long, other, running = (
        Story(new_record(each)) for each in (scenario, scenario, changed, scenario)
    )
    for story in (long, short, other, running):
        await stores.log.create(story.record)
        await append(stores, story, story.begin())
    assert await stores.log.latest(scenario.name) is None

    for told in long.notes(3):
        await append(stores, long, told)
    for story in (short, long):
        await append(stores, story, story.end())

    found = await stores.log.latest(scenario.name)
    assert found == await stores.log.get(long.record.id)
    assert await stores.log.latest(scenario.name, version=2) is None
    for told in other.notes(4):
        await append(stores, other, told)
    await append(stores, other, other.end(Verdict.BROKEN))
    newer = await stores.log.latest(scenario.name)
    assert newer is not None
    assert (newer.id, newer.verdict) == (other.record.id, Verdict.BROKEN)
    assert await stores.log.latest(scenario.name, version=2) == newer
    assert await stores.log.latest(scenario.name, version=1) == found
    assert await stores.log.latest("nobody-has-this-name") is None


async def test_only_what_is_running_or_has_faults_is_unsettled(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    stories = [Story(new_record(scenario)) for _ in range(4)]
    for story in stories:
        await stores.log.create(story.record)
    _, running, residue, settled = stories
    await append(stores, running, running.begin())
    await append(stores, residue, [*residue.begin(), *residue.fault(), *residue.end()])
    await append(stores, settled, [*settled.begin(), *settled.end()])

    found = await stores.log.unsettled()

    ours = {story.record.id for story in stories}
    assert [r.id for r in found if r.id in ours] == [story.record.id for story in stories[:3]]


async def test_the_steps_of_an_execution_are_found_by_it_oldest_first(stores: Stores) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    parent, other = new_record(scenario), new_record(scenario)
    steps = [
        replace(new_record(scenario), parent=parent.id, parent_step=StepId(name))
        for name in ("b", "a", "b")
    ]
    for record in (parent, other, *steps):
        await stores.log.create(record)

    found = await stores.log.children(parent.id)

    assert [(record.id, record.parent_step) for record in found] == [
        (record.id, record.parent_step) for record in steps
    ]
    assert await stores.log.children(other.id) == []


async def test_a_step_that_has_no_worker_is_an_orphan_once_what_it_is_a_step_of_has_ended(
    stores: Stores,
) -> None:
    scenario = await stores.scenarios.store(new_scenario())
    above, others = Story(new_record(scenario)), Story(new_record(scenario))
    left = replace(new_record(scenario), parent=above.record.id, worker=NOBODY)
    step = Story(replace(left, id=new_record(scenario).id))
    held = replace(new_record(scenario), parent=above.record.id)
    early = replace(left, id=new_record(scenario).id, parent=others.record.id)
    alone = replace(new_record(scenario), worker=NOBODY)
    for record in (above.record, others.record, left, step.record, held, early, alone):
        await stores.log.create(record)
    await append(stores, step, [*step.begin(), *step.end()])
    before = await stores.log.orphans()
    await append(stores, above, [*above.begin(), *above.end()])

    after = await stores.log.orphans()

    assert left.id not in {record.id for record in before}
    ours = {each.id for each in (left, step.record, held, early, alone)}
    assert [record.id for record in after if record.id in ours] == [left.id]


async def test_what_a_later_program_began_is_left_to_later_programs(stores: Stores) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    later = replace(record, plan=replace(record.plan, format=max(PLAN_FORMATS) + 1))
    await stores.log.create(later)

    assert later.id not in [found.id for found in await stores.log.unsettled()]


async def test_an_unknown_execution_is_not_found_and_has_no_log(stores: Stores) -> None:
    unknown = ExecutionId(new_record(new_scenario()).id)

    with pytest.raises(NotFoundError, match="no execution"):
        await stores.log.get(unknown)
    assert await stores.log.read(unknown) == []
