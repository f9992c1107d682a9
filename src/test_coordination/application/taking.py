"""Take an execution from whoever had it: find out that nobody is at it, and claim it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.takeover import Gone, absence
from test_coordination.application.fleet import NOBODY
from test_coordination.application.gathering import Loaded
from test_coordination.application.holders import AttachedError, HeldElsewhereError
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.execution import Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An execution that this worker has claimed, as it stood then; ``why`` it could."""

    record: ExecutionRecord
    loaded: Loaded
    state: Execution
    hold: Hold
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Claims detached executions for the worker of ``lease``."""

    world: World
    scenarios: Scenarios
    lease: Lease

    async def take(self, record: ExecutionRecord) -> Taken:
        """Claim an execution; whoever had it cannot write it any more.

        Raises:
            AttachedError: it is not detached.
            HeldElsewhereError: another worker may be at it, or was faster; nothing was done.
            StoreUnavailableError: it was not claimed, or the next sweep finds that nobody is at it.
            CoordinationError: this program cannot carry it out, and why; nothing was done.
        """
        if not record.detached:
            raise AttachedError(execution=record.id)
        gone = await self._gone(record)
        stored = await self.world.scenarios.get(record.scenario)
        loaded = await self.scenarios.load(stored)
        hold = self.lease.hold(record.id, epoch=record.epoch + 1)
        epoch = await self.world.workers.claim(
            record.id, by=self.lease.me, epoch=record.epoch, from_living=gone.certainly
        )
        if epoch is None:
            raise HeldElsewhereError(execution=record.id, worker=record.worker)
        read = partial(self.world.stores.log.read, record.id)
        log = await patiently(read, doing=f"taking execution {record.id}")
        return Taken(
            record=replace(record, worker=self.lease.me, epoch=epoch),
            loaded=loaded,
            state=Execution.of(record.id, log),
            hold=hold,
            why=gone.why,
        )

    async def _gone(self, record: ExecutionRecord) -> Gone:
        """Return why nobody is at an execution any more.

        Raises:
            HeldElsewhereError: somebody may be.
        """
        if record.worker in {NOBODY, self.lease.me}:
            return Gone(why="no worker was at it", certainly=True)
        holders = {holder.id: holder for holder in await self.world.workers.holders()}
        holder = holders.get(record.worker)
        if holder is not None:
            machine, lease = self.world.machine, self.lease
            gone = absence(holder.worker, silent=holder.silent, machine=machine, lease=lease)
            if gone is not None:
                return gone
        raise HeldElsewhereError(execution=record.id, worker=record.worker)
