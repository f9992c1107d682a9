"""Following executions: from any place, in time, and at a cost that followers do not multiply."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from support.engine_lab import until
from support.followed import Desk, desk
from support.stores_story import Story
from support.virtual_time import virtual
from test_coordination.adapters.codec import UnreadableError
from test_coordination.adapters.memory.live import MemoryLiveView
from test_coordination.application.following import PACE, PAGE, POLL_EVERY, TAIL_MAX, TRUST
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Noted

NOTE = Noted(text="something")


async def wrote(at: Desk, story: Story, count: int) -> None:
    for entries in story.notes(count):
        await at.write(story, entries)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 7])
def test_it_is_followed_from_any_place_to_its_end(after: int) -> None:
    @virtual
    async def story() -> None:
        async with desk() as at, anyio.create_task_group() as group:
            story = await at.new()
            await at.tell(story, NOTE)
            group.start_soon(lambda: at.follow("f", story, after=after))
            await until(1)
            for _ in range(4):
                await at.tell(story, NOTE)
            await until(2)
            await at.end(story)

        assert at.positions("f") == list(range(after + 1, 8))

    story()


@virtual
async def test_where_nobody_tells_of_news_it_is_a_tenth_of_a_second_old_at_most() -> None:
    written = dict[int, float]()
    async with desk() as at, anyio.create_task_group() as group:
        story = await at.new()
        group.start_soon(at.follow, "f", story)
        for number in range(200):
            await until(0.5 + number * 0.317)
            await at.tell(story, NOTE)
            written[story.state.position] = anyio.current_time()
        await at.end(story)

    ages = [when - written.get(entry.position, when) for when, entry in at.seen["f"]]
    assert max(ages) <= POLL_EVERY.total_seconds() + 0.01


@virtual
async def test_what_is_told_of_is_seen_at_once_and_looked_for_less_often() -> None:
    async with desk(MemoryLiveView()) as at, anyio.create_task_group() as group:
        story = await at.new()
        group.start_soon(at.follow, "f", story)
        await until(100.003)
        asked = at.log.asked
        await at.tell(story, NOTE)
        await until(101)
        await at.end(story)

    assert at.seen["f"][1][0] == pytest.approx(100.003, abs=2 * PACE.total_seconds())
    assert asked == pytest.approx(100 / TRUST.total_seconds(), rel=0.05)


@virtual
async def test_what_this_process_writes_is_seen_at_once() -> None:
    async with desk() as at, anyio.create_task_group() as group:
        story = await at.new()
        group.start_soon(at.follow, "f", story)
        await until(10.03)
        await at.tell(story, NOTE)
        at.feed.nudge()
        await until(11)
        await at.end(story)

    assert at.seen["f"][1][0] == pytest.approx(10.03, abs=PACE.total_seconds() + 0.01)


@virtual
async def test_three_hundred_followers_cost_the_store_no_more_than_one() -> None:
    asked = dict[int, int]()
    for count in (1, 100):
        async with desk() as at, anyio.create_task_group() as group:
            stories = [await at.new() for _ in range(3)]
            for number in range(count):
                for place, story in enumerate(stories):
                    group.start_soon(at.follow, f"{place}.{number}", story)
            start = anyio.current_time()
            await until(start + 5)
            before = at.log.asked
            for story in stories:
                await wrote(at, story, 50)
            await until(start + 15)
            asked[count] = at.log.asked - before
            for story in stories:
                await at.end(story)

        assert {len(found) for found in at.seen.values()} == {52}
    assert asked[100] == pytest.approx(asked[1], abs=2)
    assert asked[1] == pytest.approx(10 / POLL_EVERY.total_seconds(), rel=0.05)


@virtual
async def test_a_flood_is_read_in_pages_and_not_entry_by_entry() -> None:
    async with desk() as at, anyio.create_task_group() as group:
        story = await at.new()
        group.start_soon(at.follow, "f", story)
        await until(1)
        asked = at.log.asked
        await wrote(at, story, 3 * PAGE + 7)
        at.feed.nudge()
        await until(1 + 6 * PACE.total_seconds())
        seen, looks = len(at.seen["f"]), at.log.asked - asked
        await at.end(story)

    assert seen == 3 * PAGE + 8
    assert looks <= 6
    assert at.positions("f") == list(range(1, 3 * PAGE + 10))


@virtual
async def test_who_takes_its_time_misses_nothing_and_holds_nobody_up() -> None:
    count = 2 * TAIL_MAX
    async with desk() as at, anyio.create_task_group() as group:
        story = await at.new()
        group.start_soon(lambda: at.follow("slow", story, takes_s=0.05))
        group.start_soon(at.follow, "quick", story)
        await until(1)
        for _ in range(count // 100):
            await wrote(at, story, 100)
            await anyio.sleep(0.2)
        await at.end(story)
        await anyio.sleep(1)
        quick = len(at.seen["quick"])

    assert quick == count + 2
    assert at.positions("slow") == at.positions("quick") == list(range(1, count + 3))


@virtual
async def test_those_who_begin_far_behind_leave_the_store_to_what_runs() -> None:
    async with desk() as at:
        story = await at.new()
        await wrote(at, story, 2 * PAGE)
        at.log.takes_s = 0.5
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(at.follow, f"f{number}", story)
            await until(60)
            await at.end(story)

    assert {len(found) for found in at.seen.values()} == {2 * PAGE + 2}
    assert at.log.at_once_max == 3, "two who read for themselves, and one for all"


@virtual
async def test_what_comes_after_the_end_is_told_and_ends_too() -> None:
    async with desk() as at:
        story = await at.new()
        await at.end(story)
        await at.tell(story, NOTE)
        for after in (0, 2, 3, 9):
            await at.follow(f"from {after}", story, after=after)

    told = {name: at.positions(name) for name in at.seen}
    assert told == {"from 0": [1, 2], "from 2": [3], "from 3": [], "from 9": []}


@virtual
async def test_nobody_looks_when_nobody_follows() -> None:
    async with desk() as at:
        story = await at.new()
        async with aclosing(at.feed.follow(story.record.id, after=0)) as entries:  # type: ignore[type-var]  # it is a generator
            await anext(entries)
            with anyio.move_on_after(5):
                await anext(entries)
        await until(6)
        asked = at.log.asked
        await until(60)

        assert at.log.asked == asked
        async with anyio.create_task_group() as group:
            group.start_soon(at.follow, "again", story)
            await until(61)
            await at.end(story)

    assert at.positions("again") == [1, 2]


@virtual
async def test_who_comes_at_any_time_after_the_last_one_has_left_is_told() -> None:
    for later in (0.0, 0.01, 0.03, 0.09, 0.3, 0.9, 1.5):
        async with desk(MemoryLiveView()) as at, anyio.create_task_group() as group:
            story = await at.new()
            with anyio.move_on_after(3):
                await at.follow("first", story)
            await anyio.sleep(later)
            group.start_soon(at.follow, "second", story)
            await anyio.sleep(5)
            await at.end(story)

        assert at.positions("second") == [1, 2]


@virtual
async def test_who_leaves_and_who_comes_while_the_store_is_asked_get_each_entry_once() -> None:
    async with desk() as at, anyio.create_task_group() as group:
        left, swapped = await at.new(), await at.new()
        at.log.takes_s = 0.5
        with anyio.move_on_after(2.6):
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(at.follow, "gone", left)
                leaving.start_soon(at.follow, "first", swapped)
                await until(2.5)
                await at.tell(left, NOTE)
                await wrote(at, swapped, 3)
        group.start_soon(lambda: at.follow("second", swapped, after=2))
        at.log.takes_s = 0.001
        await until(5)
        await at.end(swapped)

    assert at.positions("gone") == [1]
    assert at.positions("first") == [1]
    assert at.positions("second") == [3, 4, 5]


@virtual
async def test_a_store_that_is_away_for_a_while_is_waited_for() -> None:
    async with desk() as at, anyio.create_task_group() as group:
        story = await at.new()
        group.start_soon(at.follow, "f", story)
        await until(1)
        await at.tell(story, NOTE)
        at.log.away = True
        await until(25)
        at.log.away = False
        await at.end(story)

    assert at.positions("f") == [1, 2, 3]


@virtual
async def test_a_store_that_stays_away_is_told_to_all_who_follow() -> None:
    async with desk() as at:
        story = await at.new()
        async with anyio.create_task_group() as group:
            group.start_soon(at.follow, "one", story)
            group.start_soon(at.follow, "two", story)
            await until(1)
            at.log.away = True
        gave_up = anyio.current_time()
        at.log.away = False
        await at.end(story)
        await at.follow("three", story)

    assert {type(error) for error in at.failures.values()} == {StoreUnavailableError}
    assert at.failures.keys() == {"one", "two"}
    assert gave_up == pytest.approx(31, abs=0.5)
    assert at.positions("three") == [1, 2]


@virtual
async def test_a_log_that_cannot_be_read_keeps_nobody_from_the_others() -> None:
    async with desk() as at, anyio.create_task_group() as group:
        good, bad = await at.new(), await at.new()
        group.start_soon(at.follow, "good", good)
        group.start_soon(at.follow, "bad", bad)
        await until(1)
        at.log.broken.add(bad.record.id)
        await at.tell(good, NOTE)
        await until(2)
        await at.end(good)

    assert at.positions("good") == [1, 2, 3]
    assert isinstance(at.failures["bad"], UnreadableError)
