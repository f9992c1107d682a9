"""How fast large pieces of logs are written through the adapter, against a raw binary COPY.

    python benchmarks/log_ingestion.py

Both write the same rows into the same empty table, by turns, in one run. The raw COPY sends what
lies ready in memory, in one transaction: nothing that goes through a driver is faster. The adapter
encodes the events, checks where each log ends, and commits as often as its callers ask.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from uuid import UUID

import anyio

from test_coordination.adapters.machine import TimeOrderedIdentities
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.ports import ExecutionLog, ExecutionRecord
from test_coordination.domain.events import Entry, Event, Outcome, StepEnded, StepStarted
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import Plan
from test_coordination.domain.values import ExecutionId, ScenarioId, StepId, WorkerId

EXECUTIONS = 16
PIECES = 5
PIECE = 1000
EVENTS = EXECUTIONS * PIECES * PIECE
REPETITIONS = 9
GOAL = 0.8

START = datetime(2026, 1, 1, tzinfo=UTC)
NEW = TimeOrderedIdentities()
PLAN = Plan(
    scenario="benchmark",
    topology="none",
    parameters={},
    probes=(),
    watched=(),
    steps=(),
    timeout=timedelta(minutes=1),
)
FACTS = {"status": 200, "latency_ms": 12.625, "url": "http://127.0.0.1:8080/orders/1234567"}
KINDS: tuple[Event, ...] = (
    StepStarted(step=StepId("wait-until-orders-flow-again")),
    StepEnded(step=StepId("wait-until-orders-flow-again"), outcome=Outcome.DONE, facts=FACTS),
)

Piece = tuple[Sequence[Entry], Execution]


def pieces(execution: UUID) -> Sequence[Piece]:
    """Return one log in pieces, each with what its execution's record is to say."""
    state = Execution(id=ExecutionId(execution), status=Status.RUNNING, started_at=START)
    found = []
    for first in range(1, PIECES * PIECE, PIECE):
        entries = [
            Entry(position=position, at=START + position * timedelta(milliseconds=1), event=event)
            for position, event in enumerate(islice(cycle(KINDS), PIECE), start=first)
        ]
        found.append((entries, replace(state, position=entries[-1].position)))
    return found


@asynccontextmanager
async def store() -> AsyncIterator[Pool]:
    """Lend a pool on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        async with embedded_servers(Path(directory)) as urls:
            await migrate(urls.postgres)
            async with open_pool(urls.postgres) as pool:
                yield pool


async def create(pool: Pool, log: ExecutionLog) -> UUID:
    """Keep a new execution, and return its identity."""
    given = StoredScenario(
        id=ScenarioId(NEW.new()),
        name="benchmark",
        version=0,
        digest="",
        source="",
        file="",
        stored_at=START,
    )
    scenario = await PostgresScenarioStore(pool).store(given)
    record = ExecutionRecord(
        id=ExecutionId(NEW.new()),
        scenario=scenario.id,
        scenario_name=scenario.name,
        scenario_version=scenario.version,
        plan=PLAN,
        requested_at=START,
        requested_by="benchmark",
        worker=WorkerId(NEW.new()),
    )
    await log.create(record)
    return record.id


async def empty(pool: Pool) -> None:
    """Forget every event, and make both ways start with the same quiet server."""
    await pool.execute("TRUNCATE execution_event")
    await pool.execute("UPDATE execution SET log_end = 0")
    await pool.execute("CHECKPOINT")


async def through_the_adapter(log: ExecutionLog, logs: Sequence[Sequence[Piece]]) -> None:
    """Write all logs at the same time, each piece after the one before it was committed."""

    async def write(log_pieces: Sequence[Piece]) -> None:
        for entries, state in log_pieces:
            await log.append(entries, leading_to=state, epoch=1)

    async with anyio.create_task_group() as group:
        for log_pieces in logs:
            group.start_soon(write, log_pieces)


async def raw(pool: Pool, prepared: bytes) -> None:
    """Write all logs as they lie ready."""
    async with pool.acquire() as connection:
        await connection.copy_to_table("execution_event", source=BytesIO(prepared), format="binary")


async def rate(pool: Pool, work: Callable[[], Awaitable[None]]) -> float:
    """Return how many events a second ``work`` writes into an empty table."""
    await empty(pool)
    start = time.perf_counter()
    await work()
    took_s = time.perf_counter() - start
    written = await pool.fetchval("SELECT count(*) FROM execution_event")
    assert written == EVENTS, written
    return EVENTS / took_s


async def main() -> None:
    """Measure, and print."""
    rates: dict[str, list[float]] = {"raw COPY": [], "adapter": []}
    async with store() as pool, open_execution_log(pool) as log:
        logs = [pieces(await create(pool, log)) for _ in range(EXECUTIONS)]
        await empty(pool)
        await through_the_adapter(log, logs)
        unloaded = BytesIO()
        await pool.copy_from_query("TABLE execution_event", output=unloaded, format="binary")
        for _ in range(REPETITIONS):
            rates["raw COPY"].append(await rate(pool, lambda: raw(pool, unloaded.getvalue())))
            rates["adapter"].append(await rate(pool, lambda: through_the_adapter(log, logs)))
    print(f"{EVENTS} events of {EXECUTIONS} executions, {PIECE} an append; events/s")
    for name, seen in rates.items():
        print(f"{name:10} median {median(seen):10,.0f}   {min(seen):,.0f} - {max(seen):,.0f}")
    ratios = [one / other for one, other in zip(rates["adapter"], rates["raw COPY"], strict=True)]
    print(f"ratio      median {median(ratios):10.2f}   {min(ratios):.2f} - {max(ratios):.2f}")
    print(f"goal       at least {GOAL}")


if __name__ == "__main__":
    anyio.run(main)
