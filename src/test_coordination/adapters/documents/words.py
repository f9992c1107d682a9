"""How what stands in a document is named in sentences about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from test_coordination.domain.errors import suggestion
from test_coordination.domain.values import format_duration

SHOWN_LENGTH_MAX: Final = 60


def shown(value: object) -> str:
    """Return ``value`` in quotes, cut if it is long."""
    text = str(value)
    if len(text) > SHOWN_LENGTH_MAX:
        text = f"{text[:SHOWN_LENGTH_MAX]}…"
    return repr(text)


def described(value: object) -> str:
    """Return what ``value`` is, as it reads after "not" or "found"."""
    match value:
        case bool():
            found = f"the boolean {str(value).lower()}"
        case int() | float():
            found = f"the number {str(value)[:SHOWN_LENGTH_MAX]}"
        case timedelta():
            found = format_duration(value)
        case str():
            found = shown(value)
        case Mapping():
            found = "keys and values"
        case _:
            found = "nothing" if value is None else "a list"
    return found


def enumerated(names: Iterable[str], word: str = "or") -> str:
    """Return ``names`` as they are listed in a sentence: ``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def alternatives(name: str, known: Iterable[str]) -> str:
    """Return the hint about an unknown ``name``; one that is too long is like nothing."""
    return suggestion(name[:SHOWN_LENGTH_MAX], frozenset(known))
