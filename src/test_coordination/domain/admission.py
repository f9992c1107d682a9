"""Who of those that wait is let in: by rank, all or nothing, and nobody is passed for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias, assert_never

from test_coordination.domain.plan import Claims
from test_coordination.domain.values import ExecutionId

AGING: Final = timedelta(seconds=30)
"""For so long that a lane waits, its priority grows by one."""

PRIORITY_MAX: Final = 100
"""Priorities go from minus this to this; what lies beyond counts as the nearest."""

_INSTANT: Final = timedelta(microseconds=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class ClaimKind(StrEnum):
    """How something is claimed: for one alone, beside others, or so many slots of it."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    POOL = "pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing of a system that is claimed; ``size`` is how many slots its pool has in all."""

    system: str
    kind: ClaimKind
    name: str
    slots: int = 1
    size: int = 1

    @property
    def thing(self) -> Thing:
        """Return what is claimed, however: a pool is never the same as a lock."""
        return (self.system, self.kind is ClaimKind.POOL, self.name)


Thing: TypeAlias = tuple[str, bool, str]


def claimed(claims: Claims, *, system: str) -> tuple[Claim, ...]:
    """Return each thing that ``claims`` ask for in ``system``, always in the same order."""
    locks = ((ClaimKind.EXCLUSIVE, claims.exclusive), (ClaimKind.SHARED, claims.shared))
    return (
        *(
            Claim(system=system, kind=kind, name=name)
            for kind, names in locks
            for name in sorted(names)
        ),
        *(
            Claim(
                system=system,
                kind=ClaimKind.POOL,
                name=name,
                slots=slots,
                size=claims.sizes.get(name, slots),
            )
            for name, slots in sorted(claims.pools.items())
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """An execution that has waited since ``since``; people know it by its ``scenario``."""

    id: ExecutionId
    since: datetime
    scenario: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Those that claim the same for the same requester with the same priority, oldest first.

    What keeps one of them out keeps all of them out. ``turn_at`` is when one of them was let in
    last. With ``more``, others wait behind the last of ``applicants``.
    """

    requested_by: str
    priority: int
    claims: tuple[Claim, ...]
    applicants: Sequence[Applicant]
    turn_at: datetime | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is held, how many executions of each requester hold it, and when one came in last."""

    held: Sequence[Claim] = ()
    running: Mapping[str, int] = field(default_factory=dict)
    turns: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The applicant of a lane whose turn it is, at ``index`` among them.

    The turns of those that are let in together are each a microsecond after the one before, so
    that their order is kept ``at`` which they came.
    """

    lane: Lane
    index: int
    at: datetime

    @property
    def applicant(self) -> Applicant:
        """Return whose turn it is."""
        return self.lane.applicants[self.index]


class Uses:
    """What is in use, by how many."""

    def __init__(self, held: Iterable[Claim] = ()) -> None:
        """Begin with what is ``held``."""
        self._exclusive: set[Thing] = set()
        self._used: dict[Thing, int] = {}
        self.add(held)

    def fits(self, claims: Iterable[Claim]) -> bool:
        """Tell whether all of ``claims`` can be had beside what is in use."""
        return all(map(self._is_free, claims))

    def add(self, claims: Iterable[Claim]) -> None:
        """Note ``claims`` as in use, also where that is too much: it is kept free for somebody."""
        for claim in claims:
            thing = claim.thing
            self._used[thing] = self._used.get(thing, 0) + claim.slots
            if claim.kind is ClaimKind.EXCLUSIVE:
                self._exclusive.add(thing)

    def _is_free(self, claim: Claim) -> bool:
        used = self._used.get(claim.thing, 0)
        match claim.kind:
            case ClaimKind.EXCLUSIVE:
                return used == 0
            case ClaimKind.SHARED:
                return claim.thing not in self._exclusive
            case ClaimKind.POOL:
                return used + claim.slots <= claim.size
            case _:
                assert_never(claim.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one execution has of a thing, since when.

    With ``residue`` it has ended, and not all that it did is undone. With ``reserved`` it only
    waits for it, and comes first.
    """

    claim: Claim
    by: ExecutionId
    scenario: str
    since: datetime
    residue: bool = False
    reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What is claimed, and one of those that are in the way of it."""

    claim: Claim
    holding: Holding


def choose(lanes: Sequence[Lane], standing: Standing, *, now: datetime) -> Sequence[Turn]:
    """Return who is let in at ``now``, in order: as many as can be, and only whole.

    One that does not fit keeps all that it claims from those of lower rank, so that nobody who
    asks for less is let past it again and again. At the end of a lane that has ``more`` the
    choice ends: whoever comes next in it may rank before the others.
    """
    uses = Uses(standing.held)
    ranking = Ranking(lanes, standing, now=now)
    chosen: list[Turn] = []
    while (turn := ranking.take()) is not None:
        lane, fits = turn.lane, uses.fits(turn.lane.claims)
        uses.add(lane.claims)
        if fits:
            chosen.append(turn)
            if lane.more and turn.index + 1 == len(lane.applicants):
                break
        ranking.go_on(turn, let_in=fits)
    return chosen


_Order: TypeAlias = tuple[int, int, datetime, ExecutionId, str]
"""The rank of a requester, by the first of its lanes; the smallest goes first."""


class Ranking:
    """Says whose turn it is, one after the other, in n log n for all that wait.

    First comes the highest priority, plus one for each ``AGING`` that the lane waits: since its
    first came, or since one of it was let in. Among equals comes first who has fewer running,
    then whose turn came longer ago, then who came first.
    """

    def __init__(self, lanes: Iterable[Lane], standing: Standing, *, now: datetime) -> None:
        """Rank the first of each of ``lanes`` as of ``now``."""
        self._running = dict(standing.running)
        self._turns = dict(standing.turns)
        self._at = now
        self._lanes: dict[str, list[tuple[int, ExecutionId, int, Lane]]] = {}
        for lane in lanes:
            first = lane.applicants[0]
            waited = now - max(first.since, lane.turn_at or _NEVER)
            entry = (-_aged(lane.priority, waited), first.id, 0, lane)
            self._lanes.setdefault(lane.requested_by, []).append(entry)
        for own in self._lanes.values():
            heapify(own)
        self._requesters = list(map(self._order, self._lanes))
        heapify(self._requesters)

    def take(self) -> Turn | None:
        """Return whose turn it is, who must be settled by `go_on`; None if there is nobody."""
        if not self._requesters:
            return None
        requester = heappop(self._requesters)[-1]
        _, _, index, lane = heappop(self._lanes[requester])
        return Turn(lane=lane, index=index, at=self._at)

    def go_on(self, turn: Turn, *, let_in: bool) -> None:
        """Count who was taken as running, and rank the next of its lane; else pass the lane."""
        lane, requester, following = turn.lane, turn.lane.requested_by, turn.index + 1
        own = self._lanes[requester]
        if let_in:
            self._running[requester] = self._running.get(requester, 0) + 1
            self._turns[requester] = self._at
            self._at += _INSTANT
            if following < len(lane.applicants):
                heappush(
                    own, (-bounded(lane.priority), lane.applicants[following].id, following, lane)
                )
        if own:
            heappush(self._requesters, self._order(requester))

    def _order(self, requester: str) -> _Order:
        urgency, first, _, _ = self._lanes[requester][0]
        running, turn = self._running.get(requester, 0), self._turns.get(requester, _NEVER)
        return (urgency, running, turn, first, requester)


def _aged(priority: int, waited: timedelta) -> int:
    return bounded(priority) + max(0, waited // AGING)


def bounded(priority: int) -> int:
    """Return the priority that ``priority`` counts as."""
    return max(-PRIORITY_MAX, min(priority, PRIORITY_MAX))


class Register:
    """Who holds what, and who waits for it: tells what is in whose way."""

    def __init__(self, holdings: Iterable[Holding]) -> None:
        """Begin with those that hold something."""
        self._held: dict[Thing, list[Holding]] = {}
        self._slots: dict[Thing, int] = {}
        self._first: dict[tuple[Thing, ClaimKind], Holding] = {}
        for holding in holdings:
            thing = holding.claim.thing
            self._held.setdefault(thing, []).append(holding)
            self._slots[thing] = self._slots.get(thing, 0) + holding.claim.slots

    def obstacles(self, claims: Iterable[Claim]) -> tuple[Obstacle, ...]:
        """Return who is in the way of ``claims``: who holds one, or else the first to wait."""
        return tuple(
            Obstacle(claim=claim, holding=holding)
            for claim in claims
            for holding in self._holders(claim) or self._first_before(claim)
        )

    def reserve(self, holdings: Iterable[Holding]) -> None:
        """Note what is kept free for one that waits."""
        for holding in holdings:
            thing = holding.claim.thing
            self._slots[thing] = self._slots.get(thing, 0) + holding.claim.slots
            self._first.setdefault((thing, holding.claim.kind), holding)

    def _holders(self, claim: Claim) -> Sequence[Holding]:
        held = self._held.get(claim.thing, ())
        if claim.kind is ClaimKind.POOL:
            return held if sum(each.claim.slots for each in held) + claim.slots > claim.size else ()
        return [each for each in held if ClaimKind.EXCLUSIVE in (claim.kind, each.claim.kind)]

    def _first_before(self, claim: Claim) -> Sequence[Holding]:
        thing = claim.thing
        if claim.kind is ClaimKind.POOL and self._slots.get(thing, 0) + claim.slots <= claim.size:
            return ()
        rivals = {
            ClaimKind.EXCLUSIVE: (ClaimKind.EXCLUSIVE, ClaimKind.SHARED),
            ClaimKind.SHARED: (ClaimKind.EXCLUSIVE,),
            ClaimKind.POOL: (ClaimKind.POOL,),
        }[claim.kind]
        firsts = [self._first[thing, kind] for kind in rivals if (thing, kind) in self._first]
        return firsts[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one stands in the queue, counted from 1, and what is in its way."""

    number: int
    turn: Turn
    obstacles: tuple[Obstacle, ...]


def places(
    lanes: Iterable[Lane], standing: Standing, register: Register, *, now: datetime
) -> Iterator[Place]:
    """Yield all that wait, in the order in which they come in if what they need is free.

    What each of them needs is noted in ``register`` as kept free for it.
    """
    ranking = Ranking(lanes, standing, now=now)
    number = 0
    while (turn := ranking.take()) is not None:
        number += 1
        applicant, claims = turn.applicant, turn.lane.claims
        yield Place(number=number, turn=turn, obstacles=register.obstacles(claims))
        register.reserve(
            Holding(
                claim=claim,
                by=applicant.id,
                scenario=applicant.scenario,
                since=applicant.since,
                reserved=True,
            )
            for claim in claims
        )
        ranking.go_on(turn, let_in=True)
