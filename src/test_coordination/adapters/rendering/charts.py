"""SVG without a script: elements that escape themselves, and the scales of a chart.

Colours come from CSS classes, so that one drawing serves light, dark and paper.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from test_coordination.adapters.rendering.wording import clean, number

Point: TypeAlias = tuple[float, float | None]

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60)
_LONGER: Final = (120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
MINUTES_FROM_S: Final = 300
HOURS_FROM_S: Final = 7200
FLAT_SHARE: Final = 0.6
SPAN_SHARE_MIN: Final = 1e-9
VALUE_MIN: Final = 1e-200  # below and above these, the arithmetic of a scale itself breaks
VALUE_MAX: Final = 1e200


@dataclass(frozen=True, slots=True)
class Element:
    """One SVG element; its text and attributes are escaped wherever it is written.

    ``__html__`` is what a Jinja2 template with autoescape asks for.
    """

    tag: str
    attributes: tuple[tuple[str, str], ...]
    children: tuple[Element | str, ...]

    def __html__(self) -> str:
        return "".join(_written(self))


def _written(element: Element) -> Iterator[str]:
    yield f"<{element.tag}"
    for name, value in element.attributes:
        yield f' {name}="{html.escape(value)}"'
    if not element.children:
        yield "/>"
        return
    yield ">"
    for child in element.children:
        if isinstance(child, Element):
            yield from _written(child)
        else:
            yield html.escape(clean(child), quote=False)
    yield f"</{element.tag}>"


def draw(tag: str, *children: Element | str, **attributes: str | float | None) -> Element:
    """Return an element; ``cls`` means class, ``_`` in a name means ``-``, None leaves it out."""
    return Element(
        tag,
        tuple(
            ("class" if name == "cls" else name.replace("_", "-"), _attribute(value))
            for name, value in attributes.items()
            if value is not None
        ),
        children,
    )


def camel(tag: str, *children: Element | str, **attributes: str | float) -> Element:
    """Return an element as `draw` does, with the names of its attributes as they are."""
    pairs = tuple((name, _attribute(value)) for name, value in attributes.items())
    return Element(tag, pairs, children)


def _attribute(value: str | float) -> str:
    if isinstance(value, str):
        return clean(value)
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """Seconds since the start, from 0 to ``span_s``, laid out from ``left`` to ``right``."""

    span_s: float
    left: float
    right: float

    def x(self, at_s: float) -> float:
        """Return where ``at_s`` is; what lies outside is moved to the edge."""
        share = min(max(at_s, 0.0), self.span_s) / self.span_s
        return self.left + (self.right - self.left) * share

    def ticks(self, most: int) -> tuple[tuple[float, str], ...]:
        """Return at most ``most`` round moments, each with its label."""
        steps = (*_SECONDS, *_LONGER)
        step = next((s for s in steps if self.span_s / s < most), steps[-1])
        while self.span_s / step >= most:
            step *= 2
        count = int(self.span_s / step + 1e-9)
        return tuple((n * step, self.label(n * step)) for n in range(count + 1))

    def label(self, at_s: float) -> str:
        """Return ``at_s`` as the axis writes it: seconds, min:s, or h:min where it is long."""
        if self.span_s <= MINUTES_FROM_S:
            return f"{number(at_s)} s"
        small_s, large_s = (1, 60) if self.span_s <= HOURS_FROM_S else (60, 3600)
        large, rest_s = divmod(round(at_s), large_s)
        return f"{large}:{rest_s // small_s:02d}"

    @property
    def unit(self) -> str:
        """Return what the labels count."""
        if self.span_s <= MINUTES_FROM_S:
            return "seconds since the start"
        return "min:s since the start" if self.span_s <= HOURS_FROM_S else "h:min since the start"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAxis:
    """Values from ``low`` to ``high``, laid out from ``bottom`` up to ``top``."""

    low: float
    high: float
    step: float
    top: float
    bottom: float

    @classmethod
    def over(cls, values: Sequence[float], *, top: float, bottom: float) -> ValueAxis:
        """Return an axis with round ends that holds ``values``, and 0 unless that flattens them."""
        bounded = [min(max(value, -VALUE_MAX), VALUE_MAX) for value in values] or [0.0]
        least, most = min(bounded), max(bounded)
        if max(abs(least), abs(most)) < VALUE_MIN:
            return cls(low=0, high=1, step=1, top=top, bottom=bottom)
        if 0 <= least <= FLAT_SHARE * most:
            least = 0.0
        if most - least <= SPAN_SHARE_MIN * max(abs(least), abs(most)):
            least, most = sorted((0.0, most * 1.25))
        step = _round_step((most - least) / 3)
        low, high = math.floor(least / step) * step, math.ceil(most / step) * step
        return cls(low=low, high=high, step=step, top=top, bottom=bottom)

    def y(self, value: float) -> float:
        """Return where ``value`` is; what lies outside is moved to the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.bottom - (self.bottom - self.top) * share

    def ticks(self) -> tuple[float, ...]:
        """Return the round values from ``low`` to ``high``."""
        count = round((self.high - self.low) / self.step)
        return tuple(self.low + n * self.step for n in range(count + 1))


def _round_step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * n for n in (1, 2, 2.5, 5, 10) if size * n >= rough * (1 - 1e-9))


def runs(points: Sequence[Point]) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches of ``points`` in which every value is there."""
    run: list[tuple[float, float]] = []
    for at_s, value in points:
        if value is not None and math.isfinite(value):
            run.append((at_s, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def gaps(points: Sequence[Point], end_s: float) -> Iterator[tuple[float, float]]:
    """Yield each stretch without values, from the last one known to the next one known."""
    known_s, missing = (points[0][0] if points else 0.0), False
    for at_s, value in points:
        if value is None or not math.isfinite(value):
            missing = True
            continue
        if missing:
            yield known_s, at_s
        known_s, missing = at_s, False
    if missing:
        yield known_s, max(end_s, known_s)


def line_path(run: Sequence[tuple[float, float]], time: TimeAxis, scale: ValueAxis) -> str:
    """Return the path through ``run``; a single point becomes a dot under a round line cap."""
    places = [f"{time.x(at_s):.1f} {scale.y(value):.1f}" for at_s, value in run]
    if len(places) == 1:
        return f"M{places[0]}h0.01"
    return "M" + "L".join(places)


# Widths in em of a wide common typeface, so that what fits here fits in any other.
_NARROW: Final = frozenset("iljtfrI.,:;|'!()[] ·/")
_WIDE: Final = frozenset("mwMWQO@%—…")
_FULL_FROM: Final = "\u2e80"


def text_width(text: str, size: float) -> float:
    """Return about how wide ``text`` is at most, in the unit of ``size``."""
    ems = 0.0
    for letter in text:
        if letter in _NARROW:
            ems += 0.4
        elif letter in _WIDE or letter >= _FULL_FROM:
            ems += 1.0
        else:
            ems += 0.7 if letter.isupper() else 0.62
    return ems * size


def fitted(text: str, width: float, size: float) -> str:
    """Return ``text`` on one line, cut with an ellipsis where it would be wider than ``width``."""
    line = " ".join(clean(text[:400]).split())
    if text_width(line, size) <= width:
        return line
    while line and text_width(line + "…", size) > width:
        line = line[:-1]
    return line.rstrip() + "…"
