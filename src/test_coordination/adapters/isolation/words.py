"""What came of a call in a process of its own, and why there is no value, in words."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from test_coordination.adapters.isolation.contained import ANSWER_BYTES_MAX
from test_coordination.domain.values import format_bytes, format_duration

OUTPUT_TOLD: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An exception that came out of a function; the innermost of ``frames`` stands last."""

    kind: str
    message: str
    cause: str = ""
    frames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the guard of a call said at its end; ``answered`` tells that the function did."""

    late: bool = False
    status: int = 0
    large: bool = False
    output: str = ""
    answered: bool = False
    value: object = None
    raised: Raised | None = None
    unsayable: str = ""
    heard: bool = True

    @property
    def unheard(self) -> bool:
        """Tell whether the function did not say how it ended."""
        return not self.answered and not self.large

    @classmethod
    def nothing(cls) -> Said:
        """Return what is known where the guard has said nothing."""
        return cls(heard=False)

    @classmethod
    def read(cls, body: bytes) -> Said:
        """Return what ``body`` says; nothing if the guard was ended while it spoke."""
        try:
            said = json.loads(body)
        except ValueError:
            return cls.nothing()
        found = cls(
            late=said["how"] == "late",
            status=said["status"],
            large=said["large"],
            output=said["output"],
        )
        return found if found.large else found.with_answer(said["answer"])

    def with_answer(self, text: str) -> Said:
        """Return this with what the worker answered; it may have been ended in the middle."""
        try:
            answer = json.loads(text)
        except ValueError:
            return self
        raised = answer.get("raised")
        return Said(
            late=self.late,
            status=self.status,
            output=self.output,
            answered=True,
            value=answer.get("value"),
            unsayable=answer.get("unsayable", ""),
            raised=None
            if raised is None
            else Raised(
                kind=raised["type"],
                message=raised["message"],
                cause=raised["cause"],
                frames=tuple(raised["frames"]),
            ),
        )


def why(said: Said, *, timeout: timedelta, memory_bytes: int) -> str:
    """Return why there is no value, so that it can follow the name of what was called.

    It is empty if there is one. Where the function did not say how it ended, see `Said.unheard`,
    nobody knows what it did.
    """
    if said.raised is not None:
        return _raised(said.raised, memory_bytes) + _printed(said)
    if said.unsayable:
        return f"returned what JSON cannot carry ({said.unsayable}); return plain values"
    if said.answered:
        return ""
    if said.large:
        most = format_bytes(ANSWER_BYTES_MAX)
        return f"returned more than {most} of JSON; return a summary, or write it to a file"
    return f"{_ended(said, timeout)}{_printed(said)}"


def _raised(raised: Raised, memory_bytes: int) -> str:
    told = f"raised {raised.kind}{f': {raised.message}' if raised.message else ''}"
    if raised.kind == MemoryError.__name__:
        told += f" (it may use {format_bytes(memory_bytes)}; 'memory' gives it more)"
    places = f" (at {', called from '.join(reversed(raised.frames))})" if raised.frames else ""
    cause = f"; because of {raised.cause}" if raised.cause else ""
    return f"{told}{places}{cause}"


def _ended(said: Said, timeout: timedelta) -> str:
    if not said.heard:
        return "did not begin, or its process was ended by something else"
    if said.late:
        return f"did not return within {format_duration(timeout)} and was ended"
    if said.status == -signal.SIGXCPU:
        return f"used more processor time than its {format_duration(timeout)} and was ended"
    if said.status < 0:
        return f"was ended by {_signal(-said.status)}"
    return f"ended its process with status {said.status} instead of returning"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _printed(said: Said) -> str:
    text = " ".join(said.output.split())
    if not text:
        return ""
    cut = text if len(text) <= OUTPUT_TOLD else f"…{text[-OUTPUT_TOLD:]}"
    return f"; it printed: {cut}"
