"""What is known of wishes and of whom they mean, apart from what comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import anyio
import pytest

from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.controls import AmbiguousExecutionError
from test_coordination.application.listening import Listening
from test_coordination.application.ports import NotFoundError
from test_coordination.application.wishes import (
    Answer,
    Desire,
    NoWishes,
    Ways,
    Wish,
    outstanding,
)
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WishId, WorkerId

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")
ME = WorkerId(UUID(int=1))


def wish(number: int, desire: Desire = Desire.ABORT) -> Wish:
    return Wish(id=WishId(UUID(int=number)), desire=desire, reason="so", by="ann")


PAUSE, RESUME, AGAIN = (
    wish(3, Desire.PAUSE), wish(2, Desire.RESUME), wish(1, Desire.PAUSE),
)  # fmt: skip


@pytest.mark.parametrize(
    ("made", "heeded", "left"),
    [
        ([], None, []),
        ([PAUSE, RESUME, AGAIN], None, [PAUSE, RESUME, AGAIN]),
        ([PAUSE, RESUME, AGAIN], RESUME, [AGAIN]),
        ([PAUSE, RESUME], RESUME, []),
        ([PAUSE], AGAIN, [PAUSE]),
        ([PAUSE, wish(9), RESUME, wish(8)], RESUME, [wish(9)]),
    ],
)
def test_what_an_execution_has_not_heeded_yet_comes_behind_what_its_log_knows(
    made: Sequence[Wish], heeded: Wish | None, left: Sequence[Wish]
) -> None:
    assert outstanding(made, heeded.id if heeded else None) == left


@virtual
async def test_where_nobody_else_is_nobody_is_told_and_nobody_asked() -> None:
    alone = NoWishes()
    with pytest.raises(StoreUnavailableError, match="telling others to abort"):
        await alone.make(wish(1))
    await alone.answer(wish(1).id, Answer(worker=ME, executions=frozenset()))
    async with anyio.create_task_group() as group:
        await group.start(alone.hear, print)
        group.cancel_scope.cancel()

    assert await alone.answers(wish(1).id) == []
    assert await alone.unfinished() == {}
    assert await alone.of(ExecutionId(UUID(int=1))) == []
    assert list(Ways(kept=alone)) == [alone]


@virtual
async def test_a_wish_that_was_heard_is_remembered_for_a_while_and_not_for_ever() -> None:
    heard: list[int] = []

    def heed(wish: Wish) -> frozenset[ExecutionId]:
        heard.append(wish.id.int)
        return frozenset()

    listening = Listening(Ways(), Lab().controls(), ME, heed=heed)
    for number in [*range(10_002), 10_001, 0]:
        listening.hear(wish(number))

    assert heard == [*range(10_002), 0]


@virtual
async def test_a_store_that_hangs_keeps_no_worker_from_beginning_and_is_heard_when_it_is_back() -> (
    None
):
    lab = Lab.with_two_ways()
    assert lab.quick is not None
    lab.quick.deaf_s = 20
    async with lab.coordinator() as coordinator:
        lent_s = anyio.current_time()
        execution = await start(coordinator, CUT)
        await until(30)
        lab.wishes.away = True
        await lab.controls().wish(Desire.ABORT, execution, reason="enough", by="bob")

    assert lent_s == 2
    assert lab.kit.board.times("revert") == [30.0]


@virtual
async def test_a_pause_that_can_never_be_written_down_ends_with_its_execution() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document("steps: [{wait: 12s}, {wait: 1s}]"))
        await until(10)
        lab.log.away = True
        await coordinator.pause_execution(execution, reason="look", by="ann")
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)
        await until(60)
        lab.log.away = False
        await until(70)
        names = await lab.log.events(execution)

    assert "ExecutionPaused" not in names
    assert names[-1] == "ExecutionEnded"


@virtual
async def test_an_execution_is_found_by_either_end_of_its_identity() -> None:
    lab = Lab.with_two_ways()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        whole = str(execution)
        found = [await lab.controls().find(each) for each in (whole, whole[-6:].upper(), whole[:9])]
        other = await start(coordinator, CUT)
        with pytest.raises(AmbiguousExecutionError, match=r"'00000000' may be any of .*give more"):
            await lab.controls().find("00000000")
        for given in (whole[-3:], "cafe"):
            with pytest.raises(NotFoundError):
                await lab.controls().find(given)

    assert found == [execution] * 3
    assert other != execution


@virtual
async def test_an_execution_is_found_soon_though_one_store_hangs_and_not_at_all_without_any() -> (
    None
):
    lab = Lab.with_two_ways()
    assert lab.quick is not None
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(5)
        lab.wishes.hangs = True
        found = await lab.controls().find(str(execution)[-6:])
        took_s = anyio.current_time() - 5
        lab.quick.away = True
        with pytest.raises(StoreUnavailableError, match="looking for unfinished executions"):
            await lab.controls().find(str(execution)[-6:])

    assert found == execution
    assert took_s < 0.5


def test_many_that_may_be_meant_are_counted() -> None:
    found = tuple(ExecutionId(UUID(int=number)) for number in range(8))

    assert "and 3 more" in str(AmbiguousExecutionError(given="0000", found=found))
