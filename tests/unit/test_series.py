"""The figures of a probe's samples."""

from __future__ import annotations

import statistics
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.virtual_time import at
from test_coordination.domain.evidence import Sample
from test_coordination.domain.expressions import Kind
from test_coordination.domain.series import MISSING, Series, figures, quantile
from test_coordination.domain.values import ProbeName

P = ProbeName("p")
SOME = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50)


def series(*values: float | str | None, unit: str = "ms") -> Series:
    """Return a sample each second; None is one that is missing."""
    made = Series("ms", unit)
    for second, value in enumerate(values):
        fields = {} if value is None else {"ms": value, "status": 200}
        error = "no route" if value is None else ""
        sample = Sample(probe=P, at=at(second), took=timedelta(0), fields=fields, error=error)
        made.add(sample)
    return made


@given(SOME)
def test_percentiles_are_those_that_statistics_books_interpolate(values: list[float]) -> None:
    hundredths = statistics.quantiles(values, n=100, method="inclusive")

    for share in (50, 90, 95, 99):
        expected = pytest.approx(hundredths[share - 1], rel=1e-9, abs=1e-6)
        assert quantile(sorted(values), share / 100) == expected


def test_a_single_value_is_each_of_its_percentiles() -> None:
    assert [quantile([7.0], share) for share in (0, 0.5, 1)] == [7, 7, 7]


def test_figures_are_made_of_the_measured_field_alone() -> None:
    made = series(10, None, 30, "?", 20)

    found = {name: made.figure(name) for name in figures({"ms": Kind.NUMBER}, "ms")}

    assert found == {
        "last.ms": 20, "count": 4, "missing": 1, "rate": 2.5, "min_ms": 10, "max_ms": 30,
        "mean_ms": 20, "p50_ms": 20, "p90_ms": 28, "p95_ms": 29, "p99_ms": pytest.approx(29.8),
    }  # fmt: skip


def test_a_window_begins_at_its_start_and_includes_it() -> None:
    made = series(100, 10, 20)

    assert made.figure("max_ms", start=at(1)) == 20
    assert made.figure("count", start=at(1)) == 2
    assert made.figure("count", start=at(0.5)) == 2
    assert len(made.since(at(3))) == 0


def test_the_last_figure_is_missing_if_the_last_look_saw_nothing() -> None:
    assert series(1, None).figure("last.ms") is MISSING
    assert series().figure("last.ms") is MISSING
    assert series(1).figure("last.body") is MISSING
    assert series(None, 1).figure("last.status") == 200


@pytest.mark.parametrize("name", ["min_ms", "max_ms", "mean_ms", "p95_ms", "rate"])
def test_figures_of_nothing_are_missing(name: str) -> None:
    assert series(None, None).figure(name) is MISSING


def test_a_rate_needs_two_values_at_two_times() -> None:
    once = Series("ms")
    for _ in range(2):
        once.add(Sample(probe=P, at=at(0), took=timedelta(0), fields={"ms": 1}))

    assert series(1).figure("rate") is MISSING
    assert once.figure("rate") is MISSING
    assert series(1, None, 7).figure("rate") == 3


def test_the_unit_ends_the_names_of_figures_and_may_be_none() -> None:
    assert series(1, 3, unit="").figure("mean") == 2
    assert "p95" in figures({}, "")
    assert figures({"ok": Kind.BOOLEAN}, "ms").keys() >= {"last.ok", "p95_ms", "count", "rate"}
