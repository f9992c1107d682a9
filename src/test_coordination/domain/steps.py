"""What an author wants done: the steps of a scenario, and the checks among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression, Interpolation
from test_coordination.domain.values import CheckId, StepId
from test_coordination.domain.verdicts import Severity, Verdict

Text: TypeAlias = str | Expression | Interpolation
Moment: TypeAlias = timedelta | Expression
"""A duration, or the expression that gives it once the parameters are known."""
Parameters: TypeAlias = Mapping[str, object]
"""What an author wrote under ``with``: JSON-like, with expressions where values will be."""

HOLD_MAX: Final = timedelta(hours=24)
STEP_TIMEOUT_DEFAULT: Final = timedelta(minutes=5)
SETTLE_DEFAULT: Final = timedelta(seconds=10)
"""How long a steady state may take to be seen, before and after, unless its entry says."""
COPIES_MAX: Final = 1_000
"""How many steps a plan may have, once all copies are made."""


class ErrorPolicy(StrEnum):
    """What a step that fails means for the others."""

    FAIL = "fail"
    CONTINUE = "continue"
    IGNORE = "ignore"


class Otherwise(StrEnum):
    """What happens when something that was waited or looked for is not there."""

    FAIL = "fail"
    SKIP = "skip"
    CONTINUE = "continue"


class Mode(StrEnum):
    """How a condition must be true in time."""

    EVENTUALLY = "eventually"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A condition, and when it must be true.

    ``within`` counts from the step's start, or from the verified end of ``after_fault``;
    ``hold`` is how long the condition must then stay true. With the modes always and never it
    is looked at throughout ``span``, counted from there, or, if there is none, for as long as
    the step ``during`` is under way, or until the other steps are over.
    """

    id: CheckId
    expression: Expression
    mode: Mode = Mode.EVENTUALLY
    within: Moment | None = None
    hold: Moment | None = None
    span: Moment | None = None
    during: StepId | None = None
    severity: Severity = Severity.NORMAL
    weight: float = 1.0
    after_fault: StepId | None = None
    watch: bool = True
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a step that fails is tried, the first time included.

    The second try begins ``delay`` after the first one failed; each later delay is ``backoff``
    times the one before.
    """

    attempts: int
    delay: Moment = timedelta(0)
    backoff: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForEach:
    """One copy of a step for each value of a list, or for each combination of several.

    A single list has the axis ``value``; copies are known as ``each`` in expressions.
    """

    axes: Mapping[str, Expression | tuple[object, ...]]
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Again and again: ``every`` counts from begin to begin, ``pause`` from end to begin.

    Without ``times`` it goes on until the step is stopped.
    """

    times: int | Expression | None = None
    every: Moment | None = None
    pause: Moment = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Growing strength before the full one: ``stages`` equal parts of ``over``.

    The first stage has ``start`` percent of the full strength.
    """

    over: Moment
    start: float = 0.0
    stages: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many of the candidates are chosen; all of them if neither is given."""

    count: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Chooses services by name and tags; the same seed chooses the same ones."""

    mark: Mark
    services: tuple[Text, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[Text, ...] = ()
    quota: Quota = Quota()
    none: Otherwise = Otherwise.FAIL
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A moment that is drawn by chance: at least ``least``, at most ``most``."""

    least: Moment
    most: Moment
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Wait for a condition, for at most ``within``; ``otherwise`` says what if it stays shut."""

    condition: Expression
    within: Moment
    hold: Moment | None = None
    otherwise: Otherwise = Otherwise.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHead:
    """What every kind of step may have; ``needs`` is None where the author left it out.

    ``concurrency`` is how many copies that ``for_each`` makes are under way at once.
    """

    id: StepId
    mark: Mark
    title: str = ""
    needs: tuple[StepId, ...] | None = None
    condition: Expression | None = None
    timeout: Moment | None = None
    retry: Retry | None = None
    on_error: ErrorPolicy = ErrorPolicy.FAIL
    for_each: ForEach | None = None
    concurrency: int = 1
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultStep(StepHead):
    """One fault, held on services for a while.

    ``hold`` runs from the moment the injection is confirmed, not from when it was asked for,
    so a slow injector shortens nothing. Without it a fault in the background lasts until it is
    stopped.
    """

    fault: str
    target: Text | Selector
    hold: Moment | None
    parameters: Parameters = field(default_factory=dict)
    ramp: Ramp | None = None
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStep(StepHead):
    """One deed that is not undone."""

    action: str
    parameters: Parameters = field(default_factory=dict)
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStep(StepHead):
    """One look at something, known to later steps as ``steps.ID.result``."""

    kind: str
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep(StepHead):
    """Let time pass."""

    duration: Moment | Between


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStep(StepHead):
    """Wait until a condition is true."""

    gate: Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep(StepHead):
    """End a step that runs in the background."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStep(StepHead):
    """Capture the state of the named services."""

    services: tuple[Text, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectStep(StepHead):
    """Judge one check."""

    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioStep(StepHead):
    """Run another scenario as an execution of its own; it holds if its verdict is accepted."""

    scenario: str
    parameters: Parameters = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = (Verdict.HELD,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelStep(StepHead):
    """Steps that do not wait for each other; the next step waits for all of them."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStep(StepHead):
    """Steps one after the other, as one."""

    steps: tuple[Step, ...]


Deed: TypeAlias = (
    FaultStep
    | ActionStep
    | ProbeStep
    | WaitStep
    | GateStep
    | StopStep
    | SnapshotStep
    | ExpectStep
    | ScenarioStep
)
"""A step that does something itself."""
Group: TypeAlias = ParallelStep | SequenceStep
Step: TypeAlias = Deed | Group


def flatten(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield ``steps`` in the order of the file, a group before the steps in it."""
    for step in steps:
        yield step
        if isinstance(step, ParallelStep | SequenceStep):
            yield from flatten(step.steps)


def needs_of(steps: tuple[Step, ...]) -> dict[StepId, frozenset[StepId]]:
    """Return what each step waits for, groups replaced by the steps in them.

    A step that names no needs waits for the one above it; the steps of a group wait for what
    the group waits for, and those of a sequence for the one above, too. A check that is judged
    during a step waits for what that step waits for. Names that no step has are kept as they
    are, for the caller to refuse.
    """
    groups = {
        step.id: frozenset(inner.id for inner in flatten(step.steps) if not is_group(inner))
        for step in flatten(steps)
        if isinstance(step, ParallelStep | SequenceStep)
    }
    finder = _Needs(groups)
    finder.collect(steps, frozenset(), in_order=True)
    return finder.found


def is_group(step: Step) -> bool:
    """Tell whether a step only holds others."""
    return isinstance(step, ParallelStep | SequenceStep)


class _Needs:
    """Walks the steps in the order of the file, and remembers who waits for whom."""

    def __init__(self, groups: Mapping[StepId, frozenset[StepId]]) -> None:
        self.found: dict[StepId, frozenset[StepId]] = {}
        self._groups = groups

    def collect(
        self, steps: tuple[Step, ...], inherited: frozenset[StepId], *, in_order: bool
    ) -> None:
        above = inherited
        for step in steps:
            needs = self._needs(step, above, inherited)
            if isinstance(step, ParallelStep | SequenceStep):
                chained = isinstance(step, SequenceStep)
                self.collect(step.steps, needs, in_order=chained)
            else:
                self.found[step.id] = needs
            if in_order:
                beside = isinstance(step, ExpectStep) and step.check.during is not None
                above = self._members(step.id) | (above if beside else frozenset())

    def _needs(
        self, step: Step, above: frozenset[StepId], inherited: frozenset[StepId]
    ) -> frozenset[StepId]:
        if step.needs is not None:
            return frozenset().union(inherited, *map(self._members, step.needs))
        during = step.check.during if isinstance(step, ExpectStep) else None
        if during is None:
            return above
        members = self._members(during)
        known = [self.found[member] for member in members if member in self.found]
        return frozenset().union(inherited, *known)

    def _members(self, step: StepId) -> frozenset[StepId]:
        return self._groups.get(step, frozenset({step}))
