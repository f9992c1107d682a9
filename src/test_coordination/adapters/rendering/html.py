"""The report as one page that needs nothing else: no script, no network, no server."""

from __future__ import annotations

from typing import Final

import jinja2

from test_coordination.adapters.rendering.figures import (
    FINDINGS,
    figures,
    verdict_reason,
    verdict_word,
)
from test_coordination.adapters.rendering.layout import LAYOUTS
from test_coordination.adapters.rendering.logbook import LINES_MAX, both_ends, line
from test_coordination.adapters.rendering.passages import (
    TEXT_MAX,
    check_rows,
    differences,
    fault_rows,
    step_rows,
)
from test_coordination.adapters.rendering.timeline import choose, legend, timeline
from test_coordination.adapters.rendering.tracks import MARKS
from test_coordination.adapters.rendering.wording import (
    clean,
    clip,
    duration,
    facts,
    instant,
    plural,
)
from test_coordination.domain.report import TestReport

SOURCE_MAX: Final = 256_000
NOTES_MAX: Final = 200
HEADLINE_MAX: Final = 200
REASON_MAX: Final = 800


def _finalized(value: object) -> object:
    """Keep control characters out of the page, whatever a template prints."""
    return clean(value) if type(value) is str else value


_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("test_coordination.adapters.rendering"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_finalized,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(plural=plural, outlines=MARKS)


def render_html(report: TestReport) -> bytes:
    """Return ``report`` as a page."""
    drawn = choose(report)
    log = both_ends(report.log, budget=LINES_MAX)
    page = _TEMPLATES.get_template("report.html.j2").render(
        report=report,
        scenario=clip(report.scenario, HEADLINE_MAX),
        title=clip(report.title or report.scenario, HEADLINE_MAX),
        topology=clip(report.topology, HEADLINE_MAX),
        requested_by=clip(report.requested_by, HEADLINE_MAX),
        verdict=report.verdict.value if report.verdict else "open",
        word=verdict_word(report),
        reason=clip(verdict_reason(report), REASON_MAX),
        took=duration(report.took),
        requested=instant(report.requested_at),
        started=instant(report.started_at),
        ended=instant(report.ended_at),
        figures=figures(report),
        findings={finding.value: word for finding, word in FINDINGS.items()},
        drawings=[timeline(report, drawn, layout) for layout in LAYOUTS],
        legend=legend(report, drawn),
        not_drawn=drawn.left_out,
        checks=check_rows(report),
        faults=fault_rows(report),
        differences=differences(report),
        steps=step_rows(report),
        notes=[clip(note, TEXT_MAX) for note in report.notes[:NOTES_MAX]],
        notes_left_out=max(0, len(report.notes) - NOTES_MAX),
        parameters=facts(report.parameters, most=TEXT_MAX),
        log_head=[line(entry, report.started_at) for entry in log.head],
        log_tail=[line(entry, report.started_at) for entry in log.tail],
        log_left_out=log.left_out,
        source=clip(report.source, SOURCE_MAX),
    )
    return page.encode()
