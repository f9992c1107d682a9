"""The program of the command line, on stores in memory that last from command to command."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.lending import coordinating
from test_coordination.application.world import World
from test_coordination.authoring import AuthorsDesk
from test_coordination.domain.topology import Topology
from test_coordination.interfaces.cli.program import SystemChoice
from test_coordination.settings import Settings


@dataclass(slots=True)
class MemoryProgram:
    """A `Program` as far as definitions and schedules need one."""

    home: Path
    desk: AuthorsDesk = field(init=False)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.desk = AuthorsDesk(Settings(home=self.home))
        self.world = self.desk.world(None)

    def topology(self, choice: SystemChoice) -> Topology | None:
        return self.desk.topology(choice)

    def coordinator(self, topology: Topology | None) -> AbstractAsyncContextManager[Coordinator]:
        return coordinating(replace(self.world, system=topology))
