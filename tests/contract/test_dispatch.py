from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import anyio
import pytest

from support.stores_servers import Urls
from support.stores_story import NEW, new_record, new_scenario
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.postgres.dispatch import PostgresDispatch, enqueue
from test_coordination.adapters.postgres.pool import open_pool, transaction
from test_coordination.adapters.postgres.workers import open_workers
from test_coordination.application.fleet import (
    Advert,
    Dispatch,
    Handled,
    Job,
    Service,
    Worker,
    Workers,
)
from test_coordination.domain.values import ExecutionId, WorkerId

SOON_S = 5.0
A_WHILE_S = 0.3
"""Longer than anybody takes who hears that there is something to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A dispatch, who is alive, and how an execution is given to it."""

    dispatch: Dispatch
    workers: Workers
    enqueue: Callable[[Job], Coroutine[None, None, None]]
    mark: str = field(default_factory=lambda: f"label of={uuid4()}")

    def job(self, *requires: str, priority: int = 0) -> Job:
        """Return a job that no worker of another test can take."""
        wanted = frozenset((self.mark, *requires))
        return Job(execution=ExecutionId(NEW.new()), requires=wanted, priority=priority)

    async def given(self, *requires: str, priority: int = 0) -> ExecutionId:
        job = self.job(*requires, priority=priority)
        await self.enqueue(job)
        return job.execution


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
        workers = MemoryWorkers(SystemClock(), MemoryExecutionLog())
        jobs = MemoryJobs(SystemClock())

        async def kept(job: Job) -> None:
            record = new_record(new_scenario(), job.execution)
            jobs.enqueue(replace(record, requires=job.requires, priority=job.priority))

        dispatch = MemoryDispatch(workers, jobs)
        yield Scene(dispatch=dispatch, workers=workers, enqueue=kept)
        return
    async with open_pool(database) as pool, open_workers(pool, database) as known:

        async def sent(job: Job) -> None:
            async with transaction(pool, doing="enqueuing") as lent:
                await enqueue(lent, [job])

        yield Scene(dispatch=PostgresDispatch(pool, database), workers=known, enqueue=sent)


@dataclass(slots=True, eq=False)
class Hands:
    """Handles executions, and remembers which; each takes until it is ``released``."""

    scene: Scene
    offers: tuple[str, ...] = ()
    most: int = 10
    outcome: Handled = Handled.DONE
    taken: list[ExecutionId] = field(default_factory=list)
    at: set[ExecutionId] = field(default_factory=set)
    peak: int = 0
    released: anyio.Event = field(default_factory=anyio.Event)
    id: WorkerId = field(default_factory=lambda: WorkerId(NEW.new()))

    async def handle(self, execution: ExecutionId) -> Handled:
        self.taken.append(execution)
        self.at.add(execution)
        self.peak = max(self.peak, len(self.at))
        try:
            await self.released.wait()
        finally:
            self.at.discard(execution)
        return self.outcome

    def release(self) -> None:
        self.released.set()

    async def until(self, count: int) -> None:
        with anyio.fail_after(SOON_S):
            while len(self.taken) < count:  # noqa: ASYNC110  what is awaited is another's
                await anyio.sleep(0.01)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        service = Service(
            worker=self.id,
            offers=frozenset((self.scene.mark, *self.offers)),
            most=lambda: self.most,
            handle=self.handle,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(self.scene.dispatch.serve, service)
            yield
            group.cancel_scope.cancel()


async def test_what_is_done_is_given_to_nobody_again(scene: Scene) -> None:
    hands = Hands(scene)
    hands.release()
    first = await scene.given()

    async with hands.serving():
        await hands.until(1)
        second = await scene.given()
        await hands.until(2)
        await anyio.sleep(A_WHILE_S)

    assert hands.taken == [first, second]


async def test_those_of_a_higher_priority_are_given_first_and_then_the_oldest(
    scene: Scene,
) -> None:
    hands = Hands(scene, most=1)
    hands.release()
    low, high, next_high, lowest = [
        await scene.given(priority=priority) for priority in (1, 5, 5, -3)
    ]

    async with hands.serving():
        await hands.until(4)

    assert hands.taken == [high, next_high, low, lowest]


async def test_nobody_is_at_more_than_he_may_be(scene: Scene) -> None:
    hands = Hands(scene, most=0)
    for _ in range(5):
        await scene.given()

    async with hands.serving():
        await anyio.sleep(A_WHILE_S)
        assert hands.taken == []
        hands.most = 3
        await hands.until(3)
        await anyio.sleep(A_WHILE_S)
        assert len(hands.taken) == 3
        hands.release()
        await hands.until(5)

    assert hands.peak == 3


async def test_it_goes_only_to_a_worker_that_offers_all_it_requires(scene: Scene) -> None:
    plain = Hands(scene, offers=("python shop_checks",))
    able = Hands(scene, offers=("fault freeze", "label zone=eu", "python shop"))

    async with plain.serving():
        wanted = await scene.given("fault freeze", "label zone=eu", "python shop.checks")
        await anyio.sleep(A_WHILE_S)
        async with able.serving():
            await able.until(1)
            # What requires something for the first time finds a worker that serves already.
            other = await scene.given("fault freeze")
            await able.until(2)

    assert plain.taken == []
    assert able.taken == [wanted, other]


async def test_what_is_given_twice_is_one(scene: Scene) -> None:
    hands = Hands(scene)
    job = scene.job()
    await scene.enqueue(job)
    await scene.enqueue(job)

    async with hands.serving():
        await hands.until(1)
        await scene.enqueue(job)
        await anyio.sleep(A_WHILE_S)

    assert hands.taken == [job.execution]


async def test_what_is_not_done_is_given_again(scene: Scene) -> None:
    hands = Hands(scene, outcome=Handled.AGAIN)
    hands.release()
    execution = await scene.given()

    async with hands.serving():
        await hands.until(1)
        hands.outcome = Handled.DONE
        await hands.until(2)
        await anyio.sleep(A_WHILE_S)

    assert hands.taken == [execution] * 2


async def test_what_a_worker_leaves_goes_to_another_at_once(scene: Scene) -> None:
    leaving, staying = Hands(scene), Hands(scene)
    execution = await scene.given()

    async with leaving.serving():
        await leaving.until(1)
    began = anyio.current_time()
    async with staying.serving():
        await staying.until(1)

    assert staying.taken == [execution]
    assert anyio.current_time() - began < 2, "it did not have to be found to be silent"


async def test_among_several_workers_each_execution_is_given_to_one(scene: Scene) -> None:
    some = [Hands(scene, most=4) for _ in range(3)]
    for hands in some:
        hands.release()
    jobs = [scene.job() for _ in range(40)]

    async with some[0].serving(), some[1].serving(), some[2].serving():
        async with anyio.create_task_group() as group:
            for job in jobs:
                group.start_soon(scene.enqueue, job)
        with anyio.fail_after(SOON_S):
            while sum(len(hands.taken) for hands in some) < len(jobs):  # noqa: ASYNC110  theirs
                await anyio.sleep(0.01)

    taken = [execution for hands in some for execution in hands.taken]
    assert sorted(taken) == sorted(job.execution for job in jobs)


async def test_a_worker_says_what_it_offers_and_how_it_fares(scene: Scene) -> None:
    worker = Worker(id=WorkerId(NEW.new()), host="machine/boot", pid=4711, born="123456")
    advert = Advert(
        program="1.2.3",
        offers=frozenset({"topology shop", "label zone=eu"}),
        executions=2,
        executions_max=5,
        memory=123_456_789_012,
        memory_max=None,
        draining=True,
    )
    await scene.workers.beat(worker, lease=timedelta(minutes=1))
    [before] = [each for each in await scene.dispatch.present() if each.worker == worker]

    await scene.dispatch.announce(worker.id, advert)
    [after] = [each for each in await scene.dispatch.present() if each.worker == worker]
    await scene.workers.leave(worker.id)

    assert before.advert.offers is None
    assert (after.advert, after.silent) == (advert, False)
    assert after.began_at <= SystemClock().now() + timedelta(seconds=5)
    assert worker not in [each.worker for each in await scene.dispatch.present()]
