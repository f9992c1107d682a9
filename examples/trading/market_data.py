"""The market-data service: a seeded walk of prices that can be shocked, delayed and depegged."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from aiohttp import web

from trading.clock import now
from trading.database import STORE_ERRORS, Database
from trading.logs import Log
from trading.market import OPENING, PRICE_SCALE, STABLECOIN, Quote
from trading.service import OK, Service, body_of, missing, number_in, refusal, run
from trading.settings import Settings
from trading.stream import REDIS_ERRORS, open_redis

TICK_S = 0.2
WRITE_S = 1.0
STREAM = "market_data:ticks"
STREAM_LENGTH = 5_000
DELAY_S_MAX = 300
# Prices keep close to where they opened: the walk is drawn back by a thousandth of the way.
PULL = 0.001
STEP = {"BTC-USD": 0.0004, "ETH-USD": 0.0005, STABLECOIN: 0.00005}

LAST_PRICES = """
    SELECT DISTINCT ON (symbol) symbol, price FROM market_data.ticks ORDER BY symbol, at DESC
"""
WRITE_TICKS = """
    INSERT INTO market_data.ticks (symbol, at, price)
    SELECT symbol, to_timestamp(at), price
    FROM unnest($1::text[], $2::float8[], $3::bigint[]) AS new (symbol, at, price)
    ON CONFLICT DO NOTHING
"""
FORGET_TICKS = "DELETE FROM market_data.ticks WHERE at < now() - interval '10 min'"


@dataclass(slots=True)
class Chaos:
    """What is wrong with the market on purpose; gone after a restart."""

    factors: dict[str, float] = field(default_factory=dict)
    delay_s: float = 0.0


class MarketData:
    """The walk of the prices, and what is published of it."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._log = log
        self._random = Random(settings.seed)
        self._walk: dict[str, float] = {symbol: float(price) for symbol, price in OPENING.items()}
        # Long enough for the longest delay of the feed.
        self._past: deque[dict[str, Quote]] = deque(maxlen=int(DELAY_S_MAX / TICK_S) + 10)
        self._chaos = Chaos()
        self._database = Database(settings.database_url, settings.build, log=log)
        self._redis = open_redis(settings.redis_url, settings.build)

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``: prices are served from memory."""
        return {"prices": OK if self._past else "no price yet"}

    async def tick(self) -> None:
        """Move the prices, for ever."""
        while True:
            self._past.append(self._next())
            await asyncio.sleep(TICK_S)

    def _next(self) -> dict[str, Quote]:
        for symbol, price in self._walk.items():
            pull = PULL * (OPENING[symbol] - price)
            self._walk[symbol] = price * (1 + self._random.gauss(0, STEP[symbol])) + pull
        factors = self._chaos.factors
        return {
            symbol: Quote(
                symbol=symbol, price=max(1, round(price * factors.get(symbol, 1.0))), at=now()
            )
            for symbol, price in self._walk.items()
        }

    def published(self) -> dict[str, Quote]:
        """Return the newest quotes that the delay of the feed lets through."""
        newest = now() - self._chaos.delay_s
        for quotes in reversed(self._past):
            if next(iter(quotes.values())).at <= newest:
                return quotes
        return self._past[0] if self._past else {}

    async def keep(self) -> None:
        """Write the published prices to PostgreSQL and Redis, for ever, while they are there."""
        await self._resume()
        written = 0.0
        rounds = 0
        while True:
            await asyncio.sleep(WRITE_S)
            quotes = self.published()
            if not quotes or next(iter(quotes.values())).at <= written:
                continue
            try:
                await self._write(list(quotes.values()), forget=rounds % 60 == 0)
            except (*STORE_ERRORS, *REDIS_ERRORS) as error:
                self._log.trouble("keeping ticks", error)
            written = next(iter(quotes.values())).at
            rounds += 1

    async def _resume(self) -> None:
        await self._database.open()
        try:
            async with self._database.connection() as connection:
                rows = await connection.fetch(LAST_PRICES)
        except STORE_ERRORS as error:
            self._log.trouble("reading the last prices", error)
            return
        self._walk.update({row["symbol"]: float(row["price"]) for row in rows})

    async def _write(self, quotes: list[Quote], *, forget: bool) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                WRITE_TICKS,
                [quote.symbol for quote in quotes],
                [quote.at for quote in quotes],
                [quote.price for quote in quotes],
            )
            if forget:
                await connection.execute(FORGET_TICKS)
        event = {quote.symbol: quote.price for quote in quotes}
        await self._redis.xadd(
            STREAM, {"prices": json.dumps(event)}, maxlen=STREAM_LENGTH, approximate=True
        )

    async def prices(self, _: web.Request) -> web.Response:
        """Answer GET /prices."""
        return web.json_response(_document(self.published()))

    async def price(self, request: web.Request) -> web.Response:
        """Answer GET /prices/{symbol}."""
        document = _document(self.published())
        symbol = request.match_info["symbol"]
        if symbol not in document:
            raise missing("symbol")
        return web.json_response(document[symbol])

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /stream: the prices as server-sent events, until the client leaves."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await answer.write(f"data: {json.dumps(_document(self.published()))}\n\n".encode())
            await asyncio.sleep(TICK_S)
        return answer

    async def shock(self, request: web.Request) -> web.Response:
        """Answer POST /chaos/price-shock: move a price by ``percent``, for good."""
        body = await body_of(request)
        symbol = body.get("symbol", "BTC-USD")
        if symbol not in OPENING:
            raise refusal("no such symbol")
        factor = 1 + number_in(body, "percent", 50) / 100
        if factor <= 0:
            raise refusal("percent is -100 or less")
        self._chaos.factors[symbol] = factor
        return self._told()

    async def depeg(self, request: web.Request) -> web.Response:
        """Answer POST /chaos/stablecoin-depeg: the stablecoin falls to ``price`` dollars."""
        price = number_in(await body_of(request), "price", 0.9)
        if price <= 0:
            raise refusal("price is not above 0")
        self._chaos.factors[STABLECOIN] = price * PRICE_SCALE / OPENING[STABLECOIN]
        return self._told()

    async def delay(self, request: web.Request) -> web.Response:
        """Answer POST /chaos/feed-delay: publish what the prices were ``ms`` ago."""
        delay_s = number_in(await body_of(request), "ms", 10_000) / 1_000
        if not 0 <= delay_s <= DELAY_S_MAX:
            raise refusal(f"ms is not between 0 and {DELAY_S_MAX * 1_000}")
        self._chaos.delay_s = delay_s
        return self._told()

    async def calm(self, _: web.Request) -> web.Response:
        """Answer DELETE /chaos: nothing is wrong any more."""
        self._chaos = Chaos()
        return self._told()

    async def chaos(self, _: web.Request) -> web.Response:
        """Answer GET /chaos."""
        return self._told()

    def _told(self) -> web.Response:
        chaos = self._chaos
        return web.json_response({"factors": chaos.factors, "delay_ms": chaos.delay_s * 1_000})

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
        await self._redis.aclose()


def _document(quotes: Mapping[str, Quote]) -> dict[str, dict[str, float]]:
    return {symbol: {"price": quote.price, "at": quote.at} for symbol, quote in quotes.items()}


def main() -> None:
    """Run the service."""
    settings = Settings.read("database_url", "redis_url")
    log = Log(service="market-data")
    market = MarketData(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=market.state,
            tasks=[market.tick, market.keep],
            on_stop=[market.close],
            routes=[
                web.get("/prices", market.prices),
                web.get("/prices/{symbol}", market.price),
                web.get("/stream", market.stream),
                web.get("/chaos", market.chaos),
                web.post("/chaos/price-shock", market.shock),
                web.post("/chaos/stablecoin-depeg", market.depeg),
                web.post("/chaos/feed-delay", market.delay),
                web.delete("/chaos", market.calm),
            ],
        )
    )


if __name__ == "__main__":
    main()
