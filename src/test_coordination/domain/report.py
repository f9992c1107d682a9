"""What came of an execution, told once: every renderer and page shows these figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from test_coordination.domain.events import Entry, Outcome
from test_coordination.domain.evidence import Facts, Sample, Snapshot, Validation
from test_coordination.domain.execution import Execution, FaultState, FaultStatus, Status
from test_coordination.domain.failures import ErrorClass
from test_coordination.domain.plan import Plan, PlannedStep, Stage
from test_coordination.domain.stretches import Excursion, Pause
from test_coordination.domain.values import ExecutionId, ProbeName, ServiceName, StepId
from test_coordination.domain.verdicts import Finding, Verdict

POINTS_MAX: Final = 600
CHANGES_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedStep:
    """One step of the plan and what became of it; without ``started_at`` it was never begun.

    ``error_class`` is what kind of failure it was, if it failed.
    """

    id: StepId
    kind: str
    title: str
    stage: Stage
    needs: tuple[StepId, ...]
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    error: str = ""
    error_class: ErrorClass | None = None
    facts: Facts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSeries:
    """The measured field of one probe over time.

    A point is (seconds since the start of the execution, value); the value is None where the
    probe could read nothing. Where there were more than ``POINTS_MAX`` samples, each stretch of
    time is drawn by its smallest and largest value, so that no peak is lost.
    """

    probe: ProbeName
    kind: str
    measured: str
    unit: str
    points: tuple[tuple[float, float | None], ...]
    samples: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact that two snapshots tell differently; None where it is not there at all."""

    service: ServiceName
    path: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed between two snapshots of one execution."""

    first: StepId
    second: StepId
    changes: tuple[Change, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """Everything that a reader needs to believe a verdict, or to doubt it."""

    __test__: ClassVar = False  # pytest would collect it by its name

    execution: ExecutionId
    scenario: str
    title: str
    version: int
    digest: str
    topology: str
    verdict: Verdict | None
    reason: str
    status: Status
    requested_at: datetime
    requested_by: str
    started_at: datetime | None
    ended_at: datetime | None
    parameters: Facts
    steps: tuple[ReportedStep, ...]
    faults: tuple[FaultState, ...]
    validations: tuple[Validation, ...]
    excursions: tuple[Excursion, ...]
    pauses: tuple[Pause, ...] = ()
    handovers: int = 0
    series: tuple[ReportedSeries, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    log: tuple[Entry, ...]
    source: str

    @property
    def residue(self) -> tuple[FaultState, ...]:
        """Return the faults that are not proven to be undone."""
        return tuple(f for f in self.faults if f.status is not FaultStatus.REVERTED)

    @property
    def took(self) -> timedelta | None:
        """Return how long the execution ran, if it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    def count(self, finding: Finding) -> int:
        """Return how many checks came to ``finding``."""
        return sum(validation.finding is finding for validation in self.validations)


def reported_steps(plan: Plan, execution: Execution) -> tuple[ReportedStep, ...]:
    """Return each step of ``plan`` with what ``execution`` knows of it."""
    return tuple(_reported(step, execution) for step in plan.steps)


def _reported(step: PlannedStep, execution: Execution) -> ReportedStep:
    state = execution.steps.get(step.id)
    return ReportedStep(
        id=step.id,
        kind=step.kind,
        title=step.title,
        stage=step.stage,
        needs=tuple(sorted(step.needs)),
        started_at=state.started_at if state else None,
        ended_at=state.ended_at if state else None,
        outcome=state.outcome if state else None,
        error=state.error if state else "",
        error_class=state.error_class if state else None,
        facts=state.facts if state else None,
    )


def decimate(
    points: Sequence[tuple[float, float | None]], *, most: int = POINTS_MAX
) -> tuple[tuple[float, float | None], ...]:
    """Return at most about ``most`` of ``points``, keeping each stretch's extremes and gaps."""
    if len(points) <= most:
        return tuple(points)
    size = -(-len(points) * 2 // most)
    kept: list[tuple[float, float | None]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        there = [(value, place) for place, (_, value) in enumerate(stretch) if value is not None]
        gaps = [place for place, (_, value) in enumerate(stretch) if value is None][:1]
        ends = {min(there)[1], max(there)[1]} if there else set()
        kept.extend(stretch[place] for place in sorted(ends.union(gaps)))
    return tuple(kept)


def series_points(
    samples: Sequence[Sample], measured: str, start: datetime
) -> list[tuple[float, float | None]]:
    """Return the measured field of ``samples`` against the seconds since ``start``."""
    points: list[tuple[float, float | None]] = []
    for sample in samples:
        value = sample.fields.get(measured)
        number = float(value) if isinstance(value, int | float) else None
        points.append(((sample.at - start).total_seconds(), number))
    return points


def compare(first: Snapshot, second: Snapshot) -> Comparison:
    """Return what ``second`` tells differently from ``first``, in the order of the services."""
    changes = [
        Change(service=service, path=path, before=before, after=after)
        for service in sorted({*first.state, *second.state})
        for path, before, after in _differences(
            first.state.get(service), second.state.get(service), ""
        )
    ]
    return Comparison(
        first=first.step or StepId(str(first.id)),
        second=second.step or StepId(str(second.id)),
        changes=tuple(changes[:CHANGES_MAX]),
        left_out=max(0, len(changes) - CHANGES_MAX),
    )


def _differences(before: object, after: object, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key), after.get(key), inner)
    elif before != after:
        yield path, before, after
