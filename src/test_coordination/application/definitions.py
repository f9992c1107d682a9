"""The definitions as they are kept: every version for ever, and what is known of each name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import ClassVar, Final, Protocol, assert_never

from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.scenario import (
    Definition,
    DocumentKind,
    Part,
    Scenario,
    Suite,
    Template,
)
from test_coordination.domain.steps import FaultStep, Selector, SnapshotStep
from test_coordination.domain.values import ScenarioId


@dataclass(eq=False, kw_only=True)
class DefinitionKindError(CoordinationError):
    """A definition has the name of one of another kind, or is asked for as what it is not."""

    code: ClassVar[str] = "definition.kind"

    name: str
    kind: DocumentKind
    expected: DocumentKind

    def __str__(self) -> str:
        return (
            f"{self.name!r} is a {self.kind}, and a {self.expected} was expected; "
            f"name a {self.expected}, or give yours a name of its own"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScenario:
    """One version of a definition as it is kept: a scenario, a template or a suite.

    ``parts`` are the texts of all other definitions that it is made of, so that it means the
    same for ever. ``services`` are those that it names literally. ``digest`` is that of
    `digest_of`. A name is deprecated with all of its versions; ``deprecated_at`` is None and
    ``deprecated_because`` empty where it is not.
    """

    id: ScenarioId
    name: str
    version: int
    digest: str
    source: str
    file: str
    stored_at: datetime
    kind: DocumentKind = DocumentKind.SCENARIO
    title: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    deprecated_at: datetime | None = None
    deprecated_because: str = ""

    def as_part(self) -> Part:
        """Return it as a part of another definition."""
        return Part(name=self.name, file=self.file, text=self.source, version=self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A `Library` of definitions that are at hand; ``known`` names some that are not."""

    parts: tuple[Part, ...] = ()
    known: tuple[str, ...] = ()

    def find(self, name: str, *, version: int | None = None) -> Part | None:
        """See `Library.find`; one from a file, which has no version, is newer than any other."""
        found = [part for part in self.parts if part.name == name]
        if version is not None:
            return next((part for part in found if part.version == version), None)
        return max(found, key=_novelty, default=None)

    def names(self) -> Sequence[str]:
        """See `Library.names`."""
        return tuple(dict.fromkeys((*(part.name for part in self.parts), *self.known)))


EMPTY_SHELF: Final = Shelf()


def _novelty(part: Part) -> float:
    return math.inf if part.version is None else part.version


def kind_of(definition: Definition) -> DocumentKind:
    """Return what ``definition`` is."""
    match definition:
        case Scenario():
            return DocumentKind.SCENARIO
        case Template():
            return DocumentKind.TEMPLATE
        case Suite():
            return DocumentKind.SUITE
        case _:
            assert_never(definition)


def heading(definition: Definition) -> Scenario | Suite:
    """Return what holds the title, owner and tags of ``definition``."""
    return definition.body if isinstance(definition, Template) else definition


def services_of(definition: Definition) -> tuple[str, ...]:
    """Return the services that a definition names literally, each once and in order.

    These are the targets of its faults, what its snapshots capture, and the defaults of its
    parameters; what an expression will name is not known yet.
    """
    top = heading(definition)
    found: list[object] = []
    for parameter in top.parameters:
        if ParameterType.SERVICE in {parameter.type, parameter.items}:
            default = parameter.default
            found += default if isinstance(default, tuple) else [default]
    for step in top.every_step() if isinstance(top, Scenario) else ():
        match step:
            case FaultStep(target=Selector(services=services)) | SnapshotStep(services=services):
                found += services
            case FaultStep(target=target):
                found.append(target)
            case _:
                pass
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))


def digest_of(kind: DocumentKind, source: str, parts: Iterable[tuple[str, str]]) -> str:
    """Return the digest of all that a definition says: its kind, its text, and its ``parts``.

    Each part is a name and what it says: the text of one that is merged in, the digest of one
    that is run by itself. Their order does not count, nor do the files that they came from.
    """
    texts = [kind, source, *chain(*sorted(set(parts)))]
    # No document can hold the character in between.
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionFilter:
    """Which definitions are wanted; what is left empty does not matter.

    ``service`` is one that the definition names literally, and ``name_part`` stands anywhere in
    its name. ``deprecated`` is False for those in use, True for the others, None for both.
    """

    kind: DocumentKind | None = None
    tag: str = ""
    owner: str = ""
    service: str = ""
    name_part: str = ""
    deprecated: bool | None = False


class ScenarioStore(Protocol):
    """The definitions of every kind, each version for ever as it was."""

    async def store(self, scenario: StoredScenario) -> StoredScenario:
        """Keep ``scenario`` as the next version of its name, and return it as it is kept.

        The version given is ignored. If the newest version has the same digest, that one is
        returned and nothing is written; so repeating the call is safe. A new version of a
        deprecated name takes the deprecation away.

        Raises:
            DefinitionKindError: its name is that of a definition of another kind.
        """
        ...

    async def get(self, scenario: ScenarioId) -> StoredScenario:
        """Return one version.

        Raises:
            NotFoundError: nothing is stored under that identity.
        """
        ...

    async def newest(self, name: str) -> StoredScenario:
        """Return the newest version of that name.

        Raises:
            NotFoundError: no definition has that name.
        """
        ...

    async def version(self, name: str, version: int) -> StoredScenario:
        """Return that version of that name.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

    async def versions(self, name: str) -> Sequence[StoredScenario]:
        """Return every version of that name, newest first.

        Raises:
            NotFoundError: no definition has that name.
        """
        ...

    async def list(
        self, wanted: DefinitionFilter, *, limit: int, after: str = ""
    ) -> Sequence[StoredScenario]:
        """Return the newest versions of at most ``limit`` names, in the order of the names.

        Only names behind ``after`` are returned. What is ``wanted`` is asked of the newest
        version alone.
        """
        ...

    async def names(self) -> Sequence[str]:
        """Return every name, in their order."""
        ...

    async def deprecate(self, name: str, *, because: str, at: datetime) -> None:
        """Note that the definition should not be used any more; it can be, all the same.

        Doing so again replaces the reason and the time.

        Raises:
            NotFoundError: no definition has that name.
        """
        ...

    async def restore(self, name: str) -> None:
        """Take a deprecation away, if there is one.

        Raises:
            NotFoundError: no definition has that name.
        """
        ...
