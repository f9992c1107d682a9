"""Crons in their time zones: what comes when, above all on the days on which clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_coordination.adapters.cron import CronCalendar, following
from test_coordination.domain.schedule import Cron, InvalidScheduleError

CALENDAR = CronCalendar()
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC")


def coming(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Yield the times after a moment, in the zone of the cron."""
    zone = ZoneInfo(cron.zone)
    while (found := following(cron, after)) is not None:
        after = found
        yield found.astimezone(zone)


def times(cron: Cron, since: str, count: int) -> list[str]:
    """Return the first times after ``since``, which is read in the zone of the cron."""
    start = datetime.fromisoformat(since).replace(tzinfo=ZoneInfo(cron.zone))
    found = coming(cron, start.astimezone(UTC))
    return [next(found).isoformat(timespec="minutes") for _ in range(count)]


@pytest.mark.parametrize(
    ("cron", "since", "expected"),
    [
        pytest.param(
            Cron(expression="30 2 * * *", zone="Europe/Berlin"),
            "2030-03-30T12:00",
            ["2030-03-31T03:00+02:00", "2030-04-01T02:30+02:00"],
            id="a time that is left out comes once, when the gap ends",
        ),
        pytest.param(
            Cron(expression="30 2 * * *", zone="Europe/Berlin"),
            "2030-10-26T12:00",
            ["2030-10-27T02:30+02:00", "2030-10-28T02:30+01:00"],
            id="a time that comes twice is meant the first time",
        ),
        pytest.param(
            Cron(expression="0,15,30,45 2 * * *", zone="Europe/Berlin"),
            "2030-03-31T01:00",
            ["2030-03-31T03:00+02:00", "2030-04-01T02:00+02:00"],
            id="several that are left out come once together",
        ),
        pytest.param(
            Cron(expression="0 * * * *", zone="Europe/Berlin"),
            "2030-10-27T01:30",
            ["2030-10-27T02:00+02:00", "2030-10-27T02:00+01:00", "2030-10-27T03:00+01:00"],
            id="each hour is one that has passed where an hour comes twice",
        ),
        pytest.param(
            Cron(expression="0 * * * *", zone="Europe/Berlin"),
            "2030-03-31T00:30",
            ["2030-03-31T01:00+01:00", "2030-03-31T03:00+02:00"],
            id="each hour is one that has passed where an hour is left out",
        ),
        pytest.param(
            Cron(expression="30 2 * * *", zone="America/New_York"),
            "2030-03-09T12:00",
            ["2030-03-10T03:00-04:00", "2030-03-11T02:30-04:00"],
            id="New York, left out",
        ),
        pytest.param(
            Cron(expression="30 1 * * *", zone="America/New_York"),
            "2030-11-02T12:00",
            ["2030-11-03T01:30-04:00", "2030-11-04T01:30-05:00"],
            id="New York, twice",
        ),
        pytest.param(
            Cron(expression="15 2 * * *", zone="Australia/Lord_Howe"),
            "2030-10-05T12:00",
            ["2030-10-06T02:30+11:00", "2030-10-07T02:15+11:00"],
            id="half an hour is left out",
        ),
        pytest.param(
            Cron(expression="45 1 * * *", zone="Australia/Lord_Howe"),
            "2030-04-06T12:00",
            ["2030-04-07T01:45+11:00", "2030-04-08T01:45+10:30"],
            id="half an hour comes twice",
        ),
        pytest.param(
            Cron(expression="*/30 * * * *", zone="Australia/Lord_Howe"),
            "2030-04-07T01:15",
            ["2030-04-07T01:30+11:00", "2030-04-07T01:30+10:30", "2030-04-07T02:00+10:30"],
            id="each half hour is one that has passed",
        ),
        pytest.param(
            Cron(expression="0 0 * * *", zone="Africa/Cairo"),
            "2030-04-25T12:00",
            ["2030-04-26T01:00+03:00", "2030-04-27T00:00+03:00"],
            id="midnight is left out",
        ),
        pytest.param(
            Cron(expression="0 0 * * *", zone="America/Sao_Paulo"),
            "2018-11-03T12:00",
            ["2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"],
            id="midnight was left out",
        ),
        pytest.param(
            Cron(expression="0 0 * * *", zone="Pacific/Apia"),
            "2011-12-29T12:00",
            ["2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00"],
            id="a whole day was left out",
        ),
        pytest.param(
            Cron(expression="30 2 * * *", zone="UTC"),
            "2030-03-30T12:00",
            ["2030-03-31T02:30+00:00", "2030-04-01T02:30+00:00"],
            id="UTC never changes",
        ),
    ],
)
def test_a_daily_time_comes_once_also_when_clocks_change(
    cron: Cron, since: str, expected: list[str]
) -> None:
    assert times(cron, since, len(expected)) == expected


def test_in_the_second_pass_of_an_hour_what_came_in_the_first_is_over() -> None:
    cron = Cron(expression="45 2 * * *", zone="Europe/Berlin")
    second_pass = datetime(2030, 10, 27, 1, 40, tzinfo=UTC)

    assert second_pass.astimezone(ZoneInfo(cron.zone)).isoformat() == "2030-10-27T02:40:00+01:00"
    assert following(cron, second_pass) == datetime(2030, 10, 28, 1, 45, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_half_past_two_comes_once_a_day_all_year(zone: str) -> None:
    found = coming(Cron(expression="30 2 * * *", zone=zone), datetime(2029, 12, 31, 16, tzinfo=UTC))
    days = [next(found).date() for _ in range(365)]

    assert len(set(days)) == 365
    assert all(later - day == timedelta(days=1) for day, later in pairwise(days))


@settings(max_examples=60, deadline=None)
@given(
    cron=st.builds(
        Cron,
        zone=st.sampled_from(ZONES),
        expression=st.sampled_from(
            ["30 2 * * *", "*/20 * * * *", "15,45 1,2 * * *", "10 */2 * * *", "0 0 * * 0"]
        ),
    ),
    change=st.sampled_from([datetime(2030, 3, 31, tzinfo=UTC), datetime(2030, 10, 27, tzinfo=UTC)]),
    before_s=st.integers(0, 8 * 86_400),
)
def test_the_times_that_come_do_not_hang_on_when_it_is_asked(
    cron: Cron, change: datetime, before_s: int
) -> None:
    asked = change + timedelta(days=2) - timedelta(seconds=before_s)
    all_found = coming(cron, change - timedelta(days=8))
    later = next(found for found in all_found if found > asked)

    nearest = following(cron, asked)
    assert nearest is not None
    assert nearest.timestamp() == later.timestamp()
    assert nearest == datetime.fromtimestamp(later.timestamp(), UTC), "it is a time that there is"


@pytest.mark.parametrize(
    ("alias", "expression"),
    [("@daily", "0 0 * * *"), ("@HOURLY", "0 * * * *"), (" @yearly ", "0 0 1 1 *")],
)
def test_words_stand_for_what_everybody_means_by_them(alias: str, expression: str) -> None:
    plain = times(Cron(expression=expression), "2030-05-05T05:05", 3)

    assert times(Cron(expression=alias), "2030-05-05T05:05", 3) == plain


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("*/5 * * * * *", "five fields"),
        ("61 * * * *", "a minute that there is"),
        ("* 25 * * *", "a hour that there is"),
        ("0 0 30 2 *", "a day-of-month that there is"),
        ("0 0 * * MOND", "a day-of-week that there is"),
        ("5-5/2 * * * *", "no step behind a range of one value"),
        ("0 0 * * MON-mon/2", "no step behind a range of one value"),
        ("0 0 */31 * 5#5", "within fifty years"),
        ("0 " + "1," * 200 + "1 * * *", "at most 200 characters"),
        ("@reboot", "five fields"),
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused(expression: str, expected: str) -> None:
    with pytest.raises(InvalidScheduleError, match=expected) as refused:
        CALENDAR.check(Cron(expression=expression))

    assert refused.value.key == "the cron"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "Europe", "/etc/passwd"])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(InvalidScheduleError, match=r"the zone is .* such as Europe/Berlin"):
        CALENDAR.check(Cron(expression="0 0 * * *", zone=zone))


def test_what_can_be_read_is_taken_and_told_in_its_zone() -> None:
    CALENDAR.check(Cron(expression="0 3 L * 1-5,7", zone="Europe/Berlin"))
    moment = datetime(2030, 7, 1, 1, tzinfo=UTC)

    assert CALENDAR.local(moment, "Europe/Berlin").isoformat() == "2030-07-01T03:00:00+02:00"
    assert CALENDAR.following(Cron(expression="0 1 * * *"), moment) == moment + timedelta(days=1)


def test_nothing_comes_after_the_last_year_that_there_is() -> None:
    assert following(Cron(expression="0 0 1 1 *"), datetime(9999, 6, 1, tzinfo=UTC)) is None
