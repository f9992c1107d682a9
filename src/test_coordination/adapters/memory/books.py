"""Who waits, who holds what, and which faults may be in force: the log in memory keeps it."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from test_coordination.application.fleet import BudgetExceededError
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.admission import (
    Applicant,
    Claim,
    ClaimKind,
    Holding,
    Lane,
    Standing,
    claimed,
)
from test_coordination.domain.events import FaultArmed
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, ServiceName

_Key: TypeAlias = tuple[str, int, frozenset[str] | None, tuple[Claim, ...]]
"""Whose, how urgent, what of a worker if of any, and what is claimed."""


Able: TypeAlias = Callable[[frozenset[str]], bool]
"""Tells whether any worker has all of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admission:
    record: ExecutionRecord
    claims: tuple[Claim, ...]
    at: datetime


@dataclass(slots=True, kw_only=True)
class Books:
    """What is true of all executions together, kept in step with their logs."""

    _waiting: dict[ExecutionId, _Key] = field(default_factory=dict)
    _lanes: dict[_Key, list[tuple[ExecutionId, ExecutionRecord]]] = field(default_factory=dict)
    _turns: dict[_Key, datetime] = field(default_factory=dict)
    _admitted: dict[ExecutionId, _Admission] = field(default_factory=dict)
    _ended: set[ExecutionId] = field(default_factory=set)
    _tops: dict[ExecutionId, ExecutionId] = field(default_factory=dict)
    _hit: dict[ExecutionId, tuple[str, frozenset[ServiceName]]] = field(default_factory=dict)

    def enter(self, record: ExecutionRecord) -> None:
        """Let ``record`` wait, unless it is a step of another."""
        if record.parent is not None:
            self._tops[record.id] = self._top(record.parent)
        else:
            claims = claimed(record.plan.claims, system=record.plan.topology)
            key = (record.requested_by, record.priority, _needed(record), claims)
            self._waiting[record.id] = key
            insort(self._lanes.setdefault(key, []), (record.id, record), key=lambda each: each[0])

    def is_waiting(self, execution: ExecutionId) -> bool:
        """Tell whether an execution has not been let in, and may still be."""
        return execution in self._waiting

    def admitted(self) -> Sequence[ExecutionId]:
        """Return who was let in and holds what it claims, the first to come in first."""
        return list(self._admitted)

    def stranded(self, able: Able) -> Iterator[ExecutionId]:
        """Yield the detached ones that nobody is able to carry out."""
        for (_, _, needed, _), members in self._lanes.items():
            if needed is not None and not able(needed):
                yield from (each for each, _ in members)

    def lanes(self, *, able: Able | None, whole: bool) -> Iterator[Lane]:
        """Yield the lanes, those of detached ones only if somebody is ``able`` to serve them.

        Of those that claim something for themselves alone only the first is given, which is all
        that can come in at a time, unless the lanes are asked for as a ``whole``.
        """
        for key, members in self._lanes.items():
            requester, priority, needed, claims = key
            if needed is not None and not (able and able(needed)):
                continue
            alone = any(claim.kind is ClaimKind.EXCLUSIVE for claim in claims)
            known = members[:1] if alone and not whole else members
            yield Lane(
                requested_by=requester,
                priority=priority,
                claims=claims,
                applicants=[
                    Applicant(id=each, since=record.requested_at, scenario=record.scenario_name)
                    for each, record in known
                ],
                turn_at=self._turns.get(key),
            )

    def standing(self) -> Standing:
        """Return what is held, by how many, and when whose turn was."""
        turns: dict[str, datetime] = {}
        for (requester, *_), at in self._turns.items():
            turns[requester] = max(at, turns.get(requester, at))
        return Standing(
            held=[claim for each in self._admitted.values() for claim in each.claims],
            running=Counter(each.record.requested_by for each in self._admitted.values()),
            turns=turns,
        )

    def holdings(self) -> Iterator[Holding]:
        """Yield each thing that is held, and by whom."""
        for execution, admission in self._admitted.items():
            for claim in admission.claims:
                yield Holding(
                    claim=claim,
                    by=execution,
                    scenario=admission.record.scenario_name,
                    since=admission.at,
                    residue=execution in self._ended,
                )

    def let_in(self, execution: ExecutionId, *, at: datetime) -> None:
        """Give one that waits what it claims."""
        record = self._leave(execution)
        key = (record.requested_by, record.priority, _needed(record))
        claims = claimed(record.plan.claims, system=record.plan.topology)
        self._turns[*key, claims] = at
        self._admitted[execution] = _Admission(record=record, claims=claims, at=at)

    def check(self, record: ExecutionRecord, events: Sequence[object], after: Execution) -> None:
        """Look whether faults may be armed that lead to ``after``.

        Raises:
            BudgetExceededError: too much would be hit at a time; nothing is changed.
        """
        limit, system = record.plan.services_max, record.plan.topology
        new = {event.service for event in events if isinstance(event, FaultArmed)}
        new &= {fault.service for fault in after.outstanding}
        if limit is None or not new:
            return
        hit = {name for where, names in self._hit.values() if where == system for name in names}
        if len(hit | new) > limit:
            raise BudgetExceededError(
                system=system, services=frozenset(new - hit), hit=frozenset(hit), limit=limit
            )

    def keep(self, record: ExecutionRecord, after: Execution) -> None:
        """Note what an append to the log of ``record`` led to."""
        begun = after.status is not Status.PENDING or after.abort is not None
        if begun and record.id in self._waiting:
            self._leave(record.id)
        if after.outstanding:
            services = frozenset(fault.service for fault in after.outstanding)
            self._hit[record.id] = (record.plan.topology, services)
        else:
            self._hit.pop(record.id, None)
        if after.status is not Status.FINISHED:
            return
        self._ended.add(record.id)
        top = self._top(record.id)
        # What one whose worker was lost ran as a step may end after it.
        over = self._ended.issuperset(each for each, above in self._tops.items() if above == top)
        hit = any(self._top(each) == top for each in self._hit)
        if top in self._ended and over and not hit:
            self._admitted.pop(top, None)

    def _leave(self, execution: ExecutionId) -> ExecutionRecord:
        key = self._waiting.pop(execution)
        members = self._lanes[key]
        index = next(index for index, (each, _) in enumerate(members) if each == execution)
        _, record = members.pop(index)
        if not members:
            del self._lanes[key]
        return record

    def _top(self, execution: ExecutionId) -> ExecutionId:
        return self._tops.get(execution, execution)


def _needed(record: ExecutionRecord) -> frozenset[str] | None:
    return record.requires if record.detached else None
