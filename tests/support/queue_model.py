"""A queue that is nothing but values, to be tried with whoever comes and goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from test_coordination.domain.admission import (
    Applicant,
    Claim,
    ClaimKind,
    Holding,
    Lane,
    Place,
    Register,
    Standing,
    choose,
    claimed,
    places,
)
from test_coordination.domain.plan import Claims
from test_coordination.domain.values import ExecutionId

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one wants, for whom, and for how long it runs once it is let in."""

    by: str
    claims: Claims
    priority: int = 0
    runs: timedelta = timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Visit:
    """One that came: when, when it was let in, and when it left."""

    id: ExecutionId
    wish: Wish
    came: datetime
    let_in: datetime | None = None
    left: datetime | None = None

    @property
    def claims(self) -> tuple[Claim, ...]:
        return claimed(self.wish.claims, system="shop")


@dataclass(slots=True, kw_only=True)
class Model:
    """Who waits and who runs at ``now``; a lane shows at most ``most`` at a time."""

    most: int = 1_000_000
    now: datetime = START
    waiting: list[Visit] = field(default_factory=list)
    running: list[Visit] = field(default_factory=list)
    gone: list[Visit] = field(default_factory=list)
    turns: dict[tuple[str, int, tuple[Claim, ...]], datetime] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def comes(self, wish: Wish) -> Visit:
        visit = Visit(id=ExecutionId(UUID(int=next(self.numbers))), wish=wish, came=self.now)
        self.waiting.append(visit)
        return visit

    def passes(self, time: timedelta) -> None:
        """Let time pass; those that are done leave."""
        self.now += time
        for visit in [v for v in self.running if (v.let_in or START) + v.wish.runs <= self.now]:
            visit.left = self.now
            self.running.remove(visit)
            self.gone.append(visit)

    def admit(self) -> list[Visit]:
        """Let in all that can be, as often as it takes, and return them in order."""
        admitted: list[Visit] = []
        now = self.now
        while True:
            turns = choose(self.lanes(), self.standing(), now=now)
            for turn in turns:
                visit = next(v for v in self.waiting if v.id == turn.applicant.id)
                visit.let_in = self.now
                self.waiting.remove(visit)
                self.running.append(visit)
                self.turns[visit.wish.by, visit.wish.priority, visit.claims] = turn.at
                # A clock goes on meanwhile.
                now = turn.at + timedelta(microseconds=1)
                admitted.append(visit)
            if not turns or not turns[-1].lane.more:
                return admitted

    def lanes(self) -> Sequence[Lane]:
        found: dict[tuple[str, int, tuple[Claim, ...]], list[Visit]] = {}
        for visit in sorted(self.waiting, key=lambda visit: visit.id):
            key = (visit.wish.by, visit.wish.priority, visit.claims)
            found.setdefault(key, []).append(visit)
        return [
            Lane(
                requested_by=by,
                priority=priority,
                claims=claims,
                applicants=[
                    Applicant(id=visit.id, since=visit.came, scenario=by)
                    for visit in visits[: self.most]
                ],
                turn_at=self.turns.get((by, priority, claims)),
                more=len(visits) >= self.most,
            )
            for (by, priority, claims), visits in found.items()
        ]

    def standing(self) -> Standing:
        turns: dict[str, datetime] = {}
        for (by, _, _), at in self.turns.items():
            turns[by] = max(at, turns.get(by, at))
        return Standing(
            held=[claim for visit in self.running for claim in visit.claims],
            running=Counter(visit.wish.by for visit in self.running),
            turns=turns,
        )

    def line(self) -> list[Place]:
        """Return who waits, in order, and what is in their way; scenarios are those who came."""
        register = Register(
            Holding(claim=claim, by=visit.id, scenario=visit.wish.by, since=visit.let_in or START)
            for visit in self.running
            for claim in visit.claims
        )
        return list(places(self.lanes(), self.standing(), register, now=self.now))

    def check(self) -> None:
        """Assert that what is held is held as it was claimed."""
        held: dict[tuple[object, ...], list[Claim]] = {}
        for visit in self.running:
            for claim in visit.claims:
                held.setdefault(claim.thing, []).append(claim)
        for claims in held.values():
            if claims[0].kind is ClaimKind.POOL:
                assert sum(claim.slots for claim in claims) <= claims[0].size
            elif any(claim.kind is ClaimKind.EXCLUSIVE for claim in claims):
                assert len(claims) == 1
