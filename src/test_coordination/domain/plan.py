"""What will be done: every expression resolved, every name bound, and who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, TypeAlias, assert_never

from test_coordination.domain.errors import CoordinationError, Mark
from test_coordination.domain.scenario import Severity
from test_coordination.domain.values import CheckId, ProbeName, ServiceName, StepId

Settled: TypeAlias = Mapping[str, object]
"""Parameters as JSON can carry them, with no expression left."""


class Stage(StrEnum):
    """The part of a plan that a step belongs to."""

    BEFORE = "before"
    MAIN = "main"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedProbe:
    """A probe with nothing left to resolve."""

    name: ProbeName
    kind: str
    parameters: Settled
    every: timedelta
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck:
    """A check whose times are known; its expression is evaluated as samples come in.

    ``within`` of None asks for truth at the first look. ``recent`` says that only what was
    sampled after the check's origin counts, also for figures such as a percentile.
    """

    id: CheckId
    expression: str
    mark: Mark
    within: timedelta | None = None
    hold: timedelta = timedelta(0)
    severity: Severity = Severity.NORMAL
    after_fault: StepId | None = None
    recent: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWork:
    """Hold a fault on a service for ``hold``, counted from its confirmed injection."""

    fault: str
    service: ServiceName
    hold: timedelta
    parameters: Settled = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWork:
    """Do something once."""

    action: str
    parameters: Settled = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitWork:
    """Let time pass."""

    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotWork:
    """Capture the state of services."""

    services: tuple[ServiceName, ...]


Work: TypeAlias = FaultWork | ActionWork | WaitWork | SnapshotWork | PlannedCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step; of the five kinds of work it has exactly one.

    They are fields of their own, and not one union, so that a stored plan names its kinds as
    a scenario does.
    """

    id: StepId
    stage: Stage = Stage.MAIN
    title: str = ""
    needs: frozenset[StepId] = frozenset()
    timeout: timedelta
    fault: FaultWork | None = None
    action: ActionWork | None = None
    wait: WaitWork | None = None
    snapshot: SnapshotWork | None = None
    expect: PlannedCheck | None = None

    @property
    def work(self) -> Work:
        """Return the one kind of work that this step has."""
        kinds = (self.fault, self.action, self.wait, self.snapshot, self.expect)
        (work,) = (kind for kind in kinds if kind is not None)
        return work

    @property
    def kind(self) -> str:
        """Return the key that names this kind of step in a scenario."""
        match self.work:
            case FaultWork():
                return "fault"
            case ActionWork():
                return "action"
            case WaitWork():
                return "wait"
            case SnapshotWork():
                return "snapshot"
            case PlannedCheck():
                return "expect"
            case never:
                assert_never(never)


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
    """One resolved definition, ready to run; ``digest`` names all of it but itself."""

    scenario: str
    topology: str
    parameters: Settled
    probes: tuple[PlannedProbe, ...]
    watched: tuple[PlannedCheck, ...]
    steps: tuple[PlannedStep, ...]
    timeout: timedelta
    digest: str = ""

    def step(self, step: StepId) -> PlannedStep:
        """Return the step of that name, which must be one of this plan's."""
        return next(planned for planned in self.steps if planned.id == step)

    def checks(self) -> tuple[tuple[PlannedStep, PlannedCheck], ...]:
        """Return the steps that judge a check, each with its check."""
        return tuple((step, step.expect) for step in self.steps if step.expect is not None)
