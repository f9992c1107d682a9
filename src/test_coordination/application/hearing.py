"""What schedules hear of: events that are posted or read, services that change, what fits whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, assert_never

import anyio

from test_coordination.application.ports import Expressions, Program
from test_coordination.application.timetable import (
    Arrival,
    Occurrence,
    Sighting,
    StoredSchedule,
    Timing,
)
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    InvalidExpressionError,
    Kind,
    MissingValueError,
    Names,
)
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Cron,
    Every,
    InvalidScheduleError,
    OnChange,
    OnEvent,
    event_name,
    event_topic,
)
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ServiceName

EVENT_NAMES: Final[Names] = {
    "event.name": Kind.STRING,
    "event.at": Kind.TIMESTAMP,
    "event.data": Kind.MAP,
}
READ_MAX: Final = 100
"""How many events are read of a stream at once."""
WATCHED_EVERY: Final = timedelta(seconds=5)
"""How often it is asked which services schedules wait for."""


def matching(expressions: Expressions, trigger: OnEvent, *, name: str) -> Program | None:
    """Return what decides which events a schedule of that name takes; None if it takes all.

    Raises:
        InvalidExpressionError: the condition is no expression over ``event``.
    """
    if not trigger.match:
        return None
    expression = Expression(text=trigger.match, mark=Mark(f"<match of schedule {name}>", 1, 1))
    return expressions.compile(expression, EVENT_NAMES, expected=Kind.BOOLEAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Tells which schedules take an occurrence of the topic that they wait for."""

    expressions: Expressions

    def fits(self, stored: StoredSchedule, occurrence: Occurrence) -> bool:
        """Tell whether a schedule runs because of ``occurrence``."""
        match stored.schedule.trigger:
            case AfterExecution(verdicts=verdicts):
                return not verdicts or occurrence.data["verdict"] in verdicts
            case OnChange(deployed=deployed):
                return not deployed or occurrence.data["deployed"] is True
            case OnEvent() as event:
                return self._is_true(stored, event, occurrence)
            case Cron() | Every() | At():
                return False
            case trigger:
                assert_never(trigger)

    def _is_true(self, stored: StoredSchedule, trigger: OnEvent, occurrence: Occurrence) -> bool:
        values = {
            "event.name": trigger.event,
            "event.at": occurrence.at,
            "event.data": occurrence.data,
        }
        try:
            program = matching(self.expressions, trigger, name=stored.name)
            return program is None or program.evaluate(values) is True  # type: ignore[arg-type]  # JSON is made of facts
        except (InvalidExpressionError, MissingValueError, ExpressionFailedError):
            return False


@dataclass(slots=True, eq=False, kw_only=True)
class Ears:
    """Brings into the inbox what one scheduler hears and sees of the world outside.

    Others hear the same: of each event, and of each change of a service, one of them brings it.
    """

    timing: Timing
    topology: Topology | None
    _position: str | None = None
    _watched: tuple[ServiceName, ...] = ()
    _seen: Mapping[tuple[str, ServiceName], Sighting] = field(default_factory=dict)
    _ask_at: float = 0.0

    async def read(self) -> bool:
        """Take in what is new in the stream of events; return whether there was anything.

        Raises:
            StoreUnavailableError: nothing is lost: what was not taken in is read again.
        """
        inbox, events = self.timing.inbox, self.timing.events
        if not events.source:
            return False
        if self._position is None:
            self._position = await inbox.position(events.source)
        after = self._position
        arrivals = await events.read(after=after, limit=READ_MAX)
        if not arrivals:
            return False
        now = await self.timing.timetable.now()
        found = [_occurrence(each, events.source, now) for each in arrivals]
        known = [each for each in found if each is not None]
        upto = arrivals[-1].position
        # The answer may be lost, or somebody else may have been faster: then it is asked for.
        self._position = None
        if await inbox.receive(events.source, known, after=after, upto=upto):
            self._position = upto
        return True

    async def watch(self) -> None:
        """Take in which services run as other processes than before, of those waited for.

        Raises:
            StoreUnavailableError: nothing is lost: it is seen again.
        """
        topology, now_s = self.topology, anyio.current_time()
        if topology is None:
            return
        if now_s >= self._ask_at:
            self._watched = tuple(await self.timing.inbox.watched(topology.name))
            self._ask_at = now_s + WATCHED_EVERY.total_seconds()
        here = [name for name in self._watched if name in topology.services]
        if not here:
            return
        sightings = await self.timing.watch.sightings(topology, here)
        seen = {(each.place, each.service): each for each in sightings}
        if seen != self._seen:
            await self.timing.inbox.see(topology.name, sightings)
            self._seen = seen


def _occurrence(arrival: Arrival, source: str, now: datetime) -> Occurrence | None:
    """Return what arrived; None if it is no event that any schedule can wait for."""
    try:
        topic = event_topic(event_name(arrival.name))
    except InvalidScheduleError:
        return None
    cause = f"{source} {arrival.position}"
    return Occurrence(topic=topic, cause=cause, at=arrival.at or now, data=arrival.data)
