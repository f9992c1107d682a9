"""Asking a service whether it is ready."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio

from test_coordination.adapters.kernel import nearby
from test_coordination.adapters.targets.record import HealthCheck

LOOK_MAX: Final = timedelta(seconds=2)
WELL: Final = range(200, 300)


async def trouble(check: HealthCheck, *, limit: timedelta = LOOK_MAX) -> str:
    """Return why the address does not answer as it should, or nothing; ``limit`` bounds the look.

    A check without an address finds no trouble: whether the process lives is seen elsewhere.
    """
    if check.kind == "alive":
        return ""
    import aiohttp  # noqa: PLC0415  slow to import, and of no use to most commands

    try:
        with anyio.fail_after(limit.total_seconds()):
            return await _look(check)
    except TimeoutError:
        return f"{check.address} did not answer within {limit.total_seconds():g} s"
    except aiohttp.ClientError as error:
        return f"{check.address} did not answer ({str(error) or type(error).__name__})"
    except OSError as error:
        return f"{check.address} refused the connection ({error.strerror or error})"


async def _look(check: HealthCheck) -> str:
    match check.kind:
        case "http":
            return await _http(check.address)
        case "tcp":
            host, _, port = check.address.rpartition(":")
            async with await anyio.connect_tcp(host, int(port)):
                return ""
        case "unix":
            await anyio.to_thread.run_sync(_connect_unix, check.address)
            return ""
        case "alive":
            return ""


async def _http(url: str) -> str:
    import aiohttp  # noqa: PLC0415  slow to import, and of no use to most commands

    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status in WELL:
            return ""
        text = (await answer.content.read(200)).decode(errors="replace")
        return f"{url} answered {answer.status}: {text!r}"


def _connect_unix(address: str) -> None:
    with nearby(Path(address)) as near, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LOOK_MAX.total_seconds())
        client.connect(near)
