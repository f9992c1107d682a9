"""Which runs of a schedule are to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from test_coordination.adapters.cron import following
from test_coordination.domain.due import Standing, occasions
from test_coordination.domain.schedule import At, Closure, Cron, OnEvent, Rules, Schedule, Trigger

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HOURLY = Cron(expression="0 * * * *")


def standing(trigger: Trigger, rules: Rules | None = None, *, runs: int = 0) -> Standing:
    """Return a schedule that has run so often; its next time is noon where it goes by time."""
    schedule = Schedule(trigger=trigger, rules=rules or Rules())
    next_at = None if schedule.topic("shop") else NOON
    return Standing(schedule=schedule, seed=7, next=next_at, runs=runs)


def test_the_runs_to_come_are_told_with_what_a_blackout_keeps_from_beginning() -> None:
    rules = Rules(closures=(Closure(since=NOON + HOUR, until=NOON + 2 * HOUR),), max_runs=3)

    ahead = list(occasions(standing(HOURLY, rules, runs=1), NOON - MINUTE, following))

    assert [each.due for each in ahead] == [NOON, NOON + HOUR, NOON + 2 * HOUR]
    assert [each.blackout for each in ahead] == [False, True, False]


def test_the_runs_to_come_may_have_no_end_or_be_none() -> None:
    endless = occasions(standing(HOURLY), NOON, following)

    assert len(list(islice(endless, 50))) == 50
    assert list(occasions(standing(At(moment=NOON)), NOON, following)) == []
    assert list(occasions(standing(OnEvent(event="e")), NOON, following)) == []
