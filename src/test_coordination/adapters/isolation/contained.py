"""Call one Python function in a process that is watched; run by path, as a script.

It imports nothing of ours, so that it begins in a few hundredths of a second. Two processes come of
it: the worker, which calls the function under limits, and the guard, its parent, which ends
whatever the worker has begun when the function returns, its time is up, or the coordinator is gone.
An order comes on standard input as one line of JSON, and `main` says what is answered.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
FILES_MAX: Final = 256
ANSWER_BYTES_MAX: Final = 64 * 1024
OUTPUT_BYTES_KEPT: Final = 4 * 1024
MESSAGE_CHARACTERS_MAX: Final = 2000
FRAMES_TOLD: Final = 5
LOOK_S: Final = 1.0
"""How often the guard looks whether its parent is still the one that began it."""

_PIECE: Final = 64 * 1024
_ENDED: Final = "ended"
_LATE: Final = "late"
_UNWANTED: Final = "unwanted"


def main() -> None:
    """Read an order, have it done, and answer with one line of JSON; nothing if unwanted.

    ``how`` is ``ended``, or ``late`` where the time was up. ``status`` is the exit status of the
    worker, negative for a signal. ``answer`` is what the worker said, JSON as a text, and empty if
    it said nothing; ``large`` tells that it said more than may be said. ``output`` is the end of
    what was printed.
    """
    parent = os.getppid()
    order = json.loads(_line())
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    answers, to_answers = os.pipe()
    prints, to_prints = os.pipe()
    guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        os.close(answers)
        os.close(prints)
        _work(order, guard, to_answers, prints=to_prints)
    os.close(to_answers)
    os.close(to_prints)
    watch = _Watch(worker, parent, answers=answers, prints=prints)
    how = watch.until(monotonic() + order["timeout_s"])
    status = _end(worker)
    if how == _UNWANTED:
        return
    watch.drain()
    said = {
        "how": how,
        "status": status,
        "answer": bytes(watch.answer[:ANSWER_BYTES_MAX]).decode(errors="replace"),
        "large": len(watch.answer) > ANSWER_BYTES_MAX,
        "output": bytes(watch.output).decode(errors="replace"),
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _line() -> bytes:
    """Return the first line of standard input; who writes it says no more until all is over."""
    found = bytearray()
    while not found.endswith(b"\n"):
        piece = os.read(0, _PIECE)
        if not piece:
            os._exit(0)
        found += piece
    return bytes(found)


class _Watch:
    """What the guard sees of the worker, and of the coordinator behind standard input."""

    def __init__(self, worker: int, parent: int, *, answers: int, prints: int) -> None:
        self.answer = bytearray()
        self.output = bytearray()
        self._answers = answers
        self._prints = prints
        self._parent = parent
        self._ended = os.pidfd_open(worker)
        self._poll = select.poll()
        for descriptor in (0, self._ended, answers, prints):
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN)

    def until(self, deadline: float) -> str:
        """Return how it came to an end: by itself, at ``deadline``, or because nobody wants it."""
        while (left_s := deadline - monotonic()) > 0:
            ready = [found for found, _ in self._poll.poll(min(left_s, LOOK_S) * 1000)]
            for descriptor in {self._answers, self._prints}.intersection(ready):
                self._take(descriptor)
            if 0 in ready or os.getppid() != self._parent:
                return _UNWANTED
            if self._ended in ready:
                return _ENDED
        return _LATE

    def drain(self) -> None:
        """Take what is left in the pipes once nobody is there who could write to them."""
        for descriptor in (self._answers, self._prints):
            while self._take(descriptor):
                pass

    def _take(self, descriptor: int) -> bool:
        """Take a piece and keep what may be kept; tell whether there can be another."""
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return False
        if not piece:
            with suppress(KeyError):
                self._poll.unregister(descriptor)
            return False
        if descriptor == self._prints:
            self.output += piece
            del self.output[:-OUTPUT_BYTES_KEPT]
        elif len(self.answer) <= ANSWER_BYTES_MAX:
            self.answer += piece
        return True


def _end(worker: int) -> int:
    """End the worker and all that descends from it, and return how the worker ended.

    What has lost its parent is ours, wherever it has hidden: see PR_SET_CHILD_SUBREAPER.
    """
    status = 0
    with suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)
    while True:
        for child in _children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            found, raw = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if found == worker:
            status = os.waitstatus_to_exitcode(raw)


def _children() -> list[int]:
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:  # noqa: PTH123  pathlib takes as long to import as all the rest
        return list(map(int, file.read().split()))


def _work(order: Mapping[str, Any], guard: int, answers: int, *, prints: int) -> NoReturn:
    """Call the function in this process, say what came of it, and end."""
    try:
        os.setpgid(0, 0)
        _limit(order, guard)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for found, place in ((nothing, 0), (prints, 1), (prints, 2)):
            os.dup2(found, place)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # nobody has put another in its place yet
        sys.path[:] = [*sys.path, *(entry for entry in order["path"] if entry not in sys.path)]
        said = _said(order)
        body = json.dumps(said).encode()[: ANSWER_BYTES_MAX + 1]
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        while body:
            body = body[os.write(answers, body) :]
    finally:
        os._exit(0)


def _limit(order: Mapping[str, Any], guard: int) -> None:
    # Dies with the guard, and the guard with nobody: it ends us by itself.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(0)
    seconds = int(order["timeout_s"]) + 1
    for what, most in (
        (resource.RLIMIT_AS, order["memory_bytes"]),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # One second later the kernel does not ask any more.
        above = least + (what == resource.RLIMIT_CPU and least == most)
        resource.setrlimit(what, (least, above))


def _said(order: Mapping[str, Any]) -> dict[str, object]:
    """Return what is said of the call: its value, or what kept it from having one."""
    try:
        found = _function(order["module"], order["function"])
        value = found(**order["arguments"])
        if hasattr(value, "__await__"):
            value = _awaited(value)
    except BaseException as error:  # noqa: BLE001  the whole point: SystemExit is no way out either
        return {"raised": _told(error)}
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return {"unsayable": f"{type(value).__name__}: {_text(error)}"}
    return {"value": value}


def _function(module: str, path: str) -> Any:
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _awaited(value: Any) -> object:
    import asyncio  # noqa: PLC0415  as slow to import as all the rest, and seldom needed

    async def waiting() -> object:
        return await value

    return asyncio.run(waiting())


def _told(error: BaseException) -> dict[str, object]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return {
        "type": type(error).__qualname__,
        "message": _text(error),
        "cause": f"{type(cause).__qualname__}: {_text(cause)}" if cause is not None else "",
        "frames": _frames(error.__traceback__)[-FRAMES_TOLD:],
    }


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  whatever it is that cannot even say what it is
        return "it cannot say what went wrong"
    return text[:MESSAGE_CHARACTERS_MAX]


def _frames(traceback: TracebackType | None) -> list[str]:
    """Return where it went wrong, the innermost place last; ours and the importer's left out."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename != __file__ and not code.co_filename.startswith("<frozen "):
            found.append(f"{code.co_filename}:{traceback.tb_lineno} in {code.co_name}")
        traceback = traceback.tb_next
    return found


if __name__ == "__main__":
    main()
