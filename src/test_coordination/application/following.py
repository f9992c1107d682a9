"""Follow executions as they go on: however many look, the store is asked once for all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.engine.patience import STORE_PATIENCE, patiently
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.ports import ExecutionRecord, Heard
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionEnded
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId

POLL_EVERY: Final = timedelta(milliseconds=100)
"""How often the log is looked at where nobody tells us of news."""
TRUST: Final = timedelta(milliseconds=200)
"""How often it is looked at all the same where the live view does: it may fall silent."""
LISTEN_FOR: Final = timedelta(milliseconds=500)
"""How long the live view is listened to at a time."""
PACE: Final = timedelta(milliseconds=25)
"""How long passes before a look, whatever is going on: so a burst is read at once."""
DEAF_FOR: Final = timedelta(seconds=1)
"""How long a live view that does not answer is left alone."""
PAGE: Final = 500
"""How many entries of one log are read at a time."""
TAIL_MAX: Final = 2 * PAGE
"""How many of them are kept for followers that are a little behind; others read for themselves."""
READERS_MAX: Final = 2
"""How many of those read at once: the other connections belong to what runs."""

_DOING: Final = "following executions"


@dataclass(slots=True, kw_only=True, eq=False)
class _Channel:
    """The end of one log, as far as it was read for all who follow it.

    ``end`` is the position of its last entry, and ``tail`` the last ones up to it. ``over`` tells
    that the execution has ended.
    """

    end: int
    over: bool = False
    tail: deque[Entry] = field(default_factory=lambda: deque(maxlen=TAIL_MAX))
    followers: int = 0
    failure: Exception | None = None
    changed: anyio.Event = field(default_factory=anyio.Event)

    def add(self, entries: Sequence[Entry]) -> None:
        """Take entries that follow the last one, and wake those who wait for them."""
        self.tail.extend(entries)
        self.end = entries[-1].position
        self.over = self.over or any(isinstance(each.event, ExecutionEnded) for each in entries)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Tell all who follow that nothing more can be told."""
        self.failure = error
        self._wake()

    def _wake(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()

    def past(self, after: int) -> Sequence[Entry] | None:
        """Return the entries past ``after``; None if some of them are not kept any more."""
        missing = self.end - after
        if missing > len(self.tail):
            return None
        return list(islice(self.tail, len(self.tail) - missing, None)) if missing > 0 else []

    async def has_news(self, after: int) -> bool:
        """Return True when there is something past ``after``, False if it is over before.

        Raises:
            StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``.
        """
        while self.end <= after and self.failure is None and not self.over:
            await self.changed.wait()
        if self.failure is not None:
            raise self.failure
        return self.end > after


class Feed:
    """What is new in the executions that somebody follows in this process.

    One task looks for all of them, ten times a second, or when the live view or whoever runs an
    execution here says that something has happened; and only while somebody follows. A follower
    that takes its time costs nobody anything.
    """

    def __init__(self, stores: Stores, group: TaskGroup) -> None:
        """Look in a task of ``group``, whose owner must outlive those who follow."""
        self._stores = stores
        self._group = group
        self._channels: dict[ExecutionId, _Channel] = {}
        self._heard: frozenset[ExecutionId] = frozenset()
        self._nudged = anyio.Event()
        self._looked = anyio.Event()
        self._readers = anyio.CapacityLimiter(READERS_MAX)
        self._at_work: set[Callable[[], Awaitable[None]]] = set()

    def nudge(self) -> None:
        """Say that something has just been written by this process."""
        self._nudged.set()

    def lose(self, record: ExecutionRecord, failure: Exception | None) -> None:
        """Follow one of ours for a while only, if ``failure`` tells that it could not be written.

        A sweep ends it; but where a store can be read and not written, no sweep can.
        """
        if isinstance(failure, StoreUnavailableError) and not record.detached:
            self._group.start_soon(self._give_up, record.id, failure)

    async def _give_up(self, execution: ExecutionId, failure: StoreUnavailableError) -> None:
        await anyio.sleep(STORE_PATIENCE.total_seconds())
        if (channel := self._channels.pop(execution, None)) is not None:
            channel.fail(failure)

    async def follow(self, execution: ExecutionId, *, after: int) -> AsyncIterator[Entry]:
        """Yield the entries of an execution past ``after`` as they come, to its end.

        Raises:
            NotFoundError: no execution has that name.
            StoreUnavailableError: the store was away for longer than ``STORE_PATIENCE``, or the
                execution is one of ours, and for so long nobody could record how it ended.
        """
        get = partial(self._stores.log.get, execution)
        record = await patiently(get, doing=_DOING)
        end, has_more = record.end, True
        while has_more:
            async with aclosing(self._stored(execution, after)) as stored:
                async for entry in stored:
                    end = after = entry.position
                    yield entry
                    if isinstance(entry.event, ExecutionEnded):
                        return
            # Somebody asks for what comes after the end: some words may, and nothing else.
            if record.status is Status.FINISHED:
                return
            with self._joined(execution, min(after, end)) as channel:
                while has_more and (entries := channel.past(after)) is not None:
                    for entry in entries:
                        end = after = entry.position
                        yield entry
                        if isinstance(entry.event, ExecutionEnded):
                            return
                    has_more = await channel.has_news(after)

    async def _stored(self, execution: ExecutionId, after: int) -> AsyncGenerator[Entry]:
        """Yield what is there past ``after``, a page at a time."""
        entries: Sequence[Entry] | None = None
        while entries is None or len(entries) == PAGE:
            async with self._readers:
                entries = (await self._read({execution: after})).get(execution, ())
            for entry in entries:
                after = entry.position
                yield entry

    @contextmanager
    def _joined(self, execution: ExecutionId, after: int) -> Iterator[_Channel]:
        channel = self._channels.setdefault(execution, _Channel(end=after))
        channel.followers += 1
        for task in (self._look_on, self._listen):
            if task not in self._at_work:
                self._at_work.add(task)
                self._group.start_soon(task)
        try:
            yield channel
        finally:
            channel.followers -= 1
            if not channel.followers and self._channels.get(execution) is channel:
                del self._channels[execution]

    async def _look_on(self) -> None:
        """Look until nobody follows any more."""
        while self._channels:
            self._nudged = anyio.Event()
            await self._look()
            await self._pause()
        self._at_work.remove(self._look_on)

    async def _look(self) -> None:
        """Bring all channels up to date; who cannot be read is told why."""
        positions = {execution: channel.end for execution, channel in self._channels.items()}
        for execution, entries in (await self._found(positions)).items():
            channel = self._channels.get(execution)
            if channel is None:
                continue  # who followed it has left while we looked
            if isinstance(entries, Exception):
                channel.fail(entries)
                del self._channels[execution]
            elif entries[0].position == channel.end + 1:
                channel.add(entries)
                if len(entries) == PAGE:
                    self._nudged.set()
        looked, self._looked = self._looked, anyio.Event()
        looked.set()

    async def _found(
        self, positions: Mapping[ExecutionId, int]
    ) -> Mapping[ExecutionId, Sequence[Entry] | Exception]:
        """Return what is new in each log, or why it cannot be told.

        A log that cannot be read, as one that a later version of this program writes, keeps
        nobody from the others.
        """
        try:
            return await self._read(positions)
        except StoreUnavailableError as error:
            return dict.fromkeys(positions, error)
        except Exception as error:  # noqa: BLE001  a border: who only looks must not end what runs
            if len(positions) == 1:
                return dict.fromkeys(positions, error)
        found: dict[ExecutionId, Sequence[Entry] | Exception] = {}
        for execution, end in positions.items():
            found |= await self._found({execution: end})
        return found

    async def _read(
        self, positions: Mapping[ExecutionId, int]
    ) -> Mapping[ExecutionId, Sequence[Entry]]:
        read = partial(self._stores.log.news, positions, limit=PAGE)
        return await patiently(read, doing=_DOING)

    async def _pause(self) -> None:
        told = self._channels.keys() <= self._heard
        with anyio.move_on_after(((TRUST if told else POLL_EVERY) - PACE).total_seconds()):
            await self._nudged.wait()
        # What follows at once is read together with what was told of.
        await anyio.sleep(PACE.total_seconds())

    async def _listen(self) -> None:
        """Let the live view say when there is something to look for."""
        while self._channels:
            positions = {execution: channel.end for execution, channel in self._channels.items()}
            looked = self._looked
            heard = await self._stores.live.news(positions, limit=LISTEN_FOR)
            self._heard = frozenset() if heard is Heard.DEAF else frozenset(positions)
            if heard is Heard.NEWS:
                self._nudged.set()
                await looked.wait()
            await anyio.sleep(DEAF_FOR.total_seconds() if heard is Heard.DEAF else 0)
        self._at_work.remove(self._listen)
