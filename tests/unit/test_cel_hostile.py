"""Expressions that mean harm: each is refused, or cut off before it takes much time or memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from support.cel_corpus import HERE, SEEN, WORLD, compiled
from support.cel_hostile import ATTACKS
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    Fact,
    InvalidExpressionError,
)

TESTS: Final = Path(__file__).parents[1]
P: Final = "probes.latency"


def code(text: str) -> str:
    """Return the code that ``text`` is refused with; it takes less than a second to find out."""
    started = time.process_time()
    with pytest.raises(InvalidExpressionError) as refused:
        compiled(text, names=WORLD)
    assert time.process_time() - started < 1
    return refused.value.problem.code.removeprefix("expression.")


def test_the_costliest_expressions_end_within_a_second_and_256_mib() -> None:
    program = [sys.executable, str(TESTS / "support/cel_hostile.py")]
    paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])

    ended = subprocess.run(
        program,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    measured = {line["name"]: line for line in map(json.loads, ended.stdout.splitlines())}
    assert measured.keys() == ATTACKS.keys()
    assert {name: line for name, line in measured.items() if line["took"] >= 1} == {}
    assert {name for name, line in measured.items() if line["said"] in ("refused", "missing")} == (
        set()
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(" * 1_000 + "1" + ")" * 1_000, "too_costly"),
        ("[" * 1_000 + "]" * 1_000, "too_costly"),
        ("{'a':" * 400 + "1" + "}" * 400, "too_costly"),
        ("true ? 1 : " * 300 + "1", "too_costly"),
        ("abs(" * 500 + "1" + ")" * 500, "too_costly"),
        ("1 - " * 1_000 + "1", "too_costly"),
        ("parameters.sizes.map(x, sum(parameters.sizes))", "too_costly"),
        ("parameters.sizes.map(x, max(parameters.sizes))", "too_costly"),
        ("parameters.sizes.all(x, percentile([x], 0.5) > 1)", "too_costly"),
        (" + ".join(["sum(parameters.sizes)"] * 17), "too_costly"),
        (f"[1].all(x, {'||'.join(['near(1, 2, 3)'] * 17)})", "too_costly"),
        ("parameters.sizes.map(x, string(x) + string(x))", "too_costly"),
        ("parameters.service.replace('', 'aaaa')", "unknown_name"),
        ("parameters.service.split('').join('aaaa')", "unknown_name"),
        ("'%s'.format([parameters.service])", "unknown_name"),
        ("lists.range(1000000000)", "unknown_name"),
        ("math.bitShiftLeft(1, 62)", "unknown_name"),
        ("base64.encode(b'a')", "unknown_name"),
        ("cel.bind(x, 1, x)", "unknown_name"),
        ("parameters.sizes.sort()", "unknown_name"),
        ("google.protobuf.Struct{}", "unknown_name"),
        ("__import__('os')", "unknown_name"),
        ("parameters.__class__", "unknown_name"),
        ("1" * 4_000, "syntax"),
        ("`" + "a" * 4_000, "syntax"),
        ("'''" + "a" * 4_000, "syntax"),
        ("\ufeff1", "syntax"),
        ("1 \u2028 2", "syntax"),
        ("parameters\u2024rate", "syntax"),
        ("\u202eparameters.rate", "syntax"),
        ("\u0440arameters.rate", "syntax"),
        ("parameters.rate\0 > 1", "syntax"),
        ("'\ud800'", "syntax"),
        ("'\\ud800' == 'a'", "syntax"),
        ("'\\U00110000'", "syntax"),
        (f"{P}.during('{'a' * 4_000}').count", "unknown_name"),
        (f"{P}.during('{'../' * 100}etc').count", "unknown_name"),
        (f"{P}.during('load\\u0000').count", "syntax"),
        (f"{P}.during('load').during('later').count", "unknown_name"),
        (f"{P}" + ".during('load')" * 200, "unknown_name"),
        (f"{P}.during({P}.during('load').count).count", "syntax"),
        (f"{P}.during(" * 150, "syntax"),
        (f"{P}.during('load').count" + ".a" * 1_500, "too_costly"),
        ("." * 4_000, "syntax"),
        ("execution.started_at.getHours('/proc/self/fd/0')", "bad_time_zone"),
        ("execution.started_at.getHours('file:/dev/zero')", "bad_time_zone"),
        ("execution.started_at.getHours('Europe/../../../dev/zero')", "bad_time_zone"),
        ("dyn(execution.started_at).getMinutes('/dev/zero')", "bad_time_zone"),
        ("[1].map(x, execution.started_at.getDate(string(x)))", "bad_time_zone"),
    ],
)
def test_what_means_harm_is_refused_at_once(text: str, why: str) -> None:
    assert code(text) == why


def test_a_text_of_two_megabytes_is_no_expression() -> None:
    started = time.process_time()

    with pytest.raises(InvalidExpressionError, match="at most 4096"):
        Expression(text="1+" * 1_000_000 + "1", mark=HERE)

    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("duration('10000000000s') > parameters.outage", ""),
        ("parameters.outage + duration('315576000000s') > parameters.outage", "overflow"),
        ("execution.started_at + duration('300000000000s') > execution.started_at", "overflow"),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s') > execution.started_at", "overflow"),
        ("-(-9223372036854775807 - 1)", "overflow"),
        ("(-9223372036854775807 - 1) / -1", "overflow"),
        ("9223372036854775807 * 9223372036854775807", "overflow"),
        ("round(1e308, -15)", ""),
        ("round(1e-308, 15)", ""),
        ("sum([1e308, 1e308, -1e308])", "the sum is too large"),
        ("ceil(0.0 / 0.0)", "NaN"),
        ("percentile([0.0 / 0.0, 1.0], 0.5)", ""),
        ("near(0.0 / 0.0, 0.0 / 0.0, 1)", ""),
        ("percent_of(1, -0.0)", "whole of 0"),
    ],
)
def test_numbers_and_times_at_the_edge_do_no_harm(text: str, cause: str) -> None:
    program = compiled(text, names=WORLD)

    if not cause:
        program.evaluate(SEEN)
        return
    with pytest.raises(ExpressionFailedError) as failed:
        program.evaluate(SEEN)
    assert cause in failed.value.cause


def test_many_windows_are_as_good_as_one() -> None:
    text = "||".join([f"{P}.during('restart-now').count < 0"] * 60)

    assert compiled(text, names=WORLD).evaluate(SEEN) is False


@pytest.mark.parametrize(
    ("text", "values", "cause"),
    [
        ("xs.all(x, x == any)", {"xs": ((1,) * 10,) * 190}, "more than 2000 values"),
        (
            "xs.all(x, xs.all(y, x == y && any == xs))",
            {"xs": (1,) * 200},
            "more than 186 values",
        ),
        ("xs.all(x, s.contains('a'))", {"s": "a" * 4_097}, "can handle 4096"),
        ("[1].all(x, xs.all(y, s.contains('a')))", {"s": "a" * 2_800}, "can handle 2727"),
        ("s.contains(string(any))", {"s": "a" * 5_000}, "can handle 4096"),
        ("m == any", {"m": {"a": ((1,) * 99,) * 99}, "any": ((1,) * 999,) * 11}, "than 10000"),
        (
            "[m, any, xs] == []",
            dict.fromkeys(("any", "xs"), ((1,) * 90,) * 90) | {"m": {"a": ((1,) * 90,) * 90}},
            "together with the others it holds more than 20000 values",
        ),
        ("m == any", {"m": {"a" * 70_000: 1}, "any": 1}, "a text of 70000 characters"),
        ("size(xs) == 1", {"xs": ("a" * 60_000,) * 18}, "more than 1048576 characters in all"),
    ],
)
def test_values_must_be_the_smaller_the_more_is_done_with_them(
    text: str, values: dict[str, Fact], cause: str
) -> None:
    with pytest.raises(ExpressionFailedError) as failed:
        compiled(text).evaluate({"xs": (1,), "s": "a", "any": 1, **values})

    assert cause in failed.value.cause
