"""Schedules and what became of their runs, as people and programs read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import assert_never
from zoneinfo import ZoneInfo

import click

from test_coordination.application.timetable import Firing, FiringState, StoredSchedule
from test_coordination.domain.due import Occasion
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Cron,
    Every,
    OnChange,
    OnEvent,
    Rules,
    Schedule,
)
from test_coordination.domain.values import format_duration
from test_coordination.interfaces.cli.layout import columns_of, fold, listed

_COLOURS = {
    FiringState.SKIPPED: "yellow",
    FiringState.FAILED: "red",
}


def when_words(schedule: Schedule) -> str:
    """Return in words when a schedule asks for a run."""
    match schedule.trigger:
        case Cron(expression=expression, zone=zone):
            return f"{expression} in {zone}"
        case Every(period=period):
            return f"every {format_duration(period)}"
        case At(moment=moment):
            return f"once, at {_time(moment, UTC)}"
        case AfterExecution(scenario=scenario, verdicts=verdicts):
            ended = f" as {listed(sorted(verdicts), 'or')}" if verdicts else ""
            return f"after {scenario} has ended{ended}"
        case OnEvent(event=event, match=match):
            return f"on event {event}" + (f" where {match}" if match else "")
        case OnChange(service=service, deployed=deployed):
            return f"when {service} {'is deployed' if deployed else 'has changed'}"
        case trigger:
            assert_never(trigger)


def rule_words(rules: Rules) -> Sequence[str]:
    """Return in words what runs keep to, as far as it is not what is usual."""
    usual, misfire = Rules(), rules.misfire
    late = f"misfire {misfire.policy} after {format_duration(misfire.grace)}"
    window = f"at a moment that chance chooses within {format_duration(rules.window)}"
    return [
        *([window] if rules.window else []),
        *([late] if misfire != usual.misfire else []),
        *([f"overlap {rules.overlap}"] if rules.overlap is not usual.overlap else []),
        *(
            f"blackout {each.begins.expression} in {each.begins.zone} for "
            f"{format_duration(each.length)}"
            for each in rules.blackouts
        ),
        *(
            f"closed {_time(each.since, UTC)} to {_time(each.until, UTC)}"
            for each in rules.closures
        ),
        *([f"at most {rules.max_runs} runs"] if rules.max_runs is not None else []),
        *([f"priority {rules.priority}"] if rules.priority else []),
        *([f"label {listed(sorted(rules.labels))}"] if rules.labels else []),
    ]


def state_words(stored: StoredSchedule) -> str:
    """Return in a word what a schedule does."""
    if stored.over_at is not None:
        return "over"
    return "active" if stored.paused_at is None else "paused"


def schedule_rows(known: Sequence[StoredSchedule]) -> Sequence[str]:
    """Return a line about each schedule."""
    if not known:
        return ["nothing is scheduled; see `tcoord schedules create --help`"]
    return columns_of(
        [
            (
                each.name,
                state_words(each),
                _scenario(each),
                when_words(each.schedule),
                f"next {_next(each)}" if _next(each) else "",
            )
            for each in known
        ]
    )


def schedule_lines(stored: StoredSchedule, *, columns: int) -> Sequence[str]:
    """Return all that there is to know of a schedule but for its runs."""
    rules = ["; ".join(rule_words(stored.schedule.rules))]
    given = [f"{name}={value}" for name, value in stored.parameters.items()]
    runs = f"{stored.runs} run{'' if stored.runs == 1 else 's'}"
    state = f"{state_words(stored)}, {runs}"
    if stored.paused_at is not None:
        state += f"; since {_time(stored.paused_at, zone_of(stored.schedule))}: "
        state += stored.paused_because or "no reason was given"
    facts = {
        "runs": f"{_scenario(stored)} on {stored.system}",
        "when": when_words(stored.schedule),
        "next": _next(stored),
        "rules": rules[0],
        "with": ", ".join(given),
        "state": state,
        "seed": str(stored.seed),
        "made": f"{_time(stored.created_at, UTC)} by {stored.created_by or 'somebody'}",
    }
    lines = [click.style(stored.name, bold=True)]
    for name, text in facts.items():
        if text:
            lines.append(fold(text, columns=columns, first=f"  {name:<6} ", later=" " * 9))
    return lines


def occasion_rows(ahead: Sequence[Occasion]) -> Sequence[str]:
    """Return a line about each run to come, in the zone of its schedule."""
    rows = [
        (
            f"{each.moment:%a}",
            each.moment.isoformat(sep=" ", timespec="seconds"),
            "left out: blackout" if each.blackout else "",
            "" if each.due == each.moment else f"due {each.due:%H:%M:%S}",
        )
        for each in ahead
    ]
    return columns_of(rows) if rows else []


def firing_rows(firings: Sequence[Firing], schedule: Schedule) -> Sequence[str]:
    """Return a line about each run that was asked for."""
    if not firings:
        return ["it has not asked for a run yet"]
    zone = zone_of(schedule)
    rows = [
        (
            _time(each.due, zone),
            (each.verdict or each.state).replace("_", " "),
            "" if each.execution is None else str(each.execution),
            "; ".join(filter(None, (each.cause, each.why))),
        )
        for each in firings
    ]
    coloured = zip(columns_of(rows), firings, strict=True)
    return [click.style(row, fg=_COLOURS.get(each.state)) for row, each in coloured]


def zone_of(schedule: Schedule) -> tzinfo:
    """Return the zone in which times of a schedule are told."""
    trigger = schedule.trigger
    return ZoneInfo(trigger.zone) if isinstance(trigger, Cron) else UTC


def schedule_document(stored: StoredSchedule) -> dict[str, object]:
    """Return a schedule as JSON has it."""
    return {
        "id": str(stored.id),
        "name": stored.name,
        "scenario": stored.scenario,
        "version": stored.version,
        "parameters": dict(stored.parameters),
        "system": stored.system,
        "when": when_words(stored.schedule),
        "rules": list(rule_words(stored.schedule.rules)),
        "state": state_words(stored),
        "paused_because": stored.paused_because,
        "next_due": _iso(stored.next_due),
        "next_moment": _iso(stored.next_moment),
        "runs": stored.runs,
        "seed": stored.seed,
        "created_at": stored.created_at.isoformat(),
        "created_by": stored.created_by,
    }


def occasion_document(each: Occasion) -> dict[str, object]:
    """Return a run to come as JSON has it."""
    return {
        "due": each.due.isoformat(),
        "moment": each.moment.isoformat(),
        "blackout": each.blackout,
    }


def firing_document(each: Firing) -> dict[str, object]:
    """Return a run that was asked for as JSON has it."""
    return {
        "due": each.due.isoformat(),
        "cause": each.cause,
        "state": each.state,
        "execution": None if each.execution is None else str(each.execution),
        "verdict": each.verdict,
        "decided_at": _iso(each.decided_at),
        "why": each.why,
    }


def _scenario(stored: StoredSchedule) -> str:
    return stored.scenario + ("" if stored.version is None else f"@{stored.version}")


def _next(stored: StoredSchedule) -> str:
    if stored.next_moment is None or stored.paused_at is not None:
        return ""
    return _time(stored.next_moment, zone_of(stored.schedule))


def _time(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
