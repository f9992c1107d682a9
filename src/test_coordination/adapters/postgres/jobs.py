"""The job queue under the dispatch: PgQueuer, in our schema and on our connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Self, TypedDict

import anyio
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.tm import TaskManager
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import Driver, NotifyCallback

from test_coordination.adapters.postgres.pool import (
    COMMAND_S_MAX,
    SCHEMA,
    Connection,
    Pool,
    connect,
    connection,
    translated,
)
from test_coordination.domain.errors import StoreUnavailableError

RETRY_S: Final = 0.2
LOOK_S: Final = 2.0
DOING: Final = "dispatching executions"

# All of them are said: what is left out is read from variables of the environment that have
# nothing to do with us, such as CHANNEL.
SETTINGS: Final = DBSettings(
    prefix="",
    db_schema=SCHEMA,
    channel=Channel("test_coordination_dispatch"),
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
    durability=Durability.durable,
    widen_id=True,
)

NOTIFY: Final = "SELECT pg_notify($1, $2)"
STILL_THERE: Final = "SELECT"

_JSONB: Final = re.compile(r"\$(\d+)::jsonb", re.IGNORECASE)


def queries(lent: Connection) -> Queries:
    """Return PgQueuer's statements on a connection, in the transaction that it is in."""
    return Queries(OneConnection(lent), **builders())


class _Builders(TypedDict):
    qbe: QueryBuilderEnvironment
    qbq: QueryQueueBuilder
    qbs: QuerySchedulerBuilder


def builders() -> _Builders:
    """Return what writes PgQueuer's statements, for our schema."""
    return {
        "qbe": QueryBuilderEnvironment(SETTINGS),
        "qbq": QueryQueueBuilder(SETTINGS),
        "qbs": QuerySchedulerBuilder(SETTINGS),
    }


class _OurDriver(Driver):
    """What PgQueuer asks of every way to a database, and we have no use for."""

    def __init__(self) -> None:
        self._shutdown = asyncio.Event()
        self._tasks = TaskManager()

    @property
    def shutdown(self) -> asyncio.Event:
        """Return what is never set."""
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        """Return a keeper of no tasks."""
        return self._tasks

    async def notify(self, channel: str, payload: str) -> None:
        """Send ``payload`` to whoever listens."""
        await self.execute(NOTIFY, channel, payload)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


class OneConnection(_OurDriver):
    """A connection of ours, with the transaction that it is in."""

    def __init__(self, lent: Connection) -> None:
        super().__init__()
        self._lent = lent

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Return the rows that ``query`` gives."""
        rows = await self._lent.fetch(query, *_suited(query, args))
        return [dict(row) for row in rows]

    async def execute(self, query: str, *args: object) -> str:
        """Run ``query`` and return its status."""
        return await self._lent.execute(query, *_suited(query, args))

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Have ``callback`` called with what is sent to ``channel``, as long as it is open."""

        def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            callback(str(payload))

        await self._lent.add_listener(channel, heard)


class PatientPool(_OurDriver):
    """A pool of ours; a store that is away is waited for, however long.

    So PgQueuer's loop, which a lost connection would end, goes on. All that it sends may be sent
    again: a job that was taken, and whose taker was not told, is taken again after a while.
    """

    def __init__(self, pool: Pool, url: str) -> None:
        super().__init__()
        self._pool = pool
        self._url = url
        self._callbacks: list[NotifyCallback] = []

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Return the rows that ``query`` gives."""
        while True:
            try:
                async with connection(self._pool, doing=DOING) as lent:
                    return await OneConnection(lent).fetch(query, *args)
            except StoreUnavailableError:
                await anyio.sleep(RETRY_S)

    async def execute(self, query: str, *args: object) -> str:
        """Run ``query`` and return its status."""
        while True:
            try:
                async with connection(self._pool, doing=DOING) as lent:
                    return await OneConnection(lent).execute(query, *args)
            except StoreUnavailableError:
                await anyio.sleep(RETRY_S)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Have ``callback`` called with what is sent to our channel, while `listen` runs."""
        assert channel == SETTINGS.channel
        self._callbacks.append(callback)

    async def listen(self) -> None:
        """Listen on a connection of its own, and on another one whenever it is lost."""
        while True:
            try:
                async with connect(self._url, statement_s_max=COMMAND_S_MAX) as lent:
                    with translated("listening for executions"):
                        await OneConnection(lent).add_listener(SETTINGS.channel, self._heard)
                        while True:
                            await lent.execute(STILL_THERE)
                            await anyio.sleep(LOOK_S)
            except StoreUnavailableError:
                await anyio.sleep(RETRY_S)

    def _heard(self, payload: str | bytes | bytearray) -> None:
        for callback in self._callbacks:
            callback(payload)


def _suited(query: str, args: Sequence[object]) -> list[object]:
    """Return ``args`` as our connections take them: jsonb as bytes, see `pool.jsonb`."""
    places = _json_places(query)
    return [_binary(arg) if at in places else arg for at, arg in enumerate(args, start=1)]


@lru_cache
def _json_places(query: str) -> frozenset[int]:
    return frozenset(int(found[1]) for found in _JSONB.finditer(query))


def _binary(value: object) -> object:
    match value:
        case str():
            return b"\x01" + value.encode()
        case list():
            return [_binary(each) for each in value]
        case _:
            return value
