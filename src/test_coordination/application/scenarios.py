"""Use cases on scenarios: check, plan, store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from test_coordination.application.ports import StoredScenario
from test_coordination.application.planning.resolver import Resolver
from test_coordination.application.world import World
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.values import ScenarioId, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """Definitions, from text to plan."""

    world: World

    async def create(self, text: str, *, file: str) -> StoredScenario:
        """Store the scenario in ``text``, unless its newest version is the same.

        Raises:
            InvalidDocumentError: it has mistakes; nothing is stored.
        """
        scenario = self.world.reader.read(text, file=file)
        return await self.world.scenarios.store(
            StoredScenario(
                id=ScenarioId(self.world.identities.new()),
                name=scenario.name,
                version=0,
                digest=hashlib.sha256(text.encode()).hexdigest(),
                source=text,
                file=file,
                stored_at=self.world.stores.clock.now(),
            )
        )

    def read(self, stored: StoredScenario) -> Scenario:
        """Return the definition that is stored."""
        return self.world.reader.read(stored.source, file=stored.file)

    def plan(self, scenario: Scenario, given: Mapping[str, Value]) -> Plan:
        """Return what running ``scenario`` means on the system under test.

        Raises:
            NoTopologyError: there is no system under test.
            InvalidDocumentError: parameters or targets do not fit.
        """
        topology = self.world.topology(doing=f"planning {scenario.name!r}")
        resolver = Resolver(
            catalogue=self.world.catalogue,
            expressions=self.world.expressions,
            topology=topology,
        )
        return resolver.plan(scenario, given)
