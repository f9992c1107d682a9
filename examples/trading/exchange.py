"""The exchange service: takes orders, executes them against the house, and keeps the books."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from typing import Any

from aiohttp import web

from trading.clock import now
from trading.database import STORE_ERRORS, Database
from trading.exchange_journals import CommitFirst, Journal, UnavailableError, WriteBehind
from trading.exchange_store import ExchangeStore
from trading.exchange_stream import relay, tell
from trading.logs import Log
from trading.market import LOOK_S, OPENING, PriceBoard
from trading.matching import QUANTITY_MAX, Book, Entry, Order
from trading.peers import Peer
from trading.service import Service, body_of, missing, number_in, refusal, run, unavailable
from trading.settings import Settings
from trading.stream import open_redis

FILLS_MAX = 1_000


@dataclass(slots=True)
class Chaos:
    """What is wrong with the exchange on purpose; gone after a restart."""

    latency_s: float = 0.0
    rejected_percent: float = 0.0


class Exchange:
    """The exchange, by its endpoints."""

    def __init__(self, settings: Settings, log: Log) -> None:
        build = settings.build
        self._build = build
        self._log = log
        self._chaos = Chaos()
        self._random = Random(settings.seed)
        self._market_data = Peer(settings.market_data_url, patience_s=build.patience_s)
        self._board = PriceBoard(self._market_data, log)
        self._database = Database(settings.database_url, build, log=log)
        self._redis = open_redis(settings.redis_url, build)
        self._store = ExchangeStore(self._database, keeps_keys=build.keeps_keys)
        self._journal: Journal = (
            CommitFirst(self._store, log)
            if build.commits_before_answering
            else WriteBehind(self._store, log, build=build, publish=self._tell)
        )
        self.tasks = [self._database.open, self._board.follow, self._journal.run, self._look]
        if build.rebuilds_stream:
            self.tasks.append(partial(relay, self._redis, self._store, log))

    async def _tell(self, entries: Sequence[Entry]) -> None:
        await tell(self._redis, entries, self._log)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(2 * LOOK_S)
            try:
                await self._journal.submit(
                    lambda book: book.look(
                        self._board.quotes(self._build.price_age_s_max), at=now()
                    )
                )
            except UnavailableError as error:
                self._log.trouble("looking at resting orders", error)

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``: Redis is none, its events can wait."""
        return {
            "database": await self._database.state(),
            "prices": self._board.state(self._build.price_age_s_max),
        }

    async def place(self, request: web.Request) -> web.Response:
        """Answer POST /orders."""
        order = _order(await body_of(request))
        if self._chaos.latency_s:
            await asyncio.sleep(self._chaos.latency_s)
        unwanted = self._random.uniform(0, 100) < self._chaos.rejected_percent
        try:
            entries = await self._journal.submit(
                lambda book: [self._place(book, order, unwanted=unwanted)],
                key=order.client_order_id,
            )
        except UnavailableError as error:
            raise unavailable(error) from error
        return web.json_response(asdict(entries[0].order))

    def _place(self, book: Book, order: Order, *, unwanted: bool) -> Entry:
        if unwanted:
            return book.refuse(order)
        quote = self._board.quotes(self._build.price_age_s_max).get(order.symbol)
        if quote is None:
            message = f"halted: no fresh price of {order.symbol}"
            raise UnavailableError(message)
        return book.place(order, quote, at=now())

    async def get(self, request: web.Request) -> web.Response:
        """Answer GET /orders/{client_order_id}."""
        if self._chaos.latency_s:
            await asyncio.sleep(self._chaos.latency_s)
        try:
            order = await self._journal.find(request.match_info["client_order_id"])
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        if order is None:
            raise missing("order")
        return web.json_response(asdict(order))

    async def cancel(self, request: web.Request) -> web.Response:
        """Answer DELETE /orders/{client_order_id}: cancel it, if it still rests."""
        key = request.match_info["client_order_id"]
        try:
            await self._journal.submit(lambda book: book.cancel(key))
        except UnavailableError as error:
            raise unavailable(error) from error
        return await self.get(request)

    async def fills(self, request: web.Request) -> web.Response:
        """Answer GET /fills?since=seq&account=name&limit=n."""
        query = request.query
        try:
            since, limit = int(query.get("since", "0")), int(query.get("limit", str(FILLS_MAX)))
        except ValueError as error:
            raise refusal("since or limit is not a whole number") from error
        try:
            fills = await self._store.fills(
                since=since, account=query.get("account"), limit=min(limit, FILLS_MAX)
            )
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        return web.json_response([dict(fill) for fill in fills])

    async def balances(self, _: web.Request) -> web.Response:
        """Answer GET /balances."""
        try:
            return web.json_response(await self._store.balances())
        except STORE_ERRORS as error:
            raise unavailable(error) from error

    async def transfer(self, request: web.Request) -> web.Response:
        """Answer POST /transfers: assets leave for the custodian, once a transfer_id."""
        transfers = (await body_of(request)).get("transfers")
        if not isinstance(transfers, list):
            raise refusal("transfers is not a list")
        try:
            await self._store.transfer(transfers)
        except (KeyError, TypeError) as error:
            raise refusal("a transfer is incomplete") from error
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        return web.json_response({"transferred": len(transfers)})

    async def inject_latency(self, request: web.Request) -> web.Response:
        """Answer POST /chaos/inject-latency: orders wait ``ms`` before they are looked at."""
        latency_s = number_in(await body_of(request), "ms", 2_000) / 1_000
        if latency_s < 0:
            raise refusal("ms is below 0")
        self._chaos.latency_s = latency_s
        return self._told()

    async def reject_orders(self, request: web.Request) -> web.Response:
        """Answer POST /chaos/reject-orders: refuse ``percent`` of the orders."""
        percent = number_in(await body_of(request), "percent", 100)
        if not 0 <= percent <= 100:  # noqa: PLR2004  that is what percent means
            raise refusal("percent is not between 0 and 100")
        self._chaos.rejected_percent = percent
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
        return web.json_response(
            {"latency_ms": chaos.latency_s * 1_000, "rejected_percent": chaos.rejected_percent}
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._market_data.close()
        await self._database.close()
        await self._redis.aclose()


def _order(body: Mapping[str, Any]) -> Order:
    wrong = [name for name in ("client_order_id", "account") if not _named(body.get(name))]
    quantity, limit_price = body.get("quantity"), body.get("limit_price")
    reference = body.get("reference", body.get("client_order_id"))
    if body.get("symbol") not in OPENING:
        wrong.append("symbol")
    if body.get("side") not in {"buy", "sell"}:
        wrong.append("side")
    if not _between(quantity, QUANTITY_MAX):
        wrong.append("quantity")
    if limit_price is not None and not _between(limit_price, 10**15):
        wrong.append("limit_price")
    if not _named(reference):
        wrong.append("reference")
    if wrong:
        raise refusal(f"missing or wrong: {', '.join(wrong)}")
    return Order(
        order_id=str(uuid.uuid4()),
        client_order_id=body["client_order_id"],
        reference=str(reference),
        account=body["account"],
        symbol=body["symbol"],
        side=body["side"],
        kind="market" if limit_price is None else "limit",
        quantity=body["quantity"],
        limit_price=limit_price,
        created_at=now(),
    )


def _named(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _between(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= largest


def main() -> None:
    """Run the service."""
    settings = Settings.read("database_url", "redis_url", "market_data_url")
    log = Log(service="exchange")
    exchange = Exchange(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=exchange.state,
            tasks=exchange.tasks,
            on_stop=[exchange.close],
            routes=[
                web.post("/orders", exchange.place),
                web.get("/orders/{client_order_id}", exchange.get),
                web.delete("/orders/{client_order_id}", exchange.cancel),
                web.get("/fills", exchange.fills),
                web.get("/balances", exchange.balances),
                web.post("/transfers", exchange.transfer),
                web.get("/chaos", exchange.chaos),
                web.post("/chaos/inject-latency", exchange.inject_latency),
                web.post("/chaos/reject-orders", exchange.reject_orders),
                web.delete("/chaos", exchange.calm),
            ],
        )
    )


if __name__ == "__main__":
    main()
