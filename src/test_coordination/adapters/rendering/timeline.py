"""The timeline: steps, fault windows, excursions and probe series on one axis of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from test_coordination.adapters.rendering.charts import Element, camel, draw, fitted
from test_coordination.adapters.rendering.layout import HEADER, SMALL_PX, Layout, Sheet
from test_coordination.adapters.rendering.series_track import limits, series_track
from test_coordination.adapters.rendering.tracks import (
    MARKS,
    bands,
    excursion_row,
    pause_bands,
    step_row,
)
from test_coordination.adapters.rendering.wording import clip, duration, number, plural, quantity
from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import FaultState
from test_coordination.domain.report import ReportedSeries, ReportedStep, TestReport

STEPS_MAX: Final = 60
EXCURSIONS_MAX: Final = 12
SERIES_MAX: Final = 24
NAMED_PX: Final = 240
SPAN_S_MIN: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What of a report its timeline shows; ``left_out`` says in words what it does not."""

    steps: tuple[ReportedStep, ...]
    series: tuple[ReportedSeries, ...]
    left_out: tuple[str, ...]


def choose(report: TestReport) -> Drawn:
    """Choose what the timeline has room for: faults and failures first, in the plan's order."""
    urgent = {Outcome.FAILED: 0, Outcome.CANCELLED: 1}
    ranked = sorted(
        report.steps,
        key=lambda step: 0 if step.kind == "fault" else urgent.get(step.outcome or Outcome.DONE, 2),
    )
    chosen = {step.id for step in ranked[:STEPS_MAX]}
    steps = tuple(step for step in report.steps if step.id in chosen)[:STEPS_MAX]
    left_out = []
    for shown, there, noun in (
        (len(steps), len(report.steps), "steps"),
        (min(SERIES_MAX, len(report.series)), len(report.series), "probe series"),
        (min(EXCURSIONS_MAX, _watched(report)), _watched(report), "checks that were not true"),
    ):
        if shown < there:
            left_out.append(f"{shown} of {there:,} {noun}")
    return Drawn(steps=steps, series=report.series[:SERIES_MAX], left_out=tuple(left_out))


def _watched(report: TestReport) -> int:
    return len({excursion.check for excursion in report.excursions})


def legend(report: TestReport, drawn: Drawn) -> tuple[tuple[str, str], ...]:
    """Return the marks that the timeline uses, each with its meaning, and no other."""
    used = {step.kind for step in drawn.steps}
    bounded = any(limits(series, report.validations) for series in drawn.series)
    entries = {
        **{kind: kind for kind in MARKS if kind in used},
        "excursion": "not true while watched" if report.excursions else "",
        "l-band": "fault in force" if any(_was_in_force(fault) for fault in report.faults) else "",
        "l-tried": "fault that did not bite" if not all(f.bitten for f in report.faults) else "",
        "l-open": "not proven undone" if report.residue else "",
        "l-pause": "paused: nothing was begun" if report.pauses else "",
        "l-gap": "no samples" if any(series.missing for series in drawn.series) else "",
        "l-limit": "limit of a check" if bounded else "",
    }
    return tuple((mark, meaning) for mark, meaning in entries.items() if meaning)


def _was_in_force(fault: FaultState) -> bool:
    return fault.bitten and fault.injected_at is not None and fault.reverted_at is not None


def timeline(report: TestReport, drawn: Drawn, layout: Layout) -> Element | None:
    """Return the timeline in ``layout``, or None where nothing was ever begun."""
    if report.started_at is None:
        return None
    span_s = max((_end(report) - report.started_at).total_seconds(), SPAN_S_MIN)
    sheet = Sheet.of(layout, start=report.started_at, span_s=span_s)
    rows, rows_end = _rows(report, drawn, sheet)
    charts, bottom = _charts(report, drawn, sheet, top=rows_end)
    name = f"timeline-{layout.name}"
    return camel(
        "svg",
        draw("title", "Timeline", id=f"{name}-title"),
        draw("desc", _described(report, drawn), id=f"{name}-desc"),
        *_patterns(layout),
        *pause_bands(report.pauses, sheet, top=HEADER, bottom=bottom),
        *bands(report.faults, sheet, top=HEADER, bottom=bottom),
        *_axis(sheet, bottom=bottom),
        *rows,
        *charts,
        **{
            "class": f"timeline {layout.name}",
            "viewBox": f"0 0 {layout.width} {bottom:.0f}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
        },
    )


def _end(report: TestReport) -> datetime:
    """Return the last moment that the report knows of."""
    assert report.started_at is not None, "a timeline begins with its execution"
    if report.ended_at is not None:
        late = [fault.reverted_at for fault in report.faults if fault.reverted_at]
        return max([report.ended_at, *late])
    return report.log[-1].at if report.log else report.started_at


def _rows(report: TestReport, drawn: Drawn, sheet: Sheet) -> tuple[list[Element], float]:
    top, layout = float(HEADER + 6), sheet.layout
    checks = {check.step: check for check in report.validations if check.step is not None}
    faults = {fault.step: fault for fault in report.faults}
    rows: list[Element] = []
    stage = drawn.steps[0].stage if drawn.steps else None
    for step in drawn.steps:
        if step.stage is not stage:
            stage = step.stage
            rows.append(draw("line", cls="stage", x1=0, x2=layout.width, y1=top, y2=top))
        inside = _named(faults[step.id]) if step.id in faults else ""
        check = checks.get(step.id)
        rows.extend(step_row(step, sheet, top=top, check=check, inside=inside))
        top += layout.row
    by_check = sorted(report.excursions, key=lambda excursion: excursion.check)
    groups = [(check, tuple(all_)) for check, all_ in groupby(by_check, lambda each: each.check)]
    for check, stretches in groups[:EXCURSIONS_MAX]:
        rows.extend(excursion_row(check, stretches, sheet, top=top))
        top += layout.row
    return rows, top + 6


def _named(fault: FaultState) -> str:
    return fitted(f"{fault.fault} on {fault.service}", NAMED_PX, SMALL_PX)


def _charts(
    report: TestReport, drawn: Drawn, sheet: Sheet, *, top: float
) -> tuple[list[Element], float]:
    charts: list[Element] = []
    for series in drawn.series:
        charts.append(draw("line", cls="stage", x1=0, x2=sheet.layout.width, y1=top, y2=top))
        bounds = limits(series, report.validations)
        charts.extend(series_track(series, sheet, top=top, bounds=bounds))
        top += sheet.layout.chart
    return charts, top + 4


def _axis(sheet: Sheet, *, bottom: float) -> list[Element]:
    layout, axis = sheet.layout, sheet.axis
    drawn = [draw("line", cls="stage", x1=0, x2=layout.width, y1=HEADER, y2=HEADER)]
    if not layout.stacked:
        drawn.append(draw("text", axis.unit, cls="aside", x=2, y=19))
    ticks = axis.ticks(layout.ticks_most)
    for at_s, label in ticks:
        x = axis.x(at_s)
        drawn.append(draw("line", cls="grid", x1=x, x2=x, y1=HEADER, y2=bottom))
        near_end = x > axis.right - 16
        anchor = "start" if at_s == 0 else "end" if near_end else "middle"
        drawn.append(draw("text", label, cls="tick", x=x, y=19, text_anchor=anchor))
    return drawn


def _patterns(layout: Layout) -> Iterable[Element]:
    for name, size in (("missing", 7), ("residue", 9)):
        stroke = draw("line", cls=f"hatch-{name}", x1=0, x2=0, y1=0, y2=size)
        yield camel(
            "pattern",
            stroke,
            id=f"{layout.name}-{name}",
            width=size,
            height=size,
            patternUnits="userSpaceOnUse",
            patternTransform="rotate(45)",
        )


def _described(report: TestReport, drawn: Drawn) -> str:
    """Tell the timeline in words, for those who cannot see it."""
    parts = [f"{plural(len(report.steps), 'step')} in {duration(report.took)}."]
    assert report.started_at is not None, "a timeline begins with its execution"
    for fault in report.faults[:SERIES_MAX]:
        begun, over = fault.injected_at, fault.reverted_at
        if begun is None:
            parts.append(f"{_named(fault)} was never in force.")
            continue
        until = (
            f"to {number(round((over - report.started_at).total_seconds(), 3))} s"
            if over
            else "and is not proven undone"
        )
        since = number(round((begun - report.started_at).total_seconds(), 3))
        parts.append(f"{_named(fault)} from {since} s {until}.")
    for pause in report.pauses[:SERIES_MAX]:
        span = (pause.paused_at, pause.resumed_at or _end(report))
        first, last = (round((at - report.started_at).total_seconds(), 3) for at in span)
        parts.append(f"Paused from {number(first)} s to {number(last)} s.")
    for series in drawn.series:
        values = [value for _, value in series.points if value is not None]
        if values:
            ends = f"{number(min(values))} to {quantity(max(values), series.unit)}"
            parts.append(f"{clip(series.probe, 60)}: {ends}, {series.missing} missing.")
    return " ".join(parts)
