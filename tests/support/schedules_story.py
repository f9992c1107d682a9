"""Schedules to be kept, executions that they began, and the stores that tell of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from support.stores_story import NEW, Story, new_record, new_scenario
from test_coordination.adapters.cron import following
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.memory.executions import MemoryExecutionLog
from test_coordination.adapters.memory.inbox import MemoryInbox
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.adapters.memory.schedules import MemoryTimetable
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.inbox import PostgresInbox
from test_coordination.adapters.postgres.pool import open_pool
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.postgres.schedules import PostgresTimetable
from test_coordination.application.definitions import ScenarioStore, StoredScenario
from test_coordination.application.ports import ExecutionLog, ExecutionRecord
from test_coordination.application.timetable import (
    Errand,
    Inbox,
    Occurrence,
    StoredSchedule,
    Timetable,
)
from test_coordination.domain.due import Look, Standing, look
from test_coordination.domain.schedule import Every, Rules, Schedule, Trigger
from test_coordination.domain.values import ExecutionId, ScheduleId, ScheduleName
from test_coordination.domain.verdicts import Verdict

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=1)


def decide(standing: Standing, now: datetime) -> Look:
    """Decide as a scheduler does."""
    return look(standing, now, following)


def always(stored: StoredSchedule, occurrence: Occurrence) -> bool:
    del stored, occurrence
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The stores that scheduling stands on, and a system that no other test has."""

    timetable: Timetable
    inbox: Inbox
    log: ExecutionLog
    scenarios: ScenarioStore
    system: str

    async def schedule(
        self,
        trigger: Trigger | None = None,
        rules: Rules | None = None,
        *,
        due: timedelta | None = timedelta(0),
        name: str = "",
    ) -> StoredSchedule:
        """Keep a schedule that was due ``due`` ago, every hour unless it has another trigger."""
        now = await self.timetable.now()
        first = None if due is None else now - due
        every = Every(period=HOUR, anchor=first or now)
        identity = NEW.new()
        stored = StoredSchedule(
            id=ScheduleId(identity),
            name=ScheduleName(name or f"s{identity}"),
            scenario="slow-prices",
            schedule=Schedule(trigger=trigger or every, rules=rules or Rules()),
            system=self.system,
            seed=7,
            created_at=now - HOUR,
            created_by="ann",
            next_due=first,
            next_moment=first,
        )
        await self.timetable.add(stored)
        return stored

    async def look(self, *, limit: int = 100) -> int:
        return await self.timetable.look(decide, system=self.system, limit=limit)

    async def take(self, *, limit: int = 100, lease: timedelta = LEASE) -> list[Errand]:
        return [*await self.timetable.take(system=self.system, limit=limit, lease=lease)]

    async def again(self, stored: StoredSchedule, due: datetime) -> None:
        """Let a schedule be due at a moment, as a clock that was set back would."""
        await self.timetable.change(
            stored.name, lambda kept, _: replace(kept, next_due=due, next_moment=due)
        )

    async def hear(self, *occurrences: Occurrence) -> int:
        for each in occurrences:
            await self.inbox.put(each)
        return await self.inbox.hear(always, limit=100)

    async def happened(self, topic: str, *, ago: timedelta = timedelta(0)) -> Occurrence:
        """Return something that has happened some time ago."""
        at = await self.timetable.now() - ago
        return Occurrence(topic=topic, cause=f"event {uuid4()}", at=at, data={"n": 1})

    async def begin(
        self, execution: ExecutionId | None = None, scenario: StoredScenario | None = None
    ) -> Story:
        """Begin an execution."""
        stored = scenario or await self.scenarios.store(new_scenario())
        return await self.begin_recorded(new_record(stored, execution))

    async def begin_recorded(self, record: ExecutionRecord) -> Story:
        await self.log.create(record)
        story = Story(record)
        await self.log.append(story.begin(), leading_to=story.state, epoch=record.epoch)
        return story

    async def end(self, story: Story, verdict: Verdict = Verdict.HELD) -> None:
        await self.log.append(story.end(verdict), leading_to=story.state, epoch=story.record.epoch)


@asynccontextmanager
async def open_desk(database: str | None) -> AsyncIterator[Desk]:
    """Lend the stores in a database, or in memory."""
    system = f"system-{uuid4().hex[:12]}"
    if database is None:
        scenarios = MemoryScenarioStore()
        log = MemoryExecutionLog(scenarios)
        timetable = MemoryTimetable(SystemClock(), log, NEW)
        inbox = MemoryInbox(log, timetable)
        yield Desk(timetable=timetable, inbox=inbox, log=log, scenarios=scenarios, system=system)
        return
    async with open_pool(database) as pool, open_execution_log(pool) as kept:
        yield Desk(
            timetable=PostgresTimetable(pool, NEW),
            inbox=PostgresInbox(pool),
            log=kept,
            scenarios=PostgresScenarioStore(pool),
            system=system,
        )
