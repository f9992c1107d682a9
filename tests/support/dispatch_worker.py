"""A worker for tests that kill it: it claims what it is given, and writes under its epoch alone.

It is run with the URL of the database, what it offers, and how many executions it may be at; it
prints a line for all that happens.
"""

from __future__ import annotations

import sys
from typing import Final

import anyio

from support.stores_story import NEW
from test_coordination.adapters.machine import ThisMachine
from test_coordination.adapters.postgres.dispatch import PostgresDispatch
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.adapters.postgres.workers import open_workers
from test_coordination.application.engine.lease import BEAT_EVERY, LEASE
from test_coordination.application.fleet import Handled, Service, Worker, Workers
from test_coordination.domain.values import ExecutionId, WorkerId

TICKS: Final = 20
TICK_S: Final = 0.1
EPOCH: Final = "SELECT epoch FROM execution WHERE id = $1"
TICK: Final = """
    INSERT INTO tick (execution, epoch)
    SELECT id, epoch FROM execution WHERE id = $1 AND epoch = $2 FOR SHARE
"""
COUNT: Final = "SELECT count(*) FROM tick WHERE execution = $1"


def say(*words: object) -> None:
    print(*words, flush=True)


async def claim(execution: ExecutionId, pool: Pool, workers: Workers, *, me: WorkerId) -> int:
    """Return the epoch of an execution once nobody else who may be alive has it."""
    while True:
        last = await pool.fetchval(EPOCH, execution)
        if (epoch := await workers.claim(execution, by=me, epoch=last)) is not None:
            return epoch
        await anyio.sleep(TICK_S)


async def carry_out(execution: ExecutionId, epoch: int, pool: Pool) -> Handled:
    """Do what is left of an execution's ticks; who has lost it says that it is done, wrongly."""
    say("taken", execution, epoch)
    while await pool.fetchval(COUNT, execution) < TICKS:
        await anyio.sleep(TICK_S)
        if await pool.execute(TICK, execution, epoch) != "INSERT 0 1":
            say("refused", execution, epoch)
            return Handled.DONE
    say("done", execution, epoch)
    return Handled.DONE


async def main(url: str, mark: str, most: str) -> None:
    worker = ThisMachine().present(WorkerId(NEW.new()))
    async with open_pool(url) as pool, open_workers(pool, url) as workers:

        async def handle(execution: ExecutionId) -> Handled:
            epoch = await claim(execution, pool, workers, me=worker.id)
            return await carry_out(execution, epoch, pool)

        service = Service(
            worker=worker.id, offers=frozenset({mark}), most=lambda: int(most), handle=handle
        )
        await workers.beat(worker, lease=LEASE)
        say("worker", worker.id)
        async with anyio.create_task_group() as group:
            group.start_soon(keep_beating, workers, worker)
            await PostgresDispatch(pool, url).serve(service)


async def keep_beating(workers: Workers, worker: Worker) -> None:
    while True:
        await anyio.sleep(BEAT_EVERY.total_seconds())
        await workers.beat(worker, lease=LEASE)


if __name__ == "__main__":
    _, database, offer, limit = sys.argv
    anyio.run(main, database, offer, limit)
