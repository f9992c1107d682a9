from __future__ import annotations

from datetime import UTC, timedelta

import anyio

from test_coordination.adapters.machine import SystemClock, TimeOrderedIdentities


def test_identities_are_given_in_order_and_once() -> None:
    identities = TimeOrderedIdentities()

    given = [identities.new() for _ in range(10_000)]

    assert given == sorted(set(given))
    assert given[0].version == 7


async def test_the_machine_s_clock_is_utc_and_passes() -> None:
    clock = SystemClock()

    before = clock.now()
    await anyio.sleep(0.02)

    assert before.tzinfo is UTC
    assert timedelta(milliseconds=15) < clock.now() - before < timedelta(seconds=5)
