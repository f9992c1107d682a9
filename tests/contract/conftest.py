"""The stores in each of their implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from support.probes_scene import audited
from support.stores_servers import Urls
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.memory.evidence import MemoryEvidence
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.queue import MemoryQueue
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.postgres.evidence import PostgresEvidence
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.postgres.queue import PostgresQueue
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.postgres.workers import open_workers
from test_coordination.application.definitions import ScenarioStore
from test_coordination.application.fleet import Queue, Workers
from test_coordination.application.ports import Evidence, ExecutionLog

__all__ = ["audited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """All that is kept, behind the ports."""

    scenarios: ScenarioStore
    log: ExecutionLog
    evidence: Evidence
    workers: Workers
    queue: Queue


@pytest.fixture(params=["memory", "postgres", "least-privilege"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL of the database to be used; None for memory."""
    names = {"postgres": "servers", "least-privilege": "least_privilege"}
    if (name := names.get(request.param)) is None:
        return None
    urls: Urls = request.getfixturevalue(name)
    return urls.postgres


@pytest.fixture
async def stores(database: str | None) -> AsyncIterator[Stores]:
    if database is None:
        scenarios = MemoryScenarioStore()
        log = MemoryExecutionLog(scenarios)
        yield Stores(
            scenarios=scenarios,
            log=log,
            evidence=MemoryEvidence(),
            workers=MemoryWorkers(SystemClock(), log),
            queue=MemoryQueue(SystemClock(), log),
        )
        return
    async with (
        open_pool(database) as pool,
        open_execution_log(pool) as kept,
        open_workers(pool, database) as workers,
    ):
        yield Stores(
            scenarios=PostgresScenarioStore(pool),
            log=kept,
            evidence=PostgresEvidence(pool),
            workers=workers,
            queue=PostgresQueue(pool),
        )
