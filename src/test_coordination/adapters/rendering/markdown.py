"""The report as a summary for a build's page or a pull request, never above 64 kB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from test_coordination.adapters.rendering.figures import figures, verdict_reason, verdict_word
from test_coordination.adapters.rendering.passages import (
    CheckRow,
    check_rows,
    fault_rows,
    step_rows,
)
from test_coordination.adapters.rendering.wording import UNKNOWN, clip, duration, instant, plural
from test_coordination.domain.report import TestReport
from test_coordination.domain.verdicts import Verdict

BYTES_MAX: Final = 60_000
ROWS_MAX: Final = 40
CELL_MAX: Final = 160
SENTENCE_MAX: Final = 600

_ICONS: Final = {
    Verdict.HELD: "✅",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.BROKEN: "❌",
    Verdict.STOPPED: "⏹️",
    Verdict.COULD_NOT_RUN: "🚫",
    Verdict.RESIDUE: "🚨",
}
_FINDING_ICONS: Final = {"held": "✅", "broken": "❌", "inconclusive": "❔", "not_run": "⏭️"}
_LOOK_ICONS: Final = {"good": "✅", "warn": "❔", "bad": "🚨"}
_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]()#+!|~$<>&@]")


def render_markdown(report: TestReport) -> bytes:
    """Return ``report`` as GitHub's Markdown, from a heading of the third level on.

    What does not fit is left out from the end, with a sentence that says so.
    """
    kept: list[str] = []
    size = 0
    for section in _sections(report):
        size += len(section.encode()) + 1
        if size > BYTES_MAX:
            kept.append("_The rest does not fit here; the full report has it._\n")
            break
        kept.append(section)
    return "\n".join(kept).encode()


def _sections(report: TestReport) -> Iterator[str]:
    yield _headline(report)
    if report.residue:
        yield _residue(report)
    yield _table(
        [each.name for each in figures(report)],
        [[f"**{_text(each.value)}**<br>{_text(each.note)}" for each in figures(report)]],
    )
    checks = check_rows(report)
    notable = [row for row in checks if row.look != "held"]
    quiet = [row for row in checks if row.look == "held"]
    if notable:
        yield "#### Checks that did not hold\n\n" + _checks(notable)
    if quiet:
        yield _folded(f"{plural(len(quiet), 'check')} held", _checks(quiet))
    if report.faults:
        yield "#### Faults\n\n" + _faults(report)
    failed = [row for row in step_rows(report) if row.error]
    if failed:
        rows = [[_text(row.id), _text(row.outcome), _text(row.error)] for row in failed]
        yield "#### Steps with errors\n\n" + _table(["Step", "Outcome", "Error"], rows)
    if report.notes:
        notes = "\n".join(f"- {_text(note)}" for note in report.notes[:ROWS_MAX])
        yield _folded(plural(len(report.notes), "note"), notes + "\n" + _more(len(report.notes)))


def _headline(report: TestReport) -> str:
    icon = _ICONS[report.verdict] if report.verdict else "⏳"
    title = _text(report.title or report.scenario)
    about = [
        f"{_text(report.scenario)} version {report.version}",
        f"started {instant(report.started_at)}" if report.started_at else "not started",
        f"took {duration(report.took)}",
        f"on {_text(report.topology)}",
        f"by {_text(report.requested_by)}",
    ]
    return (
        f"### {icon} {verdict_word(report)}: {title}\n\n"
        f"{_text(verdict_reason(report), SENTENCE_MAX)}\n\n"
        f"{' · '.join(about)}\n"
    )


def _residue(report: TestReport) -> str:
    lines = [
        f"> - **{_text(row.fault)}** on **{_text(row.service)}** (step {_text(row.step)}): "
        f"{row.status}{': ' if row.reason else ''}{_text(row.reason)}"
        for row in fault_rows(report)
        if not row.proven
    ]
    count = plural(len(lines), "fault")
    return "\n".join(
        ["> [!CAUTION]", f"> {count} not proven to be undone.", ">", *lines[:ROWS_MAX], ""]
    )


def _checks(rows: Sequence[CheckRow]) -> str:
    return _table(
        ["", "Check", "Observed", "Limit", "Margin", "Held after", "Phase", "Severity"],
        [
            [
                f"{_FINDING_ICONS[row.look]} {row.finding}",
                f"**{_text(row.id)}**<br>{_code(row.expression)}"
                + (f"<br>{_text(row.reason)}" if row.reason else ""),
                _text(row.observed),
                _text(row.limit),
                row.margin,
                row.took,
                row.phase,
                row.severity,
            ]
            for row in rows
        ],
    )


def _faults(report: TestReport) -> str:
    return _table(
        ["", "Fault", "On", "Injected", "Undone", "In force"],
        [
            [
                f"{_LOOK_ICONS[row.look]} {row.status}",
                _text(row.fault),
                _text(row.service),
                row.injected,
                row.reverted,
                row.in_force,
            ]
            for row in fault_rows(report)
        ],
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines.extend(f"| {' | '.join(cell or UNKNOWN for cell in row)} |" for row in rows[:ROWS_MAX])
    return "\n".join(lines) + "\n" + _more(len(rows))


def _more(count: int) -> str:
    return f"\n_{count - ROWS_MAX:,} more are in the full report._\n" if count > ROWS_MAX else ""


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>\n"


def _text(text: str, most: int = CELL_MAX) -> str:
    """Return foreign text so that it stays in its cell and is only text."""
    return _SPECIAL.sub(_entity, " ".join(clip(text, most).split()))


def _code(text: str) -> str:
    """Return foreign text as code; a code span could not hold a pipe or a backtick in a table."""
    return f"<code>{_text(text)}</code>"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
