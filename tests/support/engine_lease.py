"""Leases for what is tested without a coordinator that beats, and time in which nobody runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from support.engine_fakes import OneMachine
from support.engine_stores import gone
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


@dataclass(slots=True)
class Halt:
    """How long the process of a test has been stopped: time passes, and nothing of it runs."""

    lasted: timedelta = timedelta(0)

    def stop(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.lasted += timedelta(seconds=seconds)


class HaltedClock(LoopClock):
    """A clock that goes on while the process is stopped."""

    def __init__(self, halt: Halt) -> None:
        self.halt = halt

    def now(self) -> datetime:
        return super().now() + self.halt.lasted


class HaltedMachine(OneMachine):
    """A machine that is up while the process is stopped."""

    def __init__(self, halt: Halt) -> None:
        super().__init__()
        self.halt = halt

    def uptime(self) -> timedelta:
        return super().uptime() + self.halt.lasted


class ShakyWorkers(MemoryWorkers):
    """Workers whose store comes and goes for one of them, and may be slow.

    ``away`` refuses, ``hangs`` does not answer, and ``slow_s`` passes before an answer comes, of
    what beats and asks. ``beats`` and ``asked`` tell when that was.
    """

    def __init__(self, clock: LoopClock, log: MemoryExecutionLog) -> None:
        super().__init__(clock, log)
        self.away = False
        self.hangs = False
        self.slow_s = 0.0
        self.beats: list[float] = []
        self.asked: list[float] = []

    async def beat(self, worker: Worker, *, lease: timedelta) -> None:
        self.beats.append(anyio.current_time())
        await self._reached()
        await super().beat(worker, lease=lease)
        await anyio.sleep(self.slow_s)

    async def held(self, epochs: Mapping[ExecutionId, int]) -> frozenset[ExecutionId]:
        self.asked.append(anyio.current_time())
        await self._reached()
        return await super().held(epochs)

    async def _reached(self) -> None:
        if self.hangs:
            await anyio.sleep_forever()
        if self.away:
            raise gone()
