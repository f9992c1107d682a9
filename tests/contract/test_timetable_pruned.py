"""What became of runs long ago is forgotten, and nothing that still matters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from support.schedules_story import HOUR, Desk, open_desk
from test_coordination.adapters.memory import schedules as in_memory
from test_coordination.adapters.postgres import schedules as in_postgres
from test_coordination.application.timetable import FiringState, StoredSchedule
from test_coordination.domain.schedule import (
    Keeping,
    Misfire,
    MisfirePolicy,
    Overlap,
    Rules,
)

NO_TIME = timedelta(0)
CATCH_UP = Rules(
    misfire=Misfire(policy=MisfirePolicy.RUN_ALL, grace=timedelta(days=1)),
    overlap=Overlap.ALLOW,
    max_runs=9,
)


@pytest.fixture
async def desk(database: str | None) -> AsyncIterator[Desk]:
    async with open_desk(database) as opened:
        yield opened


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> Callable[[Keeping], None]:
    """Return what makes firings be kept in another way: a thousand of them take their time."""

    def keep(kept: Keeping) -> None:
        for module in (in_memory, in_postgres):
            monkeypatch.setattr(module, "KEPT", kept)

    return keep


async def fired(desk: Desk) -> StoredSchedule:
    """Return a schedule that asked for six runs; all are settled but the oldest and the newest."""
    stored = await desk.schedule(rules=CATCH_UP, due=5 * HOUR)
    await desk.look()
    _, *middle, newest = await desk.take()
    for errand in middle:
        await desk.timetable.settle(errand, FiringState.SKIPPED, why="of no use")
    await desk.timetable.settle(newest, FiringState.STARTED)
    return stored


async def pruned(desk: Desk) -> int:
    """Forget of all schedules; return in how many steps."""
    after, steps = await desk.timetable.prune(None), 1
    while after is not None:
        after, steps = await desk.timetable.prune(after), steps + 1
    return steps


async def ages(desk: Desk, stored: StoredSchedule) -> list[int]:
    """Return how many hours ago those were due that are known."""
    now = await desk.timetable.now()
    firings = await desk.timetable.firings(stored.name, limit=99)
    return [(now - each.due) // HOUR for each in firings]


async def test_the_newest_are_kept_and_what_is_not_settled(
    desk: Desk, keeping: Callable[[Keeping], None]
) -> None:
    stored = await fired(desk)
    keeping(Keeping(firings=2, least=NO_TIME, most=timedelta(days=90)))

    await pruned(desk)

    assert await ages(desk, stored) == [0, 1, 5]


async def test_what_is_too_old_is_forgotten_however_few_there_are(
    desk: Desk, keeping: Callable[[Keeping], None]
) -> None:
    stored = await fired(desk)
    keeping(Keeping(firings=100, least=NO_TIME, most=2 * HOUR))

    await pruned(desk)

    assert await ages(desk, stored) == [0, 1, 5]


async def test_what_is_new_is_kept_however_much_there_is(
    desk: Desk, keeping: Callable[[Keeping], None]
) -> None:
    stored = await fired(desk)
    keeping(Keeping(firings=0, least=HOUR, most=NO_TIME))

    await pruned(desk)

    assert await ages(desk, stored) == [0, 1, 2, 3, 4, 5], "it was decided a moment ago"


async def test_what_was_forgotten_is_not_asked_for_again_and_still_counts(
    desk: Desk, keeping: Callable[[Keeping], None]
) -> None:
    stored = await fired(desk)
    keeping(Keeping(firings=0, least=NO_TIME, most=NO_TIME))

    await pruned(desk)
    looked = await desk.look()

    assert await ages(desk, stored) == [0, 5]
    assert looked == 0
    assert (await desk.timetable.get(stored.name)).runs == 6


async def test_many_schedules_are_gone_through_a_portion_at_a_time(
    desk: Desk, keeping: Callable[[Keeping], None]
) -> None:
    for _ in range(in_postgres.LOOKED_AT):
        await desk.schedule()
    last = await fired(desk)
    keeping(Keeping(firings=0, least=NO_TIME, most=NO_TIME))

    steps = await pruned(desk)

    assert steps >= 3
    assert await ages(desk, last) == [0, 5]
