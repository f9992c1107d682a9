"""Detached executions wait for a worker, are taken by one, and left to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import Hang, NumberedIdentities, shows
from support.engine_handing import GONE, hand, left, taken
from support.engine_lab import PROBE, Lab, document, until
from support.virtual_time import ANCHOR, at, since, virtual
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.engine.continuing import HANDOVERS_MAX
from test_coordination.application.executions import SEED_MAX, Order
from test_coordination.application.fleet import NOBODY, Holder, Worker
from test_coordination.application.holders import AttachedError, HeldElsewhereError
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import ExecutionTakenOver, FaultArmed, StepStarted
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import (
    ExecutionId,
    ProbeName,
    Receipt,
    ScenarioId,
    ServiceName,
    StepId,
)
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 10s}]")
WAIT = document("steps: [{id: w, wait: 10s}, {id: e, expect: '1 < 2'}]")
OTHER_ID = ExecutionId(NumberedIdentities(950).new())
W = StepId("w")
ARMED = FaultArmed(
    step=StepId("cut"), fault="switch.off", service=ServiceName("shop"), receipt=Receipt("shop")
)


@virtual
async def test_what_is_ordered_detached_belongs_to_nobody_and_waits() -> None:
    lab = Lab()
    order = Order(
        requested_by="ann", detached=True, priority=3, requires=frozenset({"zone=a"}), suite="s/1"
    )
    async with hand(lab) as worker:
        execution = await worker.order(WAIT, order)
        await anyio.sleep(1)
    record = await lab.log.get(execution)

    assert (record.worker, record.status, record.detached) == (NOBODY, Status.PENDING, True)
    assert (record.requested_by, record.priority, record.suite) == ("ann", 3, "s/1")
    assert any("zone=a" in each for each in record.requires)
    assert [each.execution for each in await lab.queue.waiting(limit=5)] == [execution]
    assert worker.executions.busy == set()


@virtual
async def test_an_order_with_a_name_is_carried_out_once_and_draws_from_it() -> None:
    lab, drawn = Lab(), ExecutionId(NumberedIdentities(77).new())
    order = Order(detached=True, id=drawn)
    async with hand(lab) as worker:
        names = [await worker.order(WAIT, order), await worker.order(CUT, order)]
    record = await lab.log.get(drawn)

    assert names == [drawn, drawn]
    assert record.plan.seed == drawn.int & SEED_MAX
    assert [step.id for step in record.plan.steps] == ["w", "e"]


@virtual
async def test_a_seed_that_is_ordered_is_taken_as_it_is() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(WAIT, Order(detached=True, seed=5))

    assert (await lab.log.get(execution)).plan.seed == 5


@virtual
async def test_what_nobody_has_is_begun_and_carried_to_its_end() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(WAIT)
        ended = await worker.executions.take(execution)
        again = await worker.executions.take(execution)

    assert ended.verdict is again.verdict is Verdict.HELD
    assert (ended.worker, ended.handovers) == (worker.name, 0)
    assert worker.executions.busy == set()


@virtual
async def test_what_is_under_way_here_is_waited_for() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as worker, anyio.create_task_group() as group:
        execution = await worker.order(WAIT)
        group.start_soon(taken, worker, execution, found)
        await anyio.sleep(1)
        group.start_soon(taken, worker, execution, found)

    assert [one.verdict for one in found if isinstance(one, Execution)] == [Verdict.HELD] * 2
    assert (await lab.log.get(execution)).epoch == 2


@virtual
async def test_what_is_not_there_or_belongs_to_a_process_is_not_taken() -> None:
    lab = Lab()
    async with hand(lab) as worker, hand(lab, 802) as other:
        execution = await worker.order(WAIT, Order())
        with pytest.raises(AttachedError, match="belongs to the process that began it"):
            await other.executions.take(execution)
        with pytest.raises(NotFoundError):
            await worker.executions.take(ExecutionId(NumberedIdentities(5).new()))
        assert (await worker.executions.result(execution)).verdict is Verdict.HELD


@virtual
async def test_of_two_workers_one_takes_it_and_the_other_is_told_who_has_it() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as one, hand(lab, 802) as two:
        for worker in (one, two):
            await lab.workers.beat(
                Worker(id=worker.name, host="here", pid=1, born="once"), lease=timedelta(hours=1)
            )
        execution = await one.order(WAIT)
        async with anyio.create_task_group() as group:
            group.start_soon(taken, one, execution, found)
            group.start_soon(taken, two, execution, found)
            await anyio.sleep(5)
            group.start_soon(taken, two, execution, found)

    told = [each for each in found if isinstance(each, HeldElsewhereError)]
    assert len(found) == 3
    assert len(told) == 2
    assert f"is held by worker {(await lab.log.get(execution)).worker}" in str(told[-1])


@pytest.mark.parametrize(
    ("host", "lease_s", "why"),
    [
        ("here", 3600, "its worker, process 9 on this machine, is dead"),
        ("there", 2, "its worker, process 9 on there, has been silent too long"),
        ("", 0, "its worker has left"),
    ],
)
def test_what_a_worker_left_that_is_gone_is_taken_and_it_is_told_why(
    host: str, lease_s: float, why: str
) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        async with hand(lab) as worker:
            execution = await worker.order(WAIT)
            if host:
                gone = Worker(id=GONE, host=host, pid=9, born="once")
                await lab.workers.beat(gone, lease=timedelta(seconds=lease_s))
            if host == "here":
                lab.machine.dead.add(GONE)
            await left(lab, execution, StepStarted(step=W))
            await until(4)
            ended = await worker.executions.take(execution)

        over = ExecutionTakenOver(worker=worker.name, reason=why, continues=True)
        assert over in await lab.logged(execution)
        assert ended.notes == (f"worker {worker.name} carries it on, as {why}; going on with 'w'",)
        assert (ended.verdict, ended.handovers) == (Verdict.HELD, 1)
        assert since(ended.steps[W].ended_at or ANCHOR) == 10

    story()


@virtual
async def test_what_may_be_in_force_is_undone_before_anything_else_is_done() -> None:
    lab = Lab()
    lab.kit.off.trouble("revert", Hang(seconds=3))
    async with hand(lab) as worker:
        execution = await worker.order(CUT)
        lab.kit.board.in_force.append("shop")
        await left(lab, execution, StepStarted(step=StepId("cut")), ARMED)
        ended = await worker.executions.take(execution)

    events = [type(event).__name__ for event in await lab.logged(execution)]
    assert events[3:7] == ["ExecutionTakenOver", "FaultReverted", "StepEnded", "Noted"]
    assert lab.kit.board.in_force == []
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert "; undone 'cut'; ended 'cut'" in ended.notes[0]


@virtual
async def test_what_was_handed_on_too_often_is_ended() -> None:
    lab = Lab()
    over = ExecutionTakenOver(worker=GONE, reason="it left", continues=True)
    async with hand(lab) as worker:
        execution = await worker.order(WAIT)
        await left(lab, execution, StepStarted(step=W), *[over] * HANDOVERS_MAX)
        ended = await worker.executions.take(execution)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.reason == f"its worker has left, and {HANDOVERS_MAX} others had it before that"


@virtual
async def test_what_this_program_cannot_carry_out_is_left_alone() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(WAIT)
        record = await lab.log.get(execution)
        unknown = replace(record, id=OTHER_ID, scenario=ScenarioId(NumberedIdentities(6).new()))
        await lab.log.create(unknown)
        with pytest.raises(NotFoundError):
            await worker.executions.take(OTHER_ID)

    assert (await lab.log.get(OTHER_ID)).worker == NOBODY
    assert worker.executions.busy == set()


@virtual
async def test_who_loses_it_to_another_while_it_runs_is_told_and_may_take_it_again() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as one, hand(lab, 802) as two, anyio.create_task_group() as group:
        execution = await one.order(WAIT)
        group.start_soon(taken, one, execution, found)
        await until(3)
        ended = await two.executions.take(execution)
        again = await one.executions.take(execution)

    assert isinstance(found[0], LogConflictError)
    assert ended.worker == two.name
    assert again.verdict is ended.verdict is Verdict.HELD


@virtual
async def test_a_log_that_cannot_be_written_any_more_is_told_and_it_may_be_taken_again() -> None:
    lab, found = Lab(), list[object]()
    async with hand(lab) as worker, anyio.create_task_group() as group:
        execution = await worker.order(WAIT)
        group.start_soon(taken, worker, execution, found)
        await until(3)
        lab.log.away = True
        await until(60)
        lab.log.away = False
        ended = await worker.executions.take(execution)

    assert isinstance(found[0], StoreUnavailableError)
    assert ended.verdict is Verdict.HELD
    assert "as no worker was at it" in ended.notes[0]


class SlowScenarios(MemoryScenarioStore):
    """Definitions that take a second to be found."""

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        await anyio.sleep(1)
        return await super().get(scenario)


@virtual
async def test_who_is_a_moment_too_late_is_told_and_has_done_nothing() -> None:
    lab, found = Lab(scenarios=SlowScenarios()), list[object]()
    async with hand(lab) as one, hand(lab, 802) as two, anyio.create_task_group() as group:
        execution = await one.order(WAIT)
        group.start_soon(taken, one, execution, found)
        group.start_soon(taken, two, execution, found)
        group.start_soon(taken, two, execution, found)

    assert [type(each).__name__ for each in found] == [
        "HeldElsewhereError",
        "HeldElsewhereError",
        "Execution",
    ]
    assert one.executions.busy == two.executions.busy == set()


class SlowWorkers(MemoryWorkers):
    """Ten seconds pass before it is known who holds something."""

    async def holders(self) -> Sequence[Holder]:
        await anyio.sleep(10)
        return await super().holders()


@virtual
async def test_what_another_ends_while_its_worker_is_looked_for_is_not_taken() -> None:
    lab, found = Lab(), list[object]()
    lab.workers = SlowWorkers(lab.clock, lab.log)
    async with hand(lab) as one, hand(lab, 802) as two, anyio.create_task_group() as group:
        execution = await one.order(WAIT)
        group.start_soon(taken, one, execution, found)
        await until(5)
        group.start_soon(taken, two, execution, found)

    assert [type(each).__name__ for each in found] == ["Execution", "HeldElsewhereError"]


@virtual
async def test_what_could_not_be_put_into_the_queue_is_not_begun() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await worker.order(WAIT, Order())
        lab.log.away = False

    assert worker.executions.busy == set()


@virtual
async def test_samples_of_a_clock_that_is_ahead_are_left_out() -> None:
    lab = Lab()
    async with hand(lab) as worker:
        execution = await worker.order(
            document(PROBE + "steps: [{id: w, wait: 10s}, {id: e, expect: 'probes.p.count < 99'}]")
        )
        await left(lab, execution, StepStarted(step=W))
        ahead = [
            Sample(probe=ProbeName("p"), at=at(n), fields=shows(1), took=timedelta(0))
            for n in range(1000, 1100)
        ]
        await lab.evidence.add_samples(execution, ahead)
        ended = await worker.executions.take(execution)

    assert ended.verdict is Verdict.HELD
