"""Fires what is due: the loop of one scheduler, of which any number may be at work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol

import anyio

from test_coordination.application.definitions import StoredScenario
from test_coordination.application.executions import Order
from test_coordination.application.hearing import Ears, Matching
from test_coordination.application.ports import NotFoundError
from test_coordination.application.timetable import Errand, FiringState, StoredSchedule
from test_coordination.application.world import World
from test_coordination.domain.due import (
    Instant,
    Look,
    Ruling,
    Skip,
    Standing,
    Times,
    look,
)
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.schedule import MisfirePolicy, Overlap
from test_coordination.domain.values import ExecutionId, ScheduleId

WHY_LENGTH_MAX: Final = 1_000
SCHEDULER: Final = "the scheduler"
STOP_AGAIN_S: Final = 10.0
"""After what time an execution is told once more to make way."""
UNDECIDED: Final = timedelta(minutes=1)
"""How long a schedule rests about which nothing can be decided here."""


class Begin(Protocol):
    """Begins executions; `Executions.start` does."""

    async def __call__(
        self, stored: StoredScenario, given: Mapping[str, object], *, order: Order
    ) -> ExecutionId:
        """Put an execution into the queue; an order whose id there is already changes nothing."""
        ...


class Stop(Protocol):
    """Stops executions, whichever worker has them."""

    async def __call__(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        """Ask for an execution to be stopped; what has ended already stays as it is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a scheduler looks, at schedules and at services, and how much it does at once.

    Each ``prune`` it forgets firings of long ago. ``lease`` is how long the beginning of an
    execution may take before another scheduler does it as well, ``again`` after what time an
    execution is looked at again that is being replaced.
    """

    poll: timedelta = timedelta(milliseconds=500)
    watch: timedelta = timedelta(seconds=1)
    prune: timedelta = timedelta(seconds=10)
    lease: timedelta = timedelta(seconds=10)
    again: timedelta = timedelta(milliseconds=500)
    looked_at: int = 200
    taken: int = 16
    heard: int = 100


class Scheduler:
    """Looks after the schedules of the system that its world has, and brings in what is heard.

    What it does is kept step by step, so that another one finishes what it leaves undone. A run
    that is asked for is one row with the identity of its execution, drawn before the execution is
    begun: whoever begins it, and however often, begins that one.
    """

    def __init__(self, world: World, *, begin: Begin, stop: Stop, pace: Pace | None = None) -> None:
        """Have executions begun and stopped by ``begin`` and ``stop``."""
        self._world = world
        self._timing = world.timing
        self._begin = begin
        self._stop = stop
        self._pace = pace or Pace()
        self._ears = Ears(timing=world.timing, topology=world.system)
        self._pruned: ScheduleId | None = None
        self._told_to_stop: dict[ExecutionId, float] = {}
        self._matching = Matching(expressions=world.expressions)

    async def run(self) -> NoReturn:
        """Fire what is due until this is cancelled, also after the store was away.

        A stream of events that hangs, or services that are slow to tell, delay no firing.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep, self._ears.read, self._pace.poll)
            group.start_soon(self._keep, self._ears.watch, self._pace.watch)
            group.start_soon(self._keep, self.turn, self._pace.poll)
            group.start_soon(self._keep, self._prune, self._pace.prune)
            await anyio.sleep_forever()
        raise AssertionError  # pragma: no cover  nothing ends it but being cancelled

    async def _keep(self, work: Callable[[], Awaitable[bool | None]], pause: timedelta) -> None:
        """Do ``work`` again and again, at once as long as there may be more of it."""
        while True:
            more = False
            with suppress(StoreUnavailableError):
                more = bool(await work())
            await anyio.sleep(0 if more else pause.total_seconds())

    async def turn(self) -> bool:
        """Do what there is to do now, a portion of it; return whether there may be more.

        Raises:
            StoreUnavailableError: what was not done is found again by the next turn.
        """
        system = self._world.system
        name = "" if system is None else system.name
        if not await self._timing.timetable.stirs(name):
            return False
        heard = await self._timing.inbox.hear(self._matching.fits, limit=self._pace.heard)
        if system is None:
            return heard > 0
        timetable, pace = self._timing.timetable, self._pace
        looked = await timetable.look(self._decide, system=name, limit=pace.looked_at)
        errands = await timetable.take(system=name, limit=pace.taken, lease=pace.lease)
        async with anyio.create_task_group() as group:
            for errand in errands:
                group.start_soon(self._see_to, errand)
        return bool(heard or looked or errands)

    async def _prune(self) -> None:
        """Forget firings of long ago, of some schedules after the other."""
        self._pruned = await self._timing.timetable.prune(self._pruned)

    def _decide(self, standing: Standing, now: datetime) -> Look:
        try:
            return look(standing, now, self._timing.calendar.following)
        except Exception as error:  # noqa: BLE001  a border: one that cannot be decided, as in a zone unknown here, must not keep others waiting
            return _undecided(standing, now, error)

    async def _see_to(self, errand: Errand) -> None:
        """Begin an execution, or note why not; what cannot be noted is done again by anybody."""
        try:
            state, why = await self._judged(errand)
            again = self._pace.again if state is FiringState.DUE else None
            await self._timing.timetable.settle(errand, state, why=why, again=again)
        except StoreUnavailableError:
            return

    async def _judged(self, errand: Errand) -> tuple[FiringState, str]:
        try:
            return await self._outcome(errand)
        except StoreUnavailableError:
            raise
        except CoordinationError as error:
            return FiringState.FAILED, f"{error} [{error.code}]"[:WHY_LENGTH_MAX]
        except Exception as error:  # noqa: BLE001  a border: what breaks one must not end the others
            return FiringState.FAILED, f"a bug of ours: {type(error).__name__}: {error}"

    async def _outcome(self, errand: Errand) -> tuple[FiringState, str]:
        if why := await self._too_late(errand):
            return FiringState.SKIPPED, why
        replaces = errand.schedule.schedule.rules.overlap is Overlap.REPLACE
        if replaces and await self._clear_away(errand):
            return FiringState.DUE, "it waits for what it replaces to end"
        await self._start(errand)
        return FiringState.STARTED, ""

    async def _too_late(self, errand: Errand) -> str:
        """Return why an execution should not be begun any more; empty if it should."""
        rules = errand.schedule.schedule.rules
        waited = errand.waited > rules.misfire.grace
        outdated = errand.outdated and rules.overlap is Overlap.REPLACE
        if not (waited or outdated) or await self._is_there(errand.execution):
            return ""
        if outdated:
            return "a later run took its place"
        if rules.misfire.policy is MisfirePolicy.SKIP:
            return f"no scheduler began it for {errand.waited.total_seconds():.0f} s"
        now = await self._timing.timetable.now()
        return "nothing may begin now" if self._times(errand.schedule).is_closed(now) else ""

    def _times(self, stored: StoredSchedule) -> Times:
        following = self._timing.calendar.following
        return Times(schedule=stored.schedule, seed=stored.seed, following=following)

    async def _clear_away(self, errand: Errand) -> bool:
        """Stop what the schedule has begun before; return whether anything of it is left."""
        reason = f"a later run of schedule {errand.schedule.name} takes its place"
        since = anyio.current_time() - STOP_AGAIN_S
        self._told_to_stop = {each: at for each, at in self._told_to_stop.items() if at > since}
        for execution in errand.older:
            if execution in self._told_to_stop or not await self._is_there(execution):
                continue
            # Who cannot be told now is told again.
            with suppress(CoordinationError):
                await self._stop(execution, reason=reason, by=SCHEDULER)
                self._told_to_stop[execution] = anyio.current_time()
        return bool(errand.older)

    async def _is_there(self, execution: ExecutionId) -> bool:
        try:
            await self._world.stores.log.get(execution)
        except NotFoundError:
            return False
        return True

    async def _start(self, errand: Errand) -> None:
        wanted, scenarios = errand.schedule, self._world.scenarios
        if wanted.version is None:
            stored = await scenarios.newest(wanted.scenario)
        else:
            stored = await scenarios.version(wanted.scenario, wanted.version)
        order = Order(
            requested_by=f"schedule {wanted.name}",
            priority=wanted.schedule.rules.priority,
            requires=wanted.schedule.rules.labels,
            id=errand.execution,
            detached=True,
        )
        await self._begin(stored, wanted.parameters, order=order)


def _undecided(standing: Standing, now: datetime, error: Exception) -> Look:
    """Return what is done about a schedule where what is due cannot be told.

    Its next time is left for a scheduler that can, or for later; what it has heard is left out.
    """
    why = f"it could not be decided: {error}"
    return Look(
        rulings=tuple(Ruling(instant=each, skip=Skip.MISSED, why=why) for each in standing.heard),
        next=None if standing.next is None else Instant(due=standing.next, moment=now + UNDECIDED),
    )
