"""Schedules and firings as rows of PostgreSQL."""

from __future__ import annotations

from typing import Final

import asyncpg

from test_coordination.adapters.codec import decode_facts, decode_schedule, encode_schedule
from test_coordination.adapters.postgres.pool import jsonb
from test_coordination.application.timetable import Firing, FiringState, StoredSchedule
from test_coordination.domain.due import Instant
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId, ScheduleId, ScheduleName
from test_coordination.domain.verdicts import Verdict

FORMAT: Final = 1
"""What a program must understand to look after the schedules that this one writes."""


def schedule_columns(stored: StoredSchedule) -> tuple[object, ...]:
    """Return a schedule as the values of its columns, in the order of the table."""
    kind, trigger, rules = encode_schedule(stored.schedule)
    return (
        stored.id,
        stored.name,
        stored.scenario,
        stored.version,
        jsonb(stored.parameters),
        FORMAT,
        kind,
        b"\x01" + trigger,
        b"\x01" + rules,
        stored.system,
        stored.schedule.topic(stored.system),
        stored.seed,
        stored.created_at,
        stored.created_by,
        stored.paused_at,
        stored.paused_because,
        stored.over_at,
        stored.next_due,
        stored.next_moment,
        stored.runs,
    )


def stored_schedule(row: asyncpg.Record) -> StoredSchedule:
    """Return the schedule in a row.

    Raises:
        UnreadableError: a later version of this program has written it.
    """
    return StoredSchedule(
        id=ScheduleId(row["id"]),
        name=ScheduleName(row["name"]),
        scenario=row["scenario"],
        version=row["version"],
        parameters=decode_facts(row["parameters"]),  # type: ignore[arg-type]  # what was a value is one again
        schedule=decode_schedule(row["kind"], row["trigger"], row["rules"]),
        system=row["system"],
        seed=row["seed"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        paused_at=row["paused_at"],
        paused_because=row["paused_because"],
        over_at=row["over_at"],
        next_due=row["next_due"],
        next_moment=row["next_moment"],
        runs=row["runs"],
    )


def firing(row: asyncpg.Record) -> Firing:
    """Return the firing in a row, which tells of its execution as well."""
    state = FiringState(row["state"])
    if state is FiringState.STARTED and row["status"] == Status.FINISHED:
        state = FiringState.ENDED
    return Firing(
        schedule=ScheduleId(row["schedule_id"]),
        due=row["due_at"],
        cause=row["cause"],
        state=state,
        execution=None if row["execution_id"] is None else ExecutionId(row["execution_id"]),
        decided_at=row["decided_at"],
        why=row["why"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
    )


def heard_instant(row: asyncpg.Record) -> Instant:
    """Return what was heard, in a row of a firing."""
    return Instant(due=row["due_at"], moment=row["due_at"], cause=row["cause"])
