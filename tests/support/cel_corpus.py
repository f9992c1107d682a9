"""Names, values and shorthands for the tests of CEL, and a table of what the language does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Missing:
    """The result hangs on these names, in order."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fails:
    """It breaks off; the cause has these words."""

    words: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It does not compile; the code is ``expression.`` and this."""

    code: str


# What a scenario knows while it runs; of the windows, that of a step not begun has no values.
WORLD: Final[Names] = {
    "parameters.service": Kind.STRING,
    "parameters.rate": Kind.INTEGER,
    "parameters.share": Kind.NUMBER,
    "parameters.outage": Kind.DURATION,
    "parameters.strict": Kind.BOOLEAN,
    "parameters.sizes": Kind.LIST,
    "services.exchange.address": Kind.STRING,
    "services.exchange.http": Kind.INTEGER,
    "env.REGION": Kind.STRING,
    "execution.id": Kind.STRING,
    "execution.started_at": Kind.TIMESTAMP,
    "execution.elapsed": Kind.DURATION,
    "probes.latency.count": Kind.INTEGER,
    "probes.latency.missing": Kind.INTEGER,
    "probes.latency.p95_ms": Kind.NUMBER,
    "probes.latency.last.status": Kind.INTEGER,
    "probes.latency.last.body": Kind.ANY,
    "probes.lost.last.value": Kind.ANY,
    "probes.lost.rate": Kind.NUMBER,
    "steps.load.outcome": Kind.STRING,
    "steps.restart_now.outcome": Kind.STRING,
    "steps.later.outcome": Kind.STRING,
    "steps.load.result.sent": Kind.ANY,
    "steps.load.took": Kind.DURATION,
    "faults.restart_now.held": Kind.DURATION,
    "snapshots.before": Kind.MAP,
    "snapshots.after": Kind.MAP,
}
SEEN: Final[dict[str, Fact]] = {
    "parameters.service": "exchange",
    "parameters.rate": 100,
    "parameters.share": 0.25,
    "parameters.outage": timedelta(seconds=5),
    "parameters.strict": True,
    "parameters.sizes": (1, 2.5, 4),
    "services.exchange.address": "127.0.0.1:8080",
    "services.exchange.http": 8080,
    "execution.id": "01J",
    "execution.started_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "execution.elapsed": timedelta(seconds=90),
    "probes.latency.count": 200,
    "probes.latency.missing": 3,
    "probes.latency.p95_ms": 120.5,
    "probes.latency.last.status": 200,
    "probes.latency.last.body": {"ok": True, "queue": (1, 2), "note": None},
    "probes.lost.last.value": 0,
    "steps.load.outcome": "done",
    "steps.restart_now.outcome": "done",
    "steps.load.result.sent": 1_000,
    "steps.load.took": timedelta(seconds=60),
    "faults.restart_now.held": timedelta(seconds=5, milliseconds=200),
    "snapshots.before": {"exchange": {"orders": {"total": 10, "open": 2}}},
    "snapshots.after": {"exchange": {"orders": {"total": 14}}},
    "probes.latency.before(restart_now).p95_ms": 20.0,
    "probes.latency.during(restart_now).p95_ms": 480.0,
    "probes.latency.during(restart_now).count": 10,
    "probes.latency.during(restart_now).missing": 4,
    "probes.latency.after(restart_now).p95_ms": 24.0,
    "probes.latency.after(restart_now).last.body": {"ok": True},
    "probes.lost.during(load).last.value": 0,
}
