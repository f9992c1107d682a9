"""Use cases on schedules: keep them, look ahead, pause, fire by hand, tell what became of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import ClassVar, Final

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.hearing import matching
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.timetable import Firing, Occurrence, StoredSchedule
from test_coordination.application.world import World
from test_coordination.domain.due import Instant, Look, Occasion, Standing, Times, look, occasions
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.schedule import (
    AfterExecution,
    Cron,
    InvalidScheduleError,
    OnChange,
    OnEvent,
    Schedule,
    event_name,
    event_topic,
    schedule_name,
)
from test_coordination.domain.values import ScheduleId, Value, format_duration

SEED_MAX: Final = 2**53 - 1
"""The largest seed that is drawn: JSON carries it to any reader without loss."""
DATA_BYTES_MAX: Final = 65_536
JUST_BEFORE: Final = timedelta(milliseconds=1)


@dataclass(eq=False, kw_only=True)
class EventTooLargeError(CoordinationError):
    """An event carries more than can be kept."""

    code: ClassVar[str] = "event.too_large"

    name: str
    size: int

    def __str__(self) -> str:
        return (
            f"the data of event {self.name!r} has {self.size} bytes as JSON; at most "
            f"{DATA_BYTES_MAX} are taken: send where it is to be found instead"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """What somebody wants to run by itself: under which name, when, and with which parameters.

    With ``newest`` it is always the newest version of the scenario that runs. What chance
    decides is drawn from ``seed``, itself drawn unless it is given, and kept.
    """

    name: str
    schedule: Schedule
    parameters: Mapping[str, Value]
    by: str = ""
    newest: bool = False
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """The schedules of a world."""

    world: World

    async def create(self, scenario: StoredScenario, new: NewSchedule) -> StoredSchedule:
        """Keep a schedule, and return it.

        Raises:
            InvalidScheduleError: a part of it cannot be, or nothing would ever come of it.
            InvalidExpressionError: the condition on events is none.
            InvalidDocumentError: the parameters do not fit the scenario.
            DefinitionKindError: what is to run is no scenario.
            NoTopologyError: there is no system under test.
            NotFoundError: it waits for a scenario that is not stored.
            UnknownServiceError: it waits for a service that there is not.
            ScheduleExistsError: another one has its name.
        """
        name = schedule_name(new.name)
        topology = self.world.topology(doing=f"scheduling {scenario.name!r}")
        await self._check(new.schedule, name=name)
        scenarios = Scenarios(world=self.world)
        scenarios.plan(await scenarios.load(scenario), new.parameters, seed=0)
        now = await self.world.timing.timetable.now()
        drawn = self.world.identities.new()
        stored = StoredSchedule(
            id=ScheduleId(drawn),
            name=name,
            scenario=scenario.name,
            version=None if new.newest else scenario.version,
            parameters={key: _plain(value) for key, value in new.parameters.items()},
            schedule=new.schedule,
            system=topology.name,
            seed=drawn.int & SEED_MAX if new.seed is None else new.seed,
            created_at=now,
            created_by=new.by,
        )
        stored = self._awaiting(stored, now)
        if stored.over_at is not None:
            expected = "a time to come: it would never run"
            raise InvalidScheduleError(key="the schedule", found=name, expected=expected)
        await self.world.timing.timetable.add(stored)
        return stored

    async def _check(self, schedule: Schedule, *, name: str) -> None:
        for cron in schedule.crons():
            self.world.timing.calendar.check(cron)
        match schedule.trigger:
            case AfterExecution(scenario=scenario):
                await self.world.scenarios.newest(scenario)
            case OnEvent() as trigger:
                matching(self.world.expressions, trigger, name=name)
            case OnChange(service=service):
                self.world.topology(doing="watching a service").service(service)
            case _:
                pass

    def _awaiting(self, stored: StoredSchedule, now: datetime) -> StoredSchedule:
        """Return a schedule with what comes next after ``now``; it is over if nothing does."""
        times = self._times(stored)
        first = times.next(now)
        waits = bool(stored.schedule.topic(stored.system))
        return replace(
            stored,
            next_due=None if first is None else first.due,
            next_moment=None if first is None else first.moment,
            over_at=None if waits or first is not None else now,
        )

    def _times(self, stored: StoredSchedule) -> Times:
        following = self.world.timing.calendar.following
        return Times(schedule=stored.schedule, seed=stored.seed, following=following)

    async def pause(self, name: str, *, because: str) -> StoredSchedule:
        """Let a schedule begin nothing until it is resumed; what runs goes on.

        Raises:
            NotFoundError: no schedule has that name.
        """

        def paused(stored: StoredSchedule, now: datetime) -> StoredSchedule:
            since = stored.paused_at or now
            return replace(stored, paused_at=since, paused_because=because)

        return await self.world.timing.timetable.change(name, paused)

    async def resume(self, name: str) -> StoredSchedule:
        """Let a schedule go on; what would have run while it was paused is not made up for.

        Raises:
            NotFoundError: no schedule has that name.
        """

        def resumed(stored: StoredSchedule, now: datetime) -> StoredSchedule:
            if stored.paused_at is None:
                return stored
            free = replace(stored, paused_at=None, paused_because="")
            return free if stored.over_at is not None else self._awaiting(free, now)

        return await self.world.timing.timetable.change(name, resumed)

    async def preview(self, name: str, *, count: int) -> Sequence[Occasion]:
        """Return the next runs of a schedule, in its time zone; none if it waits to hear.

        Raises:
            NotFoundError: no schedule has that name.
        """
        stored = await self.world.timing.timetable.get(name)
        if stored.over_at is not None:
            return []
        after = await self.world.timing.timetable.now()
        if stored.next_due is not None and stored.paused_at is None:
            # What is due already may still wait for its moment.
            after = min(after, stored.next_due - JUST_BEFORE)
        standing = Standing(schedule=stored.schedule, seed=stored.seed, runs=stored.runs)
        return self._ahead(standing, after, count=count)

    async def look_ahead(
        self, schedule: Schedule, *, count: int, seed: int = 0
    ) -> Sequence[Occasion]:
        """Return the next runs of what is not kept; see `preview`.

        Raises:
            InvalidScheduleError: a part of it cannot be.
        """
        for cron in schedule.crons():
            self.world.timing.calendar.check(cron)
        now = await self.world.timing.timetable.now()
        return self._ahead(Standing(schedule=schedule, seed=seed), now, count=count)

    def _ahead(self, standing: Standing, after: datetime, *, count: int) -> Sequence[Occasion]:
        calendar = self.world.timing.calendar
        trigger = standing.schedule.trigger
        zone = trigger.zone if isinstance(trigger, Cron) else "UTC"
        local = partial(calendar.local, zone=zone)
        return [
            replace(each, due=local(each.due), moment=local(each.moment))
            for each in islice(occasions(standing, after, calendar.following), count)
        ]

    async def fire(self, name: str, *, by: str) -> Firing:
        """Ask for a run of a schedule now; a scheduler begins it.

        Only what is under way counts: where overlapping is forbidden, the firing is left out.
        Blackouts, a pause, and how often it may run do not matter, and it does not count.

        Raises:
            NotFoundError: no schedule has that name.
        """
        cause = f"by hand of {by or 'somebody'}, {self.world.identities.new()}"
        following = self.world.timing.calendar.following

        def decide(standing: Standing, now: datetime) -> Look:
            rules = replace(standing.schedule.rules, blackouts=(), closures=(), max_runs=None)
            free = replace(
                standing,
                schedule=replace(standing.schedule, rules=rules),
                next=None,
                spans=(),
                heard=(Instant(due=now, moment=now, cause=cause),),
            )
            return look(free, now, following)

        return await self.world.timing.timetable.fire(name, decide)

    async def post(self, name: str, data: Mapping[str, Value]) -> None:
        """Tell the schedules that wait for it that an event has happened; durable at return.

        Raises:
            InvalidScheduleError: no event may have that name.
            EventTooLargeError: its data has more than ``DATA_BYTES_MAX`` bytes.
        """
        topic = event_topic(event_name(name))
        plain = {key: _plain(value) for key, value in data.items()}
        size = len(json.dumps(plain, ensure_ascii=False).encode(errors="replace"))
        if size > DATA_BYTES_MAX:
            raise EventTooLargeError(name=name, size=size)
        now = await self.world.timing.timetable.now()
        cause = f"event {self.world.identities.new()}"
        await self.world.timing.inbox.put(Occurrence(topic=topic, cause=cause, at=now, data=plain))


def _plain(value: Value) -> Value:
    """Return ``value`` as JSON carries it: a duration as the text that it is read from."""
    match value:
        case timedelta():
            return format_duration(value)
        case tuple():
            return tuple(map(_plain, value))
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case _:
            return value
