"""What scheduling needs from the world: where schedules are kept, and what is heard and seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, Protocol, TypeAlias

from test_coordination.domain.due import Look, Standing
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.schedule import Cron, Following, Schedule, change_topic
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import (
    ExecutionId,
    ScheduleId,
    ScheduleName,
    ServiceName,
    Value,
)
from test_coordination.domain.verdicts import Verdict

REMEMBERED: Final = timedelta(minutes=1)
"""How long what an execution did to its target counts as its own doing after its end."""


@dataclass(eq=False, kw_only=True)
class ScheduleExistsError(CoordinationError):
    """Another schedule has the name already."""

    code: ClassVar[str] = "schedule.exists"

    name: str

    def __str__(self) -> str:
        return f"there is a schedule named {self.name!r} already; take another name, or delete it"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchedule:
    """A schedule as it is kept, and how far it has come.

    It runs the newest version of ``scenario``, or always ``version``. ``system`` is the name of
    the system under test; only a scheduler that has that system looks after it. ``next_due`` is
    the time that comes next, and ``next_moment`` when it is to be looked at next; both are None
    where nothing is to come, or nothing that is known yet. ``runs`` counts what it has begun.
    """

    id: ScheduleId
    name: ScheduleName
    scenario: str
    schedule: Schedule
    system: str
    seed: int
    created_at: datetime
    created_by: str
    version: int | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    paused_at: datetime | None = None
    paused_because: str = ""
    over_at: datetime | None = None
    next_due: datetime | None = None
    next_moment: datetime | None = None
    runs: int = 0


class FiringState(StrEnum):
    """How far a firing has come.

    It was heard of and is not decided; it is due, and its execution is to be begun; that was
    begun; it has ended. Or it was left out, or its execution could not be begun.
    """

    HEARD = "heard"
    DUE = "due"
    STARTED = "started"
    ENDED = "ended"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One run that a schedule asked for, and what became of it.

    ``execution`` is drawn before anything is begun, so that whoever begins it begins the same
    one; it is None where nothing was to be begun. ``verdict`` is that of the execution.
    """

    schedule: ScheduleId
    due: datetime
    state: FiringState
    cause: str = ""
    execution: ExecutionId | None = None
    decided_at: datetime | None = None
    why: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A firing whose execution is to be begun, by whoever was given it.

    ``older`` are the executions that the schedule has begun before and that have not ended, or
    may yet be begun. ``outdated`` says that a later run has come meanwhile, and ``waited`` how
    long it is since this one was decided.
    """

    firing: Firing
    schedule: StoredSchedule
    execution: ExecutionId
    waited: timedelta = timedelta(0)
    older: tuple[ExecutionId, ...] = ()
    outdated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """Something that happened and that schedules may wait to hear of.

    ``topic`` is its name, see `Schedule.topic`; ``cause`` tells it from all others.
    """

    topic: str
    cause: str
    at: datetime
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An event from outside, at its position in the stream that it came by.

    ``name`` is empty where what came is no event; ``at`` is None if it does not tell.
    """

    position: str
    name: str
    at: datetime | None = None
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A service as it was seen to run at ``place``: ``mark`` names its process, and no other.

    ``build`` changes with what is launched, and how.
    """

    service: ServiceName
    place: str
    mark: str
    build: str
    started_at: datetime

    def after(self, known: Sighting, system: str) -> Occurrence:
        """Return what has happened to a service of ``system`` that was ``known`` to run before."""
        data = {
            "service": self.service,
            "place": self.place,
            "deployed": self.build != known.build,
        }
        return Occurrence(
            topic=change_topic(system, self.service),
            cause=f"change {self.place} {self.mark}",
            at=self.started_at,
            data=data,
        )


Decide: TypeAlias = Callable[[Standing, datetime], Look]
Matches: TypeAlias = Callable[[StoredSchedule, Occurrence], bool]


class Timetable(Protocol):
    """The schedules, and what became of each run that they asked for.

    Time is the store's own, so that no two machines' clocks are compared. Any number of
    schedulers may call every method at once.
    """

    async def now(self) -> datetime:
        """Return the time by which schedules fire."""
        ...

    async def stirs(self, system: str) -> bool:
        """Tell, at little cost, whether there is anything to hear, to look at or to take."""
        ...

    async def add(self, schedule: StoredSchedule) -> None:
        """Keep a new schedule; repeating the very same call is safe.

        Raises:
            ScheduleExistsError: another one has its name.
        """
        ...

    async def get(self, name: str) -> StoredSchedule:
        """Return one schedule.

        Raises:
            NotFoundError: none has that name.
        """
        ...

    async def list(self, *, limit: int, after: str = "") -> Sequence[StoredSchedule]:
        """Return at most ``limit`` schedules behind a name, in the order of names."""
        ...

    async def change(
        self, name: str, change: Callable[[StoredSchedule, datetime], StoredSchedule]
    ) -> StoredSchedule:
        """Keep what ``change`` makes of a schedule now, and return it.

        No scheduler looks at it meanwhile. Only whether it is paused or over, and what comes
        next, is taken from the result; what was heard and not decided is dropped if it is paused.

        Raises:
            NotFoundError: none has that name.
        """
        ...

    async def delete(self, name: str) -> None:
        """Forget a schedule and its firings; executions that it has begun are not touched.

        Raises:
            NotFoundError: none has that name.
        """
        ...

    async def look(self, decide: Decide, *, system: str, limit: int) -> int:
        """Decide about at most ``limit`` schedules of a system whose time has come.

        ``decide`` is given each as it stands, and the time. What it rules is kept together with
        what comes next, all or nothing. A run that is known already is not asked for again: so
        there is one firing a schedule, time and cause, whoever looks, and however often. Return
        how many were looked at.
        """
        ...

    async def fire(self, name: str, decide: Decide) -> Firing:
        """Keep the one ruling that ``decide`` makes of a schedule now, and return its firing.

        Whether the schedule is paused or over does not count. What comes next stays as it is,
        and the run is not counted.

        Raises:
            NotFoundError: none has that name.
        """
        ...

    async def take(self, *, system: str, limit: int, lease: timedelta) -> Sequence[Errand]:
        """Return firings whose executions are to be begun, at most ``limit``, oldest first.

        For ``lease`` nobody else is given them; if they are not settled by then, anybody is.
        """
        ...

    async def settle(
        self, errand: Errand, state: FiringState, *, why: str = "", again: timedelta | None = None
    ) -> None:
        """Note what became of an errand; in state ``DUE`` it is to be taken once more.

        ``again`` says after how long. An execution that was begun is noted whatever else was.
        """
        ...

    async def firings(
        self, name: str, *, limit: int, before: datetime | None = None
    ) -> Sequence[Firing]:
        """Return at most ``limit`` firings of times before one, newest first.

        Raises:
            NotFoundError: no schedule has that name.
        """
        ...

    async def prune(self, after: ScheduleId | None) -> ScheduleId | None:
        """Forget some firings that ``KEPT`` says need not be known, of some schedules behind one.

        Return the last schedule that was looked at; None once there is none behind ``after``.
        """
        ...


class Inbox(Protocol):
    """What has happened and no schedule has heard of yet; what is in it is durable.

    The end of each execution comes in by itself, in the transaction that makes it durable, if a
    schedule waits for it.
    """

    async def put(self, occurrence: Occurrence) -> None:
        """Keep an occurrence; the very same one again changes nothing as long as it is there.

        One whose time is still to come, by whatever clock it was told, has happened now.
        """
        ...

    async def hear(self, matches: Matches, *, limit: int) -> int:
        """Hand at most ``limit`` occurrences to the schedules that wait for them.

        Each becomes a firing that is heard of, for each schedule of its topic that is neither
        paused nor over, was there when it happened, and that ``matches``. It leaves the inbox
        in the same transaction. Return how many were handed on.
        """
        ...

    async def position(self, source: str) -> str:
        """Return how far a stream was read; empty if it never was."""
        ...

    async def receive(
        self, source: str, occurrences: Sequence[Occurrence], *, after: str, upto: str
    ) -> bool:
        """Keep what was read of a stream between two positions, and the second one, at once.

        Return False, and keep nothing, if somebody else has read on from the first already.
        """
        ...

    async def watched(self, system: str) -> Sequence[ServiceName]:
        """Return the services of a system whose change some schedule waits for."""
        ...

    async def see(self, system: str, sightings: Sequence[Sighting]) -> None:
        """Keep how services are seen to run; one that is another process than before has changed.

        What is seen late, after a process that was started later, changes nothing; nor does
        what is seen for the first time.
        """
        ...


class EventsIn(Protocol):
    """A stream of events that others write, which we only read."""

    @property
    def source(self) -> str:
        """Return the name under which its position is kept; empty if there is no stream."""
        ...

    async def read(self, *, after: str, limit: int) -> Sequence[Arrival]:
        """Return at most ``limit`` events past a position, oldest first; empty is the beginning.

        Where the stream was emptied and begun anew, they are those from its beginning. Nothing
        is raised: if it cannot be read, nothing is returned.
        """
        ...


class ServiceWatch(Protocol):
    """Sees which process each service runs as, where it can be seen."""

    async def sightings(
        self, topology: Topology, services: Sequence[ServiceName]
    ) -> Sequence[Sighting]:
        """Return those of ``services`` that run where we can see them."""
        ...


class Calendar(Protocol):
    """What a cron means in its time zone."""

    def check(self, cron: Cron) -> None:
        """Refuse what cannot be read, or never comes.

        Raises:
            InvalidScheduleError: the expression or the zone; the error says which and why.
        """
        ...

    @property
    def following(self) -> Following:
        """Return what gives the first moment of a cron that was checked after a time."""
        ...

    def local(self, moment: datetime, zone: str) -> datetime:
        """Return a moment as the clocks in a time zone show it.

        Raises:
            InvalidScheduleError: there is no such zone.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All that scheduling stands on."""

    timetable: Timetable
    inbox: Inbox
    calendar: Calendar
    events: EventsIn
    watch: ServiceWatch
