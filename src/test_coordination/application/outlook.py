"""How far an execution has come, and how long it may take yet: as planned, and as before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from test_coordination.application.engine.verdict import stop_reason
from test_coordination.application.planning.course import course
from test_coordination.application.planning.times import Times, least, most
from test_coordination.domain.execution import Execution, Status, StepState
from test_coordination.domain.plan import FaultWork, Plan, PlannedStep, Stage
from test_coordination.domain.values import StepId

PERCENT_MAX: Final = 99
"""What is not over is never shown as more than this."""
WEIGHT_LEAST: Final = timedelta(milliseconds=100)
"""What a step counts for at least: those that take no time are some of the way as well."""
UNFINISHED: Final = 0.05
"""The share of a step that is not done before it has ended, however long it takes."""

_NO_TIME: Final = timedelta(0)
_ALL: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentStep:
    """A step that is under way: since how long, and how long it took before, if that is known."""

    id: StepId
    kind: str
    elapsed: timedelta
    usual: timedelta | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How long something would take if it went as before: as fast as ever, as most, as slow."""

    fastest: timedelta
    middle: timedelta
    slowest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """How long it may take yet.

    ``least`` and ``most`` are what the plan says: if nothing is waited for longer than it must be,
    and if all is waited for as long as it may be. What an action takes is in neither, nor how long
    an undo does: so ``most`` is None where the execution ends early, and while it is paused.
    ``usual`` is by how long the steps took before, None if nothing is known of that; steps of
    which nothing is known count in it as they are planned at best.
    """

    least: timedelta
    most: timedelta | None
    usual: Usual | None = None

    @property
    def expected(self) -> timedelta:
        """Return the best guess that there is."""
        return self.least if self.usual is None else self.usual.middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How far an execution has come.

    ``percent`` is the share of the whole time that lies behind, as far as that can be known. It
    never goes back, and is 100 only when the execution has ended. ``ended`` counts those of the
    ``planned`` steps that are over; steps of on_failure are in neither. ``ending`` tells that no
    others are begun any more.
    """

    percent: int
    running: tuple[CurrentStep, ...]
    ended: int
    planned: int
    remaining: Remaining
    ending: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """An execution at one time; ``ending`` tells that only steps of on_failure are begun yet."""

    state: Execution
    now: datetime
    ending: bool

    def left(self, step: PlannedStep, length: timedelta) -> timedelta:
        """Return what is left of a step that takes ``length``; a fault is held for all its time."""
        known = self.state.steps.get(step.id)
        if known is None:
            return length
        if known.outcome is not None:
            return _NO_TIME
        left = max(length - (self.now - known.started_at), _NO_TIME)
        fault = self.state.faults.get(step.id)
        match step.work:
            case FaultWork(hold=timedelta() as hold) if fault is not None and fault.injected_at:
                return max(left, fault.injected_at + hold - self.now)
            case _:
                return left

    def left_of_weight(self, step: PlannedStep, weight: timedelta) -> timedelta:
        """Return what is left to be shown of a step; it never grows while time passes."""
        known = self.state.steps.get(step.id)
        if self.ending or _is_over(known):
            return _NO_TIME
        if known is None:
            return weight
        return max(weight - (self.now - known.started_at), UNFINISHED * weight)

    def limit(self, timeout: timedelta) -> timedelta:
        """Return how long it can take before ``timeout`` stops it."""
        if self.state.started_at is None:
            return timeout
        spent = self.now - self.state.started_at - self.state.paused_for(self.now)
        return max(timeout - spent, _NO_TIME)


class Forecast:
    """What can be said of an execution beforehand, and then at any time while it goes on."""

    def __init__(self, plan: Plan, past: Mapping[StepId, Sequence[timedelta]]) -> None:
        """Take how long steps took in the ``past``, those that were done, in any order.

        For a percentage that is the same in every process, and never goes back, it must be that
        of executions that had ended before this one was asked for.
        """
        self._plan = plan
        self._points = course(plan.steps, plan.groups)
        self._steps = tuple(step for step in plan.steps if step.stage is not Stage.FAILURE)
        self._remedies = tuple(step for step in plan.steps if step.stage is Stage.FAILURE)
        self._least = {step.id: least(step) for step in plan.steps}
        self._most = {step.id: most(step) for step in plan.steps}
        self._past = {
            step.id: sorted(
                min(max(took, self._least[step.id]), step.timeout) for took in past[step.id]
            )
            for step in plan.steps
            if past.get(step.id)
        }
        self._weights = {
            step.id: max(self._as_before(step, _middle), WEIGHT_LEAST) for step in self._steps
        }
        self._whole = self._length(self._weights)

    def outlook(self, state: Execution, now: datetime) -> Outlook:
        """Return how far ``state`` has come at ``now``."""
        begun = any(step.id in state.steps for step in self._remedies)
        moment = _Moment(
            state=state,
            # The clock of who looks may be behind that of who wrote.
            now=max(now, state.changed_at or now),
            ending=begun or bool(stop_reason(self._plan, state)),
        )
        return Outlook(
            percent=self._percent(moment),
            running=tuple(self._running(moment)),
            ended=sum(_is_over(state.steps.get(step.id)) for step in self._steps),
            planned=len(self._steps),
            remaining=self._remaining(moment),
            ending=moment.ending,
            paused=state.pause is not None,
        )

    def _running(self, moment: _Moment) -> Sequence[CurrentStep]:
        return [
            CurrentStep(
                id=step.id,
                kind=step.kind,
                elapsed=moment.now - known.started_at,
                usual=_middle(self._past[step.id]) if step.id in self._past else None,
                attempt=known.attempts,
            )
            for step in self._plan.steps
            if (known := moment.state.steps.get(step.id)) is not None and known.outcome is None
        ]

    def _percent(self, moment: _Moment) -> int:
        """Return the share of the way that lies behind.

        What is left of each step never grows, and so neither does the longest chain of them: that
        is why it cannot go back. An ending execution has no way to go but to end.
        """
        if moment.state.status is Status.FINISHED:
            return _ALL
        left = {
            step.id: moment.left_of_weight(step, self._weights[step.id]) for step in self._steps
        }
        share = 1 - self._length(left) / self._whole if self._whole else 0
        return max(0, min(PERCENT_MAX, int(_ALL * share)))

    def _remaining(self, moment: _Moment) -> Remaining:
        if moment.state.status is Status.FINISHED:
            return Remaining(least=_NO_TIME, most=_NO_TIME)
        open_ended = moment.ending or moment.state.pause is not None
        return Remaining(
            least=self._left(moment, lambda step: self._least[step.id]),
            most=None if open_ended else self._left(moment, lambda step: self._most[step.id]),
            usual=Usual(
                fastest=self._left(moment, lambda step: self._as_before(step, _fastest)),
                middle=self._left(moment, lambda step: self._as_before(step, _middle)),
                slowest=self._left(moment, lambda step: self._as_before(step, _slowest)),
            )
            if self._past
            else None,
        )

    def _left(self, moment: _Moment, length: Callable[[PlannedStep], timedelta]) -> timedelta:
        """Return how long it takes yet if each step takes its ``length``.

        Those of on_failure come one after the other when all else is over.
        """
        if moment.ending:
            remedies = () if moment.state.taken_over else self._remedies
            left = sum((moment.left(step, length(step)) for step in remedies), _NO_TIME)
        else:
            left = self._length({step.id: moment.left(step, length(step)) for step in self._steps})
        return min(left, moment.limit(self._plan.timeout))

    def _as_before(
        self, step: PlannedStep, choose: Callable[[Sequence[timedelta]], timedelta]
    ) -> timedelta:
        past = self._past.get(step.id)
        return choose(past) if past else self._least[step.id]

    def _length(self, lengths: Mapping[StepId, timedelta]) -> timedelta:
        return Times(self._plan, self._points, lengths).end


def _is_over(known: StepState | None) -> bool:
    return known is not None and known.outcome is not None


def _fastest(past: Sequence[timedelta]) -> timedelta:
    return past[0]


def _middle(past: Sequence[timedelta]) -> timedelta:
    return past[len(past) // 2]


def _slowest(past: Sequence[timedelta]) -> timedelta:
    return past[-1]
