"""What of a schedule is due: pure decisions over its times, what was heard, and what runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from test_coordination.domain.schedule import (
    At,
    Cron,
    Every,
    Following,
    MisfirePolicy,
    OnChange,
    Overlap,
    Schedule,
)

RUN_ALL_MAX: Final = 100
"""How many runs of one schedule are looked at, and begun, at once; of more the newest."""

_CRON_STEP: Final = timedelta(minutes=1)
_FURTHER: Final = 4
_MILLISECOND: Final = timedelta(milliseconds=1)


class Skip(StrEnum):
    """Why a run was left out."""

    MISSED = "missed"
    BLACKOUT = "blackout"
    OVERLAP = "overlap"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One run that a schedule asks for.

    It is known by ``due``, its time, and by ``cause``, what was heard, empty where it is time
    alone. It begins at ``moment``, which chance may have put later than ``due``.
    """

    due: datetime
    moment: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When an execution was under way; ``until`` is None while it is."""

    since: datetime
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Tell whether ``moment`` is in it."""
        return self.since <= moment and (self.until is None or moment <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A schedule as it stands when it is looked at.

    ``next`` is the time that comes next, ``heard`` what was heard and not decided yet, oldest
    first. ``busy`` says that something it has begun is under way, and ``spans`` when what it
    began lately was. ``runs`` counts what it has begun so far.
    """

    schedule: Schedule
    seed: int
    next: datetime | None = None
    heard: tuple[Instant, ...] = ()
    busy: bool = False
    spans: tuple[Span, ...] = ()
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of an instant: it runs unless ``skip`` says why not."""

    instant: Instant
    skip: Skip | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a schedule comes to: rulings, and what comes next.

    The schedule is over if nothing comes after this; one that waits to hear of something is not,
    as long as it may run.
    """

    rulings: tuple[Ruling, ...] = ()
    next: Instant | None = None
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a schedule is due; what chance adds to it is drawn from ``seed``."""

    schedule: Schedule
    seed: int
    following: Following

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, in UTC; None if there is none."""
        match self.schedule.trigger:
            case Cron() as cron:
                return self.following(cron, moment)
            case Every(period=period, anchor=anchor):
                passed = max((moment - anchor) // period + 1, 0)
                return (anchor + passed * period).astimezone(UTC)
            case At(moment=only):
                return only.astimezone(UTC) if only > moment else None
            case _:
                return None

    def instant(self, due: datetime) -> Instant:
        """Return the run of the time ``due``, with the moment that chance chooses for it."""
        room = self.schedule.rules.window
        if room and (later := self.after(due)) is not None:
            room = min(room, later - due)
        if room < _MILLISECOND:
            return Instant(due=due, moment=due)
        purpose = f"{self.seed} {due.astimezone(UTC).isoformat()}"
        drawn = int.from_bytes(hashlib.sha256(purpose.encode()).digest())
        return Instant(due=due, moment=due + drawn % (room // _MILLISECOND) * _MILLISECOND)

    def next(self, moment: datetime) -> Instant | None:
        """Return the first run whose time is after a moment."""
        due = self.after(moment)
        return None if due is None else self.instant(due)

    def newest(self, first: datetime, until: datetime) -> Sequence[datetime]:
        """Return the times from one of them up to a moment, oldest first, and the one after.

        Of many only the newest are returned.
        """
        found = [first]
        while (due := found[-1]) <= until and len(found) <= RUN_ALL_MAX:
            if (later := self.after(due)) is None:
                return found
            found.append(later)
        return found if found[-1] > until else self._last(first, until)

    def _last(self, first: datetime, until: datetime) -> Sequence[datetime]:
        """Do what `newest` does without going through all that came before."""
        trigger = self.schedule.trigger
        reach = RUN_ALL_MAX * (trigger.period if isinstance(trigger, Every) else _CRON_STEP)
        while True:
            # A time is found strictly after a moment, and the first one is to be among them.
            start = max(until - reach, first - _MILLISECOND)
            found = list(self._between(start, until))
            if len(found) >= RUN_ALL_MAX or start < first:
                later = self.after(found[-1])
                return [*found[-RUN_ALL_MAX:], *([] if later is None else [later])]
            reach *= _FURTHER

    def _between(self, start: datetime, until: datetime) -> Iterator[datetime]:
        due = self.after(start)
        while due is not None and due <= until:
            yield due
            due = self.after(due)

    def is_closed(self, moment: datetime) -> bool:
        """Tell whether nothing may begin at ``moment``."""
        rules = self.schedule.rules
        if any(closure.since <= moment < closure.until for closure in rules.closures):
            return True
        for blackout in rules.blackouts:
            begins = self.following(blackout.begins, moment - blackout.length)
            if begins is not None and begins <= moment:
                return True
        return False


def look(standing: Standing, now: datetime, following: Following) -> Look:
    """Return what is to be done about a schedule, and when it is to be looked at again."""
    left = _left(standing)
    if left == 0:
        return Look(over=True)
    times = Times(schedule=standing.schedule, seed=standing.seed, following=following)
    if standing.next is not None:
        return _look_at_times(standing, times, now)
    rulings = _Judge(standing=standing, times=times, now=now).rule(standing.heard)
    return Look(rulings=rulings, over=left is not None and _runs(rulings) >= left)


def _look_at_times(standing: Standing, times: Times, now: datetime) -> Look:
    first = standing.next
    assert first is not None, "it goes by time"
    instants = [times.instant(due) for due in times.newest(first, now)]
    due = [each for each in instants if each.moment <= now]
    upcoming = instants[len(due)] if len(due) < len(instants) else None
    rulings = _Judge(standing=standing, times=times, now=now).rule(due)
    if rulings and due[0].due > first:
        older = f"so were those since {first:%Y-%m-%dT%H:%M:%SZ}"
        why = f"{rulings[0].why}; {older}".removeprefix("; ")
        rulings = (replace(rulings[0], why=why), *rulings[1:])
    left = _left(standing)
    over = upcoming is None or (left is not None and _runs(rulings) >= left)
    return Look(rulings=rulings, next=None if over else upcoming, over=over)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Judges the instants of one look at a schedule."""

    standing: Standing
    times: Times
    now: datetime

    def rule(self, instants: Sequence[Instant]) -> tuple[Ruling, ...]:
        """Return what becomes of each instant, up to the last run that there may still be."""
        rules = self.standing.schedule.rules
        skips = self._barred(instants)
        free = [each for each in instants if each not in skips]
        skips |= dict.fromkeys(self._missed(free), Skip.MISSED)
        ready = [each for each in free if each not in skips]
        if rules.overlap is Overlap.FORBID:
            skips |= dict.fromkeys(ready[0 if self.standing.busy else 1 :], Skip.OVERLAP)
        elif rules.overlap is Overlap.REPLACE:
            skips |= dict.fromkeys(ready[:-1], Skip.REPLACED)
        left = _left(self.standing)
        rulings: list[Ruling] = []
        for each in instants:
            if left is not None and _runs(rulings) >= left:
                break
            rulings.append(self._ruling(each, skips.get(each)))
        return tuple(rulings)

    def _barred(self, instants: Sequence[Instant]) -> dict[Instant, Skip]:
        """Return those that may not run at all."""
        skips: dict[Instant, Skip] = {}
        shut = bool(instants) and self.times.is_closed(self.now)
        for each in instants:
            if shut or self.times.is_closed(each.moment):
                skips[each] = Skip.BLACKOUT
            elif self._is_own_doing(each):
                skips[each] = Skip.OVERLAP
        return skips

    def _is_own_doing(self, instant: Instant) -> bool:
        changes = isinstance(self.standing.schedule.trigger, OnChange)
        return changes and any(span.holds(instant.due) for span in self.standing.spans)

    def _missed(self, instants: Sequence[Instant]) -> Sequence[Instant]:
        misfire = self.standing.schedule.rules.misfire
        late = [each for each in instants if self.now - each.moment > misfire.grace]
        match misfire.policy:
            case MisfirePolicy.SKIP:
                return late
            case MisfirePolicy.RUN_ONCE:
                return late[:-1]
            case MisfirePolicy.RUN_ALL:
                return late[:-RUN_ALL_MAX]
            case policy:
                assert_never(policy)

    def _ruling(self, instant: Instant, skip: Skip | None) -> Ruling:
        late_s = (self.now - instant.moment).total_seconds()
        why = {
            None: "",
            Skip.MISSED: f"it was found {late_s:.0f} s late",
            Skip.BLACKOUT: "nothing may begin then",
            Skip.OVERLAP: "an execution of the schedule was under way",
            Skip.REPLACED: "a later run took its place",
        }
        return Ruling(instant=instant, skip=skip, why=why[skip])


def _runs(rulings: Sequence[Ruling]) -> int:
    return sum(ruling.skip is None for ruling in rulings)


def _left(standing: Standing) -> int | None:
    """Return how often the schedule may still run; None if that is not limited."""
    most = standing.schedule.rules.max_runs
    return None if most is None else max(most - standing.runs, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """A run to come: its time, the moment at which it will begin, and whether it may."""

    due: datetime
    moment: datetime
    blackout: bool


def occasions(standing: Standing, after: datetime, following: Following) -> Iterator[Occasion]:
    """Yield the runs whose time is after a moment, in order, as far as the schedule may run.

    Those that fall into a blackout are among them, and do not count as runs.
    """
    left = _left(standing)
    times = Times(schedule=standing.schedule, seed=standing.seed, following=following)
    instant = times.next(after)
    while instant is not None and left != 0:
        blackout = times.is_closed(instant.moment)
        yield Occasion(due=instant.due, moment=instant.moment, blackout=blackout)
        if left is not None and not blackout:
            left -= 1
        instant = times.next(instant.due)
