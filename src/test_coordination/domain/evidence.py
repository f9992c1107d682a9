"""What was observed and how it was judged: samples, series, snapshots, validations, verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from test_coordination.domain.scenario import Severity
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    ServiceName,
    SnapshotId,
    StepId,
)

Facts: TypeAlias = Mapping[str, object]
"""Named facts that JSON can carry."""


class Verdict(StrEnum):
    """How an execution was judged, from good to grave; where verdicts meet, the gravest wins."""

    HELD = "held"
    INCONCLUSIVE = "inconclusive"
    BROKEN = "broken"
    STOPPED = "stopped"
    COULD_NOT_RUN = "could_not_run"
    RESIDUE = "residue"

    @property
    def gravity(self) -> int:
        """Return its place in the order from good to grave."""
        return _GRAVITY[self]

    @classmethod
    def gravest(cls, parts: Iterable[Verdict]) -> Verdict:
        """Return the gravest of ``parts``; where nothing was judged it is inconclusive."""
        return max(parts, key=lambda part: part.gravity, default=cls.INCONCLUSIVE)


_GRAVITY: Final = {verdict: place for place, verdict in enumerate(Verdict)}


class Finding(StrEnum):
    """How one check was judged."""

    HELD = "held"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"


class Phase(StrEnum):
    """When in an execution a check was judged."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


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


def worst(findings: Iterable[tuple[Finding, Severity]]) -> Verdict:
    """Return the verdict over checks; an informative check has no say.

    A check that was not run, or could not be judged, leaves the whole inconclusive.
    """
    verdicts = {
        Finding.HELD: Verdict.HELD,
        Finding.BROKEN: Verdict.BROKEN,
        Finding.INCONCLUSIVE: Verdict.INCONCLUSIVE,
        Finding.NOT_RUN: Verdict.INCONCLUSIVE,
    }
    return Verdict.gravest(
        verdicts[finding] for finding, severity in findings if severity is not Severity.INFO
    )
