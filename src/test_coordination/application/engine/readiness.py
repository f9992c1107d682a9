"""Which steps may begin, which are passed over, and which go on until they are told to end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import Execution, StepState
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

    ``under_way`` are the steps that are, and ``waiting`` those whose turn has not come, each in
    the order of the plan; those of on_failure have no turn of their own. ``over`` are the steps
    that have ended, however they did, ``skipped`` those of them that were passed over, and
    ``shut`` those of these that were so for a gate's sake. ``stopped`` are those that a running
    stop names together with others that have begun. ``open`` are the stages of which not every
    step has ended, and ``begun`` those of which one has begun.
    """

    plan: Plan
    execution: Execution
    steps: Mapping[StepId, PlannedStep]
    under_way: Mapping[StepId, PlannedStep]
    waiting: Sequence[PlannedStep]
    over: Collection[StepId]
    skipped: Collection[StepId]
    shut: Collection[StepId]
    stopped: Collection[StepId]
    open: frozenset[Stage]
    begun: frozenset[Stage]

    @classmethod
    def of(cls, plan: Plan, execution: Execution) -> Standing:
        """Return how far the steps of ``plan`` have come in ``execution``."""
        # Asked at every turn of every execution: one pass over the steps, and no more.
        known = execution.steps
        under_way, waiting = dict[StepId, PlannedStep](), list[PlannedStep]()
        over, skipped, shut = set[StepId](), set[StepId](), set[StepId]()
        open_, begun = set[Stage](), set[Stage]()
        for step in plan.steps:
            state = known.get(step.id)
            if state is not None and state.outcome is not None:
                over.add(step.id)
                begun.add(step.stage)
                if state.outcome is Outcome.SKIPPED:
                    skipped.add(step.id)
                    if state.code in _SHUT:
                        shut.add(step.id)
                continue
            open_.add(step.stage)
            if state is not None:
                under_way[step.id] = step
                begun.add(step.stage)
            elif step.stage is not Stage.FAILURE:
                waiting.append(step)
        return cls(
            plan=plan,
            execution=execution,
            steps={step.id: step for step in plan.steps},
            under_way=under_way,
            waiting=waiting,
            over=over,
            skipped=skipped,
            shut=shut,
            stopped=frozenset(_stopped(under_way.values(), known)),
            open=frozenset(open_),
            begun=frozenset(begun),
        )

    def running(self) -> list[PlannedStep]:
        """Return the steps that are under way, in the order of the plan."""
        return list(self.under_way.values())

    def is_running(self, step: StepId) -> bool:
        """Tell whether a step is under way."""
        return step in self.under_way

    def all_over(self, *stages: Stage) -> bool:
        """Tell whether every step of these stages has ended."""
        return self.open.isdisjoint(stages)

    def watching(self) -> bool:
        """Tell whether the steady state is to be watched: from the first main step to the last."""
        return Stage.MAIN in self.begun and Stage.MAIN in self.open

    def turns(self) -> Iterator[StepId | Skip]:
        """Yield the steps whose turn has come, and those whose turn will not come, and why."""
        for step in self.waiting:
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
            for step in self.under_way.values()
            if step.stop is not None
            for target in step.stop.steps
            if self.is_running(target)
        ]
        endless = [] if paused else self._endless_to_end()
        return list(dict.fromkeys([*named, *endless]))

    def _endless_to_end(self) -> list[StepId]:
        running = [step for step in self.under_way.values() if step.stage is Stage.MAIN]
        endless = [step.id for step in running if step.endless]
        if not endless or not all(map(self._is_open_ended, running)):
            return []
        if not all(map(self._has_begun, endless)):
            return []
        waiting = [step for step in self.waiting if step.stage is Stage.MAIN]
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

    def _is_due(self, step: PlannedStep) -> bool:
        if step.stage is Stage.AFTER and not self.all_over(Stage.MAIN):
            return False
        if not all(map(self._is_satisfied, step.needs)):
            return False
        beside = [each for each in step.beside if each not in self.skipped]
        ready = not beside or any(map(self._has_begun, beside))
        return ready and all(each in self.over for each in self._awaited(step))

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
            for need in step.needs
            if need in self.shut
            and self.steps[need].stage is step.stage
            and need not in step.queued
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
        if not all(member in self.skipped for member in self.plan.members(about)):
            return None
        reason = f"step {about!r}, which it is about, was skipped"
        return Skip(step=step.id, reason=reason, code=SUBJECT_SKIPPED)

    @staticmethod
    def _about(step: PlannedStep) -> StepId | None:
        """Return the step that a check is about: its fault, or the one that it is beside."""
        return None if step.expect is None else step.expect.after_fault or step.expect.during


def _stopped(running: Iterable[PlannedStep], known: Mapping[StepId, StepState]) -> Iterator[StepId]:
    for step in running:
        if step.stop is not None and any(map(known.get, step.stop.steps)):
            yield from step.stop.steps
