"""A worker: it carries out what others ordered, as much at once as it may, until told to end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

import anyio

from test_coordination.application.engine.lease import LEASE
from test_coordination.application.executions import Executions
from test_coordination.application.fleet import Advert, Dispatch, Handled, Service
from test_coordination.application.holders import HeldElsewhereError
from test_coordination.application.ports import ExecutionLog, NotFoundError
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, WorkerId

LOOK_EVERY: Final = timedelta(milliseconds=500)
ANNOUNCE_EVERY: Final = timedelta(seconds=1)
HELD_PATIENCE: Final = LEASE + timedelta(seconds=2)
"""How long an execution is waited for that another worker has, which is silent or ending."""

EXECUTIONS_MAX: Final = 100
DRAIN: Final = timedelta(seconds=30)
BEHIND_MAX: Final = timedelta(seconds=1)
"""How far probes may be behind their time before no further execution is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much a worker takes on; ``labels`` such as ``zone=eu`` are what it is chosen by.

    It is at ``executions_max`` at once, and takes none while its process has more than
    ``memory_max`` bytes, or its probes, ``probes_per_s`` in all, are behind their time. When it is
    to end, what it is at has ``drain`` to come to its end; what is left then goes to others.
    """

    labels: tuple[str, ...] = ()
    executions_max: int = EXECUTIONS_MAX
    memory_max: int | None = None
    probes_per_s: float | None = None
    drain: timedelta = DRAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a worker offers, and how much it takes on; ``program`` is its version."""

    program: str
    offers: frozenset[str]
    load: Load


class Witness(Protocol):
    """Who is told what a worker does."""

    def taken(self, execution: ExecutionId, scenario: str) -> None:
        """Hear that it begins an execution, or goes on with one that another has left."""
        ...

    def ended(self, execution: ExecutionId, scenario: str, end: Execution) -> None:
        """Hear how an execution ended that it carried out."""
        ...

    def given_back(self, execution: ExecutionId, scenario: str, reason: str) -> None:
        """Hear why it is not at an execution any more that has not ended."""
        ...

    def draining(self, executions: int, limit: timedelta) -> None:
        """Hear that it takes no more, how many it is at, and how long they have."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Machinery:
    """What a worker works with.

    ``memory`` tells how many bytes its process has now, ``behind`` how far its probes are behind
    their time. ``schedules`` is gone through until the worker is told to end.
    """

    log: ExecutionLog
    executions: Executions
    dispatch: Dispatch
    memory: Callable[[], int]
    behind: Callable[[], timedelta]
    schedules: Callable[[], Coroutine[Any, Any, object]] = anyio.sleep_forever


@dataclass(slots=True, eq=False, kw_only=True)
class FleetWorker:
    """One worker of the fleet; whoever has its lease beats for it."""

    me: WorkerId
    terms: Terms
    machinery: Machinery
    witness: Witness
    _at: set[ExecutionId] = field(default_factory=set)
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _draining: bool = False

    async def serve(self, stopping: anyio.Event) -> None:
        """Take executions until ``stopping`` is set; then end what it is at, or let go of it.

        Cancelled, it lets go of what it is at without waiting. What it lets go of is undone, and
        goes on at another worker.
        """
        terms = self.terms
        service = Service(worker=self.me, offers=terms.offers, most=self._most, handle=self._handle)
        due = anyio.CancelScope()
        lobby = self.machinery.executions.lobby
        with lobby.trying_for_others():
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_announcing)
                group.start_soon(self.machinery.dispatch.serve, service)
                group.start_soon(self._keep_schedules, due)
                await stopping.wait()
                due.cancel()
                self._draining = True
                self.witness.draining(len(self._at), terms.load.drain)
                with anyio.move_on_after(terms.load.drain.total_seconds()):
                    await self._announce()
                    while self._at:
                        await self._changed.wait()
                group.cancel_scope.cancel()

    async def _keep_schedules(self, due: anyio.CancelScope) -> None:
        """Begin what is due until ``due`` is cancelled; from then on it is left to others."""
        with due:
            await self.machinery.schedules()

    def _most(self) -> int:
        """Return how many executions it may be at now."""
        if self._draining or self.machinery.behind() > BEHIND_MAX:
            return 0
        load = self.terms.load
        if load.memory_max is not None and self.machinery.memory() > load.memory_max:
            return 0
        return load.executions_max

    async def _keep_announcing(self) -> None:
        while True:
            await self._announce()
            await anyio.sleep(ANNOUNCE_EVERY.total_seconds())

    async def _announce(self) -> None:
        advert = Advert(
            program=self.terms.program,
            offers=self.terms.offers,
            executions=len(self._at),
            executions_max=self.terms.load.executions_max,
            memory=self.machinery.memory(),
            memory_max=self.terms.load.memory_max,
            draining=self._draining,
        )
        with suppress(StoreUnavailableError):
            await self.machinery.dispatch.announce(self.me, advert)

    async def _handle(self, execution: ExecutionId) -> Handled:
        """See `Service.handle`."""
        if self._draining:
            return Handled.AGAIN
        self._at.add(execution)
        try:
            return await self._carry_out(execution)
        finally:
            self._at.discard(execution)
            self._changed.set()
            self._changed = anyio.Event()

    async def _carry_out(self, execution: ExecutionId) -> Handled:
        name = ""
        try:
            record = await self.machinery.log.get(execution)
            if record.status is Status.FINISHED or not record.detached:
                return Handled.DONE
            name = record.scenario_name
            self.witness.taken(execution, name)
            end = await self._end(execution)
        except NotFoundError:
            return Handled.DONE
        except anyio.get_cancelled_exc_class():
            self.witness.given_back(execution, name, "this worker ends")
            raise
        except CoordinationError as error:
            self.witness.given_back(execution, name, str(error))
        except Exception as error:  # noqa: BLE001  a border: what breaks one execution leaves the others alone
            bug = f"a bug of ours: {type(error).__name__}: {error}"
            self.witness.given_back(execution, name, bug)
        else:
            self.witness.ended(execution, name, end)
            return Handled.DONE
        return Handled.AGAIN

    async def _end(self, execution: ExecutionId) -> Execution:
        """Carry an execution out, as soon as the one who has it has left or his lease is over.

        Raises:
            HeldElsewhereError: that one is still there after ``HELD_PATIENCE``.
            CoordinationError: see `Executions.take`.
        """
        limit = anyio.current_time() + HELD_PATIENCE.total_seconds()
        while True:
            try:
                return await self.machinery.executions.take(execution)
            except HeldElsewhereError:
                if anyio.current_time() >= limit:
                    raise
            await anyio.sleep(LOOK_EVERY.total_seconds())
