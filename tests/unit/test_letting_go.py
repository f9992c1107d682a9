"""A worker that is to end leaves what it has to others, and nothing of it in force."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from support.engine_handing import hand, taken
from support.engine_lab import Lab, document, until
from support.virtual_time import ANCHOR, since, virtual
from test_coordination.application.executions import Order
from test_coordination.application.fleet import NOBODY
from test_coordination.application.holders import LetGoError, NotRunningHereError
from test_coordination.domain.events import ExecutionReleased
from test_coordination.domain.execution import Status
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 10s}]")
WAIT = document("steps: [{id: w, wait: 10s}, {id: e, expect: '1 < 2'}]")
INNER = document("steps: [{id: in, wait: 20s}, {id: e, expect: '1 < 2'}]", name="inner")
OUTER = document("steps: [{id: kid, scenario: inner}]")
TOLD = "its worker was told to end"


@virtual
async def test_who_is_told_to_end_undoes_its_faults_and_leaves_the_rest_to_another() -> None:
    lab, found = Lab(), list[object]()
    text = document(
        "steps: [{id: w, wait: 10s}, {id: e, expect: '1 < 2'}, "
        "{id: cut, needs: [], fault: switch.off, target: shop, hold: 20s, background: true}]"
    )
    async with hand(lab) as one, hand(lab, 802) as two:
        execution = await one.order(text)
        async with anyio.create_task_group() as group:
            group.start_soon(taken, one, execution, found)
            await until(3)
            group.cancel_scope.cancel()
        between = await lab.state(execution)
        record = await lab.log.get(execution)
        undone = list(lab.kit.board.in_force)
        ended = await two.executions.take(execution)

    assert (undone, between.outstanding, between.worker) == ([], (), None)
    assert between.status is Status.RUNNING
    assert record.worker == NOBODY
    assert (await lab.logged(execution))[-1] != ExecutionReleased(reason=TOLD)
    assert ExecutionReleased(reason=TOLD) in await lab.logged(execution)
    assert ended.steps[StepId("cut")].code == "worker.lost"
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert found == []


@virtual
async def test_a_worker_that_closes_stops_what_is_its_own_and_lets_go_of_what_is_not() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as worker, anyio.create_task_group() as group:
        own = await worker.order(WAIT, Order())
        lent = await worker.order(WAIT)
        group.start_soon(taken, worker, lent, found)
        await until(3)
        await worker.executions.close(reason="enough", by="ann")

    assert (await lab.state(own)).verdict is Verdict.STOPPED
    assert (await lab.state(lent)).status is Status.RUNNING
    (told,) = found
    assert isinstance(told, LetGoError)
    assert "is left to another worker" in str(told)


@virtual
async def test_what_runs_as_a_step_is_left_together_with_what_it_is_a_step_of() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as one, hand(lab, 802) as two:
        await one.order(INNER)
        execution = await one.order(OUTER)
        async with anyio.create_task_group() as group:
            group.start_soon(taken, one, execution, found)
            await until(5)
            group.cancel_scope.cancel()
        (child,) = await lab.log.children(execution)
        ended = await two.executions.take(execution)
        (after,) = await lab.log.children(execution)

    assert (child.worker, child.detached, child.parent_step) == (NOBODY, True, "kid")
    assert ended.verdict is Verdict.HELD
    assert after.verdict is Verdict.HELD
    assert since(ended.ended_at or ANCHOR) == 20


@virtual
async def test_a_worker_that_closes_leaves_steps_to_what_they_are_steps_of() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as worker, anyio.create_task_group() as group:
        await worker.order(INNER)
        execution = await worker.order(OUTER)
        group.start_soon(taken, worker, execution, found)
        await until(5)
        await worker.executions.close(reason="enough", by="ann")
        (child,) = await lab.log.children(execution)

    assert (child.worker, child.status) == (NOBODY, Status.RUNNING)
    assert isinstance(found[0], LetGoError)


@virtual
async def test_what_has_not_begun_yet_is_left_as_it_was() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(WAIT)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.executions.take, execution)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    record = await lab.log.get(execution)
    assert (record.worker, record.status) == (NOBODY, Status.PENDING)


@virtual
async def test_what_ends_just_then_has_ended() -> None:
    lab = Lab()
    lab.log.slow_s = {"ExecutionEnded": 2}
    async with hand(lab) as worker:
        execution = await worker.order(WAIT)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.executions.take, execution)
            await until(11)
            group.cancel_scope.cancel()

    assert (await lab.state(execution)).verdict is Verdict.HELD


@virtual
async def test_where_it_cannot_be_said_that_it_is_left_the_next_sweep_says_so() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(CUT)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.executions.take, execution)
            await until(3)
            lab.log.away = True
            group.cancel_scope.cancel()
        lab.log.away = False
        undone = list(lab.kit.board.in_force)
    (swept,) = await lab.sweeper(950).sweep()

    assert undone == []
    assert swept.released
    assert (await lab.log.get(execution)).worker == NOBODY


@virtual
async def test_only_who_runs_an_execution_stops_it_or_lets_go_of_it() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(WAIT)
        await worker.executions.let_go(execution)
        with pytest.raises(NotRunningHereError, match="is not run by this process"):
            await worker.executions.abort(execution, reason="enough", by="ann")

    assert (await lab.log.get(execution)).status is Status.PENDING
