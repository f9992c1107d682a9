"""Commands forked from an interpreter that has imported the program: most of a short one's time.

Whatever else a command is, it is as if started anew: its arguments, environment, folder, files,
signals and end. ``TCOORD_TEST_EXEC=1`` has each of them started by an interpreter of its own.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

REQUEST_BYTES_MAX: Final = 1 << 20
STATUS: Final = struct.Struct("i")
SLOW: Final = (
    "test_coordination.program",
    "test_coordination.adapters.postgres.shift",
    "test_coordination.adapters.probes.pages",
    "test_coordination.adapters.rendering.html",
)
COMMANDS: Final = "test_coordination.interfaces.cli.commands"


class Process(Protocol):
    """What both kinds of processes have: those that were forked, and `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Forked:
    """A process that another one forked for us; ``told`` is where that one tells of its end."""

    def __init__(self, pid: int, told: int, words: Sequence[str]) -> None:
        self.pid = pid
        self._told = told
        self._words = words
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, negative for a signal, if it has."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, within ``timeout`` seconds if there is one."""
        if self._status is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self._words, timeout or 0)
            told = os.read(self._told, STATUS.size)
            assert told, "who should have told of its end has died"
            (self._status,) = STATUS.unpack(told)
            os.close(self._told)
        assert self._status is not None
        return self._status

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)


class _Forker:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])},
            )
        self._requests = ours

    def fork(
        self, words: Sequence[str], *, files: Sequence[int], folder: Path, environment: object
    ) -> Forked:
        told, tells = os.pipe()
        request = json.dumps({"words": words, "folder": str(folder), "environment": environment})
        socket.send_fds(self._requests, [request.encode()], [*files, tells])
        os.close(tells)
        pid = int(self._requests.recv(REQUEST_BYTES_MAX))
        return Forked(pid, told, words)

    def close(self) -> None:
        self._requests.close()
        self._process.wait()


@cache
def _forker() -> _Forker:
    forker = _Forker()
    atexit.register(forker.close)
    return forker


def forked(
    words: Sequence[str],
    *,
    files: tuple[int, int, int],
    folder: Path,
    environment: Mapping[str, str],
) -> Forked:
    """Start ``tcoord`` with these words; ``files`` become its standard input, output and error."""
    return _forker().fork(words, files=files, folder=folder, environment=dict(environment))


def _imported() -> None:
    for name in SLOW:
        import_module(name)
    for each in pkgutil.iter_modules(import_module(COMMANDS).__path__):
        import_module(f"{COMMANDS}.{each.name}")
    gc.freeze()


def _served(requests: socket.socket) -> None:
    """Fork for each request, and tell how each ended; return in those that were forked."""
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    tells: dict[int, int] = {}
    while True:
        ready = select.select([requests.fileno(), woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            _tell(tells)
        if requests.fileno() not in ready:
            continue
        request, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES_MAX, 4)
        if not request:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (requests.detach(), woken, wakes, *tells.values(), files[3]):
                os.close(each)
            _become(json.loads(request), files[:3])
            return
        tells[pid] = files.pop()
        for each in files:
            os.close(each)
        requests.send(str(pid).encode())


def _tell(tells: dict[int, int]) -> None:
    while tells:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with suppress(BrokenPipeError):
            os.write(tells[pid], STATUS.pack(os.waitstatus_to_exitcode(status)))
        os.close(tells.pop(pid))


def _become(request: Mapping[str, object], files: Sequence[int]) -> None:
    for number, each in enumerate(files):
        os.dup2(each, number)
        os.close(each)
    os.chdir(str(request["folder"]))
    sys.path.insert(0, str(request["folder"]))
    os.environ.clear()
    assert isinstance(request["environment"], dict)
    os.environ.update(request["environment"])
    assert isinstance(request["words"], list)
    sys.argv[1:] = request["words"]


def _main() -> None:
    sys.path.pop(0)
    _imported()
    _served(socket.socket(fileno=int(sys.argv[1])))
    begun = import_module("test_coordination.__main__")
    sys.argv[0] = str(begun.__file__)
    begun.main()


if __name__ == "__main__":
    _main()
