"""A whole system of processes: up in the order of dependencies, and down again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import anyio

from test_coordination.adapters.targets import specify
from test_coordination.adapters.targets.process import ProcessServices, folder_of
from test_coordination.adapters.targets.record import Record, Specification, locked, read, write
from test_coordination.application.capabilities import (
    Handle,
    ServiceStatus,
)
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.topology import STOP_GRACE_DEFAULT, Topology
from test_coordination.domain.values import ServiceName

PRIVATE: Final = 0o700


class ProcessSystem:
    """Starts and stops all services of a topology, which are processes, and its links' proxies."""

    def __init__(self, services: ProcessServices) -> None:
        self._services = services

    async def declare(self, topology: Topology) -> None:
        """Write how to launch each service to where its handle points; running ones stay.

        What was written takes effect at a service's next start, from any process.
        """
        folder = folder_of(topology)
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        for service in topology.services.values():
            specification = specify.specification(topology, service, logs=folder)
            await _declare(Path(self._services.locate(topology, service.name)), specification)

    async def up(self, topology: Topology) -> None:
        """Start whatever does not run, in the order of dependencies; return when all is healthy.

        Proxies whose links have changed are started anew.

        Raises:
            TargetFailedError: a service would not start; those started before it keep running.
        """
        await self.declare(topology)
        if topology.links:
            await self._start_links(topology)
        waits_for = {name: one.depends_on for name, one in topology.services.items()}

        async def start(service: ServiceName) -> None:
            await self._services.start(self._services.locate(topology, service))

        await _in_waves(waits_for, start, go_on=False)

    async def down(self, topology: Topology) -> None:
        """Stop whatever runs, in the reverse order; return when no process is left.

        What is left of services that were renamed ends first.
        """
        folder = folder_of(topology)
        known = {self._services.locate(topology, name) for name in topology.services}
        for stray in sorted({str(path) for path in folder.glob("*.json")} - known):
            await self._services.stop(stray, grace=STOP_GRACE_DEFAULT)
        waits_for = {
            name: tuple(other for other, one in topology.services.items() if name in one.depends_on)
            for name in topology.services
        }

        async def stop(service: ServiceName) -> None:
            handle = self._services.locate(topology, service)
            await self._services.stop(handle, grace=topology.services[service].stop_grace)

        try:
            await _in_waves(waits_for, stop, go_on=True)
        finally:
            await self._services.stop(_links_handle(topology), grace=STOP_GRACE_DEFAULT)

    async def _start_links(self, topology: Topology) -> None:
        handle = _links_handle(topology)
        wanted = specify.links(topology)
        await _declare(Path(handle), wanted)
        record = read(Path(handle))
        state = await self._services.observe(handle)
        outdated = record and record.launch and record.launch.digest != wanted.digest()
        if outdated and state.status is not ServiceStatus.STOPPED:
            await self._services.stop(handle, grace=STOP_GRACE_DEFAULT)
        await self._services.start(handle)


def _links_handle(topology: Topology) -> Handle:
    return str(Path(topology.directory).absolute() / "links.json")


async def _declare(path: Path, specification: Specification) -> None:
    async with locked(path):
        record = read(path)
        if record is None or record.specification != specification:
            launch = record.launch if record else None
            write(path, Record(specification=specification, launch=launch))


async def _in_waves(
    waits_for: Mapping[ServiceName, tuple[ServiceName, ...]],
    do: Callable[[ServiceName], Awaitable[None]],
    *,
    go_on: bool,
) -> None:
    """Do it for each service as soon as it is done for those that it waits for.

    After a failure, what waits for it is left out unless ``go_on``; the rest is still done, and
    the first failure is raised at the end.
    """
    ended = {name: anyio.Event() for name in waits_for}
    done: set[ServiceName] = set()
    failures: list[CoordinationError] = []

    async def one(name: ServiceName) -> None:
        try:
            for other in waits_for[name]:
                await ended[other].wait()
            if go_on or done.issuperset(waits_for[name]):
                await do(name)
                done.add(name)
        except CoordinationError as error:
            failures.append(error)
        finally:
            ended[name].set()

    async with anyio.create_task_group() as group:
        for name in waits_for:
            group.start_soon(one, name)
    if failures:
        raise failures[0]
