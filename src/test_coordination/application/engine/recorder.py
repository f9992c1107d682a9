"""The one pen of an execution in this worker: what it writes is durable, folded and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import anyio

from test_coordination.application.engine.patience import RETRY_S, STORE_PATIENCE, away
from test_coordination.application.engine.vault import Vault
from test_coordination.application.ports import (
    Clock,
    ExecutionLog,
    ExecutionRecord,
    LiveView,
    LogConflictError,
)
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, Event
from test_coordination.domain.execution import Execution

_PATIENCE_LOST: Final = timedelta(seconds=2)
"""How long later events wait: who waited in vain once has faults to undo, and hurries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where an execution is written and shown."""

    log: ExecutionLog
    live: LiveView
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """Entries to be written together, and the execution as it stands after them."""

    entries: tuple[Entry, ...]
    after: Execution


class Recorder:
    """Appends events one call after the other, each on top of the last.

    ``state`` is the execution as it stands after everything that is known to be durable. What
    ``vault`` knows to be secret is written nowhere.
    """

    def __init__(
        self,
        stores: Stores,
        record: ExecutionRecord,
        state: Execution,
        *,
        vault: Vault | None = None,
    ) -> None:
        self.state = state
        self._vault = vault
        self._stores = stores
        self._record = record
        self._turn = anyio.Lock()
        self._changed = anyio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._doubt: _Page | None = None
        self._patience = STORE_PATIENCE

    async def record(self, *events: Event) -> None:
        """Append ``events``; they are durable when this returns.

        A store that is away is waited for, ``STORE_PATIENCE`` at most. Cancellation does not
        cut an append short: it would leave its outcome unknown.

        Raises:
            LogConflictError: another worker has taken the execution over; nothing was written.
            StoreUnavailableError: the store did not come back; whether the events were written
                is not known, and the next call finds out before it writes.
        """
        if self._vault is not None:
            events = tuple(map(self._vault.conceal_event, events))
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._write(events)

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` each time that the state has changed."""
        self._listeners.append(listener)

    async def change(self, seen: Execution, *, limit: timedelta | None) -> None:
        """Return when the state is another than ``seen``, or ``limit`` has passed."""
        seconds = None if limit is None else max(0.0, limit.total_seconds())
        with anyio.move_on_after(seconds):
            while self.state is seen:
                await self._changed.wait()

    async def _write(self, events: Sequence[Event]) -> None:
        now, page, again = self._stores.clock.now(), None, False
        with anyio.move_on_after(self._patience.total_seconds()):
            while page is None or self.state is not page.after:
                try:
                    await self._settle()
                    page = page or self._folded(events, now)
                    if self.state is not page.after:
                        await self._append(page, again=again)
                except StoreUnavailableError:
                    again = page is not None
                    await anyio.sleep(RETRY_S)
            self._patience = STORE_PATIENCE
            return
        waited, self._patience = self._patience, _PATIENCE_LOST
        raise away(f"recording what execution {self.state.id} did", waited)

    async def _append(self, page: _Page, *, again: bool) -> None:
        self._doubt = page
        try:
            await self._stores.log.append(
                page.entries, leading_to=page.after, epoch=self._record.epoch
            )
        except LogConflictError:
            if not again:
                self._doubt = None
                raise
            # The try before this one may have landed after we had looked for it.
            await self._settle()
            assert self.state is page.after, "a log that conflicts holds our entries or others"
        else:
            self._accept(page)

    async def _settle(self) -> None:
        """Find out whether an append whose outcome was unknown has landed after all."""
        if self._doubt is None:
            return
        found = await self._stores.log.read(self.state.id, after=self.state.position)
        if not found:
            self._doubt = None
        elif _traits(found) == _traits(self._doubt.entries):
            self._accept(self._doubt)
        else:
            raise LogConflictError(execution=self.state.id, expected=self.state.position)

    def _accept(self, page: _Page) -> None:
        self.state, self._doubt = page.after, None
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        for listener in self._listeners:
            listener()
        self._stores.live.publish(self._record, page.after, page.entries)

    def _folded(self, events: Sequence[Event], now: datetime) -> _Page:
        after, entries = self.state, list[Entry]()
        for event in events:
            entry = Entry(position=after.position + 1, at=now, event=event)
            after = after.apply(entry)
            entries.append(entry)
        return _Page(entries=tuple(entries), after=after)


def _traits(entries: Sequence[Entry]) -> list[tuple[int, datetime, str]]:
    """Return what tells one worker's entries from another's, also after a trip to the store.

    Their bodies may come back in other shapes, a tuple as a list; their times do not.
    """
    return [(entry.position, entry.at, type(entry.event).__name__) for entry in entries]
