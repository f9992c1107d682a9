"""The queue of executions in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain, islice

from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application.fleet import NOBODY, Waiting
from test_coordination.application.ports import Clock, ExecutionRecord
from test_coordination.application.routing import lacking
from test_coordination.domain.admission import Obstacle, Register, choose, places
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId


class MemoryQueue:
    """A `Queue` over a log in memory, whose time is that of ``clock``.

    Detached executions are given to ``enqueue``; without it they wait. ``offers`` tells what each
    worker at work offers; without it there is always one that offers what is required.
    """

    def __init__(
        self,
        clock: Clock,
        log: MemoryExecutionLog,
        *,
        enqueue: Callable[[ExecutionRecord], None] | None = None,
        offers: Callable[[], Sequence[frozenset[str]]] | None = None,
    ) -> None:
        self._clock = clock
        self._log = log
        self._enqueue = enqueue
        self._offers = offers

    def _lacking(self, requires: frozenset[str]) -> str:
        return "" if self._offers is None else lacking(requires, self._offers())

    def _able(self, requires: frozenset[str]) -> bool:
        return not self._lacking(requires)

    async def admit(self) -> Sequence[ExecutionId]:
        """See `Queue.admit`."""
        books, now = self._log.books, self._clock.now()
        able = None if self._enqueue is None else self._able
        lanes = list(books.lanes(able=able, whole=False))
        chosen = choose(lanes, books.standing(), now=now)
        for turn in chosen:
            record = self._log.let_in(turn.applicant.id, at=turn.at)
            if record.detached:
                assert self._enqueue is not None, "without it no detached one is looked at"
                self._enqueue(record)
        return [turn.applicant.id for turn in chosen]

    async def admitted(self, executions: Collection[ExecutionId]) -> frozenset[ExecutionId]:
        """See `Queue.admitted`."""
        books = self._log.books
        return frozenset(each for each in executions if not books.is_waiting(each))

    async def waiting(self, *, limit: int) -> Sequence[Waiting]:
        """See `Queue.waiting`."""
        books, now = self._log.books, self._clock.now()
        ready = map(self._waiting, filter(self._is_ready, books.admitted()))
        lanes = list(books.lanes(able=self._able, whole=True))
        register = Register(books.holdings())
        queued = (
            self._waiting(place.turn.applicant.id, place.number, place.obstacles)
            for place in places(lanes, books.standing(), register, now=now)
        )
        stranded = map(self._waiting, books.stranded(self._able))
        return [*islice(chain(ready, queued, stranded), limit)]

    def _is_ready(self, execution: ExecutionId) -> bool:
        record = self._log.known(execution)
        left = record.status is Status.RUNNING and record.worker == NOBODY
        return record.status is Status.PENDING or left

    def _waiting(
        self, execution: ExecutionId, place: int = 0, obstacles: tuple[Obstacle, ...] = ()
    ) -> Waiting:
        record = self._log.known(execution)
        return Waiting(
            execution=execution,
            scenario=record.scenario_name,
            requested_by=record.requested_by,
            priority=record.priority,
            since=record.requested_at,
            place=place,
            detached=record.detached,
            requires=record.requires,
            admitted_at=record.admitted_at,
            obstacles=obstacles,
            lacks=self._lacking(record.requires) if record.detached else "",
            released=self._log.state(execution).released,
        )
