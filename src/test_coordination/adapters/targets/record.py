"""The state file of a service: how to launch it, and which process was launched last."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from test_coordination.application.capabilities import TargetFailedError
from test_coordination.domain.topology import StopSignal

LOCK_WAIT_MAX: Final = timedelta(seconds=60)
LOCK_POLL_S: Final = 0.02


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HealthCheck(_Stored):
    """How to see that a service is ready: one address, or none."""

    kind: Literal["http", "tcp", "unix", "alive"] = "alive"
    address: str = ""
    timeout: timedelta


class Specification(_Stored):
    """All that it takes to launch a service from any process: its whole environment included."""

    name: str
    command: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    ports: dict[str, tuple[str, int]] = {}
    health: HealthCheck
    stop_signal: StopSignal = StopSignal.TERM
    log: str

    def digest(self) -> str:
        """Return what changes with the specification."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Launch(_Stored):
    """One attempt to launch: without ``pid`` it was begun, and its end is not known.

    ``mark`` stands in the environment of the process and its children. ``log_from`` is where
    the log of this launch begins.
    """

    mark: str
    digest: str
    pid: int | None = None
    born: str = ""
    started_at: datetime | None = None
    log_from: int = 0


class Record(_Stored):
    """What a state file holds."""

    format: Literal[1] = 1
    specification: Specification
    launch: Launch | None = None


def read(path: Path) -> Record | None:
    """Return what is in a state file, or None if there is none.

    Raises:
        TargetFailedError: the file cannot be read or is none of ours.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        cause = f"its state file {str(path)!r} cannot be used ({error}); remove it and start again"
        raise TargetFailedError(service=path.stem, doing="being looked up", cause=cause) from error


def write(path: Path, record: Record) -> None:
    """Replace a state file as a whole; when this returns it is on the disk."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(record.model_dump_json(indent=1).encode())
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@asynccontextmanager
async def locked(path: Path) -> AsyncGenerator[None]:
    """Keep every other process, and every other task, from changing what ``path`` tells.

    Raises:
        TargetFailedError: somebody else did not let go of it in time.
    """
    lock = path.with_suffix(".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        cause = f"its lock {str(lock)!r} cannot be opened ({error.strerror})"
        raise TargetFailedError(service=path.stem, doing="being locked", cause=cause) from error
    try:
        await _acquire(descriptor, path)
        yield
    finally:
        os.close(descriptor)


async def _acquire(descriptor: int, path: Path) -> None:
    with anyio.move_on_after(LOCK_WAIT_MAX.total_seconds()):
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            await anyio.sleep(LOCK_POLL_S)
    cause = f"another process has been changing it for {LOCK_WAIT_MAX.total_seconds():g} s"
    raise TargetFailedError(service=path.stem, doing="being locked", cause=cause)
