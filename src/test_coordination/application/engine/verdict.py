"""Judge a whole execution: why it stops, what its verdict is, and what ends its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from test_coordination.application.engine.readiness import GATE_SHUT, LIFTED
from test_coordination.domain.events import (
    CheckJudged,
    Event,
    ExecutionEnded,
    Noted,
    Outcome,
    StepEnded,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution, FaultStatus, StepState
from test_coordination.domain.failures import ErrorClass
from test_coordination.domain.plan import Plan, PlannedStep, ScenarioWork, Stage
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.values import CheckId, StepId
from test_coordination.domain.verdicts import Finding, Phase, Severity, Verdict, worst

PHASES: Final = {Stage.BEFORE: Phase.BEFORE, Stage.MAIN: Phase.DURING, Stage.AFTER: Phase.AFTER}

_NAMED_MAX: Final = 3
_UNKNOWN: Final = "not known and ignored"
_PRECONDITION: Final = "pre."
"""How the names of the steps begin that judge preconditions."""


def stop_reason(plan: Plan, execution: Execution) -> str:
    """Return why no further step may begin; empty if there is no reason.

    What the steps of on_failure come to is none.
    """
    stop = _stop(plan, execution)
    return stop[1] if stop else ""


def remedy(plan: Plan, execution: Execution) -> StepId | None:
    """Return the next step of on_failure to be done; None if there is none, or no reason for it.

    Ask when all else is over, the watch of the steady state included.
    """
    left = [step.id for step, state in _remedies(plan, execution) if state is None]
    if not left or execution.taken_over or judge(plan, execution)[0] is Verdict.HELD:
        return None
    return left[0]


def conclusion(plan: Plan, execution: Execution) -> tuple[Event, ...]:
    """Return the events that end the log.

    They are the steps that nobody is at any more, the checks that were never judged, a word on
    what was not done, and the verdict.
    """
    orphaned = [
        StepEnded(step=step, outcome=Outcome.CANCELLED, error=stop_reason(plan, execution))
        for step, state in execution.steps.items()
        if state.outcome is None
    ]
    missed = [CheckJudged(validation=validation) for validation in _missed(plan, execution)]
    verdict, reason = judge(plan, execution)
    ended = ExecutionEnded(verdict=verdict, reason=reason)
    return (*orphaned, *missed, *_untouched(plan, execution), ended)


def remarks(step: PlannedStep, ended: StepEnded) -> tuple[Noted, ...]:
    """Return a word on a failure that has no say in the verdict."""
    if ended.outcome is not Outcome.FAILED:
        return ()
    if step.stage is Stage.FAILURE:
        text = f"step {ended.step!r} of on_failure failed: {ended.error}"
    elif step.on_error is ErrorPolicy.IGNORE:
        text = f"step {ended.step!r} failed, which is ignored: {ended.error}"
    else:
        return ()
    return (Noted(text=text),)


def judge(plan: Plan, execution: Execution) -> tuple[Verdict, str]:
    """Return the verdict and the sentence that says why."""
    residue = execution.outstanding
    if residue:
        named = ", ".join(f"{fault.fault} on {fault.service!r}" for fault in residue)
        return Verdict.RESIDUE, f"not proven undone: {named}; run `tcoord undo` to try again"
    for step, state in _ended(plan, execution):
        if _left_residue(step, state):
            return Verdict.RESIDUE, f"step {step.id!r} failed: {state.error}"
    stop = _stop(plan, execution)
    if stop is not None:
        return stop
    failed = [
        (step, state)
        for step, state in _ended(plan, execution)
        if state.outcome is Outcome.FAILED and _counts(step)
    ]
    if failed:
        step, state = _best_known(failed)
        return _grave(state), _told(step, state, more=", and the others went on")
    validations = (*execution.validations, *_missed(plan, execution))
    verdict = worst((validation.finding, validation.severity) for validation in validations)
    because = _because(validations, verdict)
    lifted = [repr(step.id) for step, state in _ended(plan, execution) if state.code == LIFTED]
    if verdict is Verdict.HELD and lifted:
        cut = f"a pause undid the fault of {', '.join(lifted[:_NAMED_MAX])} before its time"
        return Verdict.INCONCLUSIVE, f"{because}, but {cut}"
    return verdict, because + (_silent(plan, execution) if verdict is Verdict.HELD else "")


def accepted(work: ScenarioWork) -> str:
    """Return what is asked of the verdict of another scenario, as the expression of a check."""
    verdicts = " or ".join(verdict.replace("_", " ") for verdict in work.verdicts)
    return f'verdict of "{work.scenario}" is {verdicts}'


def _stop(plan: Plan, execution: Execution) -> tuple[Verdict, str] | None:
    """Return why no further step may begin, and what verdict that means."""
    if execution.taken_over:
        return Verdict.COULD_NOT_RUN, execution.taken_over
    if execution.abort is not None:
        return Verdict.STOPPED, f"{execution.abort.by} stopped it: {execution.abort.reason}"
    failed = [
        (step, state)
        for step, state in _ended(plan, execution)
        if state.outcome is Outcome.FAILED and _is_fatal(step, state, execution)
    ]
    if failed:
        step, state = _best_known(failed)
        return _grave(state), _told(step, state)
    shut = _kept_shut(plan, execution)
    if shut:
        return Verdict.STOPPED, shut
    unexpected = _not_as_expected(execution)
    return (Verdict.COULD_NOT_RUN, unexpected) if unexpected else None


def _best_known(failed: list[tuple[PlannedStep, StepState]]) -> tuple[PlannedStep, StepState]:
    """Return the first step that failed; if there is none, the first of which it is not known."""
    return min(failed, key=lambda each: is_unknown(each[1]))


def _grave(state: StepState) -> Verdict:
    return Verdict.INCONCLUSIVE if is_unknown(state) else Verdict.COULD_NOT_RUN


def _told(step: PlannedStep, state: StepState, *, more: str = "") -> str:
    if is_unknown(state):
        return f"what became of step {step.id!r} is not known{more}: {state.error}"
    return f"step {step.id!r} failed{more}: {state.error}"


def is_unknown(state: StepState) -> bool:
    """Tell whether it is not known what became of a step; that is no failure, and no success."""
    return state.error_class is ErrorClass.UNKNOWN_OUTCOME


def _is_fatal(step: PlannedStep, state: StepState, execution: Execution) -> bool:
    """Tell whether a failure ends the execution; one that leaves a fault in force always does."""
    fault = execution.faults.get(step.id)
    if fault is not None and fault.status is not FaultStatus.REVERTED:
        return True
    return step.on_error is ErrorPolicy.FAIL or _left_residue(step, state)


def _counts(step: PlannedStep) -> bool:
    """Tell whether a failure that stops nothing is still told by the verdict.

    A fault that did not bite always is: what was to be survived has not happened.
    """
    ignored = step.on_error is ErrorPolicy.IGNORE and step.fault is None
    return step.stage is not Stage.FAILURE and not ignored


def _left_residue(step: PlannedStep, state: StepState) -> bool:
    """Tell whether a scenario that ran as this step left something in force."""
    return step.scenario is not None and state.facts.get("verdict") == Verdict.RESIDUE


def _kept_shut(plan: Plan, execution: Execution) -> str:
    """Return why the steps were not to be begun, if the gate before them is one that skips."""
    for step, state in _ended(plan, execution):
        skipped = state.outcome is Outcome.SKIPPED and state.code == GATE_SHUT
        if skipped and step.stage is Stage.BEFORE:
            return f"nothing was begun, for it was not the time to start: {state.error}"
    return ""


def _not_as_expected(execution: Execution) -> str:
    for validation in execution.validations:
        asked = validation.phase is Phase.BEFORE and validation.severity is not Severity.INFO
        if not asked or validation.finding is Finding.HELD:
            continue
        found = f"is {validation.finding} ({validation.reason})"
        if validation.step is not None and validation.step.startswith(_PRECONDITION):
            return f"nothing was injected, for precondition {validation.check!r} {found}"
        return (
            "the system was not in its steady state to begin with: "
            f"check {validation.check!r} {found}"
        )
    return ""


def _because(validations: tuple[Validation, ...], verdict: Verdict) -> str:
    wanted = {Verdict.BROKEN: (Finding.BROKEN,), Verdict.HELD: (Finding.HELD,)}.get(
        verdict, (Finding.INCONCLUSIVE, Finding.NOT_RUN)
    )
    guilty = [validation for validation in validations if validation.finding in wanted]
    if verdict is Verdict.HELD:
        return f"all {len(guilty)} checks held, and every fault is undone"
    if not guilty:
        return "nothing was checked, so nothing is known"
    first = guilty[0]
    more = f" (and {len(guilty) - 1} more)" if len(guilty) > 1 else ""
    return f"check {first.check!r} is {first.finding}: {first.reason}{more}"


def _silent(plan: Plan, execution: Execution) -> str:
    """Return a word on the steps that have no say in a verdict that all held."""
    said = ""
    kinds: dict[str, list[StepId]] = {"skipped": [], "failed and ignored": [], _UNKNOWN: []}
    for step, state in _ended(plan, execution):
        if state.outcome is Outcome.SKIPPED:
            kinds["skipped"].append(step.id)
        elif state.outcome is Outcome.FAILED:
            kinds[_UNKNOWN if is_unknown(state) else "failed and ignored"].append(step.id)
    for what, steps in kinds.items():
        named = ", ".join(map(repr, steps[:_NAMED_MAX]))
        more = f" and {len(steps) - _NAMED_MAX} more" if len(steps) > _NAMED_MAX else ""
        said += f"; {what}: {named}{more}" if steps else ""
    return said


def _missed(plan: Plan, execution: Execution) -> tuple[Validation, ...]:
    """Return the checks that were to be judged and were not, each as not run."""
    judged = {(validation.step, validation.check) for validation in execution.validations}
    asked = (validation for step in plan.steps for validation in _asked(step, execution))
    missed = (*asked, *_unwatched(plan, execution))
    return tuple(found for found in missed if (found.step, found.check) not in judged)


def _unwatched(plan: Plan, execution: Execution) -> Iterator[Validation]:
    """Yield what was watched by a worker that was gone before it could judge it."""
    begun = any(step.stage is Stage.MAIN for step, _ in _ended(plan, execution))
    if not execution.handovers or not begun:
        return
    for check in plan.watched:
        if check.severity is Severity.CRITICAL:
            yield Validation(
                check=check.id,
                phase=Phase.DURING,
                finding=Finding.NOT_RUN,
                expression=check.expression,
                severity=check.severity,
                weight=check.weight,
                reason="its worker was gone before it was judged",
            )


def _asked(step: PlannedStep, execution: Execution) -> Iterator[Validation]:
    """Yield the check that a step is to judge, as if it never had, unless it has no say."""
    state = execution.steps.get(step.id)
    why = "the execution ended before its turn came"
    if state is not None:
        ignored = state.outcome is Outcome.FAILED and step.on_error is ErrorPolicy.IGNORE
        if ignored or state.outcome is Outcome.SKIPPED:
            return
        why = f"its step did not come to its end: {state.error}" if state.error else why
    check, work = step.expect, step.scenario
    if check is not None:
        yield Validation(
            check=check.id,
            phase=PHASES[step.stage],
            finding=Finding.NOT_RUN,
            expression=check.expression,
            severity=check.severity,
            weight=check.weight,
            step=step.id,
            reason=why,
        )
    elif work is not None:
        yield Validation(
            check=CheckId(step.id),
            phase=PHASES[step.stage],
            finding=Finding.NOT_RUN,
            expression=accepted(work),
            step=step.id,
            reason=why,
        )


def _untouched(plan: Plan, execution: Execution) -> Iterator[Noted]:
    """Yield a word on steps of on_failure that nobody did, because their worker is gone."""
    left = [repr(step.id) for step, state in _remedies(plan, execution) if state is None]
    if execution.taken_over and left:
        named = ", ".join(left)
        yield Noted(text=f"not run, as {execution.taken_over}: {named} of on_failure")


def _remedies(plan: Plan, execution: Execution) -> Iterator[tuple[PlannedStep, StepState | None]]:
    for step in plan.steps:
        if step.stage is Stage.FAILURE:
            yield step, execution.steps.get(step.id)


def _ended(plan: Plan, execution: Execution) -> Iterator[tuple[PlannedStep, StepState]]:
    """Yield the steps that were begun or skipped, but for those of on_failure."""
    for step in plan.steps:
        state = execution.steps.get(step.id)
        if state is not None and step.stage is not Stage.FAILURE:
            yield step, state
