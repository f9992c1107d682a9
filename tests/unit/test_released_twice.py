"""What one worker clears away, and carries on afterwards, is never in two hands at once."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from support.engine_fakes import Hang, NumberedIdentities, failed
from support.engine_handing import GONE, hand, left
from support.engine_lab import Lab, document, until
from support.virtual_time import virtual
from test_coordination.application.fleet import NOBODY
from test_coordination.application.holders import HeldElsewhereError
from test_coordination.domain.events import FaultArmed, FaultInjected, StepStarted
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId, Receipt, ServiceName, StepId

CUT = StepId("cut")
TEXT = document(
    "steps: [{id: cut, fault: switch.off, target: shop, hold: 10s, on_error: continue}, "
    "{id: w, wait: 5s, needs: []}]"
)
STORY = (
    StepStarted(step=CUT),
    FaultArmed(step=CUT, fault="switch.off", service=ServiceName("shop"), receipt=Receipt("shop")),
    FaultInjected(step=CUT, evidence={}),
)


@virtual
async def test_who_lets_go_before_it_has_undone_anything_leaves_nothing_in_force() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(TEXT)
        lab.kit.board.in_force.append("shop")
        await left(lab, execution, *STORY)
        lab.wishes.slow_s = 5
        with anyio.move_on_after(2):
            await worker.executions.take(execution)

    record, state = await lab.log.get(execution), await lab.state(execution)
    assert (record.worker, record.status) == (NOBODY, Status.RUNNING)
    assert lab.kit.board.in_force == []
    assert state.outstanding == ()


@virtual
async def test_residue_of_what_waits_for_a_worker_is_undone_by_who_asks_for_that() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(TEXT)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)
    lab.kit.off.always("revert", failed("reverting"))
    await lab.sweeper(950).sweep()
    lab.kit.off.always("revert", None)

    (swept,) = await lab.sweeper(951).sweep(again=True)
    left_alone = await lab.sweeper(952).sweep(again=True)

    record = await lab.log.get(execution)
    assert ([fault.step for fault in swept.undone], swept.left, left_alone) == ([CUT], (), [])
    assert lab.kit.board.in_force == []
    assert (record.worker, record.status) == (NOBODY, Status.RUNNING)


@virtual
async def test_nothing_is_carried_on_while_the_same_worker_undoes_what_another_left() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        worker = coordinator.work
        async with hand(lab, 701) as other:
            execution = await other.order(TEXT)
        lab.kit.board.in_force.append("shop")
        await left(lab, execution, *STORY)
        lab.kit.off.always("revert", Hang(seconds=3))
        await until(1)
        with pytest.raises(HeldElsewhereError):
            await worker.executions.take(execution)
        await until(5)
        ended = await worker.executions.take(execution)

    assert lab.kit.off.tries["revert"] == 1
    assert ended.steps[CUT].code == "worker.lost"


@virtual
async def test_what_was_released_as_a_step_is_ended_once_what_ran_it_has_ended_without_it() -> None:
    lab = Lab()
    sweeper = lab.sweeper(950)
    async with hand(lab) as worker:
        parent = await worker.order(TEXT)
        record = replace(await lab.log.get(parent), parent=parent, parent_step=CUT, worker=GONE)
        child, taken = (ExecutionId(NumberedIdentities(number).new()) for number in (960, 961))
        for each in (child, taken):
            await lab.log.create(replace(record, id=each))
        first = await sweeper.sweep()
        nothing = await sweeper.sweep()
        await worker.executions.take(taken)
        await worker.executions.take(parent)
        await sweeper.sweep()
        after = await sweeper.sweep()

    assert ([each.released for each in first], nothing, after) == ([True, True], [], [])
    assert (await lab.log.get(child)).status is Status.FINISHED
    assert "what it is a step of has ended" in (await lab.state(child)).reason
