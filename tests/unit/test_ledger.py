"""Faults are on record before they bite, and undone whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import Hang, failed
from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.engine.patience import STORE_PATIENCE
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionTakenOver, FaultArmed, FaultReverted
from test_coordination.domain.execution import Status
from test_coordination.domain.values import WorkerId
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")
PATIENCE_S = STORE_PATIENCE.total_seconds()


def names(entries: Sequence[Entry]) -> set[str]:
    return {type(entry.event).__name__ for entry in entries}


@virtual
async def test_a_fault_is_durably_on_record_before_it_touches_its_target() -> None:
    lab, may_write = Lab(), anyio.Event()

    async def block(entries: Sequence[Entry]) -> None:
        if "FaultArmed" in names(entries):
            await may_write.wait()

    lab.log.before = block
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(20)
        tries = dict(lab.kit.off.tries)
        may_write.set()
        await until(21)
        logged = await lab.log.events(execution)

    assert tries == {"arm": 1}
    assert logged[-2:] == ["FaultArmed", "FaultInjected"]
    assert lab.kit.board.times("inject") == [20.0]


@virtual
async def test_a_fault_whose_receipt_cannot_be_recorded_is_not_injected() -> None:
    lab = Lab()

    async def leave(entries: Sequence[Entry]) -> None:
        lab.log.away = lab.log.away or "FaultArmed" in names(entries)

    lab.log.before = leave
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)

    assert lab.kit.off.tries == {"arm": 1}


@virtual
async def test_a_step_that_is_stopped_while_its_receipt_is_written_injects_nothing() -> None:
    lab = Lab()
    lab.log.slow_s = {"FaultArmed": 5}
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT.replace("hold: 100s", "hold: 1s, timeout: 3s"))
        ended = await coordinator.execution_result(execution)

    assert lab.kit.board.done("inject") == []
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.outstanding == ()


@virtual
async def test_a_fault_is_undone_before_that_is_recorded_when_the_log_is_away() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(50)
        lab.log.away = True
        await until(115)
        undone = lab.kit.board.times("revert")
        lab.log.away = False
        ended = await coordinator.execution_result(execution)

    assert undone == [100.0]
    assert ended.outstanding == ()
    assert ended.ended_at is not None


@virtual
async def test_a_log_that_stays_away_ends_the_execution_in_bounded_time_undone() -> None:
    lab = Lab()
    text = document("""
steps:
  - {id: a, fault: switch.off, target: shop, hold: 1h, needs: []}
  - {id: b, fault: switch.slow, target: bank, hold: 1h, needs: []}
  - {id: w, wait: 50s, needs: []}
""")
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(10)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError, match="at last: nobody is in"):
            await coordinator.execution_result(execution)
        ended_s = anyio.current_time()

    assert lab.kit.board.in_force == []
    assert lab.kit.board.times("revert") == [50 + PATIENCE_S] * 2
    assert ended_s <= 50 + PATIENCE_S + 10


@virtual
async def test_what_was_given_up_is_ended_by_the_next_sweep_once_the_log_is_back() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        lab.log.away = True
        await until(200)
        lab.log.away = False
        await until(210)
        ended = await lab.state(execution)
        followed = [entry async for entry in coordinator.follow_execution(execution)]

    assert ended.status is Status.FINISHED
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.outstanding == ()
    assert ended.reason == "its worker is not at it any more"
    assert followed[-1].position == ended.position


@virtual
async def test_when_another_worker_takes_over_the_fault_is_undone_and_the_log_left_to_it() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        state = await lab.state(execution)
        other = ExecutionTakenOver(worker=WorkerId(lab.identities.new()), reason="silent")
        entry = Entry(position=state.position + 1, at=lab.clock.now(), event=other)
        await lab.workers.beat(lab.machine.present(other.worker), lease=timedelta(hours=1))
        assert await lab.workers.claim(execution, by=other.worker, epoch=1, from_living=True)
        await lab.log.append([entry], leading_to=state.apply(entry), epoch=2)
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)
        logged = await lab.log.events(execution)

    assert lab.kit.board.times("revert") == [100.0]
    assert logged[-1] == "ExecutionTakenOver"


@virtual
async def test_closing_the_coordinator_undoes_what_is_in_force_and_records_the_end() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)

    ended = await lab.state(execution)
    assert lab.kit.board.times("revert") == [10.0]
    assert ended.verdict is Verdict.STOPPED
    assert "its coordinator was closed" in ended.reason


@virtual
async def test_a_fault_that_is_being_injected_when_all_is_cancelled_is_undone() -> None:
    lab = Lab()
    lab.kit.off.trouble("inject", Hang(seconds=60))

    with anyio.move_on_after(30):
        async with lab.coordinator() as coordinator:
            await start(coordinator, CUT)
            await anyio.sleep_forever()

    events = await lab.logged(await lab.newest())
    assert lab.kit.board.times("revert") == [30.0]
    assert [type(event).__name__ for event in events[-3:]] == [
        "FaultReverted", "StepEnded", "ExecutionEnded",
    ]  # fmt: skip
    assert await lab.workers.all() == []


@virtual
async def test_an_undo_is_recorded_with_what_shows_it_and_one_that_failed_with_why() -> None:
    lab = Lab()
    lab.kit.off.always("revert", failed("reverting", "stuck"))
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await coordinator.execution_result(execution)
        lab.kit.off.always("revert", None)
        (swept,) = await coordinator.undo_faults()
        again = await coordinator.undo_faults()
    ended = await lab.state(execution)

    assert [fault.reason for fault in swept.undone] == [
        "switch.off on 'shop' failed while reverting: stuck"
    ]
    assert (swept.left, again) == ((), [])
    assert isinstance((await lab.logged(execution))[-1], FaultReverted)
    assert ended.outstanding == ()
    assert ended.verdict is Verdict.RESIDUE
    assert (await lab.log.get(execution)).outstanding == 0


@virtual
async def test_a_receipt_is_what_the_fault_gave() -> None:
    lab = Lab()

    await lab.run(CUT.replace("100s", "1s"))

    (armed,) = [e for e in await lab.logged(await lab.newest()) if isinstance(e, FaultArmed)]
    assert (armed.receipt, armed.fault, armed.service) == ("shop", "switch.off", "shop")
