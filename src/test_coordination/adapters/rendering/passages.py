"""The rows of a page's tables, with every value already put for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from test_coordination.adapters.rendering.figures import FAULTS, FINDINGS
from test_coordination.adapters.rendering.wording import (
    UNKNOWN,
    clip,
    duration,
    fact,
    facts,
    offset,
    shown,
    signed_margin,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import FaultState, FaultStatus
from test_coordination.domain.failures import ErrorClass
from test_coordination.domain.report import Comparison, ReportedStep, TestReport
from test_coordination.domain.verdicts import Finding, Severity

TEXT_MAX: Final = 2000
NAME_MAX: Final = 120
CELL_MAX: Final = 300

Pairs = tuple[tuple[str, str], ...]

_GRAVITY: Final = {
    Finding.BROKEN: 0,
    Finding.INCONCLUSIVE: 1,
    Finding.NOT_RUN: 2,
    Finding.HELD: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One judged check."""

    id: str
    title: str
    phase: str
    finding: str
    look: str
    expression: str
    observed: str
    limit: str
    margin: str
    good_margin: bool | None
    took: str
    severity: str
    notable: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """One entry of the ledger."""

    step: str
    fault: str
    service: str
    status: str
    look: str
    armed: str
    injected: str
    reverted: str
    in_force: str
    bit: Pairs
    toothless: bool
    gone: Pairs
    reason: str
    receipt: str
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of the plan."""

    id: str
    title: str
    kind: str
    stage: str
    needs: str
    started: str
    took: str
    outcome: str
    look: str
    error: str
    facts: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two snapshots tell differently."""

    first: str
    second: str
    rows: tuple[tuple[str, str, str, str], ...]
    left_out: int


def gravest_first(report: TestReport) -> tuple[Validation, ...]:
    """Return the checks with those that a reader must see on top, else as they were judged."""
    return tuple(sorted(report.validations, key=lambda each: _GRAVITY[each.finding]))


def check_rows(report: TestReport) -> tuple[CheckRow, ...]:
    """Return a row for each check, the gravest first."""
    titles = {step.id: step.title for step in report.steps if step.title}
    return tuple(
        _check(each, titles.get(each.step, "") if each.step else "")
        for each in gravest_first(report)
    )


def _check(check: Validation, title: str) -> CheckRow:
    timed = isinstance(check.observed, timedelta) or isinstance(check.limit, timedelta)
    limit = f"{check.relation} {shown(check.limit, most=CELL_MAX)}".strip()
    return CheckRow(
        id=clip(check.check, NAME_MAX),
        title=clip(title, NAME_MAX),
        phase=check.phase.value,
        finding=FINDINGS[check.finding],
        look=check.finding.value,
        expression=clip(check.expression, TEXT_MAX),
        observed=shown(check.observed, most=CELL_MAX),
        limit=limit if check.relation else UNKNOWN,
        margin=signed_margin(check.margin, is_duration=timed),
        good_margin=check.margin >= 0 if check.margin is not None else None,
        took=duration(check.took),
        severity=check.severity.value,
        notable=check.severity is not Severity.NORMAL,
        reason=clip(check.reason, TEXT_MAX),
    )


def fault_rows(report: TestReport) -> tuple[FaultRow, ...]:
    """Return a row for each fault in the order in which they were armed."""
    return tuple(_fault(fault, report) for fault in report.faults)


def _fault(fault: FaultState, report: TestReport) -> FaultRow:
    start = report.started_at
    proven = fault.status is FaultStatus.REVERTED
    lasted = (
        fault.reverted_at - fault.injected_at if fault.reverted_at and fault.injected_at else None
    )
    status = FAULTS[fault.status]
    if proven and not fault.bitten:
        status = "did not bite, undone"
    return FaultRow(
        step=clip(fault.step, NAME_MAX),
        fault=clip(fault.fault, NAME_MAX),
        service=clip(fault.service, NAME_MAX),
        status=status,
        look="good" if proven and fault.bitten else "warn" if proven else "bad",
        armed=offset(fault.armed_at, start),
        injected=offset(fault.injected_at, start),
        reverted=offset(fault.reverted_at, start),
        in_force=duration(lasted),
        bit=facts(fault.evidence),
        toothless=not fault.bitten,
        gone=facts(fault.restored),
        reason=clip(fault.reason, TEXT_MAX),
        receipt=clip(fault.receipt, TEXT_MAX),
        proven=proven,
    )


def step_rows(report: TestReport) -> tuple[StepRow, ...]:
    """Return a row for each step in the plan's order."""
    return tuple(_step(step, report) for step in report.steps)


def _step(step: ReportedStep, report: TestReport) -> StepRow:
    took = step.ended_at - step.started_at if step.started_at and step.ended_at else None
    outcome = step.outcome.value if step.outcome else "not ended"
    if step.started_at is None:
        outcome = "not begun"
    look = outcome.replace(" ", "-")
    if step.error_class is ErrorClass.UNKNOWN_OUTCOME:
        outcome, look = "not known", "cancelled"
    return StepRow(
        id=clip(step.id, NAME_MAX),
        title=clip(step.title, NAME_MAX),
        kind=clip(step.kind, NAME_MAX),
        stage=step.stage.value,
        needs=clip(", ".join(step.needs), CELL_MAX),
        started=offset(step.started_at, report.started_at) if step.started_at else UNKNOWN,
        took=duration(took),
        outcome=outcome,
        look=look,
        error=clip(step.error, TEXT_MAX),
        facts=facts(step.facts),
    )


def differences(report: TestReport) -> tuple[Difference, ...]:
    """Return the snapshots' differences."""
    return tuple(_difference(comparison) for comparison in report.comparisons)


def _difference(comparison: Comparison) -> Difference:
    return Difference(
        first=clip(comparison.first, NAME_MAX),
        second=clip(comparison.second, NAME_MAX),
        rows=tuple(
            (
                clip(change.service, NAME_MAX),
                clip(change.path, CELL_MAX),
                fact(change.before),
                fact(change.after),
            )
            for change in comparison.changes
        ),
        left_out=comparison.left_out,
    )
