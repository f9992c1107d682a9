"""Which of the programs that share a directory owns its servers, and what it tells the others."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from test_coordination.adapters.servers.errors import DirectoryUnusableError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrls:
    """How clients reach the servers; the same for as long as the directory exists."""

    postgres: str
    redis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a directory. The kernel takes it back when its holder dies, however it dies.

    Children that were forked without exec hold it too, until they end or it is released.
    """

    descriptor: int

    def release(self) -> None:
        """Give it up, in the name of such children too."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)

    def outlive_exec(self) -> None:
        """Keep the lock when this process goes on as another program, until that ends."""
        os.set_inheritable(self.descriptor, True)  # noqa: FBT003  the name says what is true


def take(path: Path) -> Lock | None:
    """Take the lock kept in the file ``path``; None if another process has it. Never waits.

    Raises:
        DirectoryUnusableError: the file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise DirectoryUnusableError(directory=path.parent, cause=str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    lock = Lock(descriptor=descriptor)
    if not _is_still(path, descriptor):
        lock.release()
        return None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return lock


def holder(path: Path) -> int | None:
    """Return the process that took the lock, if it lives and still has the lock's file open.

    Its number alone would prove nothing: by now it may be that of another process, or of a dead
    one that nobody reaps.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int(path.read_text())
        if any(_leads_to(path, entry) for entry in Path(f"/proc/{pid}/fd").iterdir()):
            return pid
    return None


def publish(path: Path, urls: ServerUrls) -> None:
    """Tell all who look at ``path`` where the servers are."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(urls)))
    unfinished.replace(path)


def published(path: Path) -> ServerUrls | None:
    """Return what the owner has published; None if it has not, or not yet."""
    try:
        return ServerUrls(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DirectoryUnusableError(directory=path.parent, cause=str(error)) from error


def withdraw(path: Path) -> None:
    """Take back what was published, by us or by an owner that died."""
    path.unlink(missing_ok=True)


def _leads_to(path: Path, entry: Path) -> bool:
    with contextlib.suppress(OSError):
        return entry.readlink() == path
    return False


def _is_still(path: Path, descriptor: int) -> bool:
    """Say whether ``path`` still names the locked file: another may have been put in its place."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
