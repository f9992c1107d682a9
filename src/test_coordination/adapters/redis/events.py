"""Events from outside: the stream ``test:events``, which others write and we only read."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import anyio
from redis.asyncio import Redis

from test_coordination.adapters.codec import storable
from test_coordination.adapters.redis.connection import UNUSABLE, client
from test_coordination.application.timetable import Arrival, EventsIn

KEY: Final = "test:events"
FIRST: Final = "0-0"
ENTRY_BYTES_MAX: Final = 65_536
CLOSE_S_MAX: Final = 2.0
# Identifiers that Redis makes begin with milliseconds; others may give what they like.
TIMES_MS: Final = range(10**12, 10**13)

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_events(url: str | None) -> AsyncGenerator[EventsIn]:
    """Lend the stream in the Redis at ``url``, which need not answer; None says there is none.

    Raises:
        InvalidRedisUrlError: the URL is malformed.
    """
    if url is None:
        yield AbsentEvents()
        return
    # Whoever writes may write what is no text.
    redis = client(url, decoded=False)
    try:
        yield RedisEvents(redis)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_S_MAX):
            await redis.aclose()


class AbsentEvents:
    """An `EventsIn` for where there is no Redis."""

    source = ""

    async def read(self, *, after: str, limit: int) -> Sequence[Arrival]:
        """See `EventsIn.read`."""
        del after, limit
        return []


class RedisEvents:
    """An `EventsIn` that reads by explicit positions, for which it needs no right but to read.

    An entry has a field ``name`` and, as its data, a field ``data`` with a JSON object, or any
    other fields, whose values are texts.
    """

    source = f"redis {KEY}"

    def __init__(self, redis: Redis) -> None:
        """Leave the client, whose answers are bytes, to the caller to close."""
        self._redis = redis

    async def read(self, *, after: str, limit: int) -> Sequence[Arrival]:
        """See `EventsIn.read`."""
        try:
            newest: Any = await self._redis.xrevrange(KEY, count=1)
            if not newest:
                return []
            end, start = _text(newest[0][0]), after or FIRST
            if _place(end) < _place(start):
                log.warning("the stream %s was begun anew; it is read from its beginning", KEY)
                start = FIRST
            if end == start:
                return []
            found: Any = await self._redis.xread({KEY: start}, count=limit)
        except UNUSABLE:
            return []
        return [_arrival(_text(name), fields) for _, entries in found for name, fields in entries]


def _arrival(position: str, raw: Mapping[bytes, bytes]) -> Arrival:
    """Return what an entry says; one that is no event has no name."""
    if sum(len(key) + len(value) for key, value in raw.items()) > ENTRY_BYTES_MAX:
        return _refused(position, f"it has more than {ENTRY_BYTES_MAX} bytes")
    fields = {_text(key): _text(value) for key, value in raw.items()}
    name, told = fields.pop("name", ""), fields.pop("data", "{}")
    try:
        data = json.loads(told)
    except (ValueError, RecursionError):
        return _refused(position, "its data is no JSON")
    if not name or not isinstance(data, dict):
        return _refused(position, "it needs a name, and data that is a JSON object")
    at_ms = _place(position)[0]
    at = datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms in TIMES_MS else None
    return Arrival(position=position, name=name, at=at, data={**fields, **data})


def _refused(position: str, why: str) -> Arrival:
    log.warning("entry %s of %s is no event: %s", position, KEY, why)
    return Arrival(position=position, name="")


def _text(raw: bytes) -> str:
    return storable(raw.decode(errors="replace"))


def _place(position: str) -> tuple[int, int]:
    time, _, number = position.partition("-")
    return int(time), int(number or 0)
