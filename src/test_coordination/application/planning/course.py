"""The course of a plan in time: the begins and ends of its steps, and which wait for which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from test_coordination.domain.plan import PlannedStep, Stage
from test_coordination.domain.values import StepId

Point: TypeAlias = tuple[StepId, int]
"""The begin or the end of a step; one that does not run in the background has only an end."""

BEGIN: Final = 0
END: Final = 1
REST: Final[Point] = (StepId(""), END)
"""The point at which all is over that does not wait for what goes on until then."""

_Course: TypeAlias = dict[Point, frozenset[Point]]


def course(
    steps: Iterable[PlannedStep], groups: Mapping[StepId, tuple[StepId, ...]]
) -> Mapping[Point, frozenset[Point]]:
    """Return for each point those that come before it; what only follows a failure has none.

    What goes on until it is stopped ends where it is stopped first, or, if nothing stops it, at
    `REST`. A check beside others ends with the last of them, and one that follows a fault in the
    background counts from its end.
    """
    planned = {step.id: step for step in steps if step.stage is not Stage.FAILURE}
    found: _Course = {}
    for step in planned.values():
        before = _before(step, planned)
        if step.background:
            found[step.id, BEGIN] = before
            before = frozenset({(step.id, BEGIN)})
        regarded = step.beside
        if step.expect is not None and (fault := step.expect.after_fault) is not None:
            regarded = regarded.union(groups.get(fault, (fault,)))
        found[step.id, END] = before | {(other, END) for other in regarded}
    _end(planned, found)
    return found


def _before(step: PlannedStep, planned: Mapping[StepId, PlannedStep]) -> frozenset[Point]:
    begun = {need for need in step.needs if planned[need].background} - step.ended
    return frozenset((need, BEGIN if need in begun else END) for need in step.needs)


def _end(planned: Mapping[StepId, PlannedStep], found: _Course) -> None:
    """Say what comes before the end of each step that goes on until it is stopped."""
    endless = {step.id for step in planned.values() if step.endless}
    stopped: set[StepId] = set()
    for step in planned.values():
        for name in endless.intersection(step.stop.steps if step.stop else ()):
            if name not in stopped:
                found[name, END] |= found[step.id, END]
            stopped.add(name)
            found[step.id, END] |= {(name, END)}
    unstopped = endless - stopped
    if unstopped:
        waiting = _following({(name, END) for name in unstopped}, found)
        found[REST] = frozenset(
            (step.id, END)
            for step in planned.values()
            if step.stage is Stage.MAIN and (step.id, END) not in waiting
        )
        for name in unstopped:
            found[name, END] |= {REST}


def _following(first: Iterable[Point], found: _Course) -> frozenset[Point]:
    """Return ``first`` and all points that come after one of them."""
    following: dict[Point, list[Point]] = defaultdict(list)
    for point, before in found.items():
        for each in before:
            following[each].append(point)
    reached: set[Point] = set()
    rest = list(first)
    while rest:
        point = rest.pop()
        if point not in reached:
            reached.add(point)
            rest.extend(following[point])
    return frozenset(reached)
