"""What a worker does about wishes: it hears them, has them carried out, and says so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from test_coordination.application.controls import Controls
from test_coordination.application.wishes import Answer, Desire, Ways, Wish, Wishes
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WishId, WorkerId

_ANSWERED_WITHIN_S: Final = 10.0
_BEGUN_WITHIN_S: Final = 2.0
_RELAY_S: Final = 1.0
_RELAYED_WITHIN_S: Final = 3600.0
_KNOWN_MAX: Final = 10_000


class _Begun(TaskStatus[None]):
    """Says that a way is listened to by now."""

    def __init__(self) -> None:
        self.event = anyio.Event()

    def started(self, value: None = None) -> None:
        del value
        self.event.set()


class Listening:
    """Hears wishes on all ways, has them carried out at once, and says so.

    ``heed`` carries one out and returns the executions of this worker that it is for.
    """

    def __init__(
        self,
        ways: Ways,
        controls: Controls,
        me: WorkerId,
        *,
        heed: Callable[[Wish], frozenset[ExecutionId]],
    ) -> None:
        self._ways = ways
        self._controls = controls
        self._me = me
        self._heed = heed
        self._known: dict[WishId, None] = {}
        self._heard: list[tuple[Wish, Wishes | None, frozenset[ExecutionId]]] = []
        self._news = anyio.Event()

    def hear(self, wish: Wish, way: Wishes | None = None) -> frozenset[ExecutionId]:
        """Have ``wish`` carried out, unless it was heard before; ``way`` is how it came.

        Return for which executions of this worker that is.
        """
        if wish.id in self._known:
            return frozenset()
        self._known[wish.id] = None
        if len(self._known) > _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        meant = self._heed(wish)
        self._heard.append((wish, way, meant))
        self._news.set()
        return meant

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Listen until this is cancelled; it has started once no wish is missed any more.

        A store that hangs is not waited for: it is heard when it is back.
        """
        async with anyio.create_task_group() as group:
            begun = [_Begun() for _ in self._ways]
            for way, status in zip(self._ways, begun, strict=True):
                tell = partial(self._hear_by, way)
                group.start_soon(partial(way.hear, tell, task_status=status))
            with anyio.move_on_after(_BEGUN_WITHIN_S):
                for status in begun:
                    await status.event.wait()
            task_status.started()
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                heard, self._heard = self._heard, []
                for wish, by, meant in heard:
                    group.start_soon(self._follow_up, wish, by, meant)

    def _hear_by(self, way: Wishes, wish: Wish) -> None:
        self.hear(wish, way)

    async def _follow_up(
        self, wish: Wish, way: Wishes | None, meant: frozenset[ExecutionId]
    ) -> None:
        """Say who acts on it, and keep what may be known only where nothing is kept."""
        answer = Answer(worker=self._me, executions=meant)
        async with anyio.create_task_group() as group:
            for each in self._ways if meant else ():
                group.start_soon(self._answer, each, wish.id, answer)
            if way is not None and way is not self._ways.kept:
                await self._relay(wish)
                if meant:
                    await self._answer(self._ways.kept, wish.id, answer)

    async def _answer(self, way: Wishes, wish: WishId, answer: Answer) -> None:
        with anyio.move_on_after(_ANSWERED_WITHIN_S), suppress(StoreUnavailableError):
            await way.answer(wish, answer)

    async def _relay(self, wish: Wish) -> None:
        """Keep a wish that came by another way; whoever made it may not have been able to."""
        with anyio.move_on_after(_RELAYED_WITHIN_S):
            while True:
                with suppress(StoreUnavailableError):
                    if await self._ways.kept.make(wish) and wish.desire is Desire.ABORT:
                        await self._controls.settle(wish)
                    return
                await anyio.sleep(_RELAY_S)
