"""A fault lives as long as the connection that asked for it, and not as long as another's."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from pathlib import Path

import anyio

from support.links_net import MS, dial, round_trip
from support.links_scene import coordinator, faults_on, linked, serving, until_clear
from test_coordination.adapters.links.client import LinkControl


async def test_a_fault_ends_when_its_coordinator_is_killed_and_the_link_keeps_serving(
    control: Path,
) -> None:
    async with linked(control) as (listen, _), await dial(listen) as client:
        async with coordinator(control) as doomed:
            slow_ms = await round_trip(client)
            async with LinkControl(control) as links:
                assert await faults_on(links) == ["f"]
                doomed.kill()
                took_s = await until_clear(links, within_s=2)
        fast_ms = await round_trip(client)

    assert slow_ms >= 115
    assert took_s < 0.2
    assert fast_ms < 80


async def test_bytes_held_for_a_killed_coordinator_leave_at_once(control: Path) -> None:
    async with (
        linked(control) as (listen, _),
        await dial(listen) as client,
        coordinator(control, latency_ms=30_000) as doomed,
    ):
        begun = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(round_trip, client)
            await anyio.sleep(0.1)
            doomed.kill()

    assert time.perf_counter() - begun < 1


async def test_a_lease_runs_out_when_its_coordinator_hangs(control: Path) -> None:
    async with (
        linked(control),
        LinkControl(control) as links,
        coordinator(control, lease_s=0.6) as hung,
    ):
        await anyio.sleep(1.2)
        assert await faults_on(links) == ["f"]  # it was renewed while the coordinator lived

        hung.send_signal(signal.SIGSTOP)
        took_s = await until_clear(links, within_s=3)
        hung.send_signal(signal.SIGCONT)
        await anyio.sleep(0.4)

        assert 0.2 < took_s < 1.2
        assert await faults_on(links) == []  # what was proven gone does not come back


async def test_a_link_keeps_its_connections_when_the_coordinator_ends(control: Path) -> None:
    async with serving(control) as at, await dial(at["orders"]) as client:
        async with LinkControl(control) as links:
            await links.add_latency("orders", "f", delay=50 * MS)
            slow_ms = await round_trip(client)
        await anyio.sleep(0.02)
        fast_ms = await round_trip(client)

    assert slow_ms >= 95
    assert fast_ms < 80


async def test_the_faults_of_two_coordinators_do_not_disturb_each_other(control: Path) -> None:
    async with (
        serving(control) as at,
        await dial(at["orders"]) as client,
        LinkControl(control) as first,
    ):
        await first.add_latency("orders", "a", delay=40 * MS)
        async with LinkControl(control) as second:
            await second.add_latency("orders", "b", delay=60 * MS)
            both_ms = await round_trip(client)
        await anyio.sleep(0.02)
        one_ms = await round_trip(client)

        assert await faults_on(first) == ["a"]
    assert both_ms >= 195
    assert 75 <= one_ms < 190


async def test_any_coordinator_can_remove_the_fault_of_another(control: Path) -> None:
    async with (
        serving(control),
        LinkControl(control) as owner,
        LinkControl(control) as sweeper,
    ):
        await owner.add_latency("orders", "f", delay=MS, lease=timedelta(seconds=0.3))
        await sweeper.remove("orders", "f")

        assert await faults_on(sweeper) == []
        await anyio.sleep(0.25)
        assert await faults_on(sweeper) == []
        assert not owner.holds("orders", "f")


async def test_a_fault_that_was_taken_over_survives_the_end_of_its_first_owner(
    control: Path,
) -> None:
    async with serving(control), LinkControl(control) as second:
        async with LinkControl(control) as first:
            await first.add_latency("orders", "f", delay=MS)
            await second.add_latency("orders", "f", delay=2 * MS)
        await anyio.sleep(0.05)

        assert await faults_on(second) == ["f"]
