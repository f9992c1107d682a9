"""What a log says once another worker carries its execution on, and what failures are called."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.engine_fakes import NumberedIdentities
from support.engine_plans import plan, wait
from support.report_samples import held
from support.virtual_time import at
from test_coordination.adapters.rendering.markdown import render_markdown
from test_coordination.adapters.rendering.passages import step_rows
from test_coordination.domain.events import (
    Entry,
    Event,
    ExecutionReleased,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    FaultReverted,
    Outcome,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.execution import Execution, IllegalTransitionError, Status
from test_coordination.domain.failures import ErrorClass, classify
from test_coordination.domain.report import reported_steps
from test_coordination.domain.values import (
    ExecutionId,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)

NEW = NumberedIdentities()
SELF, ME, OTHER = ExecutionId(NEW.new()), WorkerId(NEW.new()), WorkerId(NEW.new())
A, B = StepId("a"), StepId("b")
STARTED = ExecutionStarted(worker=ME)
RELEASED = ExecutionReleased(reason="its worker has left")
CARRIED_ON = ExecutionTakenOver(worker=OTHER, reason="dead", continues=True)
ENDED_BY_OTHER = ExecutionTakenOver(worker=OTHER, reason="dead")


def after(*events: Event) -> Execution:
    """Return the execution after ``events``, one a second."""
    log = (Entry(position=n, at=at(n), event=event) for n, event in enumerate(events, start=1))
    return Execution.of(SELF, log)


def armed(step: StepId) -> FaultArmed:
    return FaultArmed(step=step, fault="f", service=ServiceName("shop"), receipt=Receipt("r"))


def injected(step: StepId) -> FaultInjected:
    return FaultInjected(step=step, evidence={})


def reverted(step: StepId) -> FaultReverted:
    return FaultReverted(step=step, evidence={})


def test_who_carries_an_execution_on_has_it_and_is_counted() -> None:
    once = after(STARTED, CARRIED_ON)
    twice = after(STARTED, CARRIED_ON, RELEASED, CARRIED_ON)

    assert (once.worker, once.handovers, once.resumed_at) == (OTHER, 1, at(2))
    assert (twice.worker, twice.handovers, twice.resumed_at) == (OTHER, 2, at(4))
    assert twice.taken_over == ""
    assert twice.started_at == at(1)


def test_who_only_ends_an_execution_does_not_carry_it_on() -> None:
    state = after(STARTED, ENDED_BY_OTHER)

    assert (state.worker, state.handovers, state.resumed_at) == (OTHER, 0, None)
    assert state.taken_over == "dead"


def test_what_was_let_go_of_has_no_worker() -> None:
    state = after(STARTED, RELEASED)

    assert (state.worker, state.handovers, state.taken_over) == (None, 0, "")


@pytest.mark.parametrize("event", [RELEASED, CARRIED_ON])
def test_faults_that_may_be_in_force_when_their_worker_is_gone_are_lost(event: Event) -> None:
    state = after(STARTED, armed(A), injected(A), armed(B), reverted(B), event)
    undone = after(STARTED, armed(A), injected(A), event, reverted(A))

    assert {step: fault.lost for step, fault in state.faults.items()} == {A: True, B: False}
    assert undone.faults[A].lost
    assert undone.outstanding == ()


def test_a_fault_that_is_undone_by_who_only_ends_its_execution_is_not_called_lost() -> None:
    state = after(STARTED, armed(A), injected(A), ENDED_BY_OTHER, reverted(A))

    assert not state.faults[A].lost


@pytest.mark.parametrize("event", [RELEASED, CARRIED_ON])
def test_what_was_never_begun_cannot_be_carried_on(event: Event) -> None:
    with pytest.raises(IllegalTransitionError):
        after(event)


def test_what_a_worker_refused_to_begin_waits_on_and_knows_how_often() -> None:
    refused = ExecutionReleased(reason="it knows no such fault", refused=True)
    state = after(refused, refused)

    assert (state.status, state.handovers) == (Status.PENDING, 2)
    assert state.released == "it knows no such fault"
    assert after(refused, STARTED, RELEASED).released == RELEASED.reason
    assert after(STARTED, refused).handovers == 1


def test_a_fault_knows_in_which_try_it_was_armed_and_a_step_when_the_last_one_failed() -> None:
    retried = StepRetried(step=A, attempt=1, error="no", code="c", delay=timedelta(seconds=5))
    before = after(STARTED, StepStarted(step=A), armed(A), reverted(A), retried)
    then = after(STARTED, StepStarted(step=A), armed(A), reverted(A), retried, armed(A))

    assert (before.faults[A].attempt, before.steps[A].attempts) == (1, 2)
    assert before.steps[A].retried_at == at(5)
    assert (then.faults[A].attempt, then.steps[A].attempts) == (2, 2)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("target.gone", ErrorClass.TARGET_GONE),
        ("step.timeout", ErrorClass.TIMED_OUT),
        ("target.not_privileged", ErrorClass.NOT_PRIVILEGED),
        ("step.unknown_outcome", ErrorClass.UNKNOWN_OUTCOME),
        ("worker.lost", ErrorClass.WORKER_LOST),
        ("internal", ErrorClass.OUR_BUG),
        ("fault.failed", ErrorClass.REFUSED),
        ("something.new", ErrorClass.REFUSED),
    ],
)
def test_every_code_stands_for_one_kind_of_failure(code: str, expected: ErrorClass) -> None:
    assert classify(code) is expected


@pytest.mark.parametrize(
    ("outcome", "code", "expected"),
    [
        (Outcome.FAILED, "step.unknown_outcome", ErrorClass.UNKNOWN_OUTCOME),
        (Outcome.FAILED, "", ErrorClass.REFUSED),
        (Outcome.SKIPPED, "gate.shut", None),
        (Outcome.DONE, "", None),
    ],
)
def test_a_report_says_what_kind_of_failure_a_step_came_to(
    outcome: Outcome, code: str, expected: ErrorClass | None
) -> None:
    ended = StepEnded(step=A, outcome=outcome, error="why", code=code)
    state = after(STARTED, StepStarted(step=A), ended)

    first, second = reported_steps(plan(wait("a"), wait("b")), state)
    assert (first.error_class, second.error_class) == (expected, None)


def test_what_nobody_knows_is_not_shown_as_a_failure() -> None:
    report = held()
    (first, *_) = report.steps
    unknown = replace(
        first, outcome=Outcome.FAILED, error="why", error_class=ErrorClass.UNKNOWN_OUTCOME
    )

    (row,) = step_rows(replace(report, steps=(unknown,)))
    page = render_markdown(replace(report, steps=(unknown,))).decode()
    assert (row.outcome, row.look) == ("not known", "cancelled")
    assert "| not known | why |" in page
