"""What a dead worker left of detached executions is undone, and they are left to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import anyio

from support.engine_fakes import NumberedIdentities, failed
from support.engine_handing import DETACHED, GONE, hand, left
from support.engine_lab import Lab, document
from support.engine_lease import firm
from support.virtual_time import virtual
from test_coordination.adapters.memory.evidence import MemoryEvidence
from test_coordination.application.engine.continuing import HANDOVERS_MAX
from test_coordination.application.executions import Executions, Order
from test_coordination.application.fleet import NOBODY, Advert, Presence, Worker
from test_coordination.application.wishes import Desire
from test_coordination.domain.events import (
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    StepStarted,
)
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Status
from test_coordination.domain.values import (
    ExecutionId,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict

CUT = StepId("cut")
OTHER = WorkerId(NumberedIdentities(970).new())
TEXT = document(
    "steps: [{id: cut, fault: switch.off, target: shop, hold: 10s, on_error: continue}, "
    "{id: w, wait: 5s, needs: []}]"
)
STORY = (
    StepStarted(step=CUT),
    FaultArmed(step=CUT, fault="switch.off", service=ServiceName("shop"), receipt=Receipt("shop")),
    FaultInjected(step=CUT, evidence={}),
)


async def ordered(lab: Lab, text: str = TEXT, order: Order = DETACHED) -> ExecutionId:
    async with hand(lab) as worker:
        return await worker.order(text, order)


@virtual
async def test_faults_are_undone_and_the_execution_waits_for_another_worker() -> None:
    lab = Lab()
    execution = await ordered(lab)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)

    (swept,) = await lab.sweeper(950).sweep()

    record, state = await lab.log.get(execution), await lab.state(execution)
    events = [type(event).__name__ for event in await lab.logged(execution)]
    assert (swept.released, [fault.step for fault in swept.undone], swept.left) == (True, [CUT], ())
    assert lab.kit.board.in_force == []
    assert events[-2:] == ["ExecutionReleased", "FaultReverted"]
    assert (record.worker, record.status, record.epoch) == (NOBODY, Status.RUNNING, 4)
    assert (state.worker, state.faults[CUT].lost) == (None, True)


@virtual
async def test_what_was_released_is_swept_no_more_and_carried_on_by_who_takes_it() -> None:
    lab = Lab()
    execution = await ordered(lab)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)
    await lab.sweeper(950).sweep()

    again = await lab.sweeper(950).sweep(again=True)
    async with hand(lab, 802) as worker:
        ended = await worker.executions.take(execution)

    assert again == []
    assert ended.steps[CUT].code == "worker.lost"
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert lab.kit.off.tries["revert"] == 1
    assert "as no worker was at it" in ended.notes[-1]


@virtual
async def test_a_fault_that_cannot_be_undone_is_tried_again_by_who_takes_it() -> None:
    lab = Lab()
    execution = await ordered(lab)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)
    lab.kit.off.always("revert", failed("reverting"))

    (swept,) = await lab.sweeper(950).sweep()
    lab.kit.off.always("revert", None)
    async with hand(lab, 802) as worker:
        ended = await worker.executions.take(execution)

    assert (swept.released, [fault.step for fault in swept.left]) == (True, [CUT])
    assert lab.kit.board.in_force == []
    assert ended.verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_a_fault_that_nobody_can_undo_is_residue_in_the_end() -> None:
    lab = Lab()
    execution = await ordered(lab)
    await left(lab, execution, *STORY)
    lab.kit.off.always("revert", failed("reverting"))

    async with hand(lab, 802) as worker:
        ended = await worker.executions.take(execution)

    assert ended.steps[CUT].code == "fault.residue"
    assert ended.verdict is Verdict.RESIDUE


@virtual
async def test_what_its_worker_had_not_begun_is_given_back_as_it_was() -> None:
    lab = Lab()
    execution = await ordered(lab)
    await lab.workers.claim(execution, by=GONE, epoch=1)

    (swept,) = await lab.sweeper(950).sweep()

    record = await lab.log.get(execution)
    assert (swept.released, swept.undone) == (True, ())
    assert (record.worker, record.status, record.end) == (NOBODY, Status.PENDING, 0)


@virtual
async def test_what_was_handed_on_too_often_is_ended_by_the_sweep() -> None:
    lab = Lab()
    execution = await ordered(lab)
    over = ExecutionTakenOver(worker=GONE, reason="it left", continues=True)
    await left(lab, execution, *[over] * HANDOVERS_MAX)

    (swept,) = await lab.sweeper(950).sweep()

    state = await lab.state(execution)
    assert not swept.released
    assert state.verdict is Verdict.COULD_NOT_RUN
    assert f"and {HANDOVERS_MAX} others had it before that" in state.reason


@virtual
async def test_what_runs_as_a_step_is_released_until_what_it_is_a_step_of_has_ended() -> None:
    lab = Lab()
    parent = await ordered(lab)
    record = await lab.log.get(parent)
    children = [ExecutionId(NumberedIdentities(number).new()) for number in (960, 961)]
    for child in children:
        await lab.log.create(replace(record, id=child, parent=parent, parent_step=CUT, worker=GONE))

    (first, second) = await lab.sweeper(950).sweep()
    await lab.workers.claim(children[0], by=GONE, epoch=3)
    async with hand(lab, 802) as worker:
        await worker.executions.take(parent)
    ended = await lab.sweeper(951).sweep()
    after = await lab.sweeper(952).sweep()

    assert (first.released, second.released) == (True, True)
    assert {each.execution: each.released for each in ended} == dict.fromkeys(children, False)
    states = [await lab.state(child) for child in children]
    assert [state.verdict for state in states] == [Verdict.COULD_NOT_RUN] * 2
    assert states[1].reason == "what it is a step of has ended"
    assert after == [], "whoever finds it need not be the one who released it"


@virtual
async def test_what_is_to_be_stopped_and_no_worker_can_take_is_undone_and_ended_by_the_sweep() -> (
    None
):
    lab = Lab()
    execution = await ordered(lab)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)
    await lab.sweeper(950).sweep()
    await lab.controls().wish(Desire.ABORT, execution, reason="enough", by="ann")

    (swept,) = await lab.sweeper(951).sweep()

    state = await lab.state(execution)
    assert (swept.released, state.verdict) == (False, Verdict.STOPPED)
    assert state.reason == "ann stopped it: enough"
    assert "as no worker is at work" in state.notes[-1]
    assert lab.kit.board.in_force == []
    assert state.steps[CUT].error == "ann stopped it: enough"


@virtual
async def test_what_cannot_be_undone_from_here_is_told_when_it_is_stopped() -> None:
    lab = Lab()
    execution = await ordered(lab)
    await left(lab, execution, *STORY)
    lab.kit.off.always("revert", failed("reverting", "it is on another machine"))
    await lab.sweeper(950).sweep()
    await lab.controls().wish(Desire.ABORT, execution, reason="enough", by="ann")

    (swept,) = await lab.sweeper(951).sweep()

    state = await lab.state(execution)
    assert state.verdict is Verdict.RESIDUE
    assert "it is on another machine" in swept.left[0].reason


@virtual
async def test_what_is_to_be_stopped_is_left_to_a_worker_that_can_take_it() -> None:
    lab = Lab()
    execution = await ordered(lab)
    await left(lab, execution, *STORY)
    await lab.sweeper(950).sweep()
    record = await lab.log.get(execution)
    able = Worker(id=GONE, host="here", pid=1, born="once")
    await lab.workers.beat(able, lease=timedelta(hours=1))
    await lab.dispatch.announce(able.id, Advert(program="1", offers=record.requires))
    await lab.controls().wish(Desire.ABORT, execution, reason="enough", by="ann")

    assert await lab.sweeper(951).sweep() == []


@virtual
async def test_what_a_worker_has_taken_meanwhile_is_not_stopped_by_the_sweep() -> None:
    lab = Lab()
    execution = await ordered(lab)
    await left(lab, execution, *STORY)
    await lab.sweeper(950).sweep()
    await lab.controls().wish(Desire.ABORT, execution, reason="enough", by="ann")
    sweeper = lab.sweeper(951)

    async def present() -> Sequence[Presence]:
        record = await lab.log.get(execution)
        able = Worker(id=OTHER, host="here", pid=1, born="once")
        await lab.workers.beat(able, lease=timedelta(hours=1))
        await lab.workers.claim(execution, by=OTHER, epoch=record.epoch)
        return ()

    assert await replace(sweeper, present=present).sweep() == []
    assert (await lab.state(execution)).status is Status.RUNNING


class SlowEvidence(MemoryEvidence):
    """What was seen is long in coming."""

    async def samples(self, execution: ExecutionId) -> Sequence[Sample]:
        await anyio.sleep(20)
        return await super().samples(execution)


@virtual
async def test_whoever_carries_it_on_undoes_faults_before_it_reads_what_was_seen() -> None:
    lab = Lab()
    execution = await ordered(lab)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)

    async with anyio.create_task_group() as group:
        world = replace(lab.world(), evidence=SlowEvidence())
        executions = Executions(world, group, firm(lab.workers, OTHER))
        ended = await executions.take(execution)
        group.cancel_scope.cancel()

    assert lab.kit.board.times("revert") == [0.0]
    assert ended.notes[-1].startswith(f"worker {OTHER} carries it on")
