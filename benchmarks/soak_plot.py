"""A picture of what `soak.py` has measured: one SVG, for light and for dark pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10
from statistics import median
from typing import Final, TypeAlias

from soak_judge import REPLACED, STAYS  # type: ignore[import-not-found]  # beside it
from soak_samples import ProcessSample, Samples  # type: ignore[import-not-found]  # beside it

Points: TypeAlias = Sequence[tuple[float, float]]

WIDTH: Final = 1200
HEIGHT: Final = 960
COLUMNS: Final = 2
MARGIN: Final = 24
TOP: Final = 78
GAP: Final = 28
LEFT: Final = 46
PANEL_TOP: Final = 52
PANEL_BOTTOM: Final = 26
BUCKETS: Final = 120
TICKS: Final = 4
WORD_PX: Final = 6.3

STYLE: Final = """
  svg { --page: #ffffff; --ink: #1c1c1a; --dim: #62615b; --grid: #e6e5df; --death: #b9b8b0;
    --a: #2a78d6; --b: #d95926; --c: #14875e; --d: #6a4fc4; font: 12px system-ui, sans-serif }
  @media (prefers-color-scheme: dark) {
    svg { --page: #1a1a19; --ink: #f2f1ec; --dim: #a9a8a0; --grid: #33332f; --death: #5c5b55;
      --a: #5a9df0; --b: #ee7f52; --c: #35b58a; --d: #a394f2 }
  }
  .page { fill: var(--page) } text { fill: var(--dim) } .name { fill: var(--ink); font-weight: 600 }
  .title { fill: var(--ink); font-size: 18px; font-weight: 600 }
  .grid { stroke: var(--grid) } .death { stroke: var(--death); stroke-dasharray: 2 3 }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
  .band { opacity: .22 } .thin { stroke-dasharray: 5 4 } .end { text-anchor: end }
  .mid { text-anchor: middle }
  .a { stroke: var(--a) } .b { stroke: var(--b) } .c { stroke: var(--c) } .d { stroke: var(--d) }
  .fa { fill: var(--a) } .fb { fill: var(--b) } .fc { fill: var(--c) } .fd { fill: var(--d) }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that was measured; each of ``parts`` is drawn by itself.

    ``colour`` is one of the letters that the style sheet knows.
    """

    name: str
    colour: str
    parts: Sequence[Points]
    thin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines on common axes; ``unit`` is that of the upright one."""

    name: str
    unit: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a panel is, in pixels, and what its axes end at, in seconds and in its unit."""

    left: float
    top: float
    width: float
    height: float
    length_s: float
    most: float

    def x(self, at_s: float) -> float:
        """Return where a moment is."""
        return round(self.left + self.width * at_s / self.length_s)

    def y(self, value: float) -> float:
        """Return where a value is."""
        return round(self.top + self.height * (1 - value / self.most), 1)


def plotted(samples: Samples) -> str:
    """Return the picture."""
    length_s = samples.stores[-1].at_s
    deaths = [parts[-1][0] for parts in _lives(samples, REPLACED, lambda one: one.fds)[:-1]]
    rows = -(-len(panels := _panels(samples)) // COLUMNS)
    width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
    height = (HEIGHT - TOP - MARGIN - (rows - 1) * GAP) / rows
    drawn = []
    for place, panel in enumerate(panels):
        frame = Frame(
            left=MARGIN + LEFT + (place % COLUMNS) * (width + GAP),
            top=TOP + PANEL_TOP + place // COLUMNS * (height + GAP),
            width=width - LEFT,
            height=height - PANEL_TOP - PANEL_BOTTOM,
            length_s=length_s,
            most=_round_up(max(v for line in panel.lines for part in line.parts for _, v in part)),
        )
        drawn += [*_axes(panel, frame), *_deaths(deaths, frame), *_legend(panel, frame)]
        drawn += [text for line in panel.lines for text in _line(line, frame)]
    ended = samples.stores[-1].ended
    said = (
        f"{ended:,} executions with real faults in {length_s / 60:.0f} minutes; lines are medians "
        f"of {length_s / BUCKETS:.0f} s, bands all that was measured; a dotted upright line: "
        "a worker was killed (kill -9)"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>What a fleet takes in {length_s / 60:.0f} minutes</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
            _text(f"What a fleet takes in {length_s / 60:.0f} minutes", MARGIN, 36, kind="title"),
            _text(said, MARGIN, 58),
            *drawn,
            "</svg>\n",
        ]
    )


def _panels(samples: Samples) -> Sequence[Panel]:
    def store(name: str, colour: str, what: str) -> Line:
        points = [(one.at_s, float(getattr(one, what))) for one in samples.stores]
        return Line(name=name, colour=colour, parts=[points])

    def stays(what: str, colour: str) -> Line:
        parts = _lives(samples, STAYS, lambda one: getattr(one, what))
        return Line(name=what, colour=colour, parts=parts)

    ended = [(one.at_s, float(one.ended)) for one in samples.stores]
    a_minute = [(late, 60 * (to - of) / (late - at)) for (at, of), (late, to) in _minutes(ended)]
    return [
        Panel(name="Memory that only it has (USS)", unit="MiB", lines=_each(samples, "uss_mib")),
        Panel(name="Open file descriptors", unit="", lines=_each(samples, "fds")),
        Panel(
            name="Connections of all clients",
            unit="",
            lines=[
                store("PostgreSQL", "a", "postgres_connections"),
                store("Valkey", "b", "valkey_connections"),
            ],
        ),
        Panel(
            name="Threads and child processes of the worker that stays",
            unit="",
            lines=[stays("threads", "a"), stays("children", "b")],
        ),
        Panel(
            name="Executions",
            unit="",
            lines=[
                Line(name="ended in a minute", colour="a", parts=[a_minute]),
                store("running", "b", "running"),
                store("faults in force", "c", "faults"),
            ],
        ),
        Panel(
            name="History: it is kept, an hour in Valkey",
            unit="MiB",
            lines=[store("PostgreSQL", "a", "database_mib"), store("Valkey", "b", "valkey_mib")],
        ),
    ]


def _each(samples: Samples, what: str) -> Sequence[Line]:
    """Return a line for each process: those that replace each other have one, in parts."""

    def line(name: str, colour: str, *, said: str = "", thin: bool = False) -> Line:
        parts = _lives(samples, name, lambda one: getattr(one, what))
        return Line(name=said or name, colour=colour, parts=parts, thin=thin)

    return [
        line(STAYS, "a"),
        line(REPLACED, "b", said="replaced one"),
        line("links", "c"),
        line("follower", "d"),
        line("follower without Valkey", "d", said="without Valkey", thin=True),
    ]


def _lives(
    samples: Samples, name: str, value: Callable[[ProcessSample], float]
) -> Sequence[Points]:
    lives: dict[int, list[tuple[float, float]]] = {}
    for one in samples.processes:
        if one.name == name:
            lives.setdefault(one.pid, []).append((one.at_s, value(one)))
    return list(lives.values())


def _minutes(points: Points) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    firsts: dict[int, tuple[float, float]] = {}
    for at_s, value in points:
        firsts.setdefault(int(at_s // 60), (at_s, value))
    return pairwise(firsts.values())


def _line(line: Line, frame: Frame) -> Iterator[str]:
    for part in line.parts:
        buckets: dict[int, list[tuple[float, float]]] = {}
        for at_s, value in part:
            buckets.setdefault(int(BUCKETS * at_s / frame.length_s), []).append((at_s, value))
        places = [(frame.x(median(at for at, _ in each)), each) for each in buckets.values()]
        high = [(x, frame.y(max(v for _, v in each))) for x, each in places]
        low = [(x, frame.y(min(v for _, v in each))) for x, each in places]
        if high != low:
            yield f'<path class="band f{line.colour}" d="M{_path([*high, *reversed(low)])}Z"/>'
        middle = [(x, frame.y(median(v for _, v in each))) for x, each in places]
        kind = f"line {line.colour}{' thin' if line.thin else ''}"
        yield f'<path class="{kind}" d="M{_path(middle)}"/>'


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "L".join(f"{x:g} {y:g}" for x, y in points)


def _axes(panel: Panel, frame: Frame) -> Iterator[str]:
    step = frame.most / TICKS
    for tick in range(TICKS + 1):
        y = frame.y(tick * step)
        yield (
            f'<line class="grid" x1="{frame.left:g}" x2="{frame.left + frame.width:g}" '
            f'y1="{y}" y2="{y}"/>'
        )
        unit = f" {panel.unit}" if panel.unit and tick == TICKS else ""
        yield _text(f"{tick * step:g}{unit}", frame.left - 6, y + 4, kind="end")
    minutes = frame.length_s / 60
    apart = next((each for each in (1, 2, 5, 10) if minutes / each <= 7), 30)
    for minute in range(0, floor(minutes + 0.5) + 1, apart):
        unit = " min" if minute == 0 else ""
        yield _text(f"{minute}{unit}", frame.x(minute * 60), frame.y(0) + 18, kind="mid")


def _deaths(deaths: Iterable[float], frame: Frame) -> Iterator[str]:
    for at_s in deaths:
        x = frame.x(at_s)
        yield (
            f'<line class="death" x1="{x}" x2="{x}" y1="{frame.y(frame.most)}" y2="{frame.y(0)}"/>'
        )


def _legend(panel: Panel, frame: Frame) -> Iterator[str]:
    left, top = frame.left - LEFT, frame.top - PANEL_TOP
    yield _text(panel.name, left, top + 14, kind="name")
    for line in panel.lines:
        kind = f"line {line.colour}{' thin' if line.thin else ''}"
        yield f'<path class="{kind}" d="M{left:g} {top + 30:g}h18"/>'
        yield _text(line.name, left + 23, top + 34)
        left += 23 + WORD_PX * len(line.name) + 14


def _text(words: str, x: float, y: float, *, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:g}" y="{y:g}">{escape(words)}</text>'


def _round_up(most: float) -> float:
    """Return the next value whose quarters are easily read."""
    size = 10 ** floor(log10(max(most, 1.0)))
    return next(
        float(each * size)
        for each in (1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10, 12)
        if ceil(most / size * 1.05 * 100) <= each * 100
    )
