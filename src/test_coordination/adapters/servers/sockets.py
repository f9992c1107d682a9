"""Where a server's socket lies: at home if clients can address that, else in a short place."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from test_coordination.adapters.servers.account import Account
from test_coordination.adapters.servers.errors import SocketUnaddressableError

LENGTH_MAX: Final = 107
SHORT: Final = "/tmp"  # noqa: S108  the one short place that every system has; TMPDIR may be long
MODE: Final = 0o700


def addressable(socket: Path) -> bool:
    """Say whether clients can address a socket at ``socket``.

    The system limits the length of its path. In a PostgreSQL URL a comma separates hosts, even
    a quoted one.
    """
    return len(os.fsencode(socket)) <= LENGTH_MAX and "," not in str(socket)


def demand_addressable(socket: Path) -> None:
    """Refuse a socket whose place was not ours to choose.

    Raises:
        SocketUnaddressableError: clients cannot address it.
    """
    if not addressable(socket):
        raise SocketUnaddressableError(socket=socket, length_max=LENGTH_MAX)


def short_directory(record: Path, account: Account | None) -> Path:
    """Return a directory with a short path that only ``account`` may enter.

    Its path is kept in the file ``record``, so that whoever asks next with that record gets
    the same one. It is never removed: clients that hold its path wait for a server in it.
    """
    with contextlib.suppress(FileNotFoundError):
        recorded = Path(record.read_text())
        if _is_ours(recorded, account):
            return recorded
    made = Path(tempfile.mkdtemp(prefix="tcoord-", dir=SHORT))
    _hand_over(made, account)
    unfinished = record.with_suffix(".new")
    unfinished.write_text(str(made))
    unfinished.replace(record)
    return made


def _is_ours(directory: Path, account: Account | None) -> bool:
    """Say whether the recorded ``directory`` can be used again, making it anew if it is gone."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=MODE)
        _hand_over(directory, account)
    status = directory.lstat()
    owner = account.uid if account else os.geteuid()
    private = status.st_uid == owner and stat.S_IMODE(status.st_mode) == MODE
    return stat.S_ISDIR(status.st_mode) and private


def _hand_over(directory: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(directory, account.uid, account.gid)
