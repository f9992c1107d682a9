"""How expressions are found in the text of a document."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import (
    EXPRESSION_LENGTH_MAX,
    Expression,
    Interpolation,
    InvalidExpressionError,
    MissingValueError,
    as_text,
    parse_text,
)

HERE = Mark("crash.yaml", 3, 5)


def expression(text: str, column: int) -> Expression:
    return Expression(text=text, mark=Mark("crash.yaml", 3, column))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{ 1 }}", expression("1", 9)),
        ("${{1}}", expression("1", 8)),
        ("  ${{ 1 }} ", expression("1", 11)),
        ("${{ {'a': {'b': 1}} }}", expression("{'a': {'b': 1}}", 9)),
        ("${{ {'a': {'b': 1}}}}", expression("{'a': {'b': 1}}", 9)),
        ("${{ '}}' }}", expression("'}}'", 9)),
        (r"${{ '\'}}' }}", expression(r"'\'}}'", 9)),
        (r"${{ r'\' }}", expression(r"r'\'", 9)),
        ("${{ '''it's }}''' }}", expression("'''it's }}'''", 9)),
        ("${{ 1 // don't }}", expression("1 // don't", 9)),
        ("${{ 1 // don't\n + 1 }}", expression("1 // don't\n + 1", 9)),
    ],
)
def test_a_text_that_is_one_expression_keeps_its_type(text: str, expected: Expression) -> None:
    assert parse_text(text, HERE) == expected


def test_expressions_inside_a_text_know_their_places_in_code_points() -> None:
    parsed = parse_text("é😀 ${{ a }}/${{b}}.", HERE)

    assert parsed == Interpolation(
        parts=("é😀 ", expression("a", 12), "/", expression("b", 20), "."), mark=HERE
    )


def test_an_expression_below_the_first_line_gets_the_place_of_the_text() -> None:
    parsed = parse_text("select 1\nfrom ${{ a }}", HERE)

    assert parsed == Interpolation(parts=("select 1\nfrom ", expression("a", 5)), mark=HERE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain }} {{ text", "plain }} {{ text"),
        ("$${{ a }}", "${{ a }}"),
        ("  $${{ a }}", "  ${{ a }}"),
    ],
)
def test_text_without_expressions_stays_text(text: str, expected: str) -> None:
    assert parse_text(text, HERE) == expected


def test_an_escaped_opening_may_stand_beside_an_expression() -> None:
    parsed = parse_text("$${{ ${{ a }}", HERE)

    assert parsed == Interpolation(parts=("${{ ", expression("a", 14)), mark=HERE)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("ab ${{ x", ("expression.syntax", 8, "'${{' is not closed")),
        ("${{ x }", ("expression.syntax", 5, "'${{' is not closed")),
        ("${{ {x }}", ("expression.syntax", 5, "'${{' is not closed")),
        ("${{ 'x }}", ("expression.syntax", 9, "a string in the expression is not closed")),
        ("${{ }}", ("expression.syntax", 9, "the expression is empty")),
        ("${{ " + "1" * (EXPRESSION_LENGTH_MAX + 1) + " }}", ("expression.too_long", 9, "4097")),
    ],
)
def test_what_cannot_be_an_expression_is_refused_with_its_place(
    text: str, refusal: tuple[str, int, str]
) -> None:
    code, column, excerpt = refusal

    with pytest.raises(InvalidExpressionError) as refused:
        parse_text(text, HERE)

    assert refused.value.problem.code == code
    assert refused.value.problem.mark == Mark("crash.yaml", 3, column)
    assert excerpt in str(refused.value)


@settings(deadline=None)
@given(st.text(alphabet="$ {}'\"\\r\nab/😀", max_size=60))
def test_no_text_breaks_the_scanner_and_every_place_is_right(text: str) -> None:
    try:
        parsed = parse_text(text, HERE)
    except InvalidExpressionError:
        return

    parts = parsed.parts if isinstance(parsed, Interpolation) else (parsed,)
    for part in parts:
        if isinstance(part, Expression) and part.mark != HERE:
            start = part.mark.column - HERE.column
            assert text[start : start + len(part.text)] == part.text


def test_values_read_naturally_inside_a_text() -> None:
    values = (
        True,
        None,
        1,
        2.5,
        "a b",
        timedelta(seconds=90),
        ({"a": timedelta(seconds=1)},),
        MappingProxyType({"b": 1}),
    )

    assert [as_text(value) for value in values] == [
        "true",
        "null",
        "1",
        "2.5",
        "a b",
        "1m30s",
        '[{"a": "1s"}]',
        '{"b": 1}',
    ]


def test_a_missing_value_is_told_by_its_names() -> None:
    assert str(MissingValueError(names=("a", "b.c"))) == "no value is known for 'a', 'b.c'"
