"""The process that carries links: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from support.links_net import LOOPBACK, dial, round_trip
from support.links_scene import ENVIRONMENT, MODULE, linked, serving
from support.target_systems import free_port
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.errors import InvalidLinkError
from test_coordination.adapters.links.server import serve_links
from test_coordination.adapters.links.values import LinkSpec


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", MODULE, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stderr


async def test_the_process_ends_cleanly_when_told_to(control: Path) -> None:
    async with linked(control) as (_, process):
        process.terminate()

        assert await asyncio.to_thread(process.wait, 5) == 0
        assert not control.exists()


def test_a_port_in_use_is_one_clear_line_and_status_4(control: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        status, text = refused("--control", str(control), "--link", f"orders={port}=9")

    assert status == 4
    assert text.count("\n") == 1
    assert f"link 'orders' cannot listen on '127.0.0.1:{port}'" in text
    assert "[links.cannot_listen]" in text


async def test_a_control_socket_with_a_living_owner_is_left_alone(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        status, text = await asyncio.to_thread(
            refused, "--control", str(control), "--link", f"other={free_port()}=9"
        )

        assert status == 4
        assert "another process is in control" in text
        await links.ping()


async def test_a_control_socket_that_a_killed_process_left_is_replaced(control: Path) -> None:
    async with linked(control) as (_, process):
        process.kill()
        process.wait()
    assert control.exists()

    async with serving(control), LinkControl(control) as links:
        await links.ping()


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("orders", "expected NAME="),
        ("orders=x=1", "'x' is no address"),
        ("orders=1=70000", "the upstream port is 70000"),
        ("=1=2", "a name is"),
    ],
)
def test_a_link_that_cannot_be_read_is_refused(control: Path, link: str, told: str) -> None:
    status, text = refused("--control", str(control), "--link", link)

    assert status == 4
    assert told in text


async def test_two_links_of_one_name_are_refused(control: Path) -> None:
    specs = [
        LinkSpec(name="orders", listen=(LOOPBACK, 0), upstream=(LOOPBACK, port)) for port in (1, 2)
    ]
    with pytest.raises(InvalidLinkError, match="two links"):
        await serve_links(specs, control=control, chance=random.Random(1))


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    status, text = refused("--control", str(tmp_path / ("x" * 120)), "--link", "orders=0=9")

    assert status == 4
    assert "path too long" in text


async def test_the_process_carries_links_within_a_moment_of_its_start(control: Path) -> None:
    waits_s = []
    for _ in range(3):
        begun = time.perf_counter()
        async with linked(control):
            waits_s.append(time.perf_counter() - begun)

    assert min(waits_s) < 1  # 0.2 s when the machine is idle


async def test_many_connections_share_a_process(control: Path) -> None:
    async with AsyncExitStack() as stack:
        listen, _ = await stack.enter_async_context(linked(control))
        clients = [await stack.enter_async_context(await dial(listen)) for _ in range(100)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(round_trip, client, os.urandom(5000))
        async with LinkControl(control) as links:
            state = (await links.describe())["orders"]

        assert state.connections_open == 100
        assert state.bytes_up == state.bytes_down == 500_000
