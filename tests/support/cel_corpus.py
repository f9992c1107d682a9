"""Names, values and shorthands for the tests of CEL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from test_coordination.adapters.expressions.cel import CelExpressions, CelProgram
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import (
    Expression,
    Fact,
    InvalidExpressionError,
    Kind,
    Names,
)

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
