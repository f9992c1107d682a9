"""How a service is started, once, and what is told when it is not."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import anyio
import psutil
import pytest

from support.target_systems import GRACE, server
from support.target_world import World, edit, in_another_process
from test_coordination.application.capabilities import ServiceStatus, TargetFailedError
from test_coordination.domain.topology import Health

pytestmark = pytest.mark.anyio


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
