"""The queue of executions in PostgreSQL: one transaction lets in all that can be."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, TypeAlias

import asyncpg

from test_coordination.adapters.postgres.lanes import all_lanes, lanes_to_admit, standing
from test_coordination.adapters.postgres.pool import (
    SCHEMA,
    Connection,
    Pool,
    connection,
    transaction,
)
from test_coordination.application.fleet import NOBODY, Job, Waiting
from test_coordination.application.routing import lacking
from test_coordination.domain.admission import (
    Claim,
    ClaimKind,
    Holding,
    Lane,
    Place,
    Register,
    Turn,
    choose,
    places,
)
from test_coordination.domain.values import ExecutionId

AT_A_TIME: Final = 500
"""How many of a lane are let in at most before all are ranked again."""
TURNS_KEPT: Final = timedelta(days=1)

# Any number will do that nobody else in this database uses.
_KEY: Final = hashlib.sha256(f"{SCHEMA} admission".encode()).digest()[:8]
LOCK: Final = int.from_bytes(_KEY, "big", signed=True)
TAKE_TURN: Final = "SELECT pg_advisory_xact_lock($1)"
IS_ANYBODY_WAITING: Final = "SELECT EXISTS (SELECT FROM waiting_execution)"

# Executions are locked in the order of their identities, as whoever appends to several logs locks
# them, and only then taken out of the queue: nobody waits for each other. One that has ended while
# we chose was taken out by whoever ended it, and nothing is done with it here.
LET_IN: Final = """
    WITH turn AS (
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS turn (id, at)
    ),
    locked AS MATERIALIZED (
        SELECT id FROM execution WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
    ),
    gone AS (
        DELETE FROM waiting_execution
        USING locked JOIN turn USING (id)
        WHERE execution_id = locked.id
        RETURNING execution_id, lane, requested_by, turn.at
    ),
    admitted AS (
        UPDATE execution
        SET admitted_at = gone.at
        FROM gone
        WHERE execution.id = gone.execution_id
        RETURNING execution.id, execution.priority, execution.requires, execution.detached
    ),
    holder AS (
        INSERT INTO admission (execution_id, requested_by, at)
        SELECT execution_id, requested_by, at FROM gone
    ),
    held AS (
        INSERT INTO claim (execution_id, system, kind, name, slots)
        SELECT claimed.*
        FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::integer[])
            AS claimed (execution_id, system, kind, name, slots)
        JOIN gone USING (execution_id)
    ),
    turned AS (
        INSERT INTO lane_turn (lane, requested_by, at)
        SELECT lane, requested_by, max(at) FROM gone GROUP BY lane, requested_by
        ON CONFLICT (lane) DO UPDATE SET at = excluded.at
    ),
    forgotten AS (
        DELETE FROM lane_turn
        WHERE requested_by IN (SELECT requested_by FROM gone)
            AND at < $8
            AND lane NOT IN (SELECT lane FROM gone)
    )
    SELECT id, priority, requires, detached FROM admitted
"""

STILL_WAITING: Final = "SELECT execution_id FROM waiting_execution WHERE execution_id = ANY ($1)"
# What was taken once may have been given back: the last word of that is near the log's end.
READY: Final = """
    SELECT execution.id, scenario_name, execution.requested_by, priority, detached, requires,
        admitted_at, requested_at AS since,
        CASE WHEN log_end > 0 THEN (
            SELECT body ->> 'reason'
            FROM execution_event
            WHERE execution_event.execution_id = execution.id AND kind = 'ExecutionReleased'
            ORDER BY position DESC
            LIMIT 1
        ) END AS released
    FROM admission
    JOIN execution ON execution.id = execution_id
    WHERE status = 'pending' OR status = 'running' AND worker = $2
    ORDER BY at, execution_id
    LIMIT $1
"""
SHOWN: Final = """
    SELECT id, scenario_name, requested_by, priority, detached, requires, admitted_at
    FROM execution
    WHERE id = ANY ($1)
"""
OFFERS: Final = """
    SELECT offers FROM worker
    WHERE offers IS NOT NULL AND NOT draining AND lease_ends > clock_timestamp()
"""
# Those of them are in no lane that is looked at, see `lanes.HEADS`.
STRANDED: Final = """
    SELECT execution.id, scenario_name, waiting.requested_by, waiting.priority, waiting.detached,
        requires, admitted_at, waiting.since
    FROM waiting_execution AS waiting
    JOIN execution ON execution.id = execution_id
    WHERE waiting.detached AND NOT EXISTS (
        SELECT FROM worker
        WHERE covers(offers, requires)
            AND NOT draining AND lease_ends > clock_timestamp()
    )
    ORDER BY execution_id
    LIMIT $1
"""
HOLDINGS: Final = """
    SELECT claim.*, execution.scenario_name, execution.status, admission.at
    FROM claim
    JOIN admission USING (execution_id)
    JOIN execution ON execution.id = execution_id
    WHERE (claim.system, claim.name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    ORDER BY admission.at, execution_id
"""


Enqueue: TypeAlias = Callable[[Connection, Sequence[Job]], Awaitable[None]]
"""Gives executions to the dispatch, in the transaction that the connection is in."""


class PostgresQueue:
    """A `Queue` that keeps what waits and what is held as rows.

    Detached executions are given to ``enqueue``; without it they wait for a program that has it.
    """

    def __init__(self, pool: Pool, *, enqueue: Enqueue | None = None) -> None:
        self._pool = pool
        self._enqueue = enqueue

    async def admit(self) -> Sequence[ExecutionId]:
        """See `Queue.admit`."""
        async with connection(self._pool, doing="looking into the queue") as lent:
            if not await lent.fetchval(IS_ANYBODY_WAITING):
                return []
        admitted: list[ExecutionId] = []
        cut = True
        while cut:
            async with transaction(self._pool, doing="letting executions in") as lent:
                some, cut = await self._admit(lent)
            admitted += some
        return admitted

    async def _admit(self, lent: Connection) -> tuple[Sequence[ExecutionId], bool]:
        """Return who was let in, and whether more can be behind them in a lane that was cut."""
        await lent.execute(TAKE_TURN, LOCK)
        detached = self._enqueue is not None
        lanes = (await lanes_to_admit(lent, detached=detached, most=AT_A_TIME)).values()
        if not lanes:
            return (), False
        held, now = await standing(lent, lanes)
        chosen = choose(list(lanes), held, now=now)
        if not chosen:
            return (), False
        rows = {row["id"]: row for row in await _let_in(lent, chosen, now)}
        admitted = [turn.applicant.id for turn in chosen if turn.applicant.id in rows]
        ready = [_job(rows[each]) for each in admitted if rows[each]["detached"]]
        if self._enqueue is not None and ready:
            await self._enqueue(lent, ready)
        last = chosen[-1]
        return admitted, last.lane.more and last.applicant is last.lane.applicants[-1]

    async def admitted(self, executions: Collection[ExecutionId]) -> frozenset[ExecutionId]:
        """See `Queue.admitted`."""
        async with connection(self._pool, doing="looking into the queue") as lent:
            rows = await lent.fetch(STILL_WAITING, list(executions))
        return frozenset(executions).difference(row["execution_id"] for row in rows)

    async def waiting(self, *, limit: int) -> Sequence[Waiting]:
        """See `Queue.waiting`."""
        async with transaction(self._pool, doing="looking into the queue") as lent:
            offers = [frozenset(row["offers"]) for row in await lent.fetch(OFFERS)]
            ready = [_waiting(row, row["since"]) for row in await lent.fetch(READY, limit, NOBODY)]
            queued = await _places(lent, limit=limit - len(ready))
            rows = await lent.fetch(SHOWN, [place.turn.applicant.id for place in queued])
            left = limit - len(ready) - len(queued)
            stranded = [_waiting(row, row["since"]) for row in await lent.fetch(STRANDED, left)]
        shown = {row["id"]: row for row in rows}
        for place in queued:
            applicant = place.turn.applicant
            ready.append(_waiting(shown[applicant.id], applicant.since, place))
        return [_explained(each, offers) for each in (*ready, *stranded)]


def _explained(waiting: Waiting, offers: Sequence[frozenset[str]]) -> Waiting:
    """Return ``waiting`` with why no worker can carry it out, if it needs one that can."""
    if not waiting.detached:
        return waiting
    return replace(waiting, lacks=lacking(waiting.requires, offers))


async def _let_in(
    lent: Connection, turns: Sequence[Turn], now: datetime
) -> Sequence[asyncpg.Record]:
    claimed = [(turn.applicant.id, claim) for turn in turns for claim in turn.lane.claims]
    return await lent.fetch(
        LET_IN,
        [turn.applicant.id for turn in turns],
        [turn.at for turn in turns],
        [execution for execution, _ in claimed],
        [claim.system for _, claim in claimed],
        [claim.kind for _, claim in claimed],
        [claim.name for _, claim in claimed],
        [claim.slots for _, claim in claimed],
        now - TURNS_KEPT,
    )


async def _places(lent: Connection, *, limit: int) -> Sequence[Place]:
    lanes = (await all_lanes(lent, most=limit)).values()
    if not lanes:
        return ()
    register = Register(await _holdings(lent, lanes))
    held, now = await standing(lent, lanes)
    return [*islice(places(lanes, held, register, now=now), limit)]


async def _holdings(lent: Connection, lanes: Collection[Lane]) -> Sequence[Holding]:
    things = {(claim.system, claim.name) for lane in lanes for claim in lane.claims}
    systems, names = [system for system, _ in things], [name for _, name in things]
    return [
        Holding(
            claim=Claim(
                system=row["system"],
                kind=ClaimKind(row["kind"]),
                name=row["name"],
                slots=row["slots"],
            ),
            by=ExecutionId(row["execution_id"]),
            scenario=row["scenario_name"],
            since=row["at"],
            residue=row["status"] == "finished",
        )
        for row in await lent.fetch(HOLDINGS, systems, names)
    ]


def _job(row: asyncpg.Record) -> Job:
    return Job(
        execution=ExecutionId(row["id"]),
        priority=row["priority"],
        requires=frozenset(row["requires"]),
    )


def _waiting(row: asyncpg.Record, since: datetime, place: Place | None = None) -> Waiting:
    return Waiting(
        execution=ExecutionId(row["id"]),
        scenario=row["scenario_name"],
        requested_by=row["requested_by"],
        priority=row["priority"],
        since=since,
        place=0 if place is None else place.number,
        detached=row["detached"],
        requires=frozenset(row["requires"]),
        admitted_at=row["admitted_at"],
        obstacles=() if place is None else place.obstacles,
        released=row.get("released") or "",
    )
