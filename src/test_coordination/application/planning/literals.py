"""Put what `each` stands for into a condition, so that it means the same without its step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from test_coordination.domain.expressions import Expression, tokens
from test_coordination.domain.names import WINDOWS
from test_coordination.domain.values import StepId, Value


def with_each(expression: Expression, each: Mapping[str, Value]) -> Expression:
    """Return ``expression`` with ``each.NAME`` replaced by its value, written as CEL.

    ``each`` has the names without the ``each.`` before them. What stands in a text or in a
    comment is left alone, and so are names that are not known.

    Raises:
        InvalidExpressionError: it has become longer than an expression may be.
    """
    if not each:
        return expression
    parts = [token[0] for token in tokens(expression.text)]
    solid = [place for place, part in enumerate(parts) if part.strip() and part[:2] != "//"]
    before = ["", *(parts[place] for place in solid)]
    for ordinal in range(len(solid) - 2):
        root, dot, name = solid[ordinal : ordinal + 3]
        spelled = (before[ordinal] != ".", parts[root], parts[dot])
        if spelled == (True, "each", ".") and parts[name] in each:
            parts[root : name + 1] = [literal(each[parts[name]]), *[""] * (name - root)]
    return replace(expression, text="".join(parts))


def with_copies(expression: Expression, copies: Mapping[StepId, StepId]) -> Expression:
    """Return ``expression`` with windows of steps replaced by those of their ``copies``.

    Raises:
        InvalidExpressionError: it has become longer than an expression may be.
    """
    if not copies:
        return expression
    parts = [token[0] for token in tokens(expression.text)]
    solid = [place for place, part in enumerate(parts) if part.strip() and part[:2] != "//"]
    for ordinal in range(len(solid) - 4):
        dot, window, opening, inside, closing = (
            parts[place] for place in solid[ordinal : ordinal + 5]
        )
        step = StepId(inside[1:-1])
        if (dot, opening, closing) == (".", "(", ")") and window in WINDOWS and step in copies:
            parts[solid[ordinal + 3]] = literal(copies[step])
    return replace(expression, text="".join(parts))


def literal(value: Value) -> str:
    """Return ``value`` as CEL writes it."""
    match value:
        case timedelta():
            return f'duration("{value // timedelta(microseconds=1)}us")'
        case tuple():
            return f"[{', '.join(map(literal, value))}]"
        case Mapping():
            inner = (f"{literal(key)}: {literal(held)}" for key, held in value.items())
            return f"{{{', '.join(inner)}}}"
        case _:
            # JSON's own escapes, but for pairs of surrogates, which CEL does not know.
            return json.dumps(value, ensure_ascii=False)
