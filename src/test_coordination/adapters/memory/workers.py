"""Workers and their leases in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application.fleet import NOBODY, REMEMBERED, Holder, Worker
from test_coordination.application.ports import Clock
from test_coordination.domain.execution import Status
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
        holding = {record.worker for record in await self._log.unsettled()}
        forgotten = self._clock.now() - REMEMBERED
        for each, (_, end) in tuple(self._leases.items()):
            if end < forgotten and each not in holding:
                del self._leases[each]

    async def all(self) -> Sequence[Worker]:
        """See `Workers.all`."""
        return [self._leases[worker][0] for worker in sorted(self._leases)]

    async def holders(self) -> Sequence[Holder]:
        """See `Workers.holders`."""
        running: dict[WorkerId, int] = {}
        for record in await self._log.unsettled():
            ended = record.status is Status.FINISHED
            running[record.worker] = running.get(record.worker, 0) + (not ended)
        return [
            Holder(
                id=worker,
                worker=self._leases[worker][0] if worker in self._leases else None,
                silent=worker in self._leases and not self.is_alive(worker),
                running=count,
            )
            for worker, count in sorted(running.items())
            if worker != NOBODY
        ]

    async def claim(
        self, execution: ExecutionId, *, by: WorkerId, epoch: int, from_living: bool = False
    ) -> int | None:
        """See `Workers.claim`."""
        holder = self._log.held_by(execution, epoch=epoch)
        if holder is None or (holder != by and not from_living and self.is_alive(holder)):
            return None
        return self._log.hand_over(execution, by=by)

    async def held(self, epochs: Mapping[ExecutionId, int]) -> frozenset[ExecutionId]:
        """See `Workers.held`."""
        return frozenset(
            execution
            for execution, epoch in epochs.items()
            if self._log.held_by(execution, epoch=epoch) is not None
        )

    def is_alive(self, worker: WorkerId) -> bool:
        """Tell whether the worker's lease is in force."""
        return worker in self._leases and self._leases[worker][1] > self._clock.now()
