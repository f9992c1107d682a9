"""A worker that was stopped or cut off does nothing to what another one has taken over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import anyio
import pytest

from support.engine_fakes import Hang, SwitchFault, failed
from support.engine_lab import PROBE, Lab, document, start, until
from support.engine_lease import Halt, HaltedClock, HaltedMachine, ShakyWorkers
from support.stores_story import STEP, new_record, new_scenario
from support.virtual_time import virtual
from test_coordination.application.engine.lease import LostError
from test_coordination.application.engine.patience import STORE_PATIENCE
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import ExecutionStarted, FaultArmed, StepStarted
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, Receipt, ServiceName, WorkerId
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")
PATIENCE_S = STORE_PATIENCE.total_seconds()


class LateFault(SwitchFault):
    """A fault that bites at the very end of its injection."""

    async def inject(self, receipt: Receipt) -> Facts:
        await self._meet("inject")
        self.board.in_force.append(receipt)
        self.board.note("inject", receipt)
        return {"off": receipt}


@dataclass(slots=True, kw_only=True)
class Scene:
    """A coordinator that may be stopped or cut off, and another worker that takes over."""

    halt: Halt = field(default_factory=Halt)
    lab: Lab = field(init=False)
    workers: ShakyWorkers = field(init=False)

    def __post_init__(self) -> None:
        clock = HaltedClock(self.halt)
        self.lab = Lab(clock=clock, machine=HaltedMachine(self.halt))
        self.lab.workers = self.workers = ShakyWorkers(clock, self.lab.log)

    async def stopped(self) -> None:
        """Stop the coordinator for a minute, in which another one undoes and ends all it had."""
        self.halt.stop(60)
        (swept,) = await self.lab.sweeper(900).sweep()
        assert swept.left == ()


@virtual
async def test_a_fault_that_another_worker_has_undone_is_not_touched_again() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10.3)
        await scene.stopped()
        ended = await lab.state(execution)
        lab.kit.board.in_force.append("shop")
        with pytest.raises(LostError):
            await coordinator.execution_result(execution)
        noticed_s = anyio.current_time()

    assert lab.kit.off.tries["revert"] == 1
    assert lab.kit.board.in_force == ["shop"]
    assert await lab.state(execution) == ended
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert noticed_s < 12


@virtual
async def test_an_injection_that_ends_after_another_worker_has_undone_it_is_taken_back() -> None:
    scene = Scene()
    lab = scene.lab
    late = LateFault(lab.kit.board, "switch.slow")
    late.trouble("inject", Hang(seconds=5))
    lab.kit = replace(lab.kit, slow=late)
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT.replace("switch.off", "switch.slow"))
        await until(4.95)
        await scene.stopped()
        await until(5.01)
        in_force = list(lab.kit.board.in_force)
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)

    assert in_force == ["shop"] or lab.kit.board.times("revert") == [5.0]
    assert lab.kit.board.done("inject") == ["shop"]
    assert lab.kit.board.in_force == []
    assert (await lab.logged(execution))[-1].__class__.__name__ == "ExecutionEnded"


@virtual
async def test_an_action_is_not_run_once_more_after_another_worker_has_the_execution() -> None:
    scene = Scene()
    lab = scene.lab
    often = "{id: often, action: note, background: true, repeat: {every: 700ms}}"
    text = document(f"steps: [{often}, {{wait: 100s}}]")
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(10.3)
        await scene.stopped()
        ran = len(lab.kit.board.done("begin"))
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)
        await until(30)

    assert ran > 5
    assert len(lab.kit.board.done("begin")) == ran


@virtual
async def test_nothing_is_begun_as_a_step_of_what_another_worker_has() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(document("steps: [{wait: 1s}]", name="inner"))
        lab.log.answer_s = 2
        execution = await start(coordinator, document("steps: [{id: run, scenario: inner}]"))
        await until(1.3)
        lab.log.answer_s = 0
        await scene.stopped()
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)
        await until(10)

    assert "StepStarted" in await lab.log.events(execution)
    assert await lab.log.children(execution) == []


@virtual
async def test_a_lost_execution_stores_no_samples() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document(PROBE + "steps: [{wait: 100s}]"))
        await until(10.3)
        await scene.stopped()
        kept = await lab.evidence.samples(execution)
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)

    assert len(kept) > 5
    assert await lab.evidence.samples(execution) == kept


@virtual
async def test_an_undo_under_way_ends_when_another_worker_does_it() -> None:
    scene = Scene()
    lab = scene.lab
    lab.kit.off.always("revert", failed("reverting", "stuck"))
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT.replace("100s", "5s"))
        await until(7.3)
        lab.kit.off.always("revert", None)
        scene.halt.stop(60)
        (swept,) = await lab.sweeper(900).sweep()
        tries = lab.kit.off.tries["revert"]
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)

    assert swept.left == ()
    assert tries > 2
    assert lab.kit.off.tries["revert"] == tries


@virtual
async def test_whom_a_takeover_is_taken_over_from_touches_nothing_more() -> None:
    scene = Scene()
    lab = scene.lab
    execution = await _left(lab)
    lab.kit.off.always("revert", failed("reverting", "stuck"))
    async with anyio.create_task_group() as group:

        async def come() -> None:
            async with lab.coordinator() as coordinator:
                assert coordinator.swept == []

        group.start_soon(come)
        await until(5)
        scene.halt.stop(60)
        record = await lab.log.get(execution)
        other = WorkerId(lab.identities.new())
        assert await scene.workers.claim(execution, by=other, epoch=record.epoch)
        tries = lab.kit.off.tries["revert"]

    assert tries > 5
    assert lab.kit.off.tries["revert"] == tries


async def _left(lab: Lab) -> ExecutionId:
    """Leave an execution with a fault in force, whose worker has left."""
    record = new_record(new_scenario(), ExecutionId(lab.identities.new()))
    await lab.log.create(record)
    recorder = Recorder(lab.world().stores, record, Execution(id=record.id))
    service = ServiceName("shop")
    armed = FaultArmed(step=STEP, fault="switch.off", service=service, receipt=Receipt(service))
    await recorder.record(ExecutionStarted(worker=record.worker), StepStarted(step=STEP), armed)
    lab.kit.board.in_force.append(service)
    return record.id


@virtual
async def test_an_undo_that_gets_nowhere_delays_nobody_who_dies_meanwhile() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        stuck = await _left(lab)
        lab.kit.off.trouble("revert", Hang(seconds=40))
        await until(20.2)
        other = await _left(lab)
        await until(21)
        in_time = await lab.state(other)
        again = await coordinator.undo_faults()
        ended_s = anyio.current_time()

    assert in_time.status is Status.FINISHED
    assert in_time.outstanding == ()
    assert again == []
    assert ended_s == pytest.approx(40.5, abs=0.1)
    assert (await lab.state(stuck)).outstanding == ()


@virtual
async def test_a_store_that_is_away_for_half_a_minute_changes_nothing_for_a_worker_alone() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT.replace("100s", "30s"))
        await until(20)
        lab.log.away = scene.workers.away = True
        await until(48)
        undone = lab.kit.board.times("revert")
        lab.log.away = scene.workers.away = False
        ended = await coordinator.execution_result(execution)

    assert undone == [pytest.approx(30, abs=0.2)]
    assert ended.outstanding == ()
    assert ended.taken_over == ""
    assert ended.verdict is Verdict.INCONCLUSIVE


@virtual
async def test_a_store_that_hangs_delays_an_undo_by_a_moment_only() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as coordinator:
        await start(coordinator, CUT.replace("100s", "30s"))
        await until(20)
        lab.log.away = scene.workers.hangs = True
        await until(40)
        undone = lab.kit.board.times("revert")
        lab.log.away = scene.workers.hangs = False

    assert undone == [30.5]


@virtual
async def test_a_lapse_that_nobody_used_ends_nothing() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT.replace("100s", "30s"))
        await until(5)
        scene.workers.away = True
        await until(15)
        scene.workers.away = False
        ended = await coordinator.execution_result(execution)
        later = await coordinator.execution_result(await start(coordinator, CUT))

    assert (ended.taken_over, ended.outstanding) == ("", ())
    assert ended.ended_at is not None
    assert lab.kit.board.times("revert")[0] == 30.0
    assert later.outstanding == ()


@virtual
async def test_an_injection_waits_until_it_is_sure_that_nobody_else_has_the_execution() -> None:
    scene = Scene()
    lab = scene.lab
    text = document(
        "steps: [{wait: 10s}, {id: cut, fault: switch.off, target: shop, hold: 5s, timeout: 60s}]"
    )
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(3)
        scene.workers.away = True
        await until(20)
        before = lab.kit.board.done("inject")
        scene.workers.away = False
        ended = await coordinator.execution_result(execution)

    assert before == []
    assert lab.kit.board.times("inject") == [pytest.approx(20, abs=0.2)]
    assert ended.outstanding == ()


@virtual
async def test_an_injection_of_which_it_cannot_be_sure_is_given_up_and_undone() -> None:
    scene = Scene()
    lab = scene.lab
    text = document(
        "steps: [{wait: 10s}, {id: cut, fault: switch.off, target: shop, hold: 5s, timeout: 5m}]"
    )
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(3)
        scene.workers.away = True
        with pytest.raises(StoreUnavailableError, match="is still this worker's"):
            await coordinator.execution_result(execution)
        gave_up_s = anyio.current_time()
        scene.workers.away = False

    assert lab.kit.board.done("inject") == []
    assert gave_up_s == pytest.approx(10 + PATIENCE_S, abs=1)


@virtual
async def test_workers_that_lost_the_store_together_take_nothing_from_each_other() -> None:
    scene = Scene()
    lab = scene.lab
    async with lab.coordinator() as first:
        # So one of them is back for most of a second before the other is.
        await until(0.3)
        async with lab.coordinator() as second:
            other = CUT.replace("target: shop", "target: bank")
            executions = [await start(first, CUT), await start(second, other)]
            await until(5)
            scene.workers.away = True
            await until(25.1)
            scene.workers.away = False
            await until(60)
            states = [await lab.state(execution) for execution in executions]

    assert [state.status for state in states] == [Status.RUNNING, Status.RUNNING]
    assert [state.taken_over for state in states] == ["", ""]


@virtual
async def test_a_fault_does_not_bite_in_a_pause_that_came_while_the_lease_was_in_doubt() -> None:
    scene = Scene()
    lab = scene.lab
    text = "steps: [{id: w, wait: 8s}, {id: cut, fault: switch.off, target: shop, hold: 1s}]"
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document(text))
        await until(1)
        scene.workers.away = True
        await until(12)
        await coordinator.pause_execution(execution, reason="wait", by="ann")
        await until(15)
        scene.workers.away = False
        await until(30)
        await coordinator.resume_execution(execution, reason="well", by="ann")
        await coordinator.execution_result(execution)

    assert lab.kit.board.times("inject") == pytest.approx([30.0])


@virtual
async def test_a_fault_whose_lease_lapses_in_a_pause_bites_once_that_is_cleared_up() -> None:
    scene = Scene()
    lab = scene.lab
    lab.log.slow_s = {"FaultArmed": 5}
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(2)
        await coordinator.pause_execution(execution, reason="wait", by="ann")
        await until(9)
        scene.workers.away = True
        await until(30)
        await coordinator.resume_execution(execution, reason="well", by="ann")
        await until(40)
        scene.workers.away = False
        await until(45)

    assert lab.kit.board.times("inject") == pytest.approx([40.0], abs=2)
