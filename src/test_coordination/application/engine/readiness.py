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


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Pass over a step whose turn will not come."""

    step: StepId
    reason: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the steps of a plan have come."""

    plan: Plan
    execution: Execution
    steps: Mapping[StepId, PlannedStep]

    @classmethod
    def of(cls, plan: Plan, execution: Execution) -> Standing:
        """Return how far the steps of ``plan`` have come in ``execution``."""
        return cls(plan=plan, execution=execution, steps={step.id: step for step in plan.steps})

    def running(self) -> list[PlannedStep]:
        """Return the steps that are under way, in the order of the plan."""
        return [step for step in self.plan.steps if self.is_running(step.id)]

    def is_running(self, step: StepId) -> bool:
        """Tell whether a step is under way."""
        state = self.execution.steps.get(step)
        return state is not None and state.outcome is None

    def is_over(self, step: StepId) -> bool:
        """Tell whether a step has ended, however it did."""
        state = self.execution.steps.get(step)
        return state is not None and state.outcome is not None

    def all_over(self, *stages: Stage) -> bool:
        """Tell whether every step of these stages has ended."""
        return all(self.is_over(step.id) for step in self.plan.steps if step.stage in stages)

    def watching(self) -> bool:
        """Tell whether the steady state is to be watched: from the first main step to the last."""
        begun = any(step.id in self.execution.steps for step in self._main())
        return begun and not self.all_over(Stage.MAIN)

    def ready(self) -> list[StepId]:
        """Return the steps whose turn has come."""
        return [step.id for step in self._waiting() if self._may_begin(step)]

    def passed_over(self) -> list[Skip]:
        """Return the steps whose turn will not come, and why."""
        return [skip for step in self._waiting() if (skip := self._skip(step)) is not None]

    def finishing(self) -> list[StepId]:
        """Return the steps that end because they are told to.

        They are what a running stop names, and what has no end of its own once nothing else can
        go on: then those that others wait for end, and all of them if nobody waits.
        """
        named = [
            target
            for step in self.running()
            if step.stop is not None
            for target in step.stop.steps
            if self.is_running(target)
        ]
        return list(dict.fromkeys([*named, *self._endless_to_end()]))

    def _endless_to_end(self) -> list[StepId]:
        running = [step for step in self._main() if self.is_running(step.id)]
        endless = [step.id for step in running if step.endless]
        settled = all(self._is_open_ended(step) for step in running)
        if not endless or not settled or not all(map(self._has_begun, endless)):
            return []
        waiting = [step for step in self._waiting() if step.stage is Stage.MAIN]
        if any(self._may_begin(step) or self._skip(step) for step in waiting):
            return []
        if not waiting:
            return endless
        awaited = frozenset().union(*(step.needs | self._awaited(step) for step in waiting))
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

    def _may_begin(self, step: PlannedStep) -> bool:
        return self._is_due(step) and self._skip(step) is None

    def _is_due(self, step: PlannedStep) -> bool:
        if step.stage is Stage.AFTER and not self.all_over(Stage.MAIN):
            return False
        over = all(map(self.is_over, self._awaited(step)))
        if not over or not all(map(self._is_satisfied, step.needs)):
            return False
        beside = [other for other in step.beside if not self._was_skipped(other)]
        return not beside or any(map(self._has_begun, beside))

    def _awaited(self, step: PlannedStep) -> frozenset[StepId]:
        """Return the steps that must be over, also if they run in the background."""
        fault = step.expect.after_fault if step.expect is not None else None
        return step.ended.union(() if fault is None else self.plan.members(fault))

    def _is_satisfied(self, need: StepId) -> bool:
        if self.is_over(need):
            return True
        return need in self.steps and self.steps[need].background and self._has_begun(need)

    def _has_begun(self, step: StepId) -> bool:
        """Tell whether a step has begun to matter: a fault once it bites, all else at its start."""
        if not self.is_running(step):
            return self.is_over(step)
        if self.steps[step].fault is None:
            return True
        fault = self.execution.faults.get(step)
        return fault is not None and fault.injected_at is not None

    def _was_skipped(self, step: StepId) -> bool:
        state = self.execution.steps.get(step)
        return state is not None and state.outcome is Outcome.SKIPPED

    def _skip(self, step: PlannedStep) -> Skip | None:
        """Return why a step is passed over; None if it is not."""
        shut = next((need for need in sorted(step.needs) if self._is_shut(need, step)), None)
        if shut is not None:
            reason = f"step {shut!r}, which it needs, was skipped"
            return Skip(step=step.id, reason=reason, code=NEEDS_SKIPPED)
        about = self._about(step)
        if about is None or not self._is_due(step):
            return None
        if not all(map(self._was_skipped, self.plan.members(about))):
            return None
        reason = f"step {about!r}, which it is about, was skipped"
        return Skip(step=step.id, reason=reason, code=SUBJECT_SKIPPED)

    def _is_shut(self, need: StepId, step: PlannedStep) -> bool:
        """Tell whether a need was skipped for a gate's sake; what comes after the steps comes."""
        state = self.execution.steps.get(need)
        if state is None or state.outcome is not Outcome.SKIPPED:
            return False
        return state.code in {GATE_SHUT, NEEDS_SKIPPED} and step.stage is self.steps[need].stage

    @staticmethod
    def _about(step: PlannedStep) -> StepId | None:
        """Return the step that a check is about: its fault, or the one that it is beside."""
        return None if step.expect is None else step.expect.after_fault or step.expect.during
