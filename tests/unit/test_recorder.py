"""One pen an execution: what was written is written once, whatever the store says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest

from support.engine_fakes import NumberedIdentities
from support.engine_lab import Lab
from support.stores_story import new_record, new_scenario
from support.virtual_time import since, virtual
from test_coordination.application.engine.patience import STORE_PATIENCE, patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.ports import ExecutionRecord, LogConflictError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionStarted, Noted
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import WorkerId

PATIENCE_S = STORE_PATIENCE.total_seconds()


async def begun(lab: Lab) -> tuple[Recorder, ExecutionRecord]:
    """Return a recorder that has written one event."""
    record = new_record(new_scenario())
    await lab.log.create(record)
    recorder = another(lab, record)
    await recorder.record(ExecutionStarted(worker=record.worker))
    return recorder, record


def another(lab: Lab, record: ExecutionRecord) -> Recorder:
    return Recorder(lab.world().stores, record, Execution(id=record.id))


async def notes(lab: Lab, record: ExecutionRecord) -> list[str]:
    return [event.text for event in await lab.logged(record.id) if isinstance(event, Noted)]


@virtual
async def test_an_append_that_landed_unheard_is_not_written_twice() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    lab.log.mute = 1

    await recorder.record(Noted(text="a"), Noted(text="b"))
    await recorder.record(Noted(text="c"))

    assert await notes(lab, record) == ["a", "b", "c"]
    assert recorder.state == await lab.state(record.id)


@virtual
async def test_an_append_that_did_not_land_is_repeated_with_its_time() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    lab.log.away = True

    async with anyio.create_task_group() as group:
        group.start_soon(recorder.record, Noted(text="a"))
        await anyio.sleep(7)
        lab.log.away = False

    assert await notes(lab, record) == ["a"]
    assert since((await lab.log.read(record.id))[-1].at) == 0.0


@virtual
async def test_an_append_that_lands_after_it_was_looked_for_is_still_ours() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    late: list[Sequence[Entry]] = []

    async def cross(entries: Sequence[Entry]) -> None:
        if late:
            lab.log.before = None
            state = recorder.state
            for entry in late[0]:
                state = state.apply(entry)
            await super(type(lab.log), lab.log).append(late[0], leading_to=state, epoch=1)
            return
        late.append(entries)
        raise StoreUnavailableError(store="the store", doing="committing")

    lab.log.before = cross
    await recorder.record(Noted(text="a"))
    await recorder.record(Noted(text="b"))

    assert await notes(lab, record) == ["a", "b"]


@virtual
async def test_what_another_worker_wrote_meanwhile_is_a_conflict_for_good() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    other = another(lab, record)
    other.state = recorder.state
    await other.record(Noted(text="other"))

    for _ in range(2):
        with pytest.raises(LogConflictError):
            await recorder.record(Noted(text="mine"))

    assert await notes(lab, record) == ["other"]


@virtual
async def test_another_worker_s_entry_in_the_place_of_one_in_doubt_is_a_conflict() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    other = another(lab, record)
    other.state = recorder.state

    async def cross(_: Sequence[Entry]) -> None:
        lab.log.before = None
        await anyio.sleep(1)
        await other.record(Noted(text="other"))
        raise StoreUnavailableError(store="the store", doing="committing")

    lab.log.before = cross
    with pytest.raises(LogConflictError):
        await recorder.record(Noted(text="mine"))

    assert await notes(lab, record) == ["other"]


@virtual
async def test_another_worker_that_writes_between_look_and_repeat_is_a_conflict() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    other, tries = another(lab, record), 0
    other.state = recorder.state

    async def cross(entries: Sequence[Entry]) -> None:
        nonlocal tries
        event = entries[0].event
        if isinstance(event, Noted) and event.text == "mine":
            tries += 1
            if tries == 1:
                raise StoreUnavailableError(store="the store", doing="committing")
            await other.record(Noted(text="other"))

    lab.log.before = cross
    with pytest.raises(LogConflictError):
        await recorder.record(Noted(text="mine"))

    assert tries == 2
    assert await notes(lab, record) == ["other"]


@virtual
async def test_another_worker_that_was_given_it_and_has_not_written_yet_is_a_conflict() -> None:
    lab = Lab()
    recorder, record = await begun(lab)

    async def give_away(entries: Sequence[Entry]) -> None:
        del entries
        lab.log.before = None
        other = WorkerId(NumberedIdentities(90).new())
        await lab.workers.claim(record.id, by=other, epoch=record.epoch, from_living=True)
        raise StoreUnavailableError(store="the store", doing="committing")

    lab.log.before = give_away
    with pytest.raises(LogConflictError):
        await recorder.record(Noted(text="mine"))

    assert await notes(lab, record) == []


@virtual
async def test_a_store_is_waited_for_and_then_given_up_and_later_calls_hurry() -> None:
    lab = Lab()
    recorder, _ = await begun(lab)
    lab.log.away = True

    with pytest.raises(StoreUnavailableError):
        await recorder.record(Noted(text="a"))
    first = anyio.current_time()
    with pytest.raises(StoreUnavailableError):
        await recorder.record(Noted(text="b"))

    assert first == PATIENCE_S
    assert anyio.current_time() - first == pytest.approx(2.0)


@pytest.mark.parametrize("landed", [False, True])
def test_a_store_that_came_back_is_waited_for_as_long_as_before(*, landed: bool) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        recorder, record = await begun(lab)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await recorder.record(Noted(text="lost"))
        lab.log.away, lab.log.mute = False, int(landed)
        await recorder.record(Noted(text="kept"))
        lab.log.away, began = True, anyio.current_time()

        with pytest.raises(StoreUnavailableError):
            await recorder.record(Noted(text="late"))

        assert anyio.current_time() - began == pytest.approx(PATIENCE_S)
        assert await lab.log.events(record.id) == ["ExecutionStarted", "Noted"]

    story()


@virtual
async def test_an_append_given_up_that_landed_all_the_same_is_found_by_the_next_call() -> None:
    lab = Lab()
    recorder, record = await begun(lab)

    async def leave(_: Sequence[Entry]) -> None:
        lab.log.before = None
        lab.log.mute = 1

    lab.log.before = leave
    async with anyio.create_task_group() as group:

        async def give_up() -> None:
            with pytest.raises(StoreUnavailableError):
                await recorder.record(Noted(text="a"))

        group.start_soon(give_up)
        await anyio.sleep(0.05)
        lab.log.away = True
    lab.log.away = False
    await recorder.record(Noted(text="b"))

    assert await notes(lab, record) == ["a", "b"]


@virtual
async def test_cancellation_does_not_cut_an_append_short() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    lab.log.slow_s = {"Noted": 3}

    with anyio.move_on_after(1):
        await recorder.record(Noted(text="a"))

    assert await notes(lab, record) == ["a"]
    assert recorder.state.notes == ("a",)


@virtual
async def test_events_of_many_tasks_are_written_in_the_order_in_which_they_asked() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    lab.log.slow_s = {"Noted": 1}

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(recorder.record, Noted(text=str(number)))

    assert await notes(lab, record) == list("01234")


@virtual
async def test_recording_nothing_writes_nothing() -> None:
    lab = Lab()
    recorder, _ = await begun(lab)
    before = lab.log.appends

    await recorder.record()

    assert lab.log.appends == before


@virtual
async def test_who_waits_for_a_change_is_woken_by_it_or_by_the_limit() -> None:
    lab = Lab()
    recorder, record = await begun(lab)
    seen = recorder.state

    await recorder.change(seen, limit=STORE_PATIENCE)
    waited = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(recorder.record, Noted(text="a"))
        await recorder.change(seen, limit=None)
    await recorder.change(replace(seen), limit=None)

    assert waited == anyio.current_time() == PATIENCE_S
    assert await notes(lab, record) == ["a"]


@virtual
async def test_patience_with_a_store_ends() -> None:
    async def never() -> None:
        raise StoreUnavailableError(store="Disk", doing="asking", cause="it is full")

    with pytest.raises(StoreUnavailableError, match=r"while resting .*; Disk said at last: it is"):
        await patiently(never, doing="resting")

    assert anyio.current_time() == pytest.approx(PATIENCE_S)
