"""Everything that the use cases stand on, in one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.definitions import EMPTY_SHELF, ScenarioStore
from test_coordination.application.engine.capture import Camera
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.engine.sampler import Probing
from test_coordination.application.engine.vault import Vault
from test_coordination.application.fleet import Dispatch, Machine, Queue, Workers
from test_coordination.application.pace import Pace
from test_coordination.application.ports import (
    DefinitionReader,
    Evidence,
    Expressions,
    Identities,
    Library,
    Secrets,
)
from test_coordination.application.timetable import Timing
from test_coordination.application.wishes import Ways
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.topology import Topology


@dataclass(eq=False, kw_only=True)
class NoTopologyError(CoordinationError):
    """Something needs to know the system under test, and no topology was given."""

    code: ClassVar[str] = "topology.missing"

    doing: str

    def __str__(self) -> str:
        return (
            f"{self.doing} needs a topology, which says what services there are; give one with "
            "--topology FILE, or set TCOORD_TOPOLOGY"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports, and the one system under test of this coordinator, if it was given one.

    Definitions are looked for in ``library``, the folders of the operator, before the store, and
    in ``shipped``, what comes with the program, behind it. ``environment`` are the variables that
    definitions may see. Whatever looks at systems again and again keeps to ``pace``.
    """

    stores: Stores
    scenarios: ScenarioStore
    evidence: Evidence
    workers: Workers
    queue: Queue
    dispatch: Dispatch
    machine: Machine
    identities: Identities
    reader: DefinitionReader
    expressions: Expressions
    secrets: Secrets
    catalogue: Catalogue
    timing: Timing
    wishes: Ways = field(default_factory=Ways)
    system: Topology | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    library: Library = EMPTY_SHELF
    shipped: Library = EMPTY_SHELF
    pace: Pace = field(default_factory=Pace)

    def topology(self, *, doing: str) -> Topology:
        """Return the system under test.

        Raises:
            NoTopologyError: none was given; ``doing`` says what it is needed for.
        """
        if self.system is None:
            raise NoTopologyError(doing=doing)
        return self.system

    def probing(self, topology: Topology, vault: Vault | None = None) -> Probing:
        """Return what is needed to look at ``topology``, with the secrets of ``vault``."""
        return Probing(
            catalogue=self.catalogue,
            topology=topology,
            clock=self.stores.clock,
            vault=vault or Vault(self.secrets),
            pace=self.pace,
        )

    def camera(self, topology: Topology, vault: Vault | None = None) -> Camera:
        """Return what is needed to capture the state of ``topology``."""
        return Camera(probing=self.probing(topology, vault), identities=self.identities)
