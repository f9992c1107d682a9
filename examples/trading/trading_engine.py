"""The trading engine: runs a strategy, keeps its positions, and has its trades settled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from itertools import count, cycle
from random import Random
from typing import Any

from aiohttp import web

from trading.clock import now
from trading.database import STORE_ERRORS, Database
from trading.engine_store import EngineOrder, EngineStore
from trading.engine_work import (
    HAND_OVER_PATIENCE_S,
    IntentFirst,
    Orders,
    SendFirst,
    hand_over,
    pop_then_write,
    read_by_number,
)
from trading.logs import Log
from trading.market import OPENING, PRICE_SCALE, STABLECOIN, PriceBoard, Quote
from trading.peers import Peer
from trading.service import Service, missing, run, unavailable
from trading.settings import Settings
from trading.stream import open_redis

STRATEGY = "mean-reversion"
TURN_S = 0.2
MEMORY = 40
QUANTITY_MIN, QUANTITY_MAX = 50, 300
POSITION_MAX = 3_000
# Below this the stablecoin is none any more: it is only sold.
PEG_MIN = int(0.97 * PRICE_SCALE)


class TradingEngine:
    """The engine, by its endpoints."""

    def __init__(self, settings: Settings, log: Log) -> None:
        build = settings.build
        self._build = build
        self._log = log
        self._random = Random(settings.seed)
        self._mood = "starting"
        self._past = {symbol: deque[int](maxlen=MEMORY) for symbol in OPENING}
        self._exchange = Peer(settings.exchange_url, patience_s=build.patience_s)
        self._market_data = Peer(settings.market_data_url, patience_s=build.patience_s)
        self._custodian = Peer(settings.custodian_url, patience_s=HAND_OVER_PATIENCE_S)
        self._board = PriceBoard(self._market_data, log)
        self._database = Database(settings.database_url, build, log=log)
        self._redis = open_redis(settings.redis_url, build)
        self._store = EngineStore(self._database)
        self._orders: Orders = (
            IntentFirst(self._store, self._exchange, build=build, log=log)
            if build.writes_intents
            else SendFirst(self._store, self._exchange, log=log)
        )
        self.tasks: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._database.open,
            self._board.follow,
            self._orders.run,
            self._trade,
            partial(read_by_number, self._store, self._exchange, log=log)
            if build.writes_intents
            else partial(pop_then_write, self._store, self._redis, build=build, log=log),
            partial(hand_over, self._store, self._custodian, build=build, log=log),
        ]

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``."""
        return {
            "database": await self._database.state(),
            "prices": self._board.state(self._build.price_age_s_max),
        }

    async def _trade(self) -> None:
        run_id, numbers = f"engine-{int(now() * 1_000):x}", count(1)
        for symbol in cycle(OPENING):
            await asyncio.sleep(TURN_S)
            quote = self._board.quotes(self._build.price_age_s_max).get(symbol)
            if quote is None:
                self._feel(f"halted: no fresh price of {symbol}")
                continue
            try:
                if not (await self._store.strategies()).get(STRATEGY):
                    self._feel("stopped")
                    continue
                held = (await self._store.positions()).quantity.get(symbol, 0)
            except STORE_ERRORS as error:
                self._log.trouble("looking at the positions", error)
                continue
            self._feel("trading")
            key = f"{run_id}-{next(numbers)}"
            if (order := self._decide(quote, held, key=key)) is not None:
                await self._orders.place(order)

    def _feel(self, mood: str) -> None:
        if mood.split(":", maxsplit=1)[0] != self._mood.split(":")[0]:
            self._log.say("strategy", name=STRATEGY, state=mood)
        self._mood = mood

    def _decide(self, quote: Quote, held: int, *, key: str) -> EngineOrder | None:
        past = self._past[quote.symbol]
        past.append(quote.price)
        quantity = self._random.randint(QUANTITY_MIN, QUANTITY_MAX)
        side = "sell" if quote.price * len(past) > sum(past) else "buy"
        if quote.symbol == STABLECOIN and quote.price < PEG_MIN:
            side, quantity = "sell", min(quantity, held)
        after = held + (quantity if side == "buy" else -quantity)
        if quantity <= 0 or abs(after) > POSITION_MAX:
            return None
        return EngineOrder(client_order_id=key, symbol=quote.symbol, side=side, quantity=quantity)

    async def positions(self, _: web.Request) -> web.Response:
        """Answer GET /positions."""
        try:
            positions = await self._store.positions()
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        held = {
            symbol: {"quantity": quantity, "cost": positions.cost[symbol]}
            for symbol, quantity in positions.quantity.items()
        }
        return web.json_response({"positions": held, "last_seq": positions.last_seq})

    async def orders(self, _: web.Request) -> web.Response:
        """Answer GET /orders: the newest hundred."""
        try:
            return web.json_response(await self._store.orders())
        except STORE_ERRORS as error:
            raise unavailable(error) from error

    async def strategies(self, _: web.Request) -> web.Response:
        """Answer GET /strategies."""
        try:
            running = await self._store.strategies()
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        return web.json_response(
            {name: {"running": runs, "state": self._mood} for name, runs in running.items()}
        )

    async def start(self, request: web.Request) -> web.Response:
        """Answer POST /strategies/{name}/start."""
        return await self._switch(request, running=True)

    async def stop(self, request: web.Request) -> web.Response:
        """Answer POST /strategies/{name}/stop: no new orders; what is open is seen to its end."""
        return await self._switch(request, running=False)

    async def _switch(self, request: web.Request, *, running: bool) -> web.Response:
        try:
            known = await self._store.switch(request.match_info["name"], running=running)
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        if not known:
            raise missing("strategy")
        return await self.strategies(request)

    async def close(self) -> None:
        """Close the connections."""
        for peer in (self._exchange, self._market_data, self._custodian):
            await peer.close()
        await self._database.close()
        await self._redis.aclose()


def main() -> None:
    """Run the service."""
    settings = Settings.read(
        "database_url", "redis_url", "exchange_url", "market_data_url", "custodian_url"
    )
    log = Log(service="trading-engine")
    engine = TradingEngine(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=engine.state,
            tasks=engine.tasks,
            on_stop=[engine.close],
            routes=[
                web.get("/positions", engine.positions),
                web.get("/orders", engine.orders),
                web.get("/strategies", engine.strategies),
                web.post("/strategies/{name}/start", engine.start),
                web.post("/strategies/{name}/stop", engine.stop),
            ],
        )
    )


if __name__ == "__main__":
    main()
