"""The log of an execution as lines, and what is kept of one that is too long to show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Final

from test_coordination.adapters.rendering.figures import FINDINGS
from test_coordination.adapters.rendering.wording import offset, shown
from test_coordination.domain.events import CheckJudged, Entry, Event
from test_coordination.domain.evidence import Validation

LINES_MAX: Final = 2000
DETAIL_MAX: Final = 500

_LOOKS: Final = {
    "FaultArmed": "fault",
    "FaultInjected": "fault",
    "FaultNotInjected": "bad",
    "FaultReverted": "good",
    "FaultRevertFailed": "bad",
    "ResidueAccepted": "warn",
    "StepRetried": "warn",
    "SteadyStateLeft": "warn",
    "SteadyStateRegained": "good",
    "AbortRequested": "bad",
    "ExecutionPaused": "warn",
    "ExecutionReleased": "warn",
    "ExecutionTakenOver": "warn",
    "Noted": "warn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the log, ready to be shown."""

    position: int
    when: str
    event: str
    look: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The two ends of a log and how many entries between them were left out."""

    head: tuple[Entry, ...]
    tail: tuple[Entry, ...]
    left_out: int


def both_ends(
    log: Sequence[Entry], *, budget: int, cost: Callable[[Entry], int] = lambda _: 1
) -> Kept:
    """Keep the first and the last entries of ``log``, each end up to half of ``budget``."""
    head = tuple(_affordable(iter(log), budget=budget // 2, cost=cost))
    rest = len(log) - len(head)
    backwards = (log[place] for place in range(len(log) - 1, len(log) - 1 - rest, -1))
    tail = tuple(_affordable(backwards, budget=budget - budget // 2, cost=cost))[::-1]
    return Kept(head=head, tail=tail, left_out=rest - len(tail))


def _affordable(
    log: Iterator[Entry], *, budget: int, cost: Callable[[Entry], int]
) -> Iterator[Entry]:
    for entry in log:
        budget -= cost(entry)
        if budget < 0:
            return
        yield entry


def line(entry: Entry, start: datetime | None) -> Line:
    """Return ``entry`` in words."""
    kind = type(entry.event).__name__
    return Line(
        position=entry.position,
        when=offset(entry.at, start),
        event=_spoken(kind),
        look=_LOOKS.get(kind, ""),
        details=tuple(_details(entry.event)),
    )


@lru_cache(maxsize=64)
def _spoken(kind: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind).lower()


def _details(event: Event) -> Iterator[tuple[str, str]]:
    if isinstance(event, CheckJudged):
        yield from _judgement(event.validation)
        return
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Enum):
            yield field.name, str(value.value)
        elif value is not None and value not in ("", {}, ()):
            yield field.name, shown(value, most=DETAIL_MAX)


def _judgement(validation: Validation) -> Iterator[tuple[str, str]]:
    yield "check", shown(validation.check, most=DETAIL_MAX)
    yield "phase", validation.phase.value
    yield "finding", FINDINGS[validation.finding]
    if validation.observed is not None:
        yield "observed", shown(validation.observed, most=DETAIL_MAX)
    if validation.reason:
        yield "reason", shown(validation.reason, most=DETAIL_MAX)
