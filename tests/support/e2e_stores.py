"""A PostgreSQL or a Valkey that is none of the coordinator's, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import sleep
from typing import Final

import anyio
import asyncpg
import psutil

from support.e2e_terminal import Running, Terminal
from support.servers_witness import (
    kill_all,
    living,
    postgres_serves,
    query,
    target_urls,
    until,
    valkey_serves,
)
from test_coordination.adapters.postgres.pool import APPLICATION
from test_coordination.adapters.servers.embedded import ServerUrls

BALLAST: Final = "ballast"
CHUNK: Final = bytes(65_536)
TRIES_MAX: Final = 100
LOOK_S: Final = 0.2
OURS: Final = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = $1
    ORDER BY pid
"""
READ_ONLY: Final = "default_transaction_read_only = on\n"


@dataclass(slots=True, kw_only=True)
class Store:
    """One server in a directory of its own; started again it has the data that it had."""

    terminal: Terminal
    kind: str
    directory: Path
    running: Running | None = field(default=None)

    @property
    def urls(self) -> ServerUrls:
        return target_urls(self.directory)

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.running = self.terminal.start("server", self.kind, "--directory", self.directory)
        serves = {"postgres": postgres_serves, "valkey": valkey_serves}[self.kind]
        anyio.run(until, partial(serves, self.urls))

    def stop(self) -> None:
        """Stop it in order, and at once; return when it has ended."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                self.running.gets(signal.SIGINT if self.kind == "postgres" else signal.SIGTERM)
            self.running.ends()
            self.running = None

    def kill(self) -> None:
        """Kill all its processes."""
        kill_all(self.directory)
        if self.running is not None:
            self.running.ends()
            self.running = None

    def said(self) -> str:
        """Return what it has said since it was started last."""
        return "" if self.running is None else self.running.err()

    def freeze(self) -> None:
        """Stop its processes where they stand: connections stay, and nobody is answered."""
        self._each(psutil.Process.suspend)

    def thaw(self) -> None:
        """Let its processes go on."""
        self._each(psutil.Process.resume)

    def _each(self, act: Callable[[psutil.Process], None]) -> None:
        for process in living(self.directory).values():
            with suppress(psutil.NoSuchProcess):
                act(process)

    def move(self, name: str) -> None:
        """Have a PostgreSQL that does not run beside where it was, as one that takes no writes."""
        self.directory = self.directory.rename(self.directory.with_name(name))
        with self._configuration.open("a") as written:
            written.write(READ_ONLY)

    def promote(self) -> None:
        """Let it take writes; connections that there are hear of it."""
        text = self._configuration.read_text()
        self._configuration.write_text(text.replace(READ_ONLY, ""))
        assert self.running is not None
        self.running.gets(signal.SIGHUP)

    @property
    def _configuration(self) -> Path:
        return self.directory / "data" / "postgresql.auto.conf"

    def fill(self) -> None:
        """Leave no byte free on the disk of its data."""
        with suppress(OSError), (self.directory / BALLAST).open("wb", buffering=0) as file:
            while file.write(CHUNK):
                pass

    def free(self) -> None:
        """Make room on the disk of its data again."""
        (self.directory / BALLAST).unlink(missing_ok=True)

    def panic(self) -> str:
        """Have a PostgreSQL whose disk is full begin another file of its log; tell what it said.

        It dies of that, unless it finds an old file that it can use again.
        """
        assert self.running is not None
        for _ in range(TRIES_MAX):
            if self.running.process.poll() is not None:
                break
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self.ask("SELECT pg_switch_wal() FROM pg_logical_emit_message(true, '', '')")
            sleep(LOOK_S)
        died, self.running = self.running.ends(), None
        return died.err

    def ask(self, statement: str) -> object:
        """Return the first value that a statement of PostgreSQL gives."""
        return anyio.run(query, self.urls, statement)

    def cut_one(self, chance: Random) -> bool:
        """Have PostgreSQL break off one connection of ours; tell whether there was one."""
        return anyio.run(_cut_one, self.urls.postgres, chance)


async def _cut_one(url: str, chance: Random) -> bool:
    own = await asyncpg.connect(url)
    try:
        found = [row["pid"] for row in await own.fetch(OURS, APPLICATION)]
        if found:
            await own.execute("SELECT pg_terminate_backend($1)", chance.choice(found))
        return bool(found)
    finally:
        await own.close()


@contextmanager
def store(terminal: Terminal, kind: str, directory: Path) -> Iterator[Store]:
    """Lend a server of this kind that runs."""
    lent = Store(terminal=terminal, kind=kind, directory=directory)
    lent.start()
    try:
        yield lent
    finally:
        lent.thaw()
        lent.kill()


@contextmanager
def small_disk(place: Path, *, megabytes: int) -> Iterator[bool]:
    """Lend ``place``, made anew, as a disk of its own; tell whether it is one.

    Where it may not be one, because only root may have that, it is a directory as any other.
    """
    place.mkdir()
    mount = shutil.which("mount")
    options = ("-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", place)
    done = mount is not None and os.geteuid() == 0 and _succeeds(mount, *options)
    try:
        yield done
    finally:
        if done:
            assert _succeeds("umount", "--lazy", place)


def _succeeds(*words: str | Path) -> bool:
    return subprocess.run(words, check=False, capture_output=True).returncode == 0
