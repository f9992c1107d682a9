"""What is decided of steps that another worker has begun, from the log alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.engine_fakes import NumberedIdentities
from support.engine_plans import (
    ABORT,
    act,
    child,
    expect,
    fault,
    gate,
    look,
    plan,
    remedy,
    retry,
    seconds,
    step,
    stop,
    wait,
)
from support.virtual_time import at
from test_coordination.application.engine.continuing import settled
from test_coordination.application.engine.readiness import LIFTED
from test_coordination.domain.events import (
    CheckJudged,
    Entry,
    Event,
    ExecutionPaused,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    FaultNotInjected,
    FaultReverted,
    FaultRevertFailed,
    Noted,
    Outcome,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import PlannedStep, SnapshotWork
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Finding, Phase

NEW = NumberedIdentities()
SELF, ME, OTHER = ExecutionId(NEW.new()), WorkerId(NEW.new()), WorkerId(NEW.new())
A = StepId("a")
ARMED = FaultArmed(step=A, fault="switch.off", service=ServiceName("shop"), receipt=Receipt("shop"))
INJECTED, REVERTED = FaultInjected(step=A, evidence={}), FaultReverted(step=A, evidence={})
NOT_INJECTED = FaultNotInjected(step=A, reason="it did not bite", code="fault.failed")
STUCK = FaultRevertFailed(step=A, reason="it is stuck", code="fault.failed")
GONE = ExecutionTakenOver(worker=OTHER, reason="it left", continues=True)
RETRIED = StepRetried(step=A, attempt=1, error="no", code="c", delay=seconds(2))


def becomes(
    planned: PlannedStep, *story: Event | float, others: tuple[PlannedStep, ...] = ()
) -> tuple[Event, ...]:
    """Return what is recorded of ``planned`` after ``story``; numbers are seconds that pass."""
    started = StepStarted(step=planned.id)
    state, now = Execution(id=SELF), 0.0
    for event in (ExecutionStarted(worker=ME), started, *story):
        if isinstance(event, float):
            now += event
        else:
            state = state.apply(Entry(position=state.position + 1, at=at(now), event=event))
    return settled(plan(planned, *others), state, repeatable={"note.again"})


def ended(outcome: Outcome, error: str = "", code: str = "") -> StepEnded:
    return StepEnded(step=A, outcome=outcome, error=error, code=code)


LOST = ended(
    Outcome.FAILED,
    "its worker was gone while its fault may have been in force; it is undone",
    "worker.lost",
)
UNKNOWN = ended(
    Outcome.FAILED,
    "its worker was gone meanwhile, so whether it was done is not known",
    "step.unknown_outcome",
)


@pytest.mark.parametrize(
    "planned",
    [
        wait("a"),
        gate("a"),
        look("a"),
        expect("a"),
        child("a"),
        stop("a", of=["b"]),
        step("a", snapshot=SnapshotWork(services=(ServiceName("shop"),))),
        act("a", kind="note.again"),
        act("a", kind="note.again", every_s=1, times=3),
        act("a", times=None, every_s=1, background=True),
        fault("a"),
    ],
)
def test_what_can_be_gone_on_with_or_done_once_more_does_not_end(planned: PlannedStep) -> None:
    assert becomes(planned, GONE) == ()


@pytest.mark.parametrize("planned", [act("a"), act("a", every_s=1, times=3)])
def test_of_what_must_not_be_done_twice_it_is_not_known_whether_it_was(
    planned: PlannedStep,
) -> None:
    assert becomes(planned, GONE) == (UNKNOWN,)


def test_what_is_ignored_is_told_all_the_same() -> None:
    ignored = becomes(act("a", on_error=ErrorPolicy.IGNORE), GONE)
    mended = becomes(remedy(act("a")), GONE)

    assert ignored[0] == mended[0] == UNKNOWN
    assert isinstance(ignored[1], Noted)
    assert "which is ignored" in ignored[1].text
    assert isinstance(mended[1], Noted)
    assert "of on_failure failed" in mended[1].text


@pytest.mark.parametrize(
    "story",
    [
        (ARMED, GONE, REVERTED),
        (ARMED, INJECTED, GONE, REVERTED),
        (ARMED, INJECTED, 9.0, GONE, REVERTED),
        (ARMED, NOT_INJECTED, GONE, REVERTED),
        (ARMED, INJECTED, 4.9, REVERTED, GONE),
        (ARMED, REVERTED, GONE),
    ],
)
def test_a_fault_of_which_it_is_not_known_how_long_it_bit_has_failed(
    story: tuple[Event | float, ...],
) -> None:
    assert becomes(fault("a", hold_s=5), *story) == (LOST,)


def test_a_fault_whose_worker_undid_it_in_time_has_ended_well() -> None:
    assert becomes(fault("a", hold_s=5), ARMED, INJECTED, 5.0, REVERTED, GONE) == (
        ended(Outcome.DONE),
    )


def test_a_fault_without_an_end_has_ended_well_once_it_was_told_to() -> None:
    halt = stop("halt", of=["a"])
    told = (ARMED, INJECTED, StepStarted(step=StepId("halt")), REVERTED, GONE)

    assert becomes(fault("a", hold_s=None), *told, others=(halt,)) == (ended(Outcome.DONE),)
    assert becomes(
        fault("a", hold_s=None), ARMED, INJECTED, REVERTED, GONE, others=(wait("w"),)
    ) == (LOST,)


def test_a_fault_that_may_still_be_in_force_has_failed_for_that() -> None:
    assert becomes(fault("a"), ARMED, INJECTED, GONE, STUCK) == (
        ended(Outcome.FAILED, "its fault is not proven to be undone: it is stuck", "fault.residue"),
    )


def test_a_fault_that_was_undone_for_a_stop_was_cancelled() -> None:
    assert becomes(fault("a"), ARMED, INJECTED, ABORT, REVERTED, GONE) == (
        ended(Outcome.CANCELLED, "the execution was stopped"),
    )


def test_a_fault_that_a_pause_undid_was_cancelled_by_that() -> None:
    paused = ExecutionPaused(reason="look", by="ann", undo=True)
    held = replace(paused, undo=False)

    assert becomes(fault("a"), ARMED, INJECTED, paused, REVERTED, GONE) == (
        ended(Outcome.CANCELLED, "a pause undid its fault before its time", LIFTED),
    )
    assert becomes(fault("a"), ARMED, INJECTED, held, REVERTED, GONE) == (LOST,)


def test_a_fault_that_did_not_bite_fails_or_is_tried_again() -> None:
    story = (ARMED, NOT_INJECTED, REVERTED, GONE)
    again = fault("a", retry=retry(3, delay_s=2, backoff=3))

    assert becomes(fault("a"), *story) == (
        ended(Outcome.FAILED, "it did not bite", "fault.failed"),
    )
    first = StepRetried(
        step=A, attempt=1, error="it did not bite", code="fault.failed", delay=seconds(2)
    )
    second = replace(first, attempt=2, delay=seconds(6))
    assert becomes(again, *story) == (first,)
    assert becomes(again, ARMED, NOT_INJECTED, REVERTED, RETRIED, *story) == (second,)


def test_a_fault_that_was_not_armed_since_it_was_tried_last_is_tried() -> None:
    again = fault("a", retry=retry(3, delay_s=2))

    assert becomes(again, ARMED, NOT_INJECTED, REVERTED, RETRIED, GONE) == ()


def test_what_was_judged_is_over() -> None:
    validation = Validation(
        check=CheckId("a"),
        phase=Phase.DURING,
        finding=Finding.HELD,
        expression="x",
        step=A,
        observed="held",
    )
    judged = CheckJudged(validation=validation)
    other = CheckJudged(validation=replace(validation, step=StepId("b")))

    done = ended(Outcome.DONE)
    assert becomes(expect("a"), judged, GONE) == (replace(done, facts={"finding": "held"}),)
    assert becomes(child("a"), judged, GONE) == (replace(done, facts={"verdict": "held"}),)
    assert becomes(expect("a"), other, GONE) == ()
