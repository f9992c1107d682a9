"""Options that say when a scenario is to run by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from test_coordination.domain.admission import PRIORITY_MAX
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
from test_coordination.domain.values import DURATION_EXPECTED, parse_duration
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.options import DURATION, pairs

Result = TypeVar("Result")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What periods are counted from unless another time is named."""
_DEFAULTS: Final = Rules()
_WHEN: Final = {
    "cron": "--cron",
    "every": "--every",
    "at": "--at",
    "after": "--after",
    "event": "--on-event",
    "change": "--on-change",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What was typed about when a scenario is to run; each field is an option."""

    cron: str | None
    zone: str
    every: timedelta | None
    since: str | None
    at: str | None
    after: str | None
    verdicts: tuple[str, ...]
    event: str | None
    match: str
    change: str | None
    deployed: bool
    window: timedelta
    grace: timedelta
    misfire: str
    overlap: str
    blackouts: tuple[str, ...]
    closures: tuple[str, ...]
    max_runs: int | None
    priority: int
    labels: tuple[str, ...]


def schedule_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Add the options that say when; the command is given them as ``words``."""

    @wraps(command)
    def called(*args: Any, **given: Any) -> Result:
        words = Words(**{each.name: given.pop(each.name) for each in fields(Words)})
        return command(*args, words=words, **given)

    for option in reversed((*_when_options(), *_rule_options())):
        called = option(called)
    return called


def _when_options() -> tuple[Callable[..., Any], ...]:
    return (
        click.option("--cron", metavar="FIELDS", help="As in a crontab: '30 2 * * 1-5', @daily."),
        click.option(
            "--zone",
            default="UTC",
            show_default=True,
            help="The time zone of crons, and of times that name none, such as Europe/Berlin.",
        ),
        click.option("--every", type=DURATION, metavar="PERIOD", help="Again and again: 15m, 6h."),
        click.option(
            "--from",
            "since",
            metavar="TIME",
            help="What --every is counted from; else from 1970 on, so that 15m is each quarter.",
        ),
        click.option("--at", metavar="TIME", help="Once: 2030-05-01T03:00, or with +02:00."),
        click.option("--after", metavar="SCENARIO", help="When an execution of it has ended."),
        click.option(
            "--verdict",
            "verdicts",
            multiple=True,
            type=click.Choice([each.value for each in Verdict]),
            help="With --after: only if it ended as that; may be repeated.",
        ),
        click.option("--on-event", "event", metavar="NAME", help="When such an event is posted."),
        click.option(
            "--match",
            default="",
            metavar="CONDITION",
            help="With --on-event: only if that is true, such as \"event.data.env == 'eu'\".",
        ),
        click.option(
            "--on-change",
            "change",
            metavar="SERVICE",
            help="When the service runs as another process than before.",
        ),
        click.option(
            "--deployed",
            is_flag=True,
            help="With --on-change: only if what is launched is something else, too.",
        ),
    )


def _rule_options() -> tuple[Callable[..., Any], ...]:
    misfire = _DEFAULTS.misfire
    return (
        click.option(
            "--window",
            type=DURATION,
            default="0s",
            help="Begin at a moment that chance chooses within that time.",
        ),
        click.option(
            "--grace",
            type=DURATION,
            default=misfire.grace,
            help="How late a run may begin before it counts as missed; 5m unless said.",
        ),
        click.option(
            "--misfire",
            type=click.Choice([each.value for each in MisfirePolicy]),
            default=misfire.policy.value,
            show_default=True,
            help="What becomes of missed runs: none, the newest, or all.",
        ),
        click.option(
            "--overlap",
            type=click.Choice([each.value for each in Overlap]),
            default=_DEFAULTS.overlap.value,
            show_default=True,
            help="Whether a run may begin while the last one is under way, or takes its place.",
        ),
        click.option(
            "--blackout",
            "blackouts",
            multiple=True,
            metavar="'FIELDS for LENGTH'",
            help="Begin nothing for so long whenever the cron comes; may be repeated.",
        ),
        click.option(
            "--closed",
            "closures",
            multiple=True,
            metavar="TIME/TIME",
            help="Begin nothing between two times; may be repeated.",
        ),
        click.option("--max-runs", type=click.IntRange(min=1), help="Be over after so many runs."),
        click.option(
            "--priority",
            type=click.IntRange(-PRIORITY_MAX, PRIORITY_MAX),
            default=0,
            help="Higher ones are let in first.",
        ),
        click.option(
            "--label",
            "labels",
            multiple=True,
            metavar="NAME=VALUE",
            help="Only a worker with that label may carry it out; may be repeated.",
        ),
    )


def schedule_of(words: Words) -> Schedule:
    """Return the schedule that was typed.

    Raises:
        click.UsageError: not exactly one option says when, or one belongs to another.
        InvalidScheduleError: a part of it cannot be.
    """
    rules = Rules(
        misfire=Misfire(grace=words.grace, policy=MisfirePolicy(words.misfire)),
        overlap=Overlap(words.overlap),
        window=words.window,
        blackouts=tuple(_blackout(text, words.zone) for text in words.blackouts),
        closures=tuple(_closure(text, words.zone) for text in words.closures),
        max_runs=words.max_runs,
        priority=words.priority,
        labels=frozenset(
            f"{name}={value}" for name, value in pairs(words.labels, option="--label").items()
        ),
    )
    return Schedule(trigger=_trigger(words), rules=rules)


def _trigger(words: Words) -> Trigger:
    said = [option for name, option in _WHEN.items() if getattr(words, name) is not None]
    if len(said) != 1:
        found = f"{' and '.join(said)} were" if said else "nothing was"
        message = f"say when with one of {', '.join(_WHEN.values())}; {found} given"
        raise click.UsageError(message)
    _need(words, "since", belongs_to="every")
    _need(words, "verdicts", belongs_to="after")
    _need(words, "match", belongs_to="event")
    _need(words, "deployed", belongs_to="change")
    if words.cron is not None:
        return Cron(expression=words.cron, zone=words.zone)
    if words.every is not None:
        since = words.since
        anchor = EPOCH if since is None else moment(since, words.zone, option="--from")
        return Every(period=words.every, anchor=anchor)
    if words.at is not None:
        return At(moment=moment(words.at, words.zone, option="--at"))
    if words.after is not None:
        return AfterExecution(
            scenario=words.after, verdicts=frozenset(map(Verdict, words.verdicts))
        )
    if words.event is not None:
        return OnEvent(event=words.event, match=words.match)
    assert words.change is not None, "one of them is given"
    return OnChange(service=words.change, deployed=words.deployed)


def _need(words: Words, name: str, *, belongs_to: str) -> None:
    if getattr(words, name) and getattr(words, belongs_to) is None:
        option = {"since": "--from", "verdicts": "--verdict"}.get(name, f"--{name}")
        message = f"{option} goes with {_WHEN[belongs_to]}, which was not given"
        raise click.UsageError(message)


def moment(text: str, zone: str, *, option: str) -> datetime:
    """Return the time that was typed, which is one of ``zone`` unless it says how far from UTC.

    Raises:
        click.BadParameter: it is none, or there is no such time in the zone, or there are two.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = (
            f"expected a time such as 2030-05-01T03:00 or 2030-05-01T03:00+02:00, got {text!r}"
        )
        raise click.BadParameter(message, param_hint=option) from None
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"expected the name of a time zone, such as Europe/Berlin, got {zone!r}"
        raise click.BadParameter(message, param_hint="--zone") from None
    first = found.replace(tzinfo=local, fold=0).astimezone(UTC)
    second = found.replace(tzinfo=local, fold=1).astimezone(UTC)
    if first == second:
        return first
    there = first.astimezone(local).replace(tzinfo=None) == found
    why = "comes twice" if there else "does not come at all"
    message = f"{text} {why} in {zone}, where clocks change then; say how far it is from UTC"
    raise click.BadParameter(message, param_hint=option)


def _blackout(text: str, zone: str) -> Blackout:
    expression, separator, told = text.rpartition(" for ")
    length = parse_duration(told)
    if not separator or length is None:
        message = f"expected 'FIELDS for LENGTH', such as '0 22 * * * for 8h', got {text!r}"
        raise click.BadParameter(
            f"{message}: LENGTH is {DURATION_EXPECTED}", param_hint="--blackout"
        )
    return Blackout(begins=Cron(expression=expression, zone=zone), length=length)


def _closure(text: str, zone: str) -> Closure:
    since, separator, until = text.partition("/")
    if not separator:
        message = f"expected TIME/TIME, such as 2030-12-24T00:00/2030-12-27T00:00, got {text!r}"
        raise click.BadParameter(message, param_hint="--closed")
    return Closure(
        since=moment(since, zone, option="--closed"), until=moment(until, zone, option="--closed")
    )
