from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from support.virtual_time import virtual
from test_coordination.application.pace import Pace


async def moments(pace: Pace, count: int) -> list[float]:
    """Return when each of so many who come at once has its turn."""
    found: list[float] = []

    async def wait() -> None:
        await pace.turn()
        found.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(wait)
    return found


@virtual
async def test_turns_are_as_far_apart_as_they_must_be_and_a_pause_is_made_up_for() -> None:
    pace = Pace(4)

    await anyio.sleep(10)

    assert await moments(pace, 8) == pytest.approx([10] * 5 + [10.25, 10.5, 10.75])


@virtual
async def test_who_would_have_to_wait_is_told_how_long() -> None:
    pace = Pace(2)
    await moments(pace, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(moments, pace, 4)
        await anyio.sleep(0.1)
        behind = pace.behind()

    assert behind == timedelta(seconds=2.4)
    await anyio.sleep(5)
    assert pace.behind() == timedelta(0)


@virtual
async def test_without_a_limit_nobody_waits() -> None:
    pace = Pace()

    assert await moments(pace, 1000) == [0.0] * 1000
    assert pace.behind() == timedelta(0)
