"""What of a schedule is due: missed, overlapping, in a blackout, once too often, or to run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_coordination.adapters.cron import following
from test_coordination.domain.due import (
    RUN_ALL_MAX,
    Instant,
    Look,
    Skip,
    Span,
    Standing,
    Times,
    look,
)
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Blackout,
    Closure,
    Cron,
    Every,
    Misfire,
    MisfirePolicy,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
    Trigger,
)

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HOURLY = Cron(expression="0 * * * *")
QUARTERS = Every(period=15 * MINUTE, anchor=NOON)
GRACE = Misfire().grace


def standing(trigger: Trigger, rules: Rules | None = None, **facts: object) -> Standing:
    """Return a schedule that has not run yet; its first time is noon where it goes by time."""
    schedule = Schedule(trigger=trigger, rules=rules or Rules())
    timed = not schedule.topic("shop")
    known: dict[str, object] = {"seed": 7, "next": NOON if timed else None, **facts}
    return Standing(schedule=schedule, **known)  # type: ignore[arg-type]


def decided(state: Standing, now: datetime) -> Look:
    return look(state, now, following)


def runs(found: Look) -> list[datetime]:
    return [each.instant.due for each in found.rulings if each.skip is None]


def skips(found: Look) -> list[Skip]:
    return [each.skip for each in found.rulings if each.skip is not None]


def missed(policy: MisfirePolicy, overlap: Overlap = Overlap.ALLOW) -> Rules:
    return Rules(misfire=Misfire(policy=policy), overlap=overlap)


def heard(*ago: timedelta, now: datetime = NOON) -> tuple[Instant, ...]:
    return tuple(
        Instant(due=now - each, moment=now - each, cause=f"event {number}")
        for number, each in enumerate(ago)
    )


@pytest.mark.parametrize(
    ("trigger", "after"),
    [(HOURLY, NOON + HOUR), (QUARTERS, NOON + 15 * MINUTE), (At(moment=NOON), None)],
)
def test_what_is_due_runs_and_the_next_time_follows(
    trigger: Trigger, after: datetime | None
) -> None:
    found = decided(standing(trigger), NOON + timedelta(seconds=1))

    assert runs(found) == [NOON]
    assert (found.next and found.next.due) == after
    assert found.over == (after is None)


def test_before_its_time_nothing_is_due() -> None:
    found = decided(standing(HOURLY), NOON - timedelta(seconds=1))

    assert found == Look(next=Instant(due=NOON, moment=NOON))


def test_what_is_found_within_the_grace_runs_as_if_it_were_on_time() -> None:
    found = decided(standing(HOURLY, missed(MisfirePolicy.SKIP)), NOON + GRACE)

    assert (runs(found), skips(found)) == ([NOON], [])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (MisfirePolicy.SKIP, []),
        (MisfirePolicy.RUN_ONCE, [NOON + 3 * HOUR]),
        (MisfirePolicy.RUN_ALL, [NOON, NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]),
    ],
)
def test_of_what_was_missed_none_the_newest_or_all_run(
    policy: MisfirePolicy, expected: list[datetime]
) -> None:
    found = decided(standing(HOURLY, missed(policy)), NOON + 3 * HOUR + 30 * MINUTE)

    assert runs(found) == expected
    assert skips(found) == [Skip.MISSED] * (4 - len(expected))
    assert found.next is not None
    assert found.next.due == NOON + 4 * HOUR


def test_what_is_in_time_runs_beside_the_newest_that_was_missed() -> None:
    now = NOON + 2 * HOUR + MINUTE

    found = decided(standing(HOURLY, missed(MisfirePolicy.RUN_ONCE)), now)

    assert runs(found) == [NOON + HOUR, NOON + 2 * HOUR]
    assert found.rulings[0].why == "it was found 7260 s late"


@pytest.mark.parametrize(
    "trigger", [Every(period=MINUTE, anchor=NOON), Cron(expression="* * * * *")]
)
def test_after_a_long_time_the_newest_are_looked_at_and_the_rest_is_told_in_one(
    trigger: Trigger,
) -> None:
    now = NOON + timedelta(days=300)

    found = decided(standing(trigger, missed(MisfirePolicy.RUN_ALL)), now)

    assert len(runs(found)) == len(found.rulings) == RUN_ALL_MAX
    assert runs(found)[-1] == now
    assert all(later - each == MINUTE for each, later in pairwise(runs(found)))
    assert found.rulings[0].why == "so were those since 2030-05-01T12:00:00Z"


@settings(max_examples=25, deadline=None)
@given(
    expression=st.sampled_from(["* 3 * * *", "*/7 * * * *", "0 12 * * *", "30 2 * * 1-5"]),
    days=st.integers(0, 4),
    minutes=st.integers(0, 800),
)
def test_the_newest_times_are_the_last_of_all_and_the_one_after(
    expression: str, days: int, minutes: int
) -> None:
    cron = Cron(expression=expression, zone="Europe/Berlin")
    times = Times(schedule=Schedule(trigger=cron), seed=0, following=following)
    first = times.after(NOON - timedelta(days=days))
    assert first is not None
    until = NOON + minutes * MINUTE
    every = [first]
    while every[-1] <= until:
        later = times.after(every[-1])
        assert later is not None
        every.append(later)

    assert [*times.newest(first, until)] == every[-RUN_ALL_MAX - 1 :]


def test_what_was_missed_long_ago_and_comes_seldom_is_found() -> None:
    yearly = Cron(expression="0 12 1 5 *")

    found = decided(standing(yearly, missed(MisfirePolicy.RUN_ALL)), NOON + timedelta(days=800))

    assert [due.year for due in runs(found)] == [2030, 2031, 2032]


def test_while_something_runs_nothing_else_does_where_that_is_forbidden() -> None:
    now = NOON + 31 * MINUTE
    rules = Rules(misfire=Misfire(grace=HOUR))

    free = decided(standing(QUARTERS, rules), now)
    busy = decided(standing(QUARTERS, rules, busy=True), now)

    assert (runs(free), skips(free)) == ([NOON], [Skip.OVERLAP] * 2)
    assert (runs(busy), skips(busy)) == ([], [Skip.OVERLAP] * 3)


def test_where_it_is_allowed_all_run_at_once() -> None:
    rules = Rules(misfire=Misfire(grace=HOUR), overlap=Overlap.ALLOW)

    found = decided(standing(QUARTERS, rules, busy=True), NOON + 31 * MINUTE)

    assert len(runs(found)) == 3


def test_where_the_newest_replaces_the_others_it_alone_runs() -> None:
    rules = Rules(misfire=Misfire(grace=HOUR), overlap=Overlap.REPLACE)

    found = decided(standing(QUARTERS, rules, busy=True), NOON + 31 * MINUTE)

    assert runs(found) == [NOON + 30 * MINUTE]
    assert skips(found) == [Skip.REPLACED] * 2


NIGHT = Blackout(begins=Cron(expression="0 22 * * *", zone="Europe/Berlin"), length=8 * HOUR)
FAIR = Closure(since=NOON - HOUR, until=NOON + timedelta(days=1))


@pytest.mark.parametrize(
    ("rules", "hours"),
    [
        (Rules(blackouts=(NIGHT,)), {*range(4, 20)}),
        (Rules(closures=(Closure(since=NOON - HOUR, until=NOON + HOUR),)), {*range(24)} - {11, 12}),
    ],
)
def test_nothing_begins_during_a_blackout(rules: Rules, hours: set[int]) -> None:
    open_at = {
        hour
        for hour in range(24)
        if runs(
            decided(standing(HOURLY, rules, next=NOON.replace(hour=hour)), NOON.replace(hour=hour))
        )
    }

    assert open_at == hours


def test_what_was_missed_does_not_begin_in_a_blackout_either() -> None:
    rules = Rules(blackouts=(NIGHT,), misfire=Misfire(grace=2 * HOUR))
    before = datetime(2030, 5, 1, 19, tzinfo=UTC)

    found = decided(standing(HOURLY, rules, next=before), before + HOUR + MINUTE)

    assert skips(found) == [Skip.BLACKOUT] * 2


def test_of_what_was_missed_the_newest_outside_of_a_blackout_runs() -> None:
    rules = replace(missed(MisfirePolicy.RUN_ONCE), blackouts=(NIGHT,))
    evening = datetime(2030, 5, 1, 18, tzinfo=UTC)

    found = decided(
        standing(HOURLY, rules, next=evening), evening + timedelta(hours=10, minutes=-1)
    )
    later = decided(standing(HOURLY, rules, next=evening), evening + timedelta(hours=10.5))

    assert runs(found) == []
    assert runs(later) == [evening + 10 * HOUR]


@pytest.mark.parametrize("overlap", Overlap)
def test_a_schedule_is_over_when_it_has_run_often_enough(overlap: Overlap) -> None:
    rules = Rules(max_runs=3, overlap=overlap)

    first = decided(standing(HOURLY, rules, runs=1), NOON)
    last = decided(standing(HOURLY, rules, runs=2), NOON)
    none = decided(standing(HOURLY, rules, runs=3), NOON)

    assert (runs(first), first.over) == ([NOON], False)
    assert (runs(last), last.over, last.next) == ([NOON], True, None)
    assert none == Look(over=True)


def test_what_is_left_out_does_not_count_as_a_run() -> None:
    rules = Rules(max_runs=1, closures=(FAIR,))

    found = decided(standing(HOURLY, rules), NOON)

    assert (skips(found), found.over) == ([Skip.BLACKOUT], False)


def test_no_more_run_at_once_than_may() -> None:
    rules = replace(missed(MisfirePolicy.RUN_ALL), max_runs=2)

    found = decided(standing(HOURLY, rules), NOON + 5 * HOUR)

    assert runs(found) == [NOON, NOON + HOUR]
    assert found.over
    assert len(found.rulings) == 2


def test_what_was_heard_runs_each_for_itself_and_nothing_comes_next() -> None:
    state = standing(
        OnEvent(event="deployed"), Rules(overlap=Overlap.ALLOW), heard=heard(2 * MINUTE, MINUTE)
    )

    found = decided(state, NOON)

    assert runs(found) == [NOON - 2 * MINUTE, NOON - MINUTE]
    assert (found.next, found.over) == (None, False)
    assert decided(replace(state, heard=()), NOON) == Look()


def test_what_is_heard_is_missed_overlaps_and_is_over_like_times() -> None:
    trigger = AfterExecution(scenario="baseline")
    state = standing(trigger, Rules(max_runs=2), runs=1, heard=heard(HOUR, 30 * MINUTE, MINUTE))

    found = decided(state, NOON)

    assert runs(found) == [NOON - 30 * MINUTE]
    assert skips(found) == [Skip.MISSED]
    assert found.over


def test_a_change_during_an_execution_is_its_own_doing() -> None:
    span = Span(since=NOON - 10 * MINUTE, until=NOON - 5 * MINUTE)
    rules = Rules(overlap=Overlap.ALLOW, misfire=Misfire(grace=HOUR))
    told = heard(11 * MINUTE, 10 * MINUTE, 5 * MINUTE, 4 * MINUTE)
    change = standing(OnChange(service="shop"), rules, heard=told, spans=(span,))
    event = standing(OnEvent(event="deployed"), rules, heard=told, spans=(span,))
    running = replace(change, spans=(replace(span, until=None),))

    assert runs(decided(change, NOON)) == [NOON - 11 * MINUTE, NOON - 4 * MINUTE]
    assert runs(decided(event, NOON)) == [each.due for each in told]
    assert runs(decided(running, NOON)) == [NOON - 11 * MINUTE]


@settings(max_examples=80, deadline=None)
@given(
    window=st.timedeltas(MINUTE, timedelta(hours=3)),
    trigger=st.sampled_from([HOURLY, QUARTERS, Cron(expression="7 3 * * *")]),
    seed=st.integers(0, 2**53),
)
def test_chance_puts_a_run_into_its_window_before_the_next_time(
    window: timedelta, trigger: Trigger, seed: int
) -> None:
    schedule = Schedule(trigger=trigger, rules=Rules(window=window))
    times = Times(schedule=schedule, seed=seed, following=following)
    first = times.next(NOON)
    assert first is not None
    second = times.next(first.due)
    assert second is not None

    assert timedelta(0) <= first.moment - first.due < window
    assert first.moment < second.due
    assert times.instant(first.due) == first, "the same seed chooses the same again"


def test_another_seed_chooses_other_moments() -> None:
    schedule = Schedule(trigger=HOURLY, rules=Rules(window=HOUR))
    moments = {
        Times(schedule=schedule, seed=seed, following=following).instant(NOON).moment
        for seed in range(50)
    }

    assert len(moments) > 45
    assert max(moments) - min(moments) > 30 * MINUTE


def test_what_is_due_waits_for_its_moment() -> None:
    state = standing(HOURLY, Rules(window=HOUR), seed=2)
    times = Times(schedule=state.schedule, seed=2, following=following)
    moment = times.instant(NOON).moment
    assert moment > NOON

    early = decided(state, moment - timedelta(milliseconds=1))
    on_time = decided(state, moment)

    assert early == Look(next=Instant(due=NOON, moment=moment))
    assert [each.instant for each in on_time.rulings] == [Instant(due=NOON, moment=moment)]
    assert on_time.next == times.instant(NOON + HOUR)


def test_how_late_a_run_is_counts_from_its_moment() -> None:
    rules = replace(missed(MisfirePolicy.SKIP), window=HOUR)
    state = standing(HOURLY, rules, seed=2)
    moment = Times(schedule=state.schedule, seed=2, following=following).instant(NOON).moment
    assert moment - NOON > 2 * GRACE

    assert runs(decided(state, moment + GRACE)) == [NOON]
    assert skips(decided(state, moment + GRACE + MINUTE)) == [Skip.MISSED]


def test_a_window_shorter_than_a_millisecond_moves_nothing() -> None:
    schedule = Schedule(trigger=HOURLY, rules=Rules(window=timedelta(microseconds=900)))

    assert Times(schedule=schedule, seed=1, following=following).instant(NOON).moment == NOON


def test_a_period_is_counted_from_its_anchor_and_never_begins_before_it() -> None:
    every = Times(schedule=Schedule(trigger=QUARTERS), seed=0, following=following)

    assert every.after(NOON - timedelta(days=9)) == NOON
    assert every.after(NOON) == NOON + 15 * MINUTE
    assert every.after(NOON + 100 * MINUTE) == NOON + 105 * MINUTE
