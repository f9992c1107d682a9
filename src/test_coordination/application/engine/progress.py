"""How far an execution has come, under the names that expressions use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from test_coordination.application.ports import Clock
from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import Execution, FaultState, FaultStatus, StepState
from test_coordination.domain.names import word
from test_coordination.domain.plan import Plan
from test_coordination.domain.series import MISSING
from test_coordination.domain.values import StepId

Window: TypeAlias = tuple[datetime | None, datetime | None]
"""From its start, inclusive, to its end, exclusive; None leaves that side open."""

_WORST_FIRST: Final = (Outcome.FAILED, Outcome.CANCELLED, Outcome.SKIPPED, Outcome.DONE)
_LEAST_SETTLED_FIRST: Final = tuple(FaultStatus)


class Progress:
    """What the log says of the execution, its steps and its faults, at any time.

    An id that stands for several planned steps has the earliest start, the latest end once all
    have ended, and the worst outcome of them. A step that was skipped has never begun. What is
    not known yet, or will never be, is `MISSING`.
    """

    def __init__(self, plan: Plan, state: Callable[[], Execution], clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._faults = frozenset(step.id for step in plan.steps if step.fault is not None)
        self._members = {word(step.id): (step.id,) for step in plan.steps} | {
            word(group): members for group, members in plan.groups.items()
        }

    def value(self, name: str) -> object:
        """Return what stands behind a dotted name below execution, steps or faults."""
        root, _, rest = name.partition(".")
        if root == "execution":
            return self._of_execution(rest)
        step, _, fact = rest.partition(".")
        members = self._members.get(step, ())
        if root == "steps":
            return self._of_steps(members, fact)
        return self._of_faults(members, fact) if root == "faults" else MISSING

    def changed_at(self, name: str) -> datetime | None:
        """Return when what stands behind a dotted name last changed; None if that is no matter."""
        if name == "execution.elapsed":
            return self._clock.now()
        root, _, rest = name.partition(".")
        members = self._members.get(rest.partition(".")[0], ())
        times: list[datetime | None] = []
        if root == "steps":
            for step in self._steps(members):
                times += [step.started_at, step.ended_at]
        elif root == "faults":
            for fault in self._of(members):
                times += [fault.armed_at, fault.injected_at, fault.reverted_at]
        return _latest(times)

    def window(self, window: str, step: str) -> Window | None:
        """Return the times between which samples are before, during or after a step.

        ``step`` is spelled as `word` does. A fault is under way from its confirmed injection to
        its verified undo, whatever else its step does. None means that the window has not begun.
        """
        members = self._members.get(step, ())
        began = _earliest(map(self._began_at, members))
        if began is None:
            return None
        if window == "before":
            return None, began
        ended = self._ended_at(members)
        if window == "during":
            return began, ended
        return None if ended is None else (ended, None)

    def ended_at(self, step: StepId) -> datetime | None:
        """Return when ``step``, as its author names it, was over; None while it is not."""
        return self._ended_at(self._members.get(word(step), ()))

    def _of_execution(self, fact: str) -> object:
        state = self._state()
        match fact:
            case "id":
                return str(state.id)
            case "started_at":
                return _known(state.started_at)
            case _:
                return self._clock.now() - state.started_at if state.started_at else MISSING

    def _of_steps(self, members: Sequence[StepId], fact: str) -> object:
        steps = self._steps(members)
        began = _earliest(step.started_at for step in steps if _has_begun(step))
        if fact == "started_at":
            return _known(began)
        ended = _latest(step.ended_at for step in steps)
        if ended is None or len(steps) < len(members) or any(not step.outcome for step in steps):
            return MISSING
        worst = min(steps, key=lambda step: _WORST_FIRST.index(step.outcome or Outcome.DONE))
        facts = {
            "outcome": str(worst.outcome),
            "error": worst.error,
            "error_class": str(worst.error_class or ""),
            "ended_at": ended,
            "took": ended - began if began else MISSING,
        }
        return facts[fact] if fact in facts else _result(steps, fact)

    def _of_faults(self, members: Sequence[StepId], fact: str) -> object:
        faults = self._of(members)
        injected = _earliest(fault.injected_at for fault in faults)
        if fact == "injected_at":
            return _known(injected)
        open_ = [fault.status for fault in faults if fault.status is not FaultStatus.REVERTED]
        if fact == "status" and open_:
            return str(min(open_, key=_LEAST_SETTLED_FIRST.index))
        if open_ or not faults or self._ended_at(members) is None:
            return MISSING
        reverted = _latest(fault.reverted_at for fault in faults)
        assert reverted is not None, "a fault that is reverted has its time"
        match fact:
            case "status":
                return str(FaultStatus.REVERTED)
            case "reverted_at":
                return reverted
            case _:
                return reverted - injected if injected else MISSING

    def _ended_at(self, members: Sequence[StepId]) -> datetime | None:
        ends = [self._end(member) for member in members]
        return None if None in ends else _latest(ends)

    def _began_at(self, member: StepId) -> datetime | None:
        if member in self._faults:
            fault = self._state().faults.get(member)
            return fault.injected_at if fault else None
        step = self._state().steps.get(member)
        return step.started_at if step and _has_begun(step) else None

    def _end(self, member: StepId) -> datetime | None:
        fault, step = self._state().faults.get(member), self._state().steps.get(member)
        if fault is not None and fault.injected_at and fault.reverted_at:
            return fault.reverted_at
        return step.ended_at if step else None

    def _steps(self, members: Iterable[StepId]) -> list[StepState]:
        known: Mapping[StepId, StepState] = self._state().steps
        return [known[member] for member in members if member in known]

    def _of(self, members: Iterable[StepId]) -> list[FaultState]:
        known: Mapping[StepId, FaultState] = self._state().faults
        return [known[member] for member in members if member in known]


def _has_begun(step: StepState) -> bool:
    return step.outcome is not Outcome.SKIPPED


def _result(steps: Sequence[StepState], fact: str) -> object:
    """Return what came of the one step that is meant; of several it is not known of which."""
    if len(steps) > 1 or steps[0].outcome is not Outcome.DONE:
        return MISSING
    field = fact.removeprefix("result").removeprefix(".")
    return steps[0].facts.get(field, MISSING) if field else steps[0].facts


def _known(found: datetime | None) -> object:
    return MISSING if found is None else found


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
