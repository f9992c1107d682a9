"""The system under test: what is really in force there, and the ways in which it gives trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar

from simulation.loop import Process, SimulatedLoop
from simulation.network import WORLD, refuse, resolve
from support.engine_fakes import Told
from test_coordination.application.capabilities import (
    ActionFailedError,
    Catalogue,
    FaultFailedError,
    Probe,
    ProbeFailedError,
)
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Facts
from test_coordination.domain.expressions import Kind
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import Receipt, ServiceName

LANDING_S_MAX = 0.4
"""How long it takes at most until what is begun at a target takes effect there."""

Found = TypeVar("Found")


class Witness(Protocol):
    """Whoever must be told what takes effect, and whose wish it was."""

    def injecting(self, receipt: Receipt, by: Process) -> None: ...
    def injected(self, receipt: Receipt, by: Process, *, tardy: bool) -> None: ...
    def reverting(self, receipt: Receipt) -> None: ...
    def reverted(self, receipt: Receipt, by: Process) -> None: ...
    def acted(self, name: str, by: Process) -> None: ...
    def misread(self, receipt: Receipt, by: Process) -> None: ...


@dataclass(slots=True, kw_only=True)
class Trouble:
    """How often, at present, something that is asked of the targets goes wrong."""

    refused: float = 0.0
    broken: float = 0.0
    """It takes effect, and fails."""
    late: float = 0.0
    """It takes effect, and is told later."""
    stuck: float = 0.0
    tardy: float = 0.0
    """It takes effect only when a lease may have ended meanwhile."""

    def clear(self) -> None:
        self.refused = self.broken = self.late = self.stuck = self.tardy = 0.0


@dataclass(slots=True)
class System:
    """The services, and all that is done to them; ``in_force`` are the faults that bite."""

    loop: SimulatedLoop
    chance: Random
    witness: Witness
    in_force: dict[Receipt, str]
    trouble: Trouble = field(default_factory=Trouble)
    unwell: list[tuple[float, float]] = field(default_factory=list)
    """When, in seconds of the loop, it is ill by itself: from, and to."""
    stubborn: dict[str, float] = field(default_factory=dict)
    """Until when no fault can be taken from a service, however often that is tried."""
    clung: set[Receipt] = field(default_factory=set)
    """The faults that could not be taken away when somebody tried."""
    receipts: list[Receipt] = field(default_factory=list)

    def armed(self, service: str, token: str = "") -> Receipt:
        """Return a receipt, which holds ``token`` if there is one."""
        self.receipts.append(Receipt(f"{service}#{len(self.receipts)}{token and '!'}{token}"))
        return self.receipts[-1]

    def inject(self, receipt: Receipt, by: Process, *, tardy: bool) -> Facts:
        self._check(receipt, by)
        self.in_force[named(receipt)] = receipt.partition("#")[0]
        self.witness.injected(named(receipt), by, tardy=tardy)
        return {"off": receipt}

    def revert(self, receipt: Receipt, by: Process) -> Facts:
        self._check(receipt, by)
        service = receipt.partition("#")[0]
        if self.stubborn.get(service, 0.0) > self.loop.time():
            cause = "it would not go"
            self.clung.add(named(receipt))
            raise FaultFailedError(fault="switch", service=service, doing="reverting", cause=cause)
        self.in_force.pop(named(receipt), None)
        self.witness.reverted(named(receipt), by)
        return {"on": receipt}

    def _check(self, receipt: Receipt, by: Process) -> None:
        if receipt not in self.receipts:
            self.witness.misread(receipt, by)

    def act(self, name: str, by: Process, *, fails: bool) -> Facts:
        self.witness.acted(name, by)
        if fails:
            raise ActionFailedError(action=name, cause="it is meant to fail")
        return {"name": name}

    def restart(self, service: str) -> None:
        """Start a service anew, which ends all faults that it suffers from."""
        for receipt in [each for each, hit in self.in_force.items() if hit == service]:
            del self.in_force[receipt]

    def shown(self, dial: str) -> Facts:
        """Return what a dial shows: 1 is good, 0 is bad."""
        now = self.loop.time()
        ill = any(start <= now < end for start, end in self.unwell)
        hurt = any(service == "shop" for service in self.in_force.values()) and dial == "p"
        value = 0.0 if ill or hurt else 1.0
        return {"ok": value == 1.0, "value": value}


def named(receipt: Receipt) -> Receipt:
    """Return what of a receipt is no secret, and tells it from others."""
    return Receipt(receipt.partition("!")[0])


@dataclass(slots=True)
class Reach:
    """The way from a process to the system; ``cut`` it, and nothing can be done there."""

    process: Process
    system: System
    cut: bool = False
    under_way: list[_Deed] = field(default_factory=list)
    """What has been begun and has not taken effect yet."""

    async def do(
        self,
        act: Callable[[], Found],
        error: CoordinationError,
        *,
        work_s: float = 0.0,
        landing_s: float | None = None,
    ) -> Found:
        """Have ``act`` take effect, and return what comes of it once ``work_s`` has passed.

        If this is cancelled before it took effect it never does. What a process that dies has
        begun takes effect as it dies, or never. It lands after ``landing_s``, or soon.

        Raises:
            CoordinationError: ``error``, which may mean that it did not take effect.
        """
        loop, random = self.system.loop, self.system.chance.random
        answer: asyncio.Future[Found] = loop.create_future()
        deed = _Deed(self, act, answer, error=error, work_s=work_s, tardy=landing_s is not None)
        if landing_s is None:
            landing_s = 0.0005 if random() < 0.8 else LANDING_S_MAX * random()
        loop.call_later(landing_s, deed.land, context=WORLD)
        self.under_way.append(deed)
        try:
            return await answer
        finally:
            if deed in self.under_way:
                self.under_way.remove(deed)

    def join(self) -> None:
        """Let everything be reached again."""
        self.cut = False

    def let_go(self) -> None:
        """Decide for all that is under way, as its process dies."""
        for deed in list(self.under_way):
            if not deed.tardy and self.system.chance.random() < 0.5:
                deed.land()
        self.under_way.clear()


@dataclass(slots=True, eq=False)
class _Deed:
    """Something that is to take effect on the system."""

    reach: Reach
    act: Callable[[], object]
    answer: asyncio.Future[Any]
    error: CoordinationError = field(kw_only=True)
    work_s: float = field(kw_only=True)
    tardy: bool = field(kw_only=True)

    def land(self) -> None:
        """Take effect, unless that is too late by now, and answer."""
        if self not in self.reach.under_way:
            return
        self.reach.under_way.remove(self)
        system, answer = self.reach.system, self.answer
        random, trouble = system.chance.random, system.trouble
        failed = partial(refuse, self.error, answer)
        if self.reach.cut or random() < trouble.refused:
            system.loop.call_later(2 * random(), failed, context=WORLD)
            return
        try:
            reply = partial(resolve, self.act(), answer)
        except CoordinationError as error:
            reply = partial(refuse, error, answer)
        if random() < trouble.broken:
            reply = failed
        wait_s = self.work_s + (8 * random() if random() < trouble.late else 0.001)
        if random() < trouble.stuck:
            wait_s += system.chance.choice([3.0, 30.0, 1e6])
        system.loop.call_later(wait_s, reply, context=WORLD)


class Switch(Told):
    """A fault that turns a service off, or makes it slow."""

    family = "switch"
    undo = "it is switched on again"

    def __init__(self, kind: str, reach: Reach, *, scalable: frozenset[str] = frozenset()) -> None:
        super().__init__(kind)
        self.scalable = scalable
        self._reach = reach

    async def arm(
        self, topology: Topology, service: ServiceName, parameters: Mapping[str, object]
    ) -> Receipt:
        del topology
        deed = partial(self._reach.system.armed, service, str(parameters.get("token", "")))
        return await self._reach.do(deed, self._error(service, "arming"))

    async def inject(self, receipt: Receipt) -> Facts:
        reach, system = self._reach, self._reach.system
        system.witness.injecting(named(receipt), reach.process)
        tardy = system.chance.random() < system.trouble.tardy
        landing_s = 1.0 + 8.0 * system.chance.random() if tardy else None
        deed = partial(system.inject, receipt, reach.process, tardy=tardy)
        return await reach.do(deed, self._error(receipt, "injecting"), landing_s=landing_s)

    async def revert(self, receipt: Receipt) -> Facts:
        self._reach.system.witness.reverting(named(receipt))
        deed = partial(self._reach.system.revert, receipt, self._reach.process)
        return await self._reach.do(deed, self._error(receipt, "reverting"))

    def _error(self, what: str, doing: str) -> FaultFailedError:
        service = what.partition("#")[0]
        return FaultFailedError(fault=self.kind, service=service, doing=doing, cause="no luck")


class Deed(Told):
    """An action that takes its time; one that is ``repeatable`` does no harm done twice."""

    def __init__(self, kind: str, reach: Reach, *, repeatable: bool) -> None:
        super().__init__(kind)
        self.repeatable = repeatable
        self._reach = reach

    async def run(self, topology: Topology, parameters: Mapping[str, object]) -> Facts:
        del topology
        name, seconds = str(parameters["name"]), parameters["seconds"]
        assert isinstance(seconds, int | float)
        fails = bool(parameters.get("fails"))
        deed = partial(self._reach.system.act, name, self._reach.process, fails=fails)
        error = ActionFailedError(action=self.kind, cause="no luck")
        return await self._reach.do(deed, error, work_s=seconds)


class Dial(Told):
    """Looks at a dial."""

    fields: Mapping[str, Kind] = {"ok": Kind.BOOLEAN, "value": Kind.NUMBER}
    measured = "value"
    unit = ""

    def __init__(self, reach: Reach) -> None:
        super().__init__("dial")
        self._reach = reach

    def open(
        self, topology: Topology, parameters: Mapping[str, object], *, timeout: timedelta
    ) -> AbstractAsyncContextManager[Probe]:
        del topology, timeout
        return self._open(str(parameters["dial"]))

    @asynccontextmanager
    async def _open(self, dial: str) -> AsyncGenerator[Probe]:
        yield _Look(self, dial)

    async def look(self, dial: str) -> Facts:
        shown = partial(self._reach.system.shown, dial)
        return await self._reach.do(shown, ProbeFailedError(cause="no route"))

    async def capture(self, topology: Topology, parameters: Mapping[str, object]) -> object:
        del topology
        return await self.look(str(parameters["dial"]))


@dataclass(frozen=True, slots=True)
class _Look:
    dial: Dial
    name: str

    async def read(self) -> Facts:
        return await self.dial.look(self.name)


def catalogue(reach: Reach) -> Catalogue:
    """Return what a process can do to the system, and see of it."""
    off = Switch("switch.off", reach)
    slow = Switch("switch.slow", reach, scalable=frozenset({"delay"}))
    note, ask = Deed("note", reach, repeatable=False), Deed("ask", reach, repeatable=True)
    return Catalogue(
        faults={off.kind: off, slow.kind: slow},
        actions={note.kind: note, ask.kind: ask},
        probes={"dial": Dial(reach)},
    )


def words() -> Catalogue:
    """Return what scenarios may ask for, as whoever only reads them needs it."""
    loop, chance = SimulatedLoop(Random(0)), Random(0)
    return catalogue(Reach(Process(0), System(loop, chance, _Nobody(), {})))


class _Nobody:
    """A witness of a system to which nothing is done."""

    def injecting(self, receipt: Receipt, by: Process) -> None:
        """See nothing."""

    def injected(self, receipt: Receipt, by: Process, *, tardy: bool) -> None:
        """See nothing."""

    def reverting(self, receipt: Receipt) -> None:
        """See nothing."""

    def reverted(self, receipt: Receipt, by: Process) -> None:
        """See nothing."""

    def acted(self, name: str, by: Process) -> None:
        """See nothing."""

    def misread(self, receipt: Receipt, by: Process) -> None:
        """See nothing."""
