"""Which steps may begin, which are passed over, and which go on until they are told to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan, PlannedStep, Stage
from test_coordination.domain.values import StepId

IF_FALSE: Final = "if.false"
"""Why a step was skipped: its condition was false. Those that need it go on."""

GATE_SHUT: Final = "gate.shut"
"""Why a gate was skipped: it stayed shut. Those that need it are skipped, too."""

NEEDS_SKIPPED: Final = "needs.skipped"
"""Why a step was skipped: a gate before it stayed shut."""

SUBJECT_SKIPPED: Final = "subject.skipped"
"""Why a check was skipped: what it is about never happened. Those that need it go on."""

STOPPED_BEFORE: Final = "stopped.before"
"""Why a step was skipped: it is part of what was stopped before its turn came, such as a later
stage of a ramp. Those that need it go on."""

LIFTED: Final = "pause.lifted"
"""Why a fault's step was cancelled: a pause undid the fault before its time. Those that need it
go on once the pause is over."""

_SHUT: Final = frozenset({GATE_SHUT, NEEDS_SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Pass over a step whose turn will not come."""

    step: StepId
    reason: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the steps of a plan have come.

    ``over`` are the steps that have ended, however they did, ``skipped`` those of them that were
    passed over, and ``shut`` those of these that were so for a gate's sake. ``stopped`` are those
    that a running stop names together with others that have begun.
    """

    plan: Plan
    execution: Execution
    steps: Mapping[StepId, PlannedStep]
    over: frozenset[StepId]
    skipped: frozenset[StepId]
    shut: frozenset[StepId]
    stopped: frozenset[StepId]

    @classmethod
    def of(cls, plan: Plan, execution: Execution) -> Standing:
        """Return how far the steps of ``plan`` have come in ``execution``."""
        known = execution.steps.items()
        skipped = {step: state for step, state in known if state.outcome is Outcome.SKIPPED}
        return cls(
            plan=plan,
            execution=execution,
            steps={step.id: step for step in plan.steps},
            over=frozenset(step for step, state in known if state.outcome is not None),
            skipped=frozenset(skipped),
            shut=frozenset(step for step, state in skipped.items() if state.code in _SHUT),
            stopped=frozenset(_stopped(plan, execution)),
        )

    def running(self) -> list[PlannedStep]:
        """Return the steps that are under way, in the order of the plan."""
        return [step for step in self.plan.steps if self.is_running(step.id)]

    def is_running(self, step: StepId) -> bool:
        """Tell whether a step is under way."""
        return step in self.execution.steps and step not in self.over

    def all_over(self, *stages: Stage) -> bool:
        """Tell whether every step of these stages has ended."""
        return all(step.id in self.over for step in self.plan.steps if step.stage in stages)

    def watching(self) -> bool:
        """Tell whether the steady state is to be watched: from the first main step to the last."""
        begun = any(step.id in self.execution.steps for step in self._main())
        return begun and not self.all_over(Stage.MAIN)

    def turns(self) -> Iterator[StepId | Skip]:
        """Yield the steps whose turn has come, and those whose turn will not come, and why."""
        for step in self._waiting():
            skip = self._skip(step)
            if skip is not None:
                yield skip
            elif self._is_due(step):
                yield step.id

    def finishing(self, *, paused: bool = False) -> list[StepId]:
        """Return the steps that end because they are told to.

        They are what a running stop names, and what has no end of its own once nothing else can
        go on: then those that others wait for end, and all of them if nobody waits. While it is
        paused the latter are held on.
        """
        named = [
            target
            for step in self.running()
            if step.stop is not None
            for target in step.stop.steps
            if self.is_running(target)
        ]
        endless = [] if paused else self._endless_to_end()
        return list(dict.fromkeys([*named, *endless]))

    def _endless_to_end(self) -> list[StepId]:
        running = [step for step in self._main() if self.is_running(step.id)]
        endless = [step.id for step in running if step.endless]
        settled = all(self._is_open_ended(step) for step in running)
        if not endless or not settled or not all(map(self._has_begun, endless)):
            return []
        waiting = [step for step in self._waiting() if step.stage is Stage.MAIN]
        if any(self._is_due(step) or self._skip(step) for step in waiting):
            return []
        if not waiting:
            return endless
        unmet = {need for step in waiting for need in step.needs if not self._is_satisfied(need)}
        awaited = unmet.union(*map(self._awaited, waiting))
        return [step for step in endless if step in awaited]

    def _is_open_ended(self, step: PlannedStep) -> bool:
        """Tell whether a running step ends only with one that has no end of its own."""
        beside = (self.steps[other] for other in step.beside if self.is_running(other))
        return step.endless or any(map(self._is_open_ended, beside))

    def _main(self) -> Iterator[PlannedStep]:
        return (step for step in self.plan.steps if step.stage is Stage.MAIN)

    def _waiting(self) -> Iterator[PlannedStep]:
        """Yield the steps whose turn has not come; those of on_failure have none of their own."""
        known = self.execution.steps
        return (
            step
            for step in self.plan.steps
            if step.id not in known and step.stage is not Stage.FAILURE
        )

    def _is_due(self, step: PlannedStep) -> bool:
        if step.stage is Stage.AFTER and not self.all_over(Stage.MAIN):
            return False
        if not step.needs <= self.over and not all(map(self._is_satisfied, step.needs)):
            return False
        beside = step.beside - self.skipped
        ready = not beside or any(map(self._has_begun, beside))
        return ready and self._awaited(step) <= self.over

    def _awaited(self, step: PlannedStep) -> frozenset[StepId]:
        """Return the steps that must be over, also if they run in the background."""
        fault = step.expect.after_fault if step.expect is not None else None
        return step.ended.union(() if fault is None else self.plan.members(fault))

    def _is_satisfied(self, need: StepId) -> bool:
        if need in self.over:
            return True
        return need in self.steps and self.steps[need].background and self._has_begun(need)

    def _has_begun(self, step: StepId) -> bool:
        """Tell whether a step has begun to matter: a fault once it bites, all else at its start."""
        if not self.is_running(step):
            return step in self.over
        if self.steps[step].fault is None:
            return True
        fault = self.execution.faults.get(step)
        return fault is not None and fault.injected_at is not None

    def _skip(self, step: PlannedStep) -> Skip | None:
        """Return why a step is passed over; None if it is not."""
        # What comes after the steps comes whatever they came to, and so do copies in a queue.
        shut = [
            need
            for need in step.needs & self.shut
            if self.steps[need].stage is step.stage and need not in step.queued
        ]
        if shut:
            reason = f"step {min(shut)!r}, which it needs, was skipped"
            return Skip(step=step.id, reason=reason, code=NEEDS_SKIPPED)
        if step.id in self.stopped and not self._is_due(step):
            reason = "it was stopped, with others that had begun, before its turn came"
            return Skip(step=step.id, reason=reason, code=STOPPED_BEFORE)
        about = self._about(step)
        if about is None or not self._is_due(step):
            return None
        if not self.skipped.issuperset(self.plan.members(about)):
            return None
        reason = f"step {about!r}, which it is about, was skipped"
        return Skip(step=step.id, reason=reason, code=SUBJECT_SKIPPED)

    @staticmethod
    def _about(step: PlannedStep) -> StepId | None:
        """Return the step that a check is about: its fault, or the one that it is beside."""
        return None if step.expect is None else step.expect.after_fault or step.expect.during


def _stopped(plan: Plan, execution: Execution) -> Iterator[StepId]:
    for step in plan.steps:
        named = step.stop.steps if step.stop is not None else ()
        state = execution.steps.get(step.id) if named else None
        if state is not None and state.outcome is None and any(map(execution.steps.get, named)):
            yield from named
