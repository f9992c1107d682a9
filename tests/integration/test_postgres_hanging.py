"""A PostgreSQL that neither answers nor breaks off: who gives up is let go, and leaves no trace."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from support.e2e_cut import way_to
from support.servers_directory import servers_directory
from support.stores_servers import Urls
from test_coordination.adapters.postgres import pool as pools
from test_coordination.adapters.postgres.pool import connection, open_pool

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
                before = await lent.fetchval("SELECT pg_backend_pid()")
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
                after = await lent.fetchval("SELECT pg_backend_pid()")

    assert took_s < GIVEN_UP_S + LET_GO_S + 0.5
    assert not said
    assert after != before
