"""The measurements of `executions.py`, each in a process of its own, which prints JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from math import ceil
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import anyio
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job
from pgqueuer.domain.types import Channel, QueueExecutionMode

from test_coordination import Coordinator, ExecutionId, Settings, Verdict, open_coordinator
from test_coordination.__main__ import collect_rarely
from test_coordination.adapters.machine import SystemClock, resident_memory
from test_coordination.adapters.postgres.jobs import SETTINGS, PatientPool, builders
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.domain.events import StepEnded
from test_coordination.reaching import server_urls

STEPS: Final = 10
AT_ONCE: Final = 100
WARM_UP: Final = 20
FOLLOWED: Final = 60
BESIDE: Final = 10
MIB: Final = 1024 * 1024
CLOCK: Final = SystemClock()

Figures = dict[str, float]


def scenario(name: str, wait: str) -> str:
    """Return ten steps, one after the other, that wait for so long."""
    steps = "".join(f"  - {{id: s{step}, wait: {wait}}}\n" for step in range(STEPS))
    return f"scenario: {name}\nversion: 1\nsteps:\n{steps}"


@asynccontextmanager
async def coordinator(settings: Settings) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator of a system with one service."""
    topology = settings.home / "topology.yaml"
    topology.write_text('topology: bench\nservices: {one: {command: ["true"]}}\n', "utf-8")
    async with open_coordinator(settings, topology=topology) as lent:
        yield lent


async def throughput(home: Path, count: str) -> Figures:
    """Measure how many no-op executions a second there are, so many at once."""
    async with coordinator(Settings(home=home)) as lent:
        stored = await lent.create_scenario(scenario("no-op", "1ms"))
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def one() -> None:
            async with limit:
                ended = await lent.execution_result(await lent.execute_scenario(stored))
                assert len(ended.steps) == STEPS, ended.reason
                assert ended.verdict is Verdict.INCONCLUSIVE, ended.reason

        async def many(times: int) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(times):
                    group.start_soon(one)

        await many(WARM_UP)
        cpu, wall = time.process_time(), time.perf_counter()
        await many(int(count))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"per_s": int(count) / wall, "cpu_ms": 1000 * cpu / int(count)}


async def jobs(home: Path, count: str) -> Figures:
    """Measure how many jobs a second PgQueuer has done that do nothing."""
    async with server_urls(Settings(home=home)) as (url, _), open_pool(url) as pool:
        driver = PatientPool(pool, url)
        queries = Queries(driver, **builders())
        manager = QueueManager(queries, Channel(SETTINGS.channel))

        @manager.entrypoint("nothing")
        async def nothing(job: Job) -> None:
            del job

        every = ["nothing"] * int(count)
        await queries.enqueue(every, [None] * int(count), [0] * int(count))
        async with anyio.create_task_group() as group:
            group.start_soon(driver.listen)
            cpu, wall = time.process_time(), time.perf_counter()
            await manager.run(mode=QueueExecutionMode.drain)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            group.cancel_scope.cancel()
    return {"per_s": int(count) / wall, "cpu_ms": 1000 * cpu / int(count)}


async def waiting(home: Path, count: str) -> Figures:
    """Measure what it takes to have so many executions wait at once."""
    async with coordinator(Settings(home=home)) as lent:
        stored = await lent.create_scenario(scenario("waiting", "1h"))
        limit = anyio.CapacityLimiter(AT_ONCE)
        start = time.perf_counter()

        async def one() -> None:
            async with limit:
                execution = await lent.execute_scenario(stored)
                async for _ in lent.follow_execution(execution, after=1):
                    return

        async with anyio.create_task_group() as group:
            for _ in range(int(count)):
                group.start_soon(one)
        begun_s = time.perf_counter() - start
        await anyio.sleep(2)
        cpu, wall = time.process_time(), time.perf_counter()
        await anyio.sleep(5)
        busy = (time.process_time() - cpu) / (time.perf_counter() - wall)
        figures = {"rss_mib": resident_memory() / MIB, "busy": busy, "begun_s": begun_s}
        # To stop them all is not what is measured here; the next coordinator tells their end.
        print(json.dumps(figures), flush=True)
    return figures


async def starts(home: Path, count: str, per_s: str) -> Figures:
    """Measure how long after its order the first step of an execution is under way.

    Its end is what is looked at: that is told only once its begin is durable.
    """
    late_ms: list[float] = []
    async with coordinator(Settings(home=home)) as lent:
        stored = await lent.create_scenario(scenario("no-op", "1ms"))

        async def one() -> None:
            ordered = CLOCK.now()
            execution = await lent.execute_scenario(stored)
            async for entry in lent.follow_execution(execution):
                if isinstance(entry.event, StepEnded):
                    late_ms.append((entry.at - ordered).total_seconds() * 1000)
                    return

        async with anyio.create_task_group() as group:
            begin = anyio.current_time()
            for place in range(int(count)):
                await anyio.sleep(max(0.0, begin + place / int(per_s) - anyio.current_time()))
                group.start_soon(one)
    return spread(late_ms[len(late_ms) // 10 :])


async def follow(home: Path, store: str) -> Figures:
    """Measure how long after an event was recorded a follower in another process has it.

    That counts from before the event was sent to be written, and so holds its commit, too.
    """
    late_ms: list[float] = []
    async with server_urls(Settings(home=home)) as (url, redis_url):
        known = Settings(home=home, postgres_url=url, redis_url=redis_url)
        settings = known if store == "redis" else Settings(home=home, postgres_url=url)
        async with coordinator(settings) as lent:

            async def one(execution: ExecutionId) -> None:
                since = CLOCK.now()
                async for entry in lent.follow_execution(execution):
                    late = CLOCK.now() - entry.at
                    if entry.at > since:
                        late_ms.append(late.total_seconds() * 1000)

            runner = [sys.executable, __file__, "run", str(home), url, settings.redis_url or ""]
            async with (
                await anyio.open_process(runner, stderr=None) as process,
                anyio.create_task_group() as group,
            ):
                assert process.stdout is not None
                rest = ""
                async for chunk in process.stdout:
                    *lines, rest = (rest + chunk.decode()).split("\n")
                    for line in lines:
                        group.start_soon(one, ExecutionId(UUID(line)))
    return {**spread(late_ms), "events": len(late_ms)}


async def run(home: Path, url: str, redis_url: str) -> None:
    """Carry out executions that another process follows, whose names are printed."""
    settings = Settings(home=home, postgres_url=url, redis_url=redis_url or None)
    async with coordinator(settings) as lent:
        stored = await lent.create_scenario(scenario("slow", "200ms"))

        async def some() -> None:
            for _ in range(FOLLOWED // BESIDE):
                execution = await lent.execute_scenario(stored)
                print(execution, flush=True)
                await lent.execution_result(execution)

        async with anyio.create_task_group() as group:
            for _ in range(BESIDE):
                group.start_soon(some)


def spread(values: list[float]) -> Figures:
    """Return the median and what all but one in a hundred are below."""
    ordered = sorted(values)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[ceil(len(ordered) * 0.99) - 1]}


MEASURES: Final[dict[str, Callable[..., Coroutine[Any, Any, Figures | None]]]] = {
    each.__name__: each for each in (throughput, jobs, waiting, starts, follow, run)
}

if __name__ == "__main__" and len(sys.argv) > 1:
    collect_rarely()
    found = anyio.run(MEASURES[sys.argv[1]], Path(sys.argv[2]), *sys.argv[3:])
    if found is not None:
        print(json.dumps(found))
