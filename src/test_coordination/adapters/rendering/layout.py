"""Where things go on a timeline: sheets for desks and paper, for tablets, and for phones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from test_coordination.adapters.rendering.charts import Element, TimeAxis, draw, fitted

HEADER: Final = 30
MARK: Final = 14
LABEL_PX: Final = 12.5
SMALL_PX: Final = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The measures of one sheet, in units of its own; ``stacked`` puts labels above their track."""

    name: str
    width: int
    gutter: int
    margin: int
    row: int
    chart: int
    ticks_most: int
    stacked: bool


WIDE: Final = Layout(
    name="wide", width=1160, gutter=316, margin=22, row=27, chart=118, ticks_most=11, stacked=False
)
MEDIUM: Final = Layout(
    name="medium", width=740, gutter=232, margin=14, row=27, chart=118, ticks_most=7, stacked=False
)
NARROW: Final = Layout(
    name="narrow", width=390, gutter=6, margin=10, row=38, chart=124, ticks_most=6, stacked=True
)
LAYOUTS: Final = (WIDE, MEDIUM, NARROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A layout with the time that it shows; ``start`` is the axis's zero."""

    layout: Layout
    axis: TimeAxis
    start: datetime

    @classmethod
    def of(cls, layout: Layout, *, start: datetime, span_s: float) -> Sheet:
        """Return a sheet on which ``span_s`` seconds fill the room beside the gutter."""
        axis = TimeAxis(span_s=span_s, left=layout.gutter, right=layout.width - layout.margin)
        return cls(layout=layout, axis=axis, start=start)

    def s(self, at: datetime | None) -> float:
        """Return the seconds from the start to ``at``; what has not ended lasts to the end."""
        return self.axis.span_s if at is None else (at - self.start).total_seconds()

    def x(self, at: datetime | None) -> float:
        """Return where ``at`` is."""
        return self.axis.x(self.s(at))

    def bar(self, span: tuple[datetime, datetime | None], *, y: float, cls: str) -> Element:
        """Return the bar of a stretch of time, wide enough to be seen."""
        x, end = self.x(span[0]), self.x(span[1])
        x = min(x, self.axis.right - 3)
        return draw("rect", cls=cls, x=x, y=y, width=max(end - x, 3), height=self.bar_height, rx=3)

    @property
    def bar_height(self) -> int:
        """Return how high a bar is."""
        return 12 if self.layout.stacked else 14

    def bar_y(self, top: float) -> float:
        """Return the upper edge of the bar in the row at ``top``."""
        return top + (20 if self.layout.stacked else (self.layout.row - self.bar_height) / 2)

    def gutter(self, top: float, *, label: str, aside: str, cls: str) -> list[Element]:
        """Return a row's label, and ``aside`` at the other end of its gutter."""
        right = self.axis.right if self.layout.stacked else self.layout.gutter - 14
        left = self.layout.gutter + MARK + 6 if self.layout.stacked else MARK + 10
        y = top + (14 if self.layout.stacked else self.layout.row / 2 + 4.5)
        room = right - left - len(aside) * 7.4 - 8
        return [
            draw("text", fitted(label, room, LABEL_PX), cls=f"label {cls}", x=left, y=y),
            draw("text", aside, cls="aside", x=right, y=y, text_anchor="end"),
        ]

    @property
    def mark_x(self) -> float:
        """Return where a row's mark begins."""
        return self.layout.gutter if self.layout.stacked else 2

    def mark_y(self, top: float) -> float:
        """Return the upper edge of the mark in the row at ``top``."""
        return top + (2.5 if self.layout.stacked else (self.layout.row - MARK) / 2)
