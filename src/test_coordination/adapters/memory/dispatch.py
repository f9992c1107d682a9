"""Executions given to workers in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final

import anyio

from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.application.fleet import (
    Advert,
    Handled,
    Job,
    Presence,
    Service,
)
from test_coordination.application.ports import Clock, ExecutionRecord
from test_coordination.application.routing import missing
from test_coordination.domain.values import ExecutionId, WorkerId

LOOK_EVERY: Final = timedelta(milliseconds=500)
SILENT_MAX: Final = timedelta(seconds=3)
AGAIN: Final = timedelta(milliseconds=500)
AGAIN_MAX: Final = timedelta(seconds=30)


@dataclass(slots=True, kw_only=True)
class _Kept:
    """A job in the queue, and since when the one who has it has said nothing of it."""

    job: Job
    number: int
    not_before: datetime
    holder: WorkerId | None = None
    renewed: datetime | None = None
    attempts: int = 0


class MemoryJobs:
    """The jobs that there are, which all workers share; its time is that of ``clock``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[ExecutionId, _Kept] = {}
        self._numbers = count()
        self._adverts: dict[WorkerId, tuple[Advert, datetime]] = {}
        self._changed = anyio.Event()

    def enqueue(self, record: ExecutionRecord) -> None:
        """Take an execution over; one that is here already is left as it is."""
        job = Job(execution=record.id, requires=record.requires, priority=record.priority)
        now, number = self._clock.now(), next(self._numbers)
        self._kept.setdefault(job.execution, _Kept(job=job, number=number, not_before=now))
        self._tell()

    async def take(self, service: Service, *, most: int) -> Sequence[ExecutionId]:
        """Give a worker at most so many of the jobs that it can carry out and nobody is at."""
        now = self._clock.now()
        ready = [kept for kept in self._kept.values() if _is_ready(kept, service, now)]
        ready.sort(key=lambda kept: (-kept.job.priority, kept.number))
        for kept in ready[:most]:
            kept.holder, kept.renewed = service.worker, now
        return [kept.job.execution for kept in ready[:most]]

    async def renew(self, worker: WorkerId) -> None:
        """Hear that a worker is still at all that it has."""
        for kept in self._kept.values():
            if kept.holder == worker:
                kept.renewed = self._clock.now()

    async def put_down(
        self, execution: ExecutionId, worker: WorkerId, handled: Handled, *, at_once: bool
    ) -> None:
        """Hear what has become of a job, from a worker that may have it no longer."""
        kept = self._kept.get(execution)
        if kept is None or kept.holder != worker:
            return
        if handled is Handled.DONE:
            del self._kept[execution]
        else:
            wait = min(AGAIN_MAX, AGAIN * 2 ** min(kept.attempts, 10))
            kept.not_before = self._clock.now() + (timedelta(0) if at_once else wait)
            kept.holder = None
            kept.attempts += 1
        self._tell()

    async def announce(self, worker: WorkerId, advert: Advert) -> None:
        """Hear what a worker says of itself."""
        _, since = self.advert(worker)
        self._adverts[worker] = (advert, since)

    def adverts(self) -> Iterator[tuple[WorkerId, Advert]]:
        """Yield what each worker said last."""
        return ((worker, advert) for worker, (advert, _) in self._adverts.items())

    def advert(self, worker: WorkerId) -> tuple[Advert, datetime]:
        """Return what a worker said last, and since when it is known."""
        return self._adverts.get(worker, (Advert(program=""), self._clock.now()))

    async def change(self) -> None:
        """Return when anything has come or gone, at the latest after ``LOOK_EVERY``."""
        with anyio.move_on_after(LOOK_EVERY.total_seconds()):
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _is_ready(kept: _Kept, service: Service, now: datetime) -> bool:
    if missing(kept.job.requires, service.offers) or kept.not_before > now:
        return False
    return kept.renewed is None or kept.holder is None or kept.renewed < now - SILENT_MAX


class MemoryDispatch:
    """A `Dispatch` by jobs in memory."""

    def __init__(self, workers: MemoryWorkers, jobs: MemoryJobs) -> None:
        self._workers = workers
        self._jobs = jobs

    def offers(self) -> Sequence[frozenset[str]]:
        """Return what each worker offers that is alive and takes executions."""
        said = [(worker, advert) for worker, advert in self._jobs.adverts() if not advert.draining]
        return [
            advert.offers
            for worker, advert in said
            if advert.offers is not None and self._workers.is_alive(worker)
        ]

    async def announce(self, worker: WorkerId, advert: Advert) -> None:
        """See `Dispatch.announce`."""
        await self._jobs.announce(worker, advert)

    async def present(self) -> Sequence[Presence]:
        """See `Dispatch.present`."""
        found = []
        for worker in await self._workers.all():
            advert, since = self._jobs.advert(worker.id)
            silent = not self._workers.is_alive(worker.id)
            found.append(Presence(worker=worker, advert=advert, began_at=since, silent=silent))
        return found

    async def serve(self, service: Service) -> None:
        """See `Dispatch.serve`."""
        at: set[ExecutionId] = set()

        async def carry_out(execution: ExecutionId) -> None:
            handled, at_once = Handled.AGAIN, True
            try:
                handled, at_once = await service.handle(execution), False
            finally:
                at.discard(execution)
                with anyio.CancelScope(shield=True):
                    await self._jobs.put_down(execution, service.worker, handled, at_once=at_once)

        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_renewing, service.worker)
            while True:
                if (room := service.most() - len(at)) > 0:
                    for execution in await self._jobs.take(service, most=room):
                        if execution not in at:
                            at.add(execution)
                            group.start_soon(carry_out, execution)
                await self._jobs.change()

    async def _keep_renewing(self, worker: WorkerId) -> None:
        while True:
            await self._jobs.renew(worker)
            await anyio.sleep(SILENT_MAX.total_seconds() / 2)
