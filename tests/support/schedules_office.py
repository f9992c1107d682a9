"""A scheduler on memory and virtual time, and what it has begun and stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import anyio

from support.engine_lab import Lab
from support.engine_stores import gone
from support.stores_story import Story, new_record, new_scenario
from support.virtual_time import ANCHOR
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.executions import Order
from test_coordination.application.fleet import NOBODY
from test_coordination.application.scheduler import Pace, Scheduler
from test_coordination.application.schedules import NewSchedule, Schedules
from test_coordination.application.timetable import Firing, FiringState, Sighting, StoredSchedule
from test_coordination.domain.events import Entry, ExecutionEnded
from test_coordination.domain.schedule import Every, Overlap, Rules, Schedule, Trigger
from test_coordination.domain.values import ExecutionId, ServiceName, Value
from test_coordination.domain.verdicts import Verdict

TURN: Final = timedelta(minutes=10)
EACH_TURN: Final = Every(period=TURN, anchor=ANCHOR)
SCENARIO: Final = "story"
TEXT: Final = (
    "scenario: story\nversion: 1\nparameters: {outage: {type: duration, default: 5s}}\n"
    "steps: [{id: w, wait: 3s}]"
)


@dataclass(slots=True, kw_only=True)
class Office:
    """A world whose executions begin when they are asked for, and end when they are told to."""

    lab: Lab = field(default_factory=Lab)
    begun: list[tuple[StoredScenario, Mapping[str, object], Order]] = field(default_factory=list)
    stopped: list[ExecutionId] = field(default_factory=list)
    troubles: deque[Exception] = field(default_factory=deque)
    stories: dict[ExecutionId, Story] = field(default_factory=dict)
    deaf: int = 0
    """How often a wish to stop is not heard."""

    def scheduler(self, pace: Pace | None = None, *, system: bool = True) -> Scheduler:
        world = self.lab.world()
        if not system:
            world = replace(world, system=None)
        return Scheduler(world, begin=self.begin, stop=self.stop, pace=pace)

    @asynccontextmanager
    async def at_work(self, schedulers: int = 1) -> AsyncGenerator[None]:
        """Have so many schedulers at work meanwhile."""
        async with anyio.create_task_group() as group:
            for _ in range(schedulers):
                group.start_soon(self.scheduler().run)
            yield
            group.cancel_scope.cancel()

    async def begin(
        self, stored: StoredScenario, given: Mapping[str, object], *, order: Order
    ) -> ExecutionId:
        if self.troubles:
            raise self.troubles.popleft()
        assert order.id is not None
        if order.id not in self.stories:
            self.begun.append((stored, given, order))
            story = self.stories[order.id] = Story(new_record(stored, order.id))
            # As what was ordered detached, it is no dead worker's, and nobody clears it away.
            left = replace(story.record, worker=NOBODY, detached=True)
            story.record = replace(left, requested_at=self.lab.clock.now())
            await self.lab.log.create(story.record)
            await self.lab.log.append(story.begin(), leading_to=story.state, epoch=1)
        return order.id

    async def stop(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        assert (reason, by) == ("a later run of schedule s takes its place", "the scheduler")
        if self.deaf:
            self.deaf -= 1
            raise gone()
        self.stopped.append(execution)

    async def end(self, execution: ExecutionId, verdict: Verdict = Verdict.HELD) -> None:
        state = self.stories[execution].state
        end = Entry(
            position=state.position + 1,
            at=self.lab.clock.now(),
            event=ExecutionEnded(verdict=verdict, reason="so it is told"),
        )
        await self.lab.log.append([end], leading_to=state.apply(end), epoch=1)

    async def schedule(
        self,
        trigger: Trigger = EACH_TURN,
        rules: Rules | None = None,
        *,
        name: str = "s",
        parameters: Mapping[str, Value] | None = None,
        newest: bool = True,
    ) -> StoredSchedule:
        """Keep a schedule of a scenario that is stored."""
        stored = await self.lab.scenarios.store(new_scenario(SCENARIO, TEXT))
        new = NewSchedule(
            name=name,
            schedule=Schedule(trigger=trigger, rules=rules or Rules(overlap=Overlap.ALLOW)),
            parameters=parameters or {},
            by="ann",
            newest=newest,
        )
        return await Schedules(world=self.lab.world()).create(stored, new)

    async def firings(self, name: str = "s") -> list[Firing]:
        """Return the firings of a schedule, the earliest time first."""
        found = await self.lab.timetable.firings(name, limit=1000)
        return sorted(found, key=lambda each: each.due)

    async def states(self, name: str = "s") -> list[FiringState]:
        return [each.state for each in await self.firings(name)]


def sighting(service: str, mark: int, *, build: str = "a") -> Sighting:
    """Return a service as it was seen to run, ``mark`` seconds after the beginning."""
    return Sighting(
        service=ServiceName(service),
        place="here",
        mark=str(mark),
        build=build,
        started_at=ANCHOR + timedelta(seconds=mark),
    )
