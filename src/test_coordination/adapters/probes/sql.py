"""Looking at a database of a system with a query that cannot change it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

import anyio
import asyncpg
from pydantic import Field

from test_coordination.adapters.parameters import (
    InvalidParametersError,
    Parameters,
    Typed,
    parse,
)
from test_coordination.application.capabilities import Probe, ProbeFailedError
from test_coordination.domain.errors import suggestion
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Store, Topology

APPLICATION: Final = "tcoord probe"
ROWS_READ_MAX: Final = 10_000
ROWS_CAPTURED_MAX: Final = 1000
CAPTURE_MAX: Final = timedelta(seconds=10)


class Query(Parameters):
    """One statement, sent to a store of the topology as it is."""

    target: str = Field(description="the store of the topology that is asked", examples=["books"])
    query: Annotated[str, Field(min_length=1)] = Field(
        description="one statement, sent as it is, which can read but not change anything",
        examples=["select count(*) from orders where state = 'lost'"],
    )


class SqlProbe(Typed):
    """A query that is asked again and again; its first column of its first row is the reading.

    It runs in a transaction that may only read, and the server ends it when its time is over.
    """

    kind: ClassVar[str] = "sql"
    summary: ClassVar[str] = "ask a database, reading only: the first column of the first row"
    fields: ClassVar[Mapping[str, Kind]] = MappingProxyType(
        {"value": Kind.ANY, "rows": Kind.INTEGER, "ms": Kind.NUMBER}
    )
    measured: ClassVar[str] = "value"
    unit: ClassVar[str] = ""
    model: ClassVar[type[Parameters]] = Query

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        """See `ProbeKind.open`; one connection is kept, and made anew after a failure."""
        return _opened(topology, parameters, timeout)

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        """See `ProbeKind.capture`: a row alone, or a list of the first 1000."""
        async with _opened(topology, parameters, CAPTURE_MAX) as reader:
            rows = await reader.ask(ROWS_CAPTURED_MAX)
        documents = [{name: as_json(value) for name, value in row.items()} for row in rows]
        return documents[0] if len(documents) == 1 else documents


class _Reader:
    def __init__(
        self, topology: Topology, parameters: Mapping[str, object], limit: timedelta
    ) -> None:
        self._topology = topology
        self._parameters = parameters
        self._limit_s = limit.total_seconds()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def read(self) -> Facts:
        """See `Probe.read`; without any row the value is null."""
        began = anyio.current_time()
        rows = await self.ask(ROWS_READ_MAX + 1)
        took_s = anyio.current_time() - began
        if len(rows) > ROWS_READ_MAX:
            cause = f"the query gives more than {ROWS_READ_MAX} rows; let the database count them"
            raise ProbeFailedError(cause=cause)
        value = as_json(rows[0][0]) if rows and len(rows[0]) else None
        return {"value": value, "rows": len(rows), "ms": round(took_s * 1000, 3)}

    async def ask(self, most: int) -> list[asyncpg.Record]:
        """Return the first rows of the answer.

        Raises:
            ProbeFailedError: there was none in time, or the database refused.
        """
        query, store = _allowed(self._topology, self._parameters)
        try:
            with anyio.fail_after(self._limit_s):
                connection = await self._connected(store)
                async with connection.transaction(readonly=True):
                    cursor = await connection.cursor(query.query)
                    return await cursor.fetch(most)
        except anyio.get_cancelled_exc_class():
            self.hang_up()  # it is in the middle of an answer that nobody waits for
            raise
        except TimeoutError as error:
            self.hang_up()
            cause = f"store {store.name!r} did not answer within {self._limit_s:g} s"
            raise ProbeFailedError(cause=cause) from error
        except asyncpg.PostgresError as error:
            raise ProbeFailedError(cause=f"store {store.name!r} refused: {error}") from error
        except (OSError, asyncpg.InterfaceError) as error:
            self.hang_up()
            cause = f"store {store.name!r} did not answer: {str(error) or type(error).__name__}"
            raise ProbeFailedError(cause=cause) from error

    def hang_up(self) -> None:
        """Close the connection without waiting for anybody."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self, store: Store) -> asyncpg.Connection[asyncpg.Record]:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        # The server's own limit comes later than ours: it ends what we no longer wait for.
        limit_ms = str(round(self._limit_s * 2000) or 1)
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            store.url,
            timeout=self._limit_s,
            server_settings={
                "application_name": APPLICATION,
                "default_transaction_read_only": "on",
                "statement_timeout": limit_ms,
                "idle_in_transaction_session_timeout": limit_ms,
            },
        )
        try:
            for name in ("json", "jsonb"):
                await connection.set_type_codec(
                    name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads
                )
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection


@asynccontextmanager
async def _opened(
    topology: Topology, parameters: Mapping[str, object], limit: timedelta
) -> AsyncGenerator[_Reader]:
    reader = _Reader(topology, parameters, limit)
    try:
        yield reader
    finally:
        reader.hang_up()


def _allowed(topology: Topology, parameters: Mapping[str, object]) -> tuple[Query, Store]:
    try:
        query = parse(Query, parameters)
    except InvalidParametersError as error:
        raise ProbeFailedError(cause=str(error)) from error
    if (store := topology.stores.get(query.target)) is None:
        hint = suggestion(query.target, frozenset(topology.stores))
        raise ProbeFailedError(cause=f"no store is named {query.target!r}; {hint}")
    return query, store


def as_json(value: object) -> object:
    """Return what a database gave as JSON can carry it; spans of time become seconds."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() | Decimal() | timedelta():
            return _number(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case _:
            return _container(value)


def _number(value: float | Decimal | timedelta) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if not isfinite(value):
        return str(value)
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return float(value)


def _container(value: object) -> object:
    if isinstance(value, asyncpg.Record | dict):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [as_json(inner) for inner in value]
    return str(value)
