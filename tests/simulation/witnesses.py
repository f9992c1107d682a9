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
from test_coordination.domain.values import ExecutionId, WorkerId


class WitnessedLog(MemoryExecutionLog):
    """An execution log of which everything that it accepts is judged."""

    def __init__(self, truth: Truth, server: Server) -> None:
        """Whoever ``server`` serves is who writes."""
        super().__init__()
        self._truth = truth
        self._server = server

    async def create(self, record: ExecutionRecord) -> None:
        await super().create(record)
        assert self._server.caller is not None, "somebody did that"
        self._truth.created(record, self._server.caller)

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        caller = self._server.caller
        assert caller is not None, "somebody writes"
        try:
            await super().append(entries, leading_to=leading_to, epoch=epoch)
        except LogConflictError:
            self._truth.tell("refused", f"{short(leading_to.id)} as {epoch} by {caller.number}")
            raise
        self._truth.appended(caller, entries, leading_to=leading_to, epoch=epoch)
        length = len(self._kept[leading_to.id].lines)
        if length != leading_to.position:
            wrong = f"the log of {leading_to.id} has {length} entries, not {leading_to.position}"
            self._truth.violated(wrong)

    def watch(self) -> None:
        """See to whom executions were given by what was just done."""
        for execution, told in self._truth.executions.items():
            record = self._kept[execution].record
            if record.epoch != told.epoch:
                assert self._server.caller is not None, "somebody did that"
                self._truth.given(execution, record, self._server.caller)


class WitnessedWorkers(MemoryWorkers):
    """Leases of which it is known when somebody sees that one has ended, or does not care."""

    def __init__(
        self, clock: Clock, log: MemoryExecutionLog, *, truth: Truth, server: Server
    ) -> None:
        """Whoever ``server`` serves is who looks, and claims."""
        super().__init__(clock, log)
        self._truth = truth
        self._server = server

    async def holders(self) -> Sequence[Holder]:
        found = await super().holders()
        for holder in found:
            if holder.silent:
                self._truth.happened("silence", self._truth.processes.get(holder.id))
        return found

    async def claim(
        self, execution: ExecutionId, *, by: WorkerId, epoch: int, from_living: bool = False
    ) -> int | None:
        told = self._truth.executions[execution]
        robbed, lives = self._truth.processes.get(told.holder), self.is_alive(told.holder)
        given = await super().claim(execution, by=by, epoch=epoch, from_living=from_living)
        if given is not None and lives and not told.over and robbed is not self._server.caller:
            assert robbed is not None, "who lives is known"
            if not (robbed.dead or robbed.over):
                wrong = f"{short(execution)} was claimed from {robbed}, whose lease holds"
                self._truth.violated(wrong)
        return given
