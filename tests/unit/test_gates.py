"""Conditions of steps, gates, and what is skipped for their sake."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from support.engine_fakes import shows
from support.engine_plans import (
    ABORT,
    GOOD,
    HOUR,
    PROBE,
    Bed,
    act,
    after,
    before,
    ended_s,
    expect,
    fault,
    gate,
    outcomes,
    plan,
    remedy,
    stop,
    times,
    wait,
    when,
)
from support.virtual_time import virtual
from test_coordination.application.capabilities import ProbeFailedError
from test_coordination.domain.events import Outcome, StepStarted
from test_coordination.domain.steps import ErrorPolicy, Mode, Otherwise
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Severity, Verdict

DARK = ProbeFailedError(cause="dark")
GATE, CUT = StepId("gate"), StepId("cut")


@virtual
async def test_a_step_whose_condition_is_false_is_skipped_and_satisfies_what_needs_it() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(fault("cut", condition=when("1 > 2")), wait("w", "cut"), expect("c", "w"))
    )

    cut = ended.steps[CUT]
    assert (cut.outcome, cut.code) == (Outcome.SKIPPED, "if.false")
    assert bed.kit.off.tries.total() == 0
    assert outcomes(ended)["w"] is Outcome.DONE
    assert StepStarted(step=CUT) not in await bed.events(ended.id)
    assert ended.verdict is Verdict.HELD


@virtual
async def test_a_condition_is_evaluated_when_the_turn_of_its_step_has_come() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(0)), (3, shows(1))]

    ended = await bed.run(
        plan(
            act("early", condition=when(GOOD)),
            wait("w", for_s=4),
            act("late", "w", condition=when(f"{GOOD} && steps.early.outcome == 'skipped'")),
        )
    )

    assert outcomes(ended) == {
        "early": Outcome.SKIPPED, "w": Outcome.DONE, "late": Outcome.DONE,
    }  # fmt: skip


@virtual
async def test_a_condition_waits_for_the_first_look_of_its_probe() -> None:
    bed = Bed()
    bed.kit.dial.slow_s["p"] = 1.5

    ended = await bed.run(plan(fault("cut", condition=when(GOOD))))

    assert times(ended, "cut") == (1.5, 6.5)


@virtual
async def test_a_condition_without_a_value_fails_its_step() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, DARK)]

    ended = await bed.run(plan(fault("cut", condition=when(GOOD))))

    assert ended.steps[CUT].code == "expression.missing_value"
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert bed.kit.off.tries.total() == 0


@virtual
async def test_a_condition_on_a_probe_that_never_answers_is_given_up() -> None:
    bed = Bed()
    bed.kit.dial.slow_s["p"] = 1e6
    patient = replace(PROBE, timeout=HOUR)

    ended = await bed.run(plan(fault("cut", condition=when(GOOD)), probes=(patient,)))

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended_s(ended) == 10.0


@virtual
async def test_abort_while_a_condition_waits_for_a_look_ends_its_step_unbegun() -> None:
    bed = Bed()
    bed.kit.dial.slow_s["p"] = 1.8

    async with bed.running(plan(act("do", condition=when(GOOD)))) as recorder:
        await anyio.sleep(1)
        await recorder.record(ABORT)
    ended = recorder.state

    assert outcomes(ended) == {"do": Outcome.CANCELLED}
    assert bed.kit.board.done("begin") == []
    assert ended_s(ended) == 1.0


@virtual
async def test_a_bug_in_a_condition_is_the_failure_of_its_step() -> None:
    bed = Bed()

    ended = await bed.run(plan(act("do", condition=when("1 / 0 == 1"))))

    assert ended.steps[StepId("do")].code == "expression.failed"


@virtual
async def test_a_gate_opens_once_its_condition_has_been_true_for_long_enough() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [
        (0, DARK), (1, shows(0)), (2, shows(1)), (4, DARK), (5, shows(1)),
    ]  # fmt: skip

    ended = await bed.run(plan(gate("gate", within_s=10, hold_s=3), wait("w", "gate")))

    assert times(ended, "gate") == (0.0, 8.0)
    assert ended.steps[GATE].facts == {"opened": True}
    assert outcomes(ended)["w"] is Outcome.DONE


@pytest.mark.parametrize(
    ("opens_s", "outcome"), [(8, Outcome.DONE), (8.5, Outcome.FAILED), (9, Outcome.FAILED)]
)
def test_a_gate_may_open_at_the_last_moment_and_no_later(opens_s: float, outcome: Outcome) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        until = f"execution.elapsed >= duration('{opens_s}s')"

        ended = await bed.run(plan(gate("gate", until=until, within_s=10, hold_s=2)))

        assert ended.steps[GATE].outcome is outcome
        assert ended_s(ended) == 10.0

    story()


@virtual
async def test_a_gate_on_nothing_that_is_sampled_opens_to_the_moment() -> None:
    ended = await Bed().run(plan(gate("gate", until="1 < 2", hold_s=1.25)))

    assert times(ended, "gate") == (0.0, 1.25)


@virtual
async def test_a_gate_that_stays_shut_fails_with_a_sentence() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(0))]

    ended = await bed.run(plan(gate("gate", within_s=5, hold_s=2), wait("w", "gate")))

    state = ended.steps[GATE]
    assert (state.outcome, state.code) == (Outcome.FAILED, "gate.shut")
    assert state.error == f"{GOOD!r} was not true for 2s within 5s"
    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert "w" not in ended.steps
    assert ended_s(ended) == 5.0


@virtual
async def test_a_gate_that_stays_shut_may_be_passed_all_the_same() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(0))]

    ended = await bed.run(
        plan(gate("gate", within_s=5, otherwise=Otherwise.CONTINUE), wait("w", "gate"))
    )

    assert ended.steps[GATE].facts == {"opened": False}
    assert outcomes(ended) == dict.fromkeys(["gate", "w"], Outcome.DONE)


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


@virtual
async def test_an_execution_that_is_not_to_start_is_stopped_and_says_so() -> None:
    bed = Bed()
    start = before(gate("start", until="1 > 2", within_s=60, otherwise=Otherwise.SKIP))

    ended = await bed.run(plan(start, before(expect("pre.a", "start")), fault("cut", "pre.a")))

    assert ended.verdict is Verdict.STOPPED
    assert ended.reason == (
        "nothing was begun, for it was not the time to start: '1 > 2' was not true within 1m"
    )
    assert bed.kit.off.tries.total() == 0
    assert ended_s(ended) == 60.0


@pytest.mark.parametrize("otherwise", [Otherwise.FAIL, Otherwise.CONTINUE])
def test_the_start_may_also_fail_or_go_on(otherwise: Otherwise) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        start = before(gate("start", until="1 > 2", within_s=60, otherwise=otherwise))

        ended = await bed.run(plan(start, expect("well", "start")))

        held = otherwise is Otherwise.CONTINUE
        assert ended.verdict is (Verdict.HELD if held else Verdict.COULD_NOT_RUN)

    story()


@virtual
async def test_nothing_is_injected_where_a_precondition_does_not_hold() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(
            before(expect("pre.ready", that="1 > 2")),
            before(expect("before.well", "pre.ready")),
            fault("cut", "before.well"),
        )
    )

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.reason.startswith(
        "nothing was injected, for precondition 'ready' is broken (observed 1, expected > 2"
    )
    assert bed.kit.off.tries.total() == 0


@virtual
async def test_an_informative_precondition_keeps_nothing_from_beginning() -> None:
    ended = await Bed().run(
        plan(
            before(expect("pre.nice", that="1 > 2", checked={"severity": Severity.INFO})),
            expect("well", "pre.nice"),
        )
    )

    assert ended.verdict is Verdict.HELD


@virtual
async def test_a_gate_that_failed_may_be_ignored() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(
            gate("gate", until="1 > 2", within_s=1, on_error=ErrorPolicy.IGNORE),
            expect("well", "gate"),
            remedy(act("mend")),
        )
    )

    assert ended.verdict is Verdict.HELD
    assert "mend" not in ended.steps
