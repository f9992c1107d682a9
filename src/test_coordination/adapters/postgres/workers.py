"""Workers, their leases, and who has which execution, in PostgreSQL and by its own clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg

from test_coordination.adapters.postgres.pool import APPLICATION, Pool, connection, transaction
from test_coordination.adapters.postgres.private import PrivateConnection
from test_coordination.application.fleet import NOBODY, REMEMBERED, Holder, Worker
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WorkerId

BEAT: Final = """
    INSERT INTO worker (id, host, pid, born, lease_ends)
    VALUES ($1, $2, $3, $4, clock_timestamp() + $5::interval)
    ON CONFLICT (id) DO UPDATE SET lease_ends = excluded.lease_ends
"""
# Who leaves clears away those that died long ago, once nothing is theirs any more.
LEAVE: Final = """
    DELETE FROM worker
    WHERE id = $1 OR (
        lease_ends < clock_timestamp() - $2::interval
        AND id NOT IN (
            SELECT worker FROM execution WHERE status <> 'finished' OR outstanding > 0
        )
    )
"""
ALL: Final = "SELECT id, host, pid, born FROM worker ORDER BY id"
# The first condition is that of the partial index execution_unsettled, word for word.
HOLDERS: Final = """
    SELECT held.worker AS id, held.running,
           w.host, w.pid, w.born, w.lease_ends <= clock_timestamp() AS silent
    FROM (
        SELECT worker, count(*) FILTER (WHERE status <> 'finished') AS running
        FROM execution
        WHERE (status <> 'finished' OR outstanding > 0) AND worker <> $1
        GROUP BY worker
    ) AS held
    LEFT JOIN worker AS w ON w.id = held.worker
    ORDER BY held.worker
"""
# First the row is locked, and then it is looked, by a statement that sees all that was committed
# before the lock: whoever asks after a beat whether an execution is still his (HELD, which waits
# for the lock) is either told of the claim, or the claim sees his beat.
LOCK: Final = "SELECT FROM execution WHERE id = $1 AND epoch = $2 FOR NO KEY UPDATE"
CLAIM: Final = """
    UPDATE execution
    SET worker = $2, epoch = epoch + 1
    WHERE id = $1 AND epoch = $3 AND (
        $4 OR worker = $2 OR NOT EXISTS (
            SELECT FROM worker
            WHERE worker.id = execution.worker AND lease_ends > clock_timestamp()
        )
    )
    RETURNING epoch
"""
# In the order of their identities, as those who append lock them.
HELD: Final = """
    SELECT execution.id
    FROM execution
    JOIN unnest($1::uuid[], $2::int[]) AS asked (id, epoch) USING (id)
    WHERE execution.epoch = asked.epoch
    ORDER BY execution.id
    FOR SHARE OF execution
"""
CLAIM_PATIENCE: Final = "SET LOCAL lock_timeout = '200ms'"
# A program of ours that has been silent for so long in the middle of a transaction is stopped or
# cut off. The time limit of idle transactions does not reach one that is about to send rows.
THROW_OUT: Final = """
    SELECT pg_terminate_backend(pid)
    FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = $1
        AND wait_event = 'ClientRead' AND xact_start < clock_timestamp() - interval '2 seconds'
"""


@asynccontextmanager
async def open_workers(pool: Pool, url: str) -> AsyncGenerator[PostgresWorkers]:
    """Lend the workers; beats go over a connection of their own to the database at ``url``."""
    own = PrivateConnection(url)
    try:
        yield PostgresWorkers(pool, own)
    finally:
        own.close()


class PostgresWorkers:
    """A `Workers` that keeps each lease as a row."""

    def __init__(self, pool: Pool, own: PrivateConnection) -> None:
        self._pool = pool
        self._own = own

    async def beat(self, worker: Worker, *, lease: timedelta) -> None:
        """See `Workers.beat`."""
        said = (worker.id, worker.host, worker.pid, worker.born, lease)
        await self._own.fetch(BEAT, *said, doing="renewing a worker's lease")

    async def leave(self, worker: WorkerId) -> None:
        """See `Workers.leave`."""
        await self._own.fetch(LEAVE, worker, REMEMBERED, doing="ending a worker's lease")

    async def all(self) -> Sequence[Worker]:
        """See `Workers.all`."""
        async with connection(self._pool, doing="listing workers") as lent:
            return [_worker(row) for row in await lent.fetch(ALL)]

    async def holders(self) -> Sequence[Holder]:
        """See `Workers.holders`."""
        async with connection(self._pool, doing="looking for silent workers") as lent:
            rows = await lent.fetch(HOLDERS, NOBODY)
        return [
            Holder(
                id=WorkerId(row["id"]),
                worker=None if row["host"] is None else _worker(row),
                silent=bool(row["silent"]),
                running=row["running"],
            )
            for row in rows
        ]

    async def claim(
        self, execution: ExecutionId, *, by: WorkerId, epoch: int, from_living: bool = False
    ) -> int | None:
        """See `Workers.claim`."""
        claimed = partial(self._claimed, execution, by=by, epoch=epoch, from_living=from_living)
        try:
            return await claimed()
        except StoreUnavailableError as error:
            if not isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                raise
        async with connection(self._pool, doing="looking who stopped while writing") as lent:
            await lent.execute(THROW_OUT, APPLICATION)
        return await claimed()

    async def _claimed(
        self, execution: ExecutionId, *, by: WorkerId, epoch: int, from_living: bool
    ) -> int | None:
        async with transaction(self._pool, doing="claiming an execution") as lent:
            await lent.execute(CLAIM_PATIENCE)
            await lent.execute(LOCK, execution, epoch)
            given: int | None = await lent.fetchval(CLAIM, execution, by, epoch, from_living)
        return given

    async def held(self, epochs: Mapping[ExecutionId, int]) -> frozenset[ExecutionId]:
        """See `Workers.held`."""
        doing = "looking whose executions are"
        rows = await self._own.fetch(HELD, list(epochs), list(epochs.values()), doing=doing)
        return frozenset(ExecutionId(row["id"]) for row in rows)


def _worker(row: asyncpg.Record) -> Worker:
    return Worker(id=WorkerId(row["id"]), host=row["host"], pid=row["pid"], born=row["born"])
