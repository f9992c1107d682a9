"""Stores in memory that can be slow, away, or silent about what they have written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
import anyio.lowlevel
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from test_coordination.adapters.memory.evidence import MemoryEvidence
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.live import MemoryLiveView
from test_coordination.adapters.memory.wishes import MemoryWishes
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.wishes import Answer, Wish
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId, WishId


def gone() -> StoreUnavailableError:
    return StoreUnavailableError(store="the store", doing="being asked", cause="nobody is in")


class ShakyLog(MemoryExecutionLog):
    """An execution log whose store comes and goes.

    ``away`` refuses everything; ``mute`` writes so many appends without saying so; ``before``
    is awaited with the entries of each append, before they are written, and ``answer_s`` passes
    before it is said that they are. ``create_s`` passes before it is said that an execution is
    there, and so many are there without that being said as ``mute_creations`` tells.
    """

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.mute = 0
        self.appends = 0
        self.answer_s = 0.0
        self.create_s = 0.0
        self.mute_creations = 0
        self.slow_s: Mapping[str, float] = {}
        self.before: Callable[[Sequence[Entry]], Awaitable[None]] | None = None

    async def create(self, record: ExecutionRecord) -> None:
        self._answer()
        await super().create(record)
        await anyio.sleep(self.create_s)
        if self.mute_creations:
            self.mute_creations -= 1
            raise gone()

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        self.appends += 1
        for entry in entries:
            await anyio.sleep(self.slow_s.get(type(entry.event).__name__, 0))
        if self.before is not None:
            await self.before(entries)
        self._answer()
        await super().append(entries, leading_to=leading_to, epoch=epoch)
        await anyio.sleep(self.answer_s)
        if self.mute:
            self.mute -= 1
            raise gone()

    async def read(self, execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
        await anyio.lowlevel.checkpoint()
        self._answer()
        return await super().read(execution, after=after)

    async def children(self, parent: ExecutionId) -> Sequence[ExecutionRecord]:
        await anyio.lowlevel.checkpoint()
        self._answer()
        return await super().children(parent)

    async def unsettled(self) -> Sequence[ExecutionRecord]:
        self._answer()
        found = await super().unsettled()
        await anyio.lowlevel.checkpoint()
        return found

    def _answer(self) -> None:
        if self.away:
            raise gone()

    async def events(self, execution: ExecutionId) -> list[str]:
        """Return the names of what was written, also while the store is away."""
        return [type(entry.event).__name__ for entry in await super().read(execution)]


class ShakyWishes(MemoryWishes):
    """A way for wishes whose store comes and goes, and may hang, be slow, or not listen yet."""

    def __init__(self, log: MemoryExecutionLog) -> None:
        super().__init__(log)
        self.store = "memory"
        self.away = False
        self.hangs = False
        self.slow_s = 0.0
        self.deaf_s = 0.0

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        await anyio.sleep(self.deaf_s)
        await super().hear(tell, task_status=task_status)

    async def make(self, wish: Wish) -> bool:
        await self._answer()
        return await super().make(wish)

    async def answer(self, wish: WishId, answer: Answer) -> None:
        await self._answer()
        await super().answer(wish, answer)

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        await self._answer()
        return await super().answers(wish)

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        await self._answer()
        return await super().unfinished()

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        await self._answer()
        return await super().of(execution)

    async def unheeded(self) -> Mapping[ExecutionId, Wish]:
        await self._answer()
        return await super().unheeded()

    async def _answer(self) -> None:
        await anyio.sleep(self.slow_s)
        if self.hangs:
            await anyio.sleep_forever()
        if self.away:
            raise gone()


class ShakyEvidence(MemoryEvidence):
    """Evidence whose store comes and goes, and may hang."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.hangs = False

    async def add_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        await self._answer()
        await super().add_samples(execution, samples)

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        await self._answer()
        await super().add_snapshot(snapshot)

    async def _answer(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self.hangs:
            await anyio.sleep_forever()
        if self.away:
            raise gone()


class WatchedLiveView(MemoryLiveView):
    """A live view that says what it is told to say of its trouble, and counts samples."""

    said = ""
    samples = 0

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        super().publish_samples(execution, samples)
        self.samples += len(samples)

    def trouble(self) -> str:
        return self.said
