"""What it takes to start a program as a server, and the three ways to do it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from types import MappingProxyType
from typing import ClassVar, Final, NoReturn

import anyio
from anyio.abc import Process

from test_coordination.adapters.servers import become
from test_coordination.adapters.servers.account import Account

# Nothing is inherited: a server must not depend on who starts it.
ENVIRONMENT: Final = MappingProxyType({"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A program ready to be started: all files are in place, and ``account`` can run it."""

    env: ClassVar[Mapping[str, str]] = ENVIRONMENT

    argv: tuple[str, ...]
    cwd: Path
    account: Account | None

    @property
    def ids(self) -> tuple[int, int] | None:
        """The user and group to change to; None is no change."""
        return (self.account.uid, self.account.gid) if self.account else None


def run(launch: Launch, *, deadline_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said; it is killed with the calling thread.

    Raises `subprocess.TimeoutExpired` once it has run for ``deadline_s`` and was killed.
    """
    return subprocess.run(  # noqa: S603  the program is one that we have resolved
        _command(launch, on_parent_death=Signals.SIGKILL, parent=os.getpid()),
        env=launch.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
        timeout=deadline_s,
        check=False,
    )


async def spawn(launch: Launch, *, on_parent_death: Signals, output: int) -> Process:
    """Start a child that writes to the descriptor ``output``; the caller stops it.

    It gets ``on_parent_death`` when this thread ends, however it ends. Ctrl-C does not reach it.
    """
    return await anyio.open_process(
        _command(launch, on_parent_death=on_parent_death, parent=os.getpid()),
        env=launch.env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def replace_this_process(launch: Launch) -> NoReturn:
    """Go on as the program, with the same process id, output, and signal at the parent's death."""
    become.become(
        launch.argv,
        launch.env,
        cwd=str(launch.cwd),
        ids=launch.ids,
        on_parent_death=become.death_signal(),
    )


def _command(launch: Launch, *, on_parent_death: Signals, parent: int) -> list[str]:
    """Return the command line of `become`, isolated from all that could change what it imports."""
    ids = f"{launch.ids[0]}:{launch.ids[1]}" if launch.ids else become.NOBODY_ELSE
    arguments = [str(parent), str(int(on_parent_death)), ids, str(launch.cwd), *launch.argv]
    return [sys.executable, "-I", "-S", "-B", become.__file__, *arguments]
