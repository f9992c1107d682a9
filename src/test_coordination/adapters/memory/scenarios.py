"""Definitions in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    StoredScenario,
)
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.values import ScenarioId


class MemoryScenarioStore:
    """A `ScenarioStore` that lasts as long as it is referred to."""

    def __init__(self) -> None:
        self._by_id: dict[ScenarioId, StoredScenario] = {}
        self._ids: dict[str, list[ScenarioId]] = {}

    async def store(self, scenario: StoredScenario) -> StoredScenario:
        """See `ScenarioStore.store`."""
        ids = self._ids.get(scenario.name, [])
        newest = self._by_id[ids[-1]] if ids else None
        if newest is not None and newest.kind is not scenario.kind:
            raise DefinitionKindError(name=newest.name, kind=newest.kind, expected=scenario.kind)
        if kept := self._by_id.get(scenario.id):
            return kept
        if newest is not None and newest.digest == scenario.digest:
            return newest
        kept = replace(scenario, version=len(ids) + 1, deprecated_at=None, deprecated_because="")
        self._by_id[kept.id] = kept
        self._ids.setdefault(kept.name, []).append(kept.id)
        self._mark(kept.name, None, "")
        return kept

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        """See `ScenarioStore.get`."""
        try:
            return self._by_id[scenario]
        except KeyError:
            raise NotFoundError(kind="definition", identity=str(scenario)) from None

    async def newest(self, name: str) -> StoredScenario:
        """See `ScenarioStore.newest`."""
        return self._versions(name)[-1]

    async def version(self, name: str, version: int) -> StoredScenario:
        """See `ScenarioStore.version`."""
        found = self._versions(name)
        if not 0 < version <= len(found):
            raise NotFoundError(kind="definition", identity=f"{name}@{version}")
        return found[version - 1]

    async def versions(self, name: str) -> Sequence[StoredScenario]:
        """See `ScenarioStore.versions`."""
        return self._versions(name)[::-1]

    async def list(
        self, wanted: DefinitionFilter, *, limit: int, after: str = ""
    ) -> Sequence[StoredScenario]:
        """See `ScenarioStore.list`."""
        newest = (self._by_id[self._ids[name][-1]] for name in sorted(self._ids) if name > after)
        return [each for each in newest if _is_wanted(each, wanted)][:limit]

    async def names(self) -> Sequence[str]:
        """See `ScenarioStore.names`."""
        return sorted(self._ids)

    async def deprecate(self, name: str, *, because: str, at: datetime) -> None:
        """See `ScenarioStore.deprecate`."""
        self._mark(name, at, because)

    async def restore(self, name: str) -> None:
        """See `ScenarioStore.restore`."""
        self._mark(name, None, "")

    def _mark(self, name: str, at: datetime | None, because: str) -> None:
        for each in self._versions(name):
            self._by_id[each.id] = replace(each, deprecated_at=at, deprecated_because=because)

    def _versions(self, name: str) -> Sequence[StoredScenario]:
        if name not in self._ids:
            raise NotFoundError(kind="definition", identity=name)
        return [self._by_id[each] for each in self._ids[name]]


def _is_wanted(stored: StoredScenario, wanted: DefinitionFilter) -> bool:
    return (
        wanted.kind in {None, stored.kind}
        and wanted.deprecated in {None, stored.deprecated_at is not None}
        and wanted.owner in {"", stored.owner}
        and wanted.tag in {"", *stored.tags}
        and wanted.service in {"", *stored.services}
        and wanted.name_part in stored.name
    )
