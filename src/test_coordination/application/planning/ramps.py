"""Weaken a fault: the stages that lead to its full strength."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

from test_coordination.domain.steps import Ramp
from test_coordination.domain.values import format_duration, parse_bytes, parse_duration

FULL: Final = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """One stage of a ramp; ``hold`` of None is that of the fault itself."""

    name: str
    share: Fraction
    hold: timedelta | None = None


def strengths(ramp: Ramp, over: timedelta) -> Iterator[Strength]:
    """Yield the stages in the order in which they grow, the full strength last.

    The first has the strength with which the ramp starts, and the others grow from there in
    equal parts. One that starts from nothing begins with the first such part, since a fault of
    no strength is none.
    """
    stages = ramp.stages
    start = Fraction(str(ramp.start)) / 100 or Fraction(1, stages + 1)
    for ordinal in range(stages):
        share = start + (1 - start) * Fraction(ordinal, stages)
        yield Strength(name=f"ramp-{ordinal + 1}", share=share, hold=over / stages)
    yield Strength(name="full", share=FULL)


def weakened(
    parameters: Mapping[str, object], scalable: frozenset[str], share: Fraction
) -> Mapping[str, object]:
    """Return ``parameters`` with those that are ``scalable`` multiplied by ``share``.

    Durations are kept to the millisecond and whole numbers whole; what is no amount stays.
    """
    return {
        name: _scaled(value, share) if name in scalable else value
        for name, value in parameters.items()
    }


def _scaled(value: object, share: Fraction) -> object:
    match value:
        case bool():
            return value
        case int():
            return round(value * share)
        case float():
            return float(value * share)
        case str():
            return _scaled_text(value, share)
        case _:
            return value


def _scaled_text(text: str, share: Fraction) -> object:
    duration = parse_duration(text)
    if duration is not None:
        return format_duration(duration * float(share))
    size = parse_bytes(text)
    if size is not None:
        return round(size * share)
    number = text.removesuffix("%")
    if number != text and number.replace(".", "", 1).isdecimal():
        return f"{float(Fraction(number) * share):g}%"
    return text
