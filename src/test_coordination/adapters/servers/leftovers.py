"""Processes that an earlier server left behind: found by where they work, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from test_coordination.adapters.servers.errors import LeftoversRemainError

PROC: Final = Path("/proc")
POLL_S: Final = 0.02
GENTLE_S_MAX: Final = 5.0
KILL_S_MAX: Final = 5.0


def living(directory: Path, programs: Sequence[str]) -> tuple[int, ...]:
    """Return the processes that run one of ``programs`` and work in ``directory``.

    A server changes to its data directory, and all its children stay there. This is proof where
    a process id in a file is none: the id may be another's by now, or that of a zombie that
    nobody reaps, and a zombie works nowhere.
    """
    return tuple(
        int(entry.name)
        for entry in PROC.iterdir()
        if entry.name.isdecimal() and _works_in(entry, directory, programs)
    )


def end_leftovers(directory: Path, programs: Sequence[str], *, stop_signal: signal.Signals) -> None:
    """End all who work in ``directory``, in the end by force; call it only while you own that.

    Raises:
        LeftoversRemainError: some did not even end when they were killed.
    """
    pids: tuple[int, ...] = ()
    for number, patience_s in ((stop_signal, GENTLE_S_MAX), (signal.SIGKILL, KILL_S_MAX)):
        deadline = time.monotonic() + patience_s
        told: set[int] = set()
        while pids := living(directory, programs):
            for pid in set(pids) - told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told.update(pids)
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        else:
            return
    raise LeftoversRemainError(directory=directory, pids=pids)


def _works_in(process: Path, directory: Path, programs: Sequence[str]) -> bool:
    try:
        # A program that was replaced on disk is called "/path/of/it (deleted)".
        program = (process / "exe").readlink().name.partition(" ")[0]
        return program in programs and (process / "cwd").readlink() == directory
    except OSError:
        return False
