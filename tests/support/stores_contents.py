"""All that stores hold, as text: for tests of what must not be there."""

from __future__ import annotations

import asyncpg
from redis.asyncio import Redis


async def tables(url: str) -> dict[str, str]:
    """Return all that is in each table of a database, as text."""
    connection = await asyncpg.connect(url)
    try:
        named = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return {
            each["name"]: str(
                await connection.fetch(
                    f"SELECT t::text, row_to_json(t)::text FROM {each['name']} t"
                )
            )
            for each in named
        }
    finally:
        await connection.close()


async def keys(url: str) -> dict[str, str]:
    """Return what is at each key: streams, hashes and sorted sets are all that we write."""
    found: dict[str, str] = {}
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter():
            match await redis.type(key):
                case b"stream":
                    found[str(key)] = str(await redis.xrange(key))
                case b"zset":
                    found[str(key)] = str(await redis.zrange(key, 0, -1))
                case _:
                    found[str(key)] = str(await redis.hgetall(key))
    return found
