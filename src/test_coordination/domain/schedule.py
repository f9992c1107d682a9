"""When a scenario runs by itself: what triggers it, and the rules that its runs keep to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias, assert_never

from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.values import ScheduleName, format_duration
from test_coordination.domain.verdicts import Verdict

PERIOD_MIN: Final = timedelta(seconds=1)
PERIOD_MAX: Final = timedelta(days=3660)
LENGTH_MAX: Final = timedelta(days=366)
"""The longest that a window, a blackout or the grace may be."""
BLACKOUTS_MAX: Final = 50
NAME_LENGTH_MAX: Final = 100
EVENT_LENGTH_MAX: Final = 200

_NAME: Final = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_EVENT: Final = re.compile(r"[A-Za-z0-9]+(?:[-._:/][A-Za-z0-9]+)*")
_NAME_EXPECTED: Final = (
    f"small letters, digits, and single hyphens or dots between them, at most {NAME_LENGTH_MAX}"
)
_EVENT_EXPECTED: Final = (
    f"letters and digits with single . - _ : / between them, at most {EVENT_LENGTH_MAX}"
)
_AWARE: Final = "a time that says how far it is from UTC, such as 2030-05-01T03:00:00+02:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long it is known what became of a run that a schedule asked for, once it is settled.

    For ``least`` in any case; then for ``most``, if it is among the newest ``firings``.
    """

    firings: int
    least: timedelta
    most: timedelta


KEPT: Final = Keeping(firings=1_000, least=timedelta(days=1), most=timedelta(days=90))


@dataclass(eq=False, kw_only=True)
class InvalidScheduleError(CoordinationError):
    """A schedule, or an event, cannot be taken as it is; ``key`` is the part that is wrong."""

    code: ClassVar[str] = "schedule.invalid"

    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.key} is {self.found!r}; expected {self.expected}"


def _refused(key: str, found: object, expected: str) -> InvalidScheduleError:
    return InvalidScheduleError(key=key, found=str(found), expected=expected)


def _need_length(
    key: str, length: timedelta, *, least: timedelta = PERIOD_MIN, most: timedelta = LENGTH_MAX
) -> None:
    told = f"a duration of {format_duration(least)} to {format_duration(most)}"
    if not least <= length <= most:
        raise _refused(key, format_duration(length), told)


def _need_zone(key: str, moment: datetime) -> None:
    if moment.tzinfo is None:
        raise _refused(key, moment, _AWARE)


def event_name(name: str) -> str:
    """Return ``name`` if an event may have it.

    Raises:
        InvalidScheduleError: it may not.
    """
    fits = _EVENT.fullmatch(name) is not None and len(name) <= EVENT_LENGTH_MAX
    if not fits:
        raise _refused("the event", name, _EVENT_EXPECTED)
    return name


def schedule_name(name: str) -> ScheduleName:
    """Return ``name`` if a schedule may have it.

    Raises:
        InvalidScheduleError: it may not.
    """
    fits = _NAME.fullmatch(name) is not None and len(name) <= NAME_LENGTH_MAX
    if not fits:
        raise _refused("the name", name, _NAME_EXPECTED)
    return ScheduleName(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five fields as in a crontab, read in a time zone such as ``Europe/Berlin``.

    A time of day that a change of clocks leaves out is the first moment after the gap; one that
    comes twice is meant the first time. Where minute or hour begin with ``*`` the clock on the
    wall does not count: each hour, or each so many minutes, is one that has passed.
    """

    expression: str
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """At ``anchor`` and each ``period`` after it, whatever happened meanwhile."""

    period: timedelta
    anchor: datetime

    def __post_init__(self) -> None:
        _need_length("the period", self.period, most=PERIOD_MAX)
        _need_zone("the anchor", self.anchor)


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Once."""

    moment: datetime

    def __post_init__(self) -> None:
        _need_zone("the moment", self.moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterExecution:
    """Whenever an execution of ``scenario`` has ended, as one of ``verdicts`` if any is named.

    Executions that are steps of others do not count.
    """

    scenario: str
    verdicts: frozenset[Verdict] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnEvent:
    """Whenever somebody posts an event of that name.

    ``match`` is an expression over ``event.name``, ``event.at`` and ``event.data`` that must be
    true; what it asks for and the event does not have makes it false. Empty, it is always true.
    """

    event: str
    match: str = ""

    def __post_init__(self) -> None:
        event_name(self.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChange:
    """Whenever ``service`` runs as another process than before.

    With ``deployed`` only if what is launched, and how, is something else as well. What happens
    while an execution of the schedule is under way is that execution's own doing.
    """

    service: str
    deployed: bool = False


Trigger: TypeAlias = Cron | Every | At | AfterExecution | OnEvent | OnChange
TRIGGERS: Final[dict[str, type[Trigger]]] = {
    "cron": Cron,
    "every": Every,
    "at": At,
    "after": AfterExecution,
    "event": OnEvent,
    "change": OnChange,
}
"""Each trigger by the word under which it is stored."""

Following: TypeAlias = Callable[[Cron, datetime], datetime | None]
"""The first moment of a cron, in UTC, after a time; None if there is none in fifty years."""


class MisfirePolicy(StrEnum):
    """What becomes of runs that were missed because nobody was there to begin them."""

    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfire:
    """A run is missed if it is found later than ``grace``; then the policy decides.

    None of them runs, or the newest for all of them, or each, of which at most ``RUN_ALL_MAX``.
    """

    grace: timedelta = timedelta(minutes=5)
    policy: MisfirePolicy = MisfirePolicy.RUN_ONCE

    def __post_init__(self) -> None:
        _need_length("the grace", self.grace)


class Overlap(StrEnum):
    """What becomes of a run whose turn comes while the last one is under way."""

    FORBID = "forbid"
    ALLOW = "allow"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout:
    """A stretch of ``length`` that begins whenever ``begins`` says so."""

    begins: Cron
    length: timedelta

    def __post_init__(self) -> None:
        _need_length("the length of a blackout", self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A stretch from ``since`` up to ``until``."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            _need_zone("a closure", moment)
        if self.since >= self.until:
            found = f"{self.since} to {self.until}"
            raise _refused("a closure", found, "an end behind its beginning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What runs of a schedule keep to.

    Each run begins at a moment that chance chooses within ``window`` from its time on, but before
    the next one's time. Nothing begins during blackouts and closures. After ``max_runs`` the
    schedule is over; runs by hand do not count. ``priority`` is that of its executions, and
    ``labels`` such as ``zone=eu`` are what the workers have that may carry them out.
    """

    misfire: Misfire = Misfire()
    overlap: Overlap = Overlap.FORBID
    window: timedelta = timedelta(0)
    blackouts: tuple[Blackout, ...] = ()
    closures: tuple[Closure, ...] = ()
    max_runs: int | None = None
    priority: int = 0
    labels: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _need_length("the window", self.window, least=timedelta(0))
        told = f"at most {BLACKOUTS_MAX}"
        count = len(self.blackouts) + len(self.closures)
        if count > BLACKOUTS_MAX:
            raise _refused("the number of blackouts", count, told)
        if self.max_runs is not None and self.max_runs < 1:
            raise _refused("max_runs", self.max_runs, "a number above 0, or none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a scenario runs by itself.

    Raises:
        InvalidScheduleError: trigger and rules do not go together.
    """

    trigger: Trigger
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        timed = isinstance(self.trigger, Cron | Every)
        told = "none: only what comes by a cron or a period can wait for a moment in a window"
        window = format_duration(self.rules.window)
        if self.rules.window and not timed:
            raise _refused("the window", window, told)

    def crons(self) -> tuple[Cron, ...]:
        """Return every cron that it holds, for whoever knows which of them can be read."""
        own = (self.trigger,) if isinstance(self.trigger, Cron) else ()
        return (*own, *(blackout.begins for blackout in self.rules.blackouts))

    def topic(self, system: str) -> str:
        """Return the name of what it waits to hear of, see `ended_topic`; empty for times.

        ``system`` is the name of the system under test.
        """
        match self.trigger:
            case AfterExecution(scenario=scenario):
                return ended_topic(scenario)
            case OnEvent(event=event):
                return event_topic(event)
            case OnChange(service=service):
                return change_topic(system, service)
            case Cron() | Every() | At():
                return ""
            case _:
                assert_never(self.trigger)


def ended_topic(scenario: str) -> str:
    """Return under what name it is told that an execution of ``scenario`` has ended."""
    return f"execution.ended/{scenario}"


def event_topic(event: str) -> str:
    """Return under what name an event is told that somebody posts."""
    return f"event/{event}"


def change_topic(system: str, service: str) -> str:
    """Return under what name it is told that a service of ``system`` was changed."""
    return f"service.changed/{system}/{service}"
