"""What the kernel knows of processes and sockets, and how both are reached."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
# Fields of /proc/<pid>/stat after the name, which may hold blanks and parentheses itself.
_STATE, _PARENT, _GROUP, _SESSION, _START = 0, 1, 2, 3, 19
STAT_BYTES_MAX: Final = 4096
_DEAD: Final = frozenset("ZXx")
_STOPPED: Final = "T"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as it was when it was looked at; ``ticks`` tell it from others of its pid."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    ticks: int

    @property
    def alive(self) -> bool:
        """Tell whether it can still do anything: a zombie can not."""
        return self.state not in _DEAD

    @property
    def paused(self) -> bool:
        """Tell whether it stands still by a signal."""
        return self.state == _STOPPED

    @property
    def born(self) -> str:
        """Return what no other process has, on this machine and at any time."""
        return f"{boot()}:{self.ticks}"


@cache
def boot() -> str:
    """Return what tells this boot of the machine from any other."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def look(pid: int) -> Process | None:
    """Return the process that has ``pid`` now, a zombie too; None if there is none."""
    stat = _stat(pid)
    if stat is None:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        state=fields[_STATE].decode(),
        parent=int(fields[_PARENT]),
        group=int(fields[_GROUP]),
        session=int(fields[_SESSION]),
        ticks=int(fields[_START]),
    )


def _stat(pid: int) -> bytes | None:
    # All processes are looked at often. A `Path` is slow to make, and interns the name of each:
    # what the interpreter keeps those in, some MiB, would be made anew all the time, in any thread.
    try:
        descriptor = os.open(f"{PROC}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, STAT_BYTES_MAX)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def everyone() -> Iterator[Process]:
    """Yield the processes that can be seen, zombies too."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (found := look(int(entry.name))) is not None:
            yield found


def carries(pid: int, variable: str, value: str) -> bool:
    """Tell whether a process was started with that environment variable, as far as it shows."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{variable}={value}".encode() in environment.split(b"\0")


def send(process: Process, number: signal.Signals) -> bool:
    """Send a signal to this very process; False if it is gone, or is out of our reach.

    Whoever has its pid by then is not hit.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # The descriptor holds whoever has the pid now; only if that is still the same process
        # (its birth says so) may it be hit.
        now = look(process.pid)
        if now is None or now.ticks != process.ticks:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def reap(process: Process) -> int | None:
    """Take leave of a dead child of ours and return its exit status, negative for a signal."""
    if process.alive or process.parent != os.getpid():
        return None
    try:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if pid else None


@contextmanager
def nearby(path: Path) -> Iterator[str]:
    """Lend another name for the socket at ``path``, short enough for any socket.

    An address of a socket has at most 107 bytes; through a descriptor of its folder any path
    fits.

    Raises:
        OSError: there is no such folder.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
