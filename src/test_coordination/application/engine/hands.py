"""What the engine has at hand to carry out one execution."""

from __future__ import annotations

from dataclasses import dataclass

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.engine.capture import Camera
from test_coordination.application.engine.checks import Bench
from test_coordination.application.engine.children import Children
from test_coordination.application.engine.lease import Hold
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.sampler import Probing
from test_coordination.application.engine.vault import Vault
from test_coordination.application.ports import Evidence
from test_coordination.domain.plan import Plan
from test_coordination.domain.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a step needs to be done, and the right to do it."""

    hold: Hold
    plan: Plan
    children: Children
    probing: Probing
    evidence: Evidence
    camera: Camera
    bench: Bench
    recorder: Recorder

    @property
    def catalogue(self) -> Catalogue:
        """Return what may be done and seen."""
        return self.probing.catalogue

    @property
    def topology(self) -> Topology:
        """Return the system that it is done to."""
        return self.probing.topology

    @property
    def vault(self) -> Vault:
        """Return the secrets of this execution."""
        return self.probing.vault
