"""The rows of a timeline: steps as bars, fault windows as bands, excursions as marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from test_coordination.adapters.rendering.charts import Element, draw, fitted, text_width
from test_coordination.adapters.rendering.figures import FINDINGS
from test_coordination.adapters.rendering.layout import SMALL_PX, Sheet
from test_coordination.adapters.rendering.wording import UNKNOWN, clip, duration
from test_coordination.domain.events import Outcome
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import FaultState, FaultStatus
from test_coordination.domain.failures import ErrorClass
from test_coordination.domain.report import ReportedStep
from test_coordination.domain.stretches import Excursion, Pause
from test_coordination.domain.values import CheckId
from test_coordination.domain.verdicts import Finding

BESIDE_MIN: Final = 60
MARKS: Final[Mapping[str, str]] = {
    "fault": "M8 1 3 8h3.6L6 13l5-7H7.4z",
    "expect": "M2 7.5l3.4 3.4L12 3.6",
    "broken": "M3 3l8 8M11 3l-8 8",
    "inconclusive": "M4.6 5c0-3.4 5-3.4 5 0 0 2-2.5 2-2.5 3.8M7.1 11.4v.2",
    "wait": "M7 1.5a5.5 5.5 0 1 0 .01 0M7 4v3.2l2.2 1.4",
    "snapshot": "M1.5 4.5H4l1-1.7h4l1 1.7h2.5v7h-11zM7 9.9a2.1 2.1 0 1 0-.01 0",
    "action": "M4 2.5v9l7-4.5z",
    "excursion": "M7 1.8 13 12H1zM7 5.6v3M7 10.2v.2",
}
"""The outline of each kind's mark, in a square of 14."""


def mark(kind: str, *, x: float, y: float) -> Element:
    """Return the mark of a kind of step, for kinds are not told by colour alone."""
    place = f"translate({x:.1f} {y:.1f})"
    return draw("path", cls=f"mark k-{kind}", d=MARKS.get(kind, MARKS["action"]), transform=place)


def bands(
    faults: Iterable[FaultState], sheet: Sheet, *, top: float, bottom: float
) -> list[Element]:
    """Return each fault's window as a band through every track between ``top`` and ``bottom``."""
    drawn: list[Element] = []
    for fault in faults:
        left = sheet.x(fault.injected_at or fault.armed_at)
        right = sheet.x(fault.reverted_at)
        kind = "band"
        if not fault.bitten or fault.injected_at is None:
            kind = "band tried"
        elif fault.status is not FaultStatus.REVERTED:
            kind = "band open"
        drawn.append(
            draw("rect", cls=kind, x=left, y=top, width=max(right - left, 1.5), height=bottom - top)
        )
        edges = [left, right] if fault.reverted_at else [left]
        drawn.extend(draw("line", cls="edge", x1=x, x2=x, y1=top, y2=bottom) for x in edges)
        if kind == "band open":
            height = bottom - top
            hatch = f"url(#{sheet.layout.name}-residue)"
            drawn.append(draw("rect", x=left, y=top, width=right - left, height=height, fill=hatch))
    return drawn


def pause_bands(
    pauses: Iterable[Pause], sheet: Sheet, *, top: float, bottom: float
) -> list[Element]:
    """Return each pause as a band through every track between ``top`` and ``bottom``."""
    drawn: list[Element] = []
    for pause in pauses:
        left, right = sheet.x(pause.paused_at), sheet.x(pause.resumed_at)
        tip = draw("title", f"paused by {clip(pause.by, 60)}: {clip(pause.reason, 200)}")
        width, height = max(right - left, 1.5), bottom - top
        drawn.append(
            draw("g", tip, draw("rect", cls="pause", x=left, y=top, width=width, height=height))
        )
    return drawn


def step_row(
    step: ReportedStep, sheet: Sheet, *, top: float, check: Validation | None, inside: str
) -> list[Element]:
    """Return the row of ``step`` and of the ``check`` that it judged; ``inside`` is its bar's text.

    A check that did not hold does not look like one that did.
    """
    kind = check.finding if check and check.finding in MARKS else step.kind
    took = step.ended_at - step.started_at if step.started_at and step.ended_at else None
    begun = step.started_at is not None and step.outcome is not Outcome.SKIPPED
    quiet = "" if begun else "quiet"
    aside = duration(took) if begun else UNKNOWN
    row = [
        mark(kind, x=sheet.mark_x, y=sheet.mark_y(top)),
        *sheet.gutter(top, label=step.title or step.id, aside=aside, cls=quiet),
    ]
    y = sheet.bar_y(top)
    if not begun or step.started_at is None:
        word = "skipped" if step.outcome is Outcome.SKIPPED else "not begun"
        row.append(_beside(word, sheet, y=y, span=(sheet.axis.left, sheet.axis.left)))
        return row
    bar = sheet.bar((step.started_at, step.ended_at), y=y, cls=_bar_class(step, kind))
    tip = f"{clip(step.title or step.id, 200)}: {duration(took)}"
    row.append(draw("g", draw("title", tip), bar))
    span = (sheet.x(step.started_at), sheet.x(step.ended_at))
    if inside and text_width(inside, SMALL_PX) + 10 <= span[1] - span[0]:
        row.append(draw("text", inside, cls="inside", x=span[0] + 6, y=y + sheet.bar_height - 3.4))
        inside = ""
    words = " · ".join(word for word in (_ending(step), _told(check), inside) if word)
    if words:
        row.append(_beside(words, sheet, y=y, span=span))
    return row


def _bar_class(step: ReportedStep, kind: str) -> str:
    ending = step.outcome.value if step.outcome else "running"
    return f"bar k-{kind if kind in MARKS else 'action'} o-{ending}"


def _told(check: Validation | None) -> str:
    """Return what a step's check has to say: how it ended, or how long it took to hold."""
    if check is None:
        return ""
    if check.took is not None:
        return f"held after {duration(check.took)}"
    return "" if check.finding is Finding.HELD else FINDINGS[check.finding]


def _ending(step: ReportedStep) -> str:
    match step.outcome:
        case Outcome.FAILED if step.error_class is ErrorClass.UNKNOWN_OUTCOME:
            return "not known"
        case Outcome.FAILED:
            return "failed"
        case Outcome.CANCELLED:
            return "cancelled"
        case None:
            return "not ended"
        case _:
            return ""


def _beside(words: str, sheet: Sheet, *, y: float, span: tuple[float, float]) -> Element:
    """Put ``words`` after their bar or before it, cut to the room; over its end where is none."""
    below = y + sheet.bar_height - 3
    after, before = sheet.axis.right - span[1] - 6, span[0] - sheet.axis.left - 6
    if text_width(words, SMALL_PX) <= after or after >= max(before, BESIDE_MIN):
        return draw("text", fitted(words, after, SMALL_PX), cls="note", x=span[1] + 6, y=below)
    x, room = (span[0] - 6, before) if before >= BESIDE_MIN else (sheet.axis.right - 6, after + 240)
    text = fitted(words, room, SMALL_PX)
    return draw("text", text, cls="note", x=x, y=below, text_anchor="end")


def excursion_row(
    check: CheckId, stretches: Iterable[Excursion], sheet: Sheet, *, top: float
) -> list[Element]:
    """Return the row of the stretches in which ``check`` was not true while it was watched."""
    y = sheet.bar_y(top)
    row = [
        mark("excursion", x=sheet.mark_x, y=sheet.mark_y(top)),
        *sheet.gutter(top, label=f"not true: {check}", aside="", cls=""),
    ]
    for stretch in stretches:
        row.append(sheet.bar((stretch.left_at, stretch.regained_at), y=y, cls="bar k-excursion"))
        lasted = stretch.regained_at - stretch.left_at if stretch.regained_at else None
        words = f"outside for {duration(lasted)}" if lasted is not None else "not regained"
        span = (sheet.x(stretch.left_at), sheet.x(stretch.regained_at))
        row.append(_beside(words, sheet, y=y, span=span))
    return row
