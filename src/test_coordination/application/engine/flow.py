"""Bounds on what one execution writes, so that one out of control is the trouble of nobody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Final, TypeVar

from test_coordination.application.pace import Pace
from test_coordination.domain.events import (
    Event,
    Noted,
    SteadyStateLeft,
    SteadyStateRegained,
    StepRetried,
)
from test_coordination.domain.evidence import Sample, Validation
from test_coordination.domain.execution import Execution

ASIDES_PER_S: Final = 10.0
"""How many asides an execution writes a second; after a pause as many come at once."""
ASIDES_MAX: Final = 2_000
"""How many asides it writes in all."""
EVENT_CHARACTERS_MAX: Final = 64 * 1024
"""How much text the facts of one event may hold."""
SAMPLE_CHARACTERS_MAX: Final = 8 * 1024
"""How much text one sample may hold."""
TEXT_MAX: Final = 2_000
"""How much is left of the text for which there is no room."""

_ASIDES: Final = (StepRetried, SteadyStateLeft, SteadyStateRegained, Noted)
_LEFT_OUT: Final = "…"
_SCALAR: Final = 8
"""What a number or a truth value counts for."""
_KEPT_WHOLE: Final = frozenset({"receipt", "step", "service", "services", "check", "worker"})

_Told = TypeVar("_Told", bound=Event | Validation)


class Flow:
    """The asides of one execution: retries, notes, and moments outside the steady state.

    They are what has no bound in its plan. Whoever writes many waits for a `turn`, which delays
    nothing but themselves, and from some number on they are left out. What an execution cannot
    do without, such as how a step ended or what must be undone, is never held up or left out.
    """

    def __init__(self, state: Execution) -> None:
        """Count what the log says already."""
        left = sum(1 + (each.regained_at is not None) for each in state.excursions)
        tries = sum(step.attempts - 1 for step in state.steps.values())
        self._asides = left + tries + len(state.notes)
        self._pace = Pace(ASIDES_PER_S)

    async def turn(self) -> None:
        """Return when another aside may be written."""
        await self._pace.turn()

    def admitted(self, events: Sequence[Event], state: Execution) -> Sequence[Event]:
        """Return what is to be written of ``events``, which follow ``state``."""
        if not all(isinstance(event, _ASIDES) for event in events):
            return events
        room, self._asides = ASIDES_MAX - self._asides, self._asides + len(events)
        if room >= len(events):
            return events
        # Where it is told that a steady state was left, it is also told when that was over.
        away = {each.check for each in state.excursions if each.regained_at is None}
        kept = [
            event
            for place, event in enumerate(events)
            if place < room or (isinstance(event, SteadyStateRegained) and event.check in away)
        ]
        return [*kept, _last_word()] if room >= 0 else kept


def _last_word() -> Noted:
    return Noted(
        text=f"there were {ASIDES_MAX} retries, notes and moments outside the steady state; from "
        "here on they are not recorded"
    )


def fitting(event: Event) -> Event:
    """Return ``event`` with no more text than a log can bear; receipts stay as they are."""
    cut = _Cut(EVENT_CHARACTERS_MAX)
    told = cut.told(event)
    return told if cut.made else event


def fitting_sample(sample: Sample) -> Sample:
    """Return ``sample`` with no more text than thousands of them may have."""
    cut = _Cut(SAMPLE_CHARACTERS_MAX)
    read = {name: cut.value(value) for name, value in sample.fields.items()}
    error = cut.text(sample.error)
    return replace(sample, fields=read, error=error) if cut.made else sample


class _Cut:
    """Cuts texts, maps and lists off where there is no room left for more.

    What is cut says so: a text ends in how much is missing, a map has an entry "…" that tells it,
    and a list a last member.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self.made = False

    def told(self, told: _Told) -> _Told:
        """Return an event, or a judgement, with all but names and receipts cut to what fits."""
        changes: dict[str, object] = {}
        for field in fields(told):
            value = getattr(told, field.name)
            if isinstance(value, Validation):
                changes[field.name] = self.told(value)
            elif field.name not in _KEPT_WHOLE:
                changes[field.name] = self.value(value)
        return replace(told, **changes)  # type: ignore[arg-type]  # each of the type it had

    def value(self, value: object) -> object:
        """Return a JSON-like value, or as much of it as there is room for."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return self._map(value)
            case list() | tuple():
                return self._list(value)
            case _:
                self._room -= _SCALAR
                return value

    def text(self, text: str) -> str:
        """Return a text, or its begin."""
        most = max(self._room, 0)
        self._room -= len(text)
        if len(text) <= most:
            return text
        self.made = True
        kept = min(most, TEXT_MAX)
        return f"{text[:kept]}… ({len(text) - kept:,} more characters)"

    def _map(self, value: Mapping[object, object]) -> Mapping[object, object]:
        found: dict[object, object] = {}
        for place, (key, inner) in enumerate(value.items()):
            if self._room <= 0:
                return {**found, _LEFT_OUT: self._missing(len(value) - place)}
            self._room -= len(str(key))
            found[key] = self.value(inner)
        return found

    def _list(self, value: Sequence[object]) -> Sequence[object]:
        found: list[object] = []
        for place, inner in enumerate(value):
            if self._room <= 0:
                return [*found, f"{_LEFT_OUT} {self._missing(len(value) - place)}"]
            found.append(self.value(inner))
        return found

    def _missing(self, count: int) -> str:
        self.made = True
        return f"{count:,} more are left out"
