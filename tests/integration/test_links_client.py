"""What a coordinator asks of the links, and what it learns when they do not answer."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from support.links_net import MS, dial, eventually, round_trip
from support.links_scene import faults_on, linked, serving, until_clear
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.errors import (
    FaultNotHeldError,
    InvalidLatencyError,
    LinkRefusedError,
    LinksUnreachableError,
    UnknownLinkError,
)
from test_coordination.adapters.links.leases import FAULTS_PER_LINK_MAX
from test_coordination.adapters.links.values import Direction


async def test_the_state_of_a_link_shows_its_faults_and_its_traffic(control: Path) -> None:
    async with (
        serving(control, "orders", "quotes") as at,
        LinkControl(control) as links,
        await dial(at["orders"]) as client,
    ):
        await links.add_latency(
            "orders",
            "f",
            delay=3 * MS,
            jitter=MS,
            direction=Direction.DOWN,
            toxicity=0.999,
            lease=timedelta(seconds=9),
        )
        await round_trip(client, b"12345678")
        states = await links.describe()

    orders = states["orders"]
    assert set(states) == {"orders", "quotes"}
    assert orders.listen == at["orders"]
    assert (orders.connections_open, orders.connections_total) == (1, 1)
    assert (orders.bytes_up, orders.bytes_down, orders.bytes_delayed) == (8, 8, 8)
    (fault,) = orders.faults
    assert (fault.fault, fault.bytes_delayed, fault.connections) == ("f", 8, 1)
    assert fault.latency.direction is Direction.DOWN
    assert (fault.latency.delay, fault.latency.jitter) == (3 * MS, MS)
    assert fault.expires_in is not None
    assert 8 < fault.expires_in.total_seconds() <= 9
    assert states["quotes"].faults == ()


async def test_removing_is_safe_to_repeat_and_for_what_never_was(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        await links.add_latency("orders", "f", delay=MS)
        await links.remove("orders", "f")
        await links.remove("orders", "f")
        await links.remove("orders", "never was")

        assert await faults_on(links) == []


async def test_an_unknown_link_is_refused_with_a_hint(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        with pytest.raises(UnknownLinkError, match=r"'oders'; did you mean 'orders'\?") as refused:
            await links.add_latency("oders", "f", delay=MS)
        with pytest.raises(UnknownLinkError):
            await links.remove("oders", "f")

    assert refused.value.code == "links.unknown_link"
    assert refused.value.known == {"orders"}


async def test_a_latency_that_cannot_be_is_refused_before_it_is_sent(control: Path) -> None:
    async with LinkControl(control) as links:
        with pytest.raises(InvalidLatencyError):
            await links.add_latency("orders", "f", delay=-MS)


async def test_a_link_has_a_limit_of_faults(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        for number in range(FAULTS_PER_LINK_MAX):
            await links.add_latency("orders", f"f{number}", delay=MS, lease=None)
        await links.add_latency("orders", "f0", delay=2 * MS)
        with pytest.raises(LinkRefusedError, match="remove one first"):
            await links.add_latency("orders", "one too many", delay=MS)


async def test_links_that_are_not_there_are_unreachable(control: Path) -> None:
    async with LinkControl(control) as links:
        with pytest.raises(LinksUnreachableError, match="No such file") as unreachable:
            await links.ping()

    assert unreachable.value.code == "links.unreachable"


async def test_links_are_controlled_however_long_the_path_of_their_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    monkeypatch.chdir(folder)  # a socket is bound by a short path only
    async with serving(Path("links.sock")), LinkControl(folder / "links.sock") as links:
        await links.add_latency("orders", "f", delay=MS)

        assert await faults_on(links) == ["f"]
        assert len(str(folder / "links.sock")) > 107


async def test_links_that_hang_are_unreachable_within_the_limit(control: Path) -> None:
    async with (
        linked(control) as (_, process),
        LinkControl(control, answer_max=timedelta(seconds=0.3)) as links,
    ):
        await links.add_latency("orders", "f", delay=MS)
        process.send_signal(signal.SIGSTOP)
        begun = time.perf_counter()
        with pytest.raises(LinksUnreachableError, match=r"none in 0\.3 s"):
            await links.describe()
        took_s = time.perf_counter() - begun
        process.send_signal(signal.SIGCONT)

        assert 0.25 < took_s < 1
        assert not links.holds("orders", "f")
        await until_clear(links, within_s=2)


async def test_links_that_were_restarted_are_found_again_without_the_lost_fault(
    control: Path,
) -> None:
    async with LinkControl(control) as links:
        async with serving(control):
            await links.add_latency("orders", "f", delay=MS)
        async with serving(control):
            assert await faults_on(links) == []
            assert not links.holds("orders", "f")
            await links.add_latency("orders", "f", delay=MS)
            assert await faults_on(links) == ["f"]


async def test_a_lost_fault_is_noticed_by_the_renewal(control: Path) -> None:
    async with LinkControl(control) as links:
        async with serving(control):
            await links.add_latency("orders", "f", delay=MS, lease=timedelta(seconds=0.3))
            assert links.holds("orders", "f")

        await eventually(lambda: not links.holds("orders", "f"))


async def test_an_error_in_the_body_leaves_the_context_as_it_is(control: Path) -> None:
    async def body() -> None:
        async with LinkControl(control) as links:
            await links.add_latency("orders", "f", delay=MS)
            raise FaultNotHeldError(link="orders", fault="f")

    async with serving(control):
        with pytest.raises(FaultNotHeldError):
            await body()
        async with LinkControl(control) as links:
            await until_clear(links, within_s=1)


async def test_a_cancelled_body_ends_its_faults(control: Path) -> None:
    async with serving(control), LinkControl(control) as watcher:
        with anyio.move_on_after(0.1) as scope:
            async with LinkControl(control) as links:
                await links.add_latency("orders", "f", delay=MS)
                await anyio.sleep_forever()

        assert scope.cancelled_caught
        await until_clear(watcher, within_s=1)


async def test_many_calls_at_once_each_get_their_own_answer(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                fault = f"f{number}"
                tasks.start_soon(lambda f: links.add_latency("orders", f, delay=MS), fault)

        assert len(await faults_on(links)) == 40
