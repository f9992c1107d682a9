"""What will be done: every expression resolved, every name bound, and who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from test_coordination.domain.errors import CoordinationError, Mark
from test_coordination.domain.steps import ErrorPolicy, Mode, Otherwise
from test_coordination.domain.values import CheckId, ProbeName, ServiceName, StepId
from test_coordination.domain.verdicts import Severity, Verdict

Settled: TypeAlias = Mapping[str, object]
"""Parameters as JSON can carry them, with no expression left."""

PLAN_FORMAT: Final = 1
"""The format of the plans that this program makes.

It is raised when a plan, or the log of an execution by it, may say what programs before would
understand wrongly, or not at all. They leave such executions to others.
"""
PLAN_FORMATS: Final = frozenset({1})
"""The formats of the plans that this program can carry out."""


class Stage(StrEnum):
    """The part of a plan that a step belongs to."""

    BEFORE = "before"
    MAIN = "main"
    AFTER = "after"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedProbe:
    """A probe with nothing left to resolve."""

    name: ProbeName
    kind: str
    parameters: Settled
    every: timedelta
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCondition:
    """A condition that is evaluated while the execution runs."""

    expression: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck:
    """A check whose times are known; its expression is evaluated as samples come in.

    ``within`` of None asks for truth at the first look. ``recent`` says that only what was
    sampled after the check's origin counts, also for figures such as a percentile. For the
    modes always and never see `Check`.
    """

    id: CheckId
    expression: str
    mark: Mark
    mode: Mode = Mode.EVENTUALLY
    within: timedelta | None = None
    hold: timedelta = timedelta(0)
    span: timedelta | None = None
    during: StepId | None = None
    severity: Severity = Severity.NORMAL
    weight: float = 1.0
    after_fault: StepId | None = None
    recent: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWork:
    """Hold a fault on a service for ``hold``, counted from its confirmed injection.

    Without a ``hold`` it lasts until the step is stopped.
    """

    fault: str
    service: ServiceName
    hold: timedelta | None
    parameters: Settled = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWork:
    """Do something once, or ``times`` times, or until stopped; ``every`` counts begin to begin."""

    action: str
    parameters: Settled = field(default_factory=dict)
    every: timedelta | None = None
    times: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeWork:
    """Look at something once."""

    kind: str
    parameters: Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitWork:
    """Let time pass."""

    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWork:
    """Wait until a condition has been true for ``hold``, for at most ``within``."""

    condition: PlannedCondition
    within: timedelta
    hold: timedelta = timedelta(0)
    otherwise: Otherwise = Otherwise.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWork:
    """End steps that run in the background, and wait for their ends."""

    steps: tuple[StepId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotWork:
    """Capture the state of services."""

    services: tuple[ServiceName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioWork:
    """Run another scenario as an execution of its own; ``verdicts`` are those that hold."""

    scenario: str
    parameters: Settled
    plan: Plan
    verdicts: tuple[Verdict, ...] = (Verdict.HELD,)


Work: TypeAlias = (
    FaultWork
    | ActionWork
    | ProbeWork
    | WaitWork
    | GateWork
    | StopWork
    | SnapshotWork
    | PlannedCheck
    | ScenarioWork
)
KINDS: Final = (
    "fault", "action", "probe", "wait", "gate", "stop", "snapshot", "expect", "scenario",
)  # fmt: skip
"""The fields of a planned step of which exactly one is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRetry:
    """How often a step is tried in all; each delay is ``backoff`` times the one before."""

    attempts: int = 1
    delay: timedelta = timedelta(0)
    backoff: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step; of the kinds of work it has exactly one.

    They are fields of their own, and not one union, so that a stored plan names its kinds as
    a scenario does. A need that runs in the background is satisfied once it has begun, but for
    those of ``ended``, all of them in ``needs``, too, which must be over. Of those of ``queued``,
    in ``needs``, too, it needs nothing but that they are over, for it waits in a queue behind
    them. ``beside`` are the steps with the first of which it begins, and with the last of which
    it ends.
    """

    id: StepId
    stage: Stage = Stage.MAIN
    title: str = ""
    needs: frozenset[StepId] = frozenset()
    ended: frozenset[StepId] = frozenset()
    queued: frozenset[StepId] = frozenset()
    beside: frozenset[StepId] = frozenset()
    timeout: timedelta
    mark: Mark | None = None
    condition: PlannedCondition | None = None
    retry: PlannedRetry = PlannedRetry()
    on_error: ErrorPolicy = ErrorPolicy.FAIL
    background: bool = False
    fault: FaultWork | None = None
    action: ActionWork | None = None
    probe: ProbeWork | None = None
    wait: WaitWork | None = None
    gate: GateWork | None = None
    stop: StopWork | None = None
    snapshot: SnapshotWork | None = None
    expect: PlannedCheck | None = None
    scenario: ScenarioWork | None = None

    @property
    def work(self) -> Work:
        """Return the one kind of work that this step has."""
        (work,) = (found for kind in KINDS if (found := getattr(self, kind)) is not None)
        return work  # type: ignore[no-any-return]  # a field of one of these kinds

    @property
    def kind(self) -> str:
        """Return the key that names this kind of step in a scenario; a gate is a kind of wait."""
        (kind,) = (kind for kind in KINDS if getattr(self, kind) is not None)
        return "wait" if kind == "gate" else kind

    @property
    def endless(self) -> bool:
        """Tell whether it goes on until it is stopped."""
        match self.work:
            case FaultWork(hold=None) | ActionWork(times=None):
                return True
            case PlannedCheck(mode=mode, span=None, during=None):
                return mode is not Mode.EVENTUALLY
            case _:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """When its condition has been true for ``hold``, the execution is stopped."""

    id: CheckId
    condition: PlannedCondition
    hold: timedelta = timedelta(0)
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was left to chance, and how it fell; the same ``seed`` gives the same again."""

    step: StepId
    seed: int
    candidates: tuple[str, ...]
    chosen: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDependency:
    """A scenario that must have ended with one of ``verdicts``, not longer than ``within`` ago."""

    scenario: str
    verdicts: tuple[Verdict, ...]
    mark: Mark
    within: timedelta | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What an execution needs for itself, or shares, while it runs.

    ``pools`` are the slots that it takes, ``sizes`` how many each of these pools has in all.
    """

    exclusive: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    pools: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class ProtectedTargetError(CoordinationError):
    """A fault is aimed at a service that must never be hit."""

    code: ClassVar[str] = "plan.protected_target"

    step: str
    service: str
    mark: Mark

    def __str__(self) -> str:
        return (
            f"{self.mark}: step {self.step!r} aims at {self.service!r}, which the topology "
            "protects (protect: true); choose another target or lift the protection there"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One resolved definition, ready to run; ``digest`` names all of it but itself and places.

    ``groups`` says which planned steps an author's id stands for, where it is not just one of
    the same name. ``seed`` is what every choice was drawn from that has no seed of its own.
    ``format`` says which programs know what it means; plans from before there were formats are
    of the first. ``services_max`` is how many services of the system faults may hit at a time,
    those of all executions together.
    """

    scenario: str
    topology: str
    parameters: Settled
    probes: tuple[PlannedProbe, ...]
    watched: tuple[PlannedCheck, ...]
    steps: tuple[PlannedStep, ...]
    timeout: timedelta
    groups: Mapping[StepId, tuple[StepId, ...]] = field(default_factory=dict)
    stop_when: tuple[StopRule, ...] = ()
    depends_on: tuple[PlannedDependency, ...] = ()
    claims: Claims = Claims()
    choices: tuple[Choice, ...] = ()
    seed: int = 0
    services_max: int | None = None
    digest: str = ""
    format: int = 1

    def step(self, step: StepId) -> PlannedStep:
        """Return the step of that name, which must be one of this plan's."""
        return next(planned for planned in self.steps if planned.id == step)

    def members(self, step: StepId) -> tuple[StepId, ...]:
        """Return the planned steps that an author's id stands for."""
        return self.groups.get(step, (step,))

    def checks(self) -> tuple[tuple[PlannedStep, PlannedCheck], ...]:
        """Return the steps that judge a check, each with its check."""
        return tuple((step, step.expect) for step in self.steps if step.expect is not None)

    def targets(self) -> tuple[ServiceName, ...]:
        """Return the services that faults are aimed at, in the order of the steps, each once."""
        return tuple(dict.fromkeys(step.fault.service for step in self.steps if step.fault))
