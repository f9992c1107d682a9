"""How soon followers see what happens, and what many of them cost.

    python benchmarks/following.py

Events are written one after the other, each durable before it is shown, while one follower looks
on: with Valkey, without, and while Valkey hangs (SIGSTOP). Then 1 and 300 followers of three
executions look on for a while; what they cost is the processor time of this process, and how often
the log was asked.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles

import anyio
from redis.asyncio import Redis

from log_ingestion import START, create  # type: ignore[import-not-found]  # beside it
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.redis.live import open_live_view
from test_coordination.adapters.servers.embedded import ServerUrls, embedded_servers
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.following import Feed
from test_coordination.application.ports import ExecutionLog
from test_coordination.domain.events import Entry, ExecutionEnded, Noted
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

EVENTS = 400
EVERY_S = 0.037
WATCHED_S = 10
FOLLOWERS = 300
GOAL_MS = 250


class Counted:
    """An `ExecutionLog` that counts how often it is asked for news."""

    def __init__(self, log: ExecutionLog) -> None:
        self.asked = 0
        self._log = log

    async def news(
        self, after: Mapping[ExecutionId, int], *, limit: int
    ) -> Mapping[ExecutionId, Sequence[Entry]]:
        """See `History.news`."""
        self.asked += 1
        return await self._log.news(after, limit=limit)

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


@dataclass(slots=True, kw_only=True)
class Scene:
    """Executions that are written here, and followed here."""

    stores: Stores
    feed: Feed
    log: Counted
    states: list[Execution]
    records: list[object]
    written: dict[tuple[ExecutionId, int], float] = field(default_factory=dict)
    ages_ms: list[float] = field(default_factory=list)

    async def write(self, place: int, *, end: bool = False) -> None:
        """Append one event to one of the logs, and show it."""
        state = self.states[place]
        ended = ExecutionEnded(verdict=Verdict.HELD, reason="")
        position = state.position + 1
        entry = Entry(position=position, at=START, event=ended if end else Noted(text="n"))
        after = replace(state, position=position)
        if end:
            after = replace(after, status=Status.FINISHED, verdict=Verdict.HELD, ended_at=START)
        await self.stores.log.append([entry], leading_to=after, epoch=1)
        self.written[state.id, position] = time.perf_counter()
        self.stores.live.publish(self.records[place], after, [entry])  # type: ignore[arg-type]  # a record
        self.states[place] = after

    async def follow(self, place: int) -> None:
        """Note how old each entry is when it is seen."""
        execution = self.states[place].id
        async for entry in self.feed.follow(execution, after=0):
            seen = time.perf_counter() - self.written[execution, entry.position]
            self.ages_ms.append(seen * 1000)


@asynccontextmanager
async def scene(urls: ServerUrls, *, redis: bool, executions: int = 1) -> AsyncIterator[Scene]:
    """Lend executions that have begun, on real servers."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(urls.postgres))
        log = Counted(await stack.enter_async_context(open_execution_log(pool)))
        clock = SystemClock()
        shown = open_live_view(urls.redis if redis else None, clock)
        live = await stack.enter_async_context(shown)
        stores = Stores(log=log, live=live, clock=clock)  # type: ignore[arg-type]  # it passes on what it lacks
        group = await stack.enter_async_context(anyio.create_task_group())
        ids = [ExecutionId(await create(pool, log)) for _ in range(executions)]
        yield Scene(
            stores=stores,
            feed=Feed(stores, group),
            log=log,
            states=[Execution(id=each, status=Status.RUNNING, started_at=START) for each in ids],
            records=[await stores.log.get(each) for each in ids],
        )
        group.cancel_scope.cancel()


async def latency(urls: ServerUrls, name: str, *, redis: bool, hangs: int = 0) -> None:
    """Measure how old events are when one follower sees them; ``hangs`` is Valkey's process."""
    async with scene(urls, redis=redis) as at:
        await at.write(0)
        async with anyio.create_task_group() as group:
            group.start_soon(at.follow, 0)
            await anyio.sleep(1)
            at.ages_ms.clear()
            if hangs:
                os.kill(hangs, signal.SIGSTOP)
            try:
                for _ in range(EVENTS):
                    await at.write(0)
                    await anyio.sleep(EVERY_S)
                await anyio.sleep(0.5)
            finally:
                if hangs:
                    os.kill(hangs, signal.SIGCONT)
            await at.write(0, end=True)
        found = at.ages_ms
        p99 = quantiles(found, n=100)[98]
        print(
            f"{name:16} p50 {median(found):6.1f} ms   p99 {p99:6.1f} ms   max {max(found):6.1f} ms"
        )


async def cost(urls: ServerUrls, *, followers: int, redis: bool) -> None:
    """Measure what followers cost who look on while something happens now and then."""
    async with scene(urls, redis=redis, executions=3) as at:
        for place in range(3):
            await at.write(place)
        async with anyio.create_task_group() as group:
            for number in range(followers):
                group.start_soon(at.follow, number % 3)
            await anyio.sleep(2)
            asked, used = at.log.asked, time.process_time()
            for _ in range(WATCHED_S):
                for place in range(3):
                    await at.write(place)
                await anyio.sleep(1)
            asked, used = at.log.asked - asked, time.process_time() - used
            for place in range(3):
                await at.write(place, end=True)
        how = "with Valkey" if redis else "without"
        print(
            f"{followers:4} followers, {how:12} log asked {asked / WATCHED_S:5.1f} times/s, "
            f"{100 * used / WATCHED_S:4.1f} % of a processor"
        )


async def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        async with embedded_servers(Path(place)) as urls:
            await migrate(urls.postgres)
            async with Redis.from_url(urls.redis) as redis:
                pid = int((await redis.info("server"))["process_id"])
            print(f"age of an event when a follower sees it; goal: p99 below {GOAL_MS} ms")
            await latency(urls, "with Valkey", redis=True)
            await latency(urls, "without", redis=False)
            await latency(urls, "Valkey hangs", redis=True, hangs=pid)
            for with_redis in (True, False):
                for followers in (3, FOLLOWERS):
                    await cost(urls, followers=followers, redis=with_redis)


if __name__ == "__main__":
    anyio.run(main)
