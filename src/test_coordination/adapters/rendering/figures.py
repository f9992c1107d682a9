"""The handful of figures that stand on top, and the words for verdicts and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from test_coordination.adapters.rendering.wording import UNKNOWN, clip, duration, number, plural
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import FaultStatus, Status
from test_coordination.domain.report import TestReport
from test_coordination.domain.verdicts import Finding, Verdict

VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.HELD: "Held",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.BROKEN: "Broken",
    Verdict.STOPPED: "Stopped",
    Verdict.COULD_NOT_RUN: "Could not run",
    Verdict.RESIDUE: "Not undone",
}
MEANINGS: Final[Mapping[Verdict, str]] = {
    Verdict.HELD: "every check that counts held",
    Verdict.INCONCLUSIVE: "what was observed is not enough to judge",
    Verdict.BROKEN: "at least one expectation was not met",
    Verdict.STOPPED: "the execution was stopped before its end",
    Verdict.COULD_NOT_RUN: "the execution could not be carried out as planned",
    Verdict.RESIDUE: "a fault may still be in force",
}
FINDINGS: Final[Mapping[Finding, str]] = {
    Finding.HELD: "held",
    Finding.BROKEN: "broken",
    Finding.INCONCLUSIVE: "inconclusive",
    Finding.NOT_RUN: "not run",
}
FAULTS: Final[Mapping[FaultStatus, str]] = {
    FaultStatus.ARMED: "armed, perhaps injected",
    FaultStatus.INJECTED: "in force",
    FaultStatus.NOT_INJECTED: "did not bite, not undone",
    FaultStatus.REVERT_FAILED: "undo not verified",
    FaultStatus.REVERTED: "undone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure with its name, a word of context, and how it looks (a CSS class)."""

    name: str
    value: str
    note: str = ""
    look: str = ""
    parts: tuple[tuple[str, int], ...] = ()


def verdict_word(report: TestReport) -> str:
    """Return the verdict in a word or two, also where there is none yet."""
    if report.verdict is not None:
        return VERDICTS[report.verdict]
    return "Running" if report.status is Status.RUNNING else "Not judged"


def verdict_reason(report: TestReport) -> str:
    """Return the sentence that says why, or what the verdict means where nothing was said."""
    if report.reason:
        return report.reason
    if report.verdict is not None:
        return MEANINGS[report.verdict]
    return "no verdict has been reached"


def follow_faults(report: TestReport) -> tuple[Validation, ...]:
    """Return the checks that count from the end of a fault, and say how long it took."""
    return tuple(
        validation
        for validation in report.validations
        if validation.took is not None and validation.after_fault is not None
    )


def figures(report: TestReport) -> tuple[Figure, ...]:
    """Return the key figures; those that nothing is known about are left out or say so."""
    made = [_checks(report), _faults(report), _recovery(report), _samples(report)]
    made.append(_outside(report))
    return tuple(figure for figure in made if figure is not None)


def _checks(report: TestReport) -> Figure | None:
    if not report.validations:
        return Figure(name="Checks", value=UNKNOWN, note="none was judged")
    counts = {finding: report.count(finding) for finding in Finding}
    rest = [
        f"{counts[finding]} {FINDINGS[finding]}"
        for finding in (Finding.BROKEN, Finding.INCONCLUSIVE, Finding.NOT_RUN)
        if counts[finding]
    ]
    return Figure(
        name="Checks held",
        value=f"{counts[Finding.HELD]} of {len(report.validations)}",
        note=", ".join(rest) or "none broken",
        look="bad" if counts[Finding.BROKEN] else "warn" if rest else "good",
        parts=tuple((finding.value, counts[finding]) for finding in Finding if counts[finding]),
    )


def _faults(report: TestReport) -> Figure | None:
    if not report.faults:
        return Figure(name="Faults", value=UNKNOWN, note="none was armed")
    injected = sum(fault.injected_at is not None for fault in report.faults)
    undone = len(report.faults) - len(report.residue)
    note = f"{injected} injected"
    toothless = sum(not fault.bitten for fault in report.faults)
    if toothless:
        note += f", {toothless} did not bite"
    return Figure(
        name="Faults undone",
        value=f"{undone} of {len(report.faults)}",
        note=note,
        look="bad" if report.residue else "warn" if toothless else "good",
        parts=tuple(
            part for part in (("undone", undone), ("residue", len(report.residue))) if part[1]
        ),
    )


def _recovery(report: TestReport) -> Figure | None:
    times = follow_faults(report)
    if not times:
        if not report.faults:
            return None
        return Figure(name="Recovery", value=UNKNOWN, note="no check measured one")
    slowest = max(times, key=lambda each: each.took or timedelta(0))
    name = "Recovery" if len(times) == 1 else "Slowest recovery"
    note = f"{clip(slowest.check, 40)}"
    if len(times) > 1:
        note += f", of {len(times)}"
    return Figure(name=name, value=duration(slowest.took), note=note)


def _samples(report: TestReport) -> Figure | None:
    if not report.series:
        return None
    samples = sum(series.samples for series in report.series)
    missing = sum(series.missing for series in report.series)
    note = f"of {plural(len(report.series), 'probe')}"
    if missing:
        note = f"{missing:,} missing ({number(round(100 * missing / max(samples, 1), 1))} %)"
    return Figure(
        name="Samples", value=f"{samples:,}", note=note, look="warn" if missing else "good"
    )


def _outside(report: TestReport) -> Figure | None:
    """Return how long the steady state was left, where it was."""
    spans = [
        excursion.regained_at - excursion.left_at if excursion.regained_at else None
        for excursion in report.excursions
    ]
    if not spans:
        return None
    known = [span for span in spans if span is not None]
    note = plural(len(spans), "excursion")
    if len(known) < len(spans):
        lasting = "" if len(spans) == 1 else f"{len(spans) - len(known)} "
        note += f", {lasting}not regained"
    longest = duration(max(known)) if known else UNKNOWN
    return Figure(name="Longest excursion", value=longest, note=note, look="warn")
