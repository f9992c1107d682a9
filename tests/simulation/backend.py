"""What all workers share: the stores, the ways of wishes, and the system under test."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from random import Random
from typing import cast

from simulation.library import EXPRESSIONS, SECRETS, Shop, topology
from simulation.loop import Process, SimulatedLoop
from simulation.network import Line, Remote, Server
from simulation.ports import BlindWatch, Glimpse, KeptEvidence, Names, RemoteJobs, WallClock
from simulation.targets import Reach, System, catalogue
from simulation.truth import Truth
from simulation.wishing import RemoteWishes, WishBook
from simulation.witnesses import WitnessedLog, WitnessedWorkers
from test_coordination.adapters.cron import CronCalendar
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.events import MemoryEvents
from test_coordination.adapters.memory.inbox import MemoryInbox
from test_coordination.adapters.memory.queue import MemoryQueue
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.schedules import MemoryTimetable
from test_coordination.application.definitions import ScenarioStore
from test_coordination.application.engine.recorder import Stores
from test_coordination.application.fleet import Machine, Queue, Workers
from test_coordination.application.ports import Evidence, ExecutionLog
from test_coordination.application.timetable import Inbox, Timetable, Timing
from test_coordination.application.wishes import Ways
from test_coordination.application.world import World


@dataclass(slots=True)
class Lines:
    """The ways of one process to the others; its clock and its machine are its own."""

    process: Process
    store: Line
    quick: Line
    targets: Reach
    clock: WallClock


@dataclass(slots=True)
class Backend:
    """The stores and the system, which all workers share; the ``quick`` store may lose it all."""

    loop: SimulatedLoop
    truth: Truth
    store: Server
    quick: Server
    shop: Shop
    chance: InitVar[Random]
    hit_max: int = 2
    names: Names = field(default_factory=Names)
    scenarios: MemoryScenarioStore = field(default_factory=MemoryScenarioStore)
    evidence: KeptEvidence = field(default_factory=KeptEvidence)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    system: System = field(init=False)
    log: WitnessedLog = field(init=False)
    leases: WitnessedWorkers = field(init=False)
    jobs: MemoryJobs = field(init=False)
    queue: MemoryQueue = field(init=False)
    timetable: MemoryTimetable = field(init=False)
    inbox: MemoryInbox = field(init=False)
    wishes: WishBook = field(init=False)
    quick_wishes: WishBook = field(init=False)

    def __post_init__(self, chance: Random) -> None:
        clock = WallClock(self.loop)
        self.system = System(self.loop, chance, self.truth, self.truth.in_force)
        self.log = WitnessedLog(self.truth, self.store)
        self.leases = WitnessedWorkers(clock, self.log, truth=self.truth, server=self.store)
        self.jobs = MemoryJobs(clock)
        self.queue = MemoryQueue(clock, self.log, enqueue=self.jobs.enqueue)
        self.timetable = MemoryTimetable(clock, self.log, self.names)
        self.inbox = MemoryInbox(self.log, self.timetable)
        self.wishes, self.quick_wishes = WishBook(self.log), WishBook(self.log)
        self.store.after = self.log.watch

    def lines(self, process: Process) -> Lines:
        """Return the ways of a new process to everything here."""
        return Lines(
            process,
            Line(process, self.store),
            Line(process, self.quick),
            Reach(process, self.system),
            WallClock(self.loop),
        )

    def world(self, lines: Lines, machine: Machine) -> World:
        """Return what a coordinator stands on that reaches all this by ``lines``."""
        line = lines.store
        jobs = cast("MemoryJobs", RemoteJobs(line, self.jobs))
        quick = RemoteWishes(lines.quick, self.quick_wishes)
        return World(
            stores=Stores(
                log=cast("ExecutionLog", Remote(line, self.log)),
                live=Glimpse(),
                clock=lines.clock,
            ),
            scenarios=cast("ScenarioStore", Remote(line, self.scenarios)),
            evidence=cast("Evidence", Remote(line, self.evidence)),
            workers=cast("Workers", Remote(line, self.leases)),
            queue=cast("Queue", Remote(line, self.queue)),
            dispatch=MemoryDispatch(self.leases, jobs),
            machine=machine,
            identities=self.names,
            reader=self.shop.reader,
            expressions=EXPRESSIONS,
            secrets=SECRETS,
            catalogue=catalogue(lines.targets),
            timing=Timing(
                timetable=cast("Timetable", Remote(line, self.timetable)),
                inbox=cast("Inbox", Remote(line, self.inbox)),
                calendar=CronCalendar(),
                events=self.events,
                watch=BlindWatch(),
            ),
            wishes=Ways(kept=RemoteWishes(line, self.wishes), quick=quick),
            system=topology(self.hit_max),
        )
