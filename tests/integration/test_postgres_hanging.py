"""A PostgreSQL that neither answers nor breaks off: who gives up is let go, and leaves no trace."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest

from support.e2e_cut import way_to
from support.servers_directory import servers_directory
from support.stores_servers import Urls
from test_coordination.adapters.postgres import pool as pools
from test_coordination.adapters.postgres.pool import Pool, connection, open_pool
from test_coordination.domain.errors import StoreUnavailableError

BACKEND = "SELECT pg_backend_pid()"
GIVEN_UP_S = 0.1
LET_GO_S = 0.2


async def test_who_gives_up_waiting_for_an_answer_is_let_go_and_nothing_is_said_of_it_later(
    embedded: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_S_MAX", LET_GO_S)
    monkeypatch.setattr(pools, "RELEASE_S_MAX", LET_GO_S)
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    address = urlsplit(embedded.postgres)
    server = Path(address.query.removeprefix("host="))
    with servers_directory() as directory:
        place = directory / "way"
        url = address._replace(query=f"host={place}").geturl()
        async with way_to(server, place) as way, open_pool(url, connections_min=0) as pool:
            async with connection(pool, doing="asking") as lent:
                before = await lent.fetchval(BACKEND)
            way.cut()
            began = anyio.current_time()
            with anyio.move_on_after(GIVEN_UP_S):
                async with connection(pool, doing="asking") as lent:
                    await lent.fetchval("SELECT")
            took_s = anyio.current_time() - began
            await anyio.sleep(2 * LET_GO_S)
            gc.collect()
            await way.mend()
            async with connection(pool, doing="asking again") as lent:
                after = await lent.fetchval(BACKEND)

    assert took_s < GIVEN_UP_S + LET_GO_S + 0.5
    assert not said
    assert after != before


async def test_a_connection_on_which_something_is_left_under_way_is_cut(embedded: Urls) -> None:
    backends = list[int]()
    left = list[asyncio.Future[str]]()

    async def ask_while_something_is_under_way(pool: Pool) -> None:
        async with connection(pool, doing="asking") as lent:
            backends.append(await lent.fetchval(BACKEND))
            left.append(asyncio.ensure_future(lent.execute("SELECT pg_sleep(60)")))
            await asyncio.sleep(0)
            await lent.fetchval(BACKEND)

    async with open_pool(embedded.postgres, connections_max=1) as pool:
        with pytest.raises(StoreUnavailableError, match="another operation"):
            await ask_while_something_is_under_way(pool)
        with suppress(asyncpg.PostgresError):
            await left[0]
        async with connection(pool, doing="asking again") as lent:
            after = await lent.fetchval(BACKEND)

    assert after not in backends
