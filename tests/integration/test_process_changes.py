"""Services as real processes: which one runs is seen, and that it is another one."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import anyio

from support.target_systems import GRACE, server
from support.target_world import World, world
from test_coordination.adapters.targets.changes import ProcessWatch
from test_coordination.domain.topology import Health
from test_coordination.domain.values import ServiceName

__all__ = ["world"]

ALIVE = Health()
SHOP = ServiceName("shop")


async def test_a_service_is_seen_as_another_process_after_it_was_started_again(
    world: World,
) -> None:
    topology = await world.declared(server("shop", health=ALIVE))
    handle = world.services.locate(topology, SHOP)
    watch = ProcessWatch(world.services)

    unseen = await watch.sightings(topology, [SHOP, ServiceName("till")])
    state = await world.services.start(handle)
    (first,) = await watch.sightings(topology, [SHOP])
    (again,) = await watch.sightings(topology, [SHOP])
    await world.services.stop(handle, grace=GRACE)
    stopped = await watch.sightings(topology, [SHOP])
    await world.services.start(handle)
    (second,) = await watch.sightings(topology, [SHOP])

    assert unseen == stopped == []
    assert first == again
    assert (first.service, first.started_at) == (SHOP, state.started_at)
    assert first.mark != second.mark
    assert (first.build, first.place) == (second.build, second.place)
    assert first.started_at < second.started_at


async def test_what_is_launched_differently_is_another_build(world: World) -> None:
    service = server("shop", health=ALIVE)
    topology = await world.declared(service)
    handle = world.services.locate(topology, SHOP)
    await world.services.start(handle)
    watch = ProcessWatch(world.services)
    (first,) = await watch.sightings(topology, [SHOP])

    await world.declared(replace(service, environment={"GREETING": "anew"}))
    await world.services.stop(handle, grace=GRACE)
    await world.services.start(handle)
    (second,) = await watch.sightings(topology, [SHOP])

    assert first.build != second.build


async def test_what_was_killed_or_cannot_be_read_is_not_seen(world: World) -> None:
    topology = await world.declared(server("shop", health=ALIVE))
    handle = world.services.locate(topology, SHOP)
    state = await world.services.start(handle)
    watch = ProcessWatch(world.services)
    assert state.pid is not None

    os.kill(state.pid, signal.SIGKILL)
    with anyio.fail_after(10):
        while killed := await watch.sightings(topology, [SHOP]):  # noqa: ASYNC110  another process ends
            await anyio.sleep(0.01)
    await world.services.stop(handle, grace=GRACE)
    whole = Path(handle).read_text()
    Path(handle).write_text("{")
    damaged = await watch.sightings(topology, [SHOP])
    Path(handle).write_text(whole)

    assert killed == damaged == []
