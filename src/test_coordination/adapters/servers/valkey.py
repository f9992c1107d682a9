"""One Valkey server: its files, its settings, and how to tell that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import ClassVar, Final
from urllib.parse import quote

import anyio

from test_coordination.adapters.servers.account import Account, settle
from test_coordination.adapters.servers.binaries import (
    VALKEY_NAMES,
    find_valkey,
    reachable_valkey,
)
from test_coordination.adapters.servers.launch import Launch
from test_coordination.adapters.servers.leftovers import end_leftovers

SOCKET: Final = "valkey.sock"
ANSWER_S_MAX: Final = 1.0
SETTINGS: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "logfile": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Valkey:
    """A Valkey server that keeps its files in ``home`` and listens on a socket in ``sockets``."""

    name: ClassVar[str] = "Valkey"
    programs: ClassVar[tuple[str, ...]] = VALKEY_NAMES
    stop_signal: ClassVar[Signals] = Signals.SIGTERM

    home: Path
    sockets: Path
    copies: Path
    account: Account | None

    @property
    def workplace(self) -> Path:
        """See `Server.workplace`."""
        return self.home

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.sockets / SOCKET

    @property
    def url(self) -> str:
        """See `Server.url`; in the form that redis-py understands."""
        return f"unix://{quote(str(self.socket), safe='/')}"

    def prepare(self) -> Launch:
        """See `Server.prepare`."""
        settle(self.home, self.account)
        program = reachable_valkey(find_valkey(), self.account, copies=self.copies)
        self.clear()
        settings = SETTINGS | {"unixsocket": str(self.socket), "dir": str(self.home)}
        options = (word for name, value in settings.items() for word in (f"--{name}", value))
        return Launch(argv=(str(program), *options), cwd=self.home, account=self.account)

    def clear(self) -> None:
        """See `Server.clear`."""
        end_leftovers(self.workplace, self.programs, stop_signal=self.stop_signal)
        self.socket.unlink(missing_ok=True)

    async def is_ready(self, pid: int) -> bool:
        """See `Server.is_ready`; a server that still loads its data answers, but not with PONG."""
        assert pid > 0, "the socket was removed before the start: whoever answers is our child"
        try:
            with anyio.fail_after(ANSWER_S_MAX):
                async with await anyio.connect_unix(self.socket) as stream:
                    await stream.send(b"PING\r\n")
                    return (await stream.receive()).startswith(b"+PONG")
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError):
            return False
