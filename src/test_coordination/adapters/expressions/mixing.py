"""Lets integers meet fractions in comparisons, which CEL's checker refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from test_coordination.adapters.expressions.tokens import Token, tokens

# Above this, an integer as a fraction may be another number.
EXACT_MAX: Final = 2**53

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")

_MIXED: Final = re.compile(
    r"ERROR: <input>:(\d+):(\d+): found no matching overload for "
    r"'_(==|!=|<|<=|>|>=)_' applied to '\((int, double|double, int)\)'"
)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_BRACKETS: Final = _OPENING | _CLOSING
# What ends the operand of a comparison, on either side; brackets that were not opened in it do too.
_ENDS: Final = frozenset({",", "?", ":", "&&", "||", "in", *COMPARISONS})


def is_mixed(function: str, types: str) -> bool:
    """Whether ``function`` compares an integer with a fraction."""
    return function.strip("_") in COMPARISONS and types in ("int, double", "double, int")


def unmixed(complaint: str, text: str) -> str | None:
    """Return ``text`` with the integers in mixed comparisons made fractions, or None.

    None if ``complaint`` names no such comparison, or one with an integer that no fraction
    equals. ``p95_ms < 250`` becomes ``p95_ms < 250.0``, and ``size(xs) > 2.5`` becomes
    ``double(size(xs)) > 2.5``.
    """
    starts, found = _line_starts(text), tokens(text)
    places = {token.start: place for place, token in enumerate(found)}
    added: list[tuple[int, str]] = []
    for mixed in _MIXED.finditer(complaint):
        place = places[starts[int(mixed[1]) - 1] + int(mixed[2]) - 1]
        if mixed[4] == "int, double":
            operand = _operand(reversed(found[:place]), opening=_CLOSING)
        else:
            operand = _operand(found[place + 1 :], opening=_OPENING)
        start, end = min(token.start for token in operand), max(token.end for token in operand)
        if not text[start:end].lstrip("-").isdigit():
            added += [(start, "double("), (end, ")")]
        elif abs(int(text[start:end])) <= EXACT_MAX:
            added.append((end, ".0"))
        else:
            return None
    for at, more in sorted(added, reverse=True):
        text = text[:at] + more + text[at:]
    return text if added else None


def _operand(beside: Iterable[Token], *, opening: frozenset[str]) -> list[Token]:
    """Return the tokens of the operand that ``beside``, going away from the sign, begins with.

    Going to the left, what closes a bracket is what opens it: ``opening``.
    """
    operand: list[Token] = []
    depth = 0
    for token in beside:
        if token.text in opening:
            depth += 1
        elif token.text in _BRACKETS:
            depth -= 1
        if depth < 0 or (depth == 0 and token.text in _ENDS):
            break
        operand.append(token)
    return operand


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts
