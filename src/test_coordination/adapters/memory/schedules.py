"""Schedules and their firings in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

from test_coordination.adapters.codec import decode_facts, decode_schedule, encode, encode_schedule
from test_coordination.application.ports import (
    Clock,
    ExecutionRecord,
    Identities,
    NotFoundError,
)
from test_coordination.application.timetable import (
    REMEMBERED,
    Decide,
    Errand,
    Firing,
    FiringState,
    ScheduleExistsError,
    StoredSchedule,
)
from test_coordination.domain.due import Instant, Look, Ruling, Span, Standing
from test_coordination.domain.execution import Status
from test_coordination.domain.schedule import KEPT
from test_coordination.domain.values import ExecutionId, ScheduleId

Key: TypeAlias = tuple[datetime, str]
LOOKED_AT: Final = 100
SETTLED: Final = frozenset({FiringState.ENDED, FiringState.SKIPPED, FiringState.FAILED})
OPEN: Final = frozenset({FiringState.DUE, FiringState.STARTED})


@dataclass(slots=True, kw_only=True)
class _Kept:
    firing: Firing
    taken_until: datetime | None = None


class KnownExecutions(Protocol):
    """What is asked of executions here; a `MemoryExecutionLog` knows it."""

    @property
    def ended(self) -> Sequence[ExecutionRecord]:
        """Return those that have ended, in the order in which they did."""
        ...

    def known(self, execution: ExecutionId) -> ExecutionRecord:
        """Return the record of one that there is."""
        ...


class MemoryTimetable:
    """A `Timetable` whose time is that of ``clock``, and which knows the executions of ``log``."""

    def __init__(self, clock: Clock, log: KnownExecutions, identities: Identities) -> None:
        self._clock = clock
        self._log = log
        self._identities = identities
        self._schedules: dict[str, StoredSchedule] = {}
        self._firings: dict[ScheduleId, dict[Key, _Kept]] = {}
        self._open: dict[ScheduleId, dict[Key, _Kept]] = {}
        self._due: dict[tuple[Key, str], _Kept] = {}
        self._waiting: dict[str, set[str]] = {}
        self.unheard: Callable[[], bool] = lambda: False
        """Tells whether there is something to hear; an inbox puts its own in this place."""

    async def now(self) -> datetime:
        """See `Timetable.now`."""
        return self._clock.now()

    async def stirs(self, system: str) -> bool:
        """See `Timetable.stirs`."""
        now = self._clock.now()
        return self.unheard() or any(self._ready(system, now)) or any(self._free(system, now))

    async def add(self, schedule: StoredSchedule) -> None:
        """See `Timetable.add`."""
        known = self._schedules.get(schedule.name)
        if known is not None and known.id != schedule.id:
            raise ScheduleExistsError(name=schedule.name)
        if known is None:
            self._schedules[schedule.name] = replace(
                schedule,
                schedule=decode_schedule(*encode_schedule(schedule.schedule)),
                parameters=decode_facts(encode(schedule.parameters)),  # type: ignore[arg-type]  # what was a value is one again
            )
            self._firings[schedule.id] = {}
            self._open[schedule.id] = {}
            topic = schedule.schedule.topic(schedule.system)
            self._waiting.setdefault(topic, set()).add(schedule.name)

    async def get(self, name: str) -> StoredSchedule:
        """See `Timetable.get`."""
        return self._one(name)

    async def list(self, *, limit: int, after: str = "") -> Sequence[StoredSchedule]:
        """See `Timetable.list`."""
        return [self._schedules[name] for name in sorted(self._schedules) if name > after][:limit]

    async def change(
        self, name: str, change: Callable[[StoredSchedule, datetime], StoredSchedule]
    ) -> StoredSchedule:
        """See `Timetable.change`."""
        stored = self._one(name)
        made = change(stored, self._clock.now())
        kept = replace(
            stored,
            paused_at=made.paused_at,
            paused_because=made.paused_because,
            over_at=made.over_at,
            next_due=made.next_due,
            next_moment=made.next_moment,
        )
        if kept.paused_at is not None:
            self._drop_heard(kept.id)
        self._schedules[stored.name] = kept
        return kept

    async def delete(self, name: str) -> None:
        """See `Timetable.delete`."""
        stored = self._one(name)
        del self._schedules[stored.name], self._firings[stored.id], self._open[stored.id]
        self._waiting[stored.schedule.topic(stored.system)].discard(stored.name)
        self._due = {key: kept for key, kept in self._due.items() if key[1] != stored.name}

    async def look(self, decide: Decide, *, system: str, limit: int) -> int:
        """See `Timetable.look`."""
        now = self._clock.now()
        ready = sorted(self._ready(system, now))[:limit]
        for _, name in ready:
            stored = self._schedules[name]
            look = decide(self._standing(stored, now), now)
            begun = sum(self._keep(stored, ruling, now) for ruling in look.rulings)
            self._schedules[name] = self._after(stored, look, begun=begun, now=now)
        return len(ready)

    async def fire(self, name: str, decide: Decide) -> Firing:
        """See `Timetable.fire`."""
        stored, now = self._one(name), self._clock.now()
        (ruling,) = decide(self._standing(stored, now), now).rulings
        self._keep(stored, ruling, now)
        return self._firings[stored.id][_key(ruling.instant)].firing

    async def take(self, *, system: str, limit: int, lease: timedelta) -> Sequence[Errand]:
        """See `Timetable.take`."""
        now = self._clock.now()
        found = sorted(self._free(system, now), key=lambda each: (each[0], each[1].id))[:limit]
        for _, _, kept in found:
            kept.taken_until = now + lease
        return [self._errand(stored, key, kept.firing) for key, stored, kept in found]

    async def settle(
        self, errand: Errand, state: FiringState, *, why: str = "", again: timedelta | None = None
    ) -> None:
        """See `Timetable.settle`."""
        key = errand.firing.due, errand.firing.cause
        kept = self._firings.get(errand.schedule.id, {}).get(key)
        if kept is None:
            return
        if kept.firing.state is FiringState.DUE or state is FiringState.STARTED:
            kept.firing = replace(kept.firing, state=state, why=why)
            kept.taken_until = None if again is None else self._clock.now() + again
            self._index(errand.schedule, key, kept)

    async def firings(
        self, name: str, *, limit: int, before: datetime | None = None
    ) -> Sequence[Firing]:
        """See `Timetable.firings`."""
        rows = self._firings[self._one(name).id]
        keys = [key for key in rows if before is None or key[0] < before]
        return [self._told(rows[key].firing) for key in sorted(keys, reverse=True)[:limit]]

    async def prune(self, after: ScheduleId | None) -> ScheduleId | None:
        """See `Timetable.prune`."""
        behind = sorted(each for each in self._firings if after is None or each > after)
        for schedule in behind[:LOOKED_AT]:
            rows = self._firings[schedule]
            for key in list(self._forgotten(rows)):
                del rows[key]
        return behind[:LOOKED_AT][-1] if behind else None

    def _forgotten(self, rows: Mapping[Key, _Kept]) -> Iterator[Key]:
        now = self._clock.now()
        for place, key in enumerate(sorted(rows, reverse=True)):
            firing = rows[key].firing
            known = max(firing.due, firing.decided_at or now)
            many = place >= KEPT.firings or firing.due <= now - KEPT.most
            if firing.state in SETTLED and known <= now - KEPT.least and many:
                yield key

    def waiting_for(self, topic: str) -> Sequence[StoredSchedule]:
        """Return for `MemoryInbox` the schedules that may hear of something now."""
        known = map(self._one, sorted(self._waiting.get(topic, ())))
        return [each for each in known if each.paused_at is None and each.over_at is None]

    def hear(self, stored: StoredSchedule, instant: Instant) -> None:
        """Note that a schedule has heard of something; what it knows already changes nothing."""
        rows = self._firings[stored.id]
        if (key := _key(instant)) in rows:
            return
        heard = Firing(
            schedule=stored.id, due=instant.due, cause=instant.cause, state=FiringState.HEARD
        )
        rows[key] = _Kept(firing=heard)
        self._schedules[stored.name] = self._with_heard(stored)

    def _one(self, name: str) -> StoredSchedule:
        try:
            return self._schedules[name]
        except KeyError:
            raise NotFoundError(kind="schedule", identity=name) from None

    def _ready(self, system: str, now: datetime) -> Iterator[tuple[datetime, str]]:
        """Yield the schedules whose time has come, each with that time."""
        for each in self._schedules.values():
            moment = each.next_moment
            at_rest = each.paused_at is not None or each.over_at is not None
            if moment is not None and moment <= now and each.system == system and not at_rest:
                yield moment, each.name

    def _free(self, system: str, now: datetime) -> Iterator[tuple[Key, StoredSchedule, _Kept]]:
        """Yield the firings that are due and that nobody is at."""
        for (key, name), kept in self._due.items():
            stored = self._schedules[name]
            taken = kept.taken_until is not None and kept.taken_until > now
            if stored.system == system and not taken:
                yield key, stored, kept

    def _standing(self, stored: StoredSchedule, now: datetime) -> Standing:
        busy, spans = False, []
        for key, kept in list(self._open[stored.id].items()):
            record = self._record(kept.firing)
            under_way = kept.firing.state is FiringState.DUE or _is_running(record)
            busy = busy or under_way
            if record is not None:
                spans.append(Span(since=record.requested_at, until=record.ended_at))
            if not under_way and (record is None or _is_past(record, now)):
                kept.firing = replace(kept.firing, state=FiringState.ENDED)
                self._index(stored, key, kept)
        return Standing(
            schedule=stored.schedule,
            seed=stored.seed,
            next=stored.next_due,
            heard=tuple(self._heard(stored.id)),
            busy=busy,
            spans=tuple(spans),
            runs=stored.runs,
        )

    def _heard(self, schedule: ScheduleId) -> Iterator[Instant]:
        for key in sorted(self._firings[schedule]):
            firing = self._firings[schedule][key].firing
            if firing.state is FiringState.HEARD:
                yield Instant(due=firing.due, moment=firing.due, cause=firing.cause)

    def _drop_heard(self, schedule: ScheduleId) -> None:
        for instant in list(self._heard(schedule)):
            del self._firings[schedule][_key(instant)]

    def _keep(self, stored: StoredSchedule, ruling: Ruling, now: datetime) -> bool:
        """Keep a ruling unless there is one already; tell whether something is to be begun."""
        rows, key = self._firings[stored.id], _key(ruling.instant)
        if key in rows and rows[key].firing.state is not FiringState.HEARD:
            return False
        runs = ruling.skip is None
        firing = Firing(
            schedule=stored.id,
            due=ruling.instant.due,
            cause=ruling.instant.cause,
            state=FiringState.DUE if runs else FiringState.SKIPPED,
            execution=ExecutionId(self._identities.new()) if runs else None,
            decided_at=now,
            why=ruling.why,
        )
        rows[key] = _Kept(firing=firing)
        self._index(stored, key, rows[key])
        return runs

    def _after(
        self, stored: StoredSchedule, look: Look, *, begun: int, now: datetime
    ) -> StoredSchedule:
        if look.over:
            self._drop_heard(stored.id)
        return self._with_heard(
            replace(
                stored,
                next_due=None if look.next is None else look.next.due,
                next_moment=None if look.next is None else look.next.moment,
                over_at=now if look.over else None,
                runs=stored.runs + begun,
            )
        )

    def _with_heard(self, stored: StoredSchedule) -> StoredSchedule:
        """Return a schedule that waits to hear of something with when it is to be looked at."""
        if not stored.schedule.topic(stored.system):
            return stored
        first = next(self._heard(stored.id), None)
        return replace(stored, next_moment=None if first is None else first.due)

    def _index(self, stored: StoredSchedule, key: Key, kept: _Kept) -> None:
        if kept.firing.state in OPEN:
            self._open[stored.id][key] = kept
        else:
            self._open[stored.id].pop(key, None)
        if kept.firing.state is FiringState.DUE:
            self._due[key, stored.name] = kept
        else:
            self._due.pop((key, stored.name), None)

    def _errand(self, stored: StoredSchedule, key: Key, firing: Firing) -> Errand:
        assert firing.execution is not None, "it is due"
        others = [(other, kept.firing) for other, kept in self._open[stored.id].items()]
        going = [
            (other, each)
            for other, each in others
            if each.state is FiringState.DUE or _is_running(self._record(each))
        ]
        older = [each.execution for other, each in going if other < key]
        return Errand(
            firing=firing,
            schedule=stored,
            execution=firing.execution,
            waited=self._clock.now() - (firing.decided_at or firing.due),
            older=tuple(each for each in older if each is not None),
            outdated=any(other > key for other, _ in others),
        )

    def _record(self, firing: Firing) -> ExecutionRecord | None:
        if firing.execution is None:
            return None
        try:
            return self._log.known(firing.execution)
        except KeyError:
            return None

    def _told(self, firing: Firing) -> Firing:
        record = self._record(firing)
        if record is None or record.status is not Status.FINISHED:
            return firing
        state = FiringState.ENDED if firing.state is FiringState.STARTED else firing.state
        return replace(firing, state=state, verdict=record.verdict)


def _key(instant: Instant) -> Key:
    return instant.due, instant.cause


def _is_running(record: ExecutionRecord | None) -> bool:
    return record is not None and record.status is not Status.FINISHED


def _is_past(record: ExecutionRecord, now: datetime) -> bool:
    return record.ended_at is not None and record.ended_at < now - REMEMBERED
