"""Decide what becomes of steps whose worker is gone, as another one carries them on."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final, TypeAlias

from test_coordination.application.engine.attempts import delay_before
from test_coordination.application.engine.readiness import LIFTED, Standing
from test_coordination.application.engine.verdict import remarks, stop_reason
from test_coordination.domain.events import Event, Outcome, StepEnded, StepRetried
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import Execution, FaultState, FaultStatus
from test_coordination.domain.failures import UNKNOWN_OUTCOME, WORKER_LOST
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedStep,
    ScenarioWork,
)

HANDOVERS_MAX: Final = 20
"""How often an execution is carried on by another worker before it is ended instead."""

LOST_TEXT: Final = "its worker was gone while its fault may have been in force; it is undone"
UNKNOWN_TEXT: Final = "its worker was gone meanwhile, so whether it was done is not known"
_RESIDUE: Final = "fault.residue"
_NOT_BITTEN: Final = "fault.failed"

Settled: TypeAlias = StepEnded | StepRetried


def settled(plan: Plan, execution: Execution, *, repeatable: Container[str]) -> tuple[Event, ...]:
    """Return what is to be recorded of the steps that were under way when their worker was gone.

    Ask once what that worker left in force is undone. Steps of which nothing is said go on: a
    wait, a gate, a check and a stop wait on, and a child is found again; a look and a snapshot
    are done once more, and so is an action whose kind is ``repeatable``, or that is done until it
    is stopped. A fault that was not armed since its step was last tried is tried. The others end:

    * A fault ends as its worker would have had it end, if that one had undone it in time, or when
      it was stopped. Else it failed, with `WORKER_LOST`: for how long it bit is not known.
    * Any other action failed, with `UNKNOWN_OUTCOME`.
    * A check that was judged, and a child, is done.
    """
    standing, stopped = Standing.of(plan, execution), bool(stop_reason(plan, execution))
    told = frozenset(standing.finishing())
    found: list[Event] = []
    for step in standing.running():
        left = _Left(step=step, execution=execution, stopped=stopped, told=step.id in told)
        event = left.settled(repeatable)
        if event is not None:
            found.append(event)
        if isinstance(event, StepEnded):
            found += remarks(step, event)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A step that its worker left; ``told`` tells whether it was to end by then."""

    step: PlannedStep
    execution: Execution
    stopped: bool
    told: bool

    def settled(self, repeatable: Container[str]) -> Settled | None:
        match self.step.work:
            case FaultWork() as work:
                fault = self.execution.faults.get(self.step.id)
                armed = fault is not None and fault.attempt == self._attempt
                return self._fault(work, fault) if fault is not None and armed else None
            case ActionWork(action=action, times=times):
                again = times is None or action in repeatable
                return None if again else self._failed(UNKNOWN_TEXT, UNKNOWN_OUTCOME)
            case PlannedCheck() | ScenarioWork():
                return self._judged()
            case _:
                return None

    @property
    def _attempt(self) -> int:
        return self.execution.steps[self.step.id].attempts

    def _fault(self, work: FaultWork, fault: FaultState) -> Settled:
        if fault.status is not FaultStatus.REVERTED:
            return self._failed(f"its fault is not proven to be undone: {fault.reason}", _RESIDUE)
        if fault.lost:
            return self._failed(LOST_TEXT, WORKER_LOST)
        if self.stopped:
            return self._ended(Outcome.CANCELLED, "the execution was stopped")
        if not fault.bitten:
            return self._not_bitten(fault)
        return self._ended(Outcome.DONE) if self._was_held(work, fault) else self._cut_short()

    def _cut_short(self) -> StepEnded:
        pause = self.execution.pause
        if pause is None or not pause.undo:
            return self._failed(LOST_TEXT, WORKER_LOST)
        return self._ended(Outcome.CANCELLED, "a pause undid its fault before its time", LIFTED)

    def _was_held(self, work: FaultWork, fault: FaultState) -> bool:
        if fault.injected_at is None or fault.reverted_at is None:
            return False
        held = fault.reverted_at - fault.injected_at
        return self.told or (work.hold is not None and held >= work.hold)

    def _not_bitten(self, fault: FaultState) -> Settled:
        if self._attempt >= self.step.retry.attempts:
            return self._failed(fault.reason, _NOT_BITTEN)
        return StepRetried(
            step=self.step.id,
            attempt=self._attempt,
            error=fault.reason,
            code=_NOT_BITTEN,
            delay=delay_before(self._attempt + 1, self.step),
        )

    def _judged(self) -> StepEnded | None:
        for validation in self.execution.validations:
            if validation.step == self.step.id:
                child = self.step.scenario is not None
                facts: Facts = (
                    {"verdict": validation.observed} if child else {"finding": validation.finding}
                )
                return StepEnded(step=self.step.id, outcome=Outcome.DONE, facts=facts)
        return None

    def _failed(self, error: str, code: str) -> StepEnded:
        return self._ended(Outcome.FAILED, error, code)

    def _ended(self, outcome: Outcome, error: str = "", code: str = "") -> StepEnded:
        return StepEnded(step=self.step.id, outcome=outcome, error=error, code=code)
