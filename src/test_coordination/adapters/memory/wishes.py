"""Wishes in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application.fleet import NOBODY
from test_coordination.application.wishes import Answer, Desire, Wish
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId, WishId, WorkerId


class MemoryWishes:
    """A `KeptWishes` for the workers in this process, about the executions in ``log``."""

    store = "memory"

    def __init__(self, log: MemoryExecutionLog) -> None:
        self._log = log
        self._made: dict[WishId, tuple[Wish, frozenset[ExecutionId]]] = {}
        self._answers: dict[WishId, dict[WorkerId, Answer]] = {}
        self._ears: list[Callable[[Wish], object]] = []

    async def make(self, wish: Wish) -> bool:
        """See `Wishes.make`."""
        if wish.id in self._made:
            return False
        meant = await self.unfinished() if wish.execution is None else [wish.execution]
        self._made[wish.id] = (wish, frozenset(meant))
        for tell in list(self._ears):
            tell(wish)
        return True

    async def answer(self, wish: WishId, answer: Answer) -> None:
        """See `Wishes.answer`."""
        if wish in self._made:
            self._answers.setdefault(wish, {})[answer.worker] = answer

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        """See `Wishes.answers`."""
        return list(self._answers.get(wish, {}).values())

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        """See `Wishes.unfinished`."""
        records = await self._log.unsettled()
        return {
            record.id: record.worker == NOBODY
            for record in records
            if record.status is not Status.FINISHED
        }

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        """See `KeptWishes.of`."""
        return [wish for wish, meant in self._made.values() if execution in meant]

    async def unheeded(self) -> Mapping[ExecutionId, Wish]:
        """See `KeptWishes.unheeded`."""
        aborts = [made for made in self._made.values() if made[0].desire is Desire.ABORT]
        stuck = [
            record.id
            for record in await self._log.unsettled()
            if record.worker == NOBODY and record.status is Status.RUNNING
        ]
        first = {each: [wish for wish, meant in aborts if each in meant][:1] for each in stuck}
        return {each: wish for each, wishes in first.items() for wish in wishes}

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """See `Wishes.hear`."""
        self._ears.append(tell)
        try:
            task_status.started()
            await anyio.sleep_forever()
        finally:
            self._ears.remove(tell)
