"""Scenarios in memory."""

from __future__ import annotations

from dataclasses import replace

from test_coordination.application.ports import NotFoundError, StoredScenario
from test_coordination.domain.values import ScenarioId


class MemoryScenarioStore:
    """A `ScenarioStore` that lasts as long as it is referred to."""

    def __init__(self) -> None:
        self._by_id: dict[ScenarioId, StoredScenario] = {}
        self._newest: dict[str, StoredScenario] = {}

    async def store(self, scenario: StoredScenario) -> StoredScenario:
        """See `ScenarioStore.store`."""
        if kept := self._by_id.get(scenario.id):
            return kept
        newest = self._newest.get(scenario.name)
        if newest is not None and newest.digest == scenario.digest:
            return newest
        kept = replace(scenario, version=newest.version + 1 if newest else 1)
        self._by_id[kept.id] = self._newest[kept.name] = kept
        return kept

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        """See `ScenarioStore.get`."""
        try:
            return self._by_id[scenario]
        except KeyError:
            raise NotFoundError(kind="scenario", identity=str(scenario)) from None

    async def newest(self, name: str) -> StoredScenario:
        """See `ScenarioStore.newest`."""
        try:
            return self._newest[name]
        except KeyError:
            raise NotFoundError(kind="scenario", identity=name) from None
