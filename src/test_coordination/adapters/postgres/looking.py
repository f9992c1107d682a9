"""One look at the schedules that are due: read, decided and written in one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from test_coordination.adapters.postgres.pool import Connection
from test_coordination.adapters.postgres.schedule_rows import (
    FORMAT,
    firing,
    heard_instant,
    stored_schedule,
)
from test_coordination.application.ports import Identities
from test_coordination.application.timetable import (
    REMEMBERED,
    Decide,
    Firing,
    FiringState,
    StoredSchedule,
)
from test_coordination.domain.due import Instant, Look, Ruling, Span, Standing
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId, ScheduleId

HEARD_MAX: Final = 2000
"""How much of what was heard is decided in one look; the rest is left to the next."""

# What another scheduler looks at is left to it.
DUE: Final = """
    SELECT *, now() AS looked_at
    FROM schedule
    WHERE system = $1 AND next_moment <= now() AND paused_at IS NULL AND over_at IS NULL
        AND format <= $3
    ORDER BY next_moment
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
"""
OPEN: Final = """
    SELECT f.schedule_id, f.due_at, f.cause, f.state, e.status, e.requested_at, e.ended_at
    FROM schedule_firing AS f
    LEFT JOIN execution AS e ON e.id = f.execution_id
    WHERE f.schedule_id = ANY ($1) AND f.state IN ('due', 'started')
"""
HEARD: Final = """
    SELECT schedule_id, due_at, cause
    FROM schedule_firing
    WHERE schedule_id = ANY ($1) AND state = 'heard'
    ORDER BY due_at, cause
    LIMIT $2
"""
ENDED: Final = """
    UPDATE schedule_firing
    SET state = 'ended'
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS past (schedule_id, due_at, cause)
    WHERE schedule_firing.schedule_id = past.schedule_id
        AND schedule_firing.due_at = past.due_at
        AND schedule_firing.cause = past.cause
        AND state = 'started'
"""
# A run that was asked for before is not asked for again, whoever has looked at a clock; one that
# was only heard of is decided here.
RULE: Final = """
    INSERT INTO schedule_firing (
        schedule_id, due_at, cause, state, execution_id, decided_at, why
    )
    SELECT schedule_id, due_at, cause, state, execution_id, $6, why
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $7::text[])
        AS r (schedule_id, due_at, cause, state, execution_id, why)
    ON CONFLICT (schedule_id, due_at, cause) DO UPDATE
    SET state = excluded.state,
        execution_id = excluded.execution_id,
        decided_at = excluded.decided_at,
        why = excluded.why
    WHERE schedule_firing.state = 'heard'
    RETURNING schedule_id, due_at, cause, state, execution_id, decided_at, why,
        NULL AS status, NULL AS verdict
"""
FORGET_HEARD: Final = """
    DELETE FROM schedule_firing WHERE schedule_id = ANY ($1) AND state = 'heard'
"""
# What waits to hear of something is looked at again as long as something that it has heard of is
# left.
ADVANCE: Final = """
    UPDATE schedule
    SET next_due = after.next_due,
        next_moment = CASE WHEN topic = '' THEN after.next_moment ELSE (
            SELECT min(due_at) FROM schedule_firing WHERE schedule_id = id AND state = 'heard'
        ) END,
        over_at = CASE WHEN after.over THEN $6::timestamptz END,
        runs = runs + after.begun
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::int[])
        AS after (schedule_id, next_due, next_moment, over, begun)
    WHERE id = after.schedule_id
"""


async def look_at(
    lent: Connection, decide: Decide, identities: Identities, *, system: str, limit: int
) -> int:
    """Do in a transaction what `Timetable.look` asks for."""
    rows = await lent.fetch(DUE, system, limit, FORMAT)
    if not rows:
        return 0
    now: datetime = rows[0]["looked_at"]
    due = [stored_schedule(row) for row in rows]
    found = await standings(lent, due, now)
    looks = {stored.id: decide(found[stored.id], now) for stored in due}
    rulings = [(schedule, each) for schedule, made in looks.items() for each in made.rulings]
    kept = await ruled(lent, rulings, identities, now=now)
    begun = Counter(each.schedule for each in kept if each.state is FiringState.DUE)
    await _advance(lent, looks, begun, now=now)
    return len(rows)


async def standings(
    lent: Connection, due: Sequence[StoredSchedule], now: datetime
) -> Mapping[ScheduleId, Standing]:
    """Return how schedules stand; what they began and has long ended is left out from now on."""
    ids = [stored.id for stored in due]
    going: dict[ScheduleId, list[asyncpg.Record]] = defaultdict(list)
    for row in await lent.fetch(OPEN, ids):
        going[ScheduleId(row["schedule_id"])].append(row)
    await _forget_ended(lent, [row for rows in going.values() for row in rows], now)
    heard: dict[ScheduleId, list[Instant]] = defaultdict(list)
    waits = [stored.id for stored in due if stored.schedule.topic(stored.system)]
    for row in await lent.fetch(HEARD, waits, HEARD_MAX) if waits else ():
        heard[ScheduleId(row["schedule_id"])].append(heard_instant(row))
    return {
        stored.id: Standing(
            schedule=stored.schedule,
            seed=stored.seed,
            next=stored.next_due,
            heard=tuple(heard[stored.id]),
            busy=any(map(_is_busy, going[stored.id])),
            spans=tuple(
                Span(since=row["requested_at"], until=row["ended_at"])
                for row in going[stored.id]
                if row["requested_at"] is not None
            ),
            runs=stored.runs,
        )
        for stored in due
    }


async def ruled(
    lent: Connection,
    rulings: Sequence[tuple[ScheduleId, Ruling]],
    identities: Identities,
    *,
    now: datetime,
) -> Sequence[Firing]:
    """Keep what was ruled, but for what was ruled before; return the firings that were kept."""
    if not rulings:
        return []
    runs = [each.skip is None for _, each in rulings]
    rows = await lent.fetch(
        RULE,
        [schedule for schedule, _ in rulings],
        [each.instant.due for _, each in rulings],
        [each.instant.cause for _, each in rulings],
        [FiringState.DUE if run else FiringState.SKIPPED for run in runs],
        [ExecutionId(identities.new()) if run else None for run in runs],
        now,
        [each.why for _, each in rulings],
    )
    return [firing(row) for row in rows]


async def _forget_ended(lent: Connection, rows: Sequence[asyncpg.Record], now: datetime) -> None:
    past = [row for row in rows if _is_past(row, now)]
    if past:
        keys = [[row[name] for row in past] for name in ("schedule_id", "due_at", "cause")]
        await lent.execute(ENDED, *keys)


async def _advance(
    lent: Connection,
    looks: Mapping[ScheduleId, Look],
    begun: Counter[ScheduleId],
    *,
    now: datetime,
) -> None:
    if over := [schedule for schedule, made in looks.items() if made.over]:
        await lent.execute(FORGET_HEARD, over)
    nexts = [made.next for made in looks.values()]
    await lent.execute(
        ADVANCE,
        list(looks),
        [None if upcoming is None else upcoming.due for upcoming in nexts],
        [None if upcoming is None else upcoming.moment for upcoming in nexts],
        [made.over for made in looks.values()],
        [begun[schedule] for schedule in looks],
        now,
    )


def _is_busy(row: asyncpg.Record) -> bool:
    begun = row["status"] is not None and row["status"] != Status.FINISHED
    return bool(begun or row["state"] == FiringState.DUE)


def _is_past(row: asyncpg.Record, now: datetime) -> bool:
    if row["state"] != FiringState.STARTED:
        return False
    gone = row["status"] is None
    return gone or (row["ended_at"] is not None and row["ended_at"] < now - REMEMBERED)
