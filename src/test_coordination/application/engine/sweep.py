"""Take over from workers that died: undo what they left in force, and end what they began."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from test_coordination.application.capabilities import Fault
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.ledger import Undoing, in_turns, undo
from test_coordination.application.engine.recorder import Recorder, Stores
from test_coordination.application.engine.vault import Vault
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.fleet import NOBODY, Holder, Machine, Workers
from test_coordination.application.ports import (
    ExecutionRecord,
    LogConflictError,
    Secrets,
)
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import ExecutionTakenOver, FaultArmed, FaultRevertFailed
from test_coordination.domain.execution import Execution, FaultState, Status
from test_coordination.domain.values import ExecutionId, WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did to one execution; ``left`` are the faults that it could not undo.

    ``trouble`` says why nothing could be done at all, as with a log that is damaged.
    """

    execution: ExecutionId
    scenario: str
    undone: tuple[FaultState, ...]
    left: tuple[FaultState, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    """Why a worker is taken for gone; ``certainly`` if it can do nothing, whatever its lease."""

    why: str
    certainly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Undoes what dead workers left; any number of them may sweep at once.

    ``lease`` is that of this worker, and ``busy`` are the executions that it is at, now.
    """

    stores: Stores
    workers: Workers
    machine: Machine
    faults: Mapping[str, Fault]
    secrets: Secrets
    lease: Lease
    busy: Collection[ExecutionId] = frozenset()
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def me(self) -> WorkerId:
        """Return who sweeps."""
        return self.lease.me

    async def sweep(self, *, again: bool = False, own: bool = True) -> Sequence[Swept]:
        """Undo and end every execution whose worker is dead; return what was done.

        With ``own``, so is one that this worker began and is not at any more, because it lost the
        log. With ``again`` the faults that were left as residue, by whomever, are tried once
        more. An execution that another sweeper takes first is left to it. Where every worker is
        alive and at its executions, no execution is read.

        Raises:
            StoreUnavailableError: the stores cannot be read or written; what is left undone is
                found by the next sweep.
        """
        async with self._turn:
            gone = await self._gone(own=own)
            if not gone and not again:
                return []
            swept: list[Swept] = []

            async def take(record: ExecutionRecord) -> None:
                found = self._abandoned(record, gone, again=again)
                if found is not None and (done := await self._take(record, found)) is not None:
                    swept.append(done)

            records = await self.stores.log.unsettled()
            await in_turns(partial(take, record) for record in records)
            return swept

    async def _gone(self, *, own: bool) -> Mapping[WorkerId, _Gone]:
        """Return the workers that are not at all that is theirs."""
        holders = await self.workers.holders()
        found = {each.id: self._judged(each, own=own) for each in holders}
        return {worker: gone for worker, gone in found.items() if gone is not None}

    def _judged(self, holder: Holder, *, own: bool) -> _Gone | None:
        worker = holder.worker
        if holder.id == self.me:
            # One more than there really is only delays this until it is over.
            left = own and holder.running > len(self.busy)
            return _Gone(why="its worker is not at it any more") if left else None
        if worker is None:
            return _Gone(why="its worker has left")
        if self.machine.is_dead(worker):
            why = f"its worker, process {worker.pid} on this machine, is dead"
            return _Gone(why=why, certainly=True)
        if holder.silent and self.lease.steady:
            why = f"its worker, process {worker.pid} on {worker.host}, has been silent too long"
            return _Gone(why=why)
        return None

    def _abandoned(
        self, record: ExecutionRecord, gone: Mapping[WorkerId, _Gone], *, again: bool
    ) -> _Gone | None:
        """Return why nobody can be at an execution any more; None if somebody may be."""
        ended = record.status is Status.FINISHED
        if record.worker == NOBODY or record.id in self.busy:
            return None
        if ended and again:
            return _Gone(why="what was left is tried again", certainly=True)
        return None if ended and record.worker == self.me else gone.get(record.worker)

    async def _take(self, record: ExecutionRecord, gone: _Gone) -> Swept | None:
        hold = self.lease.hold(record.id, epoch=record.epoch + 1)
        epoch = await self.workers.claim(
            record.id, by=self.me, epoch=record.epoch, from_living=gone.certainly
        )
        if epoch is None:
            return None
        try:
            return await self._settle(replace(record, worker=self.me, epoch=epoch), gone.why, hold)
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

    async def _settle(self, record: ExecutionRecord, why: str, hold: Hold) -> Swept | None:
        state = Execution.of(record.id, await self.stores.log.read(record.id))
        if state.status is Status.FINISHED and not state.outstanding:
            return None  # it has ended since its record was read
        vault = Vault(self.secrets)
        recorder = Recorder(self.stores, record, state, vault=vault)
        if state.status is not Status.FINISHED:
            await recorder.record(ExecutionTakenOver(worker=self.me, reason=why))
        await in_turns(
            partial(self._undo, fault, recorder, vault=vault, hold=hold)
            for fault in reversed(state.outstanding)
        )
        if recorder.state.status is not Status.FINISHED:
            await recorder.record(*conclusion(record.plan, recorder.state))
        left = recorder.state.outstanding
        still = {fault.step for fault in left}
        undone = tuple(fault for fault in state.outstanding if fault.step not in still)
        return Swept(execution=record.id, scenario=record.scenario_name, undone=undone, left=left)

    async def _undo(
        self, state: FaultState, recorder: Recorder, *, vault: Vault, hold: Hold
    ) -> None:
        fault = self.faults.get(state.fault)
        if fault is None:
            reason = f"this program knows no fault {state.fault!r}; undo it with one that does"
            failed = FaultRevertFailed(step=state.step, reason=reason, code="fault.unknown")
            await recorder.record(failed)
            return
        armed = FaultArmed(
            step=state.step, fault=state.fault, service=state.service, receipt=state.receipt
        )
        undoing = Undoing(
            fault=fault, armed=armed, receipt=partial(vault.unseal, state.receipt), hold=hold
        )
        await undo(undoing, recorder.record)
