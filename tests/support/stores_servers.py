"""The servers that tests of the stores work on: real ones, also with the least of rights."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from support.servers_directory import servers_directory
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.servers.embedded import embedded_servers

ROLE = "tcoord_least"
PASSWORD = "p%40ss%2Fword"


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where a pair of servers is, and as whom to go there."""

    postgres: str
    redis: str


@asynccontextmanager
async def own_servers() -> AsyncIterator[Urls]:
    """Lend a pair of servers that a test may stop and kill as it likes."""
    with servers_directory() as directory:
        async with embedded_servers(directory) as urls:
            yield Urls(postgres=urls.postgres, redis=urls.redis)


@pytest.fixture(scope="session")
async def embedded() -> AsyncIterator[Urls]:
    """Servers that are ours and where we may do everything."""
    async with own_servers() as urls:
        yield urls


@pytest.fixture(scope="session")
async def servers(embedded: Urls) -> Urls:
    """The servers of the environment where it names some, otherwise the embedded ones."""
    urls = Urls(
        postgres=os.environ.get("TCOORD_TEST_POSTGRES_URL", embedded.postgres),
        redis=os.environ.get("TCOORD_TEST_REDIS_URL", embedded.redis),
    )
    await migrate(urls.postgres)
    return urls


@pytest.fixture(scope="session")
async def least_privilege(embedded: Urls) -> Urls:
    """Users that may do only what the adapter must be able to do."""
    urls = await least_privileged(embedded)
    await migrate(urls.postgres)
    return urls


@pytest.fixture
async def empty_database(embedded: Urls) -> AsyncIterator[str]:
    """The URL of a database in which there is nothing."""
    url = await new_database(embedded.postgres)
    yield url
    await administer(embedded.postgres, f"DROP DATABASE {urlsplit(url).path[1:]} WITH (FORCE)")


async def new_database(url: str) -> str:
    """Make a database on the server at ``url``, and return its URL."""
    name = f"empty_{uuid4().hex}"
    await administer(url, f"CREATE DATABASE {name}")
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def least_privileged(urls: Urls) -> Urls:
    """Make a role and a user that have no right that they do not need; return their URLs."""
    database = await new_database(urls.postgres)
    name = urlsplit(database).path[1:]
    for statement in (
        f"DROP ROLE IF EXISTS {ROLE}",
        f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO {ROLE}",
    ):
        await administer(urls.postgres, statement)
    for statement in (
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "CREATE SCHEMA test_coordination",
        f"GRANT USAGE, CREATE ON SCHEMA test_coordination TO {ROLE}",
    ):
        await administer(database, statement)
    async with Redis.from_url(urls.redis) as redis:
        await redis.acl_setuser(
            ROLE,
            reset=True,
            enabled=True,
            passwords=["+p@ss/word"],
            keys=["test:*"],
            categories=["+read", "+write", "+keyspace", "-dangerous"],
        )
    as_role = f"{ROLE}:{PASSWORD}@"
    postgres, cache = urlsplit(database), urlsplit(urls.redis)
    return Urls(
        postgres=urlunsplit(postgres._replace(netloc=as_role + postgres.netloc.split("@")[-1])),
        redis=urlunsplit(cache._replace(netloc=as_role + cache.netloc.split("@")[-1])),
    )


async def administer(url: str, statement: str) -> None:
    """Run one statement with all the rights of ``url``."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
