"""The part of the domain API that is about schedules and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from test_coordination.application.schedules import NewSchedule, Schedules
from test_coordination.application.shelf import Shelf
from test_coordination.application.timetable import Firing, StoredSchedule
from test_coordination.application.world import World
from test_coordination.domain.due import Occasion
from test_coordination.domain.schedule import Schedule
from test_coordination.domain.values import ScenarioId, ScheduleId, Value


class Agenda(Shelf):
    """What is to run by itself, and what may make it run.

    Runs are begun by whoever is at `Coordinator.run_schedules`, and carried out by workers.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._schedules = Schedules(world=world)

    async def schedule_scenario(
        self,
        scenario: ScenarioId,
        schedule: Schedule,
        parameters: Mapping[str, Value] | None = None,
        *,
        name: str,
        newest: bool = False,
        requested_by: str = "",
        seed: int | None = None,
    ) -> ScheduleId:
        """Let a scenario run by itself from now on, and return the identity of that.

        It is this version that runs, or whichever is the newest by then. Moments that chance
        chooses in a window are drawn from ``seed``, itself drawn unless it is given, and kept.

        Raises:
            InvalidScheduleError: a part of the schedule cannot be, or nothing would ever run.
            InvalidExpressionError: the condition on events is none.
            InvalidDocumentError: ``parameters`` do not fit.
            DefinitionKindError: it is no scenario.
            NotFoundError: nothing is stored under ``scenario``, or by the name that it waits for.
            UnknownServiceError: it waits for a service that there is not.
            NoTopologyError: there is no system under test.
            ScheduleExistsError: another schedule has the name.
        """
        stored = await self._world.scenarios.get(scenario)
        new = NewSchedule(
            name=name,
            schedule=schedule,
            parameters=parameters or {},
            by=requested_by,
            newest=newest,
            seed=seed,
        )
        return (await self._schedules.create(stored, new)).id

    async def list_schedules(self, *, limit: int = 50, after: str = "") -> Sequence[StoredSchedule]:
        """Return at most ``limit`` schedules behind a name, in the order of names."""
        return await self._world.timing.timetable.list(limit=limit, after=after)

    async def schedule(self, name: str) -> StoredSchedule:
        """Return a schedule, and how far it has come.

        Raises:
            NotFoundError: none has that name.
        """
        return await self._world.timing.timetable.get(name)

    async def preview_schedule(self, name: str, *, count: int = 10) -> Sequence[Occasion]:
        """Return the next runs of a schedule in its time zone; none if it waits to hear.

        Raises:
            NotFoundError: no schedule has that name.
        """
        return await self._schedules.preview(name, count=count)

    async def look_ahead(
        self, schedule: Schedule, *, count: int = 10, seed: int = 0
    ) -> Sequence[Occasion]:
        """Return what `preview_schedule` would of a schedule that is not kept.

        Raises:
            InvalidScheduleError: a part of it cannot be.
        """
        return await self._schedules.look_ahead(schedule, count=count, seed=seed)

    async def pause_schedule(self, name: str, *, reason: str) -> None:
        """Let a schedule begin nothing until it is resumed; what is under way goes on.

        Raises:
            NotFoundError: none has that name.
        """
        await self._schedules.pause(name, because=reason)

    async def resume_schedule(self, name: str) -> None:
        """Let a schedule go on; what it left out while it was paused is not made up for.

        Raises:
            NotFoundError: none has that name.
        """
        await self._schedules.resume(name)

    async def delete_schedule(self, name: str) -> None:
        """Forget a schedule and what became of its runs; executions of it are not touched.

        Raises:
            NotFoundError: none has that name.
        """
        await self._world.timing.timetable.delete(name)

    async def trigger_schedule(self, name: str, *, by: str = "") -> Firing:
        """Ask for a run of a schedule now, and return what became of the wish.

        It is left out if a run is under way and may not overlap. Blackouts, pauses and how often
        the schedule may run do not matter, and it is not one of its runs.

        Raises:
            NotFoundError: none has that name.
        """
        return await self._schedules.fire(name, by=by)

    async def schedule_history(
        self, name: str, *, limit: int = 20, before: datetime | None = None
    ) -> Sequence[Firing]:
        """Return what became of the runs that a schedule asked for, the latest times first.

        Raises:
            NotFoundError: no schedule has that name.
        """
        return await self._world.timing.timetable.firings(name, limit=limit, before=before)

    async def post_event(self, name: str, data: Mapping[str, Value] | None = None) -> None:
        """Say that something has happened; schedules that wait for it run. Durable at return.

        Raises:
            InvalidScheduleError: no event may have that name.
            EventTooLargeError: ``data`` is too much.
        """
        await self._schedules.post(name, data or {})
