"""What an author asks for: a scenario, its parameters, probes, checks and steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression, Interpolation
from test_coordination.domain.values import CheckId, ProbeName, StepId, Value

Text: TypeAlias = str | Expression | Interpolation
Moment: TypeAlias = timedelta | Expression
"""A duration, or the expression that gives it once the parameters are known."""
Parameters: TypeAlias = Mapping[str, object]
"""What an author wrote under ``with``: JSON-like, with expressions where values will be."""

HOLD_MAX: Final = timedelta(hours=24)
EVERY_MIN: Final = timedelta(milliseconds=50)
TIMEOUT_DEFAULT: Final = timedelta(minutes=10)
STEP_TIMEOUT_DEFAULT: Final = timedelta(minutes=5)
SETTLE_DEFAULT: Final = timedelta(seconds=10)
"""How long a steady state may take to be seen, before and after, unless its entry says."""


class Severity(StrEnum):
    """What a broken check means for the whole."""

    CRITICAL = "critical"
    NORMAL = "normal"
    INFO = "info"


class ParameterType(StrEnum):
    """The types that a scenario's parameter may have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    PERCENT = "percent"
    SERVICE = "service"
    ENUM = "enum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that the person who starts the scenario may choose."""

    name: str
    type: ParameterType
    mark: Mark
    default: Value = None
    required: bool = False
    minimum: Value = None
    maximum: Value = None
    values: tuple[Value, ...] = ()
    pattern: str | None = None
    unit: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """Something to be sampled for as long as the execution lasts."""

    name: ProbeName
    kind: str
    parameters: Parameters
    every: Moment
    mark: Mark
    timeout: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A condition, and when it must be true.

    ``within`` counts from the step's start, or from the verified end of ``after_fault``.
    ``hold`` is how long the condition must then stay true.
    """

    id: CheckId
    expression: Expression
    within: Moment | None = None
    hold: Moment | None = None
    severity: Severity = Severity.NORMAL
    after_fault: StepId | None = None
    watch: bool = True
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHead:
    """What every kind of step has; ``needs`` is None where the author left it out."""

    id: StepId
    mark: Mark
    title: str = ""
    needs: tuple[StepId, ...] | None = None
    timeout: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultStep(StepHead):
    """One fault, held on one service for a while.

    ``hold`` runs from the moment the injection is confirmed, not from when it was asked for,
    so a slow injector shortens nothing.
    """

    fault: str
    target: Text
    hold: Moment
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStep(StepHead):
    """One deed that is not undone."""

    action: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep(StepHead):
    """Let time pass."""

    duration: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStep(StepHead):
    """Capture the state of the named services."""

    services: tuple[Text, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectStep(StepHead):
    """Judge one check."""

    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelStep(StepHead):
    """Steps that do not wait for each other; the next step waits for all of them."""

    steps: tuple[Step, ...]


Deed: TypeAlias = FaultStep | ActionStep | WaitStep | SnapshotStep | ExpectStep
"""A step that does something itself."""
Step: TypeAlias = Deed | ParallelStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One definition, as it was written; immutable once stored."""

    name: str
    mark: Mark
    source: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()
    steady_state: tuple[Check, ...] = ()
    steps: tuple[Step, ...] = ()
    timeout: Moment = TIMEOUT_DEFAULT

    def every_step(self) -> Iterator[Step]:
        """Yield each step, a group before the steps in it."""
        return flatten(self.steps)


def flatten(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield ``steps`` in the order of the file, a group before the steps in it."""
    for step in steps:
        yield step
        if isinstance(step, ParallelStep):
            yield from flatten(step.steps)


def needs_of(scenario: Scenario) -> dict[StepId, frozenset[StepId]]:
    """Return what each step waits for, groups replaced by the steps in them.

    A step that names no needs waits for the one above it; the steps of a group wait for what
    the group waits for. Names that no step has are kept as they are, for the caller to refuse.
    """
    groups = {
        step.id: frozenset(inner.id for inner in flatten(step.steps) if _is_leaf(inner))
        for step in flatten(scenario.steps)
        if isinstance(step, ParallelStep)
    }
    found: dict[StepId, frozenset[StepId]] = {}
    _collect(scenario.steps, frozenset(), (found, groups), in_order=True)
    return found


def _is_leaf(step: Step) -> bool:
    return not isinstance(step, ParallelStep)


def _collect(
    steps: tuple[Step, ...],
    inherited: frozenset[StepId],
    into: tuple[dict[StepId, frozenset[StepId]], dict[StepId, frozenset[StepId]]],
    *,
    in_order: bool,
) -> None:
    found, groups = into
    above = inherited
    for step in steps:
        if step.needs is None:
            needs = above
        else:
            named = [groups.get(need, frozenset({need})) for need in step.needs]
            needs = frozenset().union(*named) | (frozenset() if in_order else inherited)
        if isinstance(step, ParallelStep):
            _collect(step.steps, needs, into, in_order=False)
        else:
            found[step.id] = needs
        if in_order:
            above = groups.get(step.id, frozenset({step.id}))


def find_cycle(needs: Mapping[StepId, frozenset[StepId]]) -> tuple[StepId, ...]:
    """Return the steps of one circle in the order in which they wait, or nothing.

    The first step is repeated at the end: ``a -> b -> a`` says that a waits for b.
    """
    done: set[StepId] = set()
    for start in needs:
        path: list[StepId] = []
        rest: list[Iterator[StepId]] = [iter([start])]
        while rest:
            step = next(rest[-1], None)
            if step is None:
                rest.pop()
                if path:
                    done.add(path.pop())
            elif step in path:
                return (*path[path.index(step) :], step)
            elif step not in done and step in needs:
                path.append(step)
                rest.append(iter(sorted(needs[step])))
    return ()
