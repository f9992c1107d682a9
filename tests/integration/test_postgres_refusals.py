"""A PostgreSQL that is there and refuses: no writes, no room, no right; and what to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import pytest

from support.stores_servers import administer
from test_coordination.adapters.postgres.migrate import migrate
from test_coordination.adapters.postgres.pool import (
    LASTING_S,
    SCHEMA,
    Pool,
    connection,
    open_connection,
    open_pool,
    transaction,
)
from test_coordination.domain.errors import StoreUnavailableError

RAISE = "DO $do$ BEGIN RAISE 'said so' USING ERRCODE = '{}'; END $do$"
WRITE = "CREATE TABLE written (at int); DROP TABLE written"
BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture
async def url(empty_database: str) -> str:
    await administer(empty_database, f"CREATE SCHEMA {SCHEMA}")
    return empty_database


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with open_pool(url, connections_max=1) as pool:
        yield pool


async def takes_writes(url: str, *, so: bool) -> None:
    """Have whoever connects from now on find a server that takes writes, or one that does not."""
    name = urlsplit(url).path[1:]
    setting = "off" if so else "on"
    others = urlsplit(url)._replace(path="/postgres").geturl()
    await administer(others, f"ALTER DATABASE {name} SET default_transaction_read_only = {setting}")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("53100", "make room on the disk of its data"),
        ("58030", "see what its own log says of its disk"),
        ("28P01", "see that the user and the password"),
    ],
)
async def test_what_does_not_pass_by_itself_is_told_with_what_to_do(
    pool: Pool, code: str, remedy: str
) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        async with connection(pool, doing="writing") as lent:
            await lent.execute(RAISE.format(code))

    assert "PostgreSQL went away while writing" in str(caught.value)
    assert f"said so; {remedy}" in caught.value.cause
    assert "\n" not in str(caught.value)


async def test_what_passes_by_itself_is_told_at_once_and_without_advice(pool: Pool) -> None:
    with pytest.raises(StoreUnavailableError) as caught, anyio.fail_after(LASTING_S / 2):
        async with connection(pool, doing="writing") as lent:
            await lent.execute(RAISE.format("57P01"))

    assert caught.value.cause == "AdminShutdownError: said so"


async def test_who_tries_again_and_again_on_a_full_disk_does_so_with_pauses(pool: Pool) -> None:
    tries = 0
    with anyio.move_on_after(2.5 * LASTING_S):
        while True:
            tries += 1
            with suppress(StoreUnavailableError):
                async with transaction(pool, doing="writing") as lent:
                    await lent.execute(RAISE.format("53100"))

    assert 2 <= tries <= 3


async def test_a_server_that_takes_no_writes_is_not_there(url: str) -> None:
    await takes_writes(url, so=False)
    async with open_pool(url) as standby:
        with pytest.raises(StoreUnavailableError, match="target_session_attrs=read-write"):
            async with transaction(standby, doing="writing") as lent:
                await lent.execute(WRITE)


async def test_a_connection_to_a_server_that_takes_no_writes_any_more_is_made_anew(
    url: str,
) -> None:
    await takes_writes(url, so=False)
    async with open_pool(url, connections_max=1) as pool:
        async with connection(pool, doing="looking") as lent:
            before = await lent.fetchval(BACKEND)
        await takes_writes(url, so=True)

        with pytest.raises(StoreUnavailableError):
            async with transaction(pool, doing="writing") as lent:
                await lent.execute(WRITE)
        async with transaction(pool, doing="writing") as lent:
            after = await lent.fetchval(BACKEND)
            await lent.execute(WRITE)

    assert after != before


async def test_of_several_addresses_the_one_that_takes_writes_is_used(url: str) -> None:
    """The first is nobody's; where the only one takes no writes, there is none."""
    host = urlsplit(url).query.removeprefix("host=")
    several = urlsplit(url)._replace(query=f"host=/nowhere,{host}").geturl()
    demanding = f"{several}&target_session_attrs=read-write"

    async with open_pool(several) as pool, transaction(pool, doing="writing") as lent:
        await lent.execute(WRITE)
    await takes_writes(url, so=False)
    with pytest.raises(StoreUnavailableError):
        await open_connection(demanding, statement_s_max=1)
    await takes_writes(url, so=True)
    async with open_pool(demanding) as pool, transaction(pool, doing="writing") as lent:
        await lent.execute(WRITE)


async def test_a_database_that_takes_no_writes_is_not_brought_up_to_date(
    empty_database: str,
) -> None:
    await takes_writes(empty_database, so=False)

    with pytest.raises(StoreUnavailableError, match="takes no writes"):
        await migrate(empty_database)
