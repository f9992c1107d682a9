"""Decide what is due: a pure function of the plan, of what happened, and of the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from test_coordination.domain.events import CheckJudged, Event, ExecutionEnded, Outcome, StepEnded
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution, FaultState, FaultStatus
from test_coordination.domain.plan import (
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedStep,
    Stage,
    WaitWork,
)
from test_coordination.domain.values import StepId, format_duration
from test_coordination.domain.verdicts import Finding, Phase, Verdict, worst

PHASES: Final = {Stage.BEFORE: Phase.BEFORE, Stage.MAIN: Phase.DURING, Stage.AFTER: Phase.AFTER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Start a step."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """End a step whose time has come: a wait is over, or a fault was held long enough."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End a step before its time; a fault is undone first."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ask for the whole execution to stop."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Record the end."""


Command: TypeAlias = Begin | Finish | Cancel | Stop | Conclude


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, and when to ask again even if nothing happens until then.

    ``watching`` tells whether the steady state is to be watched.
    """

    commands: tuple[Command, ...]
    wake_at: datetime | None
    watching: bool


def decide(plan: Plan, execution: Execution, now: datetime) -> Decision:
    """Return what is due at ``now``.

    Asking twice gives the same answer; whoever carries it out remembers what is under way.
    """
    running = [step for step in plan.steps if _is_running(step, execution)]
    if stop_reason(plan, execution):
        return _ending(running, execution)
    deadline = _deadline(plan, execution)
    if deadline is not None and now >= deadline:
        reason = f"the scenario's timeout of {format_duration(plan.timeout)} has passed"
        return Decision(commands=(Stop(reason=reason),), wake_at=None, watching=False)
    if all(_is_over(step, execution) for step in plan.steps):
        return Decision(commands=(Conclude(),), wake_at=None, watching=False)
    due = [(step, at) for step in running if (at := _ends_at(step, execution)) is not None]
    finish = [Finish(step=step.id) for step, at in due if at <= now]
    begin = [Begin(step=step.id) for step in plan.steps if _is_ready(step, execution)]
    later = [at for _, at in due if at > now]
    wake_at = min([*later, *([deadline] if deadline else [])], default=None)
    return Decision(
        commands=(*finish, *begin), wake_at=wake_at, watching=_watching(plan, execution)
    )


def stop_reason(plan: Plan, execution: Execution) -> str:
    """Return why no further step may begin; empty if there is no reason."""
    if execution.taken_over:
        return execution.taken_over
    if execution.abort is not None:
        return f"{execution.abort.by} stopped it: {execution.abort.reason}"
    for step in plan.steps:
        state = execution.steps.get(step.id)
        if state is not None and state.outcome is Outcome.FAILED:
            return f"step {step.id!r} failed: {state.error}"
    for validation in execution.validations:
        if validation.phase is Phase.BEFORE and validation.finding is not Finding.HELD:
            return (
                f"the system was not in its steady state to begin with: check "
                f"{validation.check!r} is {validation.finding} ({validation.reason})"
            )
    return ""


def conclusion(plan: Plan, execution: Execution) -> tuple[Event, ...]:
    """Return the events that end the log.

    They are the steps that nobody is at any more, the checks that were never judged, and the
    verdict.
    """
    orphaned = [
        StepEnded(step=step, outcome=Outcome.CANCELLED, error=execution.taken_over)
        for step, state in execution.steps.items()
        if state.outcome is None
    ]
    judged = {(validation.step, validation.check) for validation in execution.validations}
    missed = tuple(
        _not_run(step, check) for step, check in plan.checks() if (step.id, check.id) not in judged
    )
    verdict, reason = judge(plan, execution, missed)
    return (
        *orphaned,
        *(CheckJudged(validation=validation) for validation in missed),
        ExecutionEnded(verdict=verdict, reason=reason),
    )


def judge(
    plan: Plan, execution: Execution, missed: tuple[Validation, ...] = ()
) -> tuple[Verdict, str]:
    """Return the verdict and the sentence that says why."""
    residue = execution.outstanding
    if residue:
        named = ", ".join(f"{fault.fault} on {fault.service!r}" for fault in residue)
        return Verdict.RESIDUE, f"not proven undone: {named}; run `tcoord undo` to try again"
    stopped = stop_reason(plan, execution)
    if stopped:
        asked = execution.abort is not None and not execution.taken_over
        return (Verdict.STOPPED if asked else Verdict.COULD_NOT_RUN), stopped
    validations = (*execution.validations, *missed)
    verdict = worst((validation.finding, validation.severity) for validation in validations)
    return verdict, _because(validations, verdict)


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


def _not_run(step: PlannedStep, check: PlannedCheck) -> Validation:
    return Validation(
        check=check.id,
        phase=PHASES[step.stage],
        finding=Finding.NOT_RUN,
        expression=check.expression,
        severity=check.severity,
        step=step.id,
        reason="the execution ended before its turn came",
    )


def _ending(running: list[PlannedStep], execution: Execution) -> Decision:
    """Undo the newest fault first, one after the other; everything else ends at once."""
    faults = [step for step in running if step.fault is not None]
    others = [Cancel(step=step.id) for step in running if step.fault is None]
    ledger = list(execution.faults)
    newest = max(faults, key=lambda step: _age(step, ledger), default=None)
    commands: list[Command] = list(others)
    if newest is not None:
        commands.append(Cancel(step=newest.id))
    elif not others:
        commands.append(Conclude())
    return Decision(commands=tuple(commands), wake_at=None, watching=False)


def _age(step: PlannedStep, ledger: list[StepId]) -> int:
    """Return a fault's place in the ledger; one that is not armed is newer than all that are."""
    return ledger.index(step.id) if step.id in ledger else len(ledger)


def _is_running(step: PlannedStep, execution: Execution) -> bool:
    state = execution.steps.get(step.id)
    return state is not None and state.outcome is None


def _is_over(step: PlannedStep, execution: Execution) -> bool:
    state = execution.steps.get(step.id)
    return state is not None and state.outcome is not None


def _is_ready(step: PlannedStep, execution: Execution) -> bool:
    if step.id in execution.steps:
        return False
    return all(
        (state := execution.steps.get(need)) is not None and state.outcome is not None
        for need in step.needs
    )


def _ends_at(step: PlannedStep, execution: Execution) -> datetime | None:
    """Return when a running step is due to end by the clock alone."""
    match step.work:
        case WaitWork(duration=duration):
            return execution.steps[step.id].started_at + duration
        case FaultWork(hold=hold) if hold is not None:
            fault: FaultState | None = execution.faults.get(step.id)
            if fault is None or fault.status is not FaultStatus.INJECTED:
                return None
            assert fault.injected_at is not None, "an injected fault has its time"
            return fault.injected_at + hold
        case _:
            return None


def _deadline(plan: Plan, execution: Execution) -> datetime | None:
    return execution.started_at + plan.timeout if execution.started_at else None


def _watching(plan: Plan, execution: Execution) -> bool:
    begun = any(step.id in execution.steps for step in _of(plan, Stage.MAIN))
    over = all(_is_over(step, execution) for step in _of(plan, Stage.MAIN))
    return begun and not over


def _of(plan: Plan, stage: Stage) -> Iterator[PlannedStep]:
    return (step for step in plan.steps if step.stage is stage)
