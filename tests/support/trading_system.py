"""Starts the example trading system as plain processes, and breaks it, for tests."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from support.target_systems import free_port
from trading.clock import now

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVICES = {
    "market-data": "market_data",
    "exchange": "exchange",
    "custodian": "custodian",
    "trading-engine": "trading_engine",
    "risk-monitor": "risk_monitor",
    "auditor": "auditor",
    "load-generator": "load_generator",
}
# The variable that holds a service's URL, where one needs it.
URLS = {
    "market-data": "MARKET_DATA",
    "exchange": "EXCHANGE",
    "custodian": "CUSTODIAN",
    "trading-engine": "ENGINE",
    "load-generator": "LOADGEN",
}
LOOK_S = 0.05


class TradingSystem:
    """The processes of one system, on free ports, with their logs and oracle in one folder."""

    def __init__(
        self, folder: Path, *, postgres: str, redis: str, build: str, session: aiohttp.ClientSession
    ) -> None:
        self.folder = folder
        self.oracle = folder / "acknowledged"
        self.redis = redis
        self._session = session
        self._ports = {name: free_port() for name in SERVICES}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(EXAMPLES),
            "TRADING_BUILD": build,
            "TRADING_DATABASE_URL": postgres,
            "TRADING_REDIS_URL": redis,
            "TRADING_ACKNOWLEDGED": str(self.oracle),
            "TRADING_SEED": "7",
            **{f"TRADING_{name}_URL": self.url(service) for service, name in URLS.items()},
        }

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def pid(self, service: str) -> int:
        return self._processes[service].pid

    def start(self, *services: str) -> None:
        for service in services:
            with (self.folder / f"{service}.log").open("ab") as log:
                self._processes[service] = subprocess.Popen(
                    [sys.executable, "-m", f"trading.{SERVICES[service]}"],
                    env={**self._environment, "TRADING_PORT": str(self._ports[service])},
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                )

    def end(self, service: str, how: signal.Signals = signal.SIGTERM) -> int:
        process = self._processes[service]
        process.send_signal(how)
        code = process.wait(10)
        del self._processes[service]
        return code

    def end_all(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait(10)
        self._processes.clear()

    async def call(self, method: str, service: str, path: str, **body: Any) -> tuple[int, Any]:
        async with self._session.request(
            method, self.url(service) + path, json=body or None
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, service: str, path: str) -> Any:
        status, document = await self.call("GET", service, path)
        assert status == 200, (service, path, status, document)
        return document

    async def post(self, service: str, path: str, **body: Any) -> Any:
        status, document = await self.call("POST", service, path, **body)
        assert status == 200, (service, path, status, document)
        return document

    async def healthy(self, *services: str, within_s: float = 40) -> float:
        """Return after how many seconds all of ``services`` were healthy at once."""

        async def looks() -> bool:
            for service in services:
                status, _ = await self.call("GET", service, "/health")
                if status != 200:
                    return False
            return True

        return await until(looks, within_s=within_s)

    async def invariants(self) -> dict[str, Any]:
        """Return an evaluation of the auditor that began after this call."""
        asked_at = now()
        latest: dict[str, Any] = {}

        async def looks() -> bool:
            latest.update(await self.get("auditor", "/invariants"))
            return bool(latest["at"] > asked_at)

        await until(looks, within_s=40)
        return latest


@asynccontextmanager
async def trading_system(
    folder: Path, *, postgres: str, redis: str, build: str
) -> AsyncGenerator[TradingSystem]:
    """Yield a system of which nothing runs yet; end what runs in the end."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        system = TradingSystem(folder, postgres=postgres, redis=redis, build=build, session=session)
        try:
            yield system
        finally:
            system.end_all()


async def until(looks: Callable[[], Awaitable[bool]], *, within_s: float) -> float:
    """Return after how many seconds ``looks`` was true; trouble on the way counts as false."""
    began = monotonic()
    trouble: Exception | None = None
    while monotonic() - began < within_s:
        try:
            if await looks():
                return monotonic() - began
        except (aiohttp.ClientError, OSError, TimeoutError, AssertionError) as error:
            trouble = error
        await asyncio.sleep(LOOK_S)
    message = f"not within {within_s} s; the last trouble was {trouble!r}"
    raise AssertionError(message)
