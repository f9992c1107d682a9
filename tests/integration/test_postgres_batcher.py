"""The batcher alone, with a writer that does as it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import pytest

from support.stores_story import Story, new_record, new_scenario
from test_coordination.adapters.postgres import batcher
from test_coordination.adapters.postgres.batcher import Append, open_batcher
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.values import ExecutionId


def new_append(story: Story | None = None) -> Append:
    story = story or Story(new_record(new_scenario()))
    return Append(entries=story.begin(), leading_to=story.state, epoch=1)


@pytest.fixture
def one_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher, "HANDS", 1)


class Writer:
    """Writes when the gate is open, and remembers each batch."""

    def __init__(self) -> None:
        self.batches: list[list[ExecutionId]] = []
        self.gate = anyio.Event()
        self.begun = anyio.Event()
        self.refused = set[ExecutionId]()
        self.error: Exception | None = None
        self.poison: ExecutionId | None = None

    async def __call__(self, batch: Sequence[Append]) -> Mapping[ExecutionId, CoordinationError]:
        identities = [append.leading_to.id for append in batch]
        self.batches.append(identities)
        self.begun.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if self.poison in identities:
            message = "poison"
            raise ZeroDivisionError(message)
        appends = {append.leading_to.id: append for append in batch}
        return {each: appends[each].conflict() for each in self.refused & appends.keys()}


@pytest.mark.usefixtures("one_hand")
async def test_what_comes_while_a_batch_is_written_is_the_next_batch() -> None:
    writer = Writer()

    async with open_batcher(writer) as appends, anyio.create_task_group() as group:
        group.start_soon(appends.append, new_append())
        await writer.begun.wait()
        for _ in range(50):
            group.start_soon(appends.append, new_append())
        await anyio.wait_all_tasks_blocked()
        writer.gate.set()

    assert [len(batch) for batch in writer.batches] == [1, 50]


async def test_while_one_batch_waits_another_is_written_but_never_of_the_same_log() -> None:
    writer = Writer()
    story = Story(new_record(new_scenario()))
    first = new_append(story)
    second = Append(entries=story.fault(), leading_to=story.state, epoch=1)

    async with open_batcher(writer) as appends, anyio.create_task_group() as group:
        group.start_soon(appends.append, first)
        await writer.begun.wait()
        group.start_soon(appends.append, second)
        await anyio.wait_all_tasks_blocked()
        alone = len(writer.batches)
        group.start_soon(appends.append, new_append())
        await anyio.wait_all_tasks_blocked()
        writer.gate.set()

    assert alone == 1
    assert sum(map(len, writer.batches)) == 3


async def test_a_conflict_is_told_to_its_own_caller_only() -> None:
    writer = Writer()
    writer.gate.set()
    lost = new_append()
    writer.refused.add(lost.leading_to.id)

    async with open_batcher(writer) as appends:
        await appends.append(new_append())
        with pytest.raises(LogConflictError):
            await appends.append(lost)


@pytest.mark.usefixtures("one_hand")
async def test_one_caller_s_bug_does_not_fail_the_others() -> None:
    writer = Writer()
    bad = new_append()
    writer.poison = bad.leading_to.id
    failed = list[str]()

    async def append(one: Append) -> None:
        try:
            await appends.append(one)
        except ZeroDivisionError:
            failed.append(str(one.leading_to.id))

    async with open_batcher(writer) as appends, anyio.create_task_group() as group:
        group.start_soon(append, new_append())
        await writer.begun.wait()
        for one in (new_append(), bad, new_append()):
            group.start_soon(append, one)
        await anyio.wait_all_tasks_blocked()
        writer.gate.set()

    assert failed == [str(bad.leading_to.id)]
    assert [len(batch) for batch in writer.batches] == [1, 3, 1, 1, 1]


async def test_an_outage_is_told_to_everybody_and_work_goes_on_after_it() -> None:
    writer = Writer()
    writer.gate.set()
    writer.error = StoreUnavailableError(store="PostgreSQL", doing="appending")

    async with open_batcher(writer) as appends:
        with pytest.raises(StoreUnavailableError):
            await appends.append(new_append())
        writer.error = None
        await appends.append(new_append())


@pytest.mark.usefixtures("one_hand")
async def test_a_caller_that_is_cancelled_leaves_the_batch_undisturbed() -> None:
    writer = Writer()
    done = anyio.Event()

    async def append() -> None:
        await appends.append(new_append())
        done.set()

    async with open_batcher(writer) as appends, anyio.create_task_group() as group:
        with anyio.move_on_after(0.05):
            await appends.append(new_append())
        group.start_soon(append)
        await anyio.wait_all_tasks_blocked()
        writer.gate.set()
        with anyio.fail_after(5):
            await done.wait()

    assert len(writer.batches) == 2


async def test_what_was_accepted_is_written_before_the_end() -> None:
    writer = Writer()
    waiting = 0

    async def append() -> None:
        nonlocal waiting
        await appends.append(new_append())
        waiting += 1

    async with anyio.create_task_group() as group:  # noqa: SIM117  outlives the batcher
        async with open_batcher(writer) as appends:
            for _ in range(3):
                group.start_soon(append)
            await writer.begun.wait()
            await anyio.wait_all_tasks_blocked()
            writer.gate.set()

    assert waiting == 3


async def test_whoever_waits_at_the_end_is_told_that_the_outcome_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher, "DRAIN_S_MAX", 0.05)
    writer = Writer()
    told = list[StoreUnavailableError]()

    async def append() -> None:
        try:
            await appends.append(new_append())
        except StoreUnavailableError as error:
            told.append(error)

    async with anyio.create_task_group() as group:
        async with open_batcher(writer) as appends:
            for _ in range(5):
                group.start_soon(append)
            await writer.begun.wait()
            await anyio.wait_all_tasks_blocked()
        late = new_append()
        with pytest.raises(StoreUnavailableError):
            await appends.append(late)

    assert len(told) == 5


async def test_a_full_queue_makes_callers_wait_and_loses_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher, "QUEUE_MAX", 3)
    writer = Writer()

    async with open_batcher(writer) as appends, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(appends.append, new_append())
        await writer.begun.wait()
        writer.gate.set()

    assert sum(map(len, writer.batches)) == 20
    assert max(map(len, writer.batches)) <= 3


async def test_errors_of_the_body_come_out_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_batcher(Writer()):
            raise ZeroDivisionError
