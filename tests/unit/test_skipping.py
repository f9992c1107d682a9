"""What is skipped, and what is skipped for its sake."""

from __future__ import annotations

from support.engine_fakes import failed, shows
from support.engine_plans import (
    GOOD,
    Bed,
    act,
    after,
    expect,
    fault,
    gate,
    plan,
    stop,
    times,
    wait,
    when,
)
from support.virtual_time import virtual
from test_coordination.domain.steps import ErrorPolicy, Mode, Otherwise
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

CUT = StepId("cut")


@virtual
async def test_a_gate_that_stays_shut_may_skip_all_that_needs_it() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(0))]

    ended = await bed.run(
        plan(
            gate("gate", within_s=5, otherwise=Otherwise.SKIP),
            fault("cut", "gate"),
            expect("back", "cut", checked={"after_fault": CUT}),
            act("beside"),
            expect("well", "beside"),
            after(expect("after.well", "gate", "cut", "back", "beside", "well")),
        )
    )

    assert {name: state.code for name, state in ended.steps.items() if state.code} == {
        "gate": "gate.shut", "cut": "needs.skipped", "back": "needs.skipped",
    }  # fmt: skip
    assert ended.steps[StepId("back")].error == "step 'cut', which it needs, was skipped"
    assert [v.step for v in ended.validations] == ["well", "after.well"]
    assert ended.verdict is Verdict.HELD
    assert bed.kit.off.tries.total() == 0


@virtual
async def test_a_gate_that_stays_shut_skips_its_own_copy_and_not_those_that_queue_behind() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(0)), (8, shows(1))]
    ahead = ("gate.1", "cut.1")

    ended = await bed.run(
        plan(
            gate("gate.1", within_s=5, otherwise=Otherwise.SKIP),
            fault("cut.1", "gate.1"),
            gate("gate.2", *ahead, queued=frozenset(map(StepId, ahead)), within_s=5),
            fault("cut.2", "gate.2"),
            expect("back", "cut.2", that="1 > 2"),
        )
    )

    assert ended.steps[StepId("cut.1")].code == "needs.skipped"
    assert times(ended, "gate.2") == (5.0, 8.0)
    assert bed.kit.board.times("inject") == [8.0]
    assert ended.verdict is Verdict.BROKEN


@virtual
async def test_what_is_about_a_step_that_was_skipped_is_skipped_and_no_further() -> None:
    bed = Bed()
    never = when("1 > 2")
    during = {"mode": Mode.ALWAYS, "during": CUT}

    ended = await bed.run(
        plan(
            fault("cut", condition=never),
            expect("back", "cut", checked={"after_fault": CUT}),
            expect("well", that=GOOD, checked=during, beside=["cut"]),
            expect("last", "back", "well"),
        )
    )

    assert {name: state.code for name, state in ended.steps.items()} == {
        "cut": "if.false", "back": "subject.skipped", "well": "subject.skipped", "last": "",
    }  # fmt: skip
    assert [v.step for v in ended.validations] == ["last"]
    assert ended.verdict is Verdict.HELD
    assert ended.reason.endswith("every fault is undone; skipped: 'cut', 'back', 'well'")


@virtual
async def test_what_was_skipped_or_failed_without_a_say_is_told_with_the_verdict() -> None:
    bed = Bed()
    bed.kit.note.error = failed()
    never = when("1 > 2")

    ended = await bed.run(
        plan(
            *(wait(name, condition=never) for name in "abcde"),
            act("do", fails=True, on_error=ErrorPolicy.IGNORE),
            expect("well"),
        )
    )

    assert ended.reason == (
        "all 1 checks held, and every fault is undone; skipped: 'a', 'b', 'c' and 2 more; "
        "failed and ignored: 'do'"
    )


@virtual
async def test_a_check_is_skipped_when_its_turn_has_come_and_not_before() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(
            fault("cut", condition=when("1 > 2")),
            wait("w", for_s=3),
            expect("back", "cut", "w", checked={"after_fault": CUT}),
            expect("last", "back"),
        )
    )

    assert times(ended, "back") == (3.0, 3.0)
    assert times(ended, "last")[0] == 3.0


@virtual
async def test_a_check_about_several_faults_is_judged_if_one_of_them_was_held() -> None:
    bed = Bed()
    cuts = (StepId("cuts.1"), StepId("cuts.2"))
    planned = plan(
        fault("cuts.1", condition=when("1 > 2")),
        wait("w", for_s=2),
        fault("cuts.2", "w", hold_s=3),
        expect("back", *cuts, checked={"after_fault": StepId("cuts")}),
        expect("during", that=GOOD, checked={"during": StepId("cuts"), "mode": Mode.ALWAYS},
               beside=cuts),
        groups={StepId("cuts"): cuts},
    )  # fmt: skip

    ended = await bed.run(planned)

    back = next(v for v in ended.validations if v.step == "back")
    assert back.began_at == ended.faults[cuts[1]].reverted_at
    assert times(ended, "during")[0] == 2.0
    assert len(ended.validations) == 2


@virtual
async def test_a_check_counts_from_the_last_undo_and_not_from_what_was_skipped_or_written() -> None:
    bed = Bed()
    bed.log.slow_s = {"FaultReverted": 0.5}
    cuts = (StepId("cuts.1"), StepId("cuts.2"))
    planned = plan(
        fault("cuts.1", hold_s=3),
        wait("w", for_s=5),
        fault("cuts.2", "w", condition=when("1 > 2")),
        expect("back", *cuts, checked={"after_fault": StepId("cuts")}),
        groups={StepId("cuts"): cuts},
    )

    ended = await bed.run(planned)

    (back,) = ended.validations
    assert back.began_at == ended.faults[cuts[0]].reverted_at
    assert times(ended, "back")[0] == 5.0


@virtual
async def test_a_check_about_a_fault_that_found_nothing_to_hit_is_skipped() -> None:
    bed = Bed()
    planned = plan(expect("back", checked={"after_fault": CUT}), expect("well"), groups={CUT: ()})

    ended = await bed.run(planned)

    assert ended.steps[StepId("back")].code == "subject.skipped"
    assert ended.verdict is Verdict.HELD


@virtual
async def test_a_stop_that_is_skipped_leaves_what_it_names_to_end_with_the_rest() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(
            act("load", every_s=1, times=None, background=True),
            gate("gate", "load", until="1 > 2", within_s=3, otherwise=Otherwise.SKIP),
            stop("halt", "gate", of=["load"]),
            wait("w", for_s=5),
        )
    )

    assert ended.steps[StepId("halt")].code == "needs.skipped"
    assert times(ended, "load")[1] == 5.0
