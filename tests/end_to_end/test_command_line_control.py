"""Executions of other processes are stopped, paused and resumed; the system itself shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic

import anyio
import anyio.to_thread
import asyncpg
import psutil
import pytest

from support.e2e_shop import Shop, shop
from support.servers_witness import postmaster, programs
from test_coordination import Settings
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.application.controls import Hearing
from test_coordination.application.wishes import Desire
from test_coordination.domain.values import ExecutionId
from test_coordination.reaching import open_controls

pytestmark = pytest.mark.timeout(200)

# It is 0.2 s on a quiet machine; this one is busy with other tests.
AT_ONCE_S = 2.5
LOCK = """
    LOCK TABLE test_coordination.execution, test_coordination.execution_event
    IN ACCESS EXCLUSIVE MODE
"""


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    """A shop whose servers are another program's, and outlive those that run scenarios."""
    with shop() as opened, programs(opened.terminal.home / "servers") as start:
        start("embedded").urls()
        yield opened


async def under_way(open_shop: Shop) -> ExecutionId:
    """Return the only execution that some process runs."""
    async with open_controls(Settings(home=open_shop.terminal.home)) as controls:
        found = await controls._ways.kept.unfinished()
    (execution,) = (each for each, waits in found.items() if not waits)
    return execution


def stands_still(open_shop: Shop) -> bool:
    """Tell whether the fault of these tests is in force, as the kernel sees it."""
    return [process.state for process in open_shop.processes("shop")] == ["T"]


@asynccontextmanager
async def stopped(open_shop: Shop) -> AsyncIterator[None]:
    """Let every process of PostgreSQL stand still."""
    main = psutil.Process(postmaster(open_shop.terminal.home / "servers" / "postgres"))
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()


@asynccontextmanager
async def locked(open_shop: Shop) -> AsyncIterator[None]:
    """Let whoever wants to read or to write an execution or its log wait."""
    async with embedded_servers(open_shop.terminal.home / "servers") as urls:
        connection = await asyncpg.connect(urls.postgres)
        try:
            async with connection.transaction():
                await connection.execute(LOCK)
                yield
        finally:
            await connection.close()


@pytest.mark.parametrize(("trouble", "kept"), [(stopped, False), (locked, True)])
def test_a_wish_from_another_process_is_seen_at_the_target_at_once(
    open_shop: Shop,
    trouble: Callable[[Shop], AbstractAsyncContextManager[None]],
    *,
    kept: bool,
) -> None:
    running = open_shop.breaks(open_shop.scenario(), "outage=5m")
    running.prints("in force")
    execution = anyio.run(under_way, open_shop)

    async def wish() -> tuple[Hearing, float]:
        found: list[Hearing] = []
        settings = Settings(home=open_shop.terminal.home)
        async with trouble(open_shop), open_controls(settings) as controls:

            async def make() -> None:
                made = controls.wish(Desire.ABORT, execution, reason="enough", by="ann")
                found.append(await made)

            async with anyio.create_task_group() as group:
                began = monotonic()
                group.start_soon(make)
                while await anyio.to_thread.run_sync(stands_still, open_shop):  # noqa: ASYNC110  another process's
                    await anyio.sleep(0.01)
                took_s = monotonic() - began
        return found[0], took_s

    hearing, took_s = anyio.run(wish)
    said = running.ends()

    assert took_s < AT_ONCE_S
    assert (hearing.kept, set(hearing.heard)) == (kept, {execution})
    assert said.status == 3, said
    assert "stopping: enough (asked by ann)" in said.out
    assert not open_shop.trouble()


def test_what_runs_in_one_terminal_is_paused_resumed_and_stopped_from_another(
    open_shop: Shop,
) -> None:
    terminal, waits = open_shop.terminal, open_shop.scenario("waits")
    ordered = terminal.run("run", "--detach", waits, "--topology", open_shop.topology)
    running = open_shop.breaks(open_shop.scenario(), "outage=5m")
    running.prints("in force")
    short = str(anyio.run(under_way, open_shop))[-8:]

    paused = terminal.run("pause", short, "--reason", "to look around")
    held = stands_still(open_shop)
    resumed = terminal.run("resume", short)
    aborted = terminal.run("abort", short, "--output", "json")
    stopped_all = terminal.run("stop-all", "--reason", "incident 4711")
    said = running.ends()

    assert ordered.status == 0, ordered
    assert (paused.status, paused.err) == (0, "")
    assert "is paused: nothing further is begun" in paused.out
    assert held
    assert "paused, and faults in force are held on: to look around" in said.out
    assert (resumed.status, aborted.status, said.status) == (0, 0, 3), said
    assert '"silent": []' in aborted.out
    assert (stopped_all.status, stopped_all.err) == (0, ""), stopped_all
    assert "waited for a worker, and was ended without having begun" in stopped_all.out
    assert not open_shop.trouble()
