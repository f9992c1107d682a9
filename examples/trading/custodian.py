"""The custodian service: takes assets out of the exchange and keeps them, once for each trade."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import asyncpg
from aiohttp import web

from trading.database import STORE_ERRORS, Database
from trading.logs import Log
from trading.peers import Peer, PeerError, PeerRefusedError
from trading.service import Service, body_of, missing, number_in, refusal, run, unavailable
from trading.settings import Settings

SETTLE_S = 0.25
SETTLE_MAX = 200

SETTLEMENT = """
    SELECT id, external_id, transfer_id, account, asset, amount, state,
           extract(epoch FROM created_at)::float8 AS created_at,
           extract(epoch FROM settled_at)::float8 AS settled_at
    FROM custodian.settlements
"""
BY_EXTERNAL_ID = SETTLEMENT + " WHERE external_id = $1 ORDER BY id"
DUE = (
    SETTLEMENT
    + """
    WHERE state = 'pending' AND created_at <= clock_timestamp() - make_interval(secs => $1)
    ORDER BY id
    LIMIT $2
"""
)
ACCEPT = """
    INSERT INTO custodian.settlements (
        external_id, idempotency_key, transfer_id, account, asset, amount
    )
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (idempotency_key) DO NOTHING
"""
# Marked and credited by one statement; what is settled already is not credited again.
SETTLE = """
    WITH done AS (
        UPDATE custodian.settlements SET state = 'settled', settled_at = clock_timestamp()
        WHERE id = any($1::bigint[]) AND state = 'pending'
        RETURNING account, asset, amount
    )
    INSERT INTO custodian.balances AS held (account, asset, amount)
    SELECT account, asset, sum(amount) FROM done GROUP BY account, asset
    ON CONFLICT (account, asset) DO UPDATE SET amount = held.amount + excluded.amount
"""
CREDIT = """
    INSERT INTO custodian.balances AS held (account, asset, amount)
    SELECT account, asset, sum(amount) FROM custodian.settlements
    WHERE id = any($1::bigint[])
    GROUP BY account, asset
    ON CONFLICT (account, asset) DO UPDATE SET amount = held.amount + excluded.amount
"""
MARK = """
    UPDATE custodian.settlements SET state = 'settled', settled_at = clock_timestamp()
    WHERE id = any($1::bigint[])
"""
BALANCES = "SELECT account, asset, amount FROM custodian.balances ORDER BY account, asset"
SUMMARY = """
    SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
           count(*) FILTER (WHERE state = 'settled') AS settled,
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at)
               FILTER (WHERE state = 'pending')), 0)::float8 AS oldest_pending_s
    FROM custodian.settlements
"""


class Custodian:
    """The custodian, by its endpoints."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._build = settings.build
        self._log = log
        self._delay_s = 0.0
        self._exchange = Peer(settings.exchange_url, patience_s=settings.build.patience_s)
        self._database = Database(settings.database_url, settings.build, log=log)
        self.tasks = [self._database.open, self._settle]

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``: a settlement can be taken down without the exchange."""
        return {"database": await self._database.state()}

    async def _settle(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_S)
            try:
                await self._settle_some()
            except (*STORE_ERRORS, PeerError, PeerRefusedError) as error:
                self._log.trouble("settling", error)

    async def _settle_some(self) -> None:
        async with self._database.connection() as connection:
            due = await connection.fetch(DUE, self._delay_s, SETTLE_MAX)
        if not due:
            return
        names = ("transfer_id", "account", "asset", "amount")
        transfers = [{name: row[name] for name in names} for row in due]
        await self._exchange.post("/transfers", {"transfers": transfers})
        numbers = [row["id"] for row in due]
        async with self._database.connection() as connection:
            if self._build.uses_transactions:
                await connection.execute(SETTLE, numbers)
            else:
                await connection.execute(CREDIT, numbers)
                await connection.execute(MARK, numbers)

    async def accept(self, request: web.Request) -> web.Response:
        """Answer POST /settlements: take one down; hardened takes an external_id only once."""
        body = await body_of(request)
        names = ("external_id", "account", "asset")
        if wrong := [name for name in names if not isinstance(body.get(name), str)]:
            raise refusal(f"missing or wrong: {', '.join(wrong)}")
        amount = body.get("amount")
        if not isinstance(amount, int):
            raise refusal("amount is not a whole number")
        try:
            await self._accept(body, amount)
            await asyncio.sleep(self._delay_s)
            return web.json_response((await self._found(body["external_id"]))[0])
        except STORE_ERRORS as error:
            raise unavailable(error) from error

    async def _accept(self, body: Mapping[str, Any], amount: int) -> None:
        external_id = body["external_id"]
        once = self._build.keeps_keys
        key = external_id if once else None
        transfer_id = external_id if once else f"{external_id}-{uuid.uuid4()}"
        async with self._database.connection() as connection:
            await connection.execute(
                ACCEPT, external_id, key, transfer_id, body["account"], body["asset"], amount
            )

    async def _found(self, external_id: str) -> list[dict[str, Any]]:
        async with self._database.connection() as connection:
            return [dict(row) for row in await connection.fetch(BY_EXTERNAL_ID, external_id)]

    async def get(self, request: web.Request) -> web.Response:
        """Answer GET /settlements/{external_id}."""
        try:
            found = await self._found(request.match_info["external_id"])
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        if not found:
            raise missing("settlement")
        return web.json_response(found[0])

    async def summary(self, _: web.Request) -> web.Response:
        """Answer GET /settlements: how many there are, and how long the oldest has waited."""
        rows = await self._read(SUMMARY)
        return web.json_response(dict(rows[0]))

    async def balances(self, _: web.Request) -> web.Response:
        """Answer GET /balances."""
        held: dict[str, dict[str, int]] = {}
        for row in await self._read(BALANCES):
            held.setdefault(row["account"], {})[row["asset"]] = row["amount"]
        return web.json_response(held)

    async def _read(self, query: str) -> list[asyncpg.Record]:
        try:
            async with self._database.connection() as connection:
                return await connection.fetch(query)
        except STORE_ERRORS as error:
            raise unavailable(error) from error

    async def delay(self, request: web.Request) -> web.Response:
        """Answer POST /chaos/delay-settlements: answers and settlements take ``ms`` longer."""
        delay_s = number_in(await body_of(request), "ms", 5_000) / 1_000
        if delay_s < 0:
            raise refusal("ms is below 0")
        self._delay_s = delay_s
        return await self.chaos(request)

    async def calm(self, request: web.Request) -> web.Response:
        """Answer DELETE /chaos: what waits is settled at once."""
        self._delay_s = 0.0
        return await self.chaos(request)

    async def chaos(self, _: web.Request) -> web.Response:
        """Answer GET /chaos."""
        return web.json_response({"delay_ms": self._delay_s * 1_000})

    async def close(self) -> None:
        """Close the connections."""
        await self._exchange.close()
        await self._database.close()


def main() -> None:
    """Run the service."""
    settings = Settings.read("database_url", "exchange_url")
    log = Log(service="custodian")
    custodian = Custodian(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=custodian.state,
            tasks=custodian.tasks,
            on_stop=[custodian.close],
            routes=[
                web.post("/settlements", custodian.accept),
                web.get("/settlements", custodian.summary),
                web.get("/settlements/{external_id}", custodian.get),
                web.get("/balances", custodian.balances),
                web.get("/chaos", custodian.chaos),
                web.post("/chaos/delay-settlements", custodian.delay),
                web.delete("/chaos", custodian.calm),
            ],
        )
    )


if __name__ == "__main__":
    main()
