"""The lanes in which executions wait, and what they are ranked by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final
from uuid import UUID, uuid5

from test_coordination.adapters.codec import decode_claims, encode
from test_coordination.adapters.postgres.pool import Connection
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.admission import (
    Applicant,
    Claim,
    ClaimKind,
    Lane,
    Standing,
    claimed,
)
from test_coordination.domain.values import ExecutionId

_LANES: Final = UUID("8c0f5c3e-6f0e-4a1c-9a52-6a1d6c1f4b11")

# From the first lane to the next one and the next, each by a look into the index: as long as there
# are few lanes, it is no matter how many wait in them.
HEADS: Final = """
    WITH RECURSIVE head AS (
        (SELECT lane FROM waiting_execution ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT following.lane
        FROM head
        CROSS JOIN LATERAL (
            SELECT lane FROM waiting_execution WHERE lane > head.lane ORDER BY lane LIMIT 1
        ) AS following
    )
    SELECT
        head.lane, first.requested_by, first.priority, first.claims, first.execution_id,
        first.since, lane_turn.at AS turn_at,
        (
            SELECT execution_id
            FROM waiting_execution
            WHERE lane = head.lane AND execution_id > first.execution_id
            ORDER BY execution_id
            LIMIT 1
        ) IS NOT NULL AS more
    FROM head
    CROSS JOIN LATERAL (
        SELECT *
        FROM waiting_execution
        WHERE lane = head.lane
        ORDER BY execution_id
        LIMIT 1
    ) AS first
    LEFT JOIN lane_turn ON lane_turn.lane = head.lane
    WHERE NOT first.detached OR $1 AND EXISTS (
        SELECT FROM execution
        JOIN worker ON covers(offers, requires)
            AND NOT draining AND lease_ends > clock_timestamp()
        WHERE execution.id = first.execution_id
    )
"""
MEMBERS: Final = """
    SELECT wanted.lane, member.execution_id, member.since, execution.scenario_name
    FROM unnest($1::uuid[]) AS wanted (lane)
    CROSS JOIN LATERAL (
        SELECT execution_id, since
        FROM waiting_execution
        WHERE lane = wanted.lane
        ORDER BY execution_id
        LIMIT $2
    ) AS member
    JOIN execution ON execution.id = member.execution_id
    ORDER BY wanted.lane, member.execution_id
"""
HELD: Final = """
    SELECT system, kind, name, sum(slots)::integer AS slots
    FROM claim
    WHERE (system, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    GROUP BY system, kind, name
"""
REQUESTERS: Final = """
    SELECT
        wanted.name,
        (SELECT count(*) FROM admission WHERE requested_by = wanted.name)::integer AS running,
        (SELECT max(at) FROM lane_turn WHERE requested_by = wanted.name) AS turn_at,
        statement_timestamp() AS now
    FROM unnest($1::text[]) AS wanted (name)
"""


def claims_of(record: ExecutionRecord) -> tuple[Claim, ...]:
    """Return what an execution claims."""
    return claimed(record.plan.claims, system=record.plan.topology)


def lane_of(record: ExecutionRecord) -> UUID:
    """Return the lane in which an execution waits; every program makes the same of it."""
    needed = sorted(record.requires) if record.detached else None
    said = encode((record.requested_by, record.priority, needed, claims_of(record)))
    return uuid5(_LANES, said.decode())


async def lanes_to_admit(lent: Connection, *, detached: bool, most: int) -> Mapping[UUID, Lane]:
    """Return every lane with those of it that could be let in together, at most so many.

    Those that claim something for themselves alone can only be let in one by one.
    """
    found = await _heads(lent, detached=detached)
    wide = {key: lane for key, lane in found.items() if lane.more and not _is_narrow(lane)}
    narrow = {key: replace(lane, more=False) for key, lane in found.items() if key not in wide}
    return {**narrow, **await _filled(lent, wide, most=most)}


async def all_lanes(lent: Connection, *, most: int) -> Mapping[UUID, Lane]:
    """Return every lane with at most so many of those that wait in it."""
    return await _filled(lent, await _heads(lent, detached=True), most=most)


async def standing(lent: Connection, lanes: Iterable[Lane]) -> tuple[Standing, datetime]:
    """Return what ``lanes`` are ranked by, what is held of that which they claim, and the time.

    There must be a lane.
    """
    requesters, things = set[str](), set[tuple[str, str]]()
    for lane in lanes:
        requesters.add(lane.requested_by)
        things.update((claim.system, claim.name) for claim in lane.claims)
    ranks = await lent.fetch(REQUESTERS, list(requesters))
    systems, names = zip(*things, strict=True) if things else ((), ())
    found = Standing(
        held=[
            Claim(
                system=row["system"],
                kind=ClaimKind(row["kind"]),
                name=row["name"],
                slots=row["slots"],
            )
            for row in (await lent.fetch(HELD, systems, names) if things else ())
        ],
        running={row["name"]: row["running"] for row in ranks},
        turns={row["name"]: row["turn_at"] for row in ranks if row["turn_at"] is not None},
    )
    return found, ranks[0]["now"]


def _is_narrow(lane: Lane) -> bool:
    return any(claim.kind is ClaimKind.EXCLUSIVE for claim in lane.claims)


async def _heads(lent: Connection, *, detached: bool) -> Mapping[UUID, Lane]:
    return {
        row["lane"]: Lane(
            requested_by=row["requested_by"],
            priority=row["priority"],
            claims=decode_claims(row["claims"]),
            applicants=[Applicant(id=ExecutionId(row["execution_id"]), since=row["since"])],
            turn_at=row["turn_at"],
            more=row["more"],
        )
        for row in await lent.fetch(HEADS, detached)
    }


async def _filled(
    lent: Connection, lanes: Mapping[UUID, Lane], *, most: int
) -> Mapping[UUID, Lane]:
    if not lanes:
        return {}
    filled = dict[UUID, Lane]()
    rows = await lent.fetch(MEMBERS, list(lanes), most)
    for key, members in groupby(rows, key=itemgetter("lane")):
        applicants = [
            Applicant(
                id=ExecutionId(row["execution_id"]),
                since=row["since"],
                scenario=row["scenario_name"],
            )
            for row in members
        ]
        filled[key] = replace(lanes[key], applicants=applicants, more=len(applicants) == most)
    return filled
