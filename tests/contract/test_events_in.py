"""The stream of events that others write, on Redis, also with the least of rights."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from support.stores_servers import Urls
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.redis.connection import InvalidRedisUrlError
from test_coordination.adapters.redis.events import (
    ENTRY_BYTES_MAX,
    KEY,
    AbsentEvents,
    open_events,
)
from test_coordination.application.timetable import Arrival, EventsIn


@pytest.fixture(params=["servers", "least_privilege"])
def urls(request: pytest.FixtureRequest) -> Urls:
    found: Urls = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def redis(urls: Urls) -> AsyncIterator[Redis]:
    """Somebody who writes events: all of them with no more rights than ours."""
    async with Redis.from_url(urls.redis, protocol=2) as client:
        await client.delete(KEY)
        yield client
        await client.delete(KEY)


@pytest.fixture
async def events(urls: Urls) -> AsyncIterator[EventsIn]:
    async with open_events(urls.redis) as opened:
        yield opened


async def read(events: EventsIn, after: str = "", limit: int = 10) -> list[Arrival]:
    return [*await events.read(after=after, limit=limit)]


async def test_events_are_read_in_order_from_any_position(redis: Redis, events: EventsIn) -> None:
    for number in range(5):
        await redis.xadd(KEY, {"name": "deployed", "n": str(number)}, id=f"{number + 1}-0")

    first = await read(events, limit=3)
    rest = await read(events, after=first[-1].position)

    assert [each.position for each in (*first, *rest)] == ["1-0", "2-0", "3-0", "4-0", "5-0"]
    assert [each.data for each in rest] == [{"n": "3"}, {"n": "4"}]
    assert {(each.name, each.at) for each in first} == {("deployed", None)}
    assert await read(events, after="5-0") == []


async def test_an_identity_that_redis_made_tells_the_time(redis: Redis, events: EventsIn) -> None:
    await redis.xadd(KEY, {"name": "deployed"})

    (found,) = await read(events)

    assert found.at is not None
    assert abs(SystemClock().now() - found.at) < timedelta(seconds=30)


async def test_data_is_an_object_or_what_stands_beside_the_name(
    redis: Redis, events: EventsIn
) -> None:
    await redis.xadd(KEY, {"name": "deployed", "data": '{"n": 1, "of": {"a": [true]}}', "x": "y"})

    (found,) = await read(events)

    assert found.data == {"n": 1, "of": {"a": [True]}, "x": "y"}


@pytest.mark.parametrize(
    "fields",
    [
        {"nothing": "here"},
        {"name": "e", "data": "{"},
        {"name": "e", "data": "[1]"},
        {"name": "e", "data": "[" * 60_000},
        {"name": "e", "data": "9" * 5_000},
        {"name": "e", "text": "x" * ENTRY_BYTES_MAX},
    ],
)
async def test_what_is_no_event_is_passed_over(
    redis: Redis, events: EventsIn, *, fields: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.xadd(KEY, fields, id="1-0")
    await redis.xadd(KEY, {"name": "deployed"}, id="2-0")

    with caplog.at_level(logging.WARNING):
        found = await read(events)

    assert [(each.position, each.name) for each in found] == [("1-0", ""), ("2-0", "deployed")]
    assert "entry 1-0 of test:events is no event" in caplog.text


async def test_what_is_no_text_is_read_as_well_as_it_can_be(redis: Redis, events: EventsIn) -> None:
    await redis.xadd(KEY, {b"name": b"deployed", b"who": b"\xff\0x"}, id="1-0")

    (found,) = await read(events)

    assert found.data == {"who": "\ufffd\ufffdx"}


async def test_a_stream_that_was_begun_anew_is_read_from_its_beginning(
    redis: Redis, events: EventsIn
) -> None:
    await redis.xadd(KEY, {"name": "old"}, id="70-0")
    (old,) = await read(events)
    await redis.delete(KEY)
    gone = await read(events, after=old.position)
    await redis.xadd(KEY, {"name": "new"}, id="5-1")

    found = await read(events, after=old.position)

    assert gone == []
    assert [(each.position, each.name) for each in found] == [("5-1", "new")]


async def test_where_redis_is_away_or_there_is_none_there_are_no_events() -> None:
    before_s = time.monotonic()
    async with open_events("redis://127.0.0.1:1") as away, open_events(None) as absent:
        assert await read(away) == []
        assert await read(absent) == []

        assert away.source == "redis test:events"
        assert isinstance(absent, AbsentEvents)
        assert absent.source == ""
    assert time.monotonic() - before_s < 5
    with pytest.raises(InvalidRedisUrlError):
        async with open_events("http://x"):
            pass
