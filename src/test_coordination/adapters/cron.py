"""Crons in their time zones, by cronsim and the zone files of the machine or of tzdata."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from test_coordination.domain.schedule import Cron, Following, InvalidScheduleError

EXPRESSION_LENGTH_MAX: Final = 200
FIELDS: Final = 5
CHECKED_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EXPECTED: Final = (
    "five fields (minute hour day-of-month month day-of-week), such as '30 2 * * 1-5', or one of "
    f"{', '.join(ALIASES)}"
)
ZONE_EXPECTED: Final = "the name of a time zone, such as Europe/Berlin or UTC"

# cronsim reads 5-5/2 as 5/2, which is every second one from the fifth on.
_ONE_WITH_STEP: Final = re.compile(r"(?:^|[ ,])(\w+)-\1/", re.IGNORECASE)


class CronCalendar:
    """A `Calendar`; none of what it was asked is remembered but the time zones."""

    def check(self, cron: Cron) -> None:
        """See `Calendar.check`."""
        _zone(cron.zone)
        if len(cron.expression) > EXPRESSION_LENGTH_MAX:
            raise _refused(
                cron.expression[:20] + "…", f"at most {EXPRESSION_LENGTH_MAX} characters"
            )
        expression = _fields(cron.expression)
        if len(expression.split()) != FIELDS:
            raise _refused(cron.expression, EXPECTED)
        if _ONE_WITH_STEP.search(expression):
            raise _refused(cron.expression, "no step behind a range of one value: leave it out")
        try:
            CronSim(expression, CHECKED_FROM)
        except CronSimError as error:
            field = str(error).removeprefix("Bad ")
            raise _refused(cron.expression, f"a {field} that there is, in {EXPECTED}") from error
        if following(cron, CHECKED_FROM) is None:
            raise _refused(cron.expression, "a day that comes within fifty years")

    @property
    def following(self) -> Following:
        """See `Calendar.following`."""
        return following

    def local(self, moment: datetime, zone: str) -> datetime:
        """See `Calendar.local`."""
        return moment.astimezone(_zone(zone))


def following(cron: Cron, after: datetime) -> datetime | None:
    """Return the first moment of ``cron`` after a time, in UTC; None if there is none for long."""
    try:
        # Around a change of clocks cronsim may begin with a moment that has passed.
        for found in CronSim(_fields(cron.expression), after.astimezone(_zone(cron.zone))):
            if (moment := found.astimezone(UTC)) > after:
                return moment
    except OverflowError:  # what would come is past the last year that there is
        pass
    return None


def _fields(expression: str) -> str:
    text = expression.strip()
    return ALIASES.get(text.lower(), text)


@lru_cache(1024)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # cronsim takes the shorter way for it
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidScheduleError(key="the zone", found=name, expected=ZONE_EXPECTED) from None


def _refused(expression: str, expected: str) -> InvalidScheduleError:
    return InvalidScheduleError(key="the cron", found=expression, expected=expected)
