"""Services as real processes: started, stopped, frozen, lost and found again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import psutil
import pytest

from support.target_systems import GRACE, answers, free_port, link, server, system
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.specify import links_socket
from test_coordination.adapters.targets.system import ProcessSystem
from test_coordination.application.capabilities import (
    Handle,
    ServiceStatus,
    TargetFailedError,
    TargetGoneError,
)
from test_coordination.domain.topology import Address, Health, Service, Topology

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
SHORT = timedelta(milliseconds=300)


class World:
    """One topology at a time, and the hand on its services."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.services = ProcessServices()
        self.system = ProcessSystem(self.services)
        self.topologies: list[Topology] = []

    async def declared(self, *services: Service) -> Topology:
        topology = system(self.directory, *services)
        self.topologies.append(topology)
        await self.system.declare(topology)
        return topology

    async def one(self, service: Service) -> Handle:
        return self.services.locate(await self.declared(service), service.name)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    world = World(tmp_path)
    yield world
    for topology in world.topologies:
        await world.system.down(topology)


def session_of(pid: int | None) -> list[psutil.Process]:
    assert pid is not None
    return [
        process
        for process in psutil.process_iter()
        if process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == pid
    ]


def in_another_process(handle: Handle, call: str) -> subprocess.Popen[str]:
    program = f"""
import sys, anyio
from datetime import timedelta
from test_coordination.adapters.targets.process import ProcessServices
state = anyio.run(lambda: ProcessServices().{call})
print(state.pid if state else None)
"""
    return subprocess.Popen(
        [sys.executable, "-c", program, handle],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )


def edit(handle: Handle, change: Callable[[dict[str, object]], None]) -> None:
    record = json.loads(Path(handle).read_text())
    change(record["launch"])
    Path(handle).write_text(json.dumps(record))


async def test_a_service_is_started_seen_and_stopped(world: World) -> None:
    service = server("exchange", environment={"GREETING": "a good day"})
    handle = await world.one(service)

    started = await world.services.start(handle)
    seen = await world.services.observe(handle)
    served = answers(service.ports["http"])
    await world.services.stop(handle, grace=GRACE)
    after = await world.services.observe(handle)

    assert started.status is ServiceStatus.RUNNING
    assert (seen.healthy, seen.pid, seen.born) == (True, started.pid, started.born)
    assert served
    assert seen.started_at is not None
    assert (after.status, after.healthy) == (ServiceStatus.STOPPED, False)
    assert not answers(service.ports["http"])
    log = world.directory / "state/services/exchange.log"
    assert log.read_text() == f"serving as {started.pid} with a good day\n"


async def test_nothing_of_ours_but_what_is_needed_reaches_a_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_PASSWORD", "secret")
    handle = await world.one(server("exchange", environment={"GREETING": "hello"}))

    state = await world.services.start(handle)

    environment = psutil.Process(state.pid).environ()
    assert "OUR_PASSWORD" not in environment
    assert (environment["PATH"], environment["GREETING"]) == (os.environ["PATH"], "hello")
    assert Path(handle).stat().st_mode & 0o777 == 0o600


async def test_starting_what_runs_changes_nothing(world: World) -> None:
    handle = await world.one(server("exchange"))

    first = await world.services.start(handle)
    second = await world.services.start(handle)

    assert first == second


async def test_a_restarted_service_has_another_birth(world: World) -> None:
    handle = await world.one(server("exchange"))

    first = await world.services.start(handle)
    await world.services.stop(handle, grace=GRACE)
    second = await world.services.start(handle)

    assert first.born != second.born
    assert second.healthy


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_children_of_a_service_end_with_it(world: World, end: str) -> None:
    handle = await world.one(server("exchange", "--children", "3", "--linger"))
    state = await world.services.start(handle)
    family = session_of(state.pid)

    if end == "stop":
        await world.services.stop(handle, grace=SHORT)
    else:
        await world.services.kill(handle)

    assert len(family) == 4
    assert session_of(state.pid) == []


async def test_children_left_behind_by_a_crash_are_found_and_ended(world: World) -> None:
    service = server("exchange", "--children", "2", "--linger")
    handle = await world.one(service)
    state = await world.services.start(handle)
    assert state.pid is not None
    os.kill(state.pid, signal.SIGKILL)
    await anyio.sleep(0.1)

    seen = await world.services.observe(handle)
    left = session_of(state.pid)
    again = await world.services.start(handle)

    assert seen.status is ServiceStatus.STOPPED
    assert len(left) == 2
    assert session_of(state.pid) == []
    assert again.healthy


async def test_a_service_that_ignores_the_request_is_killed_after_grace(world: World) -> None:
    handle = await world.one(server("exchange", "--ignore-term"))
    await world.services.start(handle)

    began = time.monotonic()
    await world.services.stop(handle, grace=SHORT)
    took_s = time.monotonic() - began

    assert SHORT.total_seconds() <= took_s < 2
    assert (await world.services.observe(handle)).status is ServiceStatus.STOPPED


async def test_a_paused_service_stands_still_with_all_its_children_until_resumed(
    world: World,
) -> None:
    service = server("exchange", "--children", "2")
    handle = await world.one(service)
    state = await world.services.start(handle)

    await world.services.pause(handle)
    paused = await world.services.observe(handle)
    states = {process.status() for process in session_of(state.pid)}
    served = answers(service.ports["http"], limit_s=0.3)
    await world.services.resume(handle)

    assert (paused.status, paused.healthy) == (ServiceStatus.PAUSED, False)
    assert states == {psutil.STATUS_STOPPED}
    assert not served
    assert answers(service.ports["http"])
    assert (await world.services.observe(handle)).born == state.born


@pytest.mark.parametrize("health", [Health(tcp="http"), Health()])
async def test_a_paused_service_is_not_healthy_though_its_port_accepts(
    world: World, health: Health
) -> None:
    handle = await world.one(server("exchange", health=health))
    await world.services.start(handle)

    await world.services.pause(handle)

    assert not (await world.services.observe(handle)).healthy


async def test_a_paused_service_can_be_stopped_in_order(world: World) -> None:
    handle = await world.one(server("exchange"))
    await world.services.start(handle)
    await world.services.pause(handle)

    began = time.monotonic()
    await world.services.stop(handle, grace=timedelta(seconds=30))

    assert time.monotonic() - began < 5


async def test_a_paused_service_is_not_started_but_named(world: World) -> None:
    handle = await world.one(server("exchange"))
    await world.services.start(handle)
    await world.services.pause(handle)

    with pytest.raises(TargetFailedError, match="paused; resume or stop it first"):
        await world.services.start(handle)


async def test_a_service_that_ends_at_once_shows_its_log_and_status(world: World) -> None:
    handle = await world.one(server("exchange", "--fail", "the database is not there"))

    with pytest.raises(TargetFailedError, match="the database is not there") as refused:
        await world.services.start(handle)

    assert "it ended with 3" in str(refused.value)


async def test_a_service_that_never_answers_is_named_and_left_for_a_look(world: World) -> None:
    health = Health(http="/health", timeout=timedelta(seconds=1))
    handle = await world.one(server("exchange", "--mute", health=health))

    with pytest.raises(TargetFailedError, match="not healthy within 1 s") as refused:
        await world.services.start(handle)

    assert "serving as" in str(refused.value)
    assert (await world.services.observe(handle)).status is ServiceStatus.RUNNING


async def test_only_the_log_of_this_start_is_quoted(world: World) -> None:
    handle = await world.one(server("exchange"))
    await world.services.start(handle)
    await world.services.stop(handle, grace=GRACE)
    await world.one(server("exchange", "--fail", "broken now"))

    with pytest.raises(TargetFailedError, match="broken now") as refused:
        await world.services.start(handle)

    assert "serving as" not in str(refused.value)


async def test_a_program_that_is_not_there_is_named(world: World) -> None:
    service = server("exchange")
    broken = type(service)(name=service.name, mark=service.mark, command=("/no/such/program",))
    handle = await world.one(broken)

    with pytest.raises(TargetFailedError, match="No such file or directory: /no/such/program"):
        await world.services.start(handle)


async def test_a_port_that_another_program_holds_is_named_with_its_holder(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        handle = await world.one(server("exchange", port=port))

        with pytest.raises(TargetFailedError) as refused:
            await world.services.start(handle)

    assert f"port {port} ('http')" in str(refused.value)
    assert f"process {os.getpid()}" in str(refused.value)


async def test_a_zombie_is_dead(world: World) -> None:
    handle = await world.one(server("exchange"))
    starter = in_another_process(handle, "start(sys.argv[1])")
    starter.communicate(timeout=20)
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    ticks = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]

    before = await world.services.observe(handle)
    boot = before.born.split(":")[0]
    edit(handle, lambda launch: launch.update(pid=child.pid, born=f"{boot}:{ticks}"))
    seen = await world.services.observe(handle)
    edit(handle, lambda launch: launch.update(pid=before.pid, born=before.born))

    child.wait()
    assert seen.status is ServiceStatus.STOPPED


async def test_a_dead_child_of_ours_leaves_no_zombie(world: World) -> None:
    handle = await world.one(server("exchange"))
    state = await world.services.start(handle)

    await world.services.kill(handle)

    assert state.pid is not None
    assert not psutil.pid_exists(state.pid)
    assert "killed by signal 9" in (await world.services.observe(handle)).detail


@pytest.mark.parametrize("birth", ["{boot}:1", "another-boot:{ticks}"])
async def test_a_stranger_with_the_pid_of_a_service_is_never_touched(
    world: World, birth: str
) -> None:
    service = server("exchange")
    handle = await world.one(service)
    state = await world.services.start(handle)
    boot, ticks = state.born.split(":")
    edit(handle, lambda launch: launch.update(born=birth.format(boot=boot, ticks=ticks)))

    await world.services.stop(handle, grace=SHORT)
    await world.services.kill(handle)
    await world.services.resume(handle)
    with pytest.raises(TargetGoneError):
        await world.services.pause(handle)
    served = answers(service.ports["http"])
    edit(handle, lambda launch: launch.update(born=state.born))

    assert served


async def test_children_in_a_session_that_is_not_ours_are_not_touched(world: World) -> None:
    handle = await world.one(server("exchange", "--children", "1"))
    state = await world.services.start(handle)
    assert state.pid is not None
    os.kill(state.pid, signal.SIGKILL)
    await anyio.sleep(0.1)
    await world.services.observe(handle)
    mark = json.loads(Path(handle).read_text())["launch"]["mark"]

    edit(handle, lambda launch: launch.update(mark="somebody else's"))
    await world.services.kill(handle)
    left = session_of(state.pid)
    edit(handle, lambda launch: launch.update(mark=mark))
    await world.services.kill(handle)

    assert len(left) == 1
    assert session_of(state.pid) == []


async def test_two_processes_that_start_a_service_at_once_start_one(world: World) -> None:
    handle = await world.one(server("exchange"))

    starters = [in_another_process(handle, "start(sys.argv[1])") for _ in range(3)]
    pids = {starter.communicate(timeout=30)[0].strip() for starter in starters}

    assert pids == {str((await world.services.observe(handle)).pid)}
    log = world.directory / "state/services/exchange.log"
    assert log.read_text().count("serving") == 1


async def test_two_tasks_that_start_a_service_at_once_start_one(world: World) -> None:
    handle = await world.one(server("exchange"))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(world.services.start, handle)

    log = world.directory / "state/services/exchange.log"
    assert log.read_text().count("serving") == 1


async def test_a_service_outlives_its_starter_and_is_stopped_by_another(world: World) -> None:
    handle = await world.one(server("exchange"))

    starter = in_another_process(handle, "start(sys.argv[1])")
    pid = int(starter.communicate(timeout=20)[0])
    seen = await world.services.observe(handle)
    await world.services.stop(handle, grace=GRACE)

    assert (seen.pid, seen.healthy) == (pid, True)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_a_launch_whose_starter_died_half_way_is_found_by_its_mark(world: World) -> None:
    handle = await world.one(server("exchange"))
    state = await world.services.start(handle)
    edit(handle, lambda launch: launch.update(pid=None, born="", started_at=None))

    found = await world.services.start(handle)

    assert (found.pid, found.born) == (state.pid, state.born)


async def test_a_service_that_was_never_declared_is_stopped_and_cannot_start(
    world: World,
) -> None:
    handle = str(world.directory / "nowhere.json")

    state = await world.services.observe(handle)
    await world.services.stop(handle, grace=GRACE)
    with pytest.raises(TargetFailedError, match="bring the whole system up once"):
        await world.services.start(handle)

    assert state.status is ServiceStatus.STOPPED


async def test_a_broken_state_file_is_named(world: World) -> None:
    handle = await world.one(server("exchange"))
    whole = Path(handle).read_text()
    Path(handle).write_text(whole[:20])

    with pytest.raises(TargetFailedError, match="remove it and start again"):
        await world.services.observe(handle)
    Path(handle).write_text(whole)


async def test_locating_a_service_touches_nothing_and_no_name_leaves_the_folder(
    tmp_path: Path,
) -> None:
    topology = system(tmp_path, server("../../etc/x"))

    handle = ProcessServices().locate(topology, next(iter(topology.services)))

    assert Path(handle).parent == tmp_path / "state/services"
    assert list(tmp_path.iterdir()) == []


async def test_a_service_is_healthy_by_its_unix_socket_however_long_the_path(
    tmp_path: Path,
) -> None:
    directory = tmp_path / ("d" * 120)
    world = World(directory)
    directory.mkdir()
    service = server("exchange", "--unix", "s.sock", health=Health(unix="s.sock"))
    handle = await world.one(service)

    state = await world.services.start(handle)
    await world.services.stop(handle, grace=GRACE)

    assert state.healthy
    assert len(str(directory / "s.sock")) > 107


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


async def test_an_address_that_answers_for_a_stopped_service_is_told(world: World) -> None:
    port = free_port()
    handle = await world.one(server("exchange", port=port, health=Health(tcp="http")))

    with socket.create_server(("127.0.0.1", port)):
        seen = await world.services.observe(handle)

    assert (seen.status, seen.healthy) == (ServiceStatus.STOPPED, True)
    assert not answers(Address(host="127.0.0.1", port=port))
