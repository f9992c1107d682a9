"""A day of many schedules, on virtual time, with schedulers that die at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.lowlevel

from support.engine_fakes import NumberedIdentities
from support.engine_lab import Lab
from support.stores_story import new_record, new_scenario
from support.virtual_time import ANCHOR
from test_coordination.adapters.cron import following
from test_coordination.adapters.memory.inbox import MemoryInbox
from test_coordination.adapters.memory.schedules import MemoryTimetable
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.executions import Order
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.scheduler import Pace, Scheduler
from test_coordination.application.timetable import Firing, FiringState, StoredSchedule
from test_coordination.domain.due import Times
from test_coordination.domain.execution import Status
from test_coordination.domain.schedule import (
    Cron,
    Every,
    Misfire,
    MisfirePolicy,
    Overlap,
    Rules,
    Schedule,
)
from test_coordination.domain.values import ExecutionId, ScheduleId, ScheduleName
from test_coordination.domain.verdicts import Verdict

DEATH: Final = 0.02
"""How likely a scheduler dies at each step."""
DAY: Final = timedelta(hours=24)
HOUR: Final = timedelta(hours=1)
SYSTEM: Final = "lab"
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
PACE: Final = Pace(
    poll=timedelta(seconds=45),
    watch=DAY,
    prune=timedelta(hours=1),
    lease=timedelta(seconds=50),
    looked_at=40,
    taken=8,
)

Given = ParamSpec("Given")
Found = TypeVar("Found")


LIFE: Final[ContextVar[Callable[[], None]]] = ContextVar("life")
"""Lets the scheduler die that asks, now and then."""


async def step() -> None:
    """Be at a point at which a scheduler may die."""
    LIFE.get()()
    await anyio.lowlevel.checkpoint()


def mortal(method: Callable[Given, Awaitable[Found]]) -> Callable[Given, Awaitable[Found]]:
    """Let whoever calls die before what he wants is done, or before he is told that it is."""

    async def called(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        await step()
        found = await method(*args, **kwargs)
        await step()
        return found

    return called


@dataclass(slots=True)
class DayLog:
    """The executions of the day: each takes a while, and then has ended."""

    lab: Lab
    scenario: StoredScenario
    records: dict[ExecutionId, ExecutionRecord] = field(default_factory=dict)
    tries: Counter[ExecutionId] = field(default_factory=Counter)
    _ends: list[tuple[datetime, ExecutionId]] = field(default_factory=list)
    _ended: list[ExecutionRecord] = field(default_factory=list)

    @property
    def ended(self) -> Sequence[ExecutionRecord]:
        self._pass()
        return self._ended

    def known(self, execution: ExecutionId) -> ExecutionRecord:
        self._pass()
        return self.records[execution]

    def _pass(self) -> None:
        now = self.lab.clock.now()
        while self._ends and self._ends[0][0] <= now:
            end, execution = heappop(self._ends)
            record = replace(
                self.records[execution],
                status=Status.FINISHED,
                ended_at=end,
                verdict=Verdict.HELD,
            )
            self.records[execution] = record
            self._ended.append(record)

    async def begin(
        self, stored: StoredScenario, given: Mapping[str, object], *, order: Order
    ) -> ExecutionId:
        """Begin an execution that takes as many minutes as its parameters say."""
        assert order.id is not None
        assert order.detached
        await step()
        self.tries[order.id] += 1
        if order.id not in self.records:
            now = self.lab.clock.now()
            record = replace(
                new_record(stored, order.id),
                status=Status.RUNNING,
                started_at=now,
                requested_at=now,
            )
            self.records[order.id] = record
            heappush(self._ends, (now + timedelta(minutes=float(str(given["m"]))), order.id))
        await step()
        return order.id


class Day:
    """A thousand schedules, and schedulers that come and go."""

    def __init__(self, seed: int, *, schedules: int) -> None:
        self.chance = Random(seed)
        self.lab = Lab()
        self.count = schedules
        self.deaths = 0

    async def run(self) -> None:
        """Let the day pass, and an hour after it in which nobody dies."""
        scenario = await self.lab.scenarios.store(new_scenario("story"))
        self.log = DayLog(self.lab, scenario)
        timetable = MemoryTimetable(self.lab.clock, self.log, NumberedIdentities(10**9))
        inbox = MemoryInbox(self.log, timetable)
        self.schedules = [self._schedule(number) for number in range(self.count)]
        for each in self.schedules:
            await timetable.add(each)
        for store, names in ((timetable, ("look", "take", "settle", "stirs")), (inbox, ("hear",))):
            for name in names:
                setattr(store, name, mortal(getattr(store, name)))
        world = self.lab.world()
        timing = replace(world.timing, timetable=timetable, inbox=inbox)
        self.world = replace(world, timing=timing)
        self.timetable = timetable
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(self._live)
            await anyio.sleep((DAY + HOUR).total_seconds())
            group.cancel_scope.cancel()

    async def _live(self) -> None:
        """Be a scheduler that dies again and again, and is replaced some time later."""
        while True:
            scheduler = Scheduler(self.world, begin=self.log.begin, stop=_stop, pace=PACE)
            with anyio.CancelScope() as scope:
                LIFE.set(partial(self._threaten, scope))
                await scheduler.run()
            await anyio.sleep(self.chance.uniform(0, 600))

    def _threaten(self, scope: anyio.CancelScope) -> None:
        if self.chance.random() < DEATH and self.lab.clock.now() < ANCHOR + DAY:
            self.deaths += 1
            scope.cancel()

    def _schedule(self, number: int) -> StoredSchedule:
        chance = self.chance
        trigger = self._trigger(number)
        rules = Rules(
            misfire=Misfire(grace=HOUR, policy=MisfirePolicy.RUN_ALL),
            overlap=chance.choice([Overlap.ALLOW, Overlap.ALLOW, Overlap.FORBID]),
            window=chance.choice([timedelta(0), timedelta(minutes=20)]),
        )
        schedule = Schedule(trigger=trigger, rules=rules)
        times = Times(schedule=schedule, seed=number, following=following)
        first = times.next(ANCHOR)
        return StoredSchedule(
            id=ScheduleId(NumberedIdentities(10**6 + number).new()),
            name=ScheduleName(f"s{number}"),
            scenario="story",
            schedule=schedule,
            system=SYSTEM,
            seed=number,
            parameters={"m": chance.choice([1, 30, 300])},
            created_at=ANCHOR,
            created_by="ann",
            next_due=None if first is None else first.due,
            next_moment=None if first is None else first.moment,
        )

    def _trigger(self, number: int) -> Cron | Every:
        chance = self.chance
        minute, hour = chance.randrange(60), chance.randrange(24)
        crons = (
            f"{minute} {hour} * * *",
            f"{minute} */{chance.choice([4, 6, 12])} * * *",
            f"{minute % 20},40 {hour}-23/5 * * *",
        )
        if number % 4 == 0:
            return Every(period=timedelta(minutes=chance.randrange(90, 900)), anchor=ANCHOR)
        return Cron(expression=crons[number % 4 - 1], zone=chance.choice(ZONES))

    def expected(self, schedule: StoredSchedule) -> list[datetime]:
        """Return the times of a schedule in this day."""
        times = Times(schedule=schedule.schedule, seed=schedule.seed, following=following)
        found: list[datetime] = []
        due = times.after(ANCHOR)
        while due is not None and due <= ANCHOR + DAY:
            found.append(due)
            due = times.after(due)
        return found

    async def fired(self, schedule: StoredSchedule) -> list[Firing]:
        """Return the firings of this day, the earliest time first."""
        firings = await self.timetable.firings(schedule.name, limit=10**6)
        return sorted(
            (each for each in firings if each.due <= ANCHOR + DAY), key=lambda each: each.due
        )


def begun(firings: Sequence[Firing]) -> list[ExecutionId]:
    """Return the executions of those firings that were to be begun."""
    return [
        each.execution
        for each in firings
        if each.execution is not None and each.state in {FiringState.STARTED, FiringState.ENDED}
    ]


async def _stop(execution: ExecutionId, *, reason: str, by: str) -> None:
    raise AssertionError((execution, reason, by))
