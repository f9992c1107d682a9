"""Use cases of control: stop, pause and resume executions, wherever they run, and hear of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar, Final
from uuid import UUID

import anyio

from test_coordination.application.engine.recorder import Recorder, Stores
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.fleet import NOBODY, Workers
from test_coordination.application.ports import (
    ExecutionRecord,
    Identities,
    LogConflictError,
    NotFoundError,
)
from test_coordination.application.wishes import Desire, Ways, Wish, Wishes
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.events import AbortRequested
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, WishId

HEARD_WITHIN: Final = timedelta(seconds=3)
"""How long whoever makes a wish waits for the workers to say that they act on it."""

SETTLED_WITHIN: Final = timedelta(seconds=60)
"""How long those that wait for a worker are ended one after the other."""

NAME_MIN: Final = 4
"""How many characters of an identity must be given at least."""

_ASK_S: Final = 0.05
_FOUND_WITHIN_S: Final = 2.0
_ALONE_WITHIN_S: Final = 0.4
_ENDED_AT_ONCE: Final = 4
_NAMED_MAX: Final = 5


@dataclass(eq=False, kw_only=True)
class AmbiguousExecutionError(CoordinationError):
    """A part of an identity was given, and several executions have it."""

    code: ClassVar[str] = "execution.ambiguous"

    given: str
    found: tuple[ExecutionId, ...]

    def __str__(self) -> str:
        named = ", ".join(map(str, self.found[:_NAMED_MAX]))
        more = f" and {len(self.found) - _NAMED_MAX} more" if self.found[_NAMED_MAX:] else ""
        return f"{self.given!r} may be any of {named}{more}; give more of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What is known of a wish once its maker has waited for it.

    ``heard`` are the executions whose workers act on it, ``ended`` those that waited for a worker
    and were ended in the queue, and ``waiting`` those that go by it as soon as a worker takes
    them. Of the ``silent`` ones nobody has said anything; they are all that are known to be
    unfinished beside those. ``over`` tells that the one that was meant had ended before.
    ``troubles`` say which way could not be taken, and why; without ``kept`` it is not certain
    that those who come later go by the wish.
    """

    wish: Wish
    kept: bool = False
    heard: frozenset[ExecutionId] = frozenset()
    ended: frozenset[ExecutionId] = frozenset()
    waiting: frozenset[ExecutionId] = frozenset()
    silent: frozenset[ExecutionId] = frozenset()
    over: bool = False
    troubles: tuple[str, ...] = ()


class Controls:
    """Makes wishes, and tells what became of them.

    ``near`` is told of each at once, before it takes any way: it is the worker of this process,
    and returns for which of its executions it acts.
    """

    def __init__(
        self,
        ways: Ways,
        stores: Stores,
        workers: Workers,
        *,
        identities: Identities,
        near: Callable[[Wish], frozenset[ExecutionId]] = lambda _: frozenset(),
    ) -> None:
        self._ways = ways
        self._stores = stores
        self._workers = workers
        self._identities = identities
        self._near = near

    async def wish(
        self,
        desire: Desire,
        execution: ExecutionId | None = None,
        *,
        reason: str,
        by: str,
        undo: bool = False,
    ) -> Hearing:
        """Have ``execution``, or all that there are, stopped, paused or resumed by their workers.

        The wish takes every way at once, so it waits for none that is slow. What waits for a
        worker and has never begun is ended here if it is to be stopped.

        Raises:
            NotFoundError: no execution has that identity.
            StoreUnavailableError: no way could be taken, and what is meant is not run by this
                process alone.
        """
        wish = Wish(
            id=WishId(self._identities.new()),
            desire=desire,
            reason=reason,
            by=by,
            execution=execution,
            undo=undo,
        )
        telling = _Telling(wish=wish, heard=set(self._near(wish)))
        with anyio.move_on_after(HEARD_WITHIN.total_seconds()):
            async with anyio.create_task_group() as group:
                for way in self._ways:
                    group.start_soon(self._tell, way, telling)
        if telling.unknown:
            raise NotFoundError(kind="execution", identity=str(execution))
        if not telling.told and execution not in telling.heard:
            raise self._untold(telling)
        if desire is Desire.ABORT and telling.waits:
            telling.ended |= await self.settle(wish, telling.waits)
        return telling.hearing([way.store for way in self._ways])

    async def _tell(self, way: Wishes, telling: _Telling) -> None:
        try:
            await way.make(telling.wish)
            telling.told.add(way.store)
            if way is self._ways.kept:
                await self._look(telling)
            while not telling.is_settled:
                for answer in await way.answers(telling.wish.id):
                    telling.heard |= answer.executions
                await anyio.sleep(_ASK_S)
        except StoreUnavailableError as error:
            telling.troubles[way.store] = str(error)

    async def _look(self, telling: _Telling) -> None:
        """Find out which executions are meant, and how they stand."""
        telling.kept = True
        execution = telling.wish.execution
        if execution is None:
            telling.unfinished = await self._ways.kept.unfinished()
            return
        try:
            record = await self._stores.log.get(execution)
        except NotFoundError:
            telling.unfinished, telling.unknown = {}, True
        else:
            ended = record.status is Status.FINISHED
            telling.unfinished = {} if ended else {execution: record.worker == NOBODY}

    def _untold(self, telling: _Telling) -> StoreUnavailableError:
        said = "; ".join(telling.troubles.values())
        limit = f"no answer within {HEARD_WITHIN.total_seconds():g} s"
        stores = " and ".join(way.store for way in self._ways)
        return StoreUnavailableError(
            store=stores, doing=f"telling the workers to {telling.wish.desire}", cause=said or limit
        )

    async def settle(
        self, wish: Wish, among: Collection[ExecutionId] | None = None
    ) -> frozenset[ExecutionId]:
        """End what waits for a worker and is to be stopped, as stopped; return which were ended.

        Those ``among`` the given ones are looked at, and without them all that ``wish`` means.
        One that a worker takes meanwhile is left to that one, which goes by the wish.

        Raises:
            StoreUnavailableError: what is meant could not be asked for.
        """
        ended: set[ExecutionId] = set()
        if among is None:
            unfinished = await self._ways.kept.unfinished()
            waits = {each for each, alone in unfinished.items() if alone}
            among = waits if wish.execution is None else waits & {wish.execution}
        limiter = anyio.CapacityLimiter(_ENDED_AT_ONCE)

        async def end(execution: ExecutionId) -> None:
            async with limiter:
                with suppress(StoreUnavailableError, LogConflictError, NotFoundError):
                    if await self._end(execution, wish):
                        ended.add(execution)

        with anyio.move_on_after(SETTLED_WITHIN.total_seconds()):
            async with anyio.create_task_group() as group:
                for execution in among:
                    group.start_soon(end, execution)
        return frozenset(ended)

    async def _end(self, execution: ExecutionId, wish: Wish) -> bool:
        record = await self._stores.log.get(execution)
        if record.worker != NOBODY or record.status is not Status.PENDING:
            return False
        # It still has no worker, but whoever was about to take it cannot any more. If we die now
        # it is taken later, and stopped by whoever does.
        epoch = await self._workers.claim(execution, by=NOBODY, epoch=record.epoch)
        if epoch is None:
            return False
        await self._write_end(replace(record, epoch=epoch), wish)
        return True

    async def _write_end(self, record: ExecutionRecord, wish: Wish) -> None:
        log = await self._stores.log.read(record.id)
        recorder = Recorder(self._stores, record, Execution.of(record.id, log))
        if recorder.state.status is Status.FINISHED:
            return  # whoever stopped it, too, was done just before it was claimed here
        if recorder.state.abort is None:  # who was at it before us may have come that far
            await recorder.record(AbortRequested(reason=wish.reason, by=wish.by))
        await recorder.record(*conclusion(record.plan, recorder.state))

    async def find(self, given: str) -> ExecutionId:
        """Return the execution that ``given`` names: its identity, or one end of it.

        Of a part, at least ``NAME_MIN`` characters of the beginning or the end, only one
        execution may have it that has not ended.

        Raises:
            NotFoundError: none has it.
            AmbiguousExecutionError: several have it.
            StoreUnavailableError: it cannot be found out which there are.
        """
        with suppress(ValueError):
            return ExecutionId(UUID(given))
        found = await self._unfinished()
        part = given.lower()
        named = sorted(
            each
            for each in found
            if str(each).startswith(part) or str(each).endswith(part)
            if len(part) >= NAME_MIN
        )
        if len(named) > 1:
            raise AmbiguousExecutionError(given=given, found=tuple(named))
        if not named:
            raise NotFoundError(kind="unfinished execution", identity=given)
        return named[0]

    async def _unfinished(self) -> frozenset[ExecutionId]:
        """Return the unfinished executions; once one way has answered no other is waited for long.

        Raises:
            StoreUnavailableError: none has answered.
        """
        found: set[ExecutionId] = set()
        asked: list[str] = []

        async def ask(way: Wishes, scope: anyio.CancelScope) -> None:
            with suppress(StoreUnavailableError):
                found.update(await way.unfinished())
                asked.append(way.store)
                scope.deadline = min(scope.deadline, anyio.current_time() + _ALONE_WITHIN_S)

        with anyio.move_on_after(_FOUND_WITHIN_S) as scope:
            async with anyio.create_task_group() as group:
                for way in self._ways:
                    group.start_soon(ask, way, scope)
        if not asked:
            cause = f"no answer within {_FOUND_WITHIN_S:g} s"
            stores = " and ".join(way.store for way in self._ways)
            raise StoreUnavailableError(
                store=stores, doing="looking for unfinished executions", cause=cause
            )
        return frozenset(found)


@dataclass(slots=True, eq=False, kw_only=True)
class _Telling:
    """A wish on its ways, and what has become known of it so far."""

    wish: Wish
    told: set[str] = field(default_factory=set)
    troubles: dict[str, str] = field(default_factory=dict)
    heard: set[ExecutionId] = field(default_factory=set)
    ended: frozenset[ExecutionId] = frozenset()
    unfinished: Mapping[ExecutionId, bool] | None = None
    kept: bool = False
    unknown: bool = False

    @property
    def waits(self) -> frozenset[ExecutionId]:
        """Return those that wait for a worker."""
        alone = frozenset(each for each, waits in (self.unfinished or {}).items() if waits)
        return alone - self.heard

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing more is to be expected of the workers."""
        if self.unfinished is not None:
            return self.heard | self.waits >= self.unfinished.keys()
        return bool(self.troubles) and self.wish.execution in self.heard

    def hearing(self, ways: Collection[str]) -> Hearing:
        """Return what is known now."""
        meant = {self.wish.execution} if self.wish.execution else set()
        known = meant if self.unfinished is None else set(self.unfinished)
        waiting = self.waits - self.ended
        limit = f"it did not answer within {HEARD_WITHIN.total_seconds():g} s"
        late = {way: limit for way in ways if way not in self.told}
        return Hearing(
            wish=self.wish,
            kept=self.kept,
            heard=frozenset(self.heard),
            ended=self.ended,
            waiting=waiting,
            silent=frozenset(known - self.heard - self.ended - waiting),
            over=bool(meant) and self.unfinished == {},
            troubles=tuple(
                f"{way}: {self.troubles.get(way) or late.get(way)}"
                for way in ways
                if way in self.troubles or way in late
            ),
        )
