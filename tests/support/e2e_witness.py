"""What the kernel tells of all that was started for one home, whatever the program says."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

GONE_S_MAX = 20.0
DEAD = "ZXx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process that lives: ``state`` is the kernel's letter, T for one that stands still."""

    pid: int
    session: int
    state: str
    command: str


def belonging(place: Path) -> list[Seen]:
    """Return every process that works below ``place``, or was told of it when it was started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if _belongs(entry, place) and (seen := _look(entry)).state not in DEAD:
                    found.append(seen)
    return found


def _belongs(entry: Path, place: Path) -> bool:
    with suppress(OSError):
        if entry.joinpath("cwd").resolve().is_relative_to(place):
            return True
    told = entry.joinpath("cmdline").read_bytes()
    with suppress(PermissionError):
        told += entry.joinpath("environ").read_bytes()
    return os.fsencode(place) in told


def _look(entry: Path) -> Seen:
    stat = entry.joinpath("stat").read_text()
    fields = stat[stat.rindex(")") + 2 :].split()
    command = entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return Seen(pid=int(entry.name), session=int(fields[3]), state=fields[0], command=command)


def kill_all(place: Path) -> None:
    """Kill all that belongs to ``place``, and return when it is gone."""
    limit = monotonic() + GONE_S_MAX
    while left := belonging(place):
        assert monotonic() < limit, f"they do not die: {left}"
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        sleep(0.02)


def left_running(place: Path, *, within_s: float = GONE_S_MAX) -> list[Seen]:
    """Return what still belongs to ``place`` when it had time to end."""
    limit = monotonic() + within_s
    while (left := belonging(place)) and monotonic() < limit:
        sleep(0.05)
    return left


def answer(url: str, *, limit_s: float = 5) -> int:
    """Return the status that a client of a service is given; 0 if there is no answer in time."""
    try:
        with urllib.request.urlopen(url, timeout=limit_s) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
