"""What CEL expressions give, how they are refused, and what a missing value does to them."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_coordination.adapters.expressions.cel import CelExpressions, CelProgram
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    Fact,
    InvalidExpressionError,
    Kind,
    Measure,
    MissingValueError,
    Names,
)
from test_coordination.domain.values import Value

HERE = Mark("crash.yaml", 7, 10)

NAMES: Names = {
    "n": Kind.INTEGER,
    "b": Kind.BOOLEAN,
    "s": Kind.STRING,
    "xs": Kind.LIST,
    "m": Kind.MAP,
    "any": Kind.ANY,
    "parameters.outage": Kind.DURATION,
    "probes.latency.p95_ms": Kind.NUMBER,
    "probes.latency.last.status": Kind.INTEGER,
    "probes.lost-orders.last": Kind.INTEGER,
    "snapshots.before": Kind.MAP,
    "snapshots.after": Kind.MAP,
    "execution.started_at": Kind.TIMESTAMP,
}
VALUES: dict[str, Fact] = {
    "n": 3,
    "s": "a😀",
    "xs": (1, 2, {"a": 1}),
    "m": MappingProxyType({"a": 1, "none": None, "deep": {"list": (1, 2)}}),
    "any": 2.5,
    "parameters.outage": timedelta(seconds=3),
    "probes.latency.p95_ms": 12,
    "probes.latency.last.status": 200,
    "probes.lost-orders.last": 0,
    "snapshots.before": {"orders": {"total": 5}},
    "execution.started_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
}

LANGUAGE = CelExpressions()


def compiled(text: str, expected: Kind = Kind.ANY, names: Names = NAMES) -> CelProgram:
    return LANGUAGE.compile(Expression(text=text, mark=HERE), names, expected=expected)


def refusal(text: str, expected: Kind = Kind.ANY) -> tuple[str, int, str]:
    with pytest.raises(InvalidExpressionError) as refused:
        compiled(text, expected)
    problem = refused.value.problem
    assert (problem.mark.file, problem.mark.line) == ("crash.yaml", 7)
    return problem.code, problem.mark.column, problem.text


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
    ],
)
def test_an_integer_may_be_compared_with_a_fraction(text: str, value: Value) -> None:
    assert compiled(text, Kind.BOOLEAN).evaluate(VALUES) is value


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


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("n * 1.5", 12, "'*' does not work with an integer and a number with a fraction"),
        ("n * 1.5", 12, "make both numbers fractions: double(n) * 1.5"),
        ("probes.latency.p95_ms * 2", 32, "probes.latency.p95_ms * 2.0"),
        ("(n + 1) / 1.5", 18, "double(…) / 1.5"),
        ("probes.latency.p95_ms < n * 2", 32, "make both numbers fractions"),
        ("9007199254740993 == probes.latency.p95_ms", 27, "make both numbers fractions"),
        ("any + 3 < 2.5", 18, "make both numbers fractions"),
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
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("xs.all(x, xs.all(y, true))", "its loops take more than 10,000 turns"),
        ("xs" + ".map(x, x)" * 11, "its loops take more than 10,000 turns"),
        ("xs.map(x, xs.filter(y, true))", "its loops take more than 10,000 turns"),
        ("xs.map(x, xs)", "the result holds more than 10000 values"),
    ],
)
def test_a_hostile_expression_is_cut_off_quickly(text: str, cause: str) -> None:
    program = compiled(text)
    started = time.process_time()

    with pytest.raises(ExpressionFailedError) as failed:
        program.evaluate({"xs": tuple(range(1_000))})

    assert failed.value.cause == cause
    assert time.process_time() - started < 2


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
    assert time.process_time() - started < 0.5


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
