"""What a pause holds, what it leaves alone, and what it ends."""

from __future__ import annotations

import anyio
import pytest

from support.engine_fakes import Hang, failed, shows
from support.engine_lab import until
from support.engine_plans import (
    ABORT,
    GOOD,
    Bed,
    act,
    child,
    ended_s,
    expect,
    fault,
    gate,
    look,
    outcomes,
    plan,
    remedy,
    retry,
    seconds,
    stop,
    times,
    wait,
    when,
)
from support.virtual_time import virtual
from test_coordination.application.engine.recorder import Recorder
from test_coordination.domain.events import ExecutionPaused, ExecutionResumed, Outcome
from test_coordination.domain.plan import PlannedStep
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

RESUMED = ExecutionResumed(reason="seen", by="ann")


async def pause(recorder: Recorder, *, undo: bool = False) -> None:
    """Pause an execution as whoever hears of such a wish does."""
    paused = ExecutionPaused(reason="look", by="ann", undo=undo)
    recorder.wish(paused)
    await recorder.record(paused)


@virtual
async def test_a_wait_goes_on_while_what_comes_after_it_is_held_until_it_is_resumed() -> None:
    bed = Bed()
    async with bed.running(plan(wait("w", for_s=5), wait("next", "w"))) as recorder:
        await until(2)
        await pause(recorder)
        await until(20)
        await recorder.record(RESUMED)

    assert times(recorder.state, "w") == (0, 5)
    assert times(recorder.state, "next") == (20, 21)


@pytest.mark.parametrize(
    ("step", "ends_s"),
    [
        (act("s", takes_s=4), 4),
        (act("s", every_s=2, times=3), 4),
        (fault("s", hold_s=4), 4),
        (gate("s", until=GOOD, within_s=60, hold_s=4), 4),
        (expect("s", that=GOOD, checked={"hold": seconds(4), "within": seconds(9)}), 4),
        (look("s", dial="slow"), 4),
        (child("s"), 10),
    ],
    ids=["action", "repeated", "fault", "gate", "check", "probe", "scenario"],
)
@virtual
async def test_what_is_under_way_comes_to_its_own_end_and_nothing_follows(
    step: PlannedStep, ends_s: float
) -> None:
    bed = Bed()
    bed.kit.dial.slow_s["slow"] = 4
    async with bed.running(plan(step, wait("next", "s"))) as recorder:
        await until(0.5)
        await pause(recorder)
        await until(30)
        held = "next" not in recorder.state.steps
        await recorder.record(RESUMED)

    assert held
    assert times(recorder.state, "s") == (0, ends_s)
    assert recorder.state.steps[StepId("s")].outcome is Outcome.DONE
    assert times(recorder.state, "next") == (30, 31)


@virtual
async def test_a_fault_that_runs_until_it_is_stopped_is_held_on_though_nothing_else_runs() -> None:
    bed = Bed()
    steps = (fault("cut", hold_s=None), wait("w", for_s=3))
    async with bed.running(plan(*steps)) as recorder:
        await until(1)
        await pause(recorder)
        await until(30)
        in_force = list(bed.kit.board.in_force)
        await recorder.record(RESUMED)

    assert in_force == ["shop"]
    assert bed.kit.board.times("revert") == [30.0]


@virtual
async def test_what_a_step_stops_is_stopped_also_while_it_is_paused() -> None:
    bed = Bed()
    steps = (fault("cut", hold_s=None), wait("w"), stop("end", "w", of=["cut"]), wait("z", "end"))
    bed.kit.off.trouble("revert", Hang(seconds=4))
    async with bed.running(plan(*steps)) as recorder:
        await until(2)
        await pause(recorder)
        await until(20)
        held = "z" not in recorder.state.steps
        await recorder.record(RESUMED)

    assert bed.kit.board.times("revert") == [5.0]
    assert held


@virtual
async def test_a_pause_that_undoes_ends_the_newest_fault_first_and_nothing_is_held_by_that() -> (
    None
):
    bed = Bed()
    bed.kit.off.trouble("revert", Hang(seconds=2))
    steps = (
        fault("old", hold_s=600, service="bank"),
        fault("new", hold_s=600, kind="switch.off"),
        wait("w", for_s=12),
        expect("fine", "old", "new", "w"),
    )
    async with bed.running(plan(*steps)) as recorder:
        await until(3)
        await pause(recorder, undo=True)
        await until(20)
        await recorder.record(RESUMED)
    ended = recorder.state

    assert bed.kit.board.done("revert") == ["shop", "bank"]
    assert bed.kit.board.times("revert") == [5.0, 5.0]
    assert outcomes(ended) == {
        "old": Outcome.CANCELLED,
        "new": Outcome.CANCELLED,
        "w": Outcome.DONE,
        "fine": Outcome.DONE,
    }
    assert {ended.steps[StepId(name)].code for name in ("old", "new")} == {"pause.lifted"}
    assert times(ended, "fine")[0] == 20
    assert ended.verdict is Verdict.INCONCLUSIVE
    assert "a pause undid the fault of 'old', 'new' before its time" in ended.reason


@virtual
async def test_an_undo_of_a_pause_that_gets_nowhere_has_the_older_fault_undone_beside_it() -> None:
    bed = Bed()
    bed.kit.off.trouble("revert", Hang(seconds=30))
    steps = (
        fault("old", hold_s=600, service="bank"),
        fault("new", hold_s=600),
        wait("z", "old", "new"),
    )
    async with bed.running(plan(*steps)) as recorder:
        await until(3)
        await pause(recorder, undo=True)
        await until(60)
        await recorder.record(RESUMED)

    assert bed.kit.board.done("revert") == ["bank", "shop"]
    assert bed.kit.board.times("revert") == [13.0, 33.0]


@virtual
async def test_a_pause_may_be_made_one_that_undoes() -> None:
    bed = Bed()
    async with bed.running(plan(fault("cut", hold_s=600), wait("z", "cut"))) as recorder:
        await until(3)
        await pause(recorder)
        await until(8)
        await pause(recorder, undo=True)
        await until(20)
        await recorder.record(RESUMED)

    assert bed.kit.board.times("revert") == [8.0]


@virtual
async def test_no_timeout_runs_while_it_is_paused() -> None:
    bed = Bed()
    bed.inner.takes_s = 20
    steps = (
        child("inner", timeout=seconds(15)),
        wait("w", for_s=1),
        wait("long", "w", "inner", for_s=6),
        wait("z", "long"),
    )
    async with bed.running(plan(*steps, timeout=seconds(30))) as recorder:
        await until(5)
        await pause(recorder)
        await until(15)
        await recorder.record(RESUMED)
        await until(22)
        await pause(recorder)
        await until(100)
        await recorder.record(RESUMED)

    assert outcomes(recorder.state)[StepId("inner")] is Outcome.DONE
    assert outcomes(recorder.state)[StepId("long")] is Outcome.DONE
    assert recorder.state.abort is None


@virtual
async def test_timeouts_that_stood_still_run_on_with_what_they_had_left() -> None:
    bed = Bed()
    steps = (act("slow", takes_s=600, timeout=seconds(10)), wait("w", for_s=600))
    async with bed.running(plan(*steps)) as recorder:
        await until(4)
        await pause(recorder)
        await until(50)
        await recorder.record(RESUMED)
    second = Bed()
    async with second.running(plan(wait("w", for_s=600), timeout=seconds(10))) as other:
        await anyio.sleep(4)
        await pause(other)
        await anyio.sleep(100)
        await other.record(RESUMED)

    assert times(recorder.state, "slow") == (0, 56)
    assert recorder.state.steps[StepId("slow")].code == "step.timeout"
    assert ended_s(other.state) == ended_s(recorder.state) + 110
    assert other.state.verdict is Verdict.STOPPED


@virtual
async def test_a_step_is_not_tried_again_before_it_is_resumed() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", failed(), failed())
    step = fault("cut", hold_s=2, retry=retry(3, delay_s=1), timeout=seconds(9))
    async with bed.running(plan(step)) as recorder:
        await until(0.5)
        await pause(recorder)
        await until(60)
        tries = bed.kit.off.tries["inject"]
        await recorder.record(RESUMED)

    assert tries == 1
    assert recorder.state.steps[StepId("cut")].outcome is Outcome.DONE
    assert bed.kit.board.times("inject") == [0.0, 60.0, 61.0]


@virtual
async def test_an_action_is_not_tried_again_before_it_is_resumed_either() -> None:
    bed = Bed()
    bed.kit.note.error = failed()
    step = act("try", fails=True, retry=retry(2, delay_s=1))
    async with bed.running(plan(step)) as recorder:
        await until(0.5)
        await pause(recorder)
        await until(60)
        await recorder.record(RESUMED)

    assert bed.kit.board.times("begin") == [0.0, 60.0]


@virtual
async def test_a_step_whose_condition_is_looked_at_as_it_is_paused_is_not_begun_before() -> None:
    bed = Bed()
    bed.kit.dial.slow_s["p"] = 1
    step = fault("cut", hold_s=1, condition=when(GOOD))
    async with bed.running(plan(step)) as recorder:
        await until(0.5)
        await pause(recorder)
        await until(30)
        begun = dict(recorder.state.steps)
        await recorder.record(RESUMED)

    assert begun == {}
    assert bed.kit.board.times("inject") == [30.0]


@pytest.mark.parametrize("event", ["StepStarted", "FaultArmed"])
@virtual
async def test_a_fault_does_not_bite_that_was_only_being_written_down_as_it_was_paused(
    event: str,
) -> None:
    bed = Bed()
    bed.log.slow_s = {event: 5}
    async with bed.running(plan(fault("cut", hold_s=1))) as recorder:
        await until(2)
        await pause(recorder)
        await until(30)
        await recorder.record(RESUMED)

    assert bed.kit.board.times("inject") == [30.0]
    assert recorder.state.steps[StepId("cut")].outcome is Outcome.DONE


@virtual
async def test_to_go_on_waits_for_the_log() -> None:
    bed = Bed()
    bed.log.slow_s = {"FaultArmed": 5, "ExecutionResumed": 7}
    async with bed.running(plan(fault("cut", hold_s=1))) as recorder:
        await until(2)
        await pause(recorder)
        await until(30)
        await recorder.record(RESUMED)

    assert bed.kit.board.times("inject") == [37.0]


@virtual
async def test_a_fault_that_a_pause_is_to_undo_and_that_does_not_bite_yet_never_does() -> None:
    bed = Bed()
    bed.log.slow_s = {"FaultArmed": 5}
    async with bed.running(plan(fault("cut", hold_s=60), wait("z", "cut"))) as recorder:
        await until(2)
        await pause(recorder, undo=True)
        await until(30)
        await recorder.record(RESUMED)

    assert bed.kit.board.times("inject") == []
    assert recorder.state.steps[StepId("cut")].code == "pause.lifted"


@virtual
async def test_a_wish_to_pause_holds_what_would_begin_before_it_is_durable() -> None:
    bed = Bed()
    async with bed.running(plan(wait("w", for_s=3), fault("cut", "w"))) as recorder:
        await until(2)
        bed.log.slow_s = {"ExecutionPaused": 20}
        await pause(recorder)
        bed.log.slow_s = {}
        await until(30)
        held = bed.kit.board.done("inject")
        await recorder.record(RESUMED)

    assert held == []
    assert bed.kit.board.times("inject") == [30.0]


@virtual
async def test_what_is_paused_can_be_stopped_and_what_is_done_on_failure_is_not_held() -> None:
    bed = Bed()
    steps = (fault("cut", hold_s=600), wait("z", "cut"), remedy(act("mend", takes_s=1)))
    async with bed.running(plan(*steps)) as recorder:
        await until(3)
        await pause(recorder)
        await until(10)
        await recorder.record(ABORT)
    ended = recorder.state

    assert ended.verdict is Verdict.STOPPED
    assert bed.kit.board.times("revert") == [10.0]
    assert times(ended, "mend") == (10, 11)
    assert "z" not in ended.steps
    assert ended.steps[StepId("cut")].error == "the execution was stopped"


@virtual
async def test_a_failure_ends_what_is_paused_as_it_would_otherwise() -> None:
    bed = Bed()
    bed.kit.note.error = failed()
    steps = (fault("cut", hold_s=600), act("bad", takes_s=5, fails=True), wait("z", "bad"))
    async with bed.running(plan(*steps)) as recorder:
        await until(3)
        await pause(recorder, undo=False)

    assert recorder.state.verdict is Verdict.COULD_NOT_RUN
    assert bed.kit.board.times("revert") == [5.0]


@virtual
async def test_what_has_nothing_left_to_be_held_ends_though_it_is_paused() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(1))]
    async with bed.running(plan(wait("w", for_s=5))) as recorder:
        await until(3)
        await pause(recorder)

    assert ended_s(recorder.state) == 5
