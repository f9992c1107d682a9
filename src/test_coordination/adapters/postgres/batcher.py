"""Appends that meet are written together: one transaction, and one wait for the disk, for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from test_coordination.adapters.background import beside
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId

QUEUE_MAX: Final = 1024
"""How many appends may wait; whoever comes then waits to be let in."""
BATCH_ENTRIES_MAX: Final = 4_000
"""A batch takes no further append once it has this many entries."""
HANDS: Final = 2
"""How many batches are written at a time: while one waits for the disk, another is sent."""
DRAIN_S_MAX: Final = 60.0

DOING: Final = "appending to an execution's log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What one caller wants written, if the log still ends at ``expected`` and is still its own."""

    entries: Sequence[Entry]
    leading_to: Execution
    epoch: int

    @property
    def expected(self) -> int:
        """Return where the log must end."""
        return self.entries[0].position - 1

    def conflict(self) -> LogConflictError:
        """Return what its caller is told if the log has moved on, or is not its own any more."""
        return LogConflictError(execution=self.leading_to.id, expected=self.expected)


Write: TypeAlias = Callable[[Sequence[Append]], Awaitable[Mapping[ExecutionId, CoordinationError]]]
"""Writes appends to different logs in one transaction; returns why some were not written."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    # The loop's own future: thousands a second wait on one, and an event of anyio's would send
    # each of them through the loop twice more.
    append: Append
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, error: Exception | None = None) -> None:
        """Give the caller its outcome; one that was cancelled does not wait for it any more."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Batcher:
    """Hands what many callers append to one writer, and each its own outcome."""

    def __init__(self, write: Write, queue: MemoryObjectSendStream[_Waiting]) -> None:
        self._write = write
        self._queue = queue

    async def append(self, append: Append) -> None:
        """Return when ``append`` is committed.

        A caller that is cancelled here leaves the batch undisturbed: its append may be written
        all the same.

        Raises:
            CoordinationError: why it may not be written; nothing was.
            StoreUnavailableError: whether it was written is not known.
        """
        waiting = _Waiting(append=append)
        try:
            await self._enqueue(waiting)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _broken_off() from error
        await waiting.done

    async def _enqueue(self, waiting: _Waiting) -> None:
        try:
            self._queue.send_nowait(waiting)
        except anyio.WouldBlock:
            await self._queue.send(waiting)


@asynccontextmanager
async def open_batcher(write: Write) -> AsyncGenerator[Batcher]:
    """Lend a batcher; at the end what has been accepted is still written."""
    send, receive = anyio.create_memory_object_stream[_Waiting](QUEUE_MAX)
    writer = _Writer(write, receive)
    async with beside(writer.run, stop=send.close, grace_s=DRAIN_S_MAX):
        yield Batcher(write, send)


class _Writer:
    """The hands that empty the queue; no log is ever in two of them."""

    def __init__(self, write: Write, queue: MemoryObjectReceiveStream[_Waiting]) -> None:
        self._write = write
        self._queue = queue
        self._accepted: deque[_Waiting] = deque()
        self._in_hand: dict[ExecutionId, _Waiting] = {}
        self._taking = anyio.Lock()
        self._put_down = anyio.Event()

    async def run(self) -> None:
        try:
            async with anyio.create_task_group() as group:
                for _ in range(HANDS):
                    group.start_soon(self._write_on)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                self._accepted.append(self._queue.receive_nowait())
        self._queue.close()
        for waiting in (*self._in_hand.values(), *self._accepted):
            waiting.end(_broken_off())

    async def _write_on(self) -> None:
        while batch := await self._take():
            await self._deliver(batch)
            for waiting in batch:
                del self._in_hand[waiting.append.leading_to.id]
            self._put_down.set()

    async def _take(self) -> Sequence[_Waiting]:
        """Return what is to be written next; nothing at the end."""
        async with self._taking:
            while await self._accept():
                if batch := self._next_batch():
                    self._in_hand.update({each.append.leading_to.id: each for each in batch})
                    return batch
                # Each of those that wait belongs to a log that the other hand is writing.
                self._put_down = anyio.Event()
                await self._put_down.wait()
        return ()

    async def _accept(self) -> bool:
        """Take all that is in the queue, and wait for one if there is nothing to do."""
        try:
            if not self._accepted:
                self._accepted.append(await self._queue.receive())
            while len(self._accepted) < QUEUE_MAX:
                self._accepted.append(self._queue.receive_nowait())
        except anyio.WouldBlock:
            pass
        except anyio.EndOfStream:
            return bool(self._accepted)
        return True

    def _next_batch(self) -> Sequence[_Waiting]:
        """Take what was accepted in its order, but only one append a log at a time.

        The next one of the same log has to wait: whether it fits hangs on how the first fares.
        """
        batch: dict[ExecutionId, _Waiting] = {}
        later: deque[_Waiting] = deque()
        entries = 0
        for waiting in self._accepted:
            execution = waiting.append.leading_to.id
            if execution in self._in_hand or execution in batch or entries >= BATCH_ENTRIES_MAX:
                later.append(waiting)
            else:
                batch[execution] = waiting
                entries += len(waiting.append.entries)
        self._accepted = later
        return list(batch.values())

    async def _deliver(self, batch: Sequence[_Waiting]) -> None:
        try:
            refused = await self._write([waiting.append for waiting in batch])
        except StoreUnavailableError as error:
            for waiting in batch:
                waiting.end(replace(error))
        except Exception as error:  # noqa: BLE001  a border: one caller's bug is not the others'
            if len(batch) == 1:
                batch[0].end(error)
                return
            # Nothing was written, and one of them is to blame: each gets a transaction.
            for waiting in batch:
                await self._deliver([waiting])
        else:
            for waiting in batch:
                waiting.end(refused.get(waiting.append.leading_to.id))


def _broken_off() -> StoreUnavailableError:
    cause = "this program is ending"
    return StoreUnavailableError(store="PostgreSQL", doing=DOING, cause=cause)
