"""Steps that are tried again, and actions that are repeated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import Hang, failed, shows
from support.engine_plans import (
    ABORT,
    Bed,
    act,
    child,
    ended_s,
    expect,
    fault,
    look,
    named,
    outcomes,
    plan,
    retry,
    seconds,
    stop,
    times,
    wait,
)
from support.virtual_time import virtual
from test_coordination.application.capabilities import ActionFailedError, ProbeFailedError
from test_coordination.domain.events import (
    Entry,
    FaultArmed,
    FaultReverted,
    Noted,
    Outcome,
    StepRetried,
)
from test_coordination.domain.execution import FaultStatus
from test_coordination.domain.plan import Plan
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

CUT, DO = StepId("cut"), StepId("do")
ALL_HELD = "all 1 checks held, and every fault is undone"
REFUSED = ActionFailedError(action="note", cause="refused")


@virtual
async def test_a_step_is_tried_again_after_a_delay_that_grows() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED

    ended = await bed.run(plan(act("do", fails=True, retry=retry(4, delay_s=2, backoff=3))))

    assert bed.kit.board.times("begin") == [0.0, 2.0, 8.0, 26.0]
    assert ended.steps[DO].attempts == 4
    assert ended.reason == "step 'do' failed: note failed: refused"
    retried = [e for e in await bed.events(ended.id) if isinstance(e, StepRetried)]
    assert [(e.attempt, e.delay) for e in retried] == [
        (1, seconds(2)), (2, seconds(6)), (3, seconds(18)),
    ]  # fmt: skip
    assert {(e.error, e.code) for e in retried} == {("note failed: refused", "action.failed")}


@virtual
async def test_a_fault_that_did_not_bite_is_undone_before_it_is_tried_again() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", failed("injecting"), failed("injecting"))

    ended = await bed.run(plan(fault("cut", retry=retry(3, delay_s=2))))

    assert bed.kit.board.times("inject") == [0.0, 2.0, 4.0]
    assert bed.kit.board.times("revert") == [0.0, 2.0, 9.0]
    assert (ended.faults[CUT].bitten, ended.faults[CUT].status) == (True, FaultStatus.REVERTED)
    assert outcomes(ended) == {"cut": Outcome.DONE}
    kinds = [type(e) for e in await bed.events(ended.id)]
    assert kinds.count(FaultArmed) == kinds.count(FaultReverted) == 3


@virtual
async def test_a_fault_that_cannot_be_armed_is_tried_again() -> None:
    bed = Bed()
    bed.kit.off.trouble("arm", failed("arming"))

    ended = await bed.run(plan(fault("cut", retry=retry(2))))

    assert bed.kit.off.tries["arm"] == 2
    assert outcomes(ended) == {"cut": Outcome.DONE}


@pytest.mark.parametrize("on_error", list(ErrorPolicy))
def test_a_fault_that_cannot_be_undone_is_never_tried_again(on_error: ErrorPolicy) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        bed.kit.off.always("inject", failed("injecting"))
        bed.kit.off.always("revert", failed("reverting"))

        ended = await bed.run(
            plan(fault("cut", retry=retry(9), on_error=on_error), wait("w", "cut"))
        )

        assert bed.kit.off.tries["inject"] == 1
        assert ended.verdict is Verdict.RESIDUE
        assert (ended.steps[CUT].attempts, ended.steps[CUT].code) == (1, "fault.failed")
        assert "w" not in ended.steps

    story()


@virtual
async def test_a_fault_that_bit_is_not_tried_again_whatever_its_undo_says() -> None:
    bed = Bed()
    bed.kit.off.always("revert", failed("reverting"))

    ended = await bed.run(plan(fault("cut", hold_s=1, retry=retry(5))))

    assert bed.kit.off.tries["inject"] == 1
    assert ended.verdict is Verdict.RESIDUE


@virtual
async def test_the_timeout_is_for_all_tries_together() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED

    ended = await bed.run(
        plan(act("do", fails=True, retry=retry(100, delay_s=4), timeout=seconds(10)))
    )

    assert bed.kit.board.times("begin") == [0.0, 4.0, 8.0]
    assert times(ended, "do")[1] == 10.0
    assert ended.steps[DO].code == "step.timeout"


@virtual
async def test_a_delay_grows_to_the_timeout_and_no_further() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED

    ended = await bed.run(plan(act("do", fails=True, retry=retry(100, delay_s=1, backoff=1e300))))

    assert ended.steps[DO].code == "step.timeout"
    assert ended_s(ended) == 3600.0


@virtual
async def test_a_bug_is_not_tried_again() -> None:
    bed = Bed()
    bed.kit.note.error = KeyError("pid")

    ended = await bed.run(plan(act("do", fails=True, retry=retry(3))))

    assert bed.kit.board.times("begin") == [0.0]
    assert ended.steps[DO].code == "internal"


@virtual
async def test_abort_during_a_delay_ends_the_step_at_once() -> None:
    bed = Bed()
    bed.kit.off.always("inject", failed("injecting"))

    async with bed.running(plan(fault("cut", retry=retry(5, delay_s=60)))) as recorder:
        await anyio.sleep(10)
        await recorder.record(ABORT)
    ended = recorder.state

    assert (ended_s(ended), ended.verdict) == (10.0, Verdict.STOPPED)
    assert outcomes(ended) == {"cut": Outcome.CANCELLED}
    assert (bed.kit.off.tries["inject"], bed.kit.board.in_force) == (1, [])


@virtual
async def test_nothing_is_injected_again_before_its_new_receipt_is_recorded() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", failed("injecting"))
    armed = 0

    async def slow(entries: Sequence[Entry]) -> None:
        nonlocal armed
        if any(isinstance(entry.event, FaultArmed) for entry in entries):
            armed += 1
            await anyio.sleep(5 if armed == 2 else 0)

    bed.log.before = slow

    await bed.run(plan(fault("cut", hold_s=1, retry=retry(2))))

    assert bed.kit.board.times("inject") == [0.0, 5.0]


@virtual
async def test_a_look_is_tried_again_and_what_it_saw_is_known_to_what_follows() -> None:
    bed = Bed()
    dark = iter([ProbeFailedError(cause="dark")])
    bed.kit.dial.scripts["q"] = lambda: next(dark, None) or shows(1)

    ended = await bed.run(
        plan(
            look("see", dial="q", retry=retry(2, delay_s=1)),
            expect("saw", "see", that="steps.see.result.value == 1.0"),
        )
    )

    assert ended.steps[StepId("see")].facts == {"ok": True, "value": 1.0}
    assert times(ended, "see")[1] == 1.0
    assert ended.verdict is Verdict.HELD


@virtual
async def test_a_scenario_is_tried_again_unless_it_left_a_fault_in_force() -> None:
    again, never = Bed(), Bed()
    again.inner.verdicts = [Verdict.COULD_NOT_RUN, Verdict.HELD]
    never.inner.verdicts = [Verdict.RESIDUE, Verdict.HELD]

    held = await again.run(plan(child("inner", retry=retry(2, delay_s=1))))
    left = await never.run(plan(child("inner", retry=retry(2, delay_s=1))))

    assert (held.verdict, len(again.inner.begun)) == (Verdict.HELD, 2)
    assert (left.verdict, len(never.inner.begun)) == (Verdict.RESIDUE, 1)


@virtual
async def test_an_action_is_repeated_from_begin_to_begin() -> None:
    bed = Bed()

    ended = await bed.run(plan(act("do", takes_s=0.75, every_s=2, times=3)))

    assert bed.kit.board.times("begin") == [0.0, 2.0, 4.0]
    assert ended.steps[DO].facts == {"runs": 3, "missed": 0, "last": {"name": "do"}}
    assert ended_s(ended) == 4.75


@virtual
async def test_an_action_that_is_repeated_once_is_told_as_one_that_is_repeated() -> None:
    ended = await Bed().run(plan(act("do", every_s=1, times=1)))

    assert ended.steps[DO].facts == {"runs": 1, "missed": 0, "last": {"name": "do"}}


@virtual
async def test_turns_that_a_long_run_misses_are_left_out_and_counted() -> None:
    bed = Bed()

    ended = await bed.run(plan(act("do", takes_s=2.5, every_s=1, times=3)))

    assert bed.kit.board.times("begin") == [0.0, 3.0, 6.0]
    assert named(ended.steps[DO].facts, "runs", "missed") == (3, 4)


@virtual
async def test_a_run_that_ends_when_the_next_turn_begins_misses_none() -> None:
    bed = Bed()

    ended = await bed.run(plan(act("do", takes_s=2, every_s=1, times=2)))

    assert bed.kit.board.times("begin") == [0.0, 2.0]
    assert ended.steps[DO].facts["missed"] == 1


@virtual
async def test_a_run_that_fails_is_tried_again_and_then_ends_the_step() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED

    ended = await bed.run(
        plan(act("do", fails=True, every_s=10, times=3, retry=retry(2, delay_s=1)))
    )

    assert bed.kit.board.times("begin") == [0.0, 1.0]
    assert ended.verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_runs_that_fail_are_counted_where_failures_are_ignored() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED

    ended = await bed.run(
        plan(act("do", fails=True, every_s=1, times=3, on_error=ErrorPolicy.IGNORE), expect("c"))
    )

    assert ended.steps[DO].facts == {
        "runs": 3, "missed": 0, "failed": 3, "error": "note failed: refused", "last": {},
    }  # fmt: skip
    assert (ended.verdict, ended.notes) == (Verdict.HELD, ())


@virtual
async def test_an_action_without_a_pace_is_repeated_without_haste() -> None:
    bed = Bed()

    ended = await bed.run(plan(act("do", times=3)))

    assert bed.kit.board.times("begin") == [0.0, 0.05, 0.1]
    assert ended.steps[DO].facts["runs"] == 3


async def cut_off(bed: Bed, planned: Plan, *, at_s: float) -> None:
    """Run a plan whose log goes away at that second, and does not come back."""
    async with bed.running(planned):
        await anyio.sleep(at_s)
        bed.log.away = True


@virtual
async def test_a_log_that_is_gone_is_no_failure_to_be_tried_again() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", Hang(seconds=1))

    with pytest.raises(ExceptionGroup):
        await cut_off(bed, plan(fault("cut", retry=retry(5))), at_s=0.5)

    assert bed.kit.off.tries["inject"] == 1
    assert bed.kit.board.in_force == []


@virtual
async def test_a_log_that_goes_away_between_two_runs_ends_the_repetition() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED
    again = act("do", fails=True, every_s=1, times=9, retry=retry(2), on_error=ErrorPolicy.IGNORE)

    with pytest.raises(ExceptionGroup):
        await cut_off(bed, plan(again), at_s=2.5)

    assert bed.kit.board.times("begin")[-1] < 4


@pytest.mark.parametrize(
    ("on_error", "verdict", "reason"),
    [
        (ErrorPolicy.FAIL, Verdict.COULD_NOT_RUN, "step 'do' failed: note failed: refused"),
        (
            ErrorPolicy.CONTINUE,
            Verdict.COULD_NOT_RUN,
            "step 'do' failed, and the others went on: note failed: refused",
        ),
        (ErrorPolicy.IGNORE, Verdict.HELD, f"{ALL_HELD}; failed and ignored: 'do'"),
    ],
)
def test_what_a_failure_means_is_the_authors_choice(
    on_error: ErrorPolicy, verdict: Verdict, reason: str
) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        bed.kit.note.error = REFUSED

        ended = await bed.run(plan(act("do", fails=True, on_error=on_error), expect("well", "do")))

        ignored = "step 'do' failed, which is ignored: note failed: refused"
        notes = [e.text for e in await bed.events(ended.id) if isinstance(e, Noted)]
        assert (ended.verdict, ended.reason) == (verdict, reason)
        assert ("well" in ended.steps) == (on_error is not ErrorPolicy.FAIL)
        assert notes == ([ignored] if on_error is ErrorPolicy.IGNORE else [])

    story()


@virtual
async def test_a_check_after_a_fault_that_failed_counts_from_the_end_of_its_step() -> None:
    bed = Bed()
    bed.kit.off.trouble("arm", failed("arming"))

    ended = await bed.run(
        plan(
            wait("w", for_s=2),
            fault("cut", "w", on_error=ErrorPolicy.IGNORE),
            expect("back", "cut", checked={"after_fault": CUT, "within": timedelta(seconds=3)}),
        )
    )

    (back,) = ended.validations
    assert back.took == timedelta(0)
    assert ended.verdict is Verdict.COULD_NOT_RUN  # nothing was there to be survived


@virtual
async def test_a_check_that_failed_and_is_ignored_has_no_say() -> None:
    bed = Bed()
    slow = {"within": timedelta(seconds=60)}

    ended = await bed.run(
        plan(
            expect(
                "well", that="1 > 2", checked=slow, timeout=seconds(2), on_error=ErrorPolicy.IGNORE
            ),
            expect("sound"),
            stop("halt", of=[]),
        )
    )

    assert ended.verdict is Verdict.HELD
    assert [v.check for v in ended.validations] == ["sound"]
