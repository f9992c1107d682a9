"""What CEL expressions give, how they are refused, and what a missing value does to them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from difflib import get_close_matches

import pytest

from support.cel_corpus import NAMES, VALUES, compiled, refusal
from test_coordination.domain import errors
from test_coordination.domain.expressions import (
    ExpressionFailedError,
    Fact,
    InvalidExpressionError,
    Kind,
    Measure,
    MissingValueError,
)
from test_coordination.domain.values import Value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n + 1", 4),
        ("1u", 1),
        ("double(n) * 1.5", 4.5),
        ("1.0 / 0.0", float("inf")),
        ("n == 3 && !(n > 5)", True),
        ("s + 'b'", "a😀b"),
        ("size(s)", 2),
        ("s.startsWith('a') ? 'yes' : 'no'", "yes"),
        ("null", None),
        ("any", 2.5),
        ("xs", (1, 2, {"a": 1})),
        ("m.deep", {"list": (1, 2)}),
        ("m.none", None),
        ("{'a': [1, 2.0, null]}", {"a": (1, 2.0, None)}),
        ("xs.filter(x, x == 2)", (2,)),
        ("[1, 2].map(x, x * 2).exists(x, x == 4)", True),
        ("n in [1, n]", True),
        ("xs.exists(x, x in [n, 2])", True),
        ("parameters.outage + duration('500ms')", timedelta(seconds=3, milliseconds=500)),
        ("probes.latency.last.status == 200", True),
        ("probes.latency.p95_ms", 12.0),
        ("probes.`lost-orders`.last", 0),
        ("snapshots.before.orders.total", 5),
        ("execution.started_at", "2026-01-31T12:00:00Z"),
        ("execution.started_at < timestamp('2026-02-01T00:00:00Z')", True),
        ("execution.started_at.getHours('Europe/Paris')", 13),
        ("n ==\n  3 // three", True),
        (".n", 3),
        ("['_+_', 'matches'].map(x, x)", ("_+_", "matches")),
        ("xs.all(x, x == 1 || x == n || x == 2 || x in [1, 2] || x == xs[2] || true)", True),
        ("s.matches('a.')", True),
        ("xs.all(x, x == n || n == x || x != n)", True),
        ("xs.all(x, x == size(s) || size(s) == x || x != size(s))", True),
    ],
)
def test_an_expression_gives_its_value(text: str, value: Value) -> None:
    result = compiled(text).evaluate(VALUES)

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("probes.latency.p95_ms < 250", True),
        ("250 < probes.latency.p95_ms", False),
        ("probes.latency.p95_ms == 12", True),
        ("probes.latency.p95_ms > -5 && n < 3.5", True),
        ("probes.latency.p95_ms > n", True),
        ("(probes.latency.p95_ms <=\n  12 || n == 4.0) ? true : false", True),
        ("probes.latency.p95_ms != probes.`lost-orders`.last", True),
        ("probes.latency.p95_ms > n * 2", True),
        ("n * 2 - 1 < probes.latency.p95_ms && n + 1 < 4.5", True),
        ("any + 3 < 2.5 || size(xs) > 2.5", True),
        ("b ? n < 2.5 : (n + 1) * 2 == 8.0", True),
        ("[2.5, 3.5].exists(x, x > size(')') && size(xs.filter(y, y == n)) < x)", True),
        ("(n < 2.5 ? 1 : 2) < 2.5", True),
        ("-n < -2.5 // n < 1", True),
    ],
)
def test_an_integer_may_be_compared_with_a_fraction(text: str, value: Value) -> None:
    assert compiled(text, Kind.BOOLEAN).evaluate({**VALUES, "b": False}) is value


def test_a_program_names_what_it_refers_to_and_nothing_else() -> None:
    text = "n == 1 || snapshots.before.orders.total in xs.map(x, x) || probes.latency.p95_ms > 1.0"

    assert compiled(text).names == {"n", "snapshots.before", "xs", "probes.latency.p95_ms"}


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("zz", 10, "no value is named 'zz'; known: any, b,"),
        ("'é😀' == ss", 18, "no value is named 'ss'; did you mean 's'?"),
        (
            "1 < probes.latency.p9_ms",
            14,
            "no value is named 'probes.latency.p9_ms'; did you mean 'probes.latency.p95_ms'?",
        ),
        ("snapshots.befor.orders.x", 10, "did you mean 'snapshots.before'?"),
        ("prboes.latncy.p9_ms", 10, "did you mean 'probes.latency.p95_ms'?"),
        ("latency.p95_ms", 10, "did you mean 'probes.latency.p95_ms'?"),
        ("probes.quite.another", 10, "no value is named 'probes.quite.another'; known: any, b,"),
        (
            "probes.latency",
            10,
            "'probes.latency' is a group of values; name one of them: last.status, p95_ms",
        ),
        ("probes.lost-orders.last", 10, "is a subtraction; write probes.`lost-orders`.last"),
        ("siz(s)", 10, "no function is named 'siz'; did you mean 'size'?"),
        ("n > 0 && s.matchs('a')", 21, "no function is named 'matchs'; did you mean 'matches'?"),
        ("s.matches()", 12, "the function 'matches' does not take what it is given here"),
        ("probes.latency.p95_ms < 250 && nope", 41, "no value is named 'nope'"),
    ],
)
def test_an_unknown_name_is_refused_with_its_place_and_a_hint(
    text: str, column: int, hint: str
) -> None:
    code, at, said = refusal(text)

    assert (code, at) == ("expression.unknown_name", column)
    assert hint in said


def test_the_nearest_of_thousands_of_names_is_found_by_comparing_a_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {
        f"probes.p{number}.p{share}_ms": Kind.NUMBER
        for number in range(500)
        for share in range(1, 9)
    }
    compared: list[int] = []

    def compare(name: str, known: Collection[str], n: int) -> list[str]:
        compared.append(sum(map(len, known)))
        return get_close_matches(name, known, n=n)

    monkeypatch.setattr(errors, "get_close_matches", compare)

    with pytest.raises(InvalidExpressionError, match=r"did you mean 'probes\.p77\.p5_ms'"):
        compiled("probes.p77.pp5_ms", names=names)

    assert 0 < max(compared) <= errors.CLOSELY


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("n * 1.5", 12, "'*' does not work with an integer and a number with a fraction"),
        ("n * 1.5", 12, "make both numbers fractions: double(n) * 1.5"),
        ("probes.latency.p95_ms * 2", 32, "probes.latency.p95_ms * 2.0"),
        ("(n + 1) / 1.5", 18, "double(…) / 1.5"),
        ("9007199254740993 == probes.latency.p95_ms", 27, "make both numbers fractions"),
        ("n == 'a'", 12, "'==' does not work with an integer and a text; both sides"),
        ("parameters.outage > 5", 28, "a duration is written duration('5s')"),
        ("execution.started_at > 5", 31, "a timestamp is written timestamp("),
        ("n && b", 12, "'&&' does not work with an integer and a boolean; compare first"),
        ("n ? 1 : 2", 12, "what stands before '?' is an integer; compare first"),
        ("b ? 1 : 'a'", 12, "both results must be of one type"),
        ("-s", 10, "'-' does not work with a text"),
        ("s.length", 11, "a text has no fields; only maps have"),
        ("b'raw'", 10, "gives bytes"),
        ("type(n)", 10, "gives a type"),
    ],
)
def test_types_that_do_not_fit_are_refused_with_their_place_and_a_hint(
    text: str, column: int, hint: str
) -> None:
    code, at, said = refusal(text)

    assert (code, at) == ("expression.type", column)
    assert hint in said


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        (
            "n",
            Kind.BOOLEAN,
            (
                "the expression gives an integer, but a boolean (true or false) was expected; "
                "compare it with something, such as == or <"
            ),
        ),
        (
            "double(n)",
            Kind.INTEGER,
            (
                "the expression gives a number, but an integer was expected; "
                "turn it into an integer with int(…)"
            ),
        ),
        ("s", Kind.DURATION, "the expression gives a text, but a duration was expected"),
        ("null", Kind.STRING, "the expression gives null, but a text was expected"),
    ],
)
def test_what_an_expression_gives_is_checked_before_it_runs(
    text: str, expected: Kind, said: str
) -> None:
    assert refusal(text, expected) == ("expression.type", 10, said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n", Kind.INTEGER),
        ("n", Kind.NUMBER),
        ("1.5", Kind.NUMBER),
        ("s", Kind.STRING),
        ("xs", Kind.LIST),
        ("m", Kind.MAP),
        ("parameters.outage", Kind.DURATION),
        ("execution.started_at", Kind.TIMESTAMP),
        ("n == 3", Kind.BOOLEAN),
        ("any", Kind.NUMBER),
        ("null", Kind.ANY),
    ],
)
def test_what_fits_the_expected_kind_passes(text: str, expected: Kind) -> None:
    compiled(text, expected).evaluate(VALUES)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("n = 1", 12, "'=' was not expected here; to compare, write =="),
        ("n == 1 and b", 17, "'and' was not expected here; write && for 'and'"),
        ("not b", 14, "'b' was not expected here; write ! for 'not'"),
        ("(1", 12, "')' is missing here"),
        ("n +", 13, "the expression ends too early; a value was expected here"),
        ("'abc", 10, "a string is not closed, or holds an escape that CEL does not know"),
        ("n 1", 12, "'1' was not expected here; an operator or the end was expected"),
        ("s == \ud800", 15, "a character that is no valid Unicode; remove it"),
    ],
)
def test_a_mistake_of_syntax_is_told_without_jargon(text: str, column: int, said: str) -> None:
    assert refusal(text) == ("expression.syntax", column, said)


def test_a_mistake_below_the_first_line_names_the_line_of_the_expression() -> None:
    code, column, said = refusal("n == 1 &&\n  'é😀' == nope")

    assert (code, column) == ("expression.unknown_name", 10)
    assert said.endswith("(line 2, column 11 of the expression)")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true || b", True),
        ("b || true", True),
        ("false && b", False),
        ("b && n == 4", False),
        ("n == 3 ? 1 : snapshots.after.x", 1),
        ("[1, 2].exists(x, x == 2 || b)", True),
        ("has(m.a) || b", True),
        ("has(m.absent)", False),
    ],
)
def test_a_missing_value_that_does_not_matter_is_no_trouble(text: str, value: Value) -> None:
    assert compiled(text).evaluate(VALUES) == value


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b", ("b",)),
        ("false || b", ("b",)),
        ("!b", ("b",)),
        ("n == 3 && b && snapshots.after.x == 1", ("b", "snapshots.after")),
        ("has(snapshots.after.x)", ("snapshots.after",)),
        ("snapshots.before.trades.total == 1", ("snapshots.before.trades",)),
        ("m.deep.absent > 1", ("m.deep.absent",)),
        ("m['absent'] == 1", ("absent",)),
        ("xs.all(x, x != n || b)", ("b",)),
    ],
)
def test_a_missing_value_that_matters_is_named(text: str, names: tuple[str, ...]) -> None:
    values: dict[str, Fact] = {**VALUES, "xs": (1, 3)}

    with pytest.raises(MissingValueError) as missing:
        compiled(text).evaluate(values)

    assert missing.value.names == names


def test_null_is_a_value_only_where_anything_may_be() -> None:
    assert compiled("any == null").evaluate({"any": None}) is True
    with pytest.raises(MissingValueError):
        compiled("n == 3").evaluate({"n": None})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("1 / 0", "it divides by zero"),
        ("m.a + 1.5", "it mixes an integer with a fraction; write double(…) around the integer"),
        ("m.none.x == 1", "a field is asked of a value that is no map"),
        ("xs[7]", "Index error: index=7 size=3"),
        ("n + 9223372036854775807", "integer overflow"),
        ("int('a')", "cannot convert string to int"),
        ("{1: 2}", "the result holds a map with the key 1; keys must be texts"),
        ("[b'raw']", "the result holds bytes or a type; turn it into text with string(…)"),
    ],
)
def test_a_failure_says_where_what_and_why(text: str, cause: str) -> None:
    with pytest.raises(ExpressionFailedError) as failed:
        compiled(text).evaluate(VALUES)

    assert failed.value.cause == cause
    assert str(failed.value) == f"crash.yaml:7:10: {text!r} could not be evaluated: {cause}"


@pytest.mark.parametrize(
    ("text", "expected", "cause"),
    [
        ("any", Kind.BOOLEAN, "the result is a number; a boolean (true or false) was expected"),
        ("m.none", Kind.STRING, "the result is null; a text was expected"),
        ("m.a", Kind.DURATION, "the result is an integer; a duration was expected"),
    ],
)
def test_a_kind_that_shows_only_at_run_time_is_checked_then(
    text: str, expected: Kind, cause: str
) -> None:
    with pytest.raises(ExpressionFailedError) as failed:
        compiled(text, expected).evaluate(VALUES)

    assert failed.value.cause == cause


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", "text"),
        ("n", 2**70),
        ("s", 1),
        ("s", "\ud800"),
        ("xs", {"a": 1}),
        ("m", ("a",)),
        ("parameters.outage", timedelta.max),
        ("any", timedelta.max),
        ("any", {"\0": 1}),
        ("any", "\0"),
        ("s", "a\0b"),
        ("any", {"\ud800": 1}),
        ("any", (timedelta.min,)),
        ("parameters.outage", 3),
        ("execution.started_at", "now"),
    ],
)
def test_a_value_of_another_kind_than_declared_fails_and_does_not_crash(
    name: str, value: Fact
) -> None:
    with pytest.raises(ExpressionFailedError):
        compiled(name, NAMES[name]).evaluate({name: value})


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("n < 5", Measure(observed=3, relation="<", limit=5)),
        ("5 >= n", Measure(observed=3, relation="<=", limit=5)),
        ("5 == n", Measure(observed=3, relation="==", limit=5)),
        ("1 < 2", Measure(observed=1, relation="<", limit=2)),
        ("probes.latency.p95_ms < 250", Measure(observed=12.0, relation="<", limit=250.0)),
        (
            "duration('5s') > parameters.outage",
            Measure(observed=timedelta(seconds=3), relation="<", limit=timedelta(seconds=5)),
        ),
        (
            "snapshots.after.orders.total >= snapshots.before.orders.total",
            Measure(observed=None, relation=">=", limit=5),
        ),
        (
            "snapshots.before.orders.total != snapshots.after.orders.total",
            Measure(observed=5, relation="!=", limit=None),
        ),
        ("size(xs.filter(x, x == 1)) == 1", Measure(observed=1, relation="==", limit=1)),
        ("n / 0 == 1", Measure(observed=None, relation="==", limit=1)),
        ("n == 3 && n == 3", None),
        ("!(n == 3)", None),
        ("n in xs", None),
        ("n", None),
    ],
)
def test_a_comparison_is_measured(text: str, measure: Measure | None) -> None:
    assert compiled(text).measure(VALUES) == measure
