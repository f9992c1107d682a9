"""Where the executions of one worker wait until they are let in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

import anyio

from test_coordination.application.fleet import Queue
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId

TRY_EVERY: Final = timedelta(milliseconds=500)
"""How often is looked whether what others held has become free."""


class Lobby:
    """Waits for all of its executions at once, and tries the queue when something has changed.

    It does so while `run` runs, once. A store that is away is waited for, however long.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._for_others = False
        self._waiting: dict[ExecutionId, anyio.Event] = {}
        self._hint = anyio.Event()

    def hint(self) -> None:
        """Try soon: an execution was created, or has ended."""
        self._hint.set()

    async def let_in(self, execution: ExecutionId) -> None:
        """Return when ``execution`` has been let in, or has ended without that."""
        over = self._waiting.setdefault(execution, anyio.Event())
        self.hint()
        try:
            await over.wait()
        finally:
            self._waiting.pop(execution, None)

    @contextmanager
    def trying_for_others(self) -> Iterator[None]:
        """Have the queue tried all the time meanwhile.

        Somebody has to let in those that wait for a worker, whoever ended what kept them out and
        died before it could try.
        """
        self._for_others = True
        self.hint()
        try:
            yield
        finally:
            self._for_others = False

    async def run(self) -> None:
        """Try the queue until this is cancelled: on each `hint`, and while any of ours waits."""
        while True:
            limit = TRY_EVERY.total_seconds() if self._for_others or self._waiting else None
            with anyio.move_on_after(limit):
                await self._hint.wait()
            self._hint = anyio.Event()
            with suppress(StoreUnavailableError):
                await self._try()

    async def _try(self) -> None:
        self._open(await self._queue.admit())
        if closed := [each for each, over in self._waiting.items() if not over.is_set()]:
            self._open(await self._queue.admitted(closed))

    def _open(self, executions: Iterable[ExecutionId]) -> None:
        for execution in executions:
            if (over := self._waiting.get(execution)) is not None:
                over.set()
