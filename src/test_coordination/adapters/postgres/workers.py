"""Workers and their leases in PostgreSQL, by its own clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from test_coordination.adapters.postgres.pool import Pool, connection
from test_coordination.application.fleet import Worker
from test_coordination.domain.values import ExecutionId, WorkerId

BEAT: Final = """
    INSERT INTO worker (id, host, pid, born, lease_ends)
    VALUES ($1, $2, $3, $4, now() + $5::interval)
    ON CONFLICT (id) DO UPDATE SET lease_ends = excluded.lease_ends
"""
LEAVE: Final = "DELETE FROM worker WHERE id = $1"
SILENT: Final = "SELECT id FROM worker WHERE lease_ends <= now() ORDER BY id"
ALL: Final = "SELECT id, host, pid, born FROM worker ORDER BY id"
CLAIM: Final = """
    UPDATE execution SET worker = $2, epoch = epoch + 1 WHERE id = $1 AND epoch = $3 RETURNING epoch
"""
HOLDS: Final = "SELECT epoch = $2 FROM execution WHERE id = $1"


class PostgresWorkers:
    """A `Workers` that keeps each lease as a row."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def beat(self, worker: Worker, *, lease: timedelta) -> None:
        """See `Workers.beat`."""
        async with connection(self._pool, doing="renewing a worker's lease") as lent:
            await lent.execute(BEAT, worker.id, worker.host, worker.pid, worker.born, lease)

    async def leave(self, worker: WorkerId) -> None:
        """See `Workers.leave`."""
        async with connection(self._pool, doing="ending a worker's lease") as lent:
            await lent.execute(LEAVE, worker)

    async def silent(self) -> Sequence[WorkerId]:
        """See `Workers.silent`."""
        async with connection(self._pool, doing="looking for silent workers") as lent:
            return [WorkerId(row["id"]) for row in await lent.fetch(SILENT)]

    async def all(self) -> Sequence[Worker]:
        """See `Workers.all`."""
        async with connection(self._pool, doing="listing workers") as lent:
            rows = await lent.fetch(ALL)
        return [
            Worker(id=WorkerId(row["id"]), host=row["host"], pid=row["pid"], born=row["born"])
            for row in rows
        ]

    async def claim(self, execution: ExecutionId, *, by: WorkerId, epoch: int) -> int | None:
        """See `Workers.claim`."""
        async with connection(self._pool, doing="claiming an execution") as lent:
            given: int | None = await lent.fetchval(CLAIM, execution, by, epoch)
        return given

    async def holds(self, execution: ExecutionId, *, epoch: int) -> bool:
        """See `Workers.holds`."""
        async with connection(self._pool, doing="looking whose an execution is") as lent:
            return bool(await lent.fetchval(HOLDS, execution, epoch))
