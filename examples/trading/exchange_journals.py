"""When the exchange writes and when it answers: the two ways of the two builds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

from trading.builds import Build
from trading.database import STORE_ERRORS
from trading.exchange_store import ExchangeStore
from trading.logs import Log
from trading.matching import Book, Entry, Order

COALESCE_S: Final = 0.01
BATCH_MAX: Final = 200
# As long as a client waits, too: what nobody waits for any more is not worth the work.
ANSWER_S_MAX: Final = 1.0
FLUSH_S: Final = 0.1

Act = Callable[[Book], list[Entry]]
Publish = Callable[[Sequence[Entry]], Awaitable[None]]


class UnavailableError(Exception):
    """The exchange cannot say whether it took the order: ask again with the same key."""


class Journal(Protocol):
    """Lets acts change the book, and keeps what they did."""

    async def submit(self, act: Act, *, key: str | None = None) -> list[Entry]:
        """Do ``act`` and return what it did.

        Raises:
            UnavailableError: the act may or may not have been kept.
        """
        ...

    async def find(self, key: str) -> Order | None:
        """Return the order under ``key``; raises one of ``STORE_ERRORS``."""
        ...

    async def run(self) -> None:
        """Write, for ever."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """An act that waits for its turn."""

    act: Act
    key: str | None
    answer: asyncio.Future[list[Entry]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def resolve(self, entries: list[Entry]) -> None:
        """Answer, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(entries)

    def fail(self, error: Exception) -> None:
        """Answer with ``error``, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_exception(error)


class CommitFirst:
    """Hardened: many acts share one transaction, and are answered when it is committed."""

    def __init__(self, store: ExchangeStore, log: Log) -> None:
        self._store = store
        self._log = log
        self._book: Book | None = None
        self._queue: list[Asked] = []
        self._wake = asyncio.Event()

    async def submit(self, act: Act, *, key: str | None = None) -> list[Entry]:
        """See ``Journal.submit``; an act whose key is known is not done, only answered."""
        asked = Asked(act, key)
        self._queue.append(asked)
        self._wake.set()
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await asked.answer
        except TimeoutError as error:
            message = "the database does not answer"
            raise UnavailableError(message) from error

    async def find(self, key: str) -> Order | None:
        """See ``Journal.find``."""
        return (await self._store.found([key])).get(key)

    async def run(self) -> None:
        """See ``Journal.run``."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(COALESCE_S)
            waiting = [asked for asked in self._queue if not asked.answer.done()]
            batch, self._queue = waiting[:BATCH_MAX], waiting[BATCH_MAX:]
            if not self._queue:
                self._wake.clear()
            try:
                await self._commit(batch)
            except STORE_ERRORS as error:
                self._log.trouble("committing orders", error)
                # Whether it was committed is unknown: believe only what the database says.
                self._book = None
                for asked in batch:
                    asked.fail(UnavailableError(f"not committed: {type(error).__name__}"))

    async def _commit(self, batch: Sequence[Asked]) -> None:
        if self._book is None:
            self._book = await self._store.book()
        keys = [asked.key for asked in batch if asked.key is not None]
        known = dict(await self._store.found(keys)) if keys else {}
        answers: list[tuple[Asked, list[Entry]]] = []
        written: list[Entry] = []
        for asked in batch:
            if asked.key in known:
                answers.append((asked, [Entry(order=known[asked.key])]))
                continue
            try:
                entries = asked.act(self._book)
            except UnavailableError as error:
                asked.fail(error)
                continue
            written += entries
            answers.append((asked, entries))
            if asked.key is not None:
                known[asked.key] = entries[0].order
        if written:
            await self._store.write(written)
        for asked, entries in answers:
            asked.resolve(entries)


class WriteBehind:
    """Fragile: an act is answered at once and written later, in pieces, if at all."""

    def __init__(self, store: ExchangeStore, log: Log, *, build: Build, publish: Publish) -> None:
        self._store = store
        self._log = log
        self._build = build
        self._publish = publish
        self._book: Book | None = None
        self._queue: list[tuple[float, list[Entry]]] = []

    async def submit(self, act: Act, *, key: str | None = None) -> list[Entry]:
        """See ``Journal.submit``; keys mean nothing here."""
        del key
        if self._book is None:
            message = "the book is not loaded yet"
            raise UnavailableError(message)
        entries = act(self._book)
        if entries:
            self._queue.append((monotonic(), entries))
        return entries

    async def find(self, key: str) -> Order | None:
        """See ``Journal.find``."""
        for _, entries in reversed(self._queue):
            for entry in entries:
                if entry.order.client_order_id == key:
                    return entry.order
        return (await self._store.found([key])).get(key)

    async def run(self) -> None:
        """See ``Journal.run``."""
        while self._book is None:
            try:
                self._book = await self._store.book()
            except STORE_ERRORS as error:
                self._log.trouble("loading the book", error)
                await asyncio.sleep(FLUSH_S)
        while True:
            await asyncio.sleep(FLUSH_S)
            ripe = monotonic() - self._build.write_behind_s
            batch = [entry for at, entries in self._queue if at <= ripe for entry in entries]
            self._queue = [queued for queued in self._queue if queued[0] > ripe]
            if batch:
                await self._flush(batch)

    async def _flush(self, batch: Sequence[Entry]) -> None:
        try:
            await self._store.write_in_pieces(batch)
        except STORE_ERRORS as error:
            self._log.say("dropped", orders=len(batch), error=f"{type(error).__name__}: {error}")
            return
        await self._publish(batch)
