"""In which order the steps of a scenario begin and end, and where they wait for each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Final, TypeAlias

from test_coordination.domain.graph import find_cycle, layers
from test_coordination.domain.steps import (
    ActionStep,
    Check,
    ExpectStep,
    FaultStep,
    Mode,
    Step,
    StopStep,
    flatten,
    is_group,
    needs_of,
)
from test_coordination.domain.values import StepId

BEGIN: Final = "begin"
END: Final = "end"

Moments: TypeAlias = tuple[StepId, str]
"""The begin or the end of a step."""
Circle: TypeAlias = tuple[tuple[StepId, ...], str]
"""Steps that wait for each other, the first repeated at the end, and what to do about it."""


def goes_on(step: Step) -> bool:
    """Tell whether a step in the background goes on until it is stopped."""
    if not step.background:
        return False
    match step:
        case FaultStep(hold=None):
            return True
        case ActionStep(repeat=repeat) if repeat is not None:
            return repeat.every is not None and repeat.times is None
        case ExpectStep(check=Check(mode=mode, span=None, during=None)):
            return mode is not Mode.EVENTUALLY
        case _:
            return False


class Order:
    """Which moment of a step waits for which of another.

    A step begins after those that it needs have ended, or, in the background, begun. One that
    goes on ends with the step that stops it, or once all others are over.
    """

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = {step.id: step for step in flatten(steps) if not is_group(step)}
        self._members = {
            step.id: tuple(inner.id for inner in flatten((step,)) if not is_group(inner))
            for step in flatten(steps)
        }
        self._stops = [step for step in self._steps.values() if isinstance(step, StopStep)]
        stopped = {stop.step for stop in self._stops}
        self._left = [
            step.id for step in self._steps.values() if goes_on(step) and step.id not in stopped
        ]
        needs = needs_of(steps)
        self._waits: dict[Moments, set[Moments]] = {}
        for step in self._steps.values():
            self._waits[step.id, BEGIN] = set(self._ready(needs[step.id]))
            self._waits[step.id, END] = {(step.id, BEGIN)}
        for step in self._steps.values():
            self._add_own(step)
        for name in self._left:
            self._waits[name, END] |= set(self._others(name))

    def circles(self) -> Sequence[Circle]:
        """Return the circles, none of which share a step."""
        waits, found = self._waits, []
        while circle := find_cycle(waits):
            names = [name for name, _ in groupby(step for step, _ in circle)]
            found.append((tuple(names if len(names) > 1 else names * 2), self._advice(names)))
            waits = {moment: needs for moment, needs in waits.items() if moment[0] not in names}
        return found

    def hasty_stops(self) -> Sequence[StopStep]:
        """Return the steps that stop one which may not have begun; there must be no circles."""
        ordered = tuple(chain(*layers(self._waits)))
        places = {moment: 1 << place for place, moment in enumerate(ordered)}
        before: dict[Moments, int] = {}
        for moment in ordered:
            before[moment] = 0
            for need in self._waits[moment] & places.keys():
                before[moment] |= before[need] | places[need]
        stops = [stop for stop in self._stops if self._is_stoppable(stop.step)]
        return [stop for stop in stops if not before[stop.id, BEGIN] & places[stop.step, BEGIN]]

    def _ready(self, needs: Iterable[StepId]) -> Iterator[Moments]:
        for need in needs:
            if need in self._steps:
                yield need, BEGIN if self._steps[need].background else END

    def _add_own(self, step: Step) -> None:
        match step:
            case StopStep(step=stopped) if self._is_stoppable(stopped):
                self._waits[step.id, END].add((stopped, END))
                self._waits[stopped, END].add((step.id, BEGIN))
            case ExpectStep(check=check):
                followed = self._members.get(check.after_fault or StepId(""), ())
                faults = [name for name in followed if isinstance(self._steps[name], FaultStep)]
                beside = self._beside(step)
                self._waits[step.id, BEGIN] |= {(name, BEGIN) for name in beside}
                self._waits[step.id, END] |= {(name, END) for name in (*faults, *beside)}
            case _:
                pass

    def _is_stoppable(self, name: StepId) -> bool:
        return name in self._steps and goes_on(self._steps[name])

    def _beside(self, step: Step) -> Sequence[StepId]:
        if not isinstance(step, ExpectStep) or step.check.during is None:
            return ()
        return [name for name in self._members.get(step.check.during, ()) if name != step.id]

    def _others(self, name: StepId) -> Iterator[Moments]:
        for step in self._steps.values():
            if not goes_on(step) and name not in self._beside(step):
                yield step.id, END

    def _advice(self, names: Sequence[StepId]) -> str:
        for name in names:
            if name in self._left:
                return f"{name!r} goes on until all others are over: end it with a 'stop' step"
        for name in names:
            step = self._steps[name]
            waits = isinstance(step, ExpectStep) and (step.check.during or step.check.after_fault)
            if waits and not step.background:
                more = f", or let {name!r} run in the background"
                return f"take one of the needs away{more}"
        return "take one of the needs away"
