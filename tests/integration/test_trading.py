"""The example trading system: what must hold at rest, and what each build does when it is hurt."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from time import monotonic
from typing import Any

import psutil
import pytest
import redis.asyncio as redis
import yaml

from support.servers_directory import servers_directory
from support.trading_system import EXAMPLES, SERVICES, TradingSystem, trading_system, until
from test_coordination.adapters.servers.embedded import embedded_servers
from trading.clock import now

# Numbers that must be 0 whenever everything runs, whatever was done to the system before.
INVARIANTS = (
    "lost_orders",
    "engine_orders_lost",
    "doubled_orders",
    "fill_gaps",
    "wrong_fills",
    "conservation_difference",
    "position_difference",
    "settled_twice",
    "unsettled",
    "late_alerts",
    "stale_trades",
    "unrelayed_fills",
)
BACK_S_MAX = 5.0


@asynccontextmanager
async def running(build: str) -> AsyncGenerator[TradingSystem]:
    with servers_directory() as place:
        async with (
            embedded_servers(place / "stores") as urls,
            trading_system(place, postgres=urls.postgres, redis=urls.redis, build=build) as system,
        ):
            system.start(*reversed(SERVICES))  # any order will do
            await system.healthy(*SERVICES)
            yield system


@pytest.fixture(scope="module")
async def hardened() -> AsyncGenerator[TradingSystem]:
    async with running("hardened") as system:
        yield system


@pytest.fixture(scope="module")
async def fragile() -> AsyncGenerator[TradingSystem]:
    async with running("fragile") as system:
        yield system


@asynccontextmanager
async def load(system: TradingSystem) -> AsyncGenerator[None]:
    """Send 100 orders a second, from a moment before the body until all are answered after it."""
    await system.post("load-generator", "/start", rate=100)
    await asyncio.sleep(1)
    try:
        yield
    finally:
        await system.post("load-generator", "/stop")
        await until(lambda: nothing_in_flight(system), within_s=40)


async def nothing_in_flight(system: TradingSystem) -> bool:
    return bool((await system.get("load-generator", "/status"))["in_flight"] == 0)


async def at_rest(system: TradingSystem) -> dict[str, Any]:
    await asyncio.sleep(1.6)  # so long the auditor leaves an order that was just acknowledged
    document = await system.invariants()
    return {name: document[name] for name in INVARIANTS}


async def status(system: TradingSystem) -> dict[str, Any]:
    document: dict[str, Any] = await system.get("load-generator", "/status")
    return document


def violated(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: number for name, number in numbers.items() if number != 0}


async def outage(system: TradingSystem, how: signal.Signals, *, lasts_s: float) -> float:
    """Let there be no exchange for a while; return how long a new one took to be healthy."""
    system.end("exchange", how)
    await asyncio.sleep(lasts_s)
    system.start("exchange")
    return await system.healthy("exchange")


async def acknowledges(system: TradingSystem) -> bool:
    before = (await status(system))["acknowledged"]
    await asyncio.sleep(0.5)
    return bool((await status(system))["acknowledged"] > before)


async def test_the_hardened_build_takes_every_order_and_every_book_adds_up(
    hardened: TradingSystem,
) -> None:
    async with load(hardened):
        await asyncio.sleep(4)
        under_load = await status(hardened)

    assert under_load["goodput"] > 50
    assert under_load["failed"] == under_load["shed"] == 0
    assert violated(await at_rest(hardened)) == {}
    told = hardened.oracle.read_text().splitlines()
    assert len(told) == (await status(hardened))["acknowledged"]
    assert (await hardened.get("custodian", "/settlements"))["settled"] > 0
    assert await hardened.get("risk-monitor", "/alerts?active=true") == []
    assert len(await hardened.get("auditor", "/timeline?limit=5")) == 5


async def test_the_fragile_build_looks_just_as_well_until_it_is_hurt(
    fragile: TradingSystem,
) -> None:
    async with load(fragile):
        await asyncio.sleep(2)

    assert violated(await at_rest(fragile)) == {}


async def test_the_hardened_exchange_loses_and_doubles_nothing_and_is_soon_back(
    hardened: TradingSystem,
) -> None:
    async with load(hardened):
        killed_s = await outage(hardened, signal.SIGKILL, lasts_s=3)
        await until(lambda: acknowledges(hardened), within_s=30)
        stopped_s = await outage(hardened, signal.SIGTERM, lasts_s=1)
        await until(lambda: acknowledges(hardened), within_s=30)

    assert max(killed_s, stopped_s) < BACK_S_MAX
    assert violated(await at_rest(hardened)) == {}


async def test_the_fragile_exchange_loses_orders_that_it_acknowledged(
    fragile: TradingSystem,
) -> None:
    lost = [(await fragile.invariants())["lost_orders"]]

    for how in (signal.SIGKILL, signal.SIGTERM):
        async with load(fragile):
            await outage(fragile, how, lasts_s=1)
        lost.append((await at_rest(fragile))["lost_orders"])

    assert lost[0] < lost[1] < lost[2]


async def slow_exchange(system: TradingSystem) -> int:
    """Let orders take longer than their sender waits; return how many are doubled then."""
    before = (await system.invariants())["doubled_orders"]
    async with load(system):
        await system.post("exchange", "/chaos/inject-latency", ms=1_500)
        await asyncio.sleep(3)
        await system.call("DELETE", "exchange", "/chaos")
    return int((await at_rest(system))["doubled_orders"] - before)


async def test_orders_that_are_sent_again_are_doubled_only_by_the_fragile_build(
    hardened: TradingSystem, fragile: TradingSystem
) -> None:
    doubled = await asyncio.gather(slow_exchange(hardened), slow_exchange(fragile))

    assert doubled[0] == 0
    assert doubled[1] > 0


async def killed_engine(system: TradingSystem) -> None:
    began = (await system.get("trading-engine", "/positions"))["last_seq"]

    async def has_traded() -> bool:
        return bool((await system.get("trading-engine", "/positions"))["last_seq"] > began)

    await until(has_traded, within_s=30)
    system.end("trading-engine", signal.SIGKILL)
    system.start("trading-engine")
    await system.healthy("trading-engine")
    began = (await system.get("trading-engine", "/positions"))["last_seq"]
    await until(has_traded, within_s=30)


async def test_after_a_crash_only_the_hardened_engine_holds_what_was_executed_for_it(
    hardened: TradingSystem, fragile: TradingSystem
) -> None:
    await asyncio.gather(killed_engine(hardened), killed_engine(fragile))

    assert violated(await at_rest(hardened)) == {}
    assert (await fragile.invariants())["position_difference"] > 0


async def test_events_that_redis_lost_come_back_only_in_the_hardened_build(
    hardened: TradingSystem, fragile: TradingSystem
) -> None:
    for system in (hardened, fragile):
        async with redis.Redis.from_url(system.redis) as client:
            await client.flushall()
    await asyncio.sleep(1)

    assert violated(await at_rest(hardened)) == {}
    assert (await fragile.invariants())["unrelayed_fills"] > 0


async def test_the_hardened_build_outlives_a_crash_of_its_database(
    hardened: TradingSystem,
) -> None:
    server = next(each for each in psutil.Process().children() if each.name() == "postgres")

    async with load(hardened):
        server.send_signal(signal.SIGQUIT)
        await until(lambda: over(server), within_s=15)
        await hardened.healthy(*SERVICES)
        await until(lambda: acknowledges(hardened), within_s=30)

    assert violated(await at_rest(hardened)) == {}


async def over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def alerted(system: TradingSystem, *kinds: str) -> bool:
    active = await system.get("risk-monitor", "/alerts?active=true")
    return {alert["kind"] for alert in active} == set(kinds)


async def test_shocks_of_the_market_are_seen_and_undone(hardened: TradingSystem) -> None:
    calm = (await hardened.get("market-data", "/prices/BTC-USD"))["price"]

    await hardened.post("market-data", "/chaos/price-shock", symbol="BTC-USD", percent=20)
    await hardened.post("market-data", "/chaos/stablecoin-depeg", price=0.9)
    await asyncio.sleep(0.5)
    shocked = (await hardened.get("market-data", "/prices/BTC-USD"))["price"]
    await until(lambda: alerted(hardened, "depeg"), within_s=15)
    await hardened.call("DELETE", "market-data", "/chaos")

    assert shocked == pytest.approx(calm * 1.2, rel=0.05)
    await until(lambda: alerted(hardened), within_s=15)
    again = (await hardened.get("market-data", "/prices/BTC-USD"))["price"]
    assert again == pytest.approx(calm, rel=0.05)


ORDER = {"account": "load", "symbol": "ETH-USD", "side": "buy", "quantity": 100}


async def test_on_frozen_prices_the_hardened_build_halts_and_alerts_and_the_fragile_one_trades(
    hardened: TradingSystem, fragile: TradingSystem
) -> None:
    markets = [psutil.Process(system.pid("market-data")) for system in (hardened, fragile)]

    for market in markets:
        market.suspend()
    try:
        await until(lambda: alerted(hardened, "stale_price"), within_s=15)
        answers = [
            await system.call("POST", "exchange", "/orders", client_order_id="late", **ORDER)
            for system in (hardened, fragile)
        ]
        health, _ = await hardened.call("GET", "exchange", "/health")
    finally:
        for market in markets:
            market.resume()

    assert [code for code, _ in answers] == [503, 200]
    assert health == 503
    await hardened.healthy("exchange", "trading-engine")
    await until(lambda: alerted(hardened), within_s=15)
    assert violated(await at_rest(hardened)) == {}
    assert (await fragile.invariants())["stale_trades"] > 0


async def test_a_delayed_feed_tells_old_prices_until_it_is_undone(
    hardened: TradingSystem,
) -> None:
    async def age_s() -> float:
        return float(now() - (await hardened.get("market-data", "/prices/BTC-USD"))["at"])

    await hardened.post("market-data", "/chaos/feed-delay", ms=1_000)
    delayed = await age_s()
    await hardened.call("DELETE", "market-data", "/chaos")

    assert 1.0 <= delayed < 2.0
    assert await age_s() < 1.0


async def test_chaos_in_the_exchange_acts_and_is_undone(hardened: TradingSystem) -> None:
    async def place(key: str) -> tuple[str, float]:
        began = monotonic()
        told = await hardened.post("exchange", "/orders", client_order_id=key, **ORDER)
        return told["status"], monotonic() - began

    await hardened.post("exchange", "/chaos/inject-latency", ms=400)
    await hardened.post("exchange", "/chaos/reject-orders", percent=100)
    refused = await place("in-chaos")
    await hardened.call("DELETE", "exchange", "/chaos")
    taken = await place("after-chaos")
    replayed = await place("in-chaos")

    assert refused[0] == replayed[0] == "rejected"
    assert refused[1] > 0.4
    assert taken[0] == "filled"
    assert taken[1] < 0.4


async def test_delayed_settlements_wait_until_the_chaos_is_undone(
    hardened: TradingSystem,
) -> None:
    async def pending(least: int, most: int) -> bool:
        waiting = (await hardened.get("custodian", "/settlements"))["pending"]
        return bool(least <= waiting <= most)

    await hardened.post("custodian", "/chaos/delay-settlements", ms=60_000)
    await until(lambda: pending(5, 1_000), within_s=15)
    await hardened.call("DELETE", "custodian", "/chaos")

    await until(lambda: pending(0, 3), within_s=15)
    assert violated(await at_rest(hardened)) == {}


STUBBORN = """
import asyncio
from trading.logs import Log
from trading.service import Service, run
from trading.settings import Settings

async def deaf() -> None:
    for _ in range(2):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("swallowed", flush=True)
    await asyncio.sleep(60)

async def needs() -> dict[str, str]:
    return {}

settings, log = Settings.read(), Log(service="deaf")
run(Service(settings=settings, log=log, routes=[], tasks=[deaf], needs=needs))
"""


def test_a_service_ends_although_a_driver_swallows_cancellations() -> None:
    environment = {"PYTHONPATH": str(EXAMPLES), "TRADING_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "started" in process.stdout.readline()
        process.terminate()
        try:
            code = process.wait(10)
        finally:
            process.kill()
        told = process.stdout.read()

    assert code == 0
    assert told.count("swallowed") == 2


def test_the_topology_names_only_what_there_is() -> None:
    text = (EXAMPLES / "trading" / "topology.yaml").read_text()
    topology = yaml.safe_load(text)
    services, links = topology["services"], topology["links"]
    modules = [each["command"][2] for each in services.values() if len(each["command"]) == 3]
    ports = {f"{name}.{port}" for name, each in services.items() for port in each.get("ports", ())}
    known = {"python", "here", "state", *topology["variables"], *ports}
    known |= {f"{name}.address" for name in services} | {f"links.{name}" for name in links}

    assert set(re.findall(r"\$\{([^}]*)\}", text)) <= known
    assert all(find_spec(module) for module in modules)
    assert len(modules) == len(SERVICES)
    assert {end for link in links.values() for end in (link["from"], link["to"])} <= set(services)
    assert {need for each in services.values() for need in each.get("depends_on", ())} <= set(
        services
    )
