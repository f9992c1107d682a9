"""The risk monitor: compares what the others say with what they should, and raises alerts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from time import monotonic
from typing import Any

from aiohttp import web

from trading.database import STORE_ERRORS, Database
from trading.logs import Log
from trading.market import OPENING, PRICE_SCALE, STABLECOIN, PriceBoard, notional
from trading.peers import Peer, PeerError, PeerRefusedError
from trading.service import Service, run, unavailable
from trading.settings import Settings

LOOK_S = 1.0
# As often a thing has to be seen, one look after the other, before it is believed.
LOOKS = 2
PRICE_AGE_S_MAX = 5.0
UNSETTLED_S_MAX = 10.0
PEG_TOLERANCE = PRICE_SCALE // 50

LIMITS = "SELECT symbol, notional_max FROM risk.limits"
ACTIVE = "SELECT kind, subject FROM risk.alerts WHERE cleared_at IS NULL"
RAISE = """
    INSERT INTO risk.alerts (kind, subject, detail) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
CLEAR = """
    UPDATE risk.alerts SET cleared_at = now()
    WHERE kind = $1 AND subject = $2 AND cleared_at IS NULL
"""
ALERTS = """
    SELECT kind, subject, detail, extract(epoch FROM raised_at)::float8 AS raised_at,
           extract(epoch FROM cleared_at)::float8 AS cleared_at
    FROM risk.alerts
    WHERE cleared_at IS NULL OR NOT $1
    ORDER BY id DESC
    LIMIT 200
"""

Alert = tuple[str, str]


class Executed:
    """What the exchange executed for the engine, added up independently of the engine."""

    def __init__(self, exchange: Peer) -> None:
        self._exchange = exchange
        self._totals: Counter[str] = Counter()
        self._added_to = 0
        self._ahead: list[Mapping[str, Any]] = []

    async def up_to(self, seq: int) -> Mapping[str, int]:
        """Return the executed quantities up to the fill ``seq``; raises as ``Peer.get`` does."""
        read_to = self._ahead[-1]["seq"] if self._ahead else self._added_to
        while read_to < seq:
            page = await self._exchange.get("/fills", since=read_to, account="engine")
            if not page:
                break
            self._ahead += page
            read_to = page[-1]["seq"]
        while self._ahead and self._ahead[0]["seq"] <= seq:
            fill = self._ahead.pop(0)
            sign = 1 if fill["side"] == "buy" else -1
            self._totals[fill["symbol"]] += sign * fill["quantity"]
            self._added_to = fill["seq"]
        return self._totals


class RiskMonitor:
    """Looks each second, and keeps the alerts."""

    def __init__(self, settings: Settings, log: Log) -> None:
        patience_s = settings.build.patience_s
        self._log = log
        self._database = Database(settings.database_url, settings.build, log=log)
        self._market_data = Peer(settings.market_data_url, patience_s=patience_s)
        self._exchange = Peer(settings.exchange_url, patience_s=patience_s)
        self._custodian = Peer(settings.custodian_url, patience_s=patience_s)
        self._engine = Peer(settings.engine_url, patience_s=patience_s)
        self._board = PriceBoard(self._market_data, log)
        self._executed = Executed(self._exchange)
        self._began = monotonic()
        self._exposure: dict[str, int] = {}
        # How many looks in a row saw a thing (above 0), or did not see it (below 0).
        self._seen: dict[Alert, int] = {}
        self.tasks = [self._database.open, self._board.follow, self._watch]

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``."""
        return {"database": await self._database.state()}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            seen: dict[Alert, str | None] = self._prices()
            for look in (self._exposures, self._settlements):
                try:
                    seen |= await look()
                except (*STORE_ERRORS, PeerError, PeerRefusedError) as error:
                    self._log.trouble("looking", error)
            try:
                await self._tell(seen)
            except STORE_ERRORS as error:
                self._log.trouble("keeping alerts", error)

    def _prices(self) -> dict[Alert, str | None]:
        seen: dict[Alert, str | None] = {}
        for symbol in OPENING:
            quote = self._board.quote(symbol)
            age_s = quote.age_s if quote else monotonic() - self._began
            old = age_s > PRICE_AGE_S_MAX
            seen["stale_price", symbol] = f"{age_s:.1f} s old" if old else None
        coin = self._board.quotes(PRICE_AGE_S_MAX).get(STABLECOIN)
        if coin is not None:
            off = abs(coin.price - PRICE_SCALE) > PEG_TOLERANCE
            seen["depeg", STABLECOIN] = f"{coin.price / PRICE_SCALE:.4f} USD" if off else None
        return seen

    async def _exposures(self) -> dict[Alert, str | None]:
        told = await self._engine.get("/positions")
        async with self._database.connection() as connection:
            limits = {row["symbol"]: row["notional_max"] for row in await connection.fetch(LIMITS)}
        executed = await self._executed.up_to(told["last_seq"])
        seen: dict[Alert, str | None] = {}
        for symbol in OPENING:
            held = told["positions"].get(symbol, {"quantity": 0})["quantity"]
            apart = held - executed.get(symbol, 0)
            seen["divergence", symbol] = f"{apart} more than executed" if apart else None
            if (quote := self._board.quote(symbol)) is not None and symbol in limits:
                exposure = abs(notional(quote.price, held))
                self._exposure[symbol] = exposure
                over = exposure > limits[symbol]
                seen["limit_breach", symbol] = f"{exposure} > {limits[symbol]}" if over else None
        return seen

    async def _settlements(self) -> dict[Alert, str | None]:
        oldest_s = (await self._custodian.get("/settlements"))["oldest_pending_s"]
        late = oldest_s > UNSETTLED_S_MAX
        return {("unsettled_exposure", "engine"): f"for {oldest_s:.1f} s" if late else None}

    async def _tell(self, seen: Mapping[Alert, str | None]) -> None:
        for alert, detail in seen.items():
            before = self._seen.get(alert, 0)
            self._seen[alert] = max(before, 0) + 1 if detail else min(before, 0) - 1
        async with self._database.connection() as connection:
            active = {(row["kind"], row["subject"]) for row in await connection.fetch(ACTIVE)}
            for alert, detail in seen.items():
                if detail and alert not in active and self._seen[alert] >= LOOKS:
                    await connection.execute(RAISE, *alert, detail)
                    self._log.say("alert", kind=alert[0], subject=alert[1], detail=detail)
                elif not detail and alert in active and self._seen[alert] <= -LOOKS:
                    await connection.execute(CLEAR, *alert)
                    self._log.say("cleared", kind=alert[0], subject=alert[1])

    async def alerts(self, request: web.Request) -> web.Response:
        """Answer GET /alerts, or GET /alerts?active=true: newest first."""
        active = request.query.get("active", "false") == "true"
        try:
            async with self._database.connection() as connection:
                rows = await connection.fetch(ALERTS, active)
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        return web.json_response([dict(row) for row in rows])

    async def exposure(self, _: web.Request) -> web.Response:
        """Answer GET /exposure: by symbol, in 0.0001 USD, as of the last look."""
        return web.json_response(self._exposure)

    async def close(self) -> None:
        """Close the connections."""
        for peer in (self._market_data, self._exchange, self._custodian, self._engine):
            await peer.close()
        await self._database.close()


def main() -> None:
    """Run the service."""
    settings = Settings.read(
        "database_url", "market_data_url", "exchange_url", "custodian_url", "engine_url"
    )
    log = Log(service="risk-monitor")
    monitor = RiskMonitor(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=monitor.state,
            tasks=monitor.tasks,
            on_stop=[monitor.close],
            routes=[
                web.get("/alerts", monitor.alerts),
                web.get("/exposure", monitor.exposure),
            ],
        )
    )


if __name__ == "__main__":
    main()
