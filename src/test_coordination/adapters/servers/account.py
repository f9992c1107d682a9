"""Whom a server runs as, and whether that account can get to a place."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from test_coordination.adapters.servers.errors import (
    DirectoryUnreachableError,
    DirectoryUnusableError,
    NoAccountError,
)

NOBODY: Final = "nobody"
PASS: Final = 0o1
USE: Final = 0o5


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user and a group that a server runs as when the program is root.

    PostgreSQL refuses to run as root. Whatever else runs as this account can reach the server's
    socket and files; on a machine where that matters, start the program as a user of its own.
    """

    uid: int
    gid: int

    def __str__(self) -> str:
        try:
            return f"the account {pwd.getpwuid(self.uid).pw_name!r}"
        except KeyError:
            return f"the user with id {self.uid}"

    def may(self, path: Path, bits: int) -> bool:
        """Say whether the mode of ``path`` grants ``bits``; the way to it is not looked at."""
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & bits == bits

    def obstacle(self, path: Path) -> Path | None:
        """Return the topmost directory above ``path`` that this account may not pass."""
        above = reversed(path.parents)
        return next((parent for parent in above if not self.may(parent, PASS)), None)


def account_for(home: Path) -> Account | None:
    """Return whom the server that lives in ``home`` runs as; None is whoever we are.

    Root keeps the owner of a home that an ordinary user has made, and takes nobody otherwise.

    Raises:
        NoAccountError: we are root, and there is no nobody.
    """
    if os.geteuid() != 0:
        return None
    if home.exists() and (status := home.stat()).st_uid != 0:
        return Account(uid=status.st_uid, gid=status.st_gid)
    try:
        entry = pwd.getpwnam(NOBODY)
    except KeyError as error:
        raise NoAccountError(name=NOBODY) from error
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def settle(home: Path, account: Account | None) -> None:
    """Make ``home`` a directory in which ``account`` can work, creating it if it is not there.

    A directory that root owns is handed over; nothing else of a foreign directory is changed.

    Raises:
        DirectoryUnreachableError: the account cannot pass a directory on the way.
        DirectoryUnusableError: the directory cannot be created, or is open to all.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = home.stat()
    except OSError as error:
        raise DirectoryUnusableError(directory=home, cause=str(error)) from error
    if account is None:
        if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
            raise DirectoryUnusableError(directory=home, cause="you may not write in it")
        return
    if (culprit := account.obstacle(home)) is not None:
        raise DirectoryUnreachableError(directory=home, culprit=culprit, account=str(account))
    if status.st_uid == account.uid:
        return
    if status.st_mode & stat.S_IWOTH:
        raise DirectoryUnusableError(directory=home, cause="everybody may write in it")
    os.chown(home, account.uid, account.gid)
