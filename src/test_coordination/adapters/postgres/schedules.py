"""Schedules and their firings in PostgreSQL, by its own clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from test_coordination.adapters.postgres.looking import look_at, ruled, standings
from test_coordination.adapters.postgres.pool import Connection, Pool, connection, transaction
from test_coordination.adapters.postgres.schedule_rows import (
    FORMAT,
    firing,
    schedule_columns,
    stored_schedule,
)
from test_coordination.application.ports import Identities, NotFoundError
from test_coordination.application.timetable import (
    Decide,
    Errand,
    Firing,
    FiringState,
    ScheduleExistsError,
    StoredSchedule,
)
from test_coordination.domain.execution import Status
from test_coordination.domain.schedule import KEPT, Overlap
from test_coordination.domain.values import ExecutionId, ScheduleId

LOOKED_AT: Final = 100
"""Of how many schedules old firings are looked for at a time."""
FORGOTTEN_MAX: Final = 1_000
"""How many firings are forgotten at a time."""

NOW: Final = "SELECT clock_timestamp()"
# Each part is one probe of an index; the first that finds something ends it.
STIRS: Final = """
    SELECT EXISTS (SELECT FROM occurrence)
        OR EXISTS (
            SELECT FROM schedule
            WHERE system = $1 AND next_moment <= now() AND paused_at IS NULL AND over_at IS NULL
                AND format <= $2
        )
        OR EXISTS (
            SELECT FROM schedule_firing AS f JOIN schedule AS s ON s.id = f.schedule_id
            WHERE f.state = 'due' AND f.taken_until <= now() AND s.system = $1 AND s.format <= $2
        )
"""
ADD: Final = """
    INSERT INTO schedule (
        id, name, scenario, version, parameters, format, kind, trigger, rules, system, topic, seed,
        created_at, created_by, paused_at, paused_because, over_at, next_due, next_moment, runs
    )
    VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
    )
    ON CONFLICT (id) DO NOTHING
"""
GET: Final = "SELECT * FROM schedule WHERE name = $1"
LOCK: Final = "SELECT *, now() AS looked_at FROM schedule WHERE name = $1 FOR NO KEY UPDATE"
LIST: Final = """
    SELECT * FROM schedule WHERE name COLLATE "C" > $1 ORDER BY name COLLATE "C" LIMIT $2
"""
CHANGE: Final = """
    UPDATE schedule
    SET paused_at = $2, paused_because = $3, over_at = $4, next_due = $5, next_moment = $6
    WHERE id = $1
    RETURNING *
"""
FORGET_HEARD: Final = """
    DELETE FROM schedule_firing WHERE schedule_id = $1 AND state = 'heard'
"""
DELETE: Final = "DELETE FROM schedule WHERE name = $1 RETURNING id"
# Those that nobody is at come first, and the rest in the order in which they become free.
TAKE: Final = """
    WITH free AS MATERIALIZED (
        SELECT f.schedule_id, f.due_at, f.cause
        FROM schedule_firing AS f
        JOIN schedule AS s ON s.id = f.schedule_id
        WHERE f.state = 'due' AND f.taken_until <= now() AND s.system = $1 AND s.format <= $4
        ORDER BY f.taken_until, f.due_at
        LIMIT $2
        FOR NO KEY UPDATE OF f SKIP LOCKED
    )
    UPDATE schedule_firing AS f
    SET taken_until = now() + $3::interval
    FROM free
    JOIN schedule AS s ON s.id = free.schedule_id
    WHERE f.schedule_id = free.schedule_id AND f.due_at = free.due_at AND f.cause = free.cause
    RETURNING s.*, f.schedule_id, f.due_at, f.cause, f.state, f.execution_id, f.decided_at, f.why,
        now() - f.decided_at AS waited, NULL AS status, NULL AS verdict
"""
OTHERS: Final = """
    SELECT f.schedule_id, f.due_at, f.cause, f.state, f.execution_id, e.status
    FROM schedule_firing AS f
    LEFT JOIN execution AS e ON e.id = f.execution_id
    WHERE f.schedule_id = ANY ($1) AND f.state IN ('due', 'started')
"""
SETTLE: Final = """
    UPDATE schedule_firing
    SET state = $4, why = $5, taken_until = coalesce(now() + $6::interval, '-infinity')
    WHERE schedule_id = $1 AND due_at = $2 AND cause = $3 AND (state = 'due' OR $4 = 'started')
"""
FIRINGS: Final = """
    SELECT f.*, e.status, e.verdict
    FROM schedule_firing AS f
    LEFT JOIN execution AS e ON e.id = f.execution_id
    WHERE f.schedule_id = $1 AND ($3::timestamptz IS NULL OR f.due_at < $3)
    ORDER BY f.due_at DESC, f.cause DESC
    LIMIT $2
"""
# What has not been settled is never forgotten, however old it is: it may have to be begun yet. Each
# schedule is a look into the index; so few at a time keep nobody waiting.
PRUNE: Final = """
    WITH portion AS (
        SELECT id FROM schedule WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2
    ),
    doomed AS (
        SELECT old.schedule_id, old.due_at, old.cause
        FROM portion
        LEFT JOIN LATERAL (
            SELECT due_at FROM schedule_firing
            WHERE schedule_id = portion.id
            ORDER BY due_at DESC
            OFFSET $4 LIMIT 1
        ) AS first_over ON true
        JOIN schedule_firing AS old ON old.schedule_id = portion.id
            AND old.due_at <= least(
                greatest(first_over.due_at, now() - $5::interval), now() - $6::interval
            )
            AND old.decided_at <= now() - $6::interval
        WHERE state IN ('ended', 'skipped', 'failed')
        LIMIT $3
    ),
    gone AS (
        DELETE FROM schedule_firing AS f
        USING doomed
        WHERE f.schedule_id = doomed.schedule_id AND f.due_at = doomed.due_at
            AND f.cause = doomed.cause AND state IN ('ended', 'skipped', 'failed')
    )
    SELECT id FROM portion ORDER BY id DESC LIMIT 1
"""


class PostgresTimetable:
    """A `Timetable` that keeps each schedule, and each run that one asked for, as a row."""

    def __init__(self, pool: Pool, identities: Identities) -> None:
        """Draw the executions that are to be begun from ``identities``."""
        self._pool = pool
        self._identities = identities

    async def now(self) -> datetime:
        """See `Timetable.now`."""
        async with connection(self._pool, doing="asking for the time") as lent:
            now: datetime = await lent.fetchval(NOW)
        return now

    async def stirs(self, system: str) -> bool:
        """See `Timetable.stirs`."""
        async with connection(self._pool, doing="looking for what is due") as lent:
            return bool(await lent.fetchval(STIRS, system, FORMAT))

    async def add(self, schedule: StoredSchedule) -> None:
        """See `Timetable.add`."""
        async with connection(self._pool, doing="storing a schedule") as lent:
            try:
                await lent.execute(ADD, *schedule_columns(schedule))
            except asyncpg.UniqueViolationError as error:
                raise ScheduleExistsError(name=schedule.name) from error

    async def get(self, name: str) -> StoredSchedule:
        """See `Timetable.get`."""
        async with connection(self._pool, doing="reading a schedule") as lent:
            return stored_schedule(await _row(lent, GET, name))

    async def list(self, *, limit: int, after: str = "") -> Sequence[StoredSchedule]:
        """See `Timetable.list`."""
        async with connection(self._pool, doing="listing schedules") as lent:
            return [stored_schedule(row) for row in await lent.fetch(LIST, after, limit)]

    async def change(
        self, name: str, change: Callable[[StoredSchedule, datetime], StoredSchedule]
    ) -> StoredSchedule:
        """See `Timetable.change`."""
        async with transaction(self._pool, doing="changing a schedule") as lent:
            row = await _row(lent, LOCK, name)
            made = change(stored_schedule(row), row["looked_at"])
            if made.paused_at is not None:
                await lent.execute(FORGET_HEARD, made.id)
            kept = await lent.fetchrow(
                CHANGE,
                made.id,
                made.paused_at,
                made.paused_because,
                made.over_at,
                made.next_due,
                made.next_moment,
            )
            assert kept is not None, "the row is locked"
        return stored_schedule(kept)

    async def delete(self, name: str) -> None:
        """See `Timetable.delete`."""
        async with connection(self._pool, doing="deleting a schedule") as lent:
            await _row(lent, DELETE, name)

    async def look(self, decide: Decide, *, system: str, limit: int) -> int:
        """See `Timetable.look`."""
        async with transaction(self._pool, doing="looking at what is due") as lent:
            return await look_at(lent, decide, self._identities, system=system, limit=limit)

    async def fire(self, name: str, decide: Decide) -> Firing:
        """See `Timetable.fire`."""
        async with transaction(self._pool, doing="firing a schedule") as lent:
            row = await _row(lent, LOCK, name)
            stored, now = stored_schedule(row), row["looked_at"]
            (standing,) = (await standings(lent, [stored], now)).values()
            (ruling,) = decide(standing, now).rulings
            (kept,) = await ruled(lent, [(stored.id, ruling)], self._identities, now=now)
        return kept

    async def take(self, *, system: str, limit: int, lease: timedelta) -> Sequence[Errand]:
        """See `Timetable.take`."""
        async with transaction(self._pool, doing="taking what is due") as lent:
            rows = await lent.fetch(TAKE, system, limit, lease, FORMAT)
            taken = [(stored_schedule(row), firing(row), row["waited"]) for row in rows]
            replacing = {
                stored.id
                for stored, _, _ in taken
                if stored.schedule.rules.overlap is Overlap.REPLACE
            }
            others = await _others(lent, replacing) if replacing else {}
        taken.sort(key=lambda each: (each[1].due, each[1].cause))
        return [
            _errand(stored, each, waited, others.get(stored.id, ()))
            for stored, each, waited in taken
        ]

    async def settle(
        self, errand: Errand, state: FiringState, *, why: str = "", again: timedelta | None = None
    ) -> None:
        """See `Timetable.settle`."""
        key = errand.schedule.id, errand.firing.due, errand.firing.cause
        async with connection(self._pool, doing="noting what became of a firing") as lent:
            await lent.execute(SETTLE, *key, state, why, again)

    async def firings(
        self, name: str, *, limit: int, before: datetime | None = None
    ) -> Sequence[Firing]:
        """See `Timetable.firings`."""
        async with connection(self._pool, doing="listing firings") as lent:
            row = await _row(lent, GET, name)
            return [firing(each) for each in await lent.fetch(FIRINGS, row["id"], limit, before)]

    async def prune(self, after: ScheduleId | None) -> ScheduleId | None:
        """See `Timetable.prune`."""
        given = (LOOKED_AT, FORGOTTEN_MAX, KEPT.firings, KEPT.most, KEPT.least)
        async with connection(self._pool, doing="forgetting old firings") as lent:
            last = await lent.fetchval(PRUNE, after, *given)
        return None if last is None else ScheduleId(last)


async def _row(lent: Connection, query: str, name: str) -> asyncpg.Record:
    row = await lent.fetchrow(query, name)
    if row is None:
        raise NotFoundError(kind="schedule", identity=name)
    return row


async def _others(
    lent: Connection, schedules: set[ScheduleId]
) -> Mapping[ScheduleId, Sequence[asyncpg.Record]]:
    found: dict[ScheduleId, list[asyncpg.Record]] = defaultdict(list)
    for row in await lent.fetch(OTHERS, list(schedules)):
        found[ScheduleId(row["schedule_id"])].append(row)
    return found


def _errand(  # noqa: PLR0917  four types, of which none can be taken for another
    stored: StoredSchedule, taken: Firing, waited: timedelta, others: Sequence[asyncpg.Record]
) -> Errand:
    assert taken.execution is not None, "it is due"
    key = taken.due, taken.cause
    older = [row for row in others if (row["due_at"], row["cause"]) < key and _goes_on(row)]
    return Errand(
        firing=taken,
        schedule=stored,
        execution=taken.execution,
        waited=waited,
        older=tuple(ExecutionId(row["execution_id"]) for row in older),
        outdated=any((row["due_at"], row["cause"]) > key for row in others),
    )


def _goes_on(row: asyncpg.Record) -> bool:
    """Tell whether an execution may be begun yet, or is under way."""
    begun = row["status"] is not None and row["status"] != Status.FINISHED
    return bool(begun or row["state"] == FiringState.DUE)
