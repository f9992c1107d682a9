"""Find what workers that died have left, undo it, and end what nobody else is to carry on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

import anyio

from test_coordination.application.capabilities import Fault
from test_coordination.application.engine.continuing import HANDOVERS_MAX
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.ledger import in_turns
from test_coordination.application.engine.recorder import Recorder, Stores
from test_coordination.application.engine.takeover import Cleaning, Gone, absence
from test_coordination.application.engine.vault import Vault
from test_coordination.application.fleet import (
    NOBODY,
    Holder,
    Machine,
    Presence,
    Workers,
    taking,
)
from test_coordination.application.holders import NotEndedError
from test_coordination.application.ports import (
    ExecutionRecord,
    LogConflictError,
    Secrets,
)
from test_coordination.application.routing import lacking
from test_coordination.application.wishes import KeptWishes, NoWishes
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import AbortRequested, ExecutionReleased, ResidueAccepted
from test_coordination.domain.execution import Execution, FaultState, Status
from test_coordination.domain.values import ExecutionId, WorkerId

EXECUTION_TURN: Final = timedelta(milliseconds=100)
"""How long the settling of one execution has the world to itself before the next one begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did to one execution; ``left`` are the faults that it could not undo.

    One that was ``released`` has not ended: another worker is to carry it on. ``trouble`` says
    why nothing could be done at all, as with a log that is damaged.
    """

    execution: ExecutionId
    scenario: str
    undone: tuple[FaultState, ...]
    left: tuple[FaultState, ...]
    released: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """An execution that nobody can be at any more, and why.

    With a ``stop`` somebody wants it stopped, and that is how it ends.
    """

    record: ExecutionRecord
    gone: Gone
    stop: AbortRequested | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Undoes what dead workers left; any number of them may sweep at once.

    ``lease`` is that of this worker, and ``busy`` are the executions that it is at, now. Those
    that are being settled are kept in ``settling``: nobody of this worker must take one meanwhile.
    ``wishes`` and who is ``present`` tell what is to be stopped, and that no worker will do it.
    """

    stores: Stores
    workers: Workers
    machine: Machine
    faults: Mapping[str, Fault]
    secrets: Secrets
    lease: Lease
    present: Callable[[], Awaitable[Sequence[Presence]]]
    busy: Collection[ExecutionId] = frozenset()
    settling: dict[ExecutionId, anyio.Event] = field(default_factory=dict)
    wishes: KeptWishes = field(default_factory=NoWishes)

    @property
    def me(self) -> WorkerId:
        """Return who sweeps."""
        return self.lease.me

    async def sweep(self, *, again: bool = False) -> Sequence[Swept]:
        """Settle every execution whose worker is dead; return what was done.

        With ``again`` the faults that were left as residue, by whomever, are tried once more,
        after what this worker is settling already. An execution that another sweeper takes first
        is left to it.

        Raises:
            StoreUnavailableError: the stores cannot be read or written; what is left undone is
                found by the next sweep.
        """
        if again:
            for settled in tuple(self.settling.values()):
                await settled.wait()
        return await self.settle(await self.find(again=again))

    async def find(self, *, again: bool = False, own: bool = True) -> Sequence[Abandoned]:
        """Return the executions whose worker is dead; each must be settled.

        With ``own``, so is one that this worker began and is not at any more, because it lost the
        log, and what has no worker and waits for one in vain. Where every worker is alive and at
        its executions, no other execution is read, and what this worker is settling already is
        left out. See `sweep` for ``again``.

        Raises:
            StoreUnavailableError: the stores cannot be read.
        """
        gone = await self._gone(own=own)
        found = await self._strays() if own else {}
        records = await self.stores.log.unsettled() if gone or again else ()
        # From here on nothing is waited for: whoever looks meanwhile would find the same.
        for record in records:
            if (why := self._abandoned(record, gone, again=again)) is not None:
                found[record.id] = Abandoned(record=record, gone=why)
        free = [each for execution, each in found.items() if execution not in self.settling]
        self.settling.update({each.record.id: anyio.Event() for each in free})
        return free

    async def _strays(self) -> dict[ExecutionId, Abandoned]:
        """Return what no worker has and none will take: steps of what has ended, and others.

        Those are to be stopped, and no worker at work can carry them out.
        """
        gone = Gone(why="what it is a step of has ended", certainly=True)
        orphans = await self.stores.log.orphans()
        found = {record.id: Abandoned(record=record, gone=gone) for record in orphans}
        unheeded = await self.wishes.unheeded()
        at_work = taking(await self.present()) if unheeded else ()
        for execution, wish in unheeded.items():
            record = await self.stores.log.get(execution)
            if record.worker == NOBODY and (lacks := lacking(record.requires, at_work)):
                stop = AbortRequested(reason=wish.reason, by=wish.by)
                gone = Gone(why=lacks, certainly=True)
                found[execution] = Abandoned(record=record, gone=gone, stop=stop)
        return found

    async def settle(self, found: Sequence[Abandoned]) -> Sequence[Swept]:
        """Undo and end what was found; return what was done.

        One that is detached is not ended, but given to whoever carries it on.

        Raises:
            StoreUnavailableError: the stores cannot be read or written; what is left undone is
                found by the next sweep.
        """
        swept: list[Swept] = []

        async def take(each: Abandoned) -> None:
            if (done := await self._take(each)) is not None:
                swept.append(done)

        try:
            await in_turns((partial(take, each) for each in found), turn=EXECUTION_TURN)
        finally:
            for each in found:
                self.settling.pop(each.record.id).set()
        return swept

    async def accept(self, execution: ExecutionId, *, reason: str, by: str) -> Sequence[FaultState]:
        """Have ``by`` answer for what an execution and its steps left; return that.

        It stays on record as residue, as does the verdict. Nobody tries to undo it any more, and
        what was held because of it is free.

        Raises:
            NotFoundError: no execution has that identity.
            NotEndedError: it has not ended.
            LogConflictError: another worker tries to undo it just now; nothing was accepted of it.
            StoreUnavailableError: whether it was accepted is not known; repeating it is safe.
        """
        record = await self.stores.log.get(execution)
        if record.status is not Status.FINISHED:
            raise NotEndedError(execution=execution)
        accepted = [*await self._accept(record, reason=reason, by=by)] if record.outstanding else []
        for step in await self.stores.log.children(execution):
            accepted += await self.accept(step.id, reason=reason, by=by)
        return accepted

    async def _accept(
        self, record: ExecutionRecord, *, reason: str, by: str
    ) -> Sequence[FaultState]:
        epoch = await self.workers.claim(
            record.id, by=self.me, epoch=record.epoch, from_living=True
        )
        if epoch is None:
            raise LogConflictError(execution=record.id, expected=record.end)
        claimed = replace(record, worker=self.me, epoch=epoch)
        state = Execution.of(record.id, await self.stores.log.read(record.id))
        recorder = Recorder(self.stores, claimed, state, vault=Vault(self.secrets))
        left = state.outstanding
        words = [ResidueAccepted(step=fault.step, reason=reason, by=by) for fault in left]
        await recorder.record(*words)
        return left

    async def _gone(self, *, own: bool) -> Mapping[WorkerId, Gone]:
        """Return the workers that are not at all that is theirs."""
        holders = await self.workers.holders()
        found = {each.id: self._judged(each, own=own) for each in holders}
        return {worker: gone for worker, gone in found.items() if gone is not None}

    def _judged(self, holder: Holder, *, own: bool) -> Gone | None:
        if holder.id == self.me:
            # One more than there really is only delays this until it is over.
            left = own and holder.running > len(self.busy) + len(self.settling)
            return Gone(why="its worker is not at it any more") if left else None
        return absence(holder.worker, silent=holder.silent, machine=self.machine, lease=self.lease)

    def _abandoned(
        self, record: ExecutionRecord, gone: Mapping[WorkerId, Gone], *, again: bool
    ) -> Gone | None:
        """Return why nobody can be at an execution any more; None if somebody may be."""
        ended = record.status is Status.FINISHED
        if record.id in self.busy or record.id in self.settling:
            return None
        if again and record.outstanding and (ended or record.worker == NOBODY):
            return Gone(why="what was left is tried again", certainly=True)
        return None if ended and record.worker == self.me else gone.get(record.worker)

    async def _take(self, each: Abandoned) -> Swept | None:
        record, gone = each.record, each.gone
        hold = self.lease.hold(record.id, epoch=record.epoch + 1)
        epoch = await self.workers.claim(
            record.id, by=self.me, epoch=record.epoch, from_living=gone.certainly
        )
        if epoch is None:
            return None
        try:
            return await self._settle(
                replace(each, record=replace(record, worker=self.me, epoch=epoch)), hold
            )
        except LogConflictError:
            return None
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  a border: one damaged log must not keep the faults of the others in force
            trouble = f"{type(error).__name__}: {error}"
            return Swept(
                execution=record.id,
                scenario=record.scenario_name,
                undone=(),
                left=(),
                trouble=trouble,
            )

    async def _settle(self, each: Abandoned, hold: Hold) -> Swept | None:
        record, why = each.record, each.gone.why
        state = Execution.of(record.id, await self.stores.log.read(record.id))
        if state.status is Status.FINISHED and not state.outstanding:
            return None  # it has ended since its record was read
        vault = Vault(self.secrets)
        recorder = Recorder(self.stores, record, state, vault=vault)
        cleaning = Cleaning(faults=self.faults, recorder=recorder, vault=vault, hold=hold)
        goes_on = each.stop is None and state.status is not Status.FINISHED
        released = goes_on and await self._goes_on(record, state)
        if released:
            await self._release(record, cleaning, why)
        else:
            await cleaning.end(record, by=self.me, why=why, stop=each.stop)
        left = recorder.state.outstanding
        still = {fault.step for fault in left}
        return Swept(
            execution=record.id,
            scenario=record.scenario_name,
            undone=tuple(fault for fault in state.outstanding if fault.step not in still),
            left=left,
            released=released,
        )

    async def _goes_on(self, record: ExecutionRecord, state: Execution) -> bool:
        """Tell whether another worker is to carry an execution on, and not to end it."""
        if not record.detached or state.handovers >= HANDOVERS_MAX:
            return False
        # Nobody looks for the step of what has ended.
        return not await self._has_ended(record.parent)

    async def _has_ended(self, parent: ExecutionId | None) -> bool:
        if parent is None:
            return False
        return (await self.stores.log.get(parent)).status is Status.FINISHED

    async def _release(self, record: ExecutionRecord, cleaning: Cleaning, why: str) -> None:
        if cleaning.recorder.state.status is Status.RUNNING:
            await cleaning.recorder.record(ExecutionReleased(reason=why))
            await cleaning.undo_left()
        await self.workers.claim(record.id, by=NOBODY, epoch=record.epoch, from_living=True)
