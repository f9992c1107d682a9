"""The composition root: the one module that knows every adapter."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from test_coordination.adapters.cron import CronCalendar
from test_coordination.adapters.documents.composition.library import FileLibrary
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.isolation.calls import Allowance, PythonCalls
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.machine import (
    SystemClock,
    ThisMachine,
    TimeOrderedIdentities,
    resident_memory,
)
from test_coordination.adapters.postgres.dispatch import PostgresDispatch, enqueue
from test_coordination.adapters.postgres.evidence import PostgresEvidence
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.inbox import PostgresInbox
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.adapters.postgres.queue import PostgresQueue
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.postgres.schedules import PostgresTimetable
from test_coordination.adapters.postgres.wishes import open_wishes as open_postgres_wishes
from test_coordination.adapters.postgres.workers import open_workers
from test_coordination.adapters.redis.events import open_events
from test_coordination.adapters.redis.live import open_live_view
from test_coordination.adapters.redis.wishes import open_wishes as open_redis_wishes
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.adapters.targets.changes import ProcessWatch
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.lending import coordinating
from test_coordination.application.pace import Pace
from test_coordination.application.routing import offered
from test_coordination.application.serving import FleetWorker, Load, Machinery, Terms, Witness
from test_coordination.application.timetable import Timing
from test_coordination.application.wishes import Ways
from test_coordination.application.world import World
from test_coordination.domain.topology import Topology
from test_coordination.kinds import catalogue
from test_coordination.reaching import server_urls
from test_coordination.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Servers:
    pool: Pool
    url: str
    redis_url: str | None


@asynccontextmanager
async def _open_servers(settings: Settings) -> AsyncGenerator[_Servers]:
    async with AsyncExitStack() as stack:
        url, redis_url = await stack.enter_async_context(server_urls(settings))

        async def opened() -> Pool:
            await migrate(url)
            return await stack.enter_async_context(open_pool(url))

        # Who shares servers whose owner ends just now has them back in a moment.
        waits = patiently(opened, doing="opening it") if settings.embedded else opened()
        yield _Servers(pool=await waits, url=url, redis_url=redis_url)


@asynccontextmanager
async def open_world(
    settings: Settings,
    system: Topology | None,
    *,
    shipped: Path | None = None,
    pace: Pace | None = None,
) -> AsyncGenerator[World]:
    """Lend everything that a coordinator stands on; servers that are ours run meanwhile.

    ``shipped`` is the directory of the definitions that come with the program, ``pace`` the one
    that probes keep to.

    Raises:
        StoreUnavailableError: PostgreSQL cannot be reached.
        CoordinationError: the servers do not start, or the schema cannot be brought up to date.
    """
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(_open_servers(settings))
        pool, url, redis_url = servers.pool, servers.url, servers.redis_url
        clock = SystemClock()
        log = await stack.enter_async_context(open_execution_log(pool))
        workers = await stack.enter_async_context(open_workers(pool, url))
        live = await stack.enter_async_context(open_live_view(redis_url, clock))
        ways = Ways(
            kept=await stack.enter_async_context(open_postgres_wishes(url)),
            quick=await stack.enter_async_context(open_redis_wishes(redis_url, clock)),
        )
        links = await stack.enter_async_context(LinkKeeper().opened())
        expressions = CelExpressions()
        identities = TimeOrderedIdentities()
        visible = settings.visible(os.environ)
        functions = PythonCalls(Allowance(packages=settings.allowed_python), visible=visible)
        known = catalogue(links, ProcessServices(), functions)
        yield World(
            stores=Stores(log=log, live=live, clock=clock),
            scenarios=PostgresScenarioStore(pool),
            evidence=PostgresEvidence(pool),
            workers=workers,
            queue=PostgresQueue(pool, enqueue=enqueue),
            dispatch=PostgresDispatch(pool, url),
            machine=ThisMachine(),
            identities=identities,
            reader=DefinitionReader(known, expressions, environment=visible),
            expressions=expressions,
            secrets=KeptSecrets(os.environ, directory=Path.cwd()),
            catalogue=known,
            timing=Timing(
                timetable=PostgresTimetable(pool, identities),
                inbox=PostgresInbox(pool),
                calendar=CronCalendar(),
                events=await stack.enter_async_context(open_events(redis_url)),
                watch=ProcessWatch(ProcessServices()),
            ),
            wishes=ways,
            system=system,
            environment=visible,
            library=FileLibrary(settings.library),
            shipped=FileLibrary([shipped] if shipped else []),
            pace=pace or Pace(),
        )


@asynccontextmanager
async def open_on(
    settings: Settings, *, topology: Topology | None, shipped: Path | None = None
) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator on what ``settings`` say; see `coordinating` for its begin and end.

    ``shipped`` is the directory of the definitions that come with the program.
    """
    opened = open_world(settings, topology, shipped=shipped)
    async with opened as world, coordinating(world) as coordinator:
        yield coordinator


@asynccontextmanager
async def open_worker(
    settings: Settings, *, topology: Topology | None, shipped: Path, load: Load, witness: Witness
) -> AsyncGenerator[FleetWorker]:
    """Lend a worker of the fleet on what ``settings`` say; it is told of to ``witness``."""
    pace = Pace(load.probes_per_s)
    opened = open_world(settings, topology, shipped=shipped, pace=pace)
    async with opened as world, coordinating(world) as coordinator:
        work = coordinator.work
        yield FleetWorker(
            me=work.me,
            terms=Terms(
                program=version("test-coordinator-data-adapter"),
                offers=offered(world.catalogue, topology, load.labels),
                load=load,
            ),
            machinery=Machinery(
                log=world.stores.log,
                executions=work.executions,
                dispatch=world.dispatch,
                memory=resident_memory,
                behind=pace.behind,
                schedules=coordinator.run_schedules,
            ),
            witness=witness,
        )
