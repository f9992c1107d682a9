"""Leases for what is tested without a coordinator that beats."""

from __future__ import annotations

from support.engine_fakes import OneMachine
from support.virtual_time import LoopClock
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.application.engine.lease import Hold, Lease
from test_coordination.application.fleet import Worker, Workers
from test_coordination.domain.values import ExecutionId, WorkerId


class FirmLease(Lease):
    """A lease that is in force for ever, although nobody beats."""

    @property
    def lapses(self) -> int:
        return 1

    @property
    def valid(self) -> bool:
        return True


def firm(workers: Workers, worker: WorkerId) -> Lease:
    """Return the lease of a worker that never falls silent."""
    return FirmLease(workers, Worker(id=worker, host="here", pid=1, born="once"), OneMachine())


def firmly(execution: ExecutionId) -> Hold:
    """Return the hold of an execution that nobody ever takes away."""
    workers = MemoryWorkers(LoopClock(), MemoryExecutionLog())
    return firm(workers, WorkerId(execution)).hold(execution, epoch=1)
