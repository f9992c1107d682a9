"""Wishes for executions that other workers run, and what is known of them afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import anyio
import pytest

from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.controls import (
    Hearing,
)
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.executions import Order
from test_coordination.application.fleet import NOBODY
from test_coordination.application.ports import NotFoundError
from test_coordination.application.steering import UnheardError
from test_coordination.application.wishes import Desire
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import AbortRequested, Entry
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, WorkerId
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")
LATER = document(
    "steps: [{id: w, wait: 5s}, {id: cut, fault: switch.off, target: shop, hold: 1s}]",
    name="later",
)
UNKNOWN = ExecutionId(UUID(int=4711))


async def aborted(lab: Lab, execution: ExecutionId | None = None) -> Hearing:
    return await lab.controls().wish(Desire.ABORT, execution, reason="enough", by="bob")


async def queued(coordinator: Coordinator, text: str = CUT) -> ExecutionId:
    """Store a scenario and have it wait for a worker."""
    scenario = await coordinator.create_scenario(text)
    stored = await coordinator.stored_scenario(scenario)
    order = Order(requested_by="ann", detached=True)
    return await coordinator.work.executions.start(stored, {}, order=order)


@virtual
async def test_an_execution_is_stopped_from_another_process_and_its_worker_says_so() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        hearing = await aborted(lab, execution)
        asked_s = anyio.current_time() - 10
        ended = await coordinator.execution_result(execution)

    assert ended.reason == "bob stopped it: enough"
    assert lab.kit.board.times("revert") == [10.0]
    assert (hearing.kept, set(hearing.heard), hearing.silent) == (True, {execution}, frozenset())
    assert hearing.troubles == ()
    assert asked_s < 0.2


@pytest.mark.parametrize("trouble", ["away", "hangs", "slow"])
@virtual
async def test_a_store_in_trouble_keeps_no_wish_from_acting_at_once_by_the_other(
    trouble: str,
) -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        lab.wishes.slow_s = 60 if trouble == "slow" else 0
        lab.wishes.away, lab.wishes.hangs = trouble == "away", trouble == "hangs"
        lab.log.away = True
        hearing = await aborted(lab, execution)
        undone_s = lab.kit.board.times("revert")
        lab.log.away = lab.wishes.away = lab.wishes.hangs = False

    assert undone_s == [10.0]
    assert (hearing.kept, set(hearing.heard)) == (False, {execution})
    assert len(hearing.troubles) == 1


@virtual
async def test_everything_is_stopped_and_what_waits_for_a_worker_never_begins() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as one, lab.coordinator() as other:
        first = await start(one, CUT)
        second = await start(other, CUT.replace("shop", "bank").replace("story", "other"))
        waiting = await queued(one)
        await until(10)
        hearing = await aborted(lab)
        later = await start(other, LATER)
        await other.execution_result(later)
        record = await other.execution_record(waiting)
        ended = await lab.state(waiting)

    assert (set(hearing.heard), set(hearing.ended)) == ({first, second}, {waiting})
    assert hearing.silent == hearing.waiting == frozenset()
    assert lab.kit.board.times("revert")[:2] == [10.0, 10.0]
    assert (record.status, record.started_at) == (Status.FINISHED, None)
    assert (ended.verdict, ended.reason) == (Verdict.STOPPED, "bob stopped it: enough")
    assert (await lab.state(later)).abort is None


@virtual
async def test_what_waits_for_its_turn_in_its_own_process_is_stopped_there() -> None:
    lab = Lab()
    exclusive = CUT + "\nresources: {exclusive: [shop]}"
    async with lab.coordinator() as coordinator:
        first = await start(coordinator, exclusive)
        second = await start(coordinator, exclusive)
        await until(5)
        hearing = await aborted(lab, second)
        ended = await coordinator.execution_result(second)
        await until(20)
        await aborted(lab, first)

    assert hearing.heard == {second}
    assert (ended.verdict, ended.started_at) == (Verdict.STOPPED, None)
    assert lab.kit.board.times("inject") == [0.0]


@virtual
async def test_a_pause_and_its_end_come_from_anywhere_and_reach_the_parts_of_a_whole() -> None:
    lab = Lab()
    whole = document("steps: [{scenario: later}]", name="whole")
    async with lab.coordinator() as one, lab.coordinator() as other:
        await one.create_scenario(LATER)
        execution = await start(one, whole)
        await until(3)
        paused = await other.pause_execution(execution, reason="look", by="bob")
        again = await other.pause_execution(execution, reason="more", by="eve")
        await until(30)
        part = (await other.list_executions())[0]
        held = lab.kit.board.done("inject")
        await other.resume_execution(execution, reason="seen", by="bob")
        await other.execution_result(execution)
        state = await lab.state(part.id)

    assert part.parent == execution
    assert paused.heard == again.heard == {execution, part.id}
    assert held == []
    assert lab.kit.board.times("inject") == [30.0]
    assert [(pause.by, pause.reason) for pause in state.pauses] == [("bob", "look")]


@virtual
async def test_a_part_that_is_only_being_begun_as_its_whole_is_paused_is_paused_with_it() -> None:
    lab = Lab()
    whole = document("steps: [{scenario: later}]", name="whole")
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(LATER)
        lab.log.create_s = 0
        execution = await start(coordinator, whole)
        lab.log.create_s = 4
        await until(2)
        await coordinator.pause_execution(execution, reason="look", by="ann")
        await until(30)
        begun = lab.kit.board.done("inject")
        await coordinator.resume_execution(execution, reason="seen", by="ann")
        lab.log.create_s = 0
        await coordinator.execution_result(execution)

    assert begun == []
    assert len(lab.kit.board.times("inject")) == 1


@virtual
async def test_what_is_only_being_created_as_everything_is_stopped_is_stopped_too() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        lab.log.create_s = 4
        async with anyio.create_task_group() as group:
            group.start_soon(start, coordinator, CUT)
            await until(2)
            hearing = await aborted(lab)
        await until(10)
        ended = await lab.state(await lab.newest())

    assert ended.verdict is Verdict.STOPPED
    assert hearing.heard == {ended.id}
    assert lab.kit.board.done("inject") == []


@virtual
async def test_a_suite_begins_nothing_more_once_everything_is_stopped() -> None:
    lab = Lab()
    suite = "suite: nightly\nversion: 1\nscenarios: [{scenario: story}, {scenario: later}]"
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(CUT)
        await coordinator.create_scenario(LATER)
        run = await coordinator.execute_suite(await coordinator.create_suite(suite))
        await until(5)
        await coordinator.stop_all(reason="enough", by="ann")
        await coordinator.stop_all(reason="again", by="ann")
        result = await coordinator.suite_result(run)
        await coordinator.stop_all(reason="over", by="ann")

    assert result.verdict is Verdict.STOPPED
    assert result.reason == "the suite was aborted: enough"
    assert [entry.execution is not None for entry in result.entries] == [True, False]


# What is known, and what is not


@virtual
async def test_an_execution_that_has_ended_is_said_to_be_over_and_one_unknown_is_refused() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document("steps: [{wait: 1s}]"))
        await coordinator.execution_result(execution)
        hearing = await aborted(lab, execution)
        with pytest.raises(NotFoundError):
            await aborted(lab, UNKNOWN)

    assert (hearing.over, hearing.kept) == (True, True)
    assert hearing.heard == hearing.silent == frozenset()


@virtual
async def test_who_says_nothing_is_told_of() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(5)
        record = await coordinator.execution_record(execution)
        worker = lab.machine.present(WorkerId(UUID(int=78)))
        await lab.workers.beat(worker, lease=timedelta(hours=1))
        silent = replace(record, id=ExecutionId(UUID(int=77)), worker=worker.id)
        await lab.log.create(silent)
        one, both = await aborted(lab, silent.id), await aborted(lab)

    assert one.silent == both.silent == {silent.id}
    assert both.heard == {execution}


@virtual
async def test_a_wish_that_goes_no_way_is_refused_and_so_is_one_that_nobody_may_go_by() -> None:
    lab = Lab.with_two_ways()
    assert lab.quick is not None
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(5)
        lab.wishes.away = lab.quick.away = True
        with pytest.raises(StoreUnavailableError, match="telling the workers to abort"):
            await aborted(lab, execution)
        local = await coordinator.pause_execution(execution, reason="look", by="ann")
        lab.wishes.hangs, lab.wishes.away, lab.quick.hangs = True, False, True
        with pytest.raises(StoreUnavailableError):
            await aborted(lab)
        lab.quick.away = lab.quick.hangs = False
        with pytest.raises(UnheardError, match="no worker has said that it will pause"):
            await coordinator.pause_execution(UNKNOWN, reason="look", by="ann")

    assert local.heard == {execution}
    assert not local.kept


@virtual
async def test_what_waits_is_ended_also_where_only_the_other_way_could_be_taken() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator)
        await until(5)
        lab.wishes.away = True
        hearing = await aborted(lab)
        before = await lab.state(waiting)
        lab.wishes.away = False
        await anyio.sleep(3)
        ended = await lab.state(waiting)

    assert not hearing.kept
    assert before.verdict is None
    assert ended.verdict is Verdict.STOPPED


@virtual
async def test_who_comes_after_one_that_was_cut_off_writes_the_wish_no_second_time() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator)
        record = await coordinator.execution_record(waiting)
        asked = Entry(
            position=1, at=record.requested_at, event=AbortRequested(reason="1st", by="a")
        )
        state = Execution(id=waiting).apply(asked)
        await lab.log.append([asked], leading_to=state, epoch=record.epoch)
        hearing = await aborted(lab, waiting)
        events = [entry.event for entry in await lab.log.read(waiting)]

    assert hearing.ended == {waiting}
    assert [type(event).__name__ for event in events] == ["AbortRequested", "ExecutionEnded"]


@virtual
async def test_what_a_worker_takes_just_now_is_stopped_by_that_one() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator)
        claimed = anyio.Event()
        claim = lab.workers.claim

        async def faster(execution: ExecutionId, **more: object) -> int | None:
            if more["by"] == NOBODY:
                async with anyio.create_task_group() as group:
                    group.start_soon(coordinator.work.executions.bring_in, execution)
            claimed.set()
            return await claim(execution, **more)  # type: ignore[arg-type]  # as they came

        lab.workers.claim = faster  # type: ignore[method-assign]  # a worker is faster
        hearing = await aborted(lab, waiting)
        ended = await coordinator.execution_result(waiting)

    assert hearing.ended == frozenset()
    assert hearing.waiting == {waiting}
    assert ended.verdict is Verdict.STOPPED
    assert lab.kit.board.done("inject") == []


@virtual
async def test_whoever_takes_an_execution_goes_by_what_was_wished_of_it_before() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator)
        paused = await coordinator.pause_execution(waiting, reason="wait", by="ann")
        async with anyio.create_task_group() as group:
            group.start_soon(coordinator.work.executions.take, waiting)
            await until(30)
            held = lab.kit.board.done("inject")
            await coordinator.resume_execution(waiting, reason="go", by="ann")
            await until(40)
            await coordinator.abort_execution(waiting, reason="enough", by="ann")
        state = await lab.state(waiting)

    assert paused.waiting == {waiting}
    assert held == []
    assert lab.kit.board.times("inject") == [30.0]
    assert state.verdict is Verdict.STOPPED


@virtual
async def test_a_pause_is_written_down_though_the_store_is_away_for_long() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        lab.log.away = True
        await coordinator.pause_execution(execution, reason="look", by="ann")
        await until(50)
        lab.log.away = False
        await until(60)
        state = await lab.state(execution)
        await coordinator.resume_execution(execution, reason="seen", by="ann")

    assert state.pause is not None
    assert state.pause.reason == "look"


@virtual
async def test_what_has_begun_and_lost_its_worker_is_stopped_by_whoever_takes_it() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator)
        await until(1)
        with anyio.move_on_after(9):
            await coordinator.work.executions.take(waiting)
        hearing = await aborted(lab, waiting)
        ended = await coordinator.work.executions.take(waiting)

    assert hearing.waiting == {waiting}
    assert hearing.ended == frozenset()
    assert ended.reason == "bob stopped it: enough"
    assert lab.kit.board.times("revert") == [10.0]


@virtual
async def test_what_was_never_paused_is_not_resumed_and_what_has_just_ended_not_paused() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        waiting = await queued(coordinator, document("steps: [{wait: 1s}]"))
        await coordinator.resume_execution(waiting, reason="go", by="ann")
        lab.log.slow_s = {"ExecutionEnded": 5}
        async with anyio.create_task_group() as group:
            group.start_soon(coordinator.work.executions.take, waiting)
            await anyio.sleep(3)
            hearing = await coordinator.pause_execution(waiting, reason="late", by="ann")
        names = await lab.log.events(waiting)

    assert hearing.heard == {waiting}
    assert {"ExecutionPaused", "ExecutionResumed"}.isdisjoint(names)
