"""Everything that the use cases stand on, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.definitions import ScenarioStore
from test_coordination.application.engine.capture import Camera
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.engine.sampler import Probing
from test_coordination.application.ports import (
    Evidence,
    Expressions,
    Identities,
    Machine,
    ScenarioReader,
    Workers,
)
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
    """The ports, and the one system under test of this coordinator, if it was given one."""

    stores: Stores
    scenarios: ScenarioStore
    evidence: Evidence
    workers: Workers
    machine: Machine
    identities: Identities
    reader: ScenarioReader
    expressions: Expressions
    catalogue: Catalogue
    system: Topology | None = None

    def topology(self, *, doing: str) -> Topology:
        """Return the system under test.

        Raises:
            NoTopologyError: none was given; ``doing`` says what it is needed for.
        """
        if self.system is None:
            raise NoTopologyError(doing=doing)
        return self.system

    def probing(self, topology: Topology) -> Probing:
        """Return what is needed to look at ``topology``."""
        return Probing(catalogue=self.catalogue, topology=topology, clock=self.stores.clock)

    def camera(self, topology: Topology) -> Camera:
        """Return what is needed to capture the state of ``topology``."""
        return Camera(probing=self.probing(topology), identities=self.identities)
