"""How the fills of the exchange get into Redis: told once, or rebuilt from the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis

from trading.database import STORE_ERRORS
from trading.exchange_store import ExchangeStore
from trading.logs import Log
from trading.matching import Entry
from trading.stream import ENGINE_FILLS, FILLS, FILLS_KEPT, REDIS_ERRORS

RELAY_S = 0.25
RELAY_MAX = 1_000


async def tell(client: redis.Redis, entries: Sequence[Entry], log: Log) -> None:
    """Fragile: tell of new fills once; what Redis does not take now, it never gets."""
    events = [
        {
            "seq": fill.seq,
            "client_order_id": fill.order.client_order_id,
            "account": fill.order.account,
            "symbol": fill.order.symbol,
            "side": fill.order.side,
            "quantity": fill.quantity,
            "price": fill.price,
        }
        for entry in entries
        for fill in entry.fills
    ]
    try:
        pipe = client.pipeline(transaction=False)
        for event in events:
            _ = pipe.xadd(FILLS, {"fill": json.dumps(event)}, maxlen=FILLS_KEPT, approximate=True)
            if event["account"] == "engine":
                _ = pipe.rpush(ENGINE_FILLS, json.dumps(event))
        await pipe.execute()
    except REDIS_ERRORS as error:
        log.say("untold", fills=len(events), error=f"{type(error).__name__}: {error}")


async def relay(client: redis.Redis, store: ExchangeStore, log: Log) -> None:
    """Hardened: keep the stream equal to the trades, for ever, whatever happens to Redis.

    The number of a fill is its number in the stream, so the stream itself says how far it goes:
    one that was lost or set back is filled again from there.
    """
    while True:
        await asyncio.sleep(RELAY_S)
        try:
            while await _relay_some(client, store) == RELAY_MAX:
                pass
        except (*STORE_ERRORS, *REDIS_ERRORS) as error:
            log.trouble("relaying fills", error)


async def _relay_some(client: redis.Redis, store: ExchangeStore) -> int:
    newest: Any = await client.xrevrange(FILLS, count=1)
    since = int(newest[0][0].partition("-")[0]) if newest else 0
    fills = await store.fills(since=since, account=None, limit=RELAY_MAX)
    if fills:
        pipe = client.pipeline(transaction=False)
        for fill in fills:
            _ = pipe.xadd(
                FILLS,
                {"fill": json.dumps(dict(fill))},
                id=f"{fill['seq']}-0",
                maxlen=FILLS_KEPT,
                approximate=True,
            )
        await pipe.execute()
    return len(fills)
