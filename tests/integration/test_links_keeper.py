"""The faults of one program on the links of its systems: each lasts until it is cleared."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from support.links_net import MS, dial, round_trip
from support.links_scene import faults_on, linked, serving, until_clear
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.errors import FaultNotHeldError
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.application.capabilities import LinkDelay, TargetFailedError

LATE = LinkDelay(delay=60 * MS)


async def test_the_faults_of_two_tasks_on_one_system_add_up_and_end_one_by_one(
    control: Path,
) -> None:
    async def slow(fault: str) -> None:
        await keeper.delay(str(control), "orders", fault=fault, latency=LATE)

    async with (
        serving(control) as at,
        LinkControl(control) as watcher,
        LinkKeeper().opened() as keeper,
        await dial(at["orders"]) as client,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow, "a")
            tasks.start_soon(slow, "b")
        both = await faults_on(watcher)
        both_ms = await round_trip(client)
        facts = await keeper.clear(str(control), "orders", fault="a")

        assert sorted(both) == ["a", "b"]
        assert both_ms >= 4 * 60 - 5
        assert facts == {"connections_open": 1}
        assert await faults_on(watcher) == ["b"]


async def test_a_fault_outlasts_the_task_that_injected_it_and_another_ends_it(
    control: Path,
) -> None:
    async def slow() -> None:
        await keeper.delay(str(control), "orders", fault="f", latency=LATE)

    async def slow_until_cancelled() -> None:
        await keeper.delay(str(control), "quotes", fault="g", latency=LATE)
        tasks.cancel_scope.cancel()
        await anyio.sleep_forever()

    async with (
        serving(control, "orders", "quotes"),
        LinkControl(control) as watcher,
        LinkKeeper().opened() as keeper,
    ):
        for inject in (slow, slow_until_cancelled):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(inject)
        await anyio.sleep(0.05)

        assert [await faults_on(watcher, link) for link in ("orders", "quotes")] == [["f"], ["g"]]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: keeper.clear(str(control), "orders", fault="f"))
        assert await faults_on(watcher) == []


async def test_all_faults_of_all_systems_end_with_the_context(control: Path) -> None:
    other = control.with_name("other.sock")
    async with (
        serving(control),
        serving(other),
        LinkControl(control) as here,
        LinkControl(other) as there,
    ):
        async with LinkKeeper().opened() as keeper:
            for socket_ in (control, other):
                for fault in ("a", "b"):
                    await keeper.delay(str(socket_), "orders", fault=fault, latency=LATE)
            before = [len(await faults_on(links)) for links in (here, there)]

        assert before == [2, 2]
        await until_clear(here, within_s=1)
        await until_clear(there, within_s=1)


async def test_an_error_in_the_body_comes_out_as_it_is_and_ends_the_faults(control: Path) -> None:
    async def body() -> None:
        async with LinkKeeper().opened() as keeper:
            await keeper.delay(str(control), "orders", fault="f", latency=LATE)
            raise FaultNotHeldError(link="orders", fault="f")

    async with serving(control), LinkControl(control) as watcher:
        with pytest.raises(FaultNotHeldError):
            await body()

        await until_clear(watcher, within_s=1)


async def test_where_no_proxy_runs_there_is_nothing_to_clear(control: Path) -> None:
    async with LinkKeeper().opened() as keeper:
        never = await keeper.clear(str(control), "orders", fault="f")
        async with linked(control) as (_, process):
            await keeper.delay(str(control), "orders", fault="f", latency=LATE)
            process.kill()
            process.wait()
        assert control.exists()
        killed = await keeper.clear(str(control), "orders", fault="f")

    assert never == killed == {"proxy": "not running"}


async def test_a_proxy_that_runs_and_gives_no_answer_is_not_taken_for_cleared(
    control: Path,
) -> None:
    control.parent.mkdir()
    async with (
        await anyio.create_unix_listener(control) as listener,
        anyio.create_task_group() as tasks,
        LinkKeeper().opened() as keeper,
    ):
        tasks.start_soon(listener.serve, lambda stream: stream.aclose())
        with pytest.raises(TargetFailedError, match="no answer from the links"):
            await keeper.clear(str(control), "orders", fault="f")
        tasks.cancel_scope.cancel()


async def test_a_link_that_is_not_carried_is_named(control: Path) -> None:
    async with serving(control), LinkKeeper().opened() as keeper:
        with pytest.raises(TargetFailedError, match="did you mean 'orders'"):
            await keeper.delay(str(control), "oders", fault="f", latency=LATE)
