from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from contract.conftest import Stores
from support.stores_story import NEW, Story, new_record, new_scenario
from test_coordination.application.fleet import NOBODY, REMEMBERED, Holder, Worker
from test_coordination.application.ports import ExecutionRecord, LogConflictError
from test_coordination.domain.values import ExecutionId, WorkerId

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=50)
OVER = timedelta(0)


def new_worker(identity: WorkerId | None = None) -> Worker:
    return Worker(id=identity or WorkerId(NEW.new()), host="machine/boot", pid=4711, born="123456")


async def created(stores: Stores, *, worker: WorkerId | None = None) -> ExecutionRecord:
    record = new_record(await stores.scenarios.store(new_scenario()))
    record = replace(record, worker=worker or record.worker)
    await stores.log.create(record)
    return record


async def holder(stores: Stores, worker: WorkerId) -> Holder | None:
    found = [each for each in await stores.workers.holders() if each.id == worker]
    return found[0] if found else None


async def test_a_worker_that_beats_is_known(stores: Stores) -> None:
    worker = new_worker()

    await stores.workers.beat(worker, lease=LONG)

    assert worker in await stores.workers.all()


async def test_a_worker_whose_lease_has_ended_is_silent_until_it_beats_again(
    stores: Stores,
) -> None:
    worker = new_worker()
    await created(stores, worker=worker.id)
    await stores.workers.beat(worker, lease=SHORT)
    lively = await holder(stores, worker.id)
    await anyio.sleep(0.1)

    silent = await holder(stores, worker.id)
    await stores.workers.beat(worker, lease=LONG)
    again = await holder(stores, worker.id)

    assert lively == again == Holder(id=worker.id, worker=worker, silent=False, running=1)
    assert silent == Holder(id=worker.id, worker=worker, silent=True, running=1)
    assert worker in await stores.workers.all()


async def test_a_worker_that_has_left_is_not_known_although_it_has_left_something(
    stores: Stores,
) -> None:
    worker = new_worker()
    await created(stores, worker=worker.id)
    await stores.workers.beat(worker, lease=OVER)

    await stores.workers.leave(worker.id)
    await stores.workers.leave(worker.id)

    assert worker not in await stores.workers.all()
    left = Holder(id=worker.id, worker=None, silent=False, running=1)
    assert await holder(stores, worker.id) == left


async def test_a_worker_holds_what_has_not_ended_and_what_may_be_in_force(stores: Stores) -> None:
    record = await created(stores)
    story, me = Story(record), record.worker
    before = await holder(stores, me)
    await stores.log.append(story.begin(), leading_to=story.state, epoch=1)
    await stores.log.append(story.fault(), leading_to=story.state, epoch=1)
    await stores.log.append(story.end(), leading_to=story.state, epoch=1)
    residue = await holder(stores, me)
    await stores.log.append(story.revert(), leading_to=story.state, epoch=1)

    assert before is not None
    assert before.running == 1
    assert residue is not None
    assert residue.running == 0
    assert await holder(stores, me) is None


async def test_what_nobody_has_is_held_by_nobody(stores: Stores) -> None:
    await created(stores, worker=NOBODY)

    assert await holder(stores, NOBODY) is None


async def test_who_was_silent_for_long_is_forgotten_once_nothing_is_his(stores: Stores) -> None:
    idle, holding, lately = new_worker(), new_worker(), new_worker()
    await created(stores, worker=holding.id)
    for worker in (idle, holding):
        await stores.workers.beat(worker, lease=-REMEMBERED)
    await stores.workers.beat(lately, lease=-REMEMBERED / 2)

    await stores.workers.leave(WorkerId(NEW.new()))

    known = await stores.workers.all()
    assert idle not in known
    assert holding in known
    assert lately in known


async def test_an_execution_is_claimed_from_a_worker_that_has_left(stores: Stores) -> None:
    record, other = await created(stores), WorkerId(NEW.new())

    claimed = await stores.workers.claim(record.id, by=other, epoch=1)
    late = await stores.workers.claim(record.id, by=WorkerId(NEW.new()), epoch=1)

    assert (claimed, late) == (2, None)
    assert await stores.log.get(record.id) == replace(record, worker=other, epoch=2)


async def test_nothing_is_claimed_from_a_worker_whose_lease_is_in_force(stores: Stores) -> None:
    record, other = await created(stores), WorkerId(NEW.new())
    await stores.workers.beat(new_worker(record.worker), lease=LONG)

    refused = await stores.workers.claim(record.id, by=other, epoch=1)
    own = await stores.workers.claim(record.id, by=record.worker, epoch=1)
    forced = await stores.workers.claim(record.id, by=other, epoch=2, from_living=True)

    assert (refused, own, forced) == (None, 2, 3)


async def test_a_worker_that_beats_just_before_it_is_claimed_from_keeps_what_it_has(
    stores: Stores,
) -> None:
    record, other = await created(stores), WorkerId(NEW.new())
    await stores.workers.beat(new_worker(record.worker), lease=OVER)
    silent = await holder(stores, record.worker)

    await stores.workers.beat(new_worker(record.worker), lease=LONG)
    claimed = await stores.workers.claim(record.id, by=other, epoch=1)

    assert silent is not None
    assert silent.silent
    assert claimed is None


async def test_of_many_who_claim_at_once_one_gets_it(stores: Stores) -> None:
    record = await created(stores)
    outcomes: dict[WorkerId, int | None] = {}

    async def claim(by: WorkerId) -> None:
        outcomes[by] = await stores.workers.claim(record.id, by=by, epoch=record.epoch)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(claim, WorkerId(NEW.new()))

    (winner,) = (worker for worker, won in outcomes.items() if won)
    assert (await stores.log.get(record.id)).worker == winner


async def test_whom_an_execution_was_claimed_from_cannot_write_any_more(stores: Stores) -> None:
    record = await created(stores)
    story, other = Story(record), WorkerId(NEW.new())
    await stores.workers.claim(record.id, by=other, epoch=record.epoch)

    entries = story.begin()
    with pytest.raises(LogConflictError):
        await stores.log.append(entries, leading_to=story.state, epoch=1)
    assert await stores.log.read(record.id) == []
    await stores.log.append(entries, leading_to=story.state, epoch=2)

    kept = await stores.log.get(record.id)
    assert (kept.worker, kept.end) == (other, len(entries))


async def test_of_several_executions_those_are_held_that_nobody_has_claimed_since(
    stores: Stores,
) -> None:
    kept, lost, unknown = await created(stores), await created(stores), ExecutionId(NEW.new())
    await stores.workers.claim(lost.id, by=WorkerId(NEW.new()), epoch=1)

    held = await stores.workers.held({kept.id: 1, lost.id: 1, unknown: 1})

    assert held == {kept.id}
    assert await stores.workers.held({kept.id: 2, lost.id: 2}) == {lost.id}
    assert await stores.workers.held({}) == frozenset()


async def test_an_unknown_execution_cannot_be_claimed(stores: Stores) -> None:
    worker = WorkerId(NEW.new())

    assert await stores.workers.claim(ExecutionId(NEW.new()), by=worker, epoch=1) is None
