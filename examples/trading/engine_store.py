"""What the trading engine keeps in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from trading.database import Database

INTEND = """
    INSERT INTO trading.orders (client_order_id, symbol, side, quantity, state, told)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
ANSWERED = "UPDATE trading.orders SET state = $2, told = $3 WHERE client_order_id = $1"
INTENTS = """
    SELECT client_order_id, symbol, side, quantity
    FROM trading.orders
    WHERE state = 'intent' AND created_at < clock_timestamp() - make_interval(secs => $1)
    ORDER BY created_at
    LIMIT 50
"""
ORDERS = """
    SELECT client_order_id, symbol, side, quantity, state, told
    FROM trading.orders ORDER BY created_at DESC LIMIT 100
"""
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM trading.fills"
# A fill that is known adds nothing: reading the same numbers twice is safe.
APPLY = """
    WITH new AS (
        INSERT INTO trading.fills (seq, client_order_id, symbol, side, quantity, price)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                             $6::bigint[])
        ON CONFLICT (seq) DO NOTHING
        RETURNING symbol, price, CASE side WHEN 'buy' THEN quantity ELSE -quantity END AS quantity
    )
    INSERT INTO trading.positions AS held (symbol, quantity, cost)
    SELECT symbol, sum(quantity), sum(quantity * price / 1000) FROM new GROUP BY symbol
    ON CONFLICT (symbol) DO UPDATE
    SET quantity = held.quantity + excluded.quantity, cost = held.cost + excluded.cost
"""
WRITE_FILLS = """
    INSERT INTO trading.fills (seq, client_order_id, symbol, side, quantity, price)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                         $6::bigint[])
    ON CONFLICT (seq) DO NOTHING
"""
ADD_TO_POSITIONS = """
    INSERT INTO trading.positions AS held (symbol, quantity, cost)
    SELECT symbol, sum(signed), sum(signed * price / 1000)
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS new (symbol, signed, price)
    GROUP BY symbol
    ON CONFLICT (symbol) DO UPDATE
    SET quantity = held.quantity + excluded.quantity, cost = held.cost + excluded.cost
"""
POSITIONS = "SELECT symbol, quantity, cost FROM trading.positions ORDER BY symbol"
NOT_HANDED_OVER = """
    SELECT seq, symbol, side, quantity FROM trading.fills
    WHERE handed_over_at IS NULL ORDER BY seq LIMIT 100
"""
HANDED_OVER = "UPDATE trading.fills SET handed_over_at = now() WHERE seq = any($1::bigint[])"
HAND_OVER_AGAIN = """
    UPDATE trading.fills SET handed_over_at = NULL WHERE applied_at > now() - interval '60 s'
"""
STRATEGIES = "SELECT name, running FROM trading.strategies ORDER BY name"
SWITCH = "UPDATE trading.strategies SET running = $2 WHERE name = $1 RETURNING name"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOrder:
    """An order that the engine wants done once."""

    client_order_id: str
    symbol: str
    side: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """What the engine holds, and the last fill that is in it."""

    last_seq: int
    quantity: Mapping[str, int]
    cost: Mapping[str, int]


class EngineStore:
    """Orders, fills and positions in PostgreSQL; every call may raise one of ``STORE_ERRORS``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _execute(self, statement: str, *arguments: Any) -> None:
        async with self._database.connection() as connection:
            await connection.execute(statement, *arguments)

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._database.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def write(self, order: EngineOrder, *, state: str, told: str | None = None) -> None:
        """Write down an order."""
        await self._execute(
            INTEND,
            order.client_order_id,
            order.symbol,
            order.side,
            order.quantity,
            state,
            told,
        )

    async def answered(self, key: str, *, state: str, told: str) -> None:
        """Write down what the exchange said to an order."""
        await self._execute(ANSWERED, key, state, told)

    async def intents(self, *, older_than_s: float) -> list[EngineOrder]:
        """Return the orders that were written down and not answered yet."""
        return [EngineOrder(**row) for row in await self._fetch(INTENTS, older_than_s)]

    async def orders(self) -> list[dict[str, Any]]:
        """Return the newest orders."""
        return [dict(row) for row in await self._fetch(ORDERS)]

    async def last_seq(self) -> int:
        """Return the number of the last fill that was applied."""
        seq: int = (await self._fetch(LAST_SEQ))[0][0]
        return seq

    async def apply(self, fills: Sequence[Mapping[str, Any]]) -> None:
        """Add ``fills`` to the positions, each once, all or none."""
        await self._execute(APPLY, *_columns(fills))

    async def apply_in_pieces(self, fills: Sequence[Mapping[str, Any]]) -> None:
        """Write ``fills`` down, then add them to the positions."""
        await self._execute(WRITE_FILLS, *_columns(fills))
        signed = [
            fill["quantity"] if fill["side"] == "buy" else -fill["quantity"] for fill in fills
        ]
        symbols, prices = [fill["symbol"] for fill in fills], [fill["price"] for fill in fills]
        await self._execute(ADD_TO_POSITIONS, symbols, signed, prices)

    async def positions(self) -> Positions:
        """Return the positions, and the last fill in them, as of one moment."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            last_seq = await connection.fetchval(LAST_SEQ)
            rows = await connection.fetch(POSITIONS)
        return Positions(
            last_seq=last_seq,
            quantity={row["symbol"]: row["quantity"] for row in rows},
            cost={row["symbol"]: row["cost"] for row in rows},
        )

    async def not_handed_over(self) -> list[asyncpg.Record]:
        """Return the fills that the custodian does not have yet."""
        return await self._fetch(NOT_HANDED_OVER)

    async def handed_over(self, seqs: Sequence[int]) -> None:
        """Write down that the custodian has these."""
        await self._execute(HANDED_OVER, list(seqs))

    async def hand_over_again(self) -> None:
        """Forget that the custodian has the fills of the last minute."""
        await self._execute(HAND_OVER_AGAIN)

    async def strategies(self) -> dict[str, bool]:
        """Return which strategies run."""
        return {row["name"]: row["running"] for row in await self._fetch(STRATEGIES)}

    async def switch(self, name: str, *, running: bool) -> bool:
        """Start or stop a strategy; false if there is none of that name."""
        return bool(await self._fetch(SWITCH, name, running))


def _columns(fills: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    names = ("seq", "client_order_id", "symbol", "side", "quantity", "price")
    return [[fill[name] for fill in fills] for name in names]
