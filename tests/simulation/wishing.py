"""The ways that wishes take between simulated processes: one that keeps them, and a quick one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from simulation.network import WORLD, Line
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.wishes import MemoryWishes
from test_coordination.application.wishes import Answer, Wish
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WishId

HEAR_EVERY_S = 2.0


class WishBook(MemoryWishes):
    """Wishes that can be read from a place on, and be lost all at once.

    ``made`` is called with each, and with those for whom it is, ``answered`` with who says that
    he acts on one.
    """

    made: Callable[[Wish, frozenset[ExecutionId]], None] | None = None
    answered: Callable[[Wish, Answer], None] | None = None

    def __init__(self, log: MemoryExecutionLog) -> None:
        super().__init__(log)
        self.pushes: list[Callable[[], None]] = []
        """What wakes those who listen."""

    async def make(self, wish: Wish) -> bool:
        fresh = await super().make(wish)
        if fresh and self.made is not None:
            self.made(*self._made[wish.id])
        for push in self.pushes if fresh else ():
            push()
        return fresh

    async def answer(self, wish: WishId, answer: Answer) -> None:
        await super().answer(wish, answer)
        if self.answered is not None and wish in self._made:
            self.answered(self._made[wish][0], answer)

    async def since(self, place: int) -> Sequence[Wish]:
        """Return what was wished after so many others."""
        return [wish for wish, _ in self._made.values()][place:]

    async def length(self) -> int:
        return len(self._made)

    def wipe(self) -> None:
        """Forget everything, as a store does that is emptied."""
        self._made.clear()
        self._answers.clear()


class RemoteWishes:
    """A `KeptWishes` as one process reaches it: it is woken by what is new, and asks for it.

    What wakes it may be lost; it asks now and then, all the same.
    """

    def __init__(self, line: Line, book: WishBook) -> None:
        self.store = line.server.name
        self._line = line
        self._book = book
        self._news = anyio.Event()

    async def make(self, wish: Wish) -> bool:
        return await self._line.ask(partial(self._book.make, wish))

    async def answer(self, wish: WishId, answer: Answer) -> None:
        await self._line.ask(partial(self._book.answer, wish, answer))

    async def answers(self, wish: WishId) -> Sequence[Answer]:
        return await self._line.ask(partial(self._book.answers, wish))

    async def unfinished(self) -> Mapping[ExecutionId, bool]:
        return await self._line.ask(self._book.unfinished)

    async def of(self, execution: ExecutionId) -> Sequence[Wish]:
        return await self._line.ask(partial(self._book.of, execution))

    async def unheeded(self) -> Mapping[ExecutionId, Wish]:
        return await self._line.ask(self._book.unheeded)

    async def hear(
        self,
        tell: Callable[[Wish], object],
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        self._book.pushes.append(self._push)
        place = 0
        with suppress(StoreUnavailableError):
            place = await self._line.ask(self._book.length)
        task_status.started()
        while True:
            with anyio.move_on_after(HEAR_EVERY_S):
                await self._news.wait()
            self._news = anyio.Event()
            with suppress(StoreUnavailableError):
                place = await self._read(place, tell)

    def _push(self) -> None:
        """Wake the process, unless what does that is lost on the way."""
        server = self._line.server
        if not self._line.cut and not server.weather.away:
            delay_s = (0.002 + server.weather.slow_s) * server.chance.random()
            server.loop.call_later(delay_s, self._wake, context=WORLD)

    def _wake(self) -> None:
        self._news.set()

    async def _read(self, place: int, tell: Callable[[Wish], object]) -> int:
        length = await self._line.ask(self._book.length)
        if length < place:
            place = 0  # it was emptied, and begun anew
        if length == place:
            return place
        fresh = await self._line.ask(partial(self._book.since, place))
        for wish in fresh:
            tell(wish)
        return place + len(fresh)
