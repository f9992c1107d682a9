"""The auditor: looks at everybody's books each second and says what does not add up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

import asyncpg
from aiohttp import web

from trading.builds import HARDENED
from trading.clock import now
from trading.database import AUDITOR, STORE_ERRORS, Connection, Database
from trading.logs import Log
from trading.oracle import read_oracle
from trading.service import OK, Service, refusal, run, unavailable
from trading.settings import Settings
from trading.stream import FILLS, FILLS_KEPT, REDIS_ERRORS, open_redis

PERIOD_S = 1.0
# The books grow; the auditor takes at most this share of the time to look at them.
SHARE = 0.1
PERIOD_S_MAX = 15.0
STALE_S = 3.0
TIMELINE_MAX = 1_000
# Services of the fragile build change their books in pieces. What is only seen in passing is no
# violation: a number counts if it is there in each of so many looks.
LOOKS = 3
LOOK_S = 0.15

SUMMARY = "SELECT * FROM audit.summary"
CONSERVATION = "SELECT * FROM audit.conservation ORDER BY asset"
EXECUTED = """
    SELECT count(*) FROM exchange.trades WHERE executed_at < clock_timestamp() - interval '3 s'
"""
NOTE_BREACHES = """
    INSERT INTO audit.breaches (kind, subject, since)
    SELECT kind, subject, now() FROM audit.breaching AS new
    WHERE NOT EXISTS (
        SELECT FROM audit.breaches AS old
        WHERE (old.kind, old.subject) = (new.kind, new.subject) AND old.until IS NULL
    )
"""
END_BREACHES = """
    UPDATE audit.breaches AS old SET until = now()
    WHERE until IS NULL
      AND NOT EXISTS (
          SELECT FROM audit.breaching AS new
          WHERE (new.kind, new.subject) = (old.kind, old.subject)
      )
"""
NOTE = "INSERT INTO audit.timeline (invariants) VALUES ($1::jsonb) ON CONFLICT DO NOTHING"
TIMELINE = """
    SELECT extract(epoch FROM at)::float8 AS at, invariants
    FROM audit.timeline
    WHERE at > to_timestamp($1)
    ORDER BY at
    LIMIT $2
"""


class Auditor:
    """Evaluates the invariants; as careful in the one build as in the other."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._log = log
        self._path = settings.acknowledged
        self._database = Database(settings.database_url, HARDENED, log=log, role=AUDITOR)
        self._redis = open_redis(settings.redis_url, HARDENED)
        self._latest: dict[str, Any] = {}
        self._latest_at = 0.0
        self._period_s = PERIOD_S

    async def audit(self) -> None:
        """Evaluate the invariants, for ever."""
        await self._database.open()
        while True:
            began = monotonic()
            try:
                await self._audit_once()
            except STORE_ERRORS as error:
                self._log.trouble("auditing", error)
            rest_s = self._period_s - (monotonic() - began)
            await asyncio.sleep(max(rest_s, PERIOD_S / 4))

    async def _audit_once(self) -> None:
        began_at = now()
        async with self._database.connection() as connection:
            await read_oracle(connection, self._path)
            async with connection.transaction():
                await connection.execute(NOTE_BREACHES)
                await connection.execute(END_BREACHES)
            numbers, conservation = await self._look_again(connection)
            executed = await connection.fetchval(EXECUTED)
            document = {
                "at": round(began_at, 3),
                "violations": sum(1 for number in numbers.values() if number),
                **numbers,
                # No violation as such: while the exchange or Redis is away, fills wait.
                "unrelayed_fills": await self._unrelayed(executed),
                "conservation": conservation,
            }
            await connection.execute(NOTE, json.dumps(document))
        if document["violations"] and not self._latest.get("violations"):
            self._log.say("violated", **document)
        self._latest, self._latest_at = document, monotonic()

    async def _look_again(self, connection: Connection) -> tuple[dict[str, Any], dict[str, Any]]:
        began = monotonic()
        numbers, conservation = await _look(connection)
        took_s = monotonic() - began
        self._period_s = min(max(PERIOD_S, took_s / SHARE), PERIOD_S_MAX)
        for _ in range(LOOKS - 1):
            if not any(numbers.values()):
                break
            await asyncio.sleep(LOOK_S)
            again, conservation = await _look(connection)
            numbers = {name: min(numbers[name], again[name], key=abs) for name in numbers}
        conservation["difference"] = numbers["conservation_difference"]
        return numbers, conservation

    async def _unrelayed(self, executed: int) -> int | None:
        try:
            told = await self._redis.xlen(FILLS)
        except REDIS_ERRORS as error:
            self._log.trouble("asking for the stream", error)
            return None
        return max(0, min(executed, FILLS_KEPT) - int(told))

    def _stale(self) -> str:
        age_s = monotonic() - self._latest_at
        if not self._latest or age_s > self._period_s + STALE_S:
            return "no evaluation lately"
        return OK

    async def state(self) -> Mapping[str, str]:
        """See ``Service.needs``."""
        return {"evaluation": self._stale()}

    async def invariants(self, _: web.Request) -> web.Response:
        """Answer GET /invariants: the last evaluation, and ``at`` which moment it began.

        Answers 503 rather than numbers that are not of now.
        """
        if (stale := self._stale()) != OK:
            return web.json_response({"error": stale}, status=503)
        return web.json_response(self._latest)

    async def timeline(self, request: web.Request) -> web.Response:
        """Answer GET /timeline?since=epoch&limit=n."""
        try:
            since = float(request.query.get("since", "0"))
            limit = min(int(request.query.get("limit", str(TIMELINE_MAX))), TIMELINE_MAX)
        except ValueError as error:
            raise refusal("since or limit is not a number") from error
        try:
            async with self._database.connection() as connection:
                rows = await connection.fetch(TIMELINE, since, limit)
        except STORE_ERRORS as error:
            raise unavailable(error) from error
        return web.json_response([_moment(row) for row in rows])

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
        await self._redis.aclose()


async def _look(connection: Connection) -> tuple[dict[str, Any], dict[str, Any]]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        summary = await connection.fetchrow(SUMMARY)
        assets = await connection.fetch(CONSERVATION)
    assert summary is not None, "the summary is always one row"
    conservation = {row["asset"]: dict(row) for row in assets}
    for balance in conservation.values():
        del balance["asset"]
    return dict(summary), conservation


def _moment(row: asyncpg.Record) -> dict[str, Any]:
    return {**json.loads(row["invariants"]), "at": row["at"]}


def main() -> None:
    """Run the service."""
    settings = Settings.read("database_url", "redis_url", "acknowledged")
    log = Log(service="auditor")
    auditor = Auditor(settings, log)
    run(
        Service(
            settings=settings,
            log=log,
            needs=auditor.state,
            tasks=[auditor.audit],
            on_stop=[auditor.close],
            routes=[
                web.get("/invariants", auditor.invariants),
                web.get("/timeline", auditor.timeline),
            ],
        )
    )


if __name__ == "__main__":
    main()
