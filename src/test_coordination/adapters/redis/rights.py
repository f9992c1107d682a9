"""What `tcoord doctor` tells of Redis: whether it answers, and which right is missing."""

from __future__ import annotations

from typing import Final

from redis.exceptions import NoPermissionError

from test_coordination.adapters.redis.connection import UNUSABLE, client, why

KEY: Final = "test:health"
LEAST: Final = "~test:* +@read +@write +@keyspace -@dangerous"

# One command of each category that the live view uses, all on one key that is gone at the end.
NEEDED: Final[tuple[tuple[str, ...], ...]] = (
    ("DEL", KEY),
    ("HSET", KEY, "looked", "1"),
    ("HGETALL", KEY),
    ("EXPIRE", KEY, "10"),
    ("DEL", KEY),
    ("XADD", KEY, "MAXLEN", "~", "10", "1-0", "looked", "1"),
    ("XREAD", "COUNT", "1", "STREAMS", KEY, "0"),
    ("DEL", KEY),
    ("ZADD", KEY, "1", "looked"),
    ("DEL", KEY),
)


async def trouble(url: str) -> tuple[str, str]:
    """Return what is wrong with the Redis at ``url``, and how to mend it; empty if all is well.

    Raises:
        InvalidRedisUrlError: the URL is malformed.
    """
    redis = client(url)
    try:
        for command in NEEDED:
            await redis.execute_command(*command)  # type: ignore[no-untyped-call]  # the driver's only way to send any command has no types
    except NoPermissionError as error:
        return why(error), f"let an administrator run: ACL SETUSER <our user> {LEAST}"
    except UNUSABLE as error:
        return f"it does not answer: {why(error)}", "start it, or leave TCOORD_REDIS_URL unset"
    finally:
        await redis.aclose()
    return "", ""
