"""What stands at the ports of a simulated worker, beside what is only reached over the network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from uuid import UUID

from simulation.loop import SimulatedLoop
from simulation.network import Line
from support.virtual_time import ANCHOR
from test_coordination.adapters.memory.dispatch import LOOK_EVERY, MemoryJobs
from test_coordination.application.fleet import Advert, Handled, Service
from test_coordination.application.ports import ExecutionRecord, Heard, LiveState, NotFoundError
from test_coordination.application.timetable import Sighting
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.execution import Execution
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ExecutionId, ServiceName, SnapshotId, WorkerId


@dataclass(slots=True)
class WallClock:
    """What a process takes for the time: that of the loop, and more or less."""

    loop: SimulatedLoop
    off_s: float = 0.0

    def now(self) -> datetime:
        return ANCHOR + timedelta(seconds=self.loop.now_s + self.off_s)


class Names:
    """Identities for everybody, none given twice."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self) -> UUID:
        return UUID(int=next(self._numbers))


class KeptEvidence:
    """An `Evidence` that keeps what anybody asks for here: snapshots."""

    def __init__(self) -> None:
        self._snapshots: dict[SnapshotId, Snapshot] = {}

    async def add_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """Take them, which is what the network is needed for."""

    async def samples(self, execution: ExecutionId) -> Sequence[Sample]:
        del execution
        return ()

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshots[snapshot.id] = snapshot

    async def snapshot(self, snapshot: SnapshotId) -> Snapshot:
        if snapshot not in self._snapshots:
            raise NotFoundError(kind="snapshot", identity=str(snapshot))
        return self._snapshots[snapshot]


class Glimpse:
    """A `LiveView` that shows nothing: whoever waits for it looks again by himself."""

    def publish(self, record: ExecutionRecord, state: Execution, entries: Sequence[Entry]) -> None:
        """Show nothing."""

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """Show nothing."""

    async def state(self, execution: ExecutionId) -> LiveState | None:
        del execution
        return None

    async def wait(self, execution: ExecutionId, *, after: int, limit: timedelta) -> None:
        del execution, after
        await asyncio.sleep(limit.total_seconds())

    async def news(self, after: Mapping[ExecutionId, int], *, limit: timedelta) -> Heard:
        del after
        await asyncio.sleep(limit.total_seconds())
        return Heard.DEAF

    def trouble(self) -> str:
        return ""


class RemoteJobs:
    """The jobs of a fleet, as one worker reaches them: as patient as a job library is.

    It renews what it was told that it has. What it was given by an answer that was lost it does
    not know of, and is given to another one.
    """

    def __init__(self, line: Line, jobs: MemoryJobs) -> None:
        self._line = line
        self._jobs = jobs
        self._known: set[ExecutionId] = set()

    async def take(self, service: Service, *, most: int) -> Sequence[ExecutionId]:
        found: Sequence[ExecutionId] = ()
        with suppress(StoreUnavailableError):
            found = await self._line.ask(partial(self._jobs.take, service, most=most))
        self._known.update(found)
        return found

    async def renew(self, worker: WorkerId) -> None:
        with suppress(StoreUnavailableError):
            await self._line.ask(partial(self._renew, worker, frozenset(self._known)))

    async def _renew(self, worker: WorkerId, known: frozenset[ExecutionId]) -> None:
        jobs = self._jobs._kept
        unknown = [kept for name, kept in jobs.items() if name not in known]
        before = [kept.renewed for kept in unknown]
        await self._jobs.renew(worker)
        for kept, renewed in zip(unknown, before, strict=True):
            kept.renewed = renewed

    async def put_down(
        self, execution: ExecutionId, worker: WorkerId, handled: Handled, *, at_once: bool
    ) -> None:
        self._known.discard(execution)
        with suppress(StoreUnavailableError):
            await self._line.ask(
                partial(self._jobs.put_down, execution, worker, handled, at_once=at_once)
            )

    async def announce(self, worker: WorkerId, advert: Advert) -> None:
        await self._line.ask(partial(self._jobs.announce, worker, advert))

    def advert(self, worker: WorkerId) -> tuple[Advert, datetime]:
        """Return what came back beside the workers, when these were asked for."""
        return self._jobs.advert(worker)

    async def change(self) -> None:
        await asyncio.sleep(LOOK_EVERY.total_seconds())


class BlindWatch:
    """A `ServiceWatch` that sees no service."""

    async def sightings(
        self, topology: Topology, services: Sequence[ServiceName]
    ) -> Sequence[Sighting]:
        del topology, services
        return ()


class Unmoved:
    """Whoever is told what a worker of the fleet does, and does nothing about it."""

    def taken(self, execution: ExecutionId, scenario: str) -> None:
        """Hear it."""

    def ended(self, execution: ExecutionId, scenario: str, end: Execution) -> None:
        """Hear it."""

    def given_back(self, execution: ExecutionId, scenario: str, reason: str) -> None:
        """Hear it."""

    def draining(self, executions: int, limit: timedelta) -> None:
        """Hear it."""
