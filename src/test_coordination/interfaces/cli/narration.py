"""Say in a line what an entry of an execution's log means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never

from test_coordination.domain.events import (
    AbortRequested,
    CheckJudged,
    Event,
    ExecutionEnded,
    ExecutionPaused,
    ExecutionReleased,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    FaultNotInjected,
    FaultReverted,
    FaultRevertFailed,
    Noted,
    Outcome,
    ResidueAccepted,
    SnapshotTaken,
    SteadyStateLeft,
    SteadyStateRegained,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.failures import ErrorClass, classify
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    GateWork,
    Plan,
    PlannedCheck,
    PlannedStep,
    ProbeWork,
    ScenarioWork,
    SnapshotWork,
    Stage,
    StopWork,
    WaitWork,
)
from test_coordination.domain.values import StepId, format_duration
from test_coordination.domain.verdicts import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is said: ``mood`` is good, bad, warn, fault or plain, and chooses the colour."""

    text: str
    mood: str = "plain"


MOODS: Final = {
    Finding.HELD: "good",
    Finding.BROKEN: "bad",
    Finding.INCONCLUSIVE: "warn",
    Finding.NOT_RUN: "warn",
}


def narrate(event: Event, plan: Plan) -> Line | None:  # noqa: C901, PLR0911, PLR0912  a case an event
    """Return what to say about ``event``; None if another event says it better."""
    match event:
        case ExecutionStarted():
            return Line(text=f"{plan.scenario} on {plan.topology}: watching {_probes(plan)}")
        case ExecutionTakenOver() | ExecutionReleased():
            return _handed_over(event)
        case StepStarted(step=step):
            return _begun(plan, step)
        case StepRetried() as retried:
            return _retried(retried, plan)
        case StepEnded() as ended:
            return _ended(ended, plan)
        case SnapshotTaken(step=step, services=services):
            return Line(text=f"{step}: state of {', '.join(services)} captured")
        case CheckJudged(validation=validation):
            return _judged(validation)
        case SteadyStateLeft(check=check):
            return Line(text=f"steady state left: {check}", mood="warn")
        case SteadyStateRegained(check=check):
            return Line(text=f"steady state regained: {check}", mood="good")
        case AbortRequested(reason=reason, by=by):
            return Line(text=f"stopping: {reason} (asked by {by})", mood="warn")
        case ExecutionPaused() | ExecutionResumed():
            return _paused(event)
        case Noted(text=text):
            return Line(text=f"note: {text}", mood="warn")
        case ExecutionEnded():
            return None
        case _:
            return _fault(event, plan)


def _handed_over(event: ExecutionTakenOver | ExecutionReleased) -> Line:
    match event:
        case ExecutionReleased(refused=True, reason=reason):
            return Line(text=f"{reason}; another worker is waited for", mood="warn")
        case ExecutionReleased(reason=reason):
            return Line(text=f"waiting for another worker: {reason}", mood="warn")
        case ExecutionTakenOver(continues=True, reason=reason):
            return Line(text=f"carried on by another worker: {reason}", mood="warn")
        case ExecutionTakenOver(reason=reason):
            return Line(text=f"taken over: {reason}", mood="warn")
        case _:
            assert_never(event)


def _paused(event: ExecutionPaused | ExecutionResumed) -> Line:
    said = f"{event.reason} (asked by {event.by})"
    match event:
        case ExecutionPaused(undo=undo):
            faults = "faults are undone" if undo else "faults in force are held on"
            return Line(text=f"paused, and {faults}: {said}", mood="warn")
        case ExecutionResumed():
            return Line(text=f"resumed: {said}")
        case _:
            assert_never(event)


def _fault(
    event: (
        FaultArmed
        | FaultInjected
        | FaultNotInjected
        | FaultReverted
        | FaultRevertFailed
        | ResidueAccepted
    ),
    plan: Plan,
) -> Line | None:
    work = plan.step(event.step).fault
    assert work is not None, "only fault steps have faults"
    name = f"{event.step}: {work.fault} on {work.service}"
    match event:
        case FaultArmed():
            return None
        case FaultInjected(evidence=evidence):
            held = f"held for {format_duration(work.hold)}" if work.hold else "held until stopped"
            return Line(text=f"{name} in force{_facts(evidence)}, {held}", mood="fault")
        case FaultNotInjected(reason=reason):
            return Line(text=f"{name} not injected: {reason}", mood="bad")
        case FaultReverted(evidence=evidence):
            return Line(text=f"{name} undone{_facts(evidence)}", mood="good")
        case FaultRevertFailed(reason=reason):
            return Line(text=f"{name} NOT PROVEN UNDONE: {reason}", mood="bad")
        case ResidueAccepted(reason=reason, by=by):
            text = f"{name} is answered for by {by}, though not proven undone: {reason}"
            return Line(text=text, mood="warn")
        case _:
            assert_never(event)


def _begun(plan: Plan, step: StepId) -> Line | None:
    planned = plan.step(step)
    doing = _doing(planned)
    remedy = "on failure, " if planned.stage is Stage.FAILURE else ""
    return Line(text=f"{step}: {remedy}{doing}") if doing else None


def _doing(step: PlannedStep) -> str:  # noqa: PLR0911  a case a kind
    """Return what a step that has begun does; empty where its end or its fault says it better."""
    match step.work:
        case WaitWork(duration=duration):
            return f"waiting for {format_duration(duration)}"
        case GateWork(condition=condition, within=within):
            limit = format_duration(within)
            return f"waiting, {limit} at most, until {_one_line(condition.expression)}"
        case ActionWork(action=action) as work:
            return f"{action}{_pace(work)}"
        case ProbeWork(kind=kind):
            return f"looking by {kind}"
        case StopWork(steps=steps):
            return f"ending {', '.join(steps)}"
        case ScenarioWork(scenario=scenario):
            return f"running the scenario {scenario}"
        case PlannedCheck(expression=expression) if step.stage is Stage.MAIN:
            return f"expecting {_one_line(expression)}"
        case PlannedCheck() | FaultWork() | SnapshotWork():
            return ""
        case never:
            assert_never(never)


def purpose(step: PlannedStep) -> str:  # noqa: PLR0911  a case a kind
    """Return what a step is there to do, as a plan tells it."""
    match step.work:
        case FaultWork(fault=fault, service=service, hold=hold):
            held = f"for {format_duration(hold)}" if hold else "until stopped"
            return f"{fault} on {service} {held}"
        case PlannedCheck(expression=expression):
            return f"expect {_one_line(expression)}"
        case WaitWork(duration=duration):
            return f"wait {format_duration(duration)}"
        case GateWork(condition=condition):
            return f"wait until {_one_line(condition.expression)}"
        case ActionWork(action=action) as work:
            return f"{action}{_pace(work)}"
        case ProbeWork(kind=kind):
            return f"look by {kind}"
        case StopWork(steps=steps):
            return f"stop {', '.join(steps)}"
        case SnapshotWork(services=services):
            return f"snapshot of {', '.join(services)}"
        case ScenarioWork(scenario=scenario):
            return f"run {scenario}"
        case never:
            assert_never(never)


def _pace(work: ActionWork) -> str:
    """Return how often an action is done, if that is not once."""
    every = f" every {format_duration(work.every)}" if work.every else ""
    if work.times is None:
        return every
    return f"{every}, {work.times} times" if work.times > 1 else every


def _ended(ended: StepEnded, plan: Plan) -> Line | None:
    if ended.outcome is Outcome.DONE:
        return _done(ended, plan.step(ended.step))
    failed = ended.outcome is Outcome.FAILED
    if failed and classify(ended.code) is ErrorClass.UNKNOWN_OUTCOME:
        return Line(text=f"{ended.step} not known: {ended.error}", mood="warn")
    mood = "bad" if failed else "warn"
    return Line(text=f"{ended.step} {ended.outcome}: {ended.error}", mood=mood)


def _done(ended: StepEnded, step: PlannedStep) -> Line | None:
    """Return what is worth a word though all went well."""
    facts = ended.facts
    if step.scenario is not None:
        return Line(text=f"{ended.step}: was execution {facts.get('execution')}")
    if step.gate is not None and not facts.get("opened", True):
        return Line(text=f"{ended.step}: passed, though its condition was not true", mood="warn")
    if problems := facts.get("problems"):
        return Line(text=f"{ended.step}: not read: {problems}", mood="warn")
    troubled = step.action is not None and (facts.get("missed") or facts.get("failed"))
    return Line(text=f"{ended.step}: repeated{_facts(facts)}", mood="warn") if troubled else None


def _retried(retried: StepRetried, plan: Plan) -> Line:
    tries = f"try {retried.attempt} of {plan.step(retried.step).retry.attempts} failed"
    pause = f" in {format_duration(retried.delay)}" if retried.delay else ""
    text = f"{retried.step}: {tries}, again{pause}: {retried.error}"
    return Line(text=text, mood="warn")


def _judged(validation: Validation) -> Line:
    took = f" after {format_duration(validation.took)}" if validation.took else ""
    where = f"{validation.check} ({validation.phase})"
    text = f"{where} {validation.finding.replace('_', ' ')}{took}: {_one_line(validation.reason)}"
    return Line(text=text, mood=MOODS[validation.finding])


def _facts(facts: Mapping[str, object]) -> str:
    shown = [_fact(name, value) for name, value in facts.items() if _short(value)]
    return f" ({', '.join(shown)})" if shown else ""


def _fact(name: str, value: object) -> str:
    words = name.removesuffix("_ms").replace("_", " ")
    if words != name.replace("_", " ") and isinstance(value, int | float):
        return f"{words} {format_duration(timedelta(milliseconds=value))}"
    return words if value is True else f"{words} {value}"


def _short(value: object) -> bool:
    """Tell whether a fact fits beside a sentence; one that is not true is left unsaid."""
    return isinstance(value, str | int | float) and value is not False and len(str(value)) < 40  # noqa: PLR2004  the rest of a line


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _probes(plan: Plan) -> str:
    return ", ".join(probe.name for probe in plan.probes) or "nothing"
