"""The one pen of an execution in this worker: what it writes is durable, folded and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import ClassVar, Final, TypeAlias

import anyio

from test_coordination.application.engine.flow import Flow, fitting
from test_coordination.application.engine.patience import RETRY_S, STORE_PATIENCE, away
from test_coordination.application.engine.vault import Vault
from test_coordination.application.engine.verdict import stop_reason
from test_coordination.application.fleet import BudgetExceededError
from test_coordination.application.ports import (
    Clock,
    ExecutionLog,
    ExecutionRecord,
    LiveView,
    LogConflictError,
)
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import (
    AbortRequested,
    Entry,
    Event,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionStarted,
    Outcome,
    StepEnded,
)
from test_coordination.domain.execution import Execution, IllegalTransitionError

_PATIENCE_LOST: Final = timedelta(seconds=2)
"""How long later events wait: who waited in vain once has faults to undo, and hurries."""


_DECISIVE: Final = (ExecutionStarted, StepEnded)
"""After these something else is begun or ended."""

Wished: TypeAlias = AbortRequested | ExecutionPaused
"""What is heeded before it is durable: it only ends what was begun, or keeps from beginning."""


@dataclass(eq=False, kw_only=True)
class DoubtfulRefusalError(BudgetExceededError):
    """A fault was refused, and a try before that one, whose answer was lost, may still be heard."""

    code: ClassVar[str] = "execution.budget_doubtful"


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

    def with_more(self, events: Iterable[Event], now: datetime) -> _Page:
        """Return the page with ``events`` at its end."""
        after, entries = self.after, list(self.entries)
        for event in events:
            entry = Entry(position=after.position + 1, at=now, event=event)
            after = after.apply(entry)
            entries.append(entry)
        return _Page(entries=tuple(entries), after=after)


class Recorder:
    """Appends events one call after the other, each on top of the last.

    ``state`` is the execution as it stands after everything that is known to be durable, and
    ``wanted`` is the one to decide by: with what somebody wishes, it stands as if all were
    durable that is being recorded, so that a store that is slow or away delays no undo. So it is
    while a failure is recorded that lets nothing further begin. What
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
        self.wanted = state
        self._wishes: list[tuple[Wished, datetime]] = []
        self._pages = count()
        self._stopping: set[int] = set()
        self._under_way: dict[int, tuple[Sequence[Event], datetime]] = {}
        self._flow = Flow(state)
        self._vault = vault
        self._stores = stores
        self._record = record
        self._turn = anyio.Lock()
        self._changed = anyio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._foreseeing: Callable[[Execution], Sequence[Event]] | None = None
        self._doubt: _Page | None = None
        self._patience = STORE_PATIENCE

    async def record(self, *events: Event) -> None:
        """Append ``events``; they are durable when this returns.

        Text without end is cut off, and asides without end are left out: see `Flow`.

        A store that is away is waited for, ``STORE_PATIENCE`` at most. Cancellation does not
        cut an append short: it would leave its outcome unknown.

        Raises:
            LogConflictError: another worker has taken the execution over; nothing was written.
            BudgetExceededError: see `ExecutionLog.append`; nothing was written.
            DoubtfulRefusalError: so it is now, and nothing is written yet: a try before, whose
                answer was lost, may be written until the next call is.
            StoreUnavailableError: the store did not come back; whether the events were written
                is not known, and the next call finds out before it writes.
        """
        events = self._presentable(self._flow.admitted(events, self.state))
        if not events:
            return
        page = next(self._pages)
        # What lets things begin again counts once it is durable.
        if not any(isinstance(event, ExecutionResumed) for event in events):
            self._under_way[page] = events, self._stores.clock.now()
        if self._stops(events):
            self._stopping.add(page)
        if self._is_hurried:
            self._look()
        try:
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    await self._write(events)
        finally:
            self._under_way.pop(page, None)
            if self._is_hurried:
                self._stopping.discard(page)
                self._look()

    def foresee(self, following: Callable[[Execution], Sequence[Event]] | None) -> None:
        """Have what certainly follows the end of a step be written together with it.

        ``following`` is asked for that with the execution as it will stand, before anything of it
        is durable. It is not asked while something is wished, or recorded, that may change it.
        """
        self._foreseeing = following

    async def turn(self) -> None:
        """Return when another aside may be recorded; `Flow` says what one is."""
        await self._flow.turn()

    def wish(self, event: Wished) -> None:
        """Make ``event`` part of what is ``wanted``, at once; whoever calls records it as well.

        What cannot follow, as the execution has ended, is not heeded.
        """
        self._wishes.append((event, self._stores.clock.now()))
        self._look()

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` each time that the state has changed."""
        self._listeners.append(listener)

    async def change(self, seen: Execution, *, limit: timedelta | None) -> None:
        """Return when the state is another than ``seen``, or ``limit`` has passed."""
        await self._until(lambda: self.state is not seen, limit)

    async def news(self, seen: Execution, *, limit: timedelta | None) -> None:
        """Return when what is wanted is another than ``seen``, or ``limit`` has passed."""
        await self._until(lambda: self.wanted is not seen, limit)

    async def resumed(self) -> None:
        """Return when nobody wants the execution to be paused; at once if nobody does."""
        while self.wanted.pause is not None:
            await self._changed.wait()

    async def _until(self, is_so: Callable[[], bool], limit: timedelta | None) -> None:
        seconds = None if limit is None else max(0.0, limit.total_seconds())
        with anyio.move_on_after(seconds):
            while not is_so():
                await self._changed.wait()

    @property
    def _is_hurried(self) -> bool:
        wished = bool(self._wishes) or self.state.abort is not None
        return wished or self.state.pause is not None or bool(self._stopping)

    def _stops(self, events: Sequence[Event]) -> bool:
        """Tell whether a step has failed and no further one may begin; faults are undone then."""
        if not any(
            isinstance(each, StepEnded) and each.outcome is Outcome.FAILED for each in events
        ):
            return False
        expected = _expected(self.state, self._under_way.values())
        return bool(stop_reason(self._record.plan, expected))

    def _look(self) -> None:
        """Find out what is wanted, and wake whoever waits for it."""
        wanted = self.state
        if self._is_hurried:
            wanted = _expected(wanted, self._under_way.values())
            for wish, at in self._wishes:
                wanted = _expected(wanted, [([wish], at)])
        self.wanted = wanted
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def _write(self, events: Sequence[Event]) -> None:
        now, page, again = self._stores.clock.now(), None, False
        last: StoreUnavailableError | None = None
        with anyio.move_on_after(self._patience.total_seconds()):
            while page is None or self.state is not page.after:
                try:
                    await self._settle()
                    page = page or self._folded(events, now)
                    if self.state is not page.after:
                        await self._append(page, again=again)
                except StoreUnavailableError as error:
                    again, last = page is not None, error
                    await anyio.sleep(RETRY_S)
            self._patience = STORE_PATIENCE
            return
        waited, self._patience = self._patience, _PATIENCE_LOST
        raise away(f"recording what execution {self.state.id} did", waited, last)

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
            # The try before this one may have landed after we had looked for it. If not, the
            # execution was given to another worker, which need not have written anything yet.
            await self._settle()
            if self.state is not page.after:
                raise
        except BudgetExceededError as error:
            if again:
                raise DoubtfulRefusalError(
                    system=error.system, services=error.services, hit=error.hit, limit=error.limit
                ) from error
            self._doubt = None
            raise
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
        if self._wishes:
            written = {type(entry.event) for entry in page.entries}
            self._wishes = [wish for wish in self._wishes if type(wish[0]) not in written]
        self._look()
        for listener in self._listeners:
            listener()
        self._stores.live.publish(self._record, page.after, page.entries)

    def _folded(self, events: Sequence[Event], now: datetime) -> _Page:
        page = _Page(entries=(), after=self.state).with_more(events, now)
        return page.with_more(self._following(events, page.after), now)

    def _following(self, events: Sequence[Event], after: Execution) -> Sequence[Event]:
        """Return what is written together with ``events``, which lead to ``after``."""
        if self._foreseeing is None or self._is_hurried or len(self._under_way) > 1:
            return ()
        if not any(isinstance(event, _DECISIVE) for event in events):
            return ()
        return self._presentable(self._foreseeing(after))

    def _presentable(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Return ``events`` with no secret in them, and no text without end."""
        if self._vault is not None:
            events = list(map(self._vault.conceal_event, events))
        return tuple(map(fitting, events))


def _expected(state: Execution, pages: Iterable[tuple[Sequence[Event], datetime]]) -> Execution:
    """Return ``state`` with what is not durable yet; its position stays that of what is."""
    position = state.position
    for events, at in pages:
        # One that cannot follow is not written either, and whoever records it is told.
        with suppress(IllegalTransitionError):
            for event in events:
                state = state.apply(Entry(position=state.position + 1, at=at, event=event))
    return state if state.position == position else replace(state, position=position)


def _traits(entries: Sequence[Entry]) -> list[tuple[int, datetime, str]]:
    """Return what tells one worker's entries from another's, also after a trip to the store.

    Their bodies may come back in other shapes, a tuple as a list; their times do not.
    """
    return [(entry.position, entry.at, type(entry.event).__name__) for entry in entries]
