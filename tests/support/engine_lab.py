"""A coordinator on memory and virtual time, over a world that can be broken."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from support.engine_fakes import Kit, NumberedIdentities, OneMachine
from support.engine_lease import firm
from support.engine_stores import ShakyEvidence, ShakyLog, ShakyWishes, WatchedLiveView
from support.schedules_lab import ToldWatch
from support.virtual_time import LoopClock
from test_coordination.adapters.cron import CronCalendar
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.events import MemoryEvents
from test_coordination.adapters.memory.inbox import MemoryInbox
from test_coordination.adapters.memory.queue import MemoryQueue
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.schedules import MemoryTimetable
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.controls import Controls
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.engine.sweep import Sweeper
from test_coordination.application.lending import coordinating
from test_coordination.application.timetable import Timing
from test_coordination.application.wishes import Ways
from test_coordination.application.world import World
from test_coordination.domain.errors import Mark
from test_coordination.domain.events import Event
from test_coordination.domain.execution import Execution
from test_coordination.domain.expressions import Expression
from test_coordination.domain.topology import Address, Invariant, Service, StateSource, Topology
from test_coordination.domain.values import CheckId, ExecutionId, ServiceName, Value, WorkerId

EXPRESSIONS = CelExpressions()
"""One for all tests: it remembers what it has compiled."""

MARK = Mark("lab.yaml", 1, 1)


def service(name: str, *, port: int = 0, protect: bool = False, **state: str) -> Service:
    return Service(
        name=ServiceName(name),
        mark=MARK,
        command=("true",),
        ports={"http": Address(host="127.0.0.1", port=port)} if port else {},
        protect=protect,
        state={
            part: StateSource(kind="dial", parameters={"dial": dial})
            for part, dial in state.items()
        },
    )


def topology() -> Topology:
    """Return a system of three services; the vault is protected."""
    services = [
        service("shop", port=80, stock="stock", orders="orders"),
        service("bank", port=81, money="money"),
        service("vault", protect=True),
    ]
    return Topology(
        name="lab",
        file="lab.yaml",
        directory="/nowhere",
        services={each.name: each for each in services},
        invariants=(
            Invariant(
                id=CheckId("stocked"),
                expression=Expression(text="services.shop.stock.value >= 1.0", mark=MARK),
            ),
        ),
    )


@dataclass(slots=True, kw_only=True)
class Lab:
    """Everything that a coordinator stands on, and a look behind it."""

    kit: Kit = field(default_factory=Kit.new)
    log: ShakyLog = field(default_factory=ShakyLog)
    evidence: ShakyEvidence = field(default_factory=ShakyEvidence)
    machine: OneMachine = field(default_factory=OneMachine)
    identities: NumberedIdentities = field(default_factory=NumberedIdentities)
    clock: LoopClock = field(default_factory=LoopClock)
    scenarios: MemoryScenarioStore = field(default_factory=MemoryScenarioStore)
    variables: dict[str, str] = field(default_factory=dict)
    """The environment, as far as secrets are kept there."""
    live: WatchedLiveView = field(init=False)
    workers: MemoryWorkers = field(init=False)
    timetable: MemoryTimetable = field(init=False)
    inbox: MemoryInbox = field(init=False)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    watch: ToldWatch = field(default_factory=ToldWatch)
    jobs: MemoryJobs = field(init=False)
    dispatch: MemoryDispatch = field(init=False)
    queue: MemoryQueue = field(init=False)
    wishes: ShakyWishes = field(init=False)
    quick: ShakyWishes | None = None
    """A second way for wishes, as Redis is one, if there is one."""

    def __post_init__(self) -> None:
        self.live = WatchedLiveView()
        self.workers = MemoryWorkers(self.clock, self.log)
        self.timetable = MemoryTimetable(self.clock, self.log, self.identities)
        self.inbox = MemoryInbox(self.log, self.timetable)
        self.jobs = MemoryJobs(self.clock)
        self.dispatch = MemoryDispatch(self.workers, self.jobs)
        self.queue = MemoryQueue(
            self.clock, self.log, enqueue=self.jobs.enqueue, offers=self.dispatch.offers
        )
        self.wishes = ShakyWishes(self.log)

    @classmethod
    def with_two_ways(cls) -> Lab:
        """Return a lab in which wishes take two ways, as where there is a Redis."""
        lab = cls()
        lab.quick = ShakyWishes(lab.log)
        lab.quick.store = "the quick one"
        return lab

    def controls(self) -> Controls:
        """Return what another process makes wishes with, which runs nothing."""
        world = self.world()
        return Controls(world.wishes, world.stores, world.workers, identities=self.identities)

    @property
    def secrets(self) -> KeptSecrets:
        return KeptSecrets(self.variables, directory=Path("/nowhere"))

    def world(self, system: Topology | None = None) -> World:
        known = self.kit.catalogue()
        return World(
            stores=Stores(log=self.log, live=self.live, clock=self.clock),
            scenarios=self.scenarios,
            evidence=self.evidence,
            workers=self.workers,
            queue=self.queue,
            dispatch=self.dispatch,
            machine=self.machine,
            identities=self.identities,
            reader=DefinitionReader(known, EXPRESSIONS),
            expressions=EXPRESSIONS,
            secrets=self.secrets,
            catalogue=known,
            timing=Timing(
                timetable=self.timetable,
                inbox=self.inbox,
                calendar=CronCalendar(),
                events=self.events,
                watch=self.watch,
            ),
            wishes=Ways(kept=self.wishes, quick=self.quick),
            system=system or topology(),
        )

    def sweeper(self, me: int, *, busy: frozenset[ExecutionId] = frozenset()) -> Sweeper:
        return Sweeper(
            stores=self.world().stores,
            workers=self.workers,
            machine=self.machine,
            faults=self.kit.catalogue().faults,
            secrets=self.secrets,
            lease=firm(self.workers, WorkerId(NumberedIdentities(me).new())),
            busy=busy,
            wishes=self.wishes,
            present=self.dispatch.present,
        )

    @asynccontextmanager
    async def coordinator(self) -> AsyncGenerator[Coordinator]:
        async with coordinating(self.world()) as coordinator:
            yield coordinator

    async def run(self, text: str, parameters: Mapping[str, Value] | None = None) -> Execution:
        """Return how the scenario in ``text`` ended."""
        async with self.coordinator() as coordinator:
            execution = await start(coordinator, text, parameters)
            return await coordinator.execution_result(execution)

    async def state(self, execution: ExecutionId) -> Execution:
        """Return what the log says of an execution."""
        return Execution.of(execution, await self.log.read(execution))

    async def logged(self, execution: ExecutionId) -> list[Event]:
        return [entry.event for entry in await self.log.read(execution)]

    async def newest(self) -> ExecutionId:
        return (await self.log.recent(limit=1))[0].id


def document(body: str, *, name: str = "story") -> str:
    """Return a scenario of one probe, ``p``, and what ``body`` adds."""
    return f"scenario: {name}\nversion: 1\n{body}"


PROBE = "probes: {p: {dial: {dial: p}, every: 1s}}\n"
"""One probe, ``p``, that looks once a second."""


async def start(
    coordinator: Coordinator, text: str, parameters: Mapping[str, Value] | None = None
) -> ExecutionId:
    """Store the scenario in ``text`` and begin it."""
    scenario = await coordinator.create_scenario(text)
    return await coordinator.execute_scenario(scenario, parameters, requested_by="ann")


async def until(moment_s: float) -> None:
    """Return at that second of the test."""
    await anyio.sleep(max(0.0, moment_s - anyio.current_time()))
