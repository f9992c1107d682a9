"""Use cases on definitions: read them with all that they run, store, plan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from test_coordination.application.definitions import (
    EMPTY_SHELF,
    Shelf,
    StoredScenario,
    digest_of,
    heading,
    kind_of,
    services_of,
)
from test_coordination.application.differences import (
    VersionDifference,
    differences,
    text_difference,
)
from test_coordination.application.gathering import Gathering, Loaded, Loading
from test_coordination.application.planning.resolver import Planned, Resolver
from test_coordination.application.ports import Library
from test_coordination.application.world import World
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Definition, DocumentKind
from test_coordination.domain.values import ScenarioId

KEPT_MAX: Final = 256
"""How many stored definitions are kept as they were read, and how many plans."""
KEPT_STEPS_MAX: Final = 100
"""A plan of more steps is not kept."""

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class _Kept(Generic[_K, _V]):
    """What was made and may be used again; what was not used for longest is dropped."""

    def __init__(self) -> None:
        self._values: OrderedDict[_K, _V] = OrderedDict()

    def get(self, key: _K) -> _V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: _K, value: _V) -> None:
        self._values[key] = value
        if len(self._values) > KEPT_MAX:
            self._values.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """Definitions, from text to plan.

    What is stored never changes: what was read of it is kept, and so is its plan for the same
    parameters, if no other seed would give another one.
    """

    world: World
    _read: _Kept[ScenarioId, Loaded] = field(default_factory=_Kept, init=False, compare=False)
    _planned: _Kept[tuple[ScenarioId, str], Planned] = field(
        default_factory=_Kept, init=False, compare=False
    )

    async def create(
        self, text: str, *, file: str, expected: DocumentKind, library: Library = EMPTY_SHELF
    ) -> StoredScenario:
        """Store the definition in ``text``, unless its newest version is the same.

        What it runs and is not stored yet is stored, too.

        Raises:
            InvalidDocumentError: it has mistakes; nothing is stored.
            CircularNeedsError: it runs itself by way of others; nothing is stored.
            DefinitionKindError: it is of another kind than ``expected``, or has the name of one
                that is.
        """
        loaded = await self.read(text, file=file, library=library)
        if kind_of(loaded.definition) is not expected:
            raise loaded.unexpected(expected)
        return await self.keep(loaded)

    async def read(self, text: str, *, file: str, library: Library = EMPTY_SHELF) -> Loaded:
        """Return the definition in ``text``; nothing is stored.

        Raises:
            InvalidDocumentError: it has mistakes, or something that it runs cannot be found.
            CircularNeedsError: it runs itself by way of others.
        """
        gathering = Gathering(world=self.world, given=library)
        return await Loading(gathering).load(text, file=file)

    async def load(self, stored: StoredScenario) -> Loaded:
        """Return a definition as it was stored, with those that it runs as they were then.

        Raises:
            InvalidDocumentError: this program does not take any more what it took then.
        """
        loaded = self._read.get(stored.id)
        if loaded is None:
            loaded = await Loading(Gathering(world=self.world)).load_stored(stored)
            self._read.put(stored.id, loaded)
        return loaded

    def plan(self, loaded: Loaded, given: Mapping[str, object], *, seed: int = 0) -> Plan:
        """Return what running a scenario means on the system under test.

        What is left to chance is drawn from ``seed``: the same one gives the same plan.

        Raises:
            DefinitionKindError: it is no scenario.
            NoTopologyError: there is no system under test.
            InvalidDocumentError: parameters or targets do not fit.
        """
        if loaded.stored is None:
            return self._anew(loaded, given, seed=seed).plan
        key = loaded.stored.id, repr(given)
        planned = self._planned.get(key)
        if planned is None:
            planned = self._anew(loaded, given, seed=seed)
            if planned.is_same and len(planned.plan.steps) <= KEPT_STEPS_MAX:
                self._planned.put(key, planned)
        return planned.with_seed(seed)

    def _anew(self, loaded: Loaded, given: Mapping[str, object], *, seed: int) -> Planned:
        scenario = loaded.scenario
        topology = self.world.topology(doing=f"planning {scenario.name!r}")
        resolver = Resolver(
            catalogue=self.world.catalogue,
            expressions=self.world.expressions,
            topology=topology,
            environment=self.world.environment,
        )
        return resolver.planned(scenario, given, seed=seed, others=loaded.others())

    async def difference(self, name: str, before: int, after: int) -> VersionDifference:
        """Return how two versions of a definition differ.

        Raises:
            NotFoundError: there is no such version.
            InvalidDocumentError: this program does not take any more what it took then.
        """
        old = await self.world.scenarios.version(name, before)
        new = await self.world.scenarios.version(name, after)
        return VersionDifference(
            before=old,
            after=new,
            changes=tuple(differences(self._merged(old), self._merged(new))),
            text=text_difference(old, new),
        )

    def export(self, stored: StoredScenario, *, resolved: bool) -> str:
        """Return the text of a definition; ``resolved``, with all that it extends merged in.

        Raises:
            InvalidDocumentError: this program does not take any more what it took then.
        """
        if not resolved:
            return stored.source
        shelf = Shelf(parts=stored.parts)
        return self.world.reader.resolved(stored.source, file=stored.file, library=shelf)

    def _merged(self, stored: StoredScenario) -> Definition:
        shelf = Shelf(parts=stored.parts)
        return self.world.reader.read(stored.source, file=stored.file, library=shelf)

    async def keep(self, loaded: Loaded) -> StoredScenario:
        """Store a definition and all that it runs, unless they are stored already.

        Raises:
            DefinitionKindError: one of them has the name of a definition of another kind.
        """
        return await self._keep(loaded, {})

    async def _keep(self, loaded: Loaded, kept: dict[int, StoredScenario]) -> StoredScenario:
        if (found := loaded.stored or kept.get(id(loaded))) is None:
            members = [await self._keep(member, kept) for member in loaded.members.values()]
            found = kept[id(loaded)] = await self._store(loaded, members)
        return found

    async def _store(self, loaded: Loaded, members: Sequence[StoredScenario]) -> StoredScenario:
        definition = loaded.definition
        top, kind = heading(definition), kind_of(definition)
        says = [(part.name, part.text) for part in top.parts]
        says += [(member.name, member.digest) for member in members]
        parts = (*top.parts, *(member.as_part() for member in members))
        return await self.world.scenarios.store(
            StoredScenario(
                id=ScenarioId(self.world.identities.new()),
                name=definition.name,
                version=0,
                digest=digest_of(kind, top.source, says),
                source=top.source,
                file=loaded.file,
                stored_at=self.world.stores.clock.now(),
                kind=kind,
                title=top.title,
                owner=top.owner,
                tags=top.tags,
                services=services_of(definition),
                parts=tuple(dict.fromkeys(parts)),
            )
        )
