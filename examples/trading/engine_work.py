"""What the engine does over and over, in the two ways of the two builds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from time import monotonic
from typing import Any, Protocol, cast

import asyncpg
import redis.asyncio as redis

from trading.builds import Build
from trading.database import STORE_ERRORS
from trading.engine_store import EngineOrder, EngineStore
from trading.logs import Log
from trading.peers import Peer, PeerError, PeerRefusedError
from trading.stream import ENGINE_FILLS, REDIS_ERRORS

PEER_ERRORS = (PeerError, PeerRefusedError)
READ_S = 0.25
POP_S = 0.1
POP_MAX = 100
HAND_OVER_S = 1.0
# Who asks the custodian does not wait for ever in either build.
HAND_OVER_PATIENCE_S = 1.0
REPLAY_S = 1.0
ATTEMPTS = 3


class Orders(Protocol):
    """How the engine gets an order to the exchange."""

    async def place(self, order: EngineOrder) -> None:
        """Send ``order``; trouble is told to the log."""
        ...

    async def run(self) -> None:
        """Do what has to be done besides, for ever."""
        ...


class IntentFirst:
    """Hardened: an order is written down, then sent, and sent again until it is answered."""

    def __init__(self, store: EngineStore, exchange: Peer, *, build: Build, log: Log) -> None:
        self._store = store
        self._exchange = exchange
        self._log = log
        # Whoever wrote down an older intent has given up on it, or is dead.
        self._abandoned_s = 2 * (build.patience_s or 0.0)

    async def place(self, order: EngineOrder) -> None:
        """See ``Orders.place``."""
        try:
            open_intents = await self._store.intents(older_than_s=0)
            if any(intent.symbol == order.symbol for intent in open_intents):
                return  # one at a time: what is not answered may be executed yet
            await self._store.write(order, state="intent")
            await self._send(order)
        except (*STORE_ERRORS, PeerError) as error:
            self._log.trouble("placing an order", error)

    async def run(self) -> None:
        """See ``Orders.run``: the first round is for what was left by a crash."""
        while True:
            try:
                for order in await self._store.intents(older_than_s=self._abandoned_s):
                    await self._send(order)
            except (*STORE_ERRORS, PeerError) as error:
                self._log.trouble("replaying intents", error)
            await asyncio.sleep(REPLAY_S)

    async def _send(self, order: EngineOrder) -> None:
        try:
            answer = await self._exchange.post("/orders", _request(order, order.client_order_id))
        except PeerRefusedError as error:
            await self._store.answered(order.client_order_id, state="refused", told=str(error))
        else:
            await self._store.answered(
                order.client_order_id, state="acknowledged", told=answer["status"]
            )


class SendFirst:
    """Fragile: an order is sent, under a new key each time, and written down afterwards."""

    def __init__(self, store: EngineStore, exchange: Peer, *, log: Log) -> None:
        self._store = store
        self._exchange = exchange
        self._log = log

    async def place(self, order: EngineOrder) -> None:
        """See ``Orders.place``."""
        for attempt in range(ATTEMPTS):
            key = f"{order.client_order_id}-{attempt}"
            try:
                answer = await self._exchange.post("/orders", _request(order, key))
                await self._store.write(
                    EngineOrder(
                        client_order_id=key,
                        symbol=order.symbol,
                        side=order.side,
                        quantity=order.quantity,
                    ),
                    state="acknowledged",
                    told=answer["status"],
                )
            except (*STORE_ERRORS, *PEER_ERRORS) as error:
                self._log.trouble("placing an order", error)
                await asyncio.sleep(READ_S)
            else:
                return

    async def run(self) -> None:
        """See ``Orders.run``: nothing."""


def _request(order: EngineOrder, key: str) -> Mapping[str, Any]:
    return {
        "client_order_id": key,
        "reference": order.client_order_id,
        "account": "engine",
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
    }


async def read_by_number(store: EngineStore, exchange: Peer, *, log: Log) -> None:
    """Hardened: ask the exchange for the fills after the last one that is in the positions."""
    while True:
        try:
            since = await store.last_seq()
            fills = await exchange.get("/fills", since=since, account="engine")
            if fills:
                await store.apply(fills)
        except (*STORE_ERRORS, *PEER_ERRORS) as error:
            log.trouble("reading fills", error)
        await asyncio.sleep(READ_S)


async def pop_then_write(
    store: EngineStore, client: redis.Redis, *, build: Build, log: Log
) -> None:
    """Fragile: take fills off a list, hold them for a while, then write them."""
    held: list[tuple[float, Mapping[str, Any]]] = []
    while True:
        await asyncio.sleep(POP_S)
        try:
            popped = cast("list[str] | None", await client.lpop(ENGINE_FILLS, POP_MAX))
            held += [(monotonic(), json.loads(text)) for text in popped or []]
            ripe = monotonic() - build.pop_then_write_s
            batch = [fill for at, fill in held if at <= ripe]
            held = [each for each in held if each[0] > ripe]
            if batch:
                await store.apply_in_pieces(batch)
        except (*STORE_ERRORS, *REDIS_ERRORS) as error:
            log.trouble("popping fills", error)


async def hand_over(store: EngineStore, custodian: Peer, *, build: Build, log: Log) -> None:
    """Bring every fill to the custodian.

    After trouble the hardened build repeats what was not answered, under the same id. The fragile
    one does not know what arrived: to be on the safe side it repeats the whole last minute.
    """
    while True:
        try:
            fills = await store.not_handed_over()
            outcomes = await asyncio.gather(
                *(_hand_over_one(custodian, fill) for fill in fills), return_exceptions=True
            )
            done = [fill["seq"] for fill, out in zip(fills, outcomes, strict=True) if out is None]
            failed = [out for out in outcomes if isinstance(out, BaseException)]
            await store.handed_over(done)
            if failed:
                log.trouble("handing over fills", failed[0])
                if not build.keeps_keys:
                    await store.hand_over_again()
        except STORE_ERRORS as error:
            log.trouble("handing over fills", error)
        await asyncio.sleep(HAND_OVER_S)


async def _hand_over_one(custodian: Peer, fill: asyncpg.Record) -> None:
    quantity = fill["quantity"]
    body = {
        "external_id": f"trade-{fill['seq']}",
        "account": "engine",
        "asset": fill["symbol"].removesuffix("-USD"),
        "amount": quantity if fill["side"] == "buy" else -quantity,
    }
    await custodian.post("/settlements", body)
