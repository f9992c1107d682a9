"""Clients of Redis that get along with the least of rights, and why it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from test_coordination.domain.errors import CoordinationError

ANSWER_S_MAX: Final = 2.0
CONNECTIONS_MAX: Final = 64

UNUSABLE: Final = (RedisError, OSError)
"""What the driver raises when Redis is away, or refuses us."""


@dataclass(eq=False, kw_only=True)
class InvalidRedisUrlError(CoordinationError):
    """The URL of Redis is malformed; it may hold a password and is not repeated."""

    code: ClassVar[str] = "redis.invalid_url"

    def __str__(self) -> str:
        return (
            "the URL of Redis is malformed; expected redis://user:password@host:port, rediss:// "
            "for TLS, or unix://user:password@/path, with special characters written as %XX"
        )


def client(url: str, *, blocking: bool = False, decoded: bool = True) -> Redis:
    """Return a client, not connected yet; the caller closes it.

    ``blocking`` is for commands that wait: no limit is set on how long an answer takes. Answers
    are texts, or bytes if they are not to be ``decoded``.

    Raises:
        InvalidRedisUrlError: the URL is malformed.
    """
    try:
        made: Redis = Redis.from_url(
            url,
            decode_responses=decoded,
            max_connections=CONNECTIONS_MAX,
            socket_connect_timeout=ANSWER_S_MAX,
            # With the default of 5 s a longer XREAD BLOCK is cut short and sent again for ever.
            socket_timeout=None if blocking else ANSWER_S_MAX,
            # A PING, which our user need not be allowed to send.
            health_check_interval=0,
            # RESP3 hands out idle connections that the server has closed (redis-py #4252).
            protocol=2,
            # The default is ten retries in 3 s; we have a loop of our own that waits longer.
            retry=Retry(ExponentialBackoff(cap=0.2), 2),
        )
    except ValueError:
        raise InvalidRedisUrlError from None
    return made


def why(error: Exception) -> str:
    """Return in a few words why Redis cannot be used."""
    return str(error).strip().rstrip(".") or type(error).__name__
