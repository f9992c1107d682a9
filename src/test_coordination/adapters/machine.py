"""Time, new names and processes, from the machine that we run on."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psutil
from uuid_utils import compat

from test_coordination.adapters.kernel import look
from test_coordination.application.fleet import Worker
from test_coordination.domain.values import WorkerId


class SystemClock:
    """The `Clock` of this machine."""

    def __init__(self) -> None:
        self._anchor = datetime.now(UTC)  # noqa: TID251  this is the Clock that others take
        self._anchored_s = time.monotonic()

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._anchor + timedelta(seconds=time.monotonic() - self._anchored_s)


class TimeOrderedIdentities:
    """`Identities` of version 7: they begin with the time, and one process's never go back."""

    def new(self) -> UUID:
        """See `Identities.new`."""
        return compat.uuid7()


class ThisMachine:
    """The `Machine` that we run on."""

    def uptime(self) -> timedelta:
        """See `Machine.uptime`."""
        return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))

    def present(self, worker: WorkerId) -> Worker:
        """See `Machine.present`."""
        process = look(os.getpid())
        assert process is not None, "we are running"
        return Worker(id=worker, host=_host(), pid=process.pid, born=process.born)

    def is_dead(self, worker: Worker) -> bool:
        """See `Machine.is_dead`; of other machines nothing is known."""
        if worker.host != _host():
            return False
        process = look(worker.pid)
        return process is None or not process.alive or process.born != worker.born


def resident_memory() -> int:
    """Return how many bytes of memory this process takes."""
    taken: int = psutil.Process().memory_info().rss
    return taken


def _host() -> str:
    """Return the name of this machine, and of the group of processes that its pids count in.

    Two containers of one machine share its boot, and each has a process 1.
    """
    return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').stat().st_ino}"
