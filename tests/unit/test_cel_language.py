"""The language of expressions by example: each line is an expression and what becomes of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from support.cel_corpus import SEEN, WORLD, Fails, Missing, Refused, compiled
from test_coordination.adapters.expressions.functions import FUNCTIONS, CustomFunction
from test_coordination.domain.expressions import (
    ExpressionFailedError,
    InvalidExpressionError,
    Kind,
    MissingValueError,
)
from test_coordination.domain.values import Value

P: Final = "probes.latency"
NOW: Final = "('restart-now')"

NAMES_AND_TEXTS: Final = [
    ("parameters.service", "exchange"),
    ("parameters.service == 'exchange'", True),
    ('parameters.service == "exchange"', True),
    ("parameters.service + '-db'", "exchange-db"),
    ("parameters.service.startsWith('ex') && !parameters.service.endsWith('db')", True),
    ("parameters.service.contains('chan')", True),
    ("parameters.service.matches('^ex[a-z]+$')", True),
    ("parameters.service.size()", 8),
    ("size('Zürich 😀')", 8),
    ("'it\\'s' + \"\\t\" + r'\\d'", "it's\t\\d"),
    ("'''a 'b' c'''", "a 'b' c"),
    ("'\\u00e9' == 'é'", True),
    ("'e\\u0301' == 'é'", False),
    ("'b' > 'a' && 'a' < 'aa'", True),
    ("services.exchange.address", "127.0.0.1:8080"),
    ("'http://' + services.exchange.address + '/health'", "http://127.0.0.1:8080/health"),
    ("string(services.exchange.http) + '/tcp'", "8080/tcp"),
    ("parameters.service in ['exchange', 'custodian']", True),
    ("parameters.service.replace('x', 'y')", Refused("unknown_name")),
    ("parameters.service * 2", Refused("type")),
    ("parameters.service + 1", Refused("type")),
    ("parameters.service.length", Refused("type")),
    ("parameters.servic", Refused("unknown_name")),
    ("parameter.service", Refused("unknown_name")),
    ("services", Refused("unknown_name")),
    ("Parameters.service", Refused("unknown_name")),
    ("env.region", Refused("unknown_name")),
    ("env.REGION == 'eu'", Missing(("env.REGION",))),
]
NUMBERS: Final = [
    ("parameters.rate", 100),
    ("parameters.rate * 2 + 1", 201),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("-7 % 3", -1),
    ("7.0 / 2.0", 3.5),
    ("1e3", 1000.0),
    ("0x1F", 31),
    ("double(parameters.rate) * 1.5", 150.0),
    ("parameters.rate * 1.5", Refused("type")),
    ("parameters.share * 4", Refused("type")),
    ("parameters.share * 4.0", 1.0),
    ("parameters.share < 1", True),
    ("parameters.rate > 99.5", True),
    ("parameters.rate + 1 < 100.5", False),
    ("size(parameters.sizes) < 2.5", False),
    ("1 == 1.0", True),
    ("parameters.rate == 100.0", True),
    ("int(3.99)", 3),
    ("int('42') + 1", 43),
    ("double('2.5')", 2.5),
    ("int('4.2')", Fails("cannot convert string to int")),
    ("1 / 0", Fails("divides by zero")),
    ("1 % 0", Fails("divides by zero")),
    ("1.0 / 0.0 > 1e308", True),
    ("9223372036854775807 + 1", Fails("overflow")),
    ("9223372036854775808", Refused("syntax")),
    ("-9223372036854775808", -(2**63)),
    ("int(1e30)", Fails("out of int64 range")),
    ("steps.load.result.sent + 1", 1_001),
    ("steps.load.result.sent + 1.5", Fails("write double(…) around the integer")),
    ("double(steps.load.result.sent) + 1.5", 1_001.5),
    ("parameters.rate =! 1", Refused("syntax")),
    ("parameters.rate++", Refused("syntax")),
    ("1 < 2 < 3", Refused("type")),
]
LOGIC: Final = [
    ("parameters.strict", True),
    ("!parameters.strict", False),
    ("parameters.strict ? 1 : 2", 1),
    ("parameters.strict ? 1 : 'a'", Refused("type")),
    ("parameters.strict && parameters.rate > 10", True),
    ("parameters.strict and true", Refused("syntax")),
    ("not parameters.strict", Refused("syntax")),
    ("parameters.strict == 'true'", Refused("type")),
    ("parameters.rate && true", Refused("type")),
    ("true || 1 / 0 == 1", True),
    ("1 / 0 == 1 || true", True),
    ("false && 1 / 0 == 1", False),
    ("1 / 0 == 1 && true", Fails("divides by zero")),
    ("false ? 1 / 0 : 2", 2),
    ("True", Refused("unknown_name")),
    ("parameters.rate = 100", Refused("syntax")),
    ("(parameters.rate > 1", Refused("syntax")),
    ("parameters.rate >", Refused("syntax")),
    ("parameters.rate > 1 // the floor", True),
    ("null == null", True),
]
TIMES: Final = [
    ("parameters.outage", timedelta(seconds=5)),
    ("parameters.outage * 2", Refused("type")),
    ("parameters.outage + duration('500ms')", timedelta(seconds=5, milliseconds=500)),
    ("parameters.outage < duration('1m')", True),
    ("parameters.outage > 3", Refused("type")),
    ("duration('1d')", Fails("")),
    ("duration('1h30m') == duration('90m')", True),
    ("duration('400000h')", timedelta(hours=400_000)),
    ("duration('9000000000000h')", Fails("")),
    ("execution.elapsed.getSeconds()", 90),
    ("execution.elapsed - steps.load.took", timedelta(seconds=30)),
    ("execution.started_at", "2026-01-31T12:00:00Z"),
    ("execution.started_at + execution.elapsed", "2026-01-31T12:01:30Z"),
    ("execution.started_at > timestamp('2026-01-01T00:00:00Z')", True),
    ("execution.started_at.getFullYear()", 2026),
    ("execution.started_at.getHours('Asia/Tokyo')", 21),
    ("execution.started_at.getHours('+02:00')", 14),
    ("execution.started_at.getHours('Nowhere/Else')", Fails("")),
    ("execution.started_at.getHours('/etc/localtime')", Refused("bad_time_zone")),
    ("execution.started_at.getHours('../../etc/passwd')", Refused("bad_time_zone")),
    ("execution.started_at.getHours(parameters.service)", Refused("bad_time_zone")),
    ("timestamp('2026-02-30T00:00:00Z')", Fails("")),
    ("timestamp('9999-12-31T23:59:59Z') + duration('1s')", Fails("")),
    ("timestamp('0001-01-01T00:00:00Z') - duration('1s')", Fails("")),
    ("faults.restart_now.held > parameters.outage", True),
]
LISTS_AND_MAPS: Final = [
    ("parameters.sizes", (1, 2.5, 4)),
    ("parameters.sizes[1]", 2.5),
    ("parameters.sizes[9]", Fails("index=9 size=3")),
    ("parameters.sizes[-1]", Fails("")),
    ("parameters.sizes['1']", Refused("type")),
    ("size(parameters.sizes)", 3),
    ("4 in parameters.sizes", True),
    ("parameters.sizes.exists(x, x > 3)", True),
    ("parameters.sizes.all(x, x > 1)", False),
    ("parameters.sizes.exists_one(x, x == 4)", True),
    ("parameters.sizes.filter(x, x > 1)", (2.5, 4)),
    ("[1, 2].map(x, x * 10)", (10, 20)),
    ("[1, 2, 3].map(x, x > 1, x * 10)", (20, 30)),
    ("[].all(x, x)", True),
    ("[].exists(x, x)", False),
    ("[1, 2] + [3]", (1, 2, 3)),
    ("[1, 2] == [1.0, 2.0]", Refused("type")),
    ("{'a': 1}.a", 1),
    ("{'a': 1}['b']", Missing(("b",))),
    ("'a' in {'a': 1}", True),
    ("{'a': 1, 'a': 2}", Fails("")),
    ("{1: 'a'}", Fails("keys must be texts")),
    ("snapshots.after.exchange.orders.total", 14),
    (
        "snapshots.after.exchange.orders.total >= snapshots.before.exchange.orders.total",
        True,
    ),
    (
        "snapshots.after.exchange.orders.open == 0",
        Missing(("snapshots.after.exchange.orders.open",)),
    ),
    ("has(snapshots.after.exchange.orders.open)", False),
    ("has(snapshots.before.exchange.orders.open)", True),
    (
        "has(snapshots.after.exchange.orders.open) ? snapshots.after.exchange.orders.open : 0",
        0,
    ),
    ("has(snapshots.after.bank.orders)", Missing(("snapshots.after.bank",))),
    ("has(snapshots.after)", Refused("type")),
    ("has(parameters.rate)", Refused("type")),
    ("has( .parameters . strict )", Refused("type")),
    ("has(parameters)", Refused("syntax")),
    ("has(snapshots.after.a", Refused("syntax")),
    ("snapshots.after.exchange.orders", {"total": 14}),
    ("snapshots.after == snapshots.before", False),
]
PROBES: Final = [
    (f"{P}.p95_ms < 250", True),
    (f"{P}.count > 100 && {P}.last.status == 200", True),
    (f"{P}.last.body.ok", True),
    (f"{P}.last.body.queue.size() == 2", True),
    (f"{P}.last.body.note == null", True),
    (f"has({P}.last.body.error)", False),
    (f"{P}.last.body.error", Missing((f"{P}.last.body.error",))),
    (f"{P}.last", Refused("unknown_name")),
    (f"{P}.p95", Refused("unknown_name")),
    (f"{P}.p95_ms.x", Refused("type")),
    ("probes.latencies.p95_ms", Refused("unknown_name")),
    ("probes.lost.last.value == 0", True),
    ("probes.lost.rate > 1", Missing(("probes.lost.rate",))),
    ("probes.lost.rate > 1 || probes.lost.last.value == 0", True),
    ("steps.later.outcome == 'done'", Missing(("steps.later.outcome",))),
    ("steps.restart_now.outcome", "done"),
    ("steps.load.result.recieved", Refused("unknown_name")),
]
WINDOWS: Final = [
    (f"{P}.during{NOW}.p95_ms", 480.0),
    (f'{P}.during("restart-now").p95_ms > 250', True),
    (f"{P}.during( 'restart-now' ).count", 10),
    (f"{P} . during ( 'restart-now' ) . count", 10),
    (f"{P}.during\n(\n'restart-now'\n)\n.count", 10),
    (f"{P}.during('restart_now').count", 10),
    (f"{P}.after{NOW}.p95_ms < {P}.before{NOW}.p95_ms * 1.5", True),
    (f"{P}.after{NOW}.p95_ms < 2 * {P}.before{NOW}.p95_ms", Refused("type")),
    (f"percent_of({P}.during{NOW}.missing, {P}.during{NOW}.count) < 50", True),
    (f"{P}.during{NOW}.count < 10.5", True),
    (f"{P}.after{NOW}.last.body.ok", True),
    (f"has({P}.after{NOW}.last.body.error)", False),
    (f"has({P}.after{NOW}.p95_ms)", Refused("type")),
    (f"{P}.after{NOW}.last.body.no", Missing((f"{P}.after(restart_now).last.body.no",))),
    ("probes.lost.during('load').last.value == 0", True),
    (f"{P}.after('later').p95_ms < 1", Missing((f"{P}.after(later).p95_ms",))),
    (f"abs({P}.after('later').p95_ms) < 1", Missing((f"{P}.after(later).p95_ms",))),
    (f"{P}.after('later').p95_ms < 1 || {P}.count > 1", True),
    (f"{P}.during{NOW}.count == 10 && probes.lost.rate > 1", Missing(("probes.lost.rate",))),
    (f"[1].all(x, {P}.during{NOW}.count > x)", True),
    (f"'{P}.during(0)' // {P}.during(0)", f"{P}.during(0)"),
    (f"{P}.during{NOW}.p9_ms", Refused("unknown_name")),
    (f"{P}.during{NOW}.last", Refused("unknown_name")),
    (f"{P}.during{NOW} > 3", Refused("unknown_name")),
    (f"{P}.durin{NOW}.p95_ms", Refused("unknown_name")),
    (f"{P}.during('restrt').p95_ms", Refused("unknown_name")),
    (f"{P}.during('').p95_ms", Refused("unknown_name")),
    (f"{P}.during(parameters.service).p95_ms", Refused("syntax")),
    (f"{P}.during().p95_ms", Refused("syntax")),
    (f"{P}.during('load', 'later').p95_ms", Refused("syntax")),
    (f"{P}.during('load' + 'er').p95_ms", Refused("syntax")),
    (f"{P}.during('load'.p95_ms", Refused("syntax")),
    (f"{P}.p95_ms.during{NOW}", Refused("unknown_name")),
    ("probes.latencie.during('load').p95_ms", Refused("unknown_name")),
    ("snapshots.before.during('load').total", Refused("unknown_name")),
    ("during('load')", Refused("unknown_name")),
]
CUSTOM: Final = [
    ("abs(-3)", 3),
    ("abs(-2.5)", 2.5),
    ("abs(parameters.rate - 103) < 3.5", True),
    ("abs('a')", Refused("type")),
    ("abs()", Refused("unknown_name")),
    ("abs(-9223372036854775807 - 1)", Fails("too large for an integer")),
    ("round(2.5)", 3),
    ("round(-2.5)", -3),
    ("round(7)", 7),
    ("round(2.675, 2)", 2.68),
    ("round(1234.5, -2)", 1200.0),
    ("round(1e300, 2)", 1e300),
    ("round(1.0 / 0.0)", Fails("infinity")),
    ("round(1e300)", Fails("too large for an integer")),
    ("round(1.5, 99)", Fails("round to 99 digits")),
    ("floor(-2.1)", -3),
    ("ceil(-2.9)", -2),
    ("ceil(parameters.share * 10.0) == 3", True),
    ("min(3, 2)", 2),
    ("max(parameters.rate, 2.5)", 100.0),
    ("min(parameters.sizes)", 1.0),
    ("max(parameters.sizes.map(x, x))", 4.0),
    ("max([])", Fails("the list is empty")),
    ("min(['a'])", Fails("item 0 of the list is no number")),
    ("max([1, true])", Fails("item 1 of the list is no number")),
    ("percent_of(1, 4)", 25.0),
    ("percent_of(0.5, 2)", 25.0),
    ("percent_of(steps.load.result.sent, 2000) == 50", True),
    ("percent_of(1, 0)", Fails("a whole of 0")),
    ("near(1, 1.4, 0.5)", True),
    ("near(1, 2, 0)", False),
    ("near(1.0 / 0.0, 1.0 / 0.0, 0)", True),
    ("seconds(parameters.outage) == 5", True),
    ("seconds(faults.restart_now.held)", 5.2),
    ("seconds(5)", Refused("type")),
    ("sum(parameters.sizes)", 7.5),
    ("sum([]) == 0", True),
    ("sum([1, 2]) + 0.5", 3.5),
    ("sum([null])", Fails("item 0 of the list is no number")),
    ("sum([1e308, 1e308])", Fails("too large")),
    ("mean(parameters.sizes) > 2", True),
    ("mean([])", Fails("the list is empty")),
    ("percentile([4, 1, 3, 2], 0.5)", 2.5),
    ("percentile(parameters.sizes, 1)", 4.0),
    ("percentile(parameters.sizes, 95)", Fails("a share of 95")),
    ("sum(probes.lost.last.value)", Fails("")),
    ("sum([1, snapshots.after.bank.total])", Missing(("snapshots.after.bank",))),
    ("max(probes.lost.rate, 1)", Missing(("probes.lost.rate",))),
    ("[1, 2].map(x, abs(x - 3))", (2, 1)),
    ("[1, 2].map(x, sum([x, x]))", Refused("too_costly")),
    ("[1, 3].map(x, max(x, 2))", (2, 3)),
    ("parameters.sizes.filter(x, max(x, 2) > 2)", (2.5, 4)),
    ("suum([1])", Refused("unknown_name")),
]
EVERYTHING: Final = [
    *NAMES_AND_TEXTS, *NUMBERS, *LOGIC, *TIMES, *LISTS_AND_MAPS, *PROBES, *WINDOWS, *CUSTOM,
]  # fmt: skip


def outcome(text: str) -> object:
    """Return the result of ``text``, or what stands in its place in the tables above."""
    try:
        return compiled(text, names=WORLD).evaluate(SEEN)
    except InvalidExpressionError as error:
        return Refused(error.problem.code.removeprefix("expression."))
    except MissingValueError as error:
        return Missing(error.names)
    except ExpressionFailedError as error:
        return Fails(error.cause)


@pytest.mark.parametrize(("text", "expected"), EVERYTHING)
def test_the_language_by_example(text: str, expected: Value | Missing | Fails | Refused) -> None:
    found = outcome(text)

    assert type(found) is type(expected)
    if isinstance(expected, Fails) and isinstance(found, Fails):
        assert expected.words in found.words
    else:
        assert found == expected


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_the_example_of_a_function_is_a_condition_that_compiles(function: CustomFunction) -> None:
    names = {"probes.orders.rate": Kind.NUMBER, "probes.orders.missing": Kind.INTEGER}
    names |= {"probes.orders.count": Kind.INTEGER, **WORLD}

    program = compiled(function.example, Kind.BOOLEAN, names)

    assert f"{function.name}(" in function.example
    if not program.names:
        assert program.evaluate({}) is True


def test_the_functions_are_in_the_order_of_their_names() -> None:
    names = [function.name for function in FUNCTIONS]

    assert names == sorted(set(names))
    assert all(
        signature.startswith(f"{function.name}(")
        for function in FUNCTIONS
        for signature in function.signatures
    )


def test_there_are_as_many_examples_as_a_language_needs() -> None:
    assert len(EVERYTHING) >= 150
