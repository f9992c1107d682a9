"""A browser with scripts switched off, driven over its own protocol."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, Final

import aiohttp
import anyio
import anyio.abc
import pytest

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_S_MAX: Final = 60
PICTURES: Final = 3
PICTURE_S_MAX: Final = 10


def installed() -> str:
    """Return the path of a browser, or skip (fail, where tests must run)."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is not None:
        return found
    reason = f"no browser is installed: none of {', '.join(NAMES)} is on the PATH"
    if os.environ.get("TCOORD_TEST_MUST_RUN") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Tab:
    """One tab; ``events`` is what it told while it was asked other things."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session = ""
        self.events: list[dict[str, Any]] = []

    async def open(self) -> None:
        target = (await self.ask("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "DOM"):
            await self.ask(f"{domain}.enable")
        await self.ask("Emulation.setScriptExecutionDisabled", value=True)

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        while True:
            answer: dict[str, Any] = await self._socket.receive_json(timeout=START_S_MAX)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    async def visit(self, page: Path, *, width: int, dark: bool = False, media: str = "") -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1400,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.events.clear()
        await self.ask("Page.navigate", url=page.as_uri())
        with anyio.fail_after(START_S_MAX):
            while not self.told("Page.loadEventFired"):
                await self.ask("Page.getLayoutMetrics")

    def told(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == method]

    async def html(self) -> str:
        root = (await self.ask("DOM.getDocument"))["root"]["nodeId"]
        return str((await self.ask("DOM.getOuterHTML", nodeId=root))["outerHTML"])

    async def content_width(self) -> float:
        return float((await self.ask("Page.getLayoutMetrics"))["cssContentSize"]["width"])

    async def picture(self) -> bytes:
        """Return what is seen; a compositor that makes no frame by itself is told to make some."""
        for _ in range(PICTURES):
            with anyio.move_on_after(PICTURE_S_MAX):
                shot = await self.ask("Page.captureScreenshot", captureBeyondViewport=True)
                return base64.b64decode(shot["data"])
            await self.ask("Page.startScreencast", format="jpeg", quality=10)
            await anyio.sleep(0.25)
            await self.ask("Page.stopScreencast")
        pytest.fail(f"the browser drew no picture in {PICTURES} times {PICTURE_S_MAX} s")


@asynccontextmanager
async def browsing(profile: Path) -> AsyncGenerator[Tab]:
    """Start a browser with a profile of its own; it is gone at the end."""
    command = [installed(), *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    async with await anyio.open_process(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            address = await _address(profile / "DevToolsActivePort", process)
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(address, max_msg_size=0) as socket,
            ):
                tab = Tab(socket)
                await tab.open()
                yield tab
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def _address(told_in: Path, process: anyio.abc.Process) -> str:
    with anyio.fail_after(START_S_MAX):
        while True:
            assert process.returncode is None, "the browser ended at once"
            lines = told_in.read_text().splitlines() if told_in.exists() else []
            if len(lines) > 1:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await anyio.sleep(0.05)
