"""The part of the domain API that is about definitions: stored, listed, compared, exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from test_coordination.application.definitions import (
    EMPTY_SHELF,
    DefinitionFilter,
    StoredScenario,
)
from test_coordination.application.differences import VersionDifference
from test_coordination.application.ports import Library
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ScenarioId

TEXT_FILE: Final = "<text>"
SCENARIOS: Final = DefinitionFilter(kind=DocumentKind.SCENARIO)


class Shelf:
    """What is stored to be run: scenarios, templates and suites, each in versions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scenarios = Scenarios(world=world)

    async def create_scenario(
        self, definition: str, *, file: str = TEXT_FILE, library: Library = EMPTY_SHELF
    ) -> ScenarioId:
        """Store the YAML text ``definition`` of a scenario and return its identity.

        A definition that is changed becomes the next version of its name, under an identity of
        its own; the same text again gives the same identity. What it extends or runs is looked
        for in ``library`` first; scenarios that it runs are stored as well.

        Raises:
            InvalidDocumentError: it has mistakes; all are said, and nothing is stored.
            DefinitionKindError: it is no scenario, or its name is that of something else.
            CircularNeedsError: it runs itself by way of others; nothing is stored.
        """
        return await self._create(definition, file, (DocumentKind.SCENARIO, library))

    async def create_template(
        self, definition: str, *, file: str = TEXT_FILE, library: Library = EMPTY_SHELF
    ) -> ScenarioId:
        """Store a template that scenarios extend by name; see `create_scenario`."""
        return await self._create(definition, file, (DocumentKind.TEMPLATE, library))

    async def create_suite(
        self, definition: str, *, file: str = TEXT_FILE, library: Library = EMPTY_SHELF
    ) -> ScenarioId:
        """Store a suite and the scenarios that it runs; see `create_scenario`."""
        return await self._create(definition, file, (DocumentKind.SUITE, library))

    async def _create(
        self, text: str, file: str, scope: tuple[DocumentKind, Library]
    ) -> ScenarioId:
        expected, library = scope
        stored = await self._scenarios.create(text, file=file, expected=expected, library=library)
        return stored.id

    async def stored_scenario(self, scenario: ScenarioId) -> StoredScenario:
        """Return one stored version of a definition of any kind.

        Raises:
            NotFoundError: nothing is stored under that identity.
        """
        return await self._world.scenarios.get(scenario)

    async def list_scenarios(
        self, wanted: DefinitionFilter = SCENARIOS, *, limit: int = 50, after: str = ""
    ) -> Sequence[StoredScenario]:
        """Return the newest versions of at most ``limit`` names behind ``after``, by name.

        These are the scenarios in use, unless the filter says otherwise: with another kind they
        are templates or suites, with None all that is stored.
        """
        return await self._world.scenarios.list(wanted, limit=limit, after=after)

    async def scenario_versions(self, name: str) -> Sequence[StoredScenario]:
        """Return every version of a definition of any kind, newest first.

        Raises:
            NotFoundError: nothing has that name.
        """
        return await self._world.scenarios.versions(name)

    async def diff_versions(self, name: str, before: int, after: int) -> VersionDifference:
        """Return how two versions of a definition differ, in what they mean and as texts.

        Raises:
            NotFoundError: there is no such version.
            InvalidDocumentError: this program does not take any more what it took then.
        """
        return await self._scenarios.difference(name, before, after)

    async def export_scenario(self, scenario: ScenarioId, *, resolved: bool = False) -> str:
        """Return a definition's text as it was stored; ``resolved``, as one that extends nothing.

        Raises:
            NotFoundError: nothing is stored under that identity.
            InvalidDocumentError: this program does not take any more what it took then.
        """
        stored = await self._world.scenarios.get(scenario)
        return self._scenarios.export(stored, resolved=resolved)

    async def deprecate_scenario(self, name: str, *, reason: str) -> None:
        """Note that a definition should not be used any more, and why; it is not listed then.

        It can still be run and extended. A new version of it takes the note away.

        Raises:
            NotFoundError: nothing has that name.
        """
        now = self._world.stores.clock.now()
        await self._world.scenarios.deprecate(name, because=reason, at=now)

    async def restore_scenario(self, name: str) -> None:
        """Take back that a definition should not be used, if anybody said so.

        Raises:
            NotFoundError: nothing has that name.
        """
        await self._world.scenarios.restore(name)
