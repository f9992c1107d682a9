"""Workers and their leases in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application.fleet import Worker
from test_coordination.application.ports import Clock
from test_coordination.domain.values import ExecutionId, WorkerId


class MemoryWorkers:
    """A `Workers` whose time is that of ``clock``."""

    def __init__(self, clock: Clock, log: MemoryExecutionLog) -> None:
        self._clock = clock
        self._log = log
        self._leases: dict[WorkerId, tuple[Worker, datetime]] = {}

    async def beat(self, worker: Worker, *, lease: timedelta) -> None:
        """See `Workers.beat`."""
        self._leases[worker.id] = (worker, self._clock.now() + lease)

    async def leave(self, worker: WorkerId) -> None:
        """See `Workers.leave`."""
        self._leases.pop(worker, None)

    async def silent(self) -> Sequence[WorkerId]:
        """See `Workers.silent`."""
        now = self._clock.now()
        return [worker for worker, (_, end) in sorted(self._leases.items()) if end <= now]

    async def all(self) -> Sequence[Worker]:
        """See `Workers.all`."""
        return [self._leases[worker][0] for worker in sorted(self._leases)]

    async def claim(self, execution: ExecutionId, *, by: WorkerId, epoch: int) -> int | None:
        """See `Workers.claim`."""
        return self._log.hand_over(execution, by=by, epoch=epoch)

    async def holds(self, execution: ExecutionId, *, epoch: int) -> bool:
        """See `Workers.holds`."""
        return self._log.is_held(execution, epoch=epoch)
