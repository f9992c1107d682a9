"""The way to the servers and to what others run on them; no more is put together for that."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from test_coordination.adapters.machine import SystemClock, TimeOrderedIdentities
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.postgres.wishes import open_wishes as open_postgres_wishes
from test_coordination.adapters.postgres.workers import open_workers
from test_coordination.adapters.redis.live import AbsentLiveView
from test_coordination.adapters.redis.wishes import open_wishes as open_redis_wishes
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.application.controls import Controls
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.wishes import Ways
from test_coordination.settings import Settings


@asynccontextmanager
async def server_urls(settings: Settings) -> AsyncGenerator[tuple[str, str | None]]:
    """Lend the URLs of PostgreSQL and of Redis, if there is one; servers of ours run meanwhile.

    Raises:
        CoordinationError: the servers do not start.
    """
    if settings.postgres_url is not None:
        yield settings.postgres_url, settings.redis_url
        return
    async with embedded_servers(settings.home / "servers") as urls:
        yield urls.postgres, settings.redis_url or urls.redis


@asynccontextmanager
async def open_controls(settings: Settings) -> AsyncGenerator[Controls]:
    """Lend the way to stop, pause and resume what others run.

    Nothing is swept, and no store is waited for: each wish takes the ways that there are.

    Raises:
        CoordinationError: servers that are ours do not start.
    """
    async with AsyncExitStack() as stack:
        url, redis_url = await stack.enter_async_context(server_urls(settings))

        kept = open_postgres_wishes(url, prepare=partial(migrate, url))
        ways = Ways(
            kept=await stack.enter_async_context(kept),
            quick=await stack.enter_async_context(open_redis_wishes(redis_url, SystemClock())),
        )
        pool = await stack.enter_async_context(open_pool(url, connections_min=0))
        log = await stack.enter_async_context(open_execution_log(pool))
        workers = await stack.enter_async_context(open_workers(pool, url))
        stores = Stores(log=log, live=AbsentLiveView(), clock=SystemClock())
        yield Controls(ways, stores, workers, identities=TimeOrderedIdentities())


def configured_controls() -> AbstractAsyncContextManager[Controls]:
    """Lend the way to control what runs on the servers that ``TCOORD_*`` name."""
    return open_controls(Settings.read(os.environ, user=os.geteuid()))
