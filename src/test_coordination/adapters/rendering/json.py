"""The report for machines; ``docs/reference/report.schema.json`` says what they may rely on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

from test_coordination.adapters.rendering.logbook import both_ends
from test_coordination.adapters.rendering.wording import rfc3339
from test_coordination.domain.events import Entry
from test_coordination.domain.report import TestReport
from test_coordination.domain.verdicts import Finding

SCHEMA_VERSION: Final = 1
"""Grows when something that a reader relies on is changed or taken away, not when it is added."""

LOG_CHARACTERS_MAX: Final = 3_000_000
TEXT_MAX: Final = 3000
SOURCE_MAX: Final = 1_000_000

# Fields that are durations; their keys end in the unit, also where the value is null.
_DURATIONS: Final = frozenset({"took"})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def render_json(report: TestReport) -> bytes:
    """Return ``report`` as JSON in a stable order of keys.

    A log of more than ``LOG_CHARACTERS_MAX`` characters keeps its two ends, and ``log_left_out``
    counts the entries between them. A text of more than ``TEXT_MAX`` characters ends in a
    word about how many more there were.
    """
    kept = both_ends(report.log, budget=LOG_CHARACTERS_MAX, cost=_cost)
    document: dict[str, object] = {"schema_version": SCHEMA_VERSION}
    for name in (field.name for field in fields(report) if field.name not in {"log", "source"}):
        document[name] = _plain(getattr(report, name))
    document["took_s"] = _plain(report.took and report.took.total_seconds())
    document["residue"] = [_plain(fault.step) for fault in report.residue]
    document["checks"] = {finding.value: report.count(finding) for finding in Finding}
    document["log"] = [_entry(entry) for entry in (*kept.head, *kept.tail)]
    document["log_left_out"] = kept.left_out
    document["source"] = _text(report.source, most=SOURCE_MAX)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def render_entry(entry: Entry) -> str:
    """Return one entry of a log as a line of JSON, as the log of a report has it."""
    return json.dumps(_entry(entry), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _cost(entry: Entry) -> int:
    return len(json.dumps(_entry(entry)))


def _entry(entry: Entry) -> dict[str, object]:
    event = _record(entry.event)
    return {
        "position": entry.position,
        "at": rfc3339(entry.at),
        "event": {"type": type(entry.event).__name__, **event},
    }


def _record(value: object) -> dict[str, object]:
    """Return a dataclass by its fields, in the order in which it declares them."""
    assert is_dataclass(value), "what a report is made of are dataclasses"
    return {
        f"{field.name}_s" if field.name in _DURATIONS else field.name: _seconds(
            getattr(value, field.name)
        )
        if field.name in _DURATIONS
        else _plain(getattr(value, field.name))
        for field in fields(value)
    }


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()


def _plain(value: object) -> object:
    """Return ``value`` as JSON has it; what no JSON type can carry becomes text."""
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return _record(value) if is_dataclass(value) else _text(str(value))


def _text(value: str, *, most: int = TEXT_MAX) -> str:
    if len(value) > most:
        value = f"{value[:most]}… ({len(value) - most:,} more characters)"
    return _SURROGATE.sub("\ufffd", value)


# In this order: an enum of ours is a string too, and a truth value a number.
_CONVERSIONS: Final[tuple[tuple[type | tuple[type, ...], Callable[..., object]], ...]] = (
    ((bool, type(None)), lambda value: value),
    (Enum, lambda value: _plain(value.value)),
    (str, _text),
    (int, lambda value: value),
    (float, lambda value: value if math.isfinite(value) else None),
    (datetime, rfc3339),
    (timedelta, lambda value: {"duration_s": value.total_seconds()}),
    (UUID, str),
    (Mapping, lambda value: {_text(str(key)): _plain(each) for key, each in value.items()}),
    (Sequence, lambda value: [_plain(each) for each in value]),
)
