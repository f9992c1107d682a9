"""Take an execution from whoever had it: find out that nobody is at it, and claim it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.continuing import HANDOVERS_MAX
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.takeover import Cleaning, Gone, absence
from test_coordination.application.engine.vault import Vault
from test_coordination.application.fleet import NOBODY
from test_coordination.application.gathering import Loaded
from test_coordination.application.holders import AttachedError, HeldElsewhereError
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.events import ExecutionReleased
from test_coordination.domain.execution import Execution, Status


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
            CoordinationError: this program cannot carry it out, and why; its log says so, and
                whoever was refused it once too often has ended it.
        """
        if not record.detached:
            raise AttachedError(execution=record.id)
        gone = await self._gone(record)
        loaded = await self._loaded(record, gone)
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

    async def _loaded(self, record: ExecutionRecord, gone: Gone) -> Loaded:
        try:
            stored = await self.world.scenarios.get(record.scenario)
            return await self.scenarios.load(stored)
        except StoreUnavailableError:
            raise
        except CoordinationError as error:
            # What runs it hears of a step that cannot be carried on, and says what comes of it.
            if record.parent is None:
                with suppress(*LOST):
                    await self._refuse(record, gone, str(error))
            raise

    async def _refuse(self, record: ExecutionRecord, gone: Gone, reason: str) -> None:
        """Say in its log that it cannot be carried out here; undo what is left, and let go of it.

        After too many have said so it is ended.
        """
        world, me = self.world, self.lease.me
        hold = self.lease.hold(record.id, epoch=record.epoch + 1)
        epoch = await world.workers.claim(
            record.id, by=me, epoch=record.epoch, from_living=gone.certainly
        )
        if epoch is None:
            return
        claimed = replace(record, worker=me, epoch=epoch)
        state = Execution.of(record.id, await world.stores.log.read(record.id))
        if state.status is Status.FINISHED:
            return
        vault = Vault(world.secrets)
        recorder = Recorder(world.stores, claimed, state, vault=vault)
        cleaning = Cleaning(
            faults=world.catalogue.faults, recorder=recorder, vault=vault, hold=hold
        )
        said = f"given back by worker {me}: {reason}"
        await recorder.record(ExecutionReleased(reason=said, refused=True))
        if recorder.state.handovers >= HANDOVERS_MAX:
            await cleaning.end(claimed, by=me, why="no worker could carry it out")
            return
        await cleaning.undo_left()
        await world.workers.claim(record.id, by=NOBODY, epoch=epoch, from_living=True)

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
