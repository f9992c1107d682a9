"""What CEL cannot be made to do, and that every value passes through it unharmed."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cel_corpus import LANGUAGE, NAMES, VALUES, compiled, refusal
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    Fact,
    InvalidExpressionError,
    Kind,
    MissingValueError,
)
from test_coordination.domain.values import Value

TEN = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"


def nested(macro: str, body: str, depth: int) -> str:
    for level in range(depth):
        body = f"{TEN}.{macro}(v{level}, {body})"
    return body


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (nested("map", "1", 6), "expression.too_costly"),
        (nested("all", "true", 7), "expression.too_costly"),
        (nested("all", "true", 3), "expression.too_costly"),
        ("+".join(["1"] * 2_000), "expression.too_costly"),
        ("(" * 2_000 + "1" + ")" * 2_000, "expression.too_costly"),
        ("m" + ".a" * 2_000, "expression.too_costly"),
        ("xs.map(x, xs + xs + xs + xs)", "expression.too_costly"),
        ("(xs + xs + xs + xs).map(x, x)", "expression.too_costly"),
        ("xs.map(x, x + x)", "expression.too_costly"),
        ("xs.map(x, [x, x]).map(x, [x, x])", "expression.too_costly"),
        ("xs.map(x, {'a': x})", "expression.too_costly"),
        ("xs.all(x, s.matches('a'))", "expression.too_costly"),
        ("s.matches(s)", "expression.too_costly"),
        (f"s.matches('{'a' * 129}')", "expression.too_costly"),
        ("||".join(["s.matches('((a{1,100}){1,9}b)?c')"] * 5), "expression.too_costly"),
        ("xs.all(x, [x, x].all(y, true))", "expression.too_costly"),
        (f"xs.all(x, {'||'.join(['s.contains(s)'] * 40)})", "expression.too_costly"),
        ("xs.all(x, m == any && any in xs && m.a == x)", "expression.too_costly"),
        ("[s].map(x, x + x)[0] + s", "expression.too_costly"),
        ("(" + "+".join(["s"] * 9) + ") + (" + "+".join(["s"] * 9) + ")", "expression.too_costly"),
        ("s.replace('a', 'aa')", "expression.unknown_name"),
        ("cel.bind(x, xs, x)", "expression.unknown_name"),
        ("1" * 4_096, "expression.syntax"),
    ],
    ids=range(23),
)
def test_a_hostile_expression_is_refused_at_once(text: str, code: str) -> None:
    started = time.process_time()

    assert refusal(text)[0] == code
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("xs.all(x, xs.all(y, true))", "its loops take more than 10,000 turns"),
        ("xs" + ".map(x, x)" * 11, "its loops take more than 10,000 turns"),
        ("xs.map(x, xs.filter(y, true))", "its loops take more than 10,000 turns"),
        ("xs.map(x, xs)", "the result holds more than 10000 values"),
        (
            f"xs.map(x, '{'a' * 2_000}')",
            "the texts in the result have more than 1048576 characters in all",
        ),
    ],
)
def test_a_hostile_expression_is_cut_off_quickly(text: str, cause: str) -> None:
    program = compiled(text)
    started = time.process_time()

    with pytest.raises(ExpressionFailedError) as failed:
        program.evaluate({"xs": tuple(range(1_000))})

    assert failed.value.cause == cause
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("xs", (1,) * 1_001, "it holds 1001 items; an expression can handle 1000"),
        ("m", {"a": (1,) * 1_001}, "it holds 1001 items; an expression can handle 1000"),
        ("m", {str(i): i for i in range(1_001)}, "it holds 1001 items"),
        ("xs", ((1,) * 100,) * 101, "it holds more than 10000 values"),
        ("s", "a" * 65_537, "it holds a text of 65537 characters; this expression can handle"),
    ],
)
def test_a_value_that_is_too_large_is_refused_if_it_is_named(
    name: str, value: Fact, cause: str
) -> None:
    assert compiled("1 < 2").evaluate({name: value}) is True
    with pytest.raises(ExpressionFailedError) as failed:
        compiled(f"{name} == {name}").evaluate({name: value})

    assert failed.value.cause.startswith(f"{name!r} does not fit: {cause}")


def test_values_must_be_smaller_where_there_are_loops() -> None:
    wide: Fact = ((1,) * 100,) * 20

    assert compiled("size(xs) == 20").evaluate({"xs": wide}) is True
    with pytest.raises(ExpressionFailedError, match="it holds more than 2000 values"):
        compiled("xs.all(x, true)").evaluate({"xs": wide})


def test_texts_must_be_shorter_where_there_are_loops_or_patterns() -> None:
    long: Fact = "a" * 4_097

    assert compiled("s.contains('a')").evaluate({"s": long}) is True
    for text in ("[1].all(x, s.contains('a'))", "s.matches('a')"):
        with pytest.raises(ExpressionFailedError):
            compiled(text).evaluate({"s": long})


def test_a_pathological_pattern_takes_linear_time() -> None:
    started = time.process_time()

    assert compiled("s.matches('^(a+)+$')").evaluate({"s": "a" * 4_000 + "b"}) is False
    assert time.process_time() - started < 1


def test_equal_texts_share_their_code_but_not_their_places() -> None:
    first = compiled("n > 1")
    elsewhere = Expression(text="n > 1", mark=Mark("other.yaml", 1, 1))
    second = LANGUAGE.compile(elsewhere, dict(NAMES), expected=Kind.ANY)

    assert second.code is first.code
    assert second.expression.mark != first.expression.mark


@settings(deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="nbsm.xs()[]{}+-*/<>=!&|?:'\"\\`,1 \n", max_size=40))
def test_no_text_breaks_the_compiler(text: str) -> None:
    with suppress(InvalidExpressionError, MissingValueError, ExpressionFailedError):
        program = compiled(text)
        program.measure(VALUES)
        program.evaluate(VALUES)


def test_durations_and_timestamps_work_where_no_type_is_declared() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    values: dict[str, Fact] = {"m": {"d": timedelta(seconds=3), "t": moment}, "any": moment}

    program = compiled("m.d > duration('1s') && m.t == any && m.t - m.d < any")

    assert program.evaluate(values) is True


WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FACTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | WORDS
    | st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple) | st.dictionaries(WORDS, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(FACTS)
def test_a_value_passes_through_unchanged(fact: Value) -> None:
    assert compiled("any").evaluate({"any": fact}) == fact
