"""Small words of the domain: identities, durations, and the values that a document may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Final, NewType, TypeAlias
from uuid import UUID

ScenarioId = NewType("ScenarioId", UUID)
"""One stored version of a scenario; a changed definition has another."""

ExecutionId = NewType("ExecutionId", UUID)
SnapshotId = NewType("SnapshotId", UUID)
WorkerId = NewType("WorkerId", UUID)
"""One coordinator process, from its start to its end; a restarted one has another."""

WishId = NewType("WishId", UUID)
"""One wish of somebody to stop, pause or resume something, wherever it is carried out."""

ScheduleId = NewType("ScheduleId", UUID)
ScheduleName = NewType("ScheduleName", str)

StepId = NewType("StepId", str)
CheckId = NewType("CheckId", str)
ProbeName = NewType("ProbeName", str)
ServiceName = NewType("ServiceName", str)

Receipt = NewType("Receipt", str)
"""What a fault needs to undo itself, as JSON; opaque to all but the fault that wrote it."""

Scalar: TypeAlias = str | int | float | bool | timedelta | None
Value: TypeAlias = "Scalar | tuple[Value, ...] | Mapping[str, Value]"

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_SIZES: Final = {
    "TiB": 1024**4, "GiB": 1024**3, "MiB": 1024**2, "KiB": 1024,
    "TB": 1000**4, "GB": 1000**3, "MB": 1000**2, "KB": 1000, "B": 1,
}  # fmt: skip
_SIZE: Final = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)([KMGT]i?B|B)")
BYTES_EXPECTED: Final = "a number of bytes such as 512, 64MiB or 1GB"
_TERM: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
DURATION_TEXT_MAX: Final = 64
DURATION_EXPECTED: Final = "a duration such as 250ms, 5s, 2m, 1h30m or 1d"


def parse_duration(text: str) -> timedelta | None:
    """Return the sum of the terms in ``text``, or None if it is no duration.

    Units are d, h, m, s and ms, each at most once and from large to small: ``1h30m``, ``1.5s``.
    """
    if not text or len(text) > DURATION_TEXT_MAX:
        return None
    total, end, last = timedelta(0), 0, timedelta.max
    for term in _TERM.finditer(text):
        unit = _UNITS[term[2]]
        if term.start() != end or unit >= last:
            return None
        try:
            total += float(term[1]) * unit
        except OverflowError:
            return None
        end, last = term.end(), unit
    return total if end == len(text) else None


def format_duration(value: timedelta) -> str:
    """Return ``value``, rounded to the millisecond, as text that `parse_duration` reads back."""
    left_ms = round(abs(value) / _UNITS["ms"])
    if left_ms == 0:
        return "0s"
    terms = []
    for name, unit in _UNITS.items():
        unit_ms = round(unit / _UNITS["ms"])
        count, left_ms = divmod(left_ms, unit_ms)
        if count:
            terms.append(f"{count}{name}")
    return ("-" if value < timedelta(0) else "") + "".join(terms)


def parse_bytes(text: str) -> int | None:
    """Return how many bytes ``text`` says, such as ``64MiB``; None if it says no whole number.

    KB, MB, GB and TB are powers of 1000; KiB, MiB, GiB and TiB are powers of 1024.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    size = Fraction(found[1]) * _SIZES[found[2]]
    return int(size) if size.denominator == 1 else None


def format_bytes(value: int) -> str:
    """Return ``value`` bytes in the largest unit that `parse_bytes` reads back to the byte."""
    for unit, size in _SIZES.items():
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return "0B"
