"""Looks for definitions by name wherever they may be, before what names them is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from test_coordination.application.definitions import (
    EMPTY_SHELF,
    DefinitionKindError,
    Shelf,
    StoredScenario,
    kind_of,
)
from test_coordination.application.ports import Library, NotFoundError
from test_coordination.application.world import World
from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem, suggestion
from test_coordination.domain.graph import CircularNeedsError
from test_coordination.domain.scenario import (
    Definition,
    DocumentKind,
    Part,
    Reference,
    Scenario,
    Suite,
)
from test_coordination.domain.steps import ParallelStep, ScenarioStep, SequenceStep, Step
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ScenarioId


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """Finds definitions; the first that has a name wins.

    They are looked for in ``given``, such as the files beside a document, in the folders of the
    world's library, in the store, and in what is shipped with the program.
    """

    world: World
    given: Library = EMPTY_SHELF

    async def find(self, name: str, version: int | None = None) -> Part | StoredScenario | None:
        """Return the definition of that name, as it is stored if that is where it was found."""
        for library in (self.given, self.world.library):
            if (part := library.find(name, version=version)) is not None:
                return part
        store = self.world.scenarios
        try:
            return await (store.newest(name) if version is None else store.version(name, version))
        except NotFoundError:
            return self.world.shipped.find(name, version=version)

    async def names(self) -> Sequence[str]:
        """Return the names of all that `find` finds, for whoever has misspelt one."""
        world = self.world
        shelves = (self.given.names(), world.library.names(), await world.scenarios.names())
        return tuple(dict.fromkeys(chain(*shelves, world.shipped.names())))

    async def read(self, text: str, *, file: str, topology: Topology | None = None) -> Definition:
        """Return the definition in ``text``, with all that it extends found and merged in.

        Raises:
            InvalidDocumentError: it has mistakes; all of them are said.
        """
        shelf = await self.shelf(text, file=file)
        return self.world.reader.read(text, file=file, library=shelf, topology=topology)

    async def shelf(self, text: str, *, file: str) -> Shelf:
        """Return what the definition in ``text`` extends, and what that extends, however far.

        What a stored definition was made of, and is found nowhere any more, is taken from there.
        """
        mentions = self.world.reader.mentions
        pending = list(mentions(text, file=file))
        found: dict[tuple[str, int | None], Part | None] = {}
        kept: list[Part] = []
        while pending:
            wanted = pending.pop()
            key = wanted.name, wanted.version
            if key in found:
                continue
            part = await self.find(*key)
            if isinstance(part, StoredScenario):
                kept += part.parts
                part = part.as_part()
            part = part or Shelf(parts=tuple(kept)).find(wanted.name, version=wanted.version)
            found[key] = part
            if part is not None:
                pending += mentions(part.text, file=part.file)
        parts = tuple(dict.fromkeys(part for part in found.values() if part is not None))
        known = await self.names() if None in found.values() else ()
        return Shelf(parts=parts, known=tuple(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A definition with those that it runs, by the names under which it does.

    ``stored`` is None as long as it is not stored.
    """

    definition: Definition
    file: str
    stored: StoredScenario | None = None
    members: Mapping[str, Loaded] = field(default_factory=dict)

    @property
    def scenario(self) -> Scenario:
        """Return the definition.

        Raises:
            DefinitionKindError: it is no scenario.
        """
        if not isinstance(self.definition, Scenario):
            raise self.unexpected(DocumentKind.SCENARIO)
        return self.definition

    @property
    def suite(self) -> Suite:
        """Return the definition.

        Raises:
            DefinitionKindError: it is no suite.
        """
        if not isinstance(self.definition, Suite):
            raise self.unexpected(DocumentKind.SUITE)
        return self.definition

    def unexpected(self, expected: DocumentKind) -> DefinitionKindError:
        """Return the error of who wanted another kind."""
        kind = kind_of(self.definition)
        return DefinitionKindError(name=self.definition.name, kind=kind, expected=expected)

    def others(self) -> Mapping[str, Scenario]:
        """Return the scenarios that it runs, and those that they run, however far.

        What is stored names them with their versions; so a name stands for the same everywhere.
        """
        found: dict[str, Scenario] = {}
        level = [self]
        while level:
            named = [pair for each in level for pair in each.members.items()]
            level = [member for name, member in named if name not in found]
            found |= {name: member.scenario for name, member in named}
        return found


class Loading:
    """Loads definitions together with those that they run, each of them once."""

    def __init__(self, gathering: Gathering) -> None:
        """Look for them where ``gathering`` does; what is stored runs what it ran then."""
        self._gathering = gathering
        self._world = gathering.world
        self._found: dict[str, Loaded | None] = {}
        self._kept: dict[ScenarioId, Loaded] = {}

    async def load(self, text: str, *, file: str, above: tuple[str, ...] = ()) -> Loaded:
        """Return the definition in ``text``; ``above`` are the names of those that run it.

        Raises:
            InvalidDocumentError: it has mistakes, or something that it runs cannot be found.
            CircularNeedsError: it runs itself by way of others.
        """
        definition = await self._gathering.read(text, file=file)
        if (name := definition.name) in above:
            raise CircularNeedsError(circle=(*above[above.index(name) :], name))
        problems: list[Problem] = []
        members: dict[str, Loaded] = {}
        for wanted in _members(definition):
            member = await self._member(wanted, (*above, name))
            if member is None:
                problems.append(await self.unknown(wanted))
            elif not isinstance(member.definition, Scenario):
                problem = f"{wanted.name!r} is a {kind_of(member.definition)}; name a scenario"
                problems.append(Problem(mark=wanted.mark, code="definition.kind", text=problem))
            else:
                members[str(wanted)] = member
        if problems:
            raise InvalidDocumentError(problems=tuple(problems))
        return Loaded(definition=definition, file=file, members=members)

    async def load_stored(self, stored: StoredScenario) -> Loaded:
        """Return a definition as it was stored, with those that it runs as they were then.

        They are named with their versions, so that no two of them share a name.
        """
        if stored.id in self._kept:
            return self._kept[stored.id]
        shelf = Shelf(parts=stored.parts)
        definition = self._world.reader.read(stored.source, file=stored.file, library=shelf)
        definition = _exact(definition, stored)
        members: dict[str, Loaded] = {}
        for wanted in _members(definition):
            assert wanted.version is not None, "it is exact"
            kept = await self._world.scenarios.version(wanted.name, wanted.version)
            members[str(wanted)] = await self.load_stored(kept)
        loaded = Loaded(definition=definition, file=stored.file, stored=stored, members=members)
        self._kept[stored.id] = loaded
        return loaded

    async def find(self, wanted: Reference) -> Loaded | None:
        """Return the definition that is ``wanted`` from wherever it is found; None if nowhere.

        Raises:
            InvalidDocumentError: it has mistakes, or something that it runs cannot be found.
            CircularNeedsError: it runs itself by way of others.
        """
        return await self._member(wanted, ())

    async def _member(self, wanted: Reference, above: tuple[str, ...]) -> Loaded | None:
        if (name := str(wanted)) not in self._found:
            found = await self._gathering.find(wanted.name, wanted.version)
            if found is None:
                self._found[name] = None
            elif isinstance(found, StoredScenario):
                self._found[name] = await self.load_stored(found)
            else:
                self._found[name] = await self.load(found.text, file=found.file, above=above)
        return self._found[name]

    async def unknown(self, wanted: Reference) -> Problem:
        """Return the mistake of naming what is not found; the nearest name is suggested."""
        names = frozenset(await self._gathering.names())
        hint = suggestion(wanted.name, names - {wanted.name})
        text = f"no scenario is named {str(wanted)!r}; {hint}"
        return Problem(mark=wanted.mark, code="definition.unknown", text=text)


def _members(definition: Definition) -> Iterable[Reference]:
    """Return the scenarios that ``definition`` runs, each once, where it does so first."""
    wanted: dict[str, Reference] = {}
    match definition:
        case Suite(entries=entries):
            for entry in entries:
                wanted.setdefault(str(entry.scenario), entry.scenario)
        case Scenario():
            for step in definition.every_step():
                if isinstance(step, ScenarioStep):
                    wanted.setdefault(step.scenario, _reference(step.scenario, step.mark))
        case _:
            pass
    return wanted.values()


def _reference(text: str, mark: Mark) -> Reference:
    name, _, version = text.partition("@")
    return Reference(name=name, mark=mark, version=int(version) if version else None)


def _exact(definition: Definition, stored: StoredScenario) -> Definition:
    """Return ``definition`` with the versions that it ran when it was ``stored``."""
    match definition:
        case Suite(entries=entries):
            pinned = (replace(each, scenario=_pinned(each.scenario, stored)) for each in entries)
            return replace(definition, entries=tuple(pinned))
        case Scenario(steps=steps):
            return replace(definition, steps=tuple(_exact_step(step, stored) for step in steps))
        case _:
            return definition


def _exact_step(step: Step, stored: StoredScenario) -> Step:
    match step:
        case ScenarioStep(scenario=name, mark=mark):
            return replace(step, scenario=str(_pinned(_reference(name, mark), stored)))
        case ParallelStep(steps=steps) | SequenceStep(steps=steps):
            return replace(step, steps=tuple(_exact_step(each, stored) for each in steps))
        case _:
            return step


def _pinned(wanted: Reference, stored: StoredScenario) -> Reference:
    """Return ``wanted`` with the version that was the newest when ``stored`` was stored."""
    if wanted.version is not None:
        return wanted
    found = [part.version for part in stored.parts if part.name == wanted.name]
    return replace(wanted, version=max(version for version in found if version is not None))
