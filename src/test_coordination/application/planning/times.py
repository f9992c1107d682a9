"""How long steps take at best and at worst, and when each runs that must wait for others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from test_coordination.application.planning.course import BEGIN, END, Point, course
from test_coordination.application.planning.tries import pauses
from test_coordination.domain.graph import Span, critical_path, schedule
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    GateWork,
    Plan,
    PlannedCheck,
    PlannedStep,
    ScenarioWork,
    WaitWork,
)
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import StepId

_NO_TIME: Final = timedelta(0)


class Times:
    """When each step of a plan runs, given how long each takes."""

    def __init__(
        self,
        plan: Plan,
        points: Mapping[Point, frozenset[Point]],
        lengths: Mapping[StepId, timedelta],
    ) -> None:
        """Take ``points`` as `course` makes them of the plan."""
        self._steps = {step.id: step for step in plan.steps}
        self._points = points
        self._lengths = {(name, END): length for name, length in lengths.items()}
        self._spans = schedule(points, self._lengths)
        if self._cut_short(plan):
            self._spans = schedule(points, self._lengths)

    @property
    def end(self) -> timedelta:
        """Return when the last step ends."""
        return max((end for _, end in self._spans.values()), default=_NO_TIME)

    def path(self) -> tuple[Point, ...]:
        """Return the chain of points that makes the whole as long as it is."""
        return critical_path(self._points, self._lengths)

    def span(self, name: StepId) -> Span:
        """Return when a step runs; a check beside others from when the first of them begins."""
        step = self._steps[name]
        start, end = self._spans[name, END]
        if step.background:
            start = self._spans[name, BEGIN][0]
        if step.beside:
            start = min(self.span(other)[0] for other in step.beside)
        return start, end

    def _cut_short(self, plan: Plan) -> bool:
        """Shorten what is stopped before it has ended by itself; tell whether anything is."""
        changed = False
        for step in plan.steps:
            for name in step.stop.steps if step.stop else ():
                point = (name, END)
                left = self._spans[step.id, END][0] - self._spans[point][0]
                if not self._steps[name].endless and left < self._lengths[point]:
                    self._lengths[point] = max(left, _NO_TIME)
                    changed = True
        return changed


def least(step: PlannedStep) -> timedelta:
    """Return the least time that ``step`` takes if all goes well."""
    match step.work:
        case WaitWork(duration=duration):
            found: timedelta | None = duration
        case FaultWork(hold=hold) | GateWork(hold=hold):
            found = hold
        case PlannedCheck(mode=mode, hold=hold, span=span):
            found = hold if mode is Mode.EVENTUALLY else span
        case ActionWork(every=timedelta() as every, times=int() as times):
            found = every * (times - 1)
        case ScenarioWork(plan=plan):
            found = _length(plan, least)
        case _:
            found = None
    return found or _NO_TIME


def most(step: PlannedStep) -> timedelta:
    """Return the most time that ``step`` takes, with all its tries and the pauses between."""
    match step.work:
        case GateWork(within=within, hold=hold):
            once = within + hold
        case PlannedCheck(mode=Mode.EVENTUALLY, within=within, hold=hold):
            once = (within or _NO_TIME) + hold
        case ScenarioWork(plan=plan):
            once = _length(plan, most)
        case _:
            once = least(step)
    return min(once * step.retry.attempts + pauses(step.retry), step.timeout)


def _length(plan: Plan, measure: Callable[[PlannedStep], timedelta]) -> timedelta:
    lengths = {step.id: measure(step) for step in plan.steps}
    return min(Times(plan, course(plan.steps, plan.groups), lengths).end, plan.timeout)
