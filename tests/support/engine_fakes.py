"""A small world that can be broken: services that are on or off, and what does and sees that."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, count
from typing import TypeAlias
from uuid import UUID

import anyio

from test_coordination.application.capabilities import (
    Catalogue,
    FaultFailedError,
    ParameterProblem,
    Probe,
    ProbeFailedError,
)
from test_coordination.application.fleet import Worker
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import Receipt, ServiceName, WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Do nothing for so long, and then what was asked for."""

    seconds: float = 1e6


Trouble: TypeAlias = Exception | Hang


@dataclass(slots=True, kw_only=True)
class Deed:
    """Something that was done to the world, and when."""

    at_s: float
    doing: str
    what: str


@dataclass(slots=True)
class Board:
    """What is really the case: which faults are in force, and all that was ever done."""

    in_force: list[str] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)

    def note(self, doing: str, what: str) -> None:
        self.deeds.append(Deed(at_s=anyio.current_time(), doing=doing, what=what))

    def done(self, doing: str) -> list[str]:
        """Return to what ``doing`` was done, in order."""
        return [deed.what for deed in self.deeds if deed.doing == doing]

    def times(self, doing: str) -> list[float]:
        """Return when ``doing`` was done."""
        return [deed.at_s for deed in self.deeds if deed.doing == doing]


def failed(doing: str = "trying", cause: str = "it would not") -> FaultFailedError:
    return FaultFailedError(fault="switch.off", service="shop", doing=doing, cause=cause)


class Told:
    """Anything that takes any parameters but ``bad``."""

    summary = "of use in tests"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def problems(
        self,
        parameters: Mapping[str, object],
        *,
        unknown: frozenset[tuple[str | int, ...]] = frozenset(),
    ) -> Sequence[ParameterProblem]:
        if "bad" not in parameters or ("bad",) in unknown:
            return []
        return [ParameterProblem(path=("bad",), text="nobody wants this")]

    def schema(self) -> Mapping[str, object]:
        return {"type": "object", "not": {"required": ["bad"]}}

    @property
    def grants(self) -> frozenset[str]:
        return frozenset()

    def needs(self, parameters: Mapping[str, object]) -> frozenset[str]:
        del parameters
        return frozenset()


class SwitchFault(Told):
    """Switches a service off; it can be told what goes wrong, and counts its tries."""

    family = "switch"
    undo = "it is switched on again"

    def __init__(
        self, board: Board, kind: str = "switch.off", *, scalable: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(kind)
        self.scalable = scalable
        self.board = board
        self.tries: Counter[str] = Counter()
        self._troubles: dict[str, deque[Trouble]] = {}
        self._always: dict[str, Trouble] = {}

    def trouble(self, doing: str, *troubles: Trouble) -> None:
        """Let the next tries of ``doing`` meet ``troubles``, one each."""
        self._troubles.setdefault(doing, deque()).extend(troubles)

    def troubles(self) -> list[Trouble]:
        """Return what later tries will meet."""
        return [*chain(*self._troubles.values()), *self._always.values()]

    def always(self, doing: str, trouble: Trouble | None) -> None:
        """Let every try of ``doing`` meet ``trouble``, until it is None."""
        self._always.pop(doing, None)
        if trouble is not None:
            self._always[doing] = trouble

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        del topology, parameters
        await self._meet("arm")
        self.board.note("arm", service)
        return Receipt(service)

    async def inject(self, receipt: Receipt) -> Facts:
        self.board.in_force.append(receipt)
        self.board.note("inject", receipt)
        await self._meet("inject")
        return {"off": receipt}

    async def revert(self, receipt: Receipt) -> Facts:
        await self._meet("revert")
        if receipt in self.board.in_force:
            self.board.in_force.remove(receipt)
            self.board.note("revert", receipt)
        return {"on": receipt}

    async def _meet(self, doing: str) -> None:
        self.tries[doing] += 1
        queue = self._troubles.get(doing)
        trouble = queue.popleft() if queue else self._always.get(doing)
        match trouble:
            case Hang(seconds=seconds):
                await anyio.sleep(seconds)
            case Exception():
                raise trouble
            case None:
                pass


class NoteAction(Told):
    """Notes that it was run, after ``seconds`` of work; ``fails`` says how it ends."""

    def __init__(self, board: Board, kind: str = "note", *, repeatable: bool = False) -> None:
        super().__init__(kind)
        self.board = board
        self.repeatable = repeatable
        self.error: Exception | None = None

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        del topology
        name = str(parameters.get("name", ""))
        self.board.note("begin", name)
        seconds = parameters.get("seconds", 0)
        assert isinstance(seconds, int | float)
        await anyio.sleep(seconds)
        if self.error is not None and parameters.get("fails"):
            raise self.error
        self.board.note("end", name)
        return {"name": name}


Reading: TypeAlias = Facts | Exception
Script: TypeAlias = Sequence[tuple[float, Reading]] | Callable[[], Reading]
"""What a dial shows from each moment on, or the way to find that out."""


def shows(value: float) -> Facts:
    """Return what a dial shows whose condition is good where ``value`` is 1."""
    return {"ok": value == 1, "value": float(value)}


class DialProbe(Told):
    """Reads dials by their names; each follows its script, and shows 1 without one."""

    fields: Mapping[str, Kind] = {"ok": Kind.BOOLEAN, "value": Kind.NUMBER, "unset": Kind.NUMBER}
    measured = "value"
    unit = ""

    def __init__(self, kind: str = "dial") -> None:
        super().__init__(kind)
        self.scripts: dict[str, Script] = {}
        self.slow_s: dict[str, float] = {}
        self.opening: deque[Exception] = deque()
        self.opened = 0

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        del topology, timeout
        return self._open(str(parameters.get("dial", "")))

    @asynccontextmanager
    async def _open(self, dial: str) -> AsyncGenerator[Probe]:
        self.opened += 1
        if self.opening:
            raise self.opening.popleft()
        yield _Dial(self, dial)

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        del topology
        dial = str(parameters.get("dial", ""))
        await anyio.sleep(self.slow_s.get(dial, 0))
        return self.shown(dial)

    def shown(self, dial: str) -> Facts:
        script = self.scripts.get(dial, [(0, shows(1))])
        if callable(script):
            reading = script()
        else:
            now = anyio.current_time()
            begun = [reading for start, reading in script if start <= now]
            reading = begun[-1] if begun else ProbeFailedError(cause="too early")
        if isinstance(reading, Exception):
            raise reading
        return reading


class _Dial:
    def __init__(self, kind: DialProbe, dial: str) -> None:
        self._kind = kind
        self._dial = dial

    async def read(self) -> Facts:
        reading = self._kind.shown(self._dial)
        await anyio.sleep(self._kind.slow_s.get(self._dial, 0))
        return reading


class NumberedIdentities:
    """`Identities` that count."""

    def __init__(self, start: int = 1) -> None:
        self._numbers = count(start)

    def new(self) -> UUID:
        return UUID(int=next(self._numbers))


class OneMachine:
    """A `Machine` on which each worker is a process, and some are dead."""

    def __init__(self) -> None:
        self.dead: set[WorkerId] = set()
        self._pids = count(100)

    def uptime(self) -> timedelta:
        return timedelta(seconds=anyio.current_time())

    def present(self, worker: WorkerId) -> Worker:
        return Worker(id=worker, host="here", pid=next(self._pids), born="once")

    def is_dead(self, worker: Worker) -> bool:
        return worker.id in self.dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """All that a scenario of the tests may ask for."""

    board: Board
    off: SwitchFault
    slow: SwitchFault
    note: NoteAction
    again: NoteAction
    dial: DialProbe

    @classmethod
    def new(cls) -> Kit:
        board = Board()
        return cls(
            board=board,
            off=SwitchFault(board),
            slow=SwitchFault(board, "switch.slow", scalable=frozenset({"delay"})),
            note=NoteAction(board),
            again=NoteAction(board, "note.again", repeatable=True),
            dial=DialProbe(),
        )

    def catalogue(self) -> Catalogue:
        return Catalogue(
            faults={fault.kind: fault for fault in (self.off, self.slow)},
            actions={action.kind: action for action in (self.note, self.again)},
            probes={self.dial.kind: self.dial},
        )
