from __future__ import annotations

from datetime import UTC, timedelta

import anyio

from test_coordination.adapters.machine import SystemClock, TimeOrderedIdentities
from test_coordination.adapters.memory.clock import VirtualClock

SECOND = timedelta(seconds=1)


def test_identities_are_given_in_order_and_once() -> None:
    identities = TimeOrderedIdentities()

    given = [identities.new() for _ in range(10_000)]

    assert given == sorted(set(given))
    assert given[0].version == 7


async def test_the_machine_s_clock_is_utc_and_passes() -> None:
    clock = SystemClock()

    before = clock.now()
    await clock.sleep(timedelta(milliseconds=20))

    assert before.tzinfo is UTC
    assert timedelta(milliseconds=15) < clock.now() - before < timedelta(seconds=5)


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock, woken = VirtualClock(), []
    start = clock.now()

    async def sleep(name: str, *durations: int) -> None:
        for duration in durations:
            await clock.sleep(duration * SECOND)
            woken.append((name, (clock.now() - start) / SECOND))

    async with anyio.create_task_group() as group:
        group.start_soon(sleep, "late", 3)
        group.start_soon(sleep, "twice", 1, 1)
        group.start_soon(sleep, "far", 60)
        await clock.advance(3 * SECOND)
        seen = list(woken)
        group.cancel_scope.cancel()

    assert seen == [("twice", 1), ("twice", 2), ("late", 3)]
    assert clock.now() - start == 3 * SECOND
    assert clock.sleepers == 0


async def test_no_time_passes_until_it_is_told_to() -> None:
    clock = VirtualClock()

    with anyio.move_on_after(0.05) as waited:
        await clock.sleep(SECOND)

    assert waited.cancelled_caught
    assert clock.sleepers == 0


async def test_a_running_clock_jumps_over_the_time_in_which_nothing_happens() -> None:
    clock = VirtualClock()
    start = clock.now()

    async with anyio.create_task_group() as group:
        group.start_soon(clock.run)
        for _ in range(3):
            await clock.sleep(timedelta(days=1))
        group.cancel_scope.cancel()

    assert clock.now() - start == timedelta(days=3)
