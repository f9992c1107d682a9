"""Stores in memory that tell the truth of all that they accept."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.network import Server
from simulation.truth import Truth, short
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.application.fleet import Holder
from test_coordination.application.ports import Clock, ExecutionRecord, LogConflictError
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution


class WitnessedLog(MemoryExecutionLog):
    """An execution log of which everything that it accepts is judged."""

    def __init__(self, truth: Truth, server: Server) -> None:
        """Whoever ``server`` serves is who writes."""
        super().__init__()
        self._truth = truth
        self._server = server

    async def create(self, record: ExecutionRecord) -> None:
        await super().create(record)
        self._truth.created(record)

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        caller = self._server.caller
        assert caller is not None, "somebody writes"
        try:
            await super().append(entries, leading_to=leading_to, epoch=epoch)
        except LogConflictError:
            self._truth.tell("refused", f"{short(leading_to.id)} as {epoch} by {caller.number}")
            raise
        self._truth.appended(caller, entries, leading_to=leading_to, epoch=epoch)

    def watch(self) -> None:
        """See to whom executions were given by what was just done."""
        for execution, told in self._truth.executions.items():
            record = self._kept[execution].record
            if record.epoch != told.epoch:
                self._truth.given(execution, record.worker, record.epoch)


class WitnessedWorkers(MemoryWorkers):
    """Leases of which it is known when somebody sees that one has ended."""

    def __init__(self, clock: Clock, log: MemoryExecutionLog, truth: Truth) -> None:
        super().__init__(clock, log)
        self._truth = truth

    async def holders(self) -> Sequence[Holder]:
        found = await super().holders()
        for holder in found:
            if holder.silent:
                self._truth.happened("silence", self._truth.processes.get(holder.id))
        return found
