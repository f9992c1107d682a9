"""Take over from workers that died: undo what they left in force, and end what they began."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from test_coordination.application.capabilities import Fault
from test_coordination.application.engine.ledger import in_turns, undo
from test_coordination.application.engine.recorder import Recorder, Stores
from test_coordination.application.engine.vault import Vault
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.fleet import Machine, Worker, Workers
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
class Sweeper:
    """Undoes what dead workers left; any number of them may sweep at once.

    ``busy`` are the executions that this worker is at, now.
    """

    stores: Stores
    workers: Workers
    machine: Machine
    faults: Mapping[str, Fault]
    secrets: Secrets
    me: WorkerId
    busy: Container[ExecutionId] = frozenset()
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def sweep(self, *, again: bool = False) -> Sequence[Swept]:
        """Undo and end every execution whose worker is dead; return what was done.

        So is one that this worker began and is not at any more, because it lost the log. With
        ``again`` the faults that were left as residue, by whomever, are tried once more. An
        execution that another sweeper takes first is left to it.

        Raises:
            StoreUnavailableError: the stores cannot be read or written; what is left undone is
                found by the next sweep.
        """
        async with self._turn:
            # Executions before workers: who has one is registered by then, or has left.
            records = await self.stores.log.unsettled()
            living = {worker.id: worker for worker in await self.workers.all()}
            silent = frozenset(await self.workers.silent())
            swept: list[Swept] = []

            async def take(record: ExecutionRecord) -> None:
                residue = again and record.status is Status.FINISHED
                why = "what was left is tried again" if residue else ""
                why = why or self._abandoned(record, living.get(record.worker), silent)
                if why and (done := await self._take(record, why)) is not None:
                    swept.append(done)

            await in_turns(partial(take, record) for record in records)
            return swept

    def _abandoned(
        self, record: ExecutionRecord, holder: Worker | None, silent: frozenset[WorkerId]
    ) -> str:
        """Return why nobody can be at an execution any more; empty if somebody may be."""
        if record.worker == self.me:
            gone = record.id not in self.busy and record.status is not Status.FINISHED
            return "its worker is not at it any more" if gone else ""
        if holder is None:
            return "its worker has left"
        if self.machine.is_dead(holder):
            return f"its worker, process {holder.pid} on this machine, is dead"
        if holder.id in silent:
            return f"its worker, process {holder.pid} on {holder.host}, has been silent too long"
        return ""

    async def _take(self, record: ExecutionRecord, why: str) -> Swept | None:
        epoch = await self.workers.claim(record.id, by=self.me, epoch=record.epoch)
        if epoch is None:
            return None
        try:
            return await self._settle(replace(record, worker=self.me, epoch=epoch), why)
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

    async def _settle(self, record: ExecutionRecord, why: str) -> Swept | None:
        state = Execution.of(record.id, await self.stores.log.read(record.id))
        if state.status is Status.FINISHED and not state.outstanding:
            return None  # it has ended since its record was read
        vault = Vault(self.secrets)
        recorder = Recorder(self.stores, record, state, vault=vault)
        if state.status is not Status.FINISHED:
            await recorder.record(ExecutionTakenOver(worker=self.me, reason=why))
        await in_turns(
            partial(self._undo, fault, recorder, vault) for fault in reversed(state.outstanding)
        )
        if recorder.state.status is not Status.FINISHED:
            await recorder.record(*conclusion(record.plan, recorder.state))
        left = recorder.state.outstanding
        still = {fault.step for fault in left}
        undone = tuple(fault for fault in state.outstanding if fault.step not in still)
        return Swept(execution=record.id, scenario=record.scenario_name, undone=undone, left=left)

    async def _undo(self, state: FaultState, recorder: Recorder, vault: Vault) -> None:
        fault = self.faults.get(state.fault)
        if fault is None:
            reason = f"this program knows no fault {state.fault!r}; undo it with one that does"
            failed = FaultRevertFailed(step=state.step, reason=reason, code="fault.unknown")
            await recorder.record(failed)
            return
        armed = FaultArmed(
            step=state.step, fault=state.fault, service=state.service, receipt=state.receipt
        )
        unsealed = partial(vault.unseal, state.receipt)
        await undo(fault, armed, recorder.record, receipt=unsealed)
