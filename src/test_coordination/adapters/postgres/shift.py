"""One worker's time at the job queue: it takes jobs, renews them, and ends or returns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import anyio
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job, TracebackRecord
from pgqueuer.domain.types import JOB_STATUS, Channel, JobId, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from test_coordination.adapters.postgres.jobs import (
    DOING,
    RETRY_S,
    SETTINGS,
    PatientPool,
    builders,
    queries,
)
from test_coordination.adapters.postgres.pool import Pool, transaction
from test_coordination.application.fleet import Handled, Service
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId

SILENT_MAX: Final = timedelta(seconds=3)
"""Whose worker has not renewed a job for so long, to another one it is given."""
POLL_EVERY: Final = timedelta(milliseconds=500)
BATCH: Final = 10
STOP_S_MAX: Final = 5.0
AGAIN_S: Final = 0.5
AGAIN_S_MAX: Final = 30.0

KEYS: Final = "SELECT key FROM dispatch_route WHERE covers($1::text[], requires)"

# PgQueuer ends, returns and renews a job by its number alone. Whoever does so must still be the
# one who has it, or a worker that was stopped and comes back would take it from the next one.
OURS: Final = """
    SELECT id FROM pgqueuer WHERE id = ANY ($1) AND queue_manager_id = $2 ORDER BY id FOR UPDATE
"""
RENEW: Final = """
    UPDATE pgqueuer SET heartbeat = now() WHERE id = ANY ($1) AND queue_manager_id = $2
"""

_UNLIMITED: Final = EntrypointExecutionParameter(concurrency_limit=0)


class Shift:
    """The jobs of one worker."""

    def __init__(self, pool: Pool, url: str, service: Service) -> None:
        """Serve as ``service``, whose name is what its jobs are kept under."""
        self._service = service
        self._driver = PatientPool(pool, url)
        fenced = _FencedQueries(pool, self._driver, self)
        self._manager = QueueManager(fenced, Channel(SETTINGS.channel))
        self._manager.queue_manager_id = self.worker
        self._scopes: set[anyio.CancelScope] = set()

    @property
    def worker(self) -> QueueManagerId:
        """Return the name of the worker as PgQueuer has it."""
        return QueueManagerId(self._service.worker)

    @property
    def room(self) -> int:
        """Return how many further jobs may be taken; none if it is not positive."""
        return self._service.most() - len(self._manager.job_context)

    async def keys(self) -> Sequence[str]:
        """Return the kinds of job that this worker can carry out, as there are of late."""
        rows = await self._driver.fetch(KEYS, sorted(self._service.offers))
        keys = [str(row["key"]) for row in rows]
        for key in keys:
            if QueueEntrypoint(key) not in self._manager.entrypoint_registry:
                self._manager.entrypoint(key, accepts_context=False)(self._carry_out)
        return keys

    async def serve(self) -> None:
        """Take jobs until cancelled; what is under way then is cancelled, and returned."""
        ended = anyio.Event()
        work = anyio.CancelScope(shield=True)

        async def manage() -> None:
            try:
                with work:
                    await self._manager.run(
                        dequeue_timeout=POLL_EVERY,
                        batch_size=BATCH,
                        heartbeat_timeout=SILENT_MAX,
                        log_aggregation_interval=timedelta(0),
                    )
            finally:
                ended.set()

        async with anyio.create_task_group() as group:
            group.start_soon(self._driver.listen)
            group.start_soon(manage)
            try:
                await anyio.sleep_forever()
            finally:
                self._manager.shutdown.set()
                for scope in self._scopes:
                    scope.cancel()
                with anyio.move_on_after(STOP_S_MAX, shield=True):
                    await ended.wait()
                work.cancel()

    async def _carry_out(self, job: Job) -> None:
        assert job.payload is not None, "enqueued with the execution's identity"
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                handled = await self._service.handle(ExecutionId(UUID(bytes=job.payload)))
            finally:
                self._scopes.discard(scope)
            if handled is Handled.AGAIN:
                again_s = min(AGAIN_S_MAX, AGAIN_S * 2 ** min(job.attempts, 10))
                raise RetryRequested(timedelta(seconds=again_s), "given back")
        if scope.cancelled_caught:
            raise RetryRequested(timedelta(0), "its worker ends")


class _FencedQueries(Queries):
    """PgQueuer's statements for one worker, which changes no job that it has no longer."""

    def __init__(self, pool: Pool, driver: PatientPool, shift: Shift) -> None:
        super().__init__(driver, **builders())
        self._pool = pool
        self._shift = shift

    async def dequeue(  # noqa: PLR0917  the signature is PgQueuer's
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        """Take as many jobs as there is room for, of the kinds that there are by now."""
        del entrypoints  # those that there were when it last looked
        if self._shift.room < 1 or not (keys := await self._shift.keys()):
            return []
        return await super().dequeue(
            batch_size=max(1, min(batch_size, self._shift.room)),
            entrypoints={QueueEntrypoint(key): _UNLIMITED for key in keys},
            queue_manager_id=queue_manager_id,
            global_concurrency_limit=global_concurrency_limit,
            heartbeat_timeout=heartbeat_timeout,
        )

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """Count what could be taken now: nothing without room, so that nobody asks at once."""
        return await super().eligible_queued_work(entrypoints) if self._shift.room > 0 else 0

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """Count what waits; nothing without room."""
        return await super().queued_work(entrypoints) if self._shift.room > 0 else 0

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        """Return when the next job that was given back may be taken; None without room."""
        return await super().next_deferred_eta(entrypoints) if self._shift.room > 0 else None

    async def update_heartbeat(self, job_ids: list[JobId]) -> None:
        """Renew the jobs that are still this worker's."""
        await self.driver.execute(RENEW, sorted(set(job_ids)), self._shift.worker)

    async def retry_job(
        self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None
    ) -> None:
        """Return a job to the queue, if it is still this worker's; nothing is told of why."""
        del traceback_record

        async def act(queries: Queries, ours: Collection[JobId]) -> None:
            if job.id in ours:
                await queries.retry_job(job, delay, None)

        await self._fenced([job.id], act)

    async def log_jobs(
        self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]
    ) -> None:
        """End the jobs that were carried out, and are still this worker's.

        One that was not, because it was cut short, goes back into the queue.
        """

        async def act(queries: Queries, ours: Collection[JobId]) -> None:
            mine = [(job, status) for job, status, _ in job_status if job.id in ours]
            done = [(job, status, None) for job, status in mine if status == "successful"]
            if done:
                await queries.log_jobs(list(done))
            for job, status in mine:
                if status != "successful":
                    await queries.retry_job(job, timedelta(seconds=AGAIN_S), None)

        await self._fenced([job.id for job, _, _ in job_status], act)

    async def _fenced(
        self,
        jobs: Sequence[JobId],
        act: Callable[[Queries, Collection[JobId]], Awaitable[None]],
    ) -> None:
        """Do something to those of ``jobs`` that are ours, in one transaction, until it is done."""
        while True:
            try:
                async with transaction(self._pool, doing=DOING) as lent:
                    rows = await lent.fetch(OURS, jobs, self._shift.worker)
                    ours = frozenset(JobId(row["id"]) for row in rows)
                    await act(queries(lent), ours)
                    return
            except StoreUnavailableError:
                await anyio.sleep(RETRY_S)
