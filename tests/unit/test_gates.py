"""Conditions of steps, gates, and what must be the case before the steps."""

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
    before,
    ended_s,
    expect,
    fault,
    gate,
    outcomes,
    plan,
    remedy,
    times,
    wait,
    when,
)
from support.virtual_time import virtual
from test_coordination.application.capabilities import ProbeFailedError
from test_coordination.domain.events import Outcome, StepStarted
from test_coordination.domain.steps import ErrorPolicy, Otherwise
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
