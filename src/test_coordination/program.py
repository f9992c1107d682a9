"""What the commands of the command line call: settings read once, adapters put together."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, NoReturn

from test_coordination import systems
from test_coordination.adapters.rendering.json import render_entry
from test_coordination.adapters.rendering.render import render
from test_coordination.adapters.servers.foreground import exec_postgres, exec_valkey
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.system import ProcessSystem
from test_coordination.application.controls import Controls
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.serving import FleetWorker, Load, Witness
from test_coordination.authoring import SCENARIOS, AuthorsDesk
from test_coordination.bootstrap import open_on, open_worker
from test_coordination.diagnosis import diagnose
from test_coordination.domain.events import Entry
from test_coordination.domain.report import TestReport
from test_coordination.domain.topology import Topology
from test_coordination.interfaces.cli.program import Finding, Observation, SystemChoice
from test_coordination.reaching import open_controls
from test_coordination.settings import Settings

TRADING: Final = "examples/trading/topology.yaml"


@asynccontextmanager
async def open_coordinator(
    settings: Settings | None = None, *, topology: Topology | Path | str | None = None
) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator, on embedded servers unless the settings name others.

    Without ``settings`` they are read from ``TCOORD_*``. ``topology`` is the system under test,
    or the file that describes it; without one the settings' is taken, and if there is none,
    what needs to know services is refused. Faults that dead coordinators left are undone first;
    at the end running executions are stopped and their faults undone.

    Raises:
        CoordinationError: servers cannot be started or reached, or the topology has mistakes.
    """
    program = CommandProgram(settings)
    system = topology
    if not isinstance(system, Topology):
        choice = SystemChoice(file=Path(system) if system is not None else None)
        system = program.topology(choice)
    async with program.coordinator(system) as coordinator:
        yield coordinator


class CommandProgram:
    """The `Program` of the command line."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._given = settings
        self.desk = AuthorsDesk(settings)

    @cached_property
    def _settings(self) -> Settings:
        return self._given or Settings.read(os.environ, user=os.geteuid())

    def coordinator(self, topology: Topology | None) -> AbstractAsyncContextManager[Coordinator]:
        """See `Program.coordinator`."""
        shipped = systems.shipped(SCENARIOS)
        return open_on(self._settings, topology=topology, shipped=shipped)

    def controls(self) -> AbstractAsyncContextManager[Controls]:
        """See `Program.controls`."""
        return open_controls(self._settings)

    def worker(
        self, topology: Topology | None, load: Load, witness: Witness
    ) -> AbstractAsyncContextManager[FleetWorker]:
        """See `Program.worker`."""
        shipped = systems.shipped(SCENARIOS)
        return open_worker(
            self._settings, topology=topology, shipped=shipped, load=load, witness=witness
        )

    def topology(self, choice: SystemChoice) -> Topology | None:
        """See `Program.topology`."""
        return self.desk.topology(choice)

    def render(self, report: TestReport, form: str) -> bytes:
        """See `Program.render`."""
        return render(report, form)

    def entry(self, entry: Entry) -> str:
        """See `Program.entry`."""
        return render_entry(entry)

    def shipped(self, name: str) -> Path:
        """See `Program.shipped`."""
        return systems.shipped(name)

    @asynccontextmanager
    async def demo_system(self, build: str) -> AsyncGenerator[Topology]:
        """See `Program.demo_system`."""
        source = systems.Source(file=systems.shipped(TRADING), variables={"build": build})
        with systems.free_slot(self._settings.home) as directory:
            await self._clear(source, directory)
            yield systems.with_free_ports(source, directory=directory)
            systems.wipe(directory)

    async def _clear(self, source: systems.Source, directory: Path) -> None:
        """Undo, stop and remove what a demo that was killed left in ``directory``."""
        if not systems.is_used(directory):
            return
        async with self.coordinator(None):
            await self.down(systems.read_topology(source, directory=directory))
        systems.wipe(directory)

    async def up(self, topology: Topology) -> None:
        """See `Program.up`."""
        await ProcessSystem(ProcessServices()).up(topology)

    async def down(self, topology: Topology) -> None:
        """See `Program.down`."""
        await ProcessSystem(ProcessServices()).down(topology)

    async def observe(self, topology: Topology) -> Sequence[Observation]:
        """See `Program.observe`."""
        services = ProcessServices()
        observed = []
        for service in topology.in_order():
            state = await services.observe(services.locate(topology, service.name))
            observed.append(
                Observation(
                    service=service,
                    status=state.status,
                    healthy=state.healthy,
                    pid=state.pid,
                    detail=state.detail,
                )
            )
        return observed

    async def diagnose(self, topology: Topology | None) -> Sequence[Finding]:
        """See `Program.diagnose`."""
        return await diagnose(self._settings, topology)

    def serve_database(self, kind: str, directory: Path) -> NoReturn:
        """See `Program.serve_database`."""
        if kind == "postgres":
            exec_postgres(directory)
        exec_valkey(directory)
