"""A store that can be read and not written, as with a full disk: nobody follows for ever."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from support.engine_handing import DETACHED, hand, left, taken
from support.engine_lab import Lab, document, start, until
from support.engine_stores import gone
from support.virtual_time import virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.patience import STORE_PATIENCE
from test_coordination.application.executions import Executions
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionEnded, StepStarted
from test_coordination.domain.values import ExecutionId, StepId

PATIENCE_S = STORE_PATIENCE.total_seconds()
CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 20s}]")
WAIT = document("steps: [{id: w, wait: 20s}]")


async def full(entries: Sequence[Entry]) -> None:
    del entries
    raise gone()


async def followed(
    by: Coordinator | Executions, execution: ExecutionId, found: list[object]
) -> None:
    """Keep in ``found`` what was followed, and at last why no more can be."""
    follow = by.follow if isinstance(by, Executions) else by.follow_execution
    with anyio.move_on_after(10 * PATIENCE_S):
        try:
            async for entry in follow(execution):
                found.append(entry.event)  # noqa: PERF401  what came before an error is kept
        except StoreUnavailableError as error:
            found.append(error)


@virtual
async def test_who_follows_what_runs_here_is_told_when_its_end_cannot_be_written() -> None:
    lab, found = Lab(), list[object]()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        async with anyio.create_task_group() as group:
            group.start_soon(followed, coordinator, execution, found)
            await until(10)
            lab.log.before = full
        gave_up_s = anyio.current_time()
        lab.log.before = None

    assert lab.kit.board.times("revert") == [20]
    assert "at last: nobody is in" in str(found[-1])
    assert isinstance(found[-1], StoreUnavailableError)
    assert gave_up_s == pytest.approx(20 + 2 * PATIENCE_S, abs=1)


@virtual
async def test_who_follows_sees_the_end_if_it_can_be_written_in_time() -> None:
    lab, found = Lab(), list[object]()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        async with anyio.create_task_group() as group:
            group.start_soon(followed, coordinator, execution, found)
            await until(10)
            lab.log.before = full
            await until(20 + PATIENCE_S + 10)
            lab.log.before = None
        await anyio.sleep(PATIENCE_S)

    assert isinstance(found[-1], ExecutionEnded)


@virtual
async def test_who_follows_what_another_worker_carries_on_goes_on_following() -> None:
    lab, found, ends = Lab(), list[object](), list[object]()
    async with hand(lab) as first, hand(lab, 802) as second:
        execution = await first.order(WAIT, DETACHED)
        await left(lab, execution, StepStarted(step=StepId("w")))
        async with anyio.create_task_group() as group:
            group.start_soon(followed, first.executions, execution, found)
            await until(1)
            lab.log.before = full
            await taken(first, execution, ends)
            await until(3 * PATIENCE_S)
            lab.log.before = None
            lab.machine.dead.add(first.name)
            await taken(second, execution, ends)

    assert isinstance(ends[0], StoreUnavailableError)
    assert isinstance(found[-1], ExecutionEnded)
