"""A clock whose time passes only when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Final

import anyio
from anyio import lowlevel

EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)
SETTLE_ROUNDS: Final = 10


@dataclass(order=True, slots=True)
class _Sleeper:
    until: datetime
    number: int
    wake: anyio.Event = field(compare=False)


class VirtualClock:
    """A `Clock` for tests and simulation; sleepers wake in the order of their times.

    Those of the same time wake in the order in which they went to sleep. One event loop only.
    """

    def __init__(self, *, start: datetime = EPOCH) -> None:
        self._now = start
        self._sleepers: list[_Sleeper] = []
        self._numbers = count()
        self._slept = anyio.Event()

    @property
    def sleepers(self) -> int:
        """Return how many wait for time to pass."""
        return len(self._sleepers)

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._now

    async def sleep(self, duration: timedelta) -> None:
        """See `Clock.sleep`."""
        if duration <= timedelta(0):
            await lowlevel.checkpoint()
            return
        until = self._now + duration
        sleeper = _Sleeper(until=until, number=next(self._numbers), wake=anyio.Event())
        heappush(self._sleepers, sleeper)
        self._slept.set()
        try:
            await sleeper.wake.wait()
        finally:
            if not sleeper.wake.is_set():
                self._sleepers = [other for other in self._sleepers if other is not sleeper]
                self._sleepers.sort()

    async def advance(self, duration: timedelta) -> None:
        """Let ``duration`` pass; return when all that it set in motion waits again.

        Whoever wakes may sleep again: time stops at each waking on the way.
        """
        end = self._now + duration
        await self._settle()
        while self._sleepers and self._sleepers[0].until <= end:
            await self._wake_next()
        self._now = end
        await self._settle()

    async def run(self) -> None:
        """Jump to the next waking whenever all tasks wait; ends only by being cancelled.

        Start it as a task of its own and time costs nothing. Tasks that wait for another
        process or for a thread are taken to wait for time, so leave those to `advance`.
        """
        while True:
            self._slept = anyio.Event()
            if not self._sleepers:
                await self._slept.wait()
            await self._settle()
            if self._sleepers:
                await self._wake_next()

    async def _wake_next(self) -> None:
        sleeper = heappop(self._sleepers)
        self._now = max(self._now, sleeper.until)
        sleeper.wake.set()
        await self._settle()

    async def _settle(self) -> None:
        # `wait_all_tasks_blocked` sleeps for 0.1 s of real time whenever it finds a task that
        # can run; letting each run a few times first makes that rare.
        for _ in range(SETTLE_ROUNDS):
            await lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
