"""Runs ``tcoord`` as its users do: as a process of its own, with a home of its own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType

from support.e2e_forks import Process, forked
from support.e2e_witness import kill_all
from support.servers_directory import servers_directory

ROOT = Path(__file__).parents[2]
NOTHING: Mapping[str, str] = MappingProxyType({})
TCOORD = (sys.executable, "-m", "test_coordination")
EACH_ANEW = os.environ.get("TCOORD_TEST_EXEC") == "1"
# Seconds in which everything ends even where six others share the processors.
PATIENCE_S = 100.0
LOOK_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command printed, and how it ended: negative for a signal."""

    status: int
    out: str
    err: str
    took_s: float


class Running:
    """A command under way."""

    def __init__(self, process: Process, out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err
        self._began = monotonic()

    def out(self) -> str:
        """Return what it has printed so far."""
        return self._out.read_text()

    def err(self) -> str:
        """Return what it has printed on standard error so far."""
        return self._err.read_text()

    def prints(self, text: str, *, within_s: float = PATIENCE_S) -> None:
        """Return once ``text`` is printed, on standard output or standard error."""
        limit = monotonic() + within_s
        while text not in self.out() + self._err.read_text():
            assert self.process.poll() is None, f"it ended without {text!r}: {self.ends()}"
            assert monotonic() < limit, f"not within {within_s} s: {text!r}; but {self.out()}"
            sleep(LOOK_S)

    def ends(self, *, within_s: float = PATIENCE_S) -> Said:
        """Return what it printed once it has ended."""
        try:
            status = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            message = f"not over within {within_s} s: {self.out()}{self._err.read_text()}"
            raise AssertionError(message) from None
        took_s = monotonic() - self._began
        return Said(status=status, out=self.out(), err=self._err.read_text(), took_s=took_s)

    def pace(self) -> list[float]:
        """Return how many seconds after the start it began, printed each line, and ended."""
        times = [0.0]
        while self.process.poll() is None:
            assert times[-1] < PATIENCE_S, f"not over within {PATIENCE_S} s: {self.out()}"
            times += [monotonic() - self._began] * (self._lines() + 1 - len(times))
            sleep(LOOK_S)
        return [*times, monotonic() - self._began]

    def reaches(self, lines: int, *, within_s: float = PATIENCE_S) -> None:
        """Return once so many lines are printed, or when it has ended without them."""
        limit = monotonic() + within_s
        while self._lines() < lines and self.process.poll() is None:
            assert monotonic() < limit, f"not within {within_s} s: {lines} lines; {self.out()}"
            sleep(LOOK_S)

    def _lines(self) -> int:
        return self._out.read_bytes().count(b"\n")

    def gets(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def dies(self, *signals: signal.Signals, after_s: float = 0) -> Said:
        """End it unless it ends within ``after_s``: by ``signals``, one at once after the other.

        Without any it is killed, and there is nothing that it could do about it.
        """
        try:
            self.process.wait(after_s)
        except subprocess.TimeoutExpired:
            for number in signals or (signal.SIGKILL,):
                self.process.send_signal(number)
        return self.ends()


@dataclass(slots=True, kw_only=True)
class Terminal:
    """Where commands are typed; ``home`` does not exist before the first one makes it.

    ``variables_given`` are those of the environment that all commands are told.
    """

    place: Path
    variables_given: dict[str, str] = field(default_factory=dict)
    started: list[Running] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def work(self) -> Path:
        """The folder in which commands run, and to which they write their reports."""
        return self.place / "work"

    def start(
        self,
        *words: object,
        program: tuple[str, ...] = TCOORD,
        environment: Mapping[str, str] = NOTHING,
    ) -> Running:
        """Start a command and return at once."""
        number = len(self.started) + 1
        out, err = (self.place / f"{number}.{name}" for name in ("out", "err"))
        given = [str(word) for word in words]
        told = {**self.variables(), **environment}
        with out.open("wb") as to_out, err.open("wb") as to_err, Path(os.devnull).open() as nothing:
            process: Process
            if program is TCOORD and not EACH_ANEW and not _tells_python(environment):
                files = (nothing.fileno(), to_out.fileno(), to_err.fileno())
                process = forked(given, files=files, folder=self.work, environment=told)
            else:
                process = subprocess.Popen(
                    [*program, *given],
                    stdin=nothing,
                    stdout=to_out,
                    stderr=to_err,
                    cwd=self.work,
                    env=told,
                )
        self.started.append(Running(process, out, err))
        return self.started[-1]

    def run(
        self, *words: object, program: tuple[str, ...] = TCOORD, within_s: float = PATIENCE_S
    ) -> Said:
        """Carry a command out."""
        return self.start(*words, program=program).ends(within_s=within_s)

    def variables(self) -> dict[str, str]:
        """Return the environment of what is started here."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TCOORD_", "PYTEST_"))}
        sources = os.pathsep.join([str(ROOT / "src"), *sys.path[1:]])
        given = self.variables_given
        return {**kept, "PYTHONPATH": sources, "TCOORD_HOME": str(self.home), **given}


def _tells_python(environment: Mapping[str, str]) -> bool:
    """Tell whether there is something in it that Python asks for when it starts."""
    return any(name.startswith("PYTHON") for name in environment)


def shown(terminal: Terminal, *words: object, environment: Mapping[str, str]) -> str:
    """Return all that a command writes to a terminal that can move its cursor."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*TCOORD, *(str(word) for word in words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=terminal.work,
        env={**terminal.variables(), "TERM": "xterm", **environment},
    )
    os.close(theirs)
    written = bytearray()
    # The kernel tells of the end with an error: nobody has the other side open any more.
    with suppress(OSError):
        while some := os.read(ours, 65536):
            written += some
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0, written
    return written.decode()


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Lend a terminal; nothing that was started from it lives on."""
    with servers_directory() as place:
        lent = Terminal(place=place)
        lent.work.mkdir()
        try:
            yield lent
        finally:
            kill_all(place)
            for running in lent.started:
                running.ends()
