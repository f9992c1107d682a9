"""Feeds bytes that reach new code to expressions: ``python fuzz_expressions.py CORPUS …``.

It ends with the bytes in a file as soon as anything but an answer of ours comes back.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["test_coordination.adapters.expressions"]):
    from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import CoordinationError, Mark
from test_coordination.domain.expressions import Expression, Fact, Kind

EXPRESSIONS = CelExpressions()
NAMES: dict[str, Kind] = {"a.b": Kind.INTEGER, "a.c": Kind.ANY, "steps.s.outcome": Kind.STRING}
NAMES |= {"probes.p.p95_ms": Kind.NUMBER, "probes.p.last": Kind.MAP}
VALUES: dict[str, Fact] = {"a.b": 1, "a.c": (1, "x"), "probes.p.p95_ms": 0.5}


def one(data: bytes) -> None:
    """Compile and evaluate ``data``."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        expression = Expression(text=text, mark=Mark("x", 1, 1))
        program = EXPRESSIONS.compile(expression, NAMES, expected=Kind.ANY)
        program.measure(VALUES)
        program.evaluate(VALUES)
    except CoordinationError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
