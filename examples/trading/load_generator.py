"""The load generator: seeded orders, and an honest record of what was answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from aiohttp import web

from trading.clock import now
from trading.logs import Log
from trading.market import OPENING, PriceBoard
from trading.peers import Peer, PeerError, PeerRefusedError
from trading.service import OK, Service, body_of, number_in, refusal, run
from trading.settings import Settings

RATE = 100.0
RATE_MAX = 1_000.0
PACE_S = 0.02
# A client who waits longer than this asks again.
PATIENCE_S = 1.0
PAUSES_S = (0.2, 0.4, 0.8, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
IN_FLIGHT_MAX = 1_500
# So many orders at most are sent again at a time: else those that piled up in an outage would keep
# an exchange that is back from ever catching up.
AGAIN_MAX = 16
GOODPUT_S = 3.0
LIMIT_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the orders since the start of the process."""

    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    retries: int = 0
    # Not sent, because too many were in flight.
    shed: int = 0


class LoadGenerator:
    """Sends orders at a rate, whatever becomes of them."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._build = settings.build
        self._log = log
        self._exchange = Peer(settings.exchange_url, patience_s=PATIENCE_S, connections=200)
        self._market_data = Peer(settings.market_data_url, patience_s=PATIENCE_S)
        self._board = PriceBoard(self._market_data, log)
        self._random = Random(settings.seed)
        # Apart, so that trouble does not change which orders come next.
        self._jitter = Random(settings.seed)
        self._run = f"load-{int(now() * 1_000):x}"
        self._counts = Counts()
        self._rate = 0.0
        self._in_flight: set[asyncio.Task[None]] = set()
        # As many as can come in the time that goodput looks back.
        self._acknowledged_at: deque[float] = deque(maxlen=int(2 * GOODPUT_S * RATE_MAX))
        self._again = asyncio.Semaphore(AGAIN_MAX)
        self._oracle = _append_to(Path(settings.acknowledged))
        self.tasks = [self._board.follow, self._pace]

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``: what happens to the orders is not the generator's health."""
        return {"oracle": OK if not self._oracle.closed else "closed"}

    async def _pace(self) -> None:
        due, looked_at = 0.0, monotonic()
        while True:
            await asyncio.sleep(PACE_S)
            # After a stall the missed orders are not made up for: they would come as one blow.
            elapsed, looked_at = min(monotonic() - looked_at, 0.5), monotonic()
            due = due + elapsed * self._rate if self._rate else 0.0
            while due >= 1:
                due -= 1
                self._begin()

    def _begin(self) -> None:
        order = self._next_order()
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            self._count(shed=1)
            return
        self._count(sent=1)
        task = asyncio.create_task(self._send(order))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    def _next_order(self) -> dict[str, Any]:
        counts = self._counts
        symbol = self._random.choice(list(OPENING))
        side = self._random.choice(("buy", "sell"))
        key = f"{self._run}-{counts.sent + counts.shed + 1}"
        order: dict[str, Any] = {
            "client_order_id": key,
            "reference": key,
            "account": "load",
            "symbol": symbol,
            "side": side,
            "quantity": self._random.randint(1, 1_500),
        }
        quote = self._board.quote(symbol)
        if self._random.uniform(0, 1) < LIMIT_SHARE and quote is not None:
            order["limit_price"] = max(1, round(quote.price * self._random.uniform(0.999, 1.001)))
        return order

    async def _send(self, order: dict[str, Any]) -> None:
        for attempt, pause_s in enumerate((*PAUSES_S, None)):
            if attempt and not self._build.keeps_keys:
                order = {**order, "client_order_id": f"{order['reference']}-again-{attempt}"}
            try:
                answer = await (self._post_again(order) if attempt else self._post(order))
            except PeerRefusedError as error:
                self._log.trouble("sending an order", error)
                break
            except PeerError as error:
                self._log.trouble("sending an order", error)
                if pause_s is not None:
                    await asyncio.sleep(pause_s * self._jitter.uniform(0.7, 1.3))
            else:
                self._acknowledge(answer)
                return
        self._count(failed=1)

    async def _post(self, order: Mapping[str, Any]) -> Any:
        return await self._exchange.post("/orders", order)

    async def _post_again(self, order: Mapping[str, Any]) -> Any:
        async with self._again:
            self._count(retries=1)
            return await self._post(order)

    def _acknowledge(self, answer: Mapping[str, Any]) -> None:
        self._oracle.write(
            f"{answer['client_order_id']} {answer['status']} {answer['filled']} {now():.3f}\n"
        )
        self._oracle.flush()
        self._count(acknowledged=1)
        self._acknowledged_at.append(monotonic())

    def _count(self, **more: int) -> None:
        counts = self._counts
        changes = {name: getattr(counts, name) + number for name, number in more.items()}
        self._counts = replace(counts, **changes)

    def _goodput(self) -> float:
        since = monotonic() - GOODPUT_S
        return round(sum(at >= since for at in self._acknowledged_at) / GOODPUT_S, 1)

    async def start(self, request: web.Request) -> web.Response:
        """Answer POST /start {"rate": 100}: send so many orders a second."""
        rate = number_in(await body_of(request), "rate", RATE)
        if not 0 < rate <= RATE_MAX:
            raise refusal(f"rate is not above 0 and up to {RATE_MAX}")
        self._rate = rate
        return await self.status(request)

    async def stop(self, request: web.Request) -> web.Response:
        """Answer POST /stop: send no new orders; those under way are seen to their end."""
        self._rate = 0.0
        return await self.status(request)

    async def status(self, _: web.Request) -> web.Response:
        """Answer GET /status; ``goodput`` is acknowledged orders a second, lately."""
        return web.json_response(
            {
                "running": self._rate > 0,
                "rate": self._rate,
                "in_flight": len(self._in_flight),
                "goodput": self._goodput(),
                **asdict(self._counts),
            }
        )

    async def close(self) -> None:
        """Give the orders under way a moment, then close."""
        self._rate = 0.0
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=PATIENCE_S)
        for task in self._in_flight:
            task.cancel()
        await self._exchange.close()
        await self._market_data.close()
        self._oracle.close()


def _append_to(path: Path) -> TextIOWrapper:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")


def main() -> None:
    """Run the service."""
    settings = Settings.read("exchange_url", "market_data_url", "acknowledged")
    log = Log(service="load-generator")
    generator = LoadGenerator(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=generator.state,
            tasks=generator.tasks,
            on_stop=[generator.close],
            routes=[
                web.post("/start", generator.start),
                web.post("/stop", generator.stop),
                web.get("/status", generator.status),
            ],
        )
    )


if __name__ == "__main__":
    main()
