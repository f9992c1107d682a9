"""What the exchange keeps in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from trading.database import Connection, Database
from trading.matching import Book, Deltas, Entry, Fill, Order, legs

LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM exchange.trades"
ORDER = """
    SELECT order_id, client_order_id, reference, account, symbol, side, kind, quantity,
           limit_price, extract(epoch FROM created_at)::float8 AS created_at, status, filled
    FROM exchange.orders
"""
RESTING_ORDERS = ORDER + " WHERE status = 'open'"
ORDERS_BY_KEY = ORDER + " WHERE client_order_id = any($1::text[])"
WRITE_ORDERS = """
    INSERT INTO exchange.orders (
        order_id, client_order_id, idempotency_key, reference, account, symbol, side, kind,
        quantity, limit_price, created_at, status, filled
    )
    SELECT order_id, client_order_id, CASE WHEN $13 THEN client_order_id END, reference, account,
           symbol, side, kind, quantity, limit_price, to_timestamp(created_at), status, filled
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::bigint[], $9::bigint[], $10::float8[], $11::text[], $12::bigint[]
    ) AS new (
        order_id, client_order_id, reference, account, symbol, side, kind,
        quantity, limit_price, created_at, status, filled
    )
    ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, filled = excluded.filled
"""
WRITE_TRADES = """
    INSERT INTO exchange.trades (
        seq, order_id, client_order_id, account, symbol, side, quantity, price, notional,
        price_at, executed_at
    )
    SELECT seq, order_id, client_order_id, account, symbol, side, quantity, price, notional,
           to_timestamp(price_at), to_timestamp(executed_at)
    FROM unnest(
        $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::float8[], $11::float8[]
    ) AS new (
        seq, order_id, client_order_id, account, symbol, side, quantity, price, notional,
        price_at, executed_at
    )
"""
ADD_TO_BALANCES = """
    INSERT INTO exchange.balances AS held (account, asset, amount)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
    ON CONFLICT (account, asset) DO UPDATE SET amount = held.amount + excluded.amount
"""
# Only transfers that are new move a balance; one statement, so both happen or neither.
TRANSFER = """
    WITH new AS (
        INSERT INTO exchange.transfers (transfer_id, account, asset, amount)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        ON CONFLICT (transfer_id) DO NOTHING
        RETURNING account, asset, amount
    )
    INSERT INTO exchange.balances AS held (account, asset, amount)
    SELECT account, asset, -sum(amount) FROM new GROUP BY account, asset
    ON CONFLICT (account, asset) DO UPDATE SET amount = held.amount + excluded.amount
"""
FILLS_SINCE = """
    SELECT seq, client_order_id, account, symbol, side, quantity, price,
           extract(epoch FROM executed_at)::float8 AS executed_at
    FROM exchange.trades
    WHERE seq > $1 AND ($2::text IS NULL OR account = $2)
    ORDER BY seq
    LIMIT $3
"""
BALANCES = "SELECT account, asset, amount FROM exchange.balances ORDER BY account, asset"


class ExchangeStore:
    """Orders, trades and balances in PostgreSQL."""

    def __init__(self, database: Database, *, keeps_keys: bool) -> None:
        self._database = database
        self._keeps_keys = keeps_keys
        # One writer at a time: balances are changed in no particular order.
        self._writing = asyncio.Lock()

    async def book(self) -> Book:
        """Return the book as it was written last."""
        async with self._database.connection() as connection:
            last_seq = await connection.fetchval(LAST_SEQ)
            rows = await connection.fetch(RESTING_ORDERS)
        return Book(last_seq=last_seq, resting=[Order(**row) for row in rows])

    async def found(self, keys: Sequence[str]) -> Mapping[str, Order]:
        """Return the orders that exist under ``keys``."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(ORDERS_BY_KEY, list(keys))
        return {row["client_order_id"]: Order(**row) for row in rows}

    async def write(self, entries: Sequence[Entry]) -> None:
        """Write all that ``entries`` say, or nothing."""
        async with (
            self._writing,
            self._database.connection() as connection,
            connection.transaction(),
        ):
            await self._write(connection, entries)

    async def write_in_pieces(self, entries: Sequence[Entry]) -> None:
        """Write what ``entries`` say; what was written before a failure stays."""
        async with self._writing, self._database.connection() as connection:
            await self._write(connection, entries)

    async def _write(self, connection: Connection, entries: Sequence[Entry]) -> None:
        newest = {entry.order.order_id: entry.order for entry in entries}
        fills = [fill for entry in entries for fill in entry.fills]
        await connection.execute(WRITE_ORDERS, *_order_columns(newest.values()), self._keeps_keys)
        if fills:
            clients, house = legs(fills)
            await connection.execute(WRITE_TRADES, *_trade_columns(fills))
            await connection.execute(ADD_TO_BALANCES, *_delta_columns(clients))
            await connection.execute(ADD_TO_BALANCES, *_delta_columns(house))

    async def transfer(self, transfers: Sequence[Mapping[str, Any]]) -> None:
        """Move assets out of the exchange; a transfer that is known already moves nothing."""
        columns = [
            [transfer[name] for transfer in transfers]
            for name in ("transfer_id", "account", "asset", "amount")
        ]
        async with self._writing, self._database.connection() as connection:
            await connection.execute(TRANSFER, *columns)

    async def fills(self, *, since: int, account: str | None, limit: int) -> list[asyncpg.Record]:
        """Return the fills with a number above ``since``, in order."""
        async with self._database.connection() as connection:
            return await connection.fetch(FILLS_SINCE, since, account, limit)

    async def balances(self) -> dict[str, dict[str, int]]:
        """Return what each account holds."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(BALANCES)
        held: dict[str, dict[str, int]] = {}
        for row in rows:
            held.setdefault(row["account"], {})[row["asset"]] = row["amount"]
        return held


def _order_columns(orders: Iterable[Order]) -> list[list[Any]]:
    names = (
        "order_id",
        "client_order_id",
        "reference",
        "account",
        "symbol",
        "side",
        "kind",
        "quantity",
        "limit_price",
        "created_at",
        "status",
        "filled",
    )
    rows = list(orders)
    return [[getattr(order, name) for order in rows] for name in names]


def _trade_columns(fills: Sequence[Fill]) -> list[list[Any]]:
    return [
        [fill.seq for fill in fills],
        [fill.order.order_id for fill in fills],
        [fill.order.client_order_id for fill in fills],
        [fill.order.account for fill in fills],
        [fill.order.symbol for fill in fills],
        [fill.order.side for fill in fills],
        [fill.quantity for fill in fills],
        [fill.price for fill in fills],
        [fill.notional for fill in fills],
        [fill.price_at for fill in fills],
        [fill.executed_at for fill in fills],
    ]


def _delta_columns(deltas: Deltas) -> list[list[Any]]:
    rows = sorted((account, asset, amount) for (account, asset), amount in deltas.items())
    return [list(column) for column in zip(*rows, strict=True)]
