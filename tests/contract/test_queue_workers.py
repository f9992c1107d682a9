"""What waits for a worker that can carry it out, while there is none at work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest

from support.queue_crowd import Crowd, alone
from support.stores_servers import Urls
from support.stores_story import NEW, new_scenario
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.queue import MemoryQueue
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.postgres.dispatch import PostgresDispatch, enqueue
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.postgres.queue import PostgresQueue
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.postgres.workers import open_workers
from test_coordination.application.fleet import NOBODY, Advert, Dispatch, Worker, Workers
from test_coordination.domain.events import ExecutionReleased
from test_coordination.domain.values import WorkerId

LONG = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A queue, and workers that say what they offer."""

    crowd: Crowd
    workers: Workers
    dispatch: Dispatch
    mark: str = field(default_factory=lambda: f"label of={uuid4()}")

    async def worker(
        self, *offers: str, lease: timedelta = LONG, draining: bool = False
    ) -> WorkerId:
        worker = Worker(id=WorkerId(NEW.new()), host="machine/boot", pid=4711, born="123456")
        advert = Advert(program="1", offers=frozenset((self.mark, *offers)), draining=draining)
        await self.workers.beat(worker, lease=lease)
        await self.dispatch.announce(worker.id, advert)
        return worker.id

    async def comes(self, name: str, *requires: str, detached: bool = True) -> None:
        await self.crowd.comes(
            name,
            alone("database"),
            detached=detached,
            requires=frozenset((self.mark, *requires)),
        )


@pytest.fixture(params=["memory", "least-privilege"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL of a database with the least of rights; None for memory. Real time is dear."""
    if request.param == "memory":
        return None
    urls: Urls = request.getfixturevalue("least_privilege")
    return urls.postgres


@pytest.fixture
async def scene(database: str | None) -> AsyncIterator[Scene]:
    if database is None:
        clock, scenarios = SystemClock(), MemoryScenarioStore()
        log = MemoryExecutionLog(scenarios)
        workers, jobs = MemoryWorkers(clock, log), MemoryJobs(clock)
        dispatch = MemoryDispatch(workers, jobs)
        queue = MemoryQueue(clock, log, enqueue=jobs.enqueue, offers=dispatch.offers)
        crowd = Crowd(log=log, queue=queue, scenario=await scenarios.store(new_scenario()))
        yield Scene(crowd=crowd, workers=workers, dispatch=dispatch)
        return
    async with (
        open_pool(database) as pool,
        open_execution_log(pool) as kept,
        open_workers(pool, database) as known,
    ):
        scenario = await PostgresScenarioStore(pool).store(new_scenario())
        crowd = Crowd(log=kept, queue=PostgresQueue(pool, enqueue=enqueue), scenario=scenario)
        dispatched = PostgresDispatch(pool, database)
        yield Scene(crowd=crowd, workers=known, dispatch=dispatched)


async def test_what_no_worker_at_work_can_carry_out_keeps_nobody_out(scene: Scene) -> None:
    able = await scene.worker()
    await scene.comes("stranded", "fault freeze")
    await scene.comes("next")

    assert await scene.crowd.admit() == ["next"]
    shown = (await scene.crowd.line())["stranded"]
    await scene.workers.leave(able)

    assert (shown.place, shown.obstacles, shown.admitted_at) == (0, (), None)
    assert shown.lacks == "no worker at work has fault freeze"


async def test_it_is_let_in_once_a_worker_offers_what_it_requires(scene: Scene) -> None:
    await scene.comes("one", "fault freeze")
    draining = await scene.worker("fault freeze", draining=True)
    gone = await scene.worker("fault freeze", lease=timedelta(0))
    assert await scene.crowd.admit() == []

    able = await scene.worker("fault freeze", "fault melt")
    admitted = await scene.crowd.admit()
    (shown,) = (await scene.crowd.line()).values()
    for worker in (draining, gone, able):
        await scene.workers.leave(worker)
    (later,) = (await scene.crowd.line()).values()

    assert admitted == ["one"]
    assert (shown.admitted_at is None, shown.lacks) == (False, "")
    assert later.lacks.startswith("no worker"), "it was let in, and its worker has left since"


async def test_what_runs_where_it_was_ordered_waits_for_no_worker(scene: Scene) -> None:
    await scene.comes("attached", "fault freeze", detached=False)

    assert await scene.crowd.admit() == ["attached"]
    (shown,) = (await scene.crowd.line()).values()
    assert shown.lacks == ""


async def test_a_module_goes_to_a_worker_that_may_call_its_package(scene: Scene) -> None:
    await scene.comes("checks", "python shop.checks")
    strangers = [await scene.worker(f"python {each}") for each in ("sho", "shop.check", "acme")]
    assert await scene.crowd.admit() == []
    (shown,) = (await scene.crowd.line()).values()

    able = await scene.worker("python shop")
    admitted = await scene.crowd.admit()
    for worker in (*strangers, able):
        await scene.workers.leave(worker)

    assert admitted == ["checks"]
    assert shown.lacks.startswith("no worker at work has python shop.checks; start one")


async def test_whoever_may_call_everything_may_call_any_module(scene: Scene) -> None:
    await scene.comes("checks", "python shop.checks")
    able = await scene.worker("python *")

    assert await scene.crowd.admit() == ["checks"]
    await scene.workers.leave(able)


async def test_what_was_given_back_is_told_with_the_reason_also_once_it_has_begun(
    scene: Scene,
) -> None:
    crowd, able = scene.crowd, await scene.worker()
    await scene.comes("one")
    assert await crowd.admit() == ["one"]
    (new,) = (await crowd.line()).values()

    await crowd.tell("one", ExecutionReleased(reason="it knows no such thing", refused=True))
    (pending,) = (await crowd.line()).values()
    await crowd.begins("one", ExecutionReleased(reason="it left"))
    held = await crowd.line()
    record = crowd.stories["one"].record
    await scene.workers.claim(record.id, by=NOBODY, epoch=record.epoch, from_living=True)
    (running,) = (await crowd.line()).values()
    await scene.workers.leave(able)

    assert (new.released, pending.released) == ("", "it knows no such thing")
    assert held == {}, "a worker has it"
    assert (running.released, running.place, running.lacks) == ("it left", 0, "")
