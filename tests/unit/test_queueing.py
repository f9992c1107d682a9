"""Executions wait for what others hold, and faults for what others hit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import anyio
import pytest

from support.engine_fakes import failed
from support.engine_lab import MARK, Lab, document, start, topology, until
from support.engine_stores import ShakyLog, gone
from support.stores_story import ARMED, PLAN, new_record, new_scenario
from support.virtual_time import virtual
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.fleet import BudgetExceededError, Waiting
from test_coordination.application.lending import coordinating
from test_coordination.application.lobby import Lobby
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionStarted, FaultArmed, Noted, Outcome
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.scenario import BlastRadius
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.domain.verdicts import Verdict

SHOP = "steps: [{id: cut, fault: switch.off, target: shop, hold: 10s}]"
BANK = "steps: [{id: cut, fault: switch.off, target: bank, hold: 10s}]"
CUT = StepId("cut")


def lasted(state: Execution) -> float:
    assert state.started_at is not None
    assert state.ended_at is not None
    return (state.ended_at - state.started_at).total_seconds()


@virtual
async def test_two_that_hit_the_same_service_do_so_one_after_the_other() -> None:
    lab = Lab()

    async with lab.coordinator() as coordinator:
        first = await start(coordinator, document(SHOP, name="one"))
        second = await start(coordinator, document(SHOP, name="two"))
        await until(5)
        waiting = await lab.state(second)
        (shown,) = await lab.queue.waiting(limit=9)
        ends = [await coordinator.execution_result(each) for each in (first, second)]

    assert (waiting.status, waiting.position) == (Status.PENDING, 0)
    assert shown.execution == second
    assert [o.holding.by for o in shown.obstacles] == [first]
    assert [end.steps[CUT].outcome for end in ends] == [Outcome.DONE, Outcome.DONE]
    assert list(map(lasted, ends)) == [10.0, 10.0]
    assert ends[1].started_at == ends[0].ended_at, "whoever ends lets the next one in"
    assert lab.kit.board.times("inject") == [0.0, 10.0]


@virtual
async def test_those_that_hit_different_services_do_so_together() -> None:
    lab = Lab()

    async with lab.coordinator() as coordinator:
        for name, text in (("one", SHOP), ("two", BANK)):
            await start(coordinator, document(text, name=name))
        await until(1)

    assert lab.kit.board.times("inject") == [0.0, 0.0]


@virtual
async def test_one_that_is_stopped_while_it_waits_touches_nothing() -> None:
    lab = Lab()

    async with lab.coordinator() as coordinator:
        await start(coordinator, document(SHOP, name="one"))
        second = await start(coordinator, document(SHOP, name="two"))
        await until(2)
        await coordinator.abort_execution(second, reason="not today", by="ann")
        end = await coordinator.execution_result(second)

    assert end.verdict is Verdict.STOPPED
    assert end.ended_at is not None
    assert not any(isinstance(event, ExecutionStarted) for event in await lab.logged(second))
    assert lab.kit.board.times("inject") == [0.0]
    assert await lab.queue.waiting(limit=9) == []


@virtual
async def test_a_stop_that_has_left_the_queue_and_is_not_heard_of_yet_lets_nothing_begin() -> None:
    lab = Lab()
    mends = f"{SHOP}\non_failure: [{{action: note, with: {{name: mend}}}}]"

    async with lab.coordinator() as coordinator:
        first = await start(coordinator, document(SHOP, name="one"))
        second = await start(coordinator, document(mends, name="two"))
        await until(1)
        lab.log.answer_s = 3
        await coordinator.abort_execution(second, reason="not today", by="ann")
        await until(8)
        stopped = await lab.state(second)
        lab.log.answer_s = 0
        await coordinator.execution_result(first)

    assert stopped.verdict is Verdict.STOPPED
    assert lab.kit.board.done("begin") == []
    assert ExecutionStarted not in map(type, await lab.logged(second))


@virtual
async def test_what_is_not_undone_keeps_the_next_one_out_until_it_is() -> None:
    lab = Lab()
    lab.kit.off.always("revert", failed("undoing"))

    async with lab.coordinator() as coordinator:
        first = await start(coordinator, document(SHOP, name="one"))
        second = await start(coordinator, document(SHOP, name="two"))
        left = await coordinator.execution_result(first)
        await anyio.sleep(30)
        (shown,) = await lab.queue.waiting(limit=9)
        lab.kit.off.always("revert", None)
        await coordinator.undo_faults()
        end = await coordinator.execution_result(second)

    assert left.verdict is Verdict.RESIDUE
    assert [(o.holding.by, o.holding.residue) for o in shown.obstacles] == [(first, True)]
    assert end.steps[CUT].outcome is Outcome.DONE


@virtual
async def test_a_fault_waits_while_as_much_is_hit_as_may_be_and_says_so_once() -> None:
    lab = Lab()
    budget = BlastRadius(mark=MARK, services=1)

    async with coordinating(lab.world(replace(topology(), blast_radius=budget))) as coordinator:
        await start(coordinator, document(SHOP, name="one"))
        second = await start(coordinator, document(BANK, name="two"))
        end = await coordinator.execution_result(second)

    assert lab.kit.board.times("inject") == [0.0, 10.5], "it is tried every half second"
    assert lab.kit.board.times("revert") == [10.0, 20.5]
    assert end.steps[CUT].outcome is Outcome.DONE
    (note,) = [event.text for event in await lab.logged(second) if isinstance(event, Noted)]
    assert note.startswith("step 'cut' waits: faults may hit 1 of the services of 'lab'")
    assert "hit shop now: bank must wait" in note


@virtual
async def test_a_fault_waits_no_longer_than_its_step_may_take() -> None:
    lab = Lab()
    budget = BlastRadius(mark=MARK, percent=40)
    endless = "steps: [{id: cut, fault: switch.off, target: shop, hold: 30m}]\ntimeout: 1h"

    async with coordinating(lab.world(replace(topology(), blast_radius=budget))) as coordinator:
        await start(coordinator, document(endless, name="one"))
        second = await start(coordinator, document(BANK, name="two"))
        end = await coordinator.execution_result(second)

    step = end.steps[CUT]
    assert (step.outcome, step.code) == (Outcome.FAILED, "step.timeout")
    assert end.verdict is Verdict.COULD_NOT_RUN
    assert lab.kit.board.times("inject") == [0.0]


class LateLog(ShakyLog):
    """A log that loses one word that a fault is armed, on a way that goes on ``at_s``.

    Whoever reads it once that was refused is answered only after it has come.
    """

    def __init__(self, *, at_s: float) -> None:
        super().__init__()
        self.at_s = at_s
        self.lost = False
        self.refused = False
        self.came = anyio.Event()

    async def read(self, execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
        if self.refused:
            await self.came.wait()
        return await super().read(execution, after=after)

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        on_its_way = partial(super().append, entries, leading_to=leading_to, epoch=epoch)
        arms = any(isinstance(entry.event, FaultArmed) for entry in entries)
        if self.lost or not arms or anyio.current_time() < 9.2:
            try:
                return await on_its_way()
            except BudgetExceededError:
                self.refused = self.lost
                raise
        self.lost = True
        coming = asyncio.get_running_loop().create_task(self._come(on_its_way))
        coming.add_done_callback(lambda task: task.exception())
        raise gone()

    async def _come(self, late: Callable[[], Awaitable[None]]) -> None:
        await until(self.at_s)
        try:
            await late()
        finally:
            self.came.set()


@pytest.mark.parametrize("at_s", [9.55, 9.65, 10.05])
def test_a_fault_that_was_refused_after_a_try_of_unknown_outcome_is_not_lost_sight_of(
    at_s: float,
) -> None:
    @virtual
    async def story() -> None:
        lab = Lab(log=LateLog(at_s=at_s))
        budget = BlastRadius(mark=MARK, services=1)

        async with coordinating(lab.world(replace(topology(), blast_radius=budget))) as coordinator:
            await start(coordinator, document(SHOP, name="one"))
            second = await start(coordinator, document(BANK, name="two"))
            end = await coordinator.execution_result(second)

        assert isinstance(lab.log, LateLog)
        assert lab.log.lost
        assert end.steps[CUT].outcome is Outcome.DONE
        assert lab.kit.board.in_force == []
        assert end.outstanding == ()

    story()


@virtual
async def test_a_pen_that_was_refused_a_fault_writes_on_also_after_the_store_was_away() -> None:
    lab = Lab()
    tight = replace(PLAN, services_max=0)
    record = replace(new_record(new_scenario()), plan=tight)
    await lab.log.create(record)
    recorder = Recorder(lab.world().stores, record, Execution(id=record.id))
    await recorder.record(ExecutionStarted(worker=record.worker))

    with pytest.raises(BudgetExceededError):
        await recorder.record(ARMED)
    lab.log.away = True
    async with anyio.create_task_group() as group:

        async def arm() -> None:
            with pytest.raises(BudgetExceededError):
                await recorder.record(ARMED)

        group.start_soon(arm)
        await until(1)
        lab.log.away = False
    await recorder.record(Noted(text="on it goes"))

    assert await lab.log.events(record.id) == ["ExecutionStarted", "Noted"]
    assert recorder.state == await lab.state(record.id)


class Door:
    """A queue that is told what it does, and counts how often it is asked."""

    def __init__(self) -> None:
        self.away = False
        self.tried: list[float] = []
        self.open: set[ExecutionId] = set()
        self.answer_s = 0.0

    async def admit(self) -> Sequence[ExecutionId]:
        self.tried.append(anyio.current_time())
        if self.away:
            raise StoreUnavailableError(store="the store", doing="being asked")
        return ()

    async def admitted(self, executions: Collection[ExecutionId]) -> frozenset[ExecutionId]:
        found = frozenset(executions) & self.open
        await anyio.sleep(self.answer_s)
        return found

    async def waiting(self, *, limit: int) -> Sequence[Waiting]:
        return ()[:limit]


ONE, TWO = (ExecutionId(UUID(int=number)) for number in (1, 2))


@virtual
async def test_the_queue_is_tried_while_anything_waits_and_else_only_on_a_hint() -> None:
    door = Door()
    lobby = Lobby(door)

    async with anyio.create_task_group() as group:
        group.start_soon(lobby.run)
        await until(10)
        lobby.hint()
        await until(20)
        idle = list(door.tried)
        with anyio.move_on_after(1.8):
            await lobby.let_in(ONE)
        await until(30)
        group.cancel_scope.cancel()

    assert idle == [10.0]
    assert door.tried[1:] == [20.0, 20.5, 21.0, 21.5, 22.0]


@virtual
async def test_a_worker_tries_for_others_all_the_time() -> None:
    door = Door()
    lobby = Lobby(door)

    async with anyio.create_task_group() as group:
        group.start_soon(lobby.run)
        await until(10)
        with lobby.trying_for_others():
            await until(11.2)
        await until(20)
        lobby.hint()
        await until(21)
        group.cancel_scope.cancel()

    assert door.tried == [10.0, 10.5, 11.0, 11.5, 20.0], "at its end once more, and then on hints"


@virtual
async def test_a_store_that_is_away_is_waited_for() -> None:
    door, came = Door(), list[tuple[ExecutionId, float]]()
    lobby = Lobby(door)
    door.away = True

    async def enter(execution: ExecutionId) -> None:
        await lobby.let_in(execution)
        came.append((execution, anyio.current_time()))

    async with anyio.create_task_group() as group:
        group.start_soon(lobby.run)
        for execution in (ONE, TWO):
            group.start_soon(enter, execution)
        await until(60.1)
        door.away, door.open = False, {TWO}
        await until(61.1)
        door.open = {ONE, TWO}
        await until(62)
        group.cancel_scope.cancel()

    assert came == [(TWO, 60.5), (ONE, 61.5)]


@virtual
async def test_who_went_away_while_the_door_was_opened_is_in_nobodys_way() -> None:
    door = Door()
    lobby = Lobby(door)
    door.open, door.answer_s = {ONE, TWO}, 1.0

    async with anyio.create_task_group() as group:
        group.start_soon(lobby.run)
        with anyio.move_on_after(0.5):
            await lobby.let_in(ONE)
        with anyio.fail_after(5):
            await lobby.let_in(TWO)
        group.cancel_scope.cancel()
