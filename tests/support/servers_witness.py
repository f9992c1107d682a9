"""What a test sees of servers from outside: their processes, and whether they answer."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import asyncpg
import psutil

from test_coordination.adapters.servers.embedded import ServerUrls

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("servers_program.py")
SERVERS = {"postgres", "valkey-server"}
WAIT_S_MAX = 20.0
BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%10^12%' AND pid <> pg_backend_pid()
"""
PR_SET_CHILD_SUBREAPER = 36


class Program:
    """Another program that uses the servers of a directory."""

    def __init__(
        self, kind: str, directory: Path, *, python: str = sys.executable, user: int | None = None
    ) -> None:
        # A file: a pipe would end only with the last server that inherits it.
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by forget
        self.process = subprocess.Popen(
            [python, str(PROGRAM), kind, str(directory)],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path[1:]])},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def urls(self) -> ServerUrls:
        """Wait until the program has servers, and return where they are."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.said()
        return ServerUrls(**json.loads(line))

    def end(self, number: signal.Signals) -> str:
        """Send a signal, wait for the end, and return what was said on standard error."""
        self.process.send_signal(number)
        return self.said()

    def said(self) -> str:
        """Wait for the end, and return what was said on standard error."""
        self.process.wait(30)
        self.errors.seek(0)
        return self.errors.read()

    def forget(self) -> None:
        """Kill it if it still runs, and close what leads to it."""
        with self.process, self.errors:
            self.process.kill()


Start = Callable[..., Program]


@contextlib.contextmanager
def programs(place: Path) -> Iterator[Start]:
    """Lend what starts a `Program` in ``place``; no program or server is left at the end."""
    started: list[Program] = []

    def start(kind: str, directory: Path = place, **options: str | int) -> Program:
        started.append(Program(kind, directory, **options))  # type: ignore[arg-type]  # passed on
        return started[-1]

    try:
        yield start
    finally:
        for program in started:
            program.forget()
        kill_all(place)


def living(directory: Path) -> dict[int, psutil.Process]:
    """Return all server processes that work somewhere in ``directory``; zombies do not live."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            inside = Path(process.cwd()).is_relative_to(directory)
            if inside and process.name() in SERVERS and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process
    return found


async def is_owned(directory: Path) -> bool:
    lock = directory / "owner.lock"
    return lock.exists() and lock.read_text() != ""


def kill_all(directory: Path) -> None:
    """Kill every server in ``directory`` and return when they are gone, though perhaps unreaped."""
    while left := living(directory):
        for process in left.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.01)


async def are_zombies(pids: Sequence[int]) -> bool:
    return all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in pids)


def postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().split("\n")[0])


def valkey(directory: Path) -> int:
    (pid,) = (p.pid for p in living(directory).values() if p.name() == "valkey-server")
    return pid


async def until(holds: Callable[[], Awaitable[bool]]) -> float:
    """Wait until ``holds`` does, and return how long that took."""
    begin = anyio.current_time()
    with anyio.fail_after(WAIT_S_MAX):
        while True:
            if await holds():
                return anyio.current_time() - begin
            await anyio.sleep(0.02)


async def nobody_lives_in(directory: Path) -> None:
    """Return once no server process is left; a test that waits for this in vain fails."""

    async def deserted() -> bool:
        return not living(directory)

    await until(deserted)


async def query(urls: ServerUrls, statement: str = "SELECT 1") -> object:
    """Return the first value of a statement, on a new connection."""
    connection = await asyncpg.connect(urls.postgres)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def command(urls: ServerUrls, words: str) -> str:
    """Return the raw answer of Valkey to an inline command, on a new connection."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(unquote(urlsplit(urls.redis).path))
        client.sendall(words.encode() + b"\r\n")
        return client.recv(1000).decode()


async def postgres_serves(urls: ServerUrls) -> bool:
    try:
        return await query(urls) == 1
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def valkey_serves(urls: ServerUrls) -> bool:
    try:
        return command(urls, "PING") == "+PONG\r\n"
    except OSError:
        return False


async def serving(urls: ServerUrls, *servers: Callable[[ServerUrls], Awaitable[bool]]) -> float:
    """Wait until the servers answer, by default both, and return how long that took."""
    waits_s = [
        await until(partial(serves, urls)) for serves in servers or (postgres_serves, valkey_serves)
    ]
    return sum(waits_s)


def target_urls(directory: Path) -> ServerUrls:
    """Return where servers that run in the foreground in ``directory`` listen."""
    return ServerUrls(
        postgres=f"postgresql://postgres@/postgres?host={directory}",
        redis=f"unix://{directory}/valkey.sock",
    )


async def keep_busy(urls: ServerUrls) -> None:
    """Have a backend compute, deaf to all but signals, until it is gone."""
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await query(urls, "SELECT count(*) FROM generate_series(1, (10^12)::bigint)")


async def is_busy(urls: ServerUrls) -> bool:
    return await query(urls, BUSY) == 1


@contextlib.contextmanager
def no_reaper() -> Iterator[None]:
    """Leave dead orphans unreaped, as the first process of many containers does."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for child in psutil.Process().children():
            if child.status() == psutil.STATUS_ZOMBIE and child.name() in SERVERS:
                os.waitpid(child.pid, 0)
