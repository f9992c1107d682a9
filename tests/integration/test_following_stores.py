"""Following on real stores: nothing is missed or told twice, whatever becomes of Redis."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import anyio
import pytest
from redis.asyncio import Redis

from support.stores_servers import Urls
from support.stores_story import Story, new_record, new_scenario
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.redis.live import open_live_view
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.following import Feed

pytestmark = pytest.mark.anyio
FRESH_S = 0.25
"""How old news may be when they are seen; a machine that has much to do may be late at times."""


@dataclass(slots=True, kw_only=True)
class Watched:
    """An execution that is written in one place and followed in another."""

    stores: Stores
    feed: Feed
    story: Story
    written: dict[int, float] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)

    async def write(self, count: int, *, every_s: float = 0.03) -> None:
        for entries in self.story.notes(count):
            await self.stores.log.append(entries, leading_to=self.story.state, epoch=1)
            self.written[entries[-1].position] = anyio.current_time()
            self.stores.live.publish(self.story.record, self.story.state, entries)
            await anyio.sleep(every_s)

    async def follow(self) -> None:
        async for entry in self.feed.follow(self.story.record.id, after=1):
            self.seen.append(entry.position)
            self.ages.append(anyio.current_time() - self.written[entry.position])

    async def end(self) -> None:
        entries = self.story.end()
        self.written[entries[-1].position] = anyio.current_time()
        await self.stores.log.append(entries, leading_to=self.story.state, epoch=1)

    def is_whole(self) -> bool:
        return self.seen == list(range(2, self.story.state.position + 1))


@asynccontextmanager
async def watched(postgres: str, redis: str | None) -> AsyncIterator[Watched]:
    """Lend an execution that somebody follows; it is followed to its end."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(postgres))
        log = await stack.enter_async_context(open_execution_log(pool))
        clock = SystemClock()
        live = await stack.enter_async_context(open_live_view(redis, clock))
        stores = Stores(log=log, live=live, clock=clock)
        record = new_record(await PostgresScenarioStore(pool).store(new_scenario()))
        await log.create(record)
        story = Story(record)
        await log.append(story.begin(), leading_to=story.state, epoch=1)
        group = await stack.enter_async_context(anyio.create_task_group())
        lent = Watched(stores=stores, feed=Feed(stores, group), story=story)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as following:
                following.start_soon(lent.follow)
                await anyio.sleep(0.2)
                yield lent
                await lent.end()
        group.cancel_scope.cancel()


async def test_news_are_fresh_with_redis_and_without(servers: Urls) -> None:
    for redis in (servers.redis, None):
        async with watched(servers.postgres, redis) as at:
            await at.write(15)

        assert at.is_whole()
        assert median(at.ages) < FRESH_S


async def test_a_redis_that_is_wiped_hangs_or_breaks_off_keeps_nothing_back(
    servers: Urls, embedded: Urls
) -> None:
    async with (
        Redis.from_url(embedded.redis) as redis,
        watched(servers.postgres, embedded.redis) as at,
    ):
        pid = (await redis.info("server"))["process_id"]
        await at.write(5)
        await redis.flushall()
        await at.write(5)
        await redis.client_kill_filter(_type="normal", skipme=True)
        await at.write(5)
        await anyio.sleep(0.3)
        before = len(at.ages)
        os.kill(pid, signal.SIGSTOP)
        try:
            await at.write(12, every_s=0.1)
            await anyio.sleep(0.3)
            hanging = at.ages[before:]
        finally:
            os.kill(pid, signal.SIGCONT)
        await at.write(5)

    assert at.is_whole()
    assert len(hanging) == 12
    assert median(hanging) < FRESH_S
