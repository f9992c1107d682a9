"""Every way the servers say no."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from test_coordination.domain.errors import CoordinationError


@dataclass(eq=False, kw_only=True)
class NoBinaryError(CoordinationError):
    """No program to run the server with was found."""

    code: ClassVar[str] = "servers.no_binary"

    program: str
    looked_in: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        return f"no {self.program} was found in {', '.join(self.looked_in)}; {self.remedy}"


@dataclass(eq=False, kw_only=True)
class NoAccountError(CoordinationError):
    """The program runs as root, and the system lacks the account its servers would run as."""

    code: ClassVar[str] = "servers.no_account"

    name: str

    def __str__(self) -> str:
        return (
            f"the program runs as root, whose servers run as {self.name!r}, but /etc/passwd has "
            "no such account; add it, or start the program as an ordinary user"
        )


@dataclass(eq=False, kw_only=True)
class DirectoryUnreachableError(CoordinationError):
    """The account that a server runs as cannot get to its directory."""

    code: ClassVar[str] = "servers.directory_unreachable"

    directory: Path
    culprit: Path
    account: str

    def __str__(self) -> str:
        return (
            f"the data directory {str(self.directory)!r} is out of reach: {self.account} may not "
            f"pass through {str(self.culprit)!r}; choose a data directory elsewhere, such as one "
            f"under /var/lib, or allow it with 'chmod o+x {self.culprit}'"
        )


@dataclass(eq=False, kw_only=True)
class DirectoryUnusableError(CoordinationError):
    """A directory is there and can be reached, but must not or cannot hold a server's files."""

    code: ClassVar[str] = "servers.directory_unusable"

    directory: Path
    cause: str

    def __str__(self) -> str:
        return (
            f"the directory {str(self.directory)!r} cannot hold a server's files: {self.cause}; "
            "choose a directory that belongs to you and is used for nothing else"
        )


@dataclass(eq=False, kw_only=True)
class SocketUnaddressableError(CoordinationError):
    """A socket was asked for at a path that clients cannot address."""

    code: ClassVar[str] = "servers.socket_unaddressable"

    socket: Path
    length_max: int

    def __str__(self) -> str:
        return (
            f"no client can address the socket {str(self.socket)!r}, because its path is longer "
            f"than {self.length_max} bytes or holds a comma; choose a directory with another path"
        )


@dataclass(eq=False, kw_only=True)
class AlreadyRunningError(CoordinationError):
    """A server was to be started in a directory where one is at work."""

    code: ClassVar[str] = "servers.already_running"

    directory: Path
    pid: int | None

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid else "a process that cannot be told"
        return (
            f"the directory {str(self.directory)!r} is in use by {who}; "
            "stop that process first, or choose another directory"
        )


@dataclass(eq=False, kw_only=True)
class LeftoversRemainError(CoordinationError):
    """Processes of an earlier server would not end."""

    code: ClassVar[str] = "servers.leftovers_remain"

    directory: Path
    pids: tuple[int, ...]

    def __str__(self) -> str:
        pids = ", ".join(map(str, self.pids))
        return (
            f"processes of an earlier server still work in {str(self.directory)!r} although they "
            f"were killed (pid {pids}); see what holds them, often a disk that does not answer"
        )


@dataclass(eq=False, kw_only=True)
class StartFailedError(CoordinationError):
    """A server did not come up; ``log_tail`` is what it said last."""

    code: ClassVar[str] = "servers.start_failed"

    server: str
    directory: Path
    cause: str
    log_tail: str

    def __str__(self) -> str:
        said = f"; its last words were:\n{self.log_tail}" if self.log_tail else ""
        return (
            f"{self.server} did not start in {str(self.directory)!r}: {self.cause}; "
            f"remove what its log complains of, then start again{said}"
        )


@dataclass(eq=False, kw_only=True)
class GaveUpError(CoordinationError):
    """A server died so often that starting it once more would hide the reason."""

    code: ClassVar[str] = "servers.gave_up"

    server: str
    directory: Path
    deaths: int
    window_s: float
    log_tail: str

    def __str__(self) -> str:
        said = f"; its last words were:\n{self.log_tail}" if self.log_tail else ""
        return (
            f"{self.server} in {str(self.directory)!r} died {self.deaths} times within "
            f"{self.window_s:g} s and is not started again; find the cause in its log{said}"
        )


@dataclass(eq=False, kw_only=True)
class OwnerSilentError(CoordinationError):
    """Another program owns the directory but does not say where its servers are."""

    code: ClassVar[str] = "servers.owner_silent"

    directory: Path
    owner: int | None
    waited_s: float

    def __str__(self) -> str:
        who = f"process {self.owner}" if self.owner else "another process"
        return (
            f"{who} owns the data directory {str(self.directory)!r} but has published no servers "
            f"for {self.waited_s:g} s; end that process, or choose another directory"
        )


@dataclass(eq=False, kw_only=True)
class NotMainThreadError(CoordinationError):
    """Servers were to be started from a thread whose end would take them down."""

    code: ClassVar[str] = "servers.not_main_thread"

    thread: str

    def __str__(self) -> str:
        return (
            f"embedded servers were asked for in thread {self.thread!r}, but the system ends them "
            "with the thread that started them; run the event loop in the main thread"
        )
