"""Which process each service runs as, as its state file and the kernel tell it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from anyio import to_thread

from test_coordination.adapters import kernel
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.record import read
from test_coordination.application.capabilities import TargetFailedError
from test_coordination.application.timetable import Sighting
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ServiceName


class ProcessWatch:
    """A `ServiceWatch` for services that are processes of this machine.

    Nothing is asked of them: that their first process lives is all that is looked at.
    """

    def __init__(self, services: ProcessServices) -> None:
        self._services = services

    async def sightings(
        self, topology: Topology, services: Sequence[ServiceName]
    ) -> Sequence[Sighting]:
        """See `ServiceWatch.sightings`."""
        paths = [(name, Path(self._services.locate(topology, name))) for name in services]
        seen = await to_thread.run_sync(lambda: [_sighting(name, path) for name, path in paths])
        return [each for each in seen if each is not None]


def _sighting(service: ServiceName, path: Path) -> Sighting | None:
    try:
        record = read(path)
    except TargetFailedError:  # a file that cannot be read tells nothing, here
        return None
    launched = record.launch if record is not None else None
    if launched is None or launched.pid is None or launched.started_at is None:
        return None
    process = kernel.look(launched.pid)
    if process is None or not process.alive or process.born != launched.born:
        return None
    return Sighting(
        service=service,
        place=f"{kernel.boot()} {path.parent}",
        mark=launched.mark,
        build=launched.digest,
        started_at=launched.started_at.astimezone(UTC),
    )
