"""One PostgreSQL cluster: its files, its settings, and how to tell that it serves."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import ClassVar, Final
from urllib.parse import quote

from anyio import to_thread

from test_coordination.adapters.servers import launch
from test_coordination.adapters.servers.account import Account, settle
from test_coordination.adapters.servers.binaries import find_postgres, reachable_postgres
from test_coordination.adapters.servers.errors import StartFailedError
from test_coordination.adapters.servers.launch import Launch
from test_coordination.adapters.servers.leftovers import end_leftovers

SOCKET: Final = ".s.PGSQL.5432"
INITDB_S_MAX: Final = 120.0
TAIL_CHARACTERS: Final = 2000
# The line of postmaster.pid that tells how far the start has come, and its first line.
STATUS_LINE: Final = 7
PID_LINE: Final = 0
SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "fsync": "on",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
INITDB_OPTIONS: Final = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A PostgreSQL cluster in ``home``/data that listens on a socket in ``sockets`` only.

    Whoever can reach that socket is its superuser; the socket's mode is what keeps others out.
    """

    name: ClassVar[str] = "PostgreSQL"
    programs: ClassVar[tuple[str, ...]] = ("postgres",)
    # "Fast": PostgreSQL's SIGTERM would wait until the last client has gone of its own will.
    stop_signal: ClassVar[Signals] = Signals.SIGINT

    home: Path
    sockets: Path
    copies: Path
    account: Account | None
    postgres_bin: Path | None = None

    @property
    def workplace(self) -> Path:
        """See `Server.workplace`."""
        return self.home / "data"

    @property
    def url(self) -> str:
        """See `Server.url`; in the form that asyncpg and libpq understand."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.sockets), safe='/')}"

    def prepare(self) -> Launch:
        """See `Server.prepare`."""
        settle(self.home, self.account)
        found = find_postgres(self.postgres_bin)
        programs = reachable_postgres(found, self.account, copies=self.copies)
        self.clear()
        if not (self.workplace / "PG_VERSION").exists():
            self._initialise(programs)
        # The value is a list of quoted names.
        sockets = '"' + str(self.sockets).replace('"', '""') + '"'
        settings = SETTINGS | {"unix_socket_directories": sockets}
        options = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        return self._launch(str(programs / "postgres"), "-D", str(self.workplace), *options)

    def clear(self) -> None:
        """See `Server.clear`."""
        end_leftovers(self.workplace, self.programs, stop_signal=self.stop_signal)
        for path in (
            self.workplace / "postmaster.pid",
            self.sockets / f"{SOCKET}.lock",
            self.sockets / SOCKET,
        ):
            path.unlink(missing_ok=True)

    async def is_ready(self, pid: int) -> bool:
        """See `Server.is_ready`."""
        return await to_thread.run_sync(self._announces, pid)

    def _announces(self, pid: int) -> bool:
        """Say whether the server ``pid`` has announced that it takes connections.

        The file is written in place, so that any part of it may still be missing.
        """
        with contextlib.suppress(OSError, IndexError, ValueError):
            lines = (self.workplace / "postmaster.pid").read_text().split("\n")
            return int(lines[PID_LINE]) == pid and lines[STATUS_LINE].strip() == "ready"
        return False

    def _initialise(self, programs: Path) -> None:
        """Make a new cluster; one that was begun and not finished is thrown away."""
        unfinished = self.home / "data.new"
        end_leftovers(unfinished, self.programs, stop_signal=Signals.SIGKILL)
        shutil.rmtree(unfinished, ignore_errors=True)
        initdb = self._launch(str(programs / "initdb"), f"--pgdata={unfinished}", *INITDB_OPTIONS)
        try:
            done = launch.run(initdb, deadline_s=INITDB_S_MAX)
        except subprocess.TimeoutExpired as error:
            raise self._refused(f"initdb took more than {INITDB_S_MAX:g} s", "") from error
        if done.returncode != 0:
            raise self._refused(f"initdb ended with status {done.returncode}", done.stdout)
        unfinished.rename(self.workplace)

    def _launch(self, *argv: str) -> Launch:
        return Launch(argv=argv, cwd=self.home, account=self.account)

    def _refused(self, cause: str, said: str) -> StartFailedError:
        return StartFailedError(
            server=self.name, directory=self.home, cause=cause, log_tail=said[-TAIL_CHARACTERS:]
        )
