"""Text laid out for a terminal, or for where it goes instead: widths, times, signs, folding."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import click

from test_coordination.domain.values import format_duration

WIDTH_MIN: Final = 60
WIDTH_MAX: Final = 160
WIDTH_ELSEWHERE: Final = 80
"""How wide text is where there is no terminal."""

_SHORT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """The characters that pictures are made of."""

    solid: str
    light: str
    moment: str
    arrow: str
    cut: str


PAINTED: Final = Signs(solid="█", light="░", moment="│", arrow="→", cut="…")
PLAIN: Final = Signs(solid="#", light="-", moment="|", arrow="->", cut="~")


def signs() -> Signs:
    """Return the signs that standard output can carry."""
    try:
        f"{PAINTED.solid}{PAINTED.light}{PAINTED.arrow}".encode(sys.stdout.encoding or "")
    except (LookupError, UnicodeEncodeError):
        return PLAIN
    return PAINTED


def width() -> int:
    """Return how many columns text may take."""
    columns = shutil.get_terminal_size((WIDTH_ELSEWHERE, 24)).columns
    return max(WIDTH_MIN, min(columns, WIDTH_MAX))


def short(time: timedelta) -> str:
    """Return ``time`` with about two digits that matter, such as 0.3s, 12s, 2m05s or 1h30m."""
    seconds = time.total_seconds()
    if 0 < seconds < _SHORT_S and seconds != int(seconds):
        return f"{seconds:.1f}s" if seconds >= 0.1 else format_duration(time)  # noqa: PLR2004  what is left of a tenth
    whole = round(seconds)
    minutes, left_s = divmod(whole, 60)
    if not minutes:
        return f"{left_s}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m{left_s:02d}s" if left_s else f"{minutes}m"
    return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"


def cut(text: str, most: int, sign: str) -> str:
    """Return ``text`` in at most ``most`` columns; the middle is left out of what is longer."""
    if len(text) <= most:
        return text
    head = (most - len(sign) + 1) // 2
    return text[:head] + sign + text[len(text) - (most - len(sign) - head) :]


def fold(text: str, *, columns: int, first: str = "", later: str | None = None) -> str:
    """Return ``text`` in lines of at most ``columns``; ``first`` and ``later`` begin them."""
    return textwrap.fill(
        text,
        width=columns,
        initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def said(name: str, text: str, *, columns: int, label: int = 0) -> str:
    """Return a line of a list: a name in a column of ``label``, and what is said of it, folded."""
    start = f"  {name:<{label}}  "
    return fold(text, columns=columns, first=start, later=" " * len(start))


def heading(text: str) -> str:
    """Return the title of a passage."""
    return click.style(text, bold=True)


def listed(names: Iterable[str], word: str = "and") -> str:
    """Return names in a row: ``a, b and c``."""
    *most, last = list(names) or [""]
    return f"{', '.join(most)} {word} {last}" if most else last


def columns_of(rows: Sequence[Sequence[str]], *, gap: str = "  ") -> list[str]:
    """Return ``rows`` with their cells below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join(f"{cell:<{wide}}" for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
