"""Starts a server, waits until it serves, starts it again when it dies, and stops it."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Final, Protocol

import anyio
from anyio import to_thread
from anyio.abc import Process

from test_coordination.adapters.servers.errors import GaveUpError, StartFailedError
from test_coordination.adapters.servers.launch import Launch, spawn

START_S_MAX: Final = 120.0
POLL_S: Final = 0.01
STOP_S_MAX: Final = 15.0
KILL_S_MAX: Final = 10.0
DEATHS_MAX: Final = 5
DEATHS_WINDOW_S: Final = 60.0
PAUSE_S_MIN: Final = 0.05
LOG_BYTES_MAX: Final = 10_000_000
TAIL_BYTES: Final = 2000

log = logging.getLogger(__name__)


class Server(Protocol):
    """A kind of server, and where one of it lives."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def home(self) -> Path:
        """The directory of all its files."""
        ...

    @property
    def workplace(self) -> Path:
        """The directory that all its processes work in, by which they are told from others."""
        ...

    @property
    def stop_signal(self) -> Signals:
        """What makes it stop at once, with nothing lost."""
        ...

    @property
    def url(self) -> str:
        """How a client reaches it."""
        ...

    def prepare(self) -> Launch:
        """Put all in place for a start, removing what an earlier server left; may take seconds.

        Repeating it is safe, after an interruption too. The caller owns the directory.

        Raises:
            NoBinaryError: there is nothing to start.
            DirectoryUnreachableError: the account that it runs as cannot get to its directory.
            DirectoryUnusableError: the directory cannot be used.
            LeftoversRemainError: what an earlier server left cannot be removed.
            StartFailedError: its files cannot be made.
        """
        ...

    def clear(self) -> None:
        """End all its processes and remove what would keep it from starting.

        Raises:
            LeftoversRemainError: some do not end.
        """
        ...

    async def is_ready(self, pid: int) -> bool:
        """Say whether the server that was started as ``pid`` serves by now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The file a server writes to. Never a pipe: one that nobody reads stops its writer."""

    path: Path

    def open(self) -> tuple[int, int]:
        """Return a descriptor for appending, which the caller closes, and where it begins."""
        if self.path.exists() and self.path.stat().st_size > LOG_BYTES_MAX:
            self.path.replace(self.path.with_suffix(".log.old"))
        descriptor = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        return descriptor, os.fstat(descriptor).st_size

    def tail(self, since: int = 0) -> str:
        """Return the end of what was written, from the byte ``since`` on."""
        with self.path.open("rb") as file:
            file.seek(max(since, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode(errors="replace").strip()


async def keep_running(server: Server, record: Log, *, serving: anyio.Event) -> None:
    """Run ``server`` until cancelled, and start it again whenever it dies.

    ``serving`` is set once it serves for the first time. Cancelled, it stops the server and
    returns when that is done. Starts in the main thread only.

    Raises:
        StartFailedError: the first start failed; so may all that `Server.prepare` raises.
        GaveUpError: the server died `DEATHS_MAX` times within `DEATHS_WINDOW_S`.
    """
    deaths: list[float] = []
    while True:
        try:
            async with running(server, record) as process:
                serving.set()
                status = await process.wait()
        except StartFailedError as error:
            if not serving.is_set():
                raise
            cause = str(error)
        else:
            cause = f"process {process.pid} ended with status {status}"
        now = anyio.current_time()
        deaths = [death for death in deaths if now - death < DEATHS_WINDOW_S] + [now]
        if len(deaths) >= DEATHS_MAX:
            raise GaveUpError(
                server=server.name,
                directory=server.home,
                deaths=len(deaths),
                window_s=DEATHS_WINDOW_S,
                log_tail=record.tail(),
            )
        log.warning("%s died and is started again: %s", server.name, cause)
        await anyio.sleep(PAUSE_S_MIN * 2 ** len(deaths))


@asynccontextmanager
async def running(server: Server, record: Log) -> AsyncGenerator[Process]:
    """Lend a server that serves; it is stopped at the end, by force if it does not hurry.

    Raises:
        StartFailedError: it ended, or did not serve within `START_S_MAX`; nothing of it runs.
    """
    launch = await to_thread.run_sync(server.prepare)
    output, since = record.open()
    try:
        with anyio.CancelScope(shield=True):  # short, and a child that nobody holds is an orphan
            process = await spawn(launch, on_parent_death=server.stop_signal, output=output)
    finally:
        os.close(output)
    try:
        if (trouble := await _trouble_in_start(server, process)) is not None:
            raise StartFailedError(
                server=server.name,
                directory=server.home,
                cause=trouble,
                log_tail=record.tail(since),
            )
        yield process
    finally:
        await _stop(server, process)


async def _trouble_in_start(server: Server, process: Process) -> str | None:
    """Wait until the server serves and return None, or what kept it from that."""
    with anyio.move_on_after(START_S_MAX):
        while process.returncode is None:
            if await server.is_ready(process.pid):
                return None
            await anyio.sleep(POLL_S)
        return f"process {process.pid} ended with status {process.returncode}"
    return f"it does not serve {START_S_MAX:g} s after its start"


async def _stop(server: Server, process: Process) -> None:
    """Stop the server, and see to it that none of its processes remains."""
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.send_signal(server.stop_signal)
        with anyio.move_on_after(STOP_S_MAX):
            await process.wait()
            return
        log.warning("%s did not stop within %g s and is killed", server.name, STOP_S_MAX)
        process.kill()
        with anyio.fail_after(KILL_S_MAX):
            await process.wait()
        await to_thread.run_sync(server.clear)
