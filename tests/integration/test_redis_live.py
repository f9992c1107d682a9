"""The live view while Redis is emptied, away, slow to come back, or refuses us."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import pytest
from redis.asyncio import Redis

from support.stores_servers import Urls
from support.stores_story import START, Story, new_record, new_scenario, show
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.redis.connection import InvalidRedisUrlError
from test_coordination.adapters.redis.live import AbsentLiveView, open_live_view
from test_coordination.adapters.redis.shown import (
    ACTIVE,
    TAIL_MAX,
    events_key,
    samples_key,
    state_key,
)
from test_coordination.application.ports import Heard, LiveView
from test_coordination.domain.evidence import Sample
from test_coordination.domain.values import ProbeName


@pytest.fixture
async def redis(embedded: Urls) -> AsyncIterator[Redis]:
    async with Redis.from_url(embedded.redis, decode_responses=True) as client:
        yield client


@pytest.fixture
async def view(embedded: Urls) -> AsyncIterator[LiveView]:
    async with open_live_view(embedded.redis, SystemClock()) as view:
        yield view


@pytest.fixture
def story() -> Story:
    return Story(new_record(new_scenario()))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(10):
        while not await condition():  # noqa: ASYNC110  another process's
            await anyio.sleep(0.02)


async def positions(redis: Redis, story: Story) -> list[int]:
    found = await entries(redis, events_key(story.record.id))
    return [int(identity.split("-")[0]) for identity, _ in found]


async def entries(redis: Redis, key: str) -> list[tuple[str, dict[str, str]]]:
    found: Any = await redis.xrange(key)
    return list(found)


@contextmanager
def gone(socket: Path) -> Iterator[None]:
    """Take away the socket, so that nobody new can connect; those who are stay."""
    hidden = socket.with_suffix(".hidden")
    socket.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(socket)


async def test_everything_is_under_the_agreed_names_and_ends_by_itself(
    view: LiveView, redis: Redis, story: Story
) -> None:
    sample = Sample(
        probe=ProbeName("p"), at=START, took=timedelta(milliseconds=2), fields={"ok": True}
    )
    show(view, story, [*story.begin(), *story.fault()])
    view.publish_samples(story.record.id, [sample])
    id_ = story.record.id
    await until(lambda: _length(redis, samples_key(id_), 1))

    assert state_key(id_) == f"test:execution:{{{id_}}}:state"
    assert await positions(redis, story) == [1, 2, 3]
    ((_, fields),) = await entries(redis, samples_key(id_))
    assert fields == {
        "probe": "p",
        "at": START.isoformat(),
        "took_ms": "2.0",
        "fields": '{"ok":true}',
        "error": "",
    }
    assert await redis.zscore(ACTIVE, str(id_)) is not None
    for key in (state_key(id_), events_key(id_), samples_key(id_)):
        assert 0 < await redis.ttl(key) <= 3600


async def _length(redis: Redis, key: str, length: int) -> bool:
    return await redis.xlen(key) == length


async def test_a_finished_execution_is_active_no_more(
    view: LiveView, redis: Redis, story: Story
) -> None:
    show(view, story, story.begin())
    await until(lambda: _length(redis, events_key(story.record.id), 1))
    show(view, story, story.end())
    await until(lambda: _length(redis, events_key(story.record.id), 2))

    assert await redis.zscore(ACTIVE, str(story.record.id)) is None


async def test_after_a_wipe_the_whole_tail_comes_back_with_the_next_entry(
    view: LiveView, redis: Redis, story: Story
) -> None:
    show(view, story, [*story.begin(), *story.fault()])
    await until(lambda: _length(redis, events_key(story.record.id), 3))

    await redis.flushall()
    show(view, story, story.revert())

    await until(lambda: _length(redis, events_key(story.record.id), 4))
    assert await positions(redis, story) == [1, 2, 3, 4]
    state = await view.state(story.record.id)
    assert state is not None
    assert state.position == 4


async def test_after_a_wipe_all_comes_back_though_nothing_more_happens(
    view: LiveView, redis: Redis, story: Story
) -> None:
    show(view, story, [*story.begin(), *story.fault()])
    await until(lambda: _length(redis, events_key(story.record.id), 3))

    await redis.flushall()

    await until(lambda: _length(redis, events_key(story.record.id), 3))
    assert await view.state(story.record.id) is not None


async def test_what_another_worker_has_shown_already_is_no_trouble(  # noqa: PLR0917  fixtures
    view: LiveView, embedded: Urls, redis: Redis, story: Story
) -> None:
    first = [*story.begin(), *story.fault()]
    show(view, story, first)
    await until(lambda: _length(redis, events_key(story.record.id), 3))

    async with open_live_view(embedded.redis, SystemClock()) as other:
        show(other, story, [*first, *story.revert()])
        await until(lambda: _length(redis, events_key(story.record.id), 4))
        trouble = other.trouble()

    assert trouble == ""
    assert await positions(redis, story) == [1, 2, 3, 4]


async def test_an_evicted_stream_comes_back_though_the_state_is_there(
    view: LiveView, redis: Redis, story: Story
) -> None:
    show(view, story, [*story.begin(), *story.fault()])
    await until(lambda: _length(redis, events_key(story.record.id), 3))

    await redis.delete(events_key(story.record.id))
    show(view, story, story.revert())

    await until(lambda: _length(redis, events_key(story.record.id), 4))
    assert await positions(redis, story) == [1, 2, 3, 4]


async def test_while_redis_is_away_it_says_so_and_afterwards_all_is_shown(  # noqa: PLR0917  fixtures
    embedded: Urls, redis: Redis, story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    socket = Path(urlsplit(embedded.redis).path)
    caplog.set_level(logging.INFO)
    with gone(socket):
        async with open_live_view(embedded.redis, SystemClock()) as view:
            show(view, story, story.begin())
            await until(lambda: _in_trouble(view))
            show(view, story, story.fault())
            start = anyio.current_time()
            unknown = await view.state(story.record.id)
            heard = await view.news({story.record.id: 0}, limit=timedelta(milliseconds=500))
            took_s = anyio.current_time() - start
            trouble = view.trouble()
            socket.with_suffix(".hidden").rename(socket)
            try:
                await until(lambda: _length(redis, events_key(story.record.id), 3))
            finally:
                socket.rename(socket.with_suffix(".hidden"))
            healed = view.trouble()

    assert "Redis cannot be used" in trouble
    assert unknown is None
    assert heard is Heard.DEAF
    assert took_s < 4, "nobody waits for long"
    assert healed == ""
    ours = [r for r in caplog.records if r.name.startswith("test_coordination.adapters.redis")]
    assert len(ours) == 2, "once that it is away, once that it is back"


async def _in_trouble(view: LiveView) -> bool:
    return bool(view.trouble())


async def test_connections_that_break_are_made_again(
    view: LiveView, redis: Redis, story: Story
) -> None:
    show(view, story, story.begin())
    await until(lambda: _length(redis, events_key(story.record.id), 1))

    await redis.client_kill_filter(_type="normal", skipme=True)
    show(view, story, story.fault())

    await until(lambda: _length(redis, events_key(story.record.id), 3))
    assert await positions(redis, story) == [1, 2, 3]


async def test_a_user_without_the_rights_is_told_so(embedded: Urls, redis: Redis) -> None:
    await redis.acl_setuser("powerless", reset=True, enabled=True, passwords=["+secret-word"])
    url = urlunsplit(urlsplit(embedded.redis)._replace(netloc="powerless:secret-word@"))
    async with open_live_view(url, SystemClock()) as view:
        await until(lambda: _in_trouble(view))
        trouble = view.trouble()
    wrong = urlunsplit(urlsplit(embedded.redis)._replace(netloc="powerless:other-secret@"))
    async with open_live_view(wrong, SystemClock()) as view:
        await until(lambda: _in_trouble(view))
        refused = view.trouble()

    assert "no permissions" in trouble.lower()
    assert "secret" not in trouble + refused


async def test_a_burst_is_shown_to_its_end_and_never_held_in_full(
    view: LiveView, redis: Redis, story: Story
) -> None:
    show(view, story, story.begin())
    for entries in story.notes(3 * TAIL_MAX):
        show(view, story, entries)

    last = 3 * TAIL_MAX + 1
    await until(lambda: _ends_at(redis, story, last))
    assert (await positions(redis, story))[-TAIL_MAX:] == list(range(last - TAIL_MAX + 1, last + 1))


async def _ends_at(redis: Redis, story: Story, last: int) -> bool:
    return bool(await redis.xrange(events_key(story.record.id), min=f"{last}-0"))


@pytest.mark.parametrize("url", ["http://u:secret@h", "redis://u:secret@h:port", "nonsense"])
async def test_a_malformed_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidRedisUrlError) as refused:
        async with open_live_view(url, SystemClock()):
            pass

    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_without_redis_nothing_is_shown_and_waiting_is_short(story: Story) -> None:
    async with open_live_view(None, SystemClock()) as view:
        show(view, story, story.begin())
        view.publish_samples(story.record.id, [])
        with anyio.fail_after(5):
            heard = await view.news({story.record.id: 0}, limit=timedelta(minutes=1))

        assert heard is Heard.DEAF
        assert await view.state(story.record.id) is None
        assert "no Redis is configured" in view.trouble()
        assert isinstance(view, AbsentLiveView)
