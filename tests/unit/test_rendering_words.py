"""How reports put times, numbers, foreign text and scales."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.report_monster import HOSTILE
from support.report_page import page
from support.report_samples import held
from support.report_story import START
from test_coordination.adapters.rendering.charts import (
    TimeAxis,
    ValueAxis,
    fitted,
    gaps,
    runs,
    text_width,
)
from test_coordination.adapters.rendering.logbook import both_ends
from test_coordination.adapters.rendering.series_track import Limit, limits
from test_coordination.adapters.rendering.wording import (
    clean,
    clip,
    duration,
    fact,
    instant,
    number,
    offset,
    shown,
)
from test_coordination.domain.events import Entry, Noted, SnapshotTaken
from test_coordination.domain.values import SnapshotId, StepId


@pytest.mark.parametrize(
    ("length_s", "said"),
    [
        (0, "0 s"),
        (0.0004, "0.4 ms"),
        (0.34, "340 ms"),
        (0.9996, "1.0 s"),
        (5.2, "5.2 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3785, "1 h 3 min"),
        (90_000, "1 d 1 h"),
        (-2, "−2.0 s"),  # noqa: RUF001  a minus sign, for people
    ],
)
def test_durations_are_put_as_one_says_them(length_s: float, said: str) -> None:
    assert duration(timedelta(seconds=length_s)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (18_204, "18,204"),
        (212.4, "212.4"),
        (0.03125, "0.03125"),
        (1234.5678, "1,235"),
        (1e20, "1e+20"),
        (float("nan"), "–"),  # noqa: RUF001  a dash, for people
        (-0.5, "-0.5"),
    ],
)
def test_numbers_have_the_digits_that_help(value: float, said: str) -> None:
    assert number(value) == said


def test_times_are_utc_to_the_millisecond() -> None:
    assert instant(START) == "2026-09-14 13:05:22.123 UTC"
    assert offset(START + timedelta(seconds=14.3), START) == "+14.300 s"
    assert offset(START, None) == "2026-09-14 13:05:22.123 UTC"
    assert shown(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01 00:00:00.000 UTC"


def test_facts_keep_their_numbers_bare() -> None:
    assert (fact(4711), fact(4711.5), fact({"a": True}), fact("")) == (
        "4711",
        "4,712",
        '{"a": true}',
        '""',
    )
    assert fact(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert shown(18_204) == "18,204"


def test_foreign_text_is_cleaned_and_cut() -> None:
    assert clean(HOSTILE).startswith("<script>alert(1)</script>]]>red\ufffd\U0001f480")
    assert clean("a\x1b]0;title\x07b") == "ab"
    assert clip("abcdef", 3) == "abc… (3 more characters)"


def test_gaps_reach_from_the_last_known_value_to_the_next() -> None:
    points = ((0.0, 1.0), (1.0, None), (2.0, None), (3.0, 4.0), (4.0, None))

    assert list(gaps(points, 6)) == [(0.0, 3.0), (3.0, 6)]
    assert list(runs(points)) == [[(0.0, 1.0)], [(3.0, 4.0)]]


def test_limits_are_drawn_only_where_they_bound_what_is_shown() -> None:
    series = {each.probe: each for each in held().series}

    latency = limits(series["order_latency"], held().validations)  # type: ignore[index]  # a name is a string
    lost = limits(series["lost_orders"], held().validations)  # type: ignore[index]  # a name is a string

    assert [(bound.figure, bound.relation, bound.value) for bound in latency] == [
        ("p95_ms", "<", 250.0)
    ]
    assert [bound.figure for bound in lost] == ["last.value"]


def test_a_line_is_red_on_the_bad_side_of_its_limit() -> None:
    def stops(relation: str) -> tuple[str, str] | None:
        return Limit(value=5, relation=relation, figure="max").stops(least)

    least = 5.0
    assert stops("<") == stops("<=") == stops("==") == ("stop-bad", "stop-line")
    assert stops(">") == stops(">=") == ("stop-line", "stop-bad")
    least = 4.0
    assert stops("==") is None


@given(span_s=st.floats(0.001, 1e7), most=st.integers(3, 20))
def test_an_axis_has_few_round_ticks_within_its_span(span_s: float, most: int) -> None:
    axis = TimeAxis(span_s=span_s, left=100, right=1000)

    ticks = axis.ticks(most)

    assert 1 <= len(ticks) <= most + 1
    assert all(100 <= axis.x(at_s) <= 1000 for at_s, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
@example([5e-324])
@example([4.0, -5e-324])
@example([1e9, 1e9 + 1e-7])
@example([-1e308, 1e308])
def test_a_scale_holds_every_value_that_a_probe_may_read(values: list[float]) -> None:
    scale = ValueAxis.over(values, top=0, bottom=100)
    least, most = min(values, default=0), max(values, default=0)
    slack = 1e-6 * max(abs(least), abs(most), 1e-200)

    assert 2 <= len(scale.ticks()) <= 8
    assert all(0 <= scale.y(value) <= 100 for value in values)
    assert max(abs(least), abs(most)) > 1e200 or (
        scale.low <= least + slack and scale.high >= most - slack
    )


@given(st.text(max_size=200), st.floats(30, 400))
def test_fitted_text_is_never_wider_than_its_room(text: str, width: float) -> None:
    assert text_width(fitted(text, width, 12), 12) <= width


@given(count=st.integers(0, 50), budget=st.integers(0, 60))
def test_a_long_log_keeps_its_two_ends(count: int, budget: int) -> None:
    log = [Entry(position=n, at=START, event=Noted(text="")) for n in range(1, count + 1)]

    kept = both_ends(log, budget=budget)

    assert len(kept.head) + len(kept.tail) == min(count, budget)
    assert kept.left_out == count - min(count, budget)
    assert [*kept.head, *kept.tail] == log[: len(kept.head)] + log[count - len(kept.tail) :]


def test_the_log_shows_what_an_event_carries() -> None:
    taken = SnapshotTaken(step=StepId("s"), snapshot=SnapshotId(UUID(int=5)), services=())
    entry = Entry(position=1, at=START, event=taken)

    text = page(replace(held(), log=(entry,))).text

    assert "snapshot taken" in text
    assert "00000000-0000-0000-0000-000000000005" in text
