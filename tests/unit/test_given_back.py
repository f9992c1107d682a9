"""What a worker cannot carry out it gives back; its log says why, and not without end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from support.engine_fakes import NumberedIdentities
from support.engine_handing import Hand, hand, left
from support.engine_lab import Lab, document
from support.engine_lease import firm
from support.engine_stores import ShakyWishes
from support.virtual_time import virtual
from test_coordination.adapters.memory.evidence import MemoryEvidence
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.engine.continuing import HANDOVERS_MAX
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.executions import Executions
from test_coordination.application.fleet import NOBODY
from test_coordination.application.ports import NotFoundError
from test_coordination.application.wishes import Ways, Wish
from test_coordination.application.world import World
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import (
    AbortRequested,
    FaultArmed,
    FaultInjected,
    StepStarted,
)
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import (
    ExecutionId,
    Receipt,
    ScenarioId,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict

CUT = StepId("cut")
TEXT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 10s}]")
STORY = (
    StepStarted(step=CUT),
    FaultArmed(step=CUT, fault="switch.off", service=ServiceName("shop"), receipt=Receipt("shop")),
    FaultInjected(step=CUT, evidence={}),
)
OTHER = WorkerId(NumberedIdentities(970).new())


async def nothing() -> None:
    pass


class Lost(MemoryScenarioStore):
    """A store that has lost every definition; ``meanwhile`` happens while it is asked."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        await self.meanwhile()
        raise NotFoundError(kind="definition", identity=str(scenario))


@asynccontextmanager
async def working(lab: Lab, world: World) -> AsyncGenerator[Hand]:
    """Lend a worker that stands on ``world``."""
    name = WorkerId(NumberedIdentities(803).new())
    async with anyio.create_task_group() as group:
        yield Hand(lab, Executions(world, group, firm(lab.workers, name)), name)
        group.cancel_scope.cancel()


def poor(
    lab: Lab, meanwhile: Callable[[], Awaitable[object]] = nothing
) -> AbstractAsyncContextManager[Hand]:
    """Lend a worker that finds no definition."""
    return working(lab, replace(lab.world(), scenarios=Lost(meanwhile)))


async def ordered(lab: Lab, *, text: str = TEXT) -> ExecutionId:
    async with hand(lab) as worker:
        return await worker.order(text)


async def refused(lab: Lab, execution: ExecutionId) -> None:
    async with poor(lab) as worker:
        with pytest.raises(NotFoundError):
            await worker.executions.take(execution)


@virtual
async def test_whoever_cannot_begin_it_says_why_in_its_log_and_the_next_one_begins_it() -> None:
    lab = Lab()
    execution = await ordered(lab)

    await refused(lab, execution)
    record, state = await lab.log.get(execution), await lab.state(execution)
    async with hand(lab, 802) as worker:
        ended = await worker.executions.take(execution)

    name = WorkerId(NumberedIdentities(803).new())
    assert (record.worker, record.status, state.handovers) == (NOBODY, Status.PENDING, 1)
    assert state.released.startswith(f"given back by worker {name}: no definition")
    assert ended.verdict is Verdict.INCONCLUSIVE
    assert ended.steps[CUT].code == ""


@virtual
async def test_the_queue_tells_why_it_was_given_back() -> None:
    lab = Lab()
    execution = await ordered(lab)
    await lab.queue.admit()
    lab.log.let_in(execution, at=lab.clock.now())

    await refused(lab, execution)
    (shown,) = await lab.queue.waiting(limit=5)

    assert shown.execution == execution
    assert "no definition" in shown.released


@virtual
async def test_whoever_cannot_carry_it_on_undoes_what_is_in_force() -> None:
    lab = Lab()
    execution = await ordered(lab)
    lab.log.let_in(execution, at=lab.clock.now())
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)

    await refused(lab, execution)
    (shown,) = await lab.queue.waiting(limit=5)

    events = [type(event).__name__ for event in await lab.logged(execution)]
    assert events[-2:] == ["ExecutionReleased", "FaultReverted"]
    assert lab.kit.board.in_force == []
    assert (await lab.log.get(execution)).worker == NOBODY
    assert (shown.execution, "no definition" in shown.released) == (execution, True)


@virtual
async def test_what_too_many_gave_back_ends_with_the_reason() -> None:
    lab = Lab()
    execution = await ordered(lab)
    for _ in range(HANDOVERS_MAX - 1):
        await refused(lab, execution)
    before = await lab.state(execution)

    await refused(lab, execution)
    after = await lab.state(execution)
    async with hand(lab, 802) as worker:
        found = await worker.executions.take(execution)

    assert before.status is Status.PENDING
    assert (after.verdict, found.verdict) == (Verdict.COULD_NOT_RUN, Verdict.COULD_NOT_RUN)
    assert f"no worker could carry it out, and {HANDOVERS_MAX} others had it" in after.reason
    assert "no definition" in after.reason


@virtual
async def test_a_worker_that_hears_nothing_of_its_store_gives_nothing_back() -> None:
    lab = Lab()
    execution = await ordered(lab)

    async def away() -> None:
        raise StoreUnavailableError(store="the store", doing="looking")

    async with poor(lab, away) as worker:
        with pytest.raises(StoreUnavailableError):
            await worker.executions.take(execution)

    assert await lab.logged(execution) == []
    assert (await lab.log.get(execution)).epoch == 1


@virtual
async def test_what_another_worker_took_meanwhile_is_left_to_it() -> None:
    lab = Lab()
    execution = await ordered(lab)

    async def snatched() -> None:
        await lab.workers.claim(execution, by=OTHER, epoch=1)

    async with poor(lab, snatched) as worker:
        with pytest.raises(NotFoundError):
            await worker.executions.take(execution)

    record = await lab.log.get(execution)
    assert (record.worker, record.end) == (OTHER, 0)


@virtual
async def test_what_has_ended_meanwhile_is_not_given_back() -> None:
    lab = Lab()
    execution = await ordered(lab)

    async def ends() -> None:
        record = await lab.log.get(execution)
        recorder = Recorder(lab.world().stores, record, Execution(id=execution))
        await recorder.record(AbortRequested(reason="enough", by="ann"))
        await recorder.record(*conclusion(record.plan, recorder.state))

    async with poor(lab, ends) as worker:
        with pytest.raises(NotFoundError):
            await worker.executions.take(execution)

    assert (await lab.state(execution)).verdict is Verdict.STOPPED


@virtual
async def test_what_runs_as_a_step_is_not_given_back_by_itself() -> None:
    lab = Lab()
    execution = await ordered(lab)
    child = ExecutionId(NumberedIdentities(960).new())
    record = replace(await lab.log.get(execution), id=child, parent=execution, parent_step=CUT)
    await lab.log.create(record)

    await refused(lab, child)

    assert await lab.logged(child) == []


class Buggy(MemoryEvidence):
    """What was seen cannot be read, by a mistake of ours."""

    async def samples(self, execution: ExecutionId) -> Sequence[Sample]:
        del execution
        raise ZeroDivisionError("no seconds")


@virtual
async def test_what_a_bug_of_ours_breaks_off_is_undone_and_given_back() -> None:
    lab = Lab()
    execution = await ordered(lab)
    lab.kit.board.in_force.append("shop")
    await left(lab, execution, *STORY)

    async with working(lab, replace(lab.world(), evidence=Buggy())) as worker:
        with pytest.raises(ZeroDivisionError):
            await worker.executions.take(execution)

    record, state = await lab.log.get(execution), await lab.state(execution)
    assert (record.worker, record.status) == (NOBODY, Status.RUNNING)
    assert "ZeroDivisionError" in state.released
    assert lab.kit.board.in_force == []


class Deaf(ShakyWishes):
    """Wishes that cannot be read, by a mistake of ours."""

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        del execution
        raise ZeroDivisionError("no seconds")


@virtual
async def test_what_a_bug_of_ours_keeps_from_beginning_does_not_go_round_for_ever() -> None:
    lab = Lab()
    execution = await ordered(lab)

    deaf = Ways(kept=Deaf(lab.log), quick=None)
    async with working(lab, replace(lab.world(), wishes=deaf)) as worker:
        for _ in range(HANDOVERS_MAX):
            with pytest.raises(ZeroDivisionError):
                await worker.executions.take(execution)
        ended = await worker.executions.take(execution)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.reason.count("a bug of ours: ZeroDivisionError") == 1
