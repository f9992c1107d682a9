"""Scenarios in PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import asyncpg

from test_coordination.adapters.postgres.pool import Pool, connection, transaction
from test_coordination.application.ports import NotFoundError, StoredScenario
from test_coordination.domain.values import ScenarioId

# The update that changes nothing is there for its lock: whoever stores under the same name
# waits here, and then sees what we have made the newest version.
ENTER: Final = """
    INSERT INTO scenario (name) VALUES ($1)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name
    RETURNING newest
"""
ADD: Final = """
    INSERT INTO scenario_version (id, name, version, digest, source, file, stored_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
RAISE: Final = "UPDATE scenario SET newest = $2 WHERE name = $1"
GET: Final = "SELECT * FROM scenario_version WHERE id = $1"
NEWEST: Final = """
    SELECT scenario_version.*
    FROM scenario_version
    JOIN scenario USING (name)
    WHERE name = $1 AND version = newest
"""


class PostgresScenarioStore:
    """A `ScenarioStore` that keeps each version as a row."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def store(self, scenario: StoredScenario) -> StoredScenario:
        """See `ScenarioStore.store`."""
        async with transaction(self._pool, doing="storing a scenario") as lent:
            version: int = await lent.fetchval(ENTER, scenario.name) + 1
            if row := await lent.fetchrow(GET, scenario.id):
                return _stored(row)
            newest = await lent.fetchrow(NEWEST, scenario.name)
            if newest is not None and newest["digest"] == scenario.digest:
                return _stored(newest)
            kept = replace(scenario, version=version)
            await lent.execute(
                ADD,
                kept.id,
                kept.name,
                kept.version,
                kept.digest,
                kept.source,
                kept.file,
                kept.stored_at,
            )
            await lent.execute(RAISE, kept.name, kept.version)
        return kept

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        """See `ScenarioStore.get`."""
        return await self._one(GET, scenario)

    async def newest(self, name: str) -> StoredScenario:
        """See `ScenarioStore.newest`."""
        return await self._one(NEWEST, name)

    async def _one(self, query: str, identity: object) -> StoredScenario:
        async with connection(self._pool, doing="reading a scenario") as lent:
            row = await lent.fetchrow(query, identity)
        if row is None:
            raise NotFoundError(kind="scenario", identity=str(identity))
        return _stored(row)


def _stored(row: asyncpg.Record) -> StoredScenario:
    return StoredScenario(
        id=ScenarioId(row["id"]),
        name=row["name"],
        version=row["version"],
        digest=row["digest"],
        source=row["source"],
        file=row["file"],
        stored_at=row["stored_at"],
    )
