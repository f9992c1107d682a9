"""What has happened and was not heard of yet, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import asyncpg

from test_coordination.adapters.codec import decode_facts
from test_coordination.adapters.postgres.pool import (
    Connection,
    Pool,
    connection,
    jsonb,
    transaction,
)
from test_coordination.adapters.postgres.schedule_rows import FORMAT, stored_schedule
from test_coordination.application.timetable import Matches, Occurrence, Sighting, StoredSchedule
from test_coordination.domain.values import ScheduleId, ServiceName

# What the clock of somebody else puts into the time to come has happened now.
PUT: Final = """
    INSERT INTO occurrence (topic, cause, at, data)
    SELECT topic, cause, least(at, now()), data
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::jsonb[])
        AS put (topic, cause, at, data)
    ON CONFLICT (cause) DO NOTHING
"""
# What a schedule waits for that only a later version of this program understands is left to it.
HEARD: Final = """
    SELECT *
    FROM occurrence
    WHERE NOT EXISTS (
        SELECT FROM schedule WHERE topic = occurrence.topic AND topic <> '' AND format > $2
    )
    ORDER BY id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
"""
# Locked in the order of their identities, so that no two that hear at once wait for each other.
WAITING: Final = """
    SELECT *
    FROM schedule
    WHERE topic = ANY ($1) AND topic <> '' AND paused_at IS NULL AND over_at IS NULL
    ORDER BY id
    FOR NO KEY UPDATE
"""
TELL: Final = """
    INSERT INTO schedule_firing (schedule_id, due_at, cause, state)
    SELECT schedule_id, due_at, cause, 'heard'
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS told (schedule_id, due_at, cause)
    ON CONFLICT (schedule_id, due_at, cause) DO NOTHING
"""
WAKE: Final = """
    UPDATE schedule
    SET next_moment = (
        SELECT min(due_at) FROM schedule_firing WHERE schedule_id = id AND state = 'heard'
    )
    WHERE id = ANY ($1)
"""
GONE: Final = "DELETE FROM occurrence WHERE id = ANY ($1)"
POSITION: Final = "SELECT position FROM event_position WHERE source = $1"
# Of two who have read the same, the second one finds another position than it began with.
MOVE_ON: Final = """
    INSERT INTO event_position (source, position) VALUES ($1, $3)
    ON CONFLICT (source) DO UPDATE SET position = excluded.position
    WHERE event_position.position = $2
    RETURNING source
"""
WATCHED: Final = """
    SELECT DISTINCT trigger ->> 'service' AS service
    FROM schedule
    WHERE kind = 'change' AND system = $1 AND topic <> '' AND over_at IS NULL
    ORDER BY service
"""
SEEN: Final = """
    SELECT *
    FROM service_sighting
    WHERE system = $1 AND place = ANY ($2) AND service = ANY ($3)
    ORDER BY place, service
    FOR NO KEY UPDATE
"""
SEE_FIRST: Final = """
    INSERT INTO service_sighting (system, place, service, mark, build, started_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (system, place, service) DO NOTHING
"""
SEE_AGAIN: Final = """
    UPDATE service_sighting
    SET mark = $4, build = $5, started_at = $6
    WHERE system = $1 AND place = $2 AND service = $3
"""


class PostgresInbox:
    """An `Inbox` that keeps each occurrence as a row until it was heard of."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, occurrence: Occurrence) -> None:
        """See `Inbox.put`."""
        async with connection(self._pool, doing="keeping what has happened") as lent:
            await _put(lent, [occurrence])

    async def hear(self, matches: Matches, *, limit: int) -> int:
        """See `Inbox.hear`."""
        async with transaction(self._pool, doing="telling schedules what has happened") as lent:
            rows = await lent.fetch(HEARD, limit, FORMAT)
            if not rows:
                return 0
            waiting = await lent.fetch(WAITING, list({row["topic"] for row in rows}))
            told = list(_told(map(stored_schedule, waiting), map(_occurrence, rows), matches))
            if told:
                await lent.execute(TELL, *map(list, zip(*told, strict=True)))
                await lent.execute(WAKE, list({schedule for schedule, _, _ in told}))
            await lent.execute(GONE, [row["id"] for row in rows])
        return len(rows)

    async def position(self, source: str) -> str:
        """See `Inbox.position`."""
        async with connection(self._pool, doing="asking how far a stream was read") as lent:
            found: str | None = await lent.fetchval(POSITION, source)
        return found or ""

    async def receive(
        self, source: str, occurrences: Sequence[Occurrence], *, after: str, upto: str
    ) -> bool:
        """See `Inbox.receive`."""
        async with transaction(self._pool, doing="keeping what was read of a stream") as lent:
            if await lent.fetchval(MOVE_ON, source, after, upto) is None:
                return False
            await _put(lent, occurrences)
        return True

    async def watched(self, system: str) -> Sequence[ServiceName]:
        """See `Inbox.watched`."""
        async with connection(self._pool, doing="asking which services are watched") as lent:
            return [ServiceName(row["service"]) for row in await lent.fetch(WATCHED, system)]

    async def see(self, system: str, sightings: Sequence[Sighting]) -> None:
        """See `Inbox.see`."""
        async with transaction(self._pool, doing="keeping how services run") as lent:
            known = await _known(lent, system, sightings)
            changes: list[Occurrence] = []
            for sighting in sightings:
                before = known.get((sighting.place, sighting.service))
                if before is None:
                    await lent.execute(SEE_FIRST, system, *_columns(sighting))
                elif sighting.started_at > before.started_at and sighting.mark != before.mark:
                    await lent.execute(SEE_AGAIN, system, *_columns(sighting))
                    changes.append(sighting.after(before, system))
            await _put(lent, changes)


def _told(
    waiting: Iterable[StoredSchedule], occurrences: Iterable[Occurrence], matches: Matches
) -> Iterable[tuple[ScheduleId, object, str]]:
    """Yield which schedule hears of what, as columns."""
    happened = list(occurrences)
    for stored in waiting:
        topic = stored.schedule.topic(stored.system)
        for each in happened:
            if each.topic == topic and stored.created_at <= each.at and matches(stored, each):
                yield stored.id, each.at, each.cause


async def _put(lent: Connection, occurrences: Sequence[Occurrence]) -> None:
    if occurrences:
        await lent.execute(
            PUT,
            [each.topic for each in occurrences],
            [each.cause for each in occurrences],
            [each.at for each in occurrences],
            [jsonb(each.data) for each in occurrences],
        )


async def _known(
    lent: Connection, system: str, sightings: Sequence[Sighting]
) -> Mapping[tuple[str, ServiceName], Sighting]:
    rows = await lent.fetch(
        SEEN,
        system,
        [sighting.place for sighting in sightings],
        [sighting.service for sighting in sightings],
    )
    return {(row["place"], ServiceName(row["service"])): _sighting(row) for row in rows}


def _occurrence(row: asyncpg.Record) -> Occurrence:
    return Occurrence(
        topic=row["topic"], cause=row["cause"], at=row["at"], data=decode_facts(row["data"])
    )


def _sighting(row: asyncpg.Record) -> Sighting:
    return Sighting(
        service=ServiceName(row["service"]),
        place=row["place"],
        mark=row["mark"],
        build=row["build"],
        started_at=row["started_at"],
    )


def _columns(sighting: Sighting) -> tuple[object, ...]:
    return (
        sighting.place,
        sighting.service,
        sighting.mark,
        sighting.build,
        sighting.started_at,
    )
