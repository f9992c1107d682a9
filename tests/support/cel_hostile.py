"""The costliest expressions known that are not refused; run as a program, it measures them.

It tells, a line of JSON each, how long an expression took (seconds of processor time, to compile
and evaluate) and what became of it. The address space may grow by no more than ``MEMORY_MAX``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from support.cel_corpus import VALUES, compiled
from test_coordination.domain.expressions import (
    ExpressionFailedError,
    Fact,
    InvalidExpressionError,
    MissingValueError,
)

MEMORY_MAX: Final = 256 * 1024 * 1024

HUNDRED: Final[Fact] = tuple(range(100))
THOUSAND: Final[Fact] = tuple(range(1_000))
NEEDLE: Final = "a" * 1_350 + "b"


def nested(body: str, times: int = 1) -> str:
    """Return a loop inside a loop that takes all the turns there are."""
    return f"xs.all(x, xs.all(y, {'||'.join([body] * times)} || true))"


def table(size: int) -> Fact:
    return {"a": {str(number): number for number in range(size)}}


ATTACKS: Final[dict[str, tuple[str, dict[str, Fact]]]] = {
    "maps compared in nested loops": (nested("m == any"), {"m": table(360), "any": table(360)}),
    "lists compared in nested loops": (
        nested("m != any", 2),
        {"m": {"a": tuple(range(180))}, "any": {"a": tuple(range(180))}},
    ),
    "lists looked through": (nested("-1 in m.a", 4), {"m": {"a": tuple(range(700))}}),
    "many lists looked through": (nested("-1 in m.a", 14), {"m": {"a": tuple(range(200))}}),
    "a text searched": (nested("s.contains(any)"), {"s": "a" * 2_700, "any": NEEDLE}),
    "a text searched often": (
        nested("s.contains(any)", 20),
        {"s": "a" * 148, "any": "a" * 70 + "b"},
    ),
    "long literals searched": (nested(f"'{'a' * 2_800}b'.contains('{'a' * 900}c')"), {}),
    "long texts searched outside of loops": (
        "||".join(["s.contains(any)"] * 200),
        {"s": "a" * 4_096, "any": "a" * 2_048 + "b"},
    ),
    "sizes of texts": (nested("size(s) == 1", 15), {"s": "é" * 198}),
    "numbers read from long texts": (nested("double(s) < 0.0", 14), {"s": "1" * 4_096}),
    "durations read from long texts": (
        nested("duration(s) < parameters.outage"),
        {"s": "1h" * 1_360, "parameters.outage": timedelta(3)},
    ),
    "functions in nested loops": (nested("round(1.2345, 3) < 0.0", 15), {}),
    "lists of functions": (
        f"[{','.join(['percentile(xs, 0.5)'] * 16)}] == []",
        {"xs": tuple((7_919 * number) % 1_000 for number in range(1_000))},
    ),
    "a chain of maps": ("xs" + ".map(x, x)" * 9 + " == xs", {"xs": THOUSAND}),
    "maps of a map": ("xs.map(x, m.a.map(k, k))", {"xs": tuple(range(9)), "m": table(990)}),
    "a list doubled": ("+".join(["xs"] * 17) + " == xs", {"xs": THOUSAND}),
    "a text doubled": ("+".join(["s"] * 17) + " == s", {"s": "a" * 65_536}),
    "results of long texts": (f"[{','.join(['s'] * 1_500)}]", {"s": "a" * 65_536}),
    "results of lists of long texts": (f"[{','.join(['xs'] * 9)}]", {"xs": ("a" * 1_040,) * 1_000}),
    "values of long texts": ("m == m", {"m": {str(n): "a" * 65_000 + str(n) for n in range(900)}}),
    "lists of lists": ("xs == xs", {"xs": ((1,) * 999,) * 20}),
    "comparisons of large values": (
        "||".join(["xs != any"] * 300),
        {"xs": ((1,) * 99,) * 98, "any": ((1,) * 99,) * 98},
    ),
    "patterns": ("||".join(["s.matches('((a{1,100}){1,9}b)?c')"] * 4), {"s": "a" * 4_096}),
    "patterns that backtrack elsewhere": ("s.matches('^(a+)+$')", {"s": "a" * 4_095 + "b"}),
}


def outcome(text: str, values: dict[str, Fact]) -> str:
    try:
        compiled(text).evaluate({**VALUES, "xs": HUNDRED, **values})
    except InvalidExpressionError:
        return "refused"
    except MissingValueError:
        return "missing"
    except ExpressionFailedError as error:
        return error.cause
    return "done"


def grown_limit() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize() + MEMORY_MAX


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (grown_limit(), grown_limit()))
    for name, (text, values) in ATTACKS.items():
        started = time.process_time()
        said = outcome(text, values)
        took = time.process_time() - started
        sys.stdout.write(json.dumps({"name": name, "took": took, "said": said}) + "\n")
