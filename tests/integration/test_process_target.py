"""Services as real processes: stopped, frozen, lost and found again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import psutil
import pytest

from support.target_systems import GRACE, answers, free_port, server
from support.target_world import World, edit, in_another_process, session_of
from test_coordination.application.capabilities import (
    ServiceStatus,
    TargetFailedError,
    TargetGoneError,
)
from test_coordination.domain.topology import Address, Health, StopSignal

pytestmark = pytest.mark.anyio
SHORT = timedelta(milliseconds=300)


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


@pytest.mark.parametrize("wanted", StopSignal)
async def test_a_service_is_asked_by_the_signal_that_it_wants_and_ends_in_order(
    world: World, wanted: StopSignal
) -> None:
    service = replace(server("exchange", "--only", wanted), stop_signal=wanted)
    handle = await world.one(service)
    await world.services.start(handle)

    began = time.monotonic()
    await world.services.stop(handle, grace=GRACE)
    took_s = time.monotonic() - began

    assert took_s < GRACE.total_seconds()
    assert "it ended with 0" in (await world.services.observe(handle)).detail


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


async def test_a_child_that_others_have_ended_leaves_no_zombie_for_long(world: World) -> None:
    handle = await world.one(server("exchange"))
    state = await world.services.start(handle)
    assert state.pid is not None

    stranger = in_another_process(handle, "kill(sys.argv[1])")
    stranger.communicate(timeout=20)
    left = psutil.Process(state.pid).status()
    other = in_another_process(handle, "start(sys.argv[1])")
    other.communicate(timeout=20)
    await world.services.kill(handle)
    await world.services.start(handle)

    assert left == psutil.STATUS_ZOMBIE
    assert not psutil.pid_exists(state.pid)


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


async def test_a_service_outlives_its_starter_and_is_stopped_by_another(world: World) -> None:
    handle = await world.one(server("exchange"))

    starter = in_another_process(handle, "start(sys.argv[1])")
    pid = int(starter.communicate(timeout=20)[0])
    seen = await world.services.observe(handle)
    await world.services.stop(handle, grace=GRACE)

    assert (seen.pid, seen.healthy) == (pid, True)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_an_address_that_answers_for_a_stopped_service_is_told(world: World) -> None:
    port = free_port()
    handle = await world.one(server("exchange", port=port, health=Health(tcp="http")))

    with socket.create_server(("127.0.0.1", port)):
        seen = await world.services.observe(handle)

    assert (seen.status, seen.healthy) == (ServiceStatus.STOPPED, True)
    assert not answers(Address(host="127.0.0.1", port=port))
