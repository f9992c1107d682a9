"""What may be said of a schedule, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from test_coordination.adapters.codec import UnreadableError, decode_schedule, encode_schedule
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Blackout,
    Closure,
    Cron,
    Every,
    InvalidScheduleError,
    Misfire,
    MisfirePolicy,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
    Trigger,
    event_name,
    schedule_name,
)
from test_coordination.domain.verdicts import Verdict

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)
HOUR = timedelta(hours=1)
NIGHTLY = Cron(expression="0 3 * * *", zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (lambda: Every(period=timedelta(milliseconds=999), anchor=NOON), "the period"),
        (lambda: Every(period=timedelta(days=4000), anchor=NOON), "the period"),
        (lambda: Every(period=HOUR, anchor=NAIVE), "the anchor"),
        (lambda: At(moment=NAIVE), "the moment"),
        (lambda: OnEvent(event="two words"), "the event"),
        (lambda: Misfire(grace=timedelta(0)), "the grace"),
        (lambda: Blackout(begins=NIGHTLY, length=timedelta(days=367)), "the length of a blackout"),
        (lambda: Closure(since=NOON, until=NOON), "a closure"),
        (lambda: Closure(since=NOON, until=NAIVE), "a closure"),
        (lambda: Rules(window=timedelta(seconds=-1)), "the window"),
        (lambda: Rules(max_runs=0), "max_runs"),
        (
            lambda: Rules(blackouts=(Blackout(begins=NIGHTLY, length=HOUR),) * 51),
            "the number of blackouts",
        ),
        (lambda: Schedule(trigger=At(moment=NOON), rules=Rules(window=HOUR)), "the window"),
        (lambda: schedule_name("Nightly"), "the name"),
        (lambda: schedule_name("n" * 101), "the name"),
        (lambda: event_name("e" * 201), "the event"),
    ],
)
def test_what_cannot_be_is_refused_with_the_part_that_is_wrong(
    made: Callable[[], object], key: str
) -> None:
    with pytest.raises(InvalidScheduleError, match="; expected ") as refused:
        made()

    assert refused.value.key == key


def test_names_are_taken_as_they_are_given() -> None:
    assert schedule_name("nightly-2.shop") == "nightly-2.shop"
    assert event_name("Shop/deployed:v2") == "Shop/deployed:v2"


@pytest.mark.parametrize(
    ("trigger", "topic"),
    [
        (NIGHTLY, ""),
        (Every(period=HOUR, anchor=NOON), ""),
        (At(moment=NOON), ""),
        (AfterExecution(scenario="baseline"), "execution.ended/baseline"),
        (OnEvent(event="deployed"), "event/deployed"),
        (OnChange(service="till"), "service.changed/shop/till"),
    ],
)
def test_a_trigger_waits_for_time_or_to_hear_of_something(trigger: Trigger, topic: str) -> None:
    assert Schedule(trigger=trigger).topic("shop") == topic


def test_a_schedule_names_every_cron_that_it_holds() -> None:
    nights = Cron(expression="0 22 * * *")
    rules = Rules(blackouts=(Blackout(begins=nights, length=HOUR),))

    assert Schedule(trigger=NIGHTLY, rules=rules).crons() == (NIGHTLY, nights)
    assert Schedule(trigger=At(moment=NOON), rules=rules).crons() == (nights,)


@pytest.mark.parametrize(
    "trigger",
    [
        NIGHTLY,
        Every(period=timedelta(seconds=90.5), anchor=NOON),
        At(moment=NOON),
        AfterExecution(scenario="baseline", verdicts=frozenset({Verdict.BROKEN, Verdict.HELD})),
        OnEvent(event="deployed", match="event.data.version == '2'"),
        OnChange(service="till", deployed=True),
    ],
)
def test_a_schedule_is_read_back_as_it_was_written(trigger: Trigger) -> None:
    rules = Rules(
        misfire=Misfire(grace=HOUR, policy=MisfirePolicy.RUN_ALL),
        overlap=Overlap.REPLACE,
        blackouts=(Blackout(begins=NIGHTLY, length=HOUR),),
        closures=(Closure(since=NOON, until=NOON + HOUR),),
        max_runs=3,
        priority=-2,
        labels=frozenset({"zone=eu"}),
    )
    schedule = Schedule(trigger=trigger, rules=rules)

    assert decode_schedule(*encode_schedule(schedule)) == schedule


@pytest.mark.parametrize(
    ("word", "trigger"), [("moon", b"{}"), ("cron", b"{}"), ("at", b'{"moment": "soon"}')]
)
def test_what_a_later_program_wrote_is_told_as_that(word: str, trigger: bytes) -> None:
    with pytest.raises(UnreadableError, match="a stored schedule cannot be read"):
        decode_schedule(word, trigger, b"{}")
