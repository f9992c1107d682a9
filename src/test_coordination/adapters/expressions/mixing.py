"""Lets integers meet fractions in comparisons, which CEL's checker refuses."""

from __future__ import annotations

import re
from typing import Final

# Above this, an integer as a fraction may be another number.
EXACT_MAX: Final = 2**53

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")

_MIXED: Final = re.compile(
    r"ERROR: <input>:(\d+):(\d+): found no matching overload for "
    r"'_(==|!=|<|<=|>|>=)_' applied to '\((int, double|double, int)\)'"
)
_OPERAND: Final = r"-?\d+|[A-Za-z_][\w.`-]*"
# An operand counts only if the comparison is all that it takes part in.
_LEFT: Final = re.compile(rf"(?:^|[(\[{{,?:]|&&|\|\|)\s*({_OPERAND})\s*$")
_RIGHT: Final = re.compile(rf"\s*({_OPERAND})\s*(?:$|[)\]}},?:]|&&|\|\|)")


def is_mixed(function: str, types: str) -> bool:
    """Whether ``function`` compares an integer with a fraction."""
    return function.strip("_") in COMPARISONS and types in ("int, double", "double, int")


def unmixed(complaint: str, text: str) -> str | None:
    """Return ``text`` with the integers in mixed comparisons made fractions, or None.

    None if ``complaint`` names no such comparison, or one whose integer is not a literal or a
    name by itself. ``p95_ms < 250`` becomes ``p95_ms < 250.0``.
    """
    starts = _line_starts(text)
    for found in reversed(list(_MIXED.finditer(complaint))):
        at = starts[int(found[1]) - 1] + int(found[2]) - 1
        if found[4] == "int, double":
            operand = _LEFT.search(text[:at])
            shift = 0
        else:
            shift = at + len(found[3])
            operand = _RIGHT.match(text[shift:])
        promoted = _promoted(operand[1]) if operand else None
        if operand is None or promoted is None:
            return None
        text = text[: shift + operand.start(1)] + promoted + text[shift + operand.end(1) :]
    return text if _MIXED.search(complaint) else None


def _promoted(operand: str) -> str | None:
    if not operand.lstrip("-").isdigit():
        return f"double({operand})"
    return f"{operand}.0" if abs(int(operand)) <= EXACT_MAX else None


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts
