"""What a dead coordinator left is undone by another one, once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import Hang, failed
from support.engine_lab import Lab, document, start, until
from support.stores_story import PLAN, new_record, new_scenario
from support.virtual_time import virtual
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.sweep import Swept
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import (
    Entry,
    ExecutionStarted,
    FaultArmed,
    FaultInjected,
    Noted,
    StepStarted,
)
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import FaultWork, Plan, PlannedCheck, PlannedStep
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    Receipt,
    ServiceName,
    StepId,
)
from test_coordination.domain.verdicts import Finding, Verdict

A, B = StepId("a"), StepId("b")
HOUR = timedelta(hours=1)


def left_plan(fault: str) -> Plan:
    work = FaultWork(fault=fault, service=ServiceName("shop"), hold=HOUR)
    check = PlannedCheck(id=CheckId("c"), expression="1 < 2", mark=PLAN.watched[0].mark)
    steps = (
        PlannedStep(id=A, timeout=HOUR, fault=work),
        PlannedStep(id=B, timeout=HOUR, fault=work),
        PlannedStep(id=StepId("c"), timeout=HOUR, expect=check, needs=frozenset({A, B})),
    )
    return replace(PLAN, probes=(), watched=(), steps=steps)


async def left(lab: Lab, *, fault: str = "switch.off", begun: bool = True) -> ExecutionRecord:
    """Return an execution whose worker stopped at two faults, of which it injected one."""
    identity = ExecutionId(lab.identities.new())
    record = replace(new_record(new_scenario()), plan=left_plan(fault), id=identity)
    await lab.log.create(record)
    if begun:
        recorder = Recorder(lab.world().stores, record, Execution(id=record.id))
        await recorder.record(ExecutionStarted(worker=record.worker))
        for step, receipt in ((A, "shop"), (B, "bank")):
            armed = FaultArmed(
                step=step, fault=fault, service=ServiceName("shop"), receipt=Receipt(receipt)
            )
            await recorder.record(StepStarted(step=step), armed)
            lab.kit.board.in_force.append(receipt)
        await recorder.record(FaultInjected(step=A, evidence={}))
    return record


async def alive(lab: Lab, record: ExecutionRecord, *, lease: timedelta = HOUR) -> None:
    await lab.workers.beat(lab.machine.present(record.worker), lease=lease)


@virtual
async def test_faults_of_a_worker_that_has_left_are_undone_newest_first() -> None:
    lab = Lab()
    record = await left(lab)

    (swept,) = await lab.sweeper(900).sweep()

    ended = await lab.state(record.id)
    assert lab.kit.board.done("revert") == ["bank", "shop"]
    assert [fault.step for fault in swept.undone] == [A, B]
    assert (swept.left, swept.trouble) == ((), "")
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.reason == "its worker has left"
    assert [v.finding for v in ended.validations] == [Finding.NOT_RUN]
    assert {state.outcome for state in ended.steps.values()} == {"cancelled"}
    assert (await lab.log.get(record.id)).worker == lab.sweeper(900).me


@virtual
async def test_an_undo_that_gets_nowhere_holds_up_older_ones_of_its_execution_for_ten_seconds() -> (
    None
):
    lab = Lab()
    await left(lab)
    await left(lab)
    lab.kit.off.trouble("revert", Hang(seconds=30))

    swept = await lab.sweeper(900).sweep()

    assert lab.kit.board.done("revert") == ["bank", "shop", "shop", "bank"]
    assert lab.kit.board.times("revert") == [0.1, 0.1, 10.0, 30.0]
    assert [len(one.undone) for one in swept] == [2, 2]
    assert await lab.log.unsettled() == []


@virtual
async def test_what_was_swept_is_not_swept_again() -> None:
    lab = Lab()
    await left(lab)
    sweeper = lab.sweeper(900)
    await sweeper.sweep()

    assert await sweeper.sweep() == []
    assert await lab.sweeper(901).sweep(again=True) == []


@virtual
async def test_what_a_living_worker_runs_is_left_alone() -> None:
    lab = Lab()
    record = await left(lab)
    await alive(lab, record)

    assert await lab.sweeper(900).sweep(again=True) == []
    assert lab.kit.off.tries.total() == 0
    assert (await lab.state(record.id)).status is Status.RUNNING


@virtual
async def test_a_worker_whose_process_is_gone_is_dead_at_once() -> None:
    lab = Lab()
    record = await left(lab)
    await alive(lab, record)
    lab.machine.dead.add(record.worker)

    assert len(await lab.sweeper(900).sweep()) == 1
    assert (await lab.state(record.id)).reason == (
        "its worker, process 100 on this machine, is dead"
    )


@virtual
async def test_a_worker_that_was_silent_for_too_long_is_dead() -> None:
    lab = Lab()
    record = await left(lab)
    await alive(lab, record, lease=timedelta(seconds=10))
    await until(9)
    before = await lab.sweeper(900).sweep()
    await until(10)

    assert before == []
    assert len(await lab.sweeper(900).sweep()) == 1
    assert "has been silent too long" in (await lab.state(record.id)).reason


@virtual
async def test_an_execution_that_its_worker_never_began_is_ended_too() -> None:
    lab = Lab()
    record = await left(lab, begun=False)

    (swept,) = await lab.sweeper(900).sweep()

    assert swept == Swept(execution=record.id, scenario=record.scenario_name, undone=(), left=())
    assert (await lab.state(record.id)).verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_what_this_worker_is_at_is_left_alone_and_what_it_gave_up_is_ended() -> None:
    lab = Lab()
    record = await left(lab)
    mine = lab.sweeper(900, busy=frozenset({record.id}))
    await lab.workers.claim(record.id, by=mine.me, epoch=record.epoch)

    busy = await mine.sweep(again=True)
    swept = await replace(mine, busy=frozenset()).sweep()

    assert busy == []
    assert len(swept) == 1


@virtual
async def test_a_fault_that_this_program_does_not_know_is_residue() -> None:
    lab = Lab()
    record = await left(lab, fault="switch.later")

    (swept,) = await lab.sweeper(900).sweep()

    ended = await lab.state(record.id)
    assert [fault.reason for fault in swept.left] == [
        "this program knows no fault 'switch.later'; undo it with one that does"
    ] * 2
    assert ended.verdict is Verdict.RESIDUE


@virtual
async def test_residue_is_tried_again_by_whoever_is_asked_and_not_by_itself() -> None:
    lab = Lab()
    record = await left(lab)
    await alive(lab, record)
    lab.machine.dead.add(record.worker)
    lab.kit.off.always("revert", failed("reverting"))
    first = lab.sweeper(900)
    (before,) = await first.sweep()
    await lab.workers.beat(lab.machine.present(first.me), lease=HOUR)
    lab.kit.off.always("revert", None)

    unasked = [await lab.sweeper(number).sweep() for number in (900, 901)]
    (after,) = await lab.sweeper(901).sweep(again=True)

    assert len(before.left) == 2
    assert unasked == [[], []]
    assert [fault.step for fault in after.undone] == [A, B]
    assert lab.kit.board.in_force == []


@asynccontextmanager
async def staged(lab: Lab, event: str) -> AsyncGenerator[anyio.Event]:
    """Let the first append of ``event`` wait until the event that is lent is set."""
    go = anyio.Event()

    async def wait(entries: Sequence[Entry]) -> None:
        if any(type(entry.event).__name__ == event for entry in entries):
            lab.log.before = None
            await go.wait()

    lab.log.before = wait
    yield go


@pytest.mark.parametrize("event", ["ExecutionTakenOver", "FaultReverted", "StepEnded"])
def test_of_two_sweepers_at_once_only_one_writes_wherever_the_other_stands(event: str) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        record = await left(lab)
        found: list[Sequence[Swept]] = []

        async def sweep(number: int) -> None:
            found.append(await lab.sweeper(number).sweep())

        async with staged(lab, event) as go, anyio.create_task_group() as group:
            group.start_soon(sweep, 900)
            await anyio.sleep(1)
            await sweep(901)
            go.set()

        names = await lab.log.events(record.id)
        assert sorted(len(swept) for swept in found) == [0, 1]
        assert lab.kit.board.done("revert") == ["bank", "shop"]
        assert names.count("FaultReverted") == 2
        assert names.count("ExecutionEnded") == 1

    story()


@virtual
async def test_two_sweepers_that_read_the_same_hand_the_execution_to_one() -> None:
    lab = Lab()
    record = await left(lab)
    found: list[Swept] = []

    async def sweep(number: int) -> None:
        found.extend(await lab.sweeper(number).sweep())

    async with anyio.create_task_group() as group:
        for number in (900, 901, 902):
            group.start_soon(sweep, number)

    assert len(found) == 1
    assert (await lab.log.events(record.id)).count("ExecutionEnded") == 1


@virtual
async def test_a_worker_sweeps_once_at_a_time() -> None:
    lab = Lab()
    await left(lab)
    lab.kit.off.always("revert", Hang(seconds=5))
    sweeper, found = lab.sweeper(900), list[Swept]()

    async def sweep() -> None:
        found.extend(await sweeper.sweep())

    async with anyio.create_task_group() as group:
        group.start_soon(sweep)
        await anyio.sleep(1)
        group.start_soon(sweep)

    assert len(found) == 1
    assert lab.kit.off.tries["revert"] == 2


@virtual
async def test_what_has_ended_since_it_was_listed_is_not_called_swept() -> None:
    lab = Lab()
    record = await left(lab)
    await alive(lab, record)
    stale = replace(await lab.log.get(record.id), epoch=2)
    lab.machine.dead.add(record.worker)
    await lab.sweeper(901).sweep()

    async def listed() -> Sequence[ExecutionRecord]:
        return [stale]

    lab.log.unsettled = listed  # type: ignore[method-assign]  # a list that is older than the log

    assert await lab.sweeper(900).sweep() == []


@virtual
async def test_one_damaged_log_does_not_keep_the_faults_of_the_others_in_force() -> None:
    lab = Lab()
    damaged = await left(lab)
    sound = await left(lab)
    entry = Entry(position=7, at=lab.clock.now(), event=Noted(text="x"))
    state = replace(await lab.state(damaged.id), position=7)
    await lab.log.append([entry], leading_to=state, epoch=1)
    lab.log._kept[damaged.id].lines[2:4] = []

    swept = {one.execution: one for one in await lab.sweeper(900).sweep()}

    assert "IllegalTransitionError" in swept[damaged.id].trouble
    assert swept[sound.id].trouble == ""
    assert (await lab.state(sound.id)).status is Status.FINISHED


@virtual
async def test_a_store_that_goes_away_during_a_sweep_is_said_and_the_next_one_goes_on() -> None:
    lab = Lab()
    record = await left(lab)
    sweeper = lab.sweeper(900)

    async def leave(_: Sequence[Entry]) -> None:
        lab.log.away = True

    lab.log.before = leave
    with pytest.raises(StoreUnavailableError):
        await sweeper.sweep()
    lab.log.before, lab.log.away = None, False
    again = await sweeper.sweep()

    assert len(again) == 1
    assert (await lab.state(record.id)).status is Status.FINISHED


@virtual
async def test_a_coordinator_undoes_what_is_left_before_it_is_lent_and_beats_meanwhile() -> None:
    lab = Lab()
    record = await left(lab)
    lab.kit.off.always("revert", Hang(seconds=25))
    others: list[Sequence[Swept]] = []

    async def look() -> None:
        for number in range(901, 910):
            await anyio.sleep(5)
            others.append(await lab.sweeper(number).sweep())

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        async with lab.coordinator() as coordinator:
            lent_s = anyio.current_time()

    # The older undo is begun beside the newer one after ten of its seconds.
    assert lent_s == 35.0
    assert [one.execution for one in coordinator.swept] == [record.id]
    assert not any(others)


@virtual
async def test_a_coordinator_sweeps_again_and_again_while_it_works() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        mine = await start(coordinator, document("steps: [{wait: 60s}]"))
        await until(7)
        lab.log.away = True
        await until(11.2)
        lab.log.away = False
        record = await left(lab)
        await until(16)
        state, own = await lab.state(record.id), await lab.state(mine)

    assert state.status is Status.FINISHED
    assert own.status is Status.RUNNING
