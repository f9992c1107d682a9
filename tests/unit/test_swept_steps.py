"""Workers that die in the middle of what steps may do, and what a sweep makes of it."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from support.engine_fakes import Hang, OneMachine, failed, shows
from support.engine_lease import firm
from support.engine_plans import (
    ABORT,
    GOOD,
    Bed,
    act,
    child,
    expect,
    fault,
    gate,
    plan,
    remedy,
    retry,
    rule,
    seconds,
    stop,
    wait,
)
from support.virtual_time import virtual
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.engine.sweep import Sweeper
from test_coordination.domain.events import Noted, Outcome
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan
from test_coordination.domain.values import WorkerId
from test_coordination.domain.verdicts import Verdict

MEND = remedy(act("mend"))
GONE = "its worker has left"


async def swept(bed: Bed, planned: Plan, *, dies_s: float) -> tuple[Execution, Bed]:
    """Return how an execution ends whose worker is killed at that second.

    What is left of it is its log, and the faults that are in force: they are taken over into a
    world of their own, since nothing of a process that was killed does anything more.
    """
    left = Bed()
    async with bed.running(planned) as recorder:
        await anyio.sleep(dies_s)
        left.log._kept = {
            execution: type(kept)(record=kept.record, lines=list(kept.lines))
            for execution, kept in bed.log._kept.items()
        }
        left.kit.board.in_force[:] = bed.kit.board.in_force
        await recorder.record(ABORT)
    workers = MemoryWorkers(left.clock, left.log)
    sweeper = Sweeper(
        stores=left.stores(),
        workers=workers,
        machine=OneMachine(),
        faults=left.kit.catalogue().faults,
        secrets=KeptSecrets({}, directory=Path("/nowhere")),
        lease=firm(workers, WorkerId(recorder.state.id)),
        present=MemoryDispatch(workers, MemoryJobs(left.clock)).present,
    )
    assert len(await sweeper.sweep()) == 1
    return Execution.of(recorder.state.id, await left.log.read(recorder.state.id)), left


def injecting() -> Bed:
    bed = Bed()
    bed.kit.off.trouble("inject", Hang(seconds=5))
    return bed


def refusing() -> Bed:
    bed = Bed()
    bed.kit.off.trouble("inject", failed("injecting"), failed("injecting"))
    return bed


def breaking() -> Bed:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(1)), (3, shows(0))]
    return bed


PLANS = {
    "a fault in the background is injected": (
        injecting(), plan(fault("cut", hold_s=None), stop("halt", of=["cut"]), MEND), 3,
    ),
    "a fault in the background is in force": (
        Bed(), plan(fault("cut", hold_s=None), wait("w", "cut", for_s=9), MEND), 3,
    ),
    "a fault waits for its next try": (
        refusing(), plan(fault("cut", retry=retry(3, delay_s=10)), MEND), 5,
    ),
    "a fault is in force after a try that failed": (
        refusing(), plan(fault("cut", hold_s=60, retry=retry(3, delay_s=2)), MEND), 9,
    ),
    "a gate is waited for": (Bed(), plan(gate("gate", until="1 > 2"), expect("c", "gate")), 5),
    "a condition to stop is about to come true": (
        breaking(), plan(fault("cut", hold_s=60), stop_when=(rule(f"!{GOOD}", hold_s=5),)), 5,
    ),
    "a scenario runs as a step": (Bed(), plan(child("inner"), expect("c", "inner")), 5),
    "an action is repeated": (Bed(), plan(act("do", every_s=1, times=9), expect("c", "do")), 5),
}  # fmt: skip


@pytest.mark.parametrize("moment", PLANS)
def test_whoever_sweeps_undoes_everything_and_ends_what_was_under_way(moment: str) -> None:
    @virtual
    async def story() -> None:
        bed, planned, dies_s = PLANS[moment]

        ended, left = await swept(bed, planned, dies_s=dies_s)

        assert left.kit.board.in_force == []
        assert ended.outstanding == ()
        assert (ended.verdict, ended.reason) == (Verdict.COULD_NOT_RUN, GONE)
        assert {state.outcome for state in ended.steps.values()} <= {
            Outcome.CANCELLED, Outcome.DONE,
        }  # fmt: skip
        assert "mend" not in ended.steps

    story()


@virtual
async def test_a_sweep_says_what_nobody_did_on_failure() -> None:
    planned = plan(fault("cut", hold_s=60), MEND, remedy(act("tell")))

    ended, left = await swept(Bed(), planned, dies_s=3)

    assert ended.notes == (f"not run, as {GONE}: 'mend', 'tell' of on_failure",)
    assert left.kit.board.done("begin") == []


@virtual
async def test_a_sweep_ends_what_was_done_on_failure_and_keeps_to_one_verdict() -> None:
    planned = plan(expect("c", that="1 > 2"), remedy(act("mend", takes_s=9)), remedy(act("tell")))

    ended, left = await swept(Bed(), planned, dies_s=3)

    noted = [e for e in await left.events(ended.id) if isinstance(e, Noted)]
    assert [note.text for note in noted] == [f"not run, as {GONE}: 'tell' of on_failure"]
    assert ended.verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_a_gate_that_opens_just_as_its_worker_dies_leaves_nothing_begun() -> None:
    planned = plan(gate("gate", within_s=10, hold_s=3), fault("cut", "gate", timeout=seconds(60)))

    ended, left = await swept(Bed(), planned, dies_s=3)

    assert left.kit.board.in_force == []
    assert ended.outstanding == ()
