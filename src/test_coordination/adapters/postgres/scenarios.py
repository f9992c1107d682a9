"""Definitions in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg

from test_coordination.adapters.codec import decode_parts
from test_coordination.adapters.postgres.pool import (
    Connection,
    Pool,
    connection,
    jsonb,
    transaction,
)
from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    StoredScenario,
)
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ScenarioId

# The update that changes nothing is there for its lock: whoever stores under the same name
# waits here, and then sees what we have made the newest version, and of which kind it is.
ENTER: Final = """
    INSERT INTO scenario (name, kind) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name
    RETURNING newest, kind
"""
ADD: Final = """
    INSERT INTO scenario_version (
        id, name, version, digest, source, file, stored_at, title, owner, tags, services, parts
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
RAISE: Final = """
    UPDATE scenario SET newest = $2, deprecated_at = NULL, deprecated_because = '' WHERE name = $1
"""
GET: Final = "SELECT * FROM scenario_version JOIN scenario USING (name) WHERE id = $1"
NEWEST: Final = """
    SELECT * FROM scenario_version JOIN scenario USING (name) WHERE name = $1 AND version = newest
"""
VERSION: Final = """
    SELECT * FROM scenario_version JOIN scenario USING (name) WHERE name = $1 AND version = $2
"""
VERSIONS: Final = """
    SELECT * FROM scenario_version JOIN scenario USING (name) WHERE name = $1 ORDER BY version DESC
"""
LIST: Final = """
    SELECT *
    FROM scenario
    JOIN scenario_version USING (name)
    WHERE version = newest
        AND name COLLATE "C" > $1
        AND ($3::text IS NULL OR kind = $3)
        AND ($4 = '' OR $4 = ANY (tags))
        AND ($5 = '' OR owner = $5)
        AND ($6 = '' OR $6 = ANY (services))
        AND ($7 = '' OR strpos(name, $7) > 0)
        AND ($8::boolean IS NULL OR $8 = (deprecated_at IS NOT NULL))
    ORDER BY name COLLATE "C"
    LIMIT $2
"""
NAMES: Final = 'SELECT name FROM scenario ORDER BY name COLLATE "C"'
MARK: Final = """
    UPDATE scenario SET deprecated_at = $2, deprecated_because = $3 WHERE name = $1 RETURNING name
"""


class PostgresScenarioStore:
    """A `ScenarioStore` that keeps each version as a row."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def store(self, scenario: StoredScenario) -> StoredScenario:
        """See `ScenarioStore.store`."""
        async with transaction(self._pool, doing="storing a definition") as lent:
            entered = await lent.fetchrow(ENTER, scenario.name, scenario.kind)
            assert entered is not None, "the row was made, or locked"
            if (kind := DocumentKind(entered["kind"])) is not scenario.kind:
                raise DefinitionKindError(name=scenario.name, kind=kind, expected=scenario.kind)
            if row := await lent.fetchrow(GET, scenario.id):
                return _stored(row)
            newest = await lent.fetchrow(NEWEST, scenario.name)
            if newest is not None and newest["digest"] == scenario.digest:
                return _stored(newest)
            kept = replace(
                scenario,
                version=entered["newest"] + 1,
                deprecated_at=None,
                deprecated_because="",
            )
            await _add(lent, kept)
            await lent.execute(RAISE, kept.name, kept.version)
        return kept

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        """See `ScenarioStore.get`."""
        return await self._one(GET, scenario, identity=str(scenario))

    async def newest(self, name: str) -> StoredScenario:
        """See `ScenarioStore.newest`."""
        return await self._one(NEWEST, name, identity=name)

    async def version(self, name: str, version: int) -> StoredScenario:
        """See `ScenarioStore.version`."""
        return await self._one(VERSION, name, version, identity=f"{name}@{version}")

    async def versions(self, name: str) -> Sequence[StoredScenario]:
        """See `ScenarioStore.versions`."""
        async with connection(self._pool, doing="reading definitions") as lent:
            rows = await lent.fetch(VERSIONS, name)
        if not rows:
            raise NotFoundError(kind="definition", identity=name)
        return [_stored(row) for row in rows]

    async def list(
        self, wanted: DefinitionFilter, *, limit: int, after: str = ""
    ) -> Sequence[StoredScenario]:
        """See `ScenarioStore.list`."""
        async with connection(self._pool, doing="listing definitions") as lent:
            rows = await lent.fetch(
                LIST,
                after,
                limit,
                wanted.kind,
                wanted.tag,
                wanted.owner,
                wanted.service,
                wanted.name_part,
                wanted.deprecated,
            )
        return [_stored(row) for row in rows]

    async def names(self) -> Sequence[str]:
        """See `ScenarioStore.names`."""
        async with connection(self._pool, doing="listing definitions") as lent:
            return [row["name"] for row in await lent.fetch(NAMES)]

    async def deprecate(self, name: str, *, because: str, at: datetime) -> None:
        """See `ScenarioStore.deprecate`."""
        await self._mark(name, at, because)

    async def restore(self, name: str) -> None:
        """See `ScenarioStore.restore`."""
        await self._mark(name, None, "")

    async def _mark(self, name: str, at: datetime | None, because: str) -> None:
        async with connection(self._pool, doing="changing a definition") as lent:
            found = await lent.fetchval(MARK, name, at, because)
        if found is None:
            raise NotFoundError(kind="definition", identity=name)

    async def _one(self, query: str, *arguments: object, identity: str) -> StoredScenario:
        async with connection(self._pool, doing="reading a definition") as lent:
            row = await lent.fetchrow(query, *arguments)
        if row is None:
            raise NotFoundError(kind="definition", identity=identity)
        return _stored(row)


async def _add(lent: Connection, kept: StoredScenario) -> None:
    await lent.execute(
        ADD,
        kept.id,
        kept.name,
        kept.version,
        kept.digest,
        kept.source,
        kept.file,
        kept.stored_at,
        kept.title,
        kept.owner,
        kept.tags,
        kept.services,
        jsonb(kept.parts),
    )


def _stored(row: asyncpg.Record) -> StoredScenario:
    return StoredScenario(
        id=ScenarioId(row["id"]),
        name=row["name"],
        version=row["version"],
        digest=row["digest"],
        source=row["source"],
        file=row["file"],
        stored_at=row["stored_at"],
        kind=DocumentKind(row["kind"]),
        title=row["title"],
        owner=row["owner"],
        tags=tuple(row["tags"]),
        services=tuple(row["services"]),
        parts=decode_parts(row["parts"]),
        deprecated_at=row["deprecated_at"],
        deprecated_because=row["deprecated_because"],
    )
