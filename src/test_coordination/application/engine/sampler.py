"""Look at the system again and again, for as long as an execution lasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio

from test_coordination.application.capabilities import Catalogue, Probe
from test_coordination.application.engine.flow import fitting_sample
from test_coordination.application.engine.lease import Hold, LostError
from test_coordination.application.engine.vault import Vault
from test_coordination.application.pace import Pace
from test_coordination.application.ports import Clock, Evidence, LiveView
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.evidence import Sample
from test_coordination.domain.plan import PlannedProbe
from test_coordination.domain.topology import Topology

FLUSH_EVERY: Final = timedelta(milliseconds=500)
FLUSH_LIMIT: Final = timedelta(seconds=10)
UNSAVED_MAX: Final = 100_000
"""How many samples wait in memory for a store that is away; the oldest are dropped first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """What is needed to look at a system; ``vault`` has the secrets that it takes.

    Who looks again and again waits for a turn of ``pace`` before each look.
    """

    catalogue: Catalogue
    topology: Topology
    clock: Clock
    vault: Vault
    pace: Pace = field(default_factory=Pace)


async def sample(probe: PlannedProbe, probing: Probing, see: Callable[[Sample], None]) -> None:
    """Take a sample every ``probe.every``, counted from the first one, until cancelled.

    A look that takes longer than that, or that had to wait for its turn, costs the samples that
    would have begun meanwhile. A probe that cannot be opened, or breaks, gives a missing sample
    and is opened again. No sample holds a secret that the probe was given.
    """
    kind, clock, vault = probing.catalogue.probes[probe.kind], probing.clock, probing.vault

    def tell(taken: Sample) -> None:
        see(fitting_sample(vault.conceal_sample(taken)))

    while True:
        at = clock.now()
        try:
            parameters = vault.reveal(probe.parameters)
            async with kind.open(probing.topology, parameters, timeout=probe.timeout) as reader:
                await _keep_looking(probe, reader, probing, see=tell)
        except Exception as error:  # noqa: BLE001  a border, as a step is: see `_why`
            took = clock.now() - at
            tell(Sample(probe=probe.name, at=at, took=took, error=_why(error, probe)))
        await anyio.sleep(probe.every.total_seconds())


async def _keep_looking(
    probe: PlannedProbe, reader: Probe, probing: Probing, *, see: Callable[[Sample], None]
) -> None:
    clock = probing.clock
    start, turn = clock.now(), 0
    while True:
        await probing.pace.turn()
        see(await _look(probe, reader, clock))
        elapsed = clock.now() - start
        turn = max(turn + 1, -(-elapsed // probe.every))
        await anyio.sleep(max(0.0, (turn * probe.every - elapsed).total_seconds()))


async def _look(probe: PlannedProbe, reader: Probe, clock: Clock) -> Sample:
    at = clock.now()
    try:
        with anyio.fail_after(probe.timeout.total_seconds()):
            fields = await reader.read()
    except Exception as error:  # noqa: BLE001  a border, as a step is: see `_why`
        return Sample(probe=probe.name, at=at, took=clock.now() - at, error=_why(error, probe))
    return Sample(probe=probe.name, at=at, took=clock.now() - at, fields=fields)


def _why(error: Exception, probe: PlannedProbe) -> str:
    """Return why there is nothing; a bug in a probe must not end the steps beside it."""
    match error:
        case CoordinationError():
            return str(error) or error.code
        case TimeoutError():
            return f"no answer within {probe.timeout.total_seconds():g} s"
        case _:
            return f"a bug of ours: {type(error).__name__}: {error}"


@dataclass(slots=True, kw_only=True)
class SampleWriter:
    """Collects samples and stores them a few times a second.

    A store that is away delays them; what does not fit into memory by then is dropped, oldest
    first, and counted among the ``lost``.
    """

    hold: Hold
    evidence: Evidence
    live: LiveView
    _dropped: int = 0
    _unseen: list[Sample] = field(default_factory=list)
    _waiting: deque[Sample] = field(default_factory=deque)

    @property
    def lost(self) -> int:
        """Return how many samples will never be stored, if no further flush comes."""
        return self._dropped + len(self._waiting)

    def add(self, sample: Sample) -> None:
        """Take ``sample`` over; it is shown and stored with the next flush."""
        self._unseen.append(sample)
        self._waiting.append(sample)
        self._trim()

    async def run(self) -> None:
        """Flush until cancelled; while the execution may be another worker's, only show."""
        while True:
            await anyio.sleep(FLUSH_EVERY.total_seconds())
            self._show()
            if self.hold.certain:
                await self._store()

    async def flush(self) -> None:
        """Show what is new and store what waits; what is not stored in time waits on.

        Of an execution that another worker has taken nothing is stored.
        """
        self._show()
        with suppress(LostError):
            await self.hold.unless_lost()
            await self._store()

    def _show(self) -> None:
        unseen, self._unseen = self._unseen, []
        if unseen:
            self.live.publish_samples(self.hold.execution, unseen)

    async def _store(self) -> None:
        """Store what waits; being cut short costs nothing: what is stored twice is kept once."""
        if not self._waiting:
            return
        batch, self._waiting = tuple(self._waiting), deque()
        try:
            with anyio.move_on_after(FLUSH_LIMIT.total_seconds()), suppress(StoreUnavailableError):
                await self.evidence.add_samples(self.hold.execution, batch)
                batch = ()
        finally:
            self._waiting.extendleft(reversed(batch))
            self._trim()

    def _trim(self) -> None:
        while len(self._waiting) > UNSAVED_MAX:
            self._waiting.popleft()
            self._dropped += 1
