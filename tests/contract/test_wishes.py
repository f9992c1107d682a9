"""The ways in which wishes reach workers, each on what it needs of rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

import anyio
import pytest
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from contract.conftest import Stores
from support.stores_servers import ROLE, Urls, administer
from support.stores_story import NEW, Story, new_record, new_scenario
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.wishes import MemoryWishes
from test_coordination.adapters.postgres.wishes import open_wishes as open_postgres
from test_coordination.adapters.redis.wishes import open_wishes as open_redis
from test_coordination.application.fleet import NOBODY
from test_coordination.application.wishes import Answer, Desire, KeptWishes, Wish, Wishes
from test_coordination.domain.events import AbortRequested, ExecutionEnded
from test_coordination.domain.plan import PLAN_FORMATS
from test_coordination.domain.values import ExecutionId, WishId, WorkerId
from test_coordination.domain.verdicts import Verdict

SOON_S = 20.0
AT_ONCE_S = 1.0


def wish(desire: Desire = Desire.ABORT, execution: ExecutionId | None = None) -> Wish:
    """Return a wish for one execution; for another than there is, unless it is given."""
    return Wish(
        id=WishId(NEW.new()),
        desire=desire,
        reason="so it goes \0 on",
        by="ann",
        execution=execution or ExecutionId(NEW.new()),
        undo=desire is Desire.PAUSE,
    )


def told(made: Wish) -> Wish:
    """Return what is heard of a wish: its texts as a store can keep them."""
    return replace(made, reason="so it goes \N{REPLACEMENT CHARACTER} on")


@pytest.fixture(
    params=["memory", "postgres", "postgres least_privilege", "redis", "redis least_privilege"]
)
def place(request: pytest.FixtureRequest) -> tuple[str, Urls | None]:
    """What the way goes through, and where that is."""
    kind, _, rights = request.param.partition(" ")
    return kind, None if kind == "memory" else request.getfixturevalue(rights or "servers")


@pytest.fixture
async def way(place: tuple[str, Urls | None]) -> AsyncIterator[Wishes]:
    kind, urls = place
    if urls is None:
        yield MemoryWishes(MemoryExecutionLog())
    elif kind == "postgres":
        async with open_postgres(urls.postgres) as kept:
            yield kept
    else:
        async with open_redis(urls.redis, SystemClock()) as quick:
            assert quick is not None
            yield quick


@dataclass(slots=True)
class Ear:
    """A worker that listens, and what it has heard."""

    way: Wishes
    heard: list[Wish] = field(default_factory=list)

    async def listen(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        await self.way.hear(self.heard.append, task_status=task_status)

    async def hears(self, made: Wish, *, within_s: float = AT_ONCE_S) -> None:
        with anyio.fail_after(within_s):
            while made.id not in {each.id for each in self.heard}:  # noqa: ASYNC110  another task's
                await anyio.sleep(0.01)


async def test_every_worker_hears_at_once_what_is_wished_and_all_of_it(way: Wishes) -> None:
    one, other = Ear(way), Ear(way)
    made = [wish(desire) for desire in Desire] + [replace(wish(), execution=None)]
    async with anyio.create_task_group() as group:
        await group.start(one.listen)
        await group.start(other.listen)
        for each in made:
            assert await way.make(each)
        for ear in (one, other):
            await ear.hears(made[-1])
        group.cancel_scope.cancel()

    expected = made if isinstance(way, MemoryWishes) else list(map(told, made))
    for ear in (one, other):
        assert [each for each in ear.heard if each.id in {one.id for one in made}] == expected


async def test_a_wish_that_is_made_again_is_not_there_twice(way: Wishes) -> None:
    ear, made, later = Ear(way), wish(), wish()
    async with anyio.create_task_group() as group:
        await group.start(ear.listen)
        assert await way.make(made)
        assert await way.make(later)
        assert not await way.make(made)
        await ear.hears(later)
        group.cancel_scope.cancel()

    assert [each.id for each in ear.heard if each.id in {made.id, later.id}] == [made.id, later.id]


async def test_what_was_wished_before_somebody_listens_is_not_told(way: Wishes) -> None:
    before, after = wish(), wish()
    await way.make(before)
    ear = Ear(way)
    async with anyio.create_task_group() as group:
        await group.start(ear.listen)
        await way.make(after)
        await ear.hears(after)
        group.cancel_scope.cancel()

    assert before.id not in {each.id for each in ear.heard}


async def test_a_clock_that_goes_behind_keeps_no_wish_from_being_heard(way: Wishes) -> None:
    early, late = wish(), wish()
    ear = Ear(way)
    async with anyio.create_task_group() as group:
        await group.start(ear.listen)
        for each in (late, early):
            assert await way.make(each)
        assert not await way.make(early)
        await ear.hears(early)
        group.cancel_scope.cancel()

    assert [e.id for e in ear.heard if e.id in {early.id, late.id}] == [late.id, early.id]


async def test_who_acts_on_a_wish_is_known_and_the_last_word_of_a_worker_counts(
    way: Wishes,
) -> None:
    made, one, other = wish(), WorkerId(NEW.new()), WorkerId(NEW.new())
    first, second = ExecutionId(NEW.new()), ExecutionId(NEW.new())
    await way.make(made)

    none = await way.answers(made.id)
    await way.answer(made.id, Answer(worker=one, executions=frozenset({first})))
    await way.answer(made.id, Answer(worker=other, executions=frozenset()))
    await way.answer(made.id, Answer(worker=one, executions=frozenset({first, second})))
    found = {answer.worker: answer.executions for answer in await way.answers(made.id)}

    assert none == []
    assert found == {one: {first, second}, other: frozenset()}


# What is kept


@pytest.fixture
async def kept(stores: Stores, database: str | None) -> AsyncIterator[KeptWishes]:
    if database is None:
        assert isinstance(stores.log, MemoryExecutionLog)
        yield MemoryWishes(stores.log)
        return
    async with open_postgres(database) as lent:
        yield lent


async def created(stores: Stores, worker: WorkerId | None = None) -> Story:
    record = new_record(await stores.scenarios.store(new_scenario()))
    record = replace(record, worker=worker or record.worker, detached=worker == NOBODY)
    await stores.log.create(record)
    return Story(record)


async def ended(stores: Stores, story: Story) -> None:
    """End an execution that has never begun."""
    stopped = ExecutionEnded(verdict=Verdict.STOPPED, reason="ann stopped it")
    entries = story.tell(AbortRequested(reason="so", by="ann"), stopped)
    await stores.log.append(entries, leading_to=story.state, epoch=1)


async def test_those_that_have_not_ended_are_known_and_which_of_them_wait_for_a_worker(
    stores: Stores, kept: KeptWishes
) -> None:
    mine, waiting, over = (
        await created(stores),
        await created(stores, NOBODY),
        await created(stores),
    )
    await ended(stores, over)

    found = await kept.unfinished()

    assert found[mine.record.id] is False
    assert found[waiting.record.id] is True
    assert over.record.id not in found


async def test_who_comes_later_finds_what_was_wished_in_the_order_in_which_it_was(
    stores: Stores, kept: KeptWishes
) -> None:
    story = await created(stores)
    made = [wish(desire, story.record.id) for desire in (Desire.RESUME, Desire.PAUSE)]
    for each in (*made, wish()):
        await kept.make(each)

    found = await kept.of(story.record.id)

    assert [each.id for each in found] == [each.id for each in made]


async def test_a_wish_for_all_means_those_that_there_are_and_not_those_that_come(
    stores: Stores, kept: KeptWishes
) -> None:
    there, over = await created(stores), await created(stores)
    await ended(stores, over)
    made = replace(wish(), execution=None)

    await kept.make(made)
    later = await created(stores)
    await kept.make(made)

    assert [each.id for each in await kept.of(there.record.id)] == [made.id]
    assert await kept.of(over.record.id) == await kept.of(later.record.id) == []


async def test_what_has_begun_has_no_worker_and_is_to_be_stopped_is_found_with_the_first_wish(
    stores: Stores, kept: KeptWishes
) -> None:
    stuck, held, queued, over = [await created(stores, w) for w in (NOBODY, None, NOBODY, NOBODY)]
    for story in (stuck, held, over):
        await stores.log.append(story.begin(), leading_to=story.state, epoch=1)
    await stores.log.append(over.end(), leading_to=over.state, epoch=1)
    paused = wish(Desire.PAUSE, stuck.record.id)
    made = [wish(Desire.ABORT, each.record.id) for each in (stuck, stuck, held, queued, over)]
    for each in (paused, *made):
        await kept.make(each)

    found = await kept.unheeded()

    assert found[stuck.record.id].id == made[0].id
    assert not found.keys() & {each.record.id for each in (held, queued, over)}


async def test_what_a_later_program_began_is_not_found_to_be_stopped(
    stores: Stores, kept: KeptWishes
) -> None:
    record = new_record(await stores.scenarios.store(new_scenario()))
    plan = replace(record.plan, format=max(PLAN_FORMATS) + 1)
    later = Story(replace(record, plan=plan, worker=NOBODY, detached=True))
    await stores.log.create(later.record)
    await stores.log.append(later.begin(), leading_to=later.state, epoch=1)
    await kept.make(wish(Desire.ABORT, record.id))

    assert record.id not in await kept.unheeded()


# What only Redis can do to us


async def test_what_is_wished_while_postgresql_lets_nobody_in_yet_is_heard_later(
    embedded: Urls, least_privilege: Urls
) -> None:
    database = urlsplit(least_privilege.postgres).path
    ours = urlunsplit(urlsplit(embedded.postgres)._replace(path=database))
    before, meanwhile = wish(), wish()
    await administer(ours, f"ALTER ROLE {ROLE} NOLOGIN")
    try:
        async with open_postgres(least_privilege.postgres) as shut, open_postgres(ours) as other:
            ear = Ear(shut)
            await other.make(before)
            async with anyio.create_task_group() as group:
                await group.start(ear.listen)
                await other.make(meanwhile)
                await administer(ours, f"ALTER ROLE {ROLE} LOGIN")
                await ear.hears(meanwhile, within_s=SOON_S)
                group.cancel_scope.cancel()
    finally:
        await administer(ours, f"ALTER ROLE {ROLE} LOGIN")

    assert [each.id for each in ear.heard] == [meanwhile.id]


async def test_a_redis_that_is_emptied_while_somebody_listens_is_heard_again(
    servers: Urls,
) -> None:
    async with open_redis(servers.redis, SystemClock()) as way:
        assert way is not None
        ear, early, late = Ear(way), wish(), wish()
        async with anyio.create_task_group() as group:
            await group.start(ear.listen)
            await way.make(late)
            await ear.hears(late)
            await way._asking.delete("test:wishes")
            await way.make(early)
            await ear.hears(early, within_s=SOON_S)
            group.cancel_scope.cancel()


async def test_what_others_write_into_the_stream_is_passed_over(servers: Urls) -> None:
    async with open_redis(servers.redis, SystemClock()) as way:
        assert way is not None
        ear, made = Ear(way), wish()
        async with anyio.create_task_group() as group:
            await group.start(ear.listen)
            await way._asking.xadd("test:wishes", {"wish": "no such thing"})
            await way.make(made)
            await ear.hears(made)
            group.cancel_scope.cancel()


async def test_what_redis_shows_as_active_is_what_it_knows_to_be_unfinished(
    servers: Urls,
) -> None:
    execution = ExecutionId(NEW.new())
    async with open_redis(servers.redis, SystemClock()) as way:
        assert way is not None
        await way._asking.zadd("test:active-executions", {str(execution): 1.0})

        found = await way.unfinished()
        await way._asking.zrem("test:active-executions", str(execution))

    assert found[execution] is False
