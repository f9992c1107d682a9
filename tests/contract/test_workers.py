from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio

from contract.conftest import Stores
from support.stores_story import NEW, Story, new_record, new_scenario
from test_coordination.application.ports import Worker
from test_coordination.domain.values import ExecutionId, WorkerId

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=50)


def new_worker() -> Worker:
    return Worker(id=WorkerId(NEW.new()), host="machine/boot", pid=4711, born="123456")


async def test_a_worker_that_beats_is_known_and_not_silent(stores: Stores) -> None:
    worker = new_worker()

    await stores.workers.beat(worker, lease=LONG)

    assert worker in await stores.workers.all()
    assert worker.id not in await stores.workers.silent()


async def test_a_worker_whose_lease_has_ended_is_silent_until_it_beats_again(
    stores: Stores,
) -> None:
    worker = new_worker()
    await stores.workers.beat(worker, lease=SHORT)
    await anyio.sleep(0.1)

    before = await stores.workers.silent()
    await stores.workers.beat(worker, lease=LONG)

    assert worker.id in before
    assert worker in await stores.workers.all()
    assert worker.id not in await stores.workers.silent()


async def test_a_worker_that_has_left_is_neither_known_nor_silent(stores: Stores) -> None:
    worker = new_worker()
    await stores.workers.beat(worker, lease=timedelta(0))

    await stores.workers.leave(worker.id)
    await stores.workers.leave(worker.id)

    assert worker not in await stores.workers.all()
    assert worker.id not in await stores.workers.silent()


async def test_an_execution_is_claimed_from_the_worker_that_has_it(stores: Stores) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    await stores.log.create(record)
    other = WorkerId(NEW.new())

    claimed = await stores.workers.claim(record.id, by=other, held_by=record.worker)
    late = await stores.workers.claim(record.id, by=WorkerId(NEW.new()), held_by=record.worker)

    assert (claimed, late) == (True, False)
    assert await stores.log.get(record.id) == replace(record, worker=other)


async def test_of_many_who_claim_at_once_one_gets_it(stores: Stores) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    await stores.log.create(record)
    outcomes: dict[WorkerId, bool] = {}

    async def claim(by: WorkerId) -> None:
        outcomes[by] = await stores.workers.claim(record.id, by=by, held_by=record.worker)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(claim, WorkerId(NEW.new()))

    (winner,) = (worker for worker, won in outcomes.items() if won)
    assert (await stores.log.get(record.id)).worker == winner


async def test_an_append_does_not_give_a_claimed_execution_back(stores: Stores) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    await stores.log.create(record)
    story, other = Story(record), WorkerId(NEW.new())
    await stores.workers.claim(record.id, by=other, held_by=record.worker)

    await stores.log.append(story.begin(), leading_to=story.state)

    assert (await stores.log.get(record.id)).worker == other


async def test_an_unknown_execution_cannot_be_claimed(stores: Stores) -> None:
    worker = WorkerId(NEW.new())

    assert not await stores.workers.claim(ExecutionId(NEW.new()), by=worker, held_by=worker)
