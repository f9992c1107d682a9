"""Turn this process into another program; also run by path, as a script between us and a server.

It imports nothing of ours: as a script it starts in a hundredth of a second and without a path.
A script, and not a ``preexec_fn``, because a program with threads must not run code of its own
between fork and exec.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
PR_GET_PDEATHSIG: Final = 2
EXIT_ORPHANED: Final = 75
NOBODY_ELSE: Final = "-"
"""Stands for "keep the account" on the script's command line."""


def death_signal() -> int:
    """Return the signal that this process gets when its parent dies; 0 is none."""
    number = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


def become(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: str,
    ids: tuple[int, int] | None,
    on_parent_death: int,
    parent: int | None = None,
) -> NoReturn:
    """Give up root for ``ids`` (user, group), and go on as ``argv`` under the same process id.

    ``on_parent_death`` is the signal sent when the thread that forked this process ends; 0 is
    none. If ``parent`` is given and is no longer the parent, the process ends instead.
    """
    # Python ignores two signals, which exec would hand on, and catches SIGINT in a way that
    # could swallow the death signal right before the exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if ids is not None:
        os.setgroups([])
        os.setgid(ids[1])
        os.setuid(ids[0])
    # Only now: a change of user clears it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, on_parent_death, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(EXIT_ORPHANED)
    os.chdir(cwd)
    os.execve(argv[0], list(argv), dict(env))  # noqa: S606  no shell is wanted


def main() -> NoReturn:
    """Read what `become` needs from the command line that `launch.command` wrote."""
    parent, on_parent_death, account, cwd, *argv = sys.argv[1:]
    uid, _, gid = account.partition(":")
    become(
        argv,
        os.environ,
        cwd=cwd,
        ids=None if account == NOBODY_ELSE else (int(uid), int(gid)),
        on_parent_death=int(on_parent_death),
        parent=int(parent),
    )


if __name__ == "__main__":
    main()
