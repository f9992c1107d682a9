"""Stretches of time in an execution: when it was paused, and when it was not as it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from test_coordination.domain.events import ExecutionPaused, ExecutionResumed
from test_coordination.domain.values import CheckId


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """A stretch of time in which a watched condition was not true."""

    check: CheckId
    left_at: datetime
    regained_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stretch of time in which nothing further was begun.

    With ``undo`` the faults in force were ended by it; otherwise they were held on.
    """

    paused_at: datetime
    reason: str
    by: str
    undo: bool = False
    resumed_at: datetime | None = None


def regained(
    excursions: tuple[Excursion, ...], check: CheckId, at: datetime
) -> tuple[Excursion, ...]:
    """Return ``excursions`` once the condition of ``check`` is true again."""
    return tuple(
        replace(excursion, regained_at=at)
        if excursion.check == check and excursion.regained_at is None
        else excursion
        for excursion in excursions
    )


def paused(
    pauses: tuple[Pause, ...], event: ExecutionPaused | ExecutionResumed, at: datetime
) -> tuple[Pause, ...]:
    """Return ``pauses`` after ``event``; whoever asks for what is so already changes nothing.

    Only a pause that undoes makes one of the other kind into one of its own.
    """
    last = pauses[-1] if pauses and pauses[-1].resumed_at is None else None
    match event:
        case ExecutionPaused(reason=reason, by=by, undo=undo) if last is None:
            return (*pauses, Pause(paused_at=at, reason=reason, by=by, undo=undo))
        case ExecutionPaused(undo=undo) if last is not None:
            return (*pauses[:-1], replace(last, undo=last.undo or undo))
        case ExecutionResumed() if last is not None:
            return (*pauses[:-1], replace(last, resumed_at=at))
        case _:
            return pauses
