"""Look at the system again and again, for as long as an execution lasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio

from test_coordination.application.capabilities import Catalogue, Probe, ProbeFailedError
from test_coordination.application.ports import Clock, Evidence, LiveView
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.evidence import Sample
from test_coordination.domain.plan import PlannedProbe
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ExecutionId

FLUSH_EVERY: Final = timedelta(milliseconds=500)
UNSAVED_MAX: Final = 100_000
"""How many samples wait in memory for a store that is away; the oldest are dropped first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """What is needed to look at a system."""

    catalogue: Catalogue
    topology: Topology
    clock: Clock


async def sample(probe: PlannedProbe, probing: Probing, see: Callable[[Sample], None]) -> None:
    """Take a sample every ``probe.every``, counted from the first one, until cancelled.

    A look that takes longer than that costs the samples that would have begun meanwhile.
    """
    kind, clock = probing.catalogue.probes[probe.kind], probing.clock
    async with kind.open(probing.topology, probe.parameters, timeout=probe.timeout) as reader:
        start, turn = clock.now(), 0
        while True:
            see(await _look(probe, reader, clock))
            elapsed = clock.now() - start
            turn = max(turn + 1, -(-elapsed // probe.every))
            await anyio.sleep(max(0.0, (turn * probe.every - elapsed).total_seconds()))


async def _look(probe: PlannedProbe, reader: Probe, clock: Clock) -> Sample:
    at = clock.now()
    try:
        with anyio.fail_after(probe.timeout.total_seconds()):
            fields = await reader.read()
    except (ProbeFailedError, TimeoutError) as error:
        reason = str(error) or f"no answer within {probe.timeout.total_seconds():g} s"
        return Sample(probe=probe.name, at=at, took=clock.now() - at, error=reason)
    return Sample(probe=probe.name, at=at, took=clock.now() - at, fields=fields)


@dataclass(slots=True, kw_only=True)
class SampleWriter:
    """Collects samples and stores them a few times a second.

    A store that is away delays them; what does not fit into memory by then is dropped, oldest
    first, and counted.
    """

    execution: ExecutionId
    evidence: Evidence
    live: LiveView
    dropped: int = 0
    _waiting: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Take ``sample`` over; it is stored with the next flush."""
        self._waiting.append(sample)
        excess = len(self._waiting) - UNSAVED_MAX
        if excess > 0:
            del self._waiting[:excess]
            self.dropped += excess

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await anyio.sleep(FLUSH_EVERY.total_seconds())
            await self.flush()

    async def flush(self) -> Sequence[Sample]:
        """Store what was collected; return what could not be stored and waits on."""
        batch, self._waiting = self._waiting, []
        if batch:
            self.live.publish_samples(self.execution, batch)
            try:
                with anyio.CancelScope(shield=True):
                    await self.evidence.add_samples(self.execution, batch)
            except StoreUnavailableError:
                self._waiting = batch + self._waiting
        return self._waiting
