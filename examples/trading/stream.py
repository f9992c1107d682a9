"""The way to Redis."""

from __future__ import annotations

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trading.builds import Build

REDIS_ERRORS = (RedisError, OSError, TimeoutError)

# The stream of every fill, and the list of the fills of the engine's account.
FILLS = "exchange:fills"
ENGINE_FILLS = "exchange:fills:engine"
FILLS_KEPT = 100_000


def open_redis(url: str, build: Build) -> redis.Redis:
    """Return a client that connects when it is first used, and again after an outage."""
    return redis.Redis.from_url(
        url,
        socket_timeout=build.patience_s,
        socket_connect_timeout=2.0,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )
