"""How times, numbers and foreign text are put for people; what is unknown is a dash, never 0."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

UNKNOWN: Final = "–"  # noqa: RUF001  a dash, for people
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
EXPONENT_FROM: Final = 1e15

# Escape sequences of terminals go as a whole: their last letters would stay behind otherwise.
_ANSI: Final = re.compile(
    "\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)?|[@-Z\\\\^_])"
)
# C0 and C1 without tab and line feed, what turns the direction of text, and noncharacters.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return ``text`` as every browser, XML parser and terminal can show it."""
    if text.isascii() and text.isprintable():
        return text
    return _SURROGATE.sub("\ufffd", _UNSEEN.sub("", _ANSI.sub("", text)))


def clip(text: str, most: int) -> str:
    """Return ``text``, clean, and cut after ``most`` characters with a word about the rest."""
    if len(text) <= most:
        return clean(text)
    return f"{clean(text[:most])}… ({len(text) - most:,} more characters)"


def instant(at: datetime | None) -> str:
    """Return ``at`` as ``2026-09-14 13:05:22.123 UTC``."""
    if at is None:
        return UNKNOWN
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"


def rfc3339(at: datetime) -> str:
    """Return ``at`` in UTC, to the microsecond, as RFC 3339 has it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def duration(length: timedelta | None) -> str:
    """Return ``length`` as one says it: ``340 ms``, ``5.2 s``, ``2 min 5 s``, ``1 h 3 min``."""
    if length is None:
        return UNKNOWN
    total_s = abs(length.total_seconds())
    sign = "−" if length < timedelta(0) else ""  # noqa: RUF001  a minus sign, for people
    return sign + _length(total_s)


def _length(total_s: float) -> str:
    if total_s == 0:
        return "0 s"
    if round(total_s, 3) < 1:
        ms = total_s * 1000
        return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.3g} ms"  # noqa: PLR2004  two digits say enough
    if round(total_s, 1) < MINUTE_S:
        return f"{total_s:.1f} s"
    whole = round(total_s)
    for unit_s, unit, smaller_s, smaller in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "min"),
        (MINUTE_S, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // smaller_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def offset(at: datetime | None, start: datetime | None) -> str:
    """Return how long after ``start`` ``at`` was, as ``+14.304 s``; a clock time has its own."""
    if at is None:
        return UNKNOWN
    if start is None:
        return instant(at)
    since_s = (at - start).total_seconds()
    sign = "+" if since_s >= 0 else "−"  # noqa: RUF001  a minus sign, for people
    return f"{sign}{abs(since_s):,.3f} s"


def number(value: float | None) -> str:
    """Return ``value`` with as many digits as help: ``18,204``, ``212.4``, ``0.0312``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if abs(value) >= EXPONENT_FROM or abs(value) < 1e-6:  # noqa: PLR2004  past it, zeros hide the figure
        return f"{value:.3g}"
    if float(value).is_integer():
        return f"{int(value):,}"
    places = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 9)}f}".rstrip("0").rstrip(".")


def quantity(value: float | None, unit: str) -> str:
    """Return ``value`` and its unit, if it has one."""
    return f"{number(value)} {unit}".rstrip() if value is not None else UNKNOWN


def shown(value: object, *, most: int = 300) -> str:
    """Return any value that was observed or compared, cut after ``most`` characters."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return fact(value, most=most)


def fact(value: object, *, most: int = 300) -> str:
    """Return a fact as `shown` does, but its whole numbers bare, for many of them are names."""
    for kind, put in _PUT:
        if isinstance(value, kind):
            return put(value)
    if isinstance(value, str):
        return clip(value, most) or '""'
    if isinstance(value, bool | int | Mapping | list | tuple):
        return clip(json.dumps(_cleaned(value), ensure_ascii=False), most)
    return clip(str(value), most)


def _cleaned(value: object) -> object:
    """Return ``value`` for JSON, its texts clean: JSON would spell their escapes out."""
    if isinstance(value, Mapping):
        return {clean(str(name)): _cleaned(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value if isinstance(value, bool | int | float | None) else clean(str(value))


_PUT: Final[tuple[tuple[type, Callable[..., str]], ...]] = (
    (type(None), lambda _: UNKNOWN),
    (float, number),
    (timedelta, duration),
    (datetime, instant),
)


def facts(known: Mapping[str, object] | None, *, most: int = 200) -> tuple[tuple[str, str], ...]:
    """Return each fact's name and value as text."""
    return tuple(
        (clip(str(name), 80), fact(value, most=most)) for name, value in (known or {}).items()
    )


def signed_margin(margin: float | None, *, is_duration: bool) -> str:
    """Return a margin with its sign, as a duration where what it compares are durations."""
    if margin is None or not math.isfinite(margin):
        return UNKNOWN
    size = _length(abs(margin)) if is_duration else number(abs(margin))
    return size if margin == 0 else f"{'+' if margin > 0 else '−'}{size}"  # noqa: RUF001  a minus sign


def plural(count: int, noun: str, many: str = "") -> str:
    """Return ``count`` and ``noun``: ``1 check``, ``2 checks``, ``1,204 samples``."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
