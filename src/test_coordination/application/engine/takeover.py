"""Do what a worker that is gone cannot do any more: who is gone, and what it left in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from test_coordination.application.capabilities import Fault
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.engine.ledger import Undoing, in_turns, undo
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.vault import Vault
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.fleet import Machine, Worker
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import (
    AbortRequested,
    ExecutionTakenOver,
    FaultArmed,
    FaultRevertFailed,
    Noted,
)
from test_coordination.domain.execution import FaultState, Status
from test_coordination.domain.values import WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Why a worker is taken for gone; ``certainly`` if it can do nothing, whatever its lease."""

    why: str
    certainly: bool = False


def absence(worker: Worker | None, *, silent: bool, machine: Machine, lease: Lease) -> Gone | None:
    """Return why another worker, None if it has left, is gone; None if it may be alive.

    ``silent`` tells that its lease has ended, which shows nothing unless our own ``lease`` has
    been in force for so long that others could have renewed theirs.
    """
    if worker is None:
        return Gone(why="its worker has left")
    if machine.is_dead(worker):
        why = f"its worker, process {worker.pid} on this machine, is dead"
        return Gone(why=why, certainly=True)
    if silent and lease.steady:
        why = f"its worker, process {worker.pid} on {worker.host}, has been silent too long"
        return Gone(why=why)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """Undoes what may be in force of an execution that this worker has claimed.

    ``faults`` are those that this program knows, ``vault`` has the secrets of their receipts.
    """

    faults: Mapping[str, Fault]
    recorder: Recorder
    vault: Vault
    hold: Hold

    async def undo_left(self) -> None:
        """Undo all that is outstanding, newest first; what cannot be undone stays on record.

        Raises:
            LostError: another worker has the execution, and undoes what is left.
            LogConflictError: another worker has the execution.
            StoreUnavailableError: what was undone could not be recorded.
        """
        left = reversed(self.recorder.state.outstanding)
        await in_turns(partial(self._undo, fault) for fault in left)

    async def end(
        self,
        record: ExecutionRecord,
        *,
        by: WorkerId,
        why: str,
        stop: AbortRequested | None = None,
    ) -> None:
        """Undo all that is outstanding, and end the log unless it has ended.

        With a ``stop`` it ends as stopped, and otherwise as one that could not run.

        Raises:
            LostError: another worker has the execution, and undoes what is left.
            LogConflictError: another worker has the execution.
            StoreUnavailableError: what was done could not be recorded.
        """
        recorder, state = self.recorder, self.recorder.state
        ended = state.status is Status.FINISHED
        if stop is not None and not ended:
            await recorder.record(stop, Noted(text=f"worker {by} ends it, as {why}"))
        elif not ended:
            tried = f", and {state.handovers} others had it before that" if state.handovers else ""
            last = f"; {state.released}" if state.handovers and state.released else ""
            await recorder.record(ExecutionTakenOver(worker=by, reason=f"{why}{tried}{last}"))
        await self.undo_left()
        if not ended:
            await recorder.record(*conclusion(record.plan, recorder.state))

    async def _undo(self, state: FaultState) -> None:
        fault = self.faults.get(state.fault)
        if fault is None:
            reason = f"this program knows no fault {state.fault!r}; undo it with one that does"
            failed = FaultRevertFailed(step=state.step, reason=reason, code="fault.unknown")
            await self.recorder.record(failed)
            return
        armed = FaultArmed(
            step=state.step, fault=state.fault, service=state.service, receipt=state.receipt
        )
        unsealed = partial(self.vault.unseal, state.receipt)
        undoing = Undoing(fault=fault, armed=armed, receipt=unsealed, hold=self.hold)
        await undo(undoing, self.recorder.record)
