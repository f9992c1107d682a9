"""All about scenarios that does not hang on a story: made once, and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from uuid import UUID

from simulation.documents import SERVICES, source
from simulation.targets import words
from support.virtual_time import ANCHOR
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.capabilities import Catalogue
from test_coordination.application.definitions import Shelf, StoredScenario, digest_of
from test_coordination.application.planning.resolver import Resolver
from test_coordination.application.ports import Library
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.scenario import (
    BlastRadius,
    Definition,
    DocumentKind,
    Reference,
    Scenario,
)
from test_coordination.domain.topology import Service, StateSource, Topology
from test_coordination.domain.values import ScenarioId, ServiceName

FILE = "simulated.yaml"
INNER = 40
"""How many scenarios there are that others run."""
STORIES = 400
"""How many scenarios there are, those among them."""

EXPRESSIONS = CelExpressions()
SECRET = "open-sesame-4711"
SECRETS = KeptSecrets({"TOKEN": SECRET}, directory=Path("/nowhere"))
_MARK = Mark("system.yaml", 1, 1)


class RememberingReader(DefinitionReader):
    """Reads each text once; none of them extends another."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue, EXPRESSIONS)
        self._read: dict[str, Definition] = {}

    def read(
        self,
        text: str | bytes,
        *,
        file: str,
        library: Library | None = None,
        topology: Topology | None = None,
    ) -> Definition:
        if (found := self._read.get(str(text))) is None:
            found = super().read(text, file=file, library=library, topology=topology)
            self._read[str(text)] = found
        return found

    def mentions(self, text: str | bytes, *, file: str) -> Sequence[Reference]:
        del text, file
        return ()


@cache
def topology(hit_max: int = 2) -> Topology:
    """Return the system under test, of which so many services may be hit at a time."""
    services = (
        Service(
            name=ServiceName(name),
            mark=_MARK,
            command=("true",),
            tags={"tier": "front" if name == "shop" else "back"},
            state={"dial": StateSource(kind="dial", parameters={"dial": name})},
        )
        for name in SERVICES
    )
    return Topology(
        name="simulated",
        file="system.yaml",
        directory="/nowhere",
        services={service.name: service for service in services},
        pools={"licences": 2},
        blast_radius=BlastRadius(mark=_MARK, services=hit_max),
    )


class Shop:
    """The scenarios, by their numbers."""

    def __init__(self) -> None:
        known = words()
        self.reader = RememberingReader(known)
        self._resolver = Resolver(catalogue=known, expressions=EXPRESSIONS, topology=topology())
        self._stored: dict[int, tuple[StoredScenario, ...]] = {}

    def stored(self, number: int) -> tuple[StoredScenario, ...]:
        """Return a scenario as it is stored, behind the one that it runs, if it does.

        Nothing is returned for a number whose text is wrong. The first ``INNER`` of them run no
        other; of the rest every second one runs one of those.
        """
        if number not in self._stored:
            inner = number % INNER if number >= INNER and number % 2 else None
            members = () if inner is None else self.stored(inner)
            text = source(number, inner=inner if members else None)
            self._stored[number] = self._kept(number, text, members)
        return self._stored[number]

    def _kept(
        self, number: int, text: str, members: tuple[StoredScenario, ...]
    ) -> tuple[StoredScenario, ...]:
        parts = tuple(member.as_part() for member in members)
        try:
            reading = self.reader.read(text, file=FILE, library=Shelf(parts=parts))
            assert isinstance(reading, Scenario), "that is what is written"
            self._resolver.plan(
                reading, {}, others={each.name: self._scenario(each) for each in members}
            )
        except InvalidDocumentError:
            return ()
        kept = StoredScenario(
            id=ScenarioId(UUID(int=10_000 + number)),
            name=reading.name,
            version=1,
            digest=digest_of(DocumentKind.SCENARIO, text, ()),
            source=text,
            file=FILE,
            stored_at=ANCHOR,
            parts=parts,
        )
        return (*members, kept)

    def _scenario(self, stored: StoredScenario) -> Scenario:
        found = self.reader.read(stored.source, file=FILE)
        assert isinstance(found, Scenario), "that is what is written"
        return found
