"""Links that are served for a test, in its own process or in another."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from support.links_net import LOOPBACK, upstream
from support.target_systems import free_port
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.server import serve_links
from test_coordination.adapters.links.values import Address, LinkSpec

MODULE = "test_coordination.adapters.links"
SUPPORT = Path(__file__).parent
SOURCE = Path(__file__).parents[2] / "src"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SOURCE)}


@pytest.fixture
def control() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tcl-") as folder:  # a socket's path must be short
        yield Path(folder) / "own" / "links.sock"


@asynccontextmanager
async def serving(control: Path, *names: str) -> AsyncGenerator[dict[str, Address]]:
    """Serve links to one echo server in this process; yield where each listens."""
    async with upstream() as address:
        specs = [
            LinkSpec(name=name, listen=(LOOPBACK, 0), upstream=address)
            for name in names or ("orders",)
        ]
        tasks: TaskGroup
        async with anyio.create_task_group() as tasks:

            async def serve(*, task_status: anyio.abc.TaskStatus[Any]) -> None:
                await serve_links(
                    specs, control=control, chance=random.Random(1), task_status=task_status
                )

            states = await tasks.start(serve)
            yield {state.name: state.listen for state in states}
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def running(*arguments: str) -> AsyncGenerator[subprocess.Popen[str]]:
    """Run a Python process that says a line when it is ready; kill it at the end."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, await asyncio.to_thread(process.stderr.read)  # type: ignore[union-attr]
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def linked(control: Path) -> AsyncGenerator[tuple[Address, subprocess.Popen[str]]]:
    """Serve the link ``orders`` in a process of its own."""
    async with upstream() as (host, port):
        listen = (LOOPBACK, free_port())
        link = f"orders={listen[0]}:{listen[1]}={host}:{port}"
        async with running("-m", MODULE, "--control", str(control), "--link", link) as process:
            yield listen, process


def coordinator(
    control: Path, fault: str = "f", *, latency_ms: int = 60, lease_s: float = 0
) -> Any:
    script = str(SUPPORT / "links_coordinator.py")
    return running(script, str(control), "orders", fault, str(latency_ms), str(lease_s))


async def faults_on(links: LinkControl, link: str = "orders") -> list[str]:
    return [fault.fault for fault in (await links.describe())[link].faults]


async def until_clear(links: LinkControl, *, within_s: float) -> float:
    """Return the seconds until no fault is in force."""
    begun = time.perf_counter()
    with anyio.fail_after(within_s):
        while await faults_on(links):  # noqa: ASYNC110 - another process has no event
            await anyio.sleep(0.002)
    return time.perf_counter() - begun
