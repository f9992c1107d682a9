"""A server that takes the place of the calling process, to be a target that may be killed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NoReturn

from test_coordination.adapters.servers import ownership, postgres, sockets
from test_coordination.adapters.servers.account import account_for, settle
from test_coordination.adapters.servers.errors import AlreadyRunningError
from test_coordination.adapters.servers.launch import replace_this_process
from test_coordination.adapters.servers.ownership import Lock
from test_coordination.adapters.servers.postgres import Postgres
from test_coordination.adapters.servers.valkey import Valkey

GRACE_S: Final = 5.0
POLL_S: Final = 0.02


def exec_postgres(directory: Path, *, postgres_bin: Path | None = None) -> NoReturn:
    """Go on as a PostgreSQL whose data and whose socket ``.s.PGSQL.5432`` are in ``directory``.

    The process id stays, and so do standard output and error. SIGINT stops it at once and in
    order; SIGTERM waits until its last client has gone; after SIGKILL it can be started again
    at once. While one is about to stop, the next one waits for it a few seconds.

    Raises:
        AlreadyRunningError: one runs in that directory and goes on running.
        SocketUnaddressableError: the directory's path is too long for a socket, or has a comma.
        NoBinaryError, NoAccountError, DirectoryUnreachableError, DirectoryUnusableError,
        LeftoversRemainError, StartFailedError: see `Server.prepare`.
    """
    home = directory.resolve()
    server = Postgres(
        home=home,
        sockets=home,
        copies=home / "binaries",
        account=account_for(home),
        postgres_bin=postgres_bin,
    )
    _exec(server, socket=home / postgres.SOCKET)


def exec_valkey(directory: Path) -> NoReturn:
    """Go on as a Valkey whose data and whose socket ``valkey.sock`` are in ``directory``.

    SIGTERM stops it in order. For the rest, and what it raises, see `exec_postgres`.
    """
    home = directory.resolve()
    server = Valkey(home=home, sockets=home, copies=home / "binaries", account=account_for(home))
    _exec(server, socket=server.socket)


def _exec(server: Postgres | Valkey, *, socket: Path) -> NoReturn:
    sockets.demand_addressable(socket)
    settle(server.home, server.account)
    lock = _own(server)
    launch = server.prepare()
    lock.outlive_exec()
    replace_this_process(launch)


def _own(server: Postgres | Valkey) -> Lock:
    """Take the lock that a running server holds; all its processes inherit it from the first.

    What a killed server left behind still holds it, and is ended; a server that runs is not.
    """
    path = server.home / "server.lock"
    deadline = time.monotonic() + GRACE_S
    while (lock := ownership.take(path)) is None:
        if (first := ownership.holder(path)) is None:
            server.clear()
        if time.monotonic() > deadline:
            raise AlreadyRunningError(directory=server.home, pid=first)
        time.sleep(POLL_S)
    return lock
