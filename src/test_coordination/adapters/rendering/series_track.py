"""One probe's chart on the timeline: line, gaps, limits, and its peak by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from test_coordination.adapters.rendering.charts import (
    Element,
    ValueAxis,
    camel,
    draw,
    fitted,
    gaps,
    line_path,
    runs,
    text_width,
)
from test_coordination.adapters.rendering.layout import LABEL_PX, SMALL_PX, Sheet
from test_coordination.adapters.rendering.wording import clip, number, plural, quantity
from test_coordination.domain.evidence import Validation
from test_coordination.domain.report import ReportedSeries

# A limit is drawn only where it bounds the very figure that the chart shows.
_BOUND: Final = re.compile(
    r"\s*probes\.(?P<probe>[A-Za-z_]\w*)\.(?P<figure>last\.\w+|(?:min|max|mean|p50|p90|p95|p99)\w*)"
    r"\s*(?:<=|>=|==|<|>)\s*[-\w.\"()]+\s*"
)
LIMIT_REACH: Final = 3.0
TOP_ROOM: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound that a check set on what a chart shows."""

    value: float
    relation: str
    figure: str

    def stops(self, least: float) -> tuple[str, str] | None:
        """Return how the line looks above it and below it, if one side is the bad one.

        Of an equality it is the upper one, where ``least`` of the values lies not below it.
        """
        if self.relation in {">", ">="}:
            return "stop-line", "stop-bad"
        if self.relation in {"<", "<="} or (self.relation == "==" and least >= self.value):
            return "stop-bad", "stop-line"
        return None


def limits(series: ReportedSeries, validations: Iterable[Validation]) -> tuple[Limit, ...]:
    """Return the bounds that plain comparisons set on the measured field of ``series``."""
    found = {}
    for each in validations:
        bound = _BOUND.fullmatch(each.expression)
        if bound is None or bound["probe"] != series.probe or isinstance(each.limit, bool):
            continue
        figure = bound["figure"]
        if figure.startswith("last.") and figure != f"last.{series.measured}":
            continue
        if isinstance(each.limit, int | float):
            limit = Limit(value=float(each.limit), relation=each.relation, figure=figure)
            found[limit.value, limit.relation] = limit
    return tuple(found.values())


def series_track(
    series: ReportedSeries, sheet: Sheet, *, top: float, bounds: tuple[Limit, ...]
) -> list[Element]:
    """Return the chart of ``series``, ``layout.chart`` high, from ``top`` on."""
    values = [value for run in runs(series.points) for _, value in run]
    most = max(values, default=0.0)
    near = [bound for bound in bounds if abs(bound.value) <= LIMIT_REACH * max(abs(most), 1e-9)]
    head = 42 if sheet.layout.stacked else TOP_ROOM
    scale = ValueAxis.over(
        [*values, *(bound.value for bound in near)],
        top=top + head,
        bottom=top + sheet.layout.chart - 10,
    )
    drawn = [*_words(series, sheet, top=top), *_grid(scale, sheet)]
    drawn.extend(_gaps(series, sheet, scale))
    if not values:
        middle = (sheet.axis.left + sheet.axis.right) / 2
        y = (scale.top + scale.bottom) / 2 + 22
        words = draw("text", "no value was read", cls="note", x=middle, y=y, text_anchor="middle")
        return [*drawn, words]
    ident = f"{sheet.layout.name}-{top:.0f}"
    tint = _tint(near, scale, least=min(values), name=ident)
    drawn.extend([tint] if tint else [])
    drawn.extend(_line(series, sheet, scale, tint=tint))
    drawn.extend(element for bound in near for element in _limit(bound, sheet, scale))
    drawn.extend(_ticks(scale, sheet, unit=series.unit))
    drawn.extend(_peak(series, sheet, scale))
    return drawn


def _words(series: ReportedSeries, sheet: Sheet, *, top: float) -> list[Element]:
    counted = plural(series.samples, "sample")
    if series.missing:
        counted += f", {series.missing:,} missing"
    what = f"{series.kind} · {series.measured}"
    if sheet.layout.stacked:
        left, right = sheet.layout.gutter, sheet.axis.right
        name = fitted(series.probe, (right - left) * 0.5, LABEL_PX)
        room = right - left - text_width(name, LABEL_PX) - 10
        return [
            draw("text", name, cls="label strong", x=left, y=top + 17),
            draw(
                "text",
                fitted(counted, room, SMALL_PX),
                cls="aside",
                x=right,
                y=top + 17,
                text_anchor="end",
            ),
        ]
    room = sheet.layout.gutter - 2 - 78
    return [
        draw("text", fitted(series.probe, room, LABEL_PX), cls="label strong", x=2, y=top + 26),
        draw("text", fitted(what, room, SMALL_PX), cls="aside", x=2, y=top + 43),
        draw("text", counted, cls="aside", x=2, y=top + 59),
    ]


def _grid(scale: ValueAxis, sheet: Sheet) -> list[Element]:
    ends = {"x1": sheet.axis.left, "x2": sheet.axis.right}
    return [
        draw("line", cls="grid", y1=scale.y(tick), y2=scale.y(tick), **ends)
        for tick in scale.ticks()
    ]


def _ticks(scale: ValueAxis, sheet: Sheet, *, unit: str) -> list[Element]:
    drawn = []
    ticks = scale.ticks()
    for tick in ticks:
        y = scale.y(tick)
        label = quantity(tick, fitted(unit, 60, SMALL_PX)) if tick == ticks[-1] else number(tick)
        if sheet.layout.stacked:
            drawn.append(draw("text", label, cls="tick", x=sheet.axis.left + 2, y=y - 3))
        else:
            x = sheet.axis.left - 8
            drawn.append(draw("text", label, cls="tick", x=x, y=y + 4, text_anchor="end"))
    return drawn


def _gaps(series: ReportedSeries, sheet: Sheet, scale: ValueAxis) -> list[Element]:
    drawn = []
    for from_s, to_s in gaps(series.points, sheet.axis.span_s):
        left, right = sheet.axis.x(from_s), sheet.axis.x(to_s)
        width, height = max(right - left, 2), scale.bottom - scale.top
        tip = draw("title", f"nothing could be read from {from_s:.1f} s to {to_s:.1f} s")
        place = {"x": left, "y": scale.top, "width": width, "height": height}
        fill = f"url(#{sheet.layout.name}-missing)"
        drawn.append(draw("g", tip, draw("rect", cls="gap", fill=fill, **place)))
        if text_width("no samples", SMALL_PX) + 8 < width:
            x, y = (left + right) / 2, (scale.top + scale.bottom) / 2 + 4
            drawn.append(draw("text", "no samples", cls="note", x=x, y=y, text_anchor="middle"))
    return drawn


def _line(
    series: ReportedSeries, sheet: Sheet, scale: ValueAxis, *, tint: Element | None
) -> list[Element]:
    drawn = []
    floor = f"{scale.bottom:.1f}"
    stroke = f"stroke:url(#{dict(tint.attributes)['id']})" if tint else None
    for run in runs(series.points):
        path = line_path(run, sheet.axis, scale)
        if len(run) > 1:
            left, right = sheet.axis.x(run[0][0]), sheet.axis.x(run[-1][0])
            area = f"{path}L{right:.1f} {floor}L{left:.1f} {floor}Z"
            drawn.append(draw("path", cls="area", d=area))
        drawn.append(draw("path", cls="line", d=path, style=stroke))
    return drawn


def _tint(bounds: list[Limit], scale: ValueAxis, *, least: float, name: str) -> Element | None:
    """Return the gradient that colours a line by its value, with an edge at the first limit."""
    for bound in bounds:
        looks = bound.stops(least)
        if looks is not None:
            edge = scale.y(bound.value) - 1
            offset = f"{(edge - scale.top) / (scale.bottom - scale.top):.4f}"
            stops = [draw("stop", cls=look, offset=offset) for look in looks]
            ends = {"x1": 0.0, "x2": 0.0, "y1": scale.top, "y2": scale.bottom}
            return camel("linearGradient", *stops, id=name, gradientUnits="userSpaceOnUse", **ends)
    return None


def _limit(bound: Limit, sheet: Sheet, scale: ValueAxis) -> list[Element]:
    y = scale.y(bound.value)
    words = clip(f"{bound.figure} {bound.relation} {number(bound.value)}", 40)
    x = sheet.axis.right - 4
    return [
        draw("line", cls="limit", x1=sheet.axis.left, x2=sheet.axis.right, y1=y, y2=y),
        draw("text", words, cls="limit-label", x=x, y=y - 5, text_anchor="end"),
    ]


def _peak(series: ReportedSeries, sheet: Sheet, scale: ValueAxis) -> list[Element]:
    known = [point for run in runs(series.points) for point in run]
    at_s, value = max(known, key=lambda point: point[1])
    unit = fitted(series.unit, 90, SMALL_PX)
    if min(point[1] for point in known) == value:
        words = f"every sample: {quantity(value, unit)}"
        return [draw("text", words, cls="peak", x=sheet.axis.left + 40, y=scale.y(value) - 7)]
    words, x, y = quantity(value, unit), sheet.axis.x(at_s), scale.y(value)
    half = text_width(words, SMALL_PX) / 2
    middle = min(max(x, sheet.axis.left + half + 2), sheet.axis.right - half - 2)
    return [
        draw("circle", cls="peak-dot", cx=x, cy=y, r=3),
        draw("text", words, cls="peak", x=middle, y=y - 8, text_anchor="middle"),
    ]
