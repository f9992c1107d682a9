"""A whole system of processes: up, down, and the links between."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.target_systems import answers, link, server, system
from support.target_world import World
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.specify import links_socket
from test_coordination.application.capabilities import ServiceStatus, TargetFailedError

pytestmark = pytest.mark.anyio


async def test_locating_a_service_touches_nothing_and_no_name_leaves_the_folder(
    tmp_path: Path,
) -> None:
    topology = system(tmp_path, server("../../etc/x"))

    handle = ProcessServices().locate(topology, next(iter(topology.services)))

    assert Path(handle).parent == tmp_path / "state/services"
    assert list(tmp_path.iterdir()) == []


async def test_a_system_comes_up_in_the_order_of_dependencies_and_goes_down(
    world: World,
) -> None:
    topology = await world.declared(
        server("loadgen", depends_on=("engine",)),
        server("engine", depends_on=("database",)),
        server("database"),
        server("auditor"),
    )

    await world.system.up(topology)
    handles = {name: world.services.locate(topology, name) for name in topology.services}
    up = {name: await world.services.observe(handle) for name, handle in handles.items()}
    await world.system.up(topology)
    again = {name: await world.services.observe(handle) for name, handle in handles.items()}
    await world.system.down(topology)
    down = {(await world.services.observe(handle)).status for handle in handles.values()}
    await world.system.down(topology)

    assert all(state.healthy for state in up.values())
    assert up == again
    births = [up[name].born.split(":")[1] for name in up if name != "auditor"]
    assert births == sorted(births, key=int, reverse=True)
    assert down == {ServiceStatus.STOPPED}


async def test_what_depends_on_a_broken_service_is_not_started_and_the_rest_runs(
    world: World,
) -> None:
    database, engine, auditor = (
        server("database", "--fail", "no disk"),
        server("engine", depends_on=("database",)),
        server("auditor"),
    )
    topology = await world.declared(database, engine, auditor)

    with pytest.raises(TargetFailedError, match="no disk"):
        await world.system.up(topology)

    seen = [
        (await world.services.observe(world.services.locate(topology, one.name))).status
        for one in (engine, auditor)
    ]
    assert seen == [ServiceStatus.STOPPED, ServiceStatus.RUNNING]


async def test_a_service_that_left_the_topology_goes_down_with_the_system(world: World) -> None:
    old, new = server("old"), server("new")
    topology = await world.declared(old)
    await world.system.up(topology)
    handle = world.services.locate(topology, old.name)

    await world.system.down(await world.declared(new))

    assert (await world.services.observe(handle)).status is ServiceStatus.STOPPED


async def test_links_come_up_before_the_services_and_carry_traffic(tmp_path: Path) -> None:
    world = World(tmp_path / ("d" * 120))
    exchange = server("exchange")
    first, second = link("a-to-x", "a", exchange), link("b-to-x", "b", exchange)
    topology = system(world.directory, exchange, links=(first,))
    wider = system(world.directory, exchange, links=(first, second))
    world.directory.mkdir()
    try:
        await world.system.up(topology)
        one = answers(first.listen)
        await world.system.up(wider)
        both = answers(first.listen) and answers(second.listen)
    finally:
        await world.system.down(wider)

    assert one
    assert both
    assert not answers(first.listen)
    assert not Path(links_socket(topology)).exists()
