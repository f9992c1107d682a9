"""The figures of a probe's samples."""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.virtual_time import at
from test_coordination.domain.evidence import Sample
from test_coordination.domain.expressions import Kind
from test_coordination.domain.series import MISSING, WINDOWS_KEPT, Series, figures, quantile
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
    assert len(made.between(at(3))) == 0


def test_a_window_stops_short_of_its_end() -> None:
    made = series(100, 10, None, 20)

    assert made.figure("max_ms", end=at(1)) == 100
    assert made.figure("count", start=at(1), end=at(3)) == 1
    assert made.figure("missing", start=at(1), end=at(3)) == 1
    assert made.figure("last.ms", start=at(0), end=at(2)) == 10
    assert made.figure("last.ms", start=at(0), end=at(3)) is MISSING
    assert [sample.at for sample in made.between(at(1), at(3))] == [at(1), at(2)]


@pytest.mark.parametrize("name", ["last.ms", "p95_ms", "rate", "missing"])
def test_a_window_that_ends_before_it_starts_is_empty(name: str) -> None:
    made = series(1, 2, 3)

    assert made.figure(name, start=at(2), end=at(1)) is MISSING
    assert made.figure("count", start=at(2), end=at(1)) == 0
    assert len(made.between(at(2), at(1))) == 0


BOUND = st.none() | st.integers(-1, 80).map(at)


@given(
    st.lists(st.none() | st.integers(-50, 50), min_size=1, max_size=80),
    st.lists(st.tuples(BOUND, BOUND), min_size=1, max_size=3),
    st.lists(st.integers(1, 60), max_size=6),
)
def test_looking_again_gives_what_a_first_look_would(
    values: list[int | None],
    windows: list[tuple[datetime | None, datetime | None]],
    looks: list[int],
) -> None:
    made = Series("ms", "ms")
    names = figures({"ms": Kind.NUMBER}, "ms")
    for start, end in windows:
        made.figure("count", start=start, end=end)
    taken = 0
    for more in [*looks, len(values)]:
        for sample in series(*values).between()[taken : taken + more]:
            made.add(sample)
        taken = min(taken + more, len(values))
        fresh = series(*values[:taken])
        for start, end in windows:
            for name in names:
                again = made.figure(name, start=start, end=end)
                expected = fresh.figure(name, start=start, end=end)
                assert again == (expected if expected is MISSING else pytest.approx(expected))


def test_a_window_forgotten_meanwhile_is_made_anew() -> None:
    made = series(*range(WINDOWS_KEPT + 2))
    for second in range(WINDOWS_KEPT + 2):
        made.figure("count", start=at(second))

    assert made.figure("max_ms", start=at(0), end=at(5)) == 4
    assert made.figure("count", start=at(0)) == WINDOWS_KEPT + 2


def test_looking_at_a_long_series_again_costs_only_what_is_new() -> None:
    made = series(*((7_919 * second) % 50_000 for second in range(50_000)))
    made.figure("p95_ms")
    started = time.process_time()
    for second in range(50_000, 50_200):
        made.add(Sample(probe=P, at=at(second), took=timedelta(0), fields={"ms": 1}))
        made.figure("p95_ms")
        made.figure("mean_ms")

    assert time.process_time() - started < 0.5


def test_the_newest_sample_of_a_window_is_found_without_the_others() -> None:
    made, long = series(1, 2, 3), series(*range(100_000))

    began = time.process_time()
    for _ in range(1_000):
        long.newest(at(5))
    took_s = time.process_time() - began

    def newest(start: float | None, end: float | None) -> datetime | None:
        found = made.newest(start if start is None else at(start), end if end is None else at(end))
        return None if found is None else found.at

    assert [newest(None, None), newest(0.5, 2), newest(2, None)] == [at(2), at(1), at(2)]
    assert [newest(2.5, None), newest(None, 0), newest(1.5, 2)] == [None, None, None]
    assert took_s < 0.1


def test_what_is_not_a_number_counts_as_a_look_but_has_no_place_among_the_values() -> None:
    made = series(10, float("nan"), 20)

    assert made.figure("count") == 3
    assert [made.figure(name) for name in ("min_ms", "p50_ms", "max_ms")] == [10, 15, 20]


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
