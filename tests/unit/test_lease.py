"""A worker knows how long it surely holds what it has, and finds out after that."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import pytest

from support.engine_lease import Halt, HaltedClock, HaltedMachine, ShakyWorkers
from support.stores_story import NEW, new_record, new_scenario
from support.virtual_time import virtual
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.application.engine.lease import Hold, Lease, LostError
from test_coordination.application.engine.patience import STORE_PATIENCE
from test_coordination.application.ports import LogConflictError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WorkerId

PATIENCE_S = STORE_PATIENCE.total_seconds()


@dataclass(slots=True, kw_only=True)
class Bench:
    """One worker with one execution, and a store that it may be cut off from."""

    halt: Halt = field(default_factory=Halt)
    log: MemoryExecutionLog = field(default_factory=MemoryExecutionLog)
    workers: ShakyWorkers = field(init=False)
    lease: Lease = field(init=False)

    def __post_init__(self) -> None:
        machine = HaltedMachine(self.halt)
        self.workers = ShakyWorkers(HaltedClock(self.halt), self.log)
        self.lease = Lease(self.workers, machine.present(WorkerId(NEW.new())), machine)

    async def holding(self) -> Hold:
        record = replace(new_record(new_scenario()), worker=self.lease.me)
        hold = self.lease.hold(record.id, epoch=record.epoch)
        await self.log.create(record)
        return hold

    async def claimed(self, execution: ExecutionId, *, epoch: int = 1) -> bool:
        """Tell whether another worker gets the execution if it tries now."""
        by = WorkerId(NEW.new())
        return await self.workers.claim(execution, by=by, epoch=epoch) is not None


@asynccontextmanager
async def beating(bench: Bench) -> AsyncGenerator[Hold]:
    """Lend a hold while the worker beats."""
    await bench.lease.beat()
    async with anyio.create_task_group() as group:
        group.start_soon(bench.lease.keep)
        yield await bench.holding()
        group.cancel_scope.cancel()


async def refused(hold: Hold) -> None:
    """Return once it is said that another worker has the execution."""
    with pytest.raises(LostError):
        await hold.sure()


@virtual
async def test_before_the_first_beat_nothing_is_sure() -> None:
    bench = Bench()

    assert not bench.lease.valid
    assert not bench.lease.steady
    await bench.lease.beat()
    assert bench.lease.valid
    assert bench.lease.steady


@virtual
async def test_the_worker_takes_its_lease_for_over_before_the_store_does() -> None:
    bench = Bench()
    await bench.lease.beat()
    hold = await bench.holding()

    await anyio.sleep(3.4)
    early = bench.lease.valid
    await anyio.sleep(0.1)
    late, stolen = bench.lease.valid, await bench.claimed(hold.execution)
    await anyio.sleep(0.5)

    assert (early, late, stolen) == (True, False, False)
    assert await bench.claimed(hold.execution)


@virtual
async def test_a_lease_is_counted_from_before_the_beat_was_sent() -> None:
    bench = Bench()
    bench.workers.slow_s = 1.5
    await bench.lease.beat()

    await anyio.sleep(1.9)
    before = bench.lease.valid
    await anyio.sleep(0.2)

    assert before
    assert not bench.lease.valid


@virtual
async def test_while_the_lease_is_in_force_nobody_is_asked() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        await anyio.sleep(20)
        lapses = await hold.sure()
        await hold.unless_lost()

    assert lapses == hold.lapses == 1
    assert bench.workers.asked == []
    assert bench.workers.beats == list(range(20))


@virtual
async def test_a_stop_is_one_lapse_however_often_it_is_looked_at() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.halt.stop(10)
        seen = [hold.lapses, hold.lapses]
        await anyio.sleep(1.5)
        after = hold.lapses
        bench.halt.stop(10)

        assert seen == [2, 2]
        assert after == 2
        assert hold.lapses == 3


@virtual
async def test_after_a_lapse_that_nobody_used_all_goes_on() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.halt.stop(60)
        lapses = await hold.sure()
        await hold.unless_lost()

    assert lapses == 2
    assert len(bench.workers.asked) == 1


@virtual
async def test_whose_execution_was_taken_meanwhile_is_told_before_anything_is_done() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.halt.stop(60)
        assert await bench.claimed(hold.execution)

        with pytest.raises(LostError) as told:
            await hold.sure()
        with pytest.raises(LostError):
            await hold.unless_lost()

    assert isinstance(told.value, LogConflictError)
    assert f"execution {hold.execution} was taken over" in str(told.value)


@virtual
async def test_who_is_stopped_and_lost_nothing_is_not_taken_from_once_it_has_asked() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.halt.stop(60)
        await hold.sure()

        assert not await bench.claimed(hold.execution)


@virtual
async def test_what_waits_for_the_loss_is_told_of_it_without_asking() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        await anyio.sleep(5)
        bench.halt.stop(60)
        assert await bench.claimed(hold.execution)
        with pytest.raises(LostError):
            await hold.until_lost()

    assert len(bench.workers.asked) == 1


@virtual
async def test_what_waits_for_the_loss_outlives_lapses_and_a_store_that_was_away() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        with anyio.move_on_after(60) as limit:
            async with anyio.create_task_group() as group:
                group.start_soon(hold.until_lost)
                await anyio.sleep(5)
                bench.workers.away = True
                await anyio.sleep(10)
                bench.workers.away = False
                await anyio.sleep(10)
                bench.halt.stop(60)

    assert limit.cancelled_caught
    assert hold.lapses == 3


@virtual
async def test_what_is_done_to_a_target_waits_for_the_store_and_gives_up_after_its_patience() -> (
    None
):
    bench = Bench()
    async with beating(bench) as hold:
        await anyio.sleep(5)
        bench.workers.away = True
        await anyio.sleep(10)
        begun = anyio.current_time()
        with pytest.raises(StoreUnavailableError, match="at last: nobody is in"):
            await hold.sure()

    assert anyio.current_time() == begun + PATIENCE_S


@virtual
async def test_what_is_done_to_a_target_goes_on_when_the_store_is_back() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        await anyio.sleep(5)
        bench.workers.away = True
        await anyio.sleep(10)
        async with anyio.create_task_group() as group:
            group.start_soon(hold.sure)
            await anyio.sleep(10)
            bench.workers.away = False
            back = anyio.current_time()

    assert anyio.current_time() - back < 0.2


@virtual
async def test_an_undo_does_not_wait_for_a_store_that_refuses_or_is_known_to_hang() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.workers.away = True
        await anyio.sleep(10)
        begun = anyio.current_time()
        await hold.unless_lost()
        refused_s = anyio.current_time() - begun
        bench.workers.away, bench.workers.hangs = False, True
        await anyio.sleep(10)
        begun = anyio.current_time()
        await hold.unless_lost()
        hung_s = anyio.current_time() - begun

    assert refused_s <= 0.1
    assert hung_s == 0.5


@virtual
async def test_an_undo_asks_patiently_right_after_a_stop() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.workers.hangs = True
        await anyio.sleep(1.5)
        # The beat that is under way shows nothing of the store: we were stopped while it was.
        bench.halt.stop(60)
        bench.workers.hangs, bench.workers.slow_s = False, 0.9
        assert await bench.claimed(hold.execution)
        await anyio.sleep(1.55)

        with pytest.raises(LostError):
            await hold.unless_lost()


@virtual
async def test_an_undo_does_not_rely_on_what_the_store_was_before_a_stop() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        bench.workers.away = True
        await anyio.sleep(10)
        bench.halt.stop(60)
        bench.workers.away, bench.workers.slow_s = False, 0.9
        assert await bench.claimed(hold.execution)

        with pytest.raises(LostError):
            await hold.unless_lost()


@virtual
async def test_an_answer_that_comes_when_the_lease_is_over_again_makes_nothing_sure() -> None:
    bench = Bench()
    async with beating(bench) as hold:
        await anyio.sleep(0.5)
        bench.halt.stop(60)
        bench.workers.slow_s = 0.5
        async with anyio.create_task_group() as group:
            group.start_soon(hold.unless_lost)
            await anyio.sleep(0.2)
            # The beat has reached the store, and its answer finds us stopped.
            bench.halt.stop(60)
        asked = list(bench.workers.asked)
        stolen = await bench.claimed(hold.execution)
        await anyio.sleep(3)

        assert bench.lease.valid
        await refused(hold)

    assert len(asked) == 1
    assert stolen


@virtual
async def test_of_one_that_was_lost_and_taken_again_the_newest_hold_counts() -> None:
    bench = Bench()
    async with beating(bench) as old:
        bench.halt.stop(60)
        await bench.claimed(old.execution)
        new = bench.lease.hold(old.execution, epoch=3)
        by = bench.lease.me
        await bench.workers.claim(old.execution, by=by, epoch=2, from_living=True)
        async with anyio.create_task_group() as group:
            group.start_soon(refused, old)
            group.start_soon(new.sure)

    assert len(bench.workers.asked) == 1


@virtual
async def test_a_hold_that_was_given_while_the_lease_had_lapsed_is_asked_for() -> None:
    bench = Bench()
    async with beating(bench) as other:
        bench.halt.stop(60)
        hold = await bench.holding()
        assert await bench.claimed(hold.execution)
        await other.sure()

        with pytest.raises(LostError):
            await hold.sure()


@virtual
async def test_who_finds_the_store_back_gives_the_others_time_before_it_judges_them() -> None:
    bench = Bench()
    async with beating(bench):
        bench.workers.away = True
        await anyio.sleep(10)
        bench.workers.away = False
        await anyio.sleep(3)
        soon, valid = bench.lease.steady, bench.lease.valid
        await anyio.sleep(3)

        assert valid
        assert not soon
        assert bench.lease.steady


@virtual
async def test_many_who_ask_at_once_are_answered_with_one_question() -> None:
    bench = Bench()
    async with beating(bench):
        holds = [await bench.holding() for _ in range(100)]
        bench.halt.stop(60)
        async with anyio.create_task_group() as group:
            for hold in holds:
                group.start_soon(hold.sure)

    assert len(bench.workers.asked) == 1


@virtual
async def test_a_beat_that_is_not_answered_is_given_up_and_sent_again() -> None:
    bench = Bench()
    async with beating(bench):
        bench.workers.hangs = True
        await anyio.sleep(9)

    assert bench.workers.beats == pytest.approx([0, 1, 3.1, 5.2, 7.3])


@virtual
async def test_the_first_beat_must_be_heard() -> None:
    bench = Bench()
    bench.workers.hangs = True

    with pytest.raises(StoreUnavailableError, match="did not come back within 2 s"):
        await bench.lease.beat()
