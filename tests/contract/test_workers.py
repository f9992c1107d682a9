from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from contract.conftest import Stores
from support.stores_story import NEW, Story, new_record, new_scenario
from test_coordination.application.fleet import Worker
from test_coordination.application.ports import LogConflictError
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

    claimed = await stores.workers.claim(record.id, by=other, epoch=1)
    late = await stores.workers.claim(record.id, by=WorkerId(NEW.new()), epoch=1)

    assert (claimed, late) == (2, None)
    assert await stores.log.get(record.id) == replace(record, worker=other, epoch=2)
    assert not await stores.workers.holds(record.id, epoch=1)
    assert await stores.workers.holds(record.id, epoch=2)


async def test_of_many_who_claim_at_once_one_gets_it(stores: Stores) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    await stores.log.create(record)
    outcomes: dict[WorkerId, int | None] = {}

    async def claim(by: WorkerId) -> None:
        outcomes[by] = await stores.workers.claim(record.id, by=by, epoch=record.epoch)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(claim, WorkerId(NEW.new()))

    (winner,) = (worker for worker, won in outcomes.items() if won)
    assert (await stores.log.get(record.id)).worker == winner


async def test_whom_an_execution_was_claimed_from_cannot_write_any_more(stores: Stores) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    await stores.log.create(record)
    story, other = Story(record), WorkerId(NEW.new())
    await stores.workers.claim(record.id, by=other, epoch=record.epoch)

    entries = story.begin()
    with pytest.raises(LogConflictError):
        await stores.log.append(entries, leading_to=story.state, epoch=1)
    assert await stores.log.read(record.id) == []
    await stores.log.append(entries, leading_to=story.state, epoch=2)

    kept = await stores.log.get(record.id)
    assert (kept.worker, kept.end) == (other, len(entries))


async def test_an_unknown_execution_cannot_be_claimed(stores: Stores) -> None:
    worker = WorkerId(NEW.new())

    assert await stores.workers.claim(ExecutionId(NEW.new()), by=worker, epoch=1) is None
    assert not await stores.workers.holds(ExecutionId(NEW.new()), epoch=1)
