"""What was observed and how it was judged: samples, snapshots, validations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    ServiceName,
    SnapshotId,
    StepId,
)
from test_coordination.domain.verdicts import Finding, Phase, Severity

Facts: TypeAlias = Mapping[str, object]
"""Named facts that JSON can carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The judgement of one check.

    ``observed`` and ``limit`` are the two sides of its comparison when it was decided, where it
    is one. ``margin`` is how far ``observed`` stayed on the good side of ``limit``, negative
    when it did not. ``took`` runs from the check's origin to the start of the stretch in which
    it held: the recovery time of a check that follows a fault.
    """

    check: CheckId
    phase: Phase
    finding: Finding
    expression: str
    severity: Severity = Severity.NORMAL
    weight: float = 1.0
    step: StepId | None = None
    after_fault: StepId | None = None
    observed: object = None
    relation: str = ""
    limit: object = None
    margin: float | None = None
    took: timedelta | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look of a probe; without ``fields`` nothing could be read, and ``error`` says why.

    ``at`` is when the looking began.
    """

    probe: ProbeName
    at: datetime
    took: timedelta
    fields: Mapping[str, object] = field(default_factory=dict)
    error: str = ""

    @property
    def missing(self) -> bool:
        """Tell whether nothing could be read."""
        return bool(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of some services at one time; ``state`` is one document a service."""

    id: SnapshotId
    taken_at: datetime
    state: Mapping[ServiceName, Facts]
    execution: ExecutionId | None = None
    step: StepId | None = None
    problems: tuple[str, ...] = ()


def margin(observed: object, relation: str, limit: object) -> float | None:
    """Return how far ``observed`` is inside the bound that ``relation limit`` sets.

    It is negative outside, zero for an equality that is met, and None where the two sides are
    not numbers or the relation sets no bound.
    """
    left, right = _number(observed), _number(limit)
    if left is None or right is None:
        return None
    match relation:
        case "<" | "<=":
            return right - left
        case ">" | ">=":
            return left - right
        case "==":
            return -abs(left - right)
        case _:
            return None


def _number(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
