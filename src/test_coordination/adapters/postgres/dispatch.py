"""Executions given to workers through the job queue: one job each, and no second one beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import anyio
import asyncpg

from test_coordination.adapters.postgres.pool import Connection, Pool, connection, transaction
from test_coordination.application.fleet import Advert, Job, Presence, Service, Worker
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WorkerId

MEND_EVERY_S: Final = 5.0
PRUNE_EVERY: Final = 12
"""Old lines are cut each time that this many looks for lost jobs have been taken."""

# A key that is used on is kept: whoever removes it looks again at the row once it is unlocked.
ADD_ROUTE: Final = """
    INSERT INTO dispatch_route AS known (key, requires) VALUES ($1, $2)
    ON CONFLICT (key) DO UPDATE SET used_at = now()
    WHERE known.used_at < now() - interval '1 hour'
"""
# Word for word the condition of the partial index execution_unsettled, and then more.
LOST: Final = """
    SELECT id, requires, priority
    FROM execution
    WHERE (status <> 'finished' OR outstanding > 0)
        AND status <> 'finished'
        AND detached
        AND parent IS NULL
        AND admitted_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM pgqueuer AS job
            WHERE job.dedupe_key = execution.id::text AND job.status IN ('queued', 'picked')
        )
    ORDER BY id
    LIMIT 1000
"""
# PgQueuer writes three lines a job and never removes one.
CUT_LOG: Final = """
    DELETE FROM pgqueuer_log WHERE id IN (
        SELECT id FROM pgqueuer_log
        WHERE created < now() - interval '1 hour'
        ORDER BY created
        LIMIT 10000
        FOR UPDATE SKIP LOCKED
    )
"""
CUT_ROUTES: Final = """
    DELETE FROM dispatch_route
    WHERE used_at < now() - interval '1 day'
        AND NOT EXISTS (SELECT FROM pgqueuer WHERE entrypoint = key)
"""

ANNOUNCE: Final = """
    UPDATE worker
    SET program = $2, offers = $3, executions = $4, executions_max = $5, memory = $6,
        memory_max = $7, draining = $8
    WHERE id = $1
"""
PRESENT: Final = "SELECT *, lease_ends <= now() AS silent FROM worker ORDER BY id"


async def enqueue(lent: Connection, jobs: Sequence[Job]) -> None:
    """Give executions to the dispatch within the transaction of ``lent``, the first one first.

    One that has been given to it and is not done yet is left as it is. Two that give the same
    ones at the same time must do so in the same order.
    """
    if not jobs:
        return
    from test_coordination.adapters.postgres.jobs import queries  # noqa: PLC0415  its library is slow to import, and seldom needed

    keys = {job.execution: _key(job.requires) for job in jobs}
    routes = {keys[job.execution]: sorted(job.requires) for job in jobs}
    await lent.executemany(ADD_ROUTE, sorted(routes.items()))
    await queries(lent).enqueue(
        [keys[job.execution] for job in jobs],
        [job.execution.bytes for job in jobs],
        [job.priority for job in jobs],
        dedupe_key=[str(job.execution) for job in jobs],
        on_conflict="skip",
    )


def _key(requires: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(requires)).encode()).hexdigest()[:32]


class PostgresDispatch:
    """A `Dispatch` by PgQueuer; ``url`` is where a worker listens for what there is to do."""

    def __init__(self, pool: Pool, url: str) -> None:
        self._pool = pool
        self._url = url

    async def announce(self, worker: WorkerId, advert: Advert) -> None:
        """See `Dispatch.announce`."""
        async with connection(self._pool, doing="saying what a worker offers") as lent:
            await lent.execute(
                ANNOUNCE,
                worker,
                advert.program,
                None if advert.offers is None else sorted(advert.offers),
                advert.executions,
                advert.executions_max,
                advert.memory,
                advert.memory_max,
                advert.draining,
            )

    async def present(self) -> Sequence[Presence]:
        """See `Dispatch.present`."""
        async with connection(self._pool, doing="listing workers") as lent:
            return [_presence(row) for row in await lent.fetch(PRESENT)]

    async def serve(self, service: Service) -> None:
        """See `Dispatch.serve`."""
        from test_coordination.adapters.postgres.shift import Shift  # noqa: PLC0415  its library is slow to import, and only workers serve

        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_well)
            await Shift(self._pool, self._url, service).serve()

    async def _keep_well(self) -> None:
        """Now and then enqueue what lost its job, and remove what nobody needs any more."""
        looks = 0
        while True:
            with suppress(StoreUnavailableError):
                async with transaction(self._pool, doing="looking for lost jobs") as lent:
                    await enqueue(lent, [_job(row) for row in await lent.fetch(LOST)])
                if looks % PRUNE_EVERY == 0:
                    async with connection(self._pool, doing="removing old jobs' lines") as lent:
                        await lent.execute(CUT_LOG)
                        await lent.execute(CUT_ROUTES)
            looks += 1
            await anyio.sleep(MEND_EVERY_S)


def _job(row: asyncpg.Record) -> Job:
    return Job(
        execution=ExecutionId(row["id"]),
        requires=frozenset(row["requires"]),
        priority=row["priority"],
    )


def _presence(row: asyncpg.Record) -> Presence:
    worker = Worker(id=WorkerId(row["id"]), host=row["host"], pid=row["pid"], born=row["born"])
    advert = Advert(
        program=row["program"],
        offers=None if row["offers"] is None else frozenset(row["offers"]),
        executions=row["executions"],
        executions_max=row["executions_max"],
        memory=row["memory"],
        memory_max=row["memory_max"],
        draining=row["draining"],
    )
    return Presence(worker=worker, advert=advert, began_at=row["began_at"], silent=row["silent"])
