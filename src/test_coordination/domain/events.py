"""What happened: immutable facts, in the order in which they were recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, get_args

from test_coordination.domain.evidence import Facts, Validation
from test_coordination.domain.values import (
    CheckId,
    Receipt,
    ServiceName,
    SnapshotId,
    StepId,
    WishId,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStarted:
    """A worker took the execution on."""

    worker: WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionTakenOver:
    """The worker that had it is gone; ``worker`` undoes what is left and ends the execution.

    With ``continues`` it carries it on instead, from where it stands.
    """

    worker: WorkerId
    reason: str
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReleased:
    """The worker that had it is gone, or let go of it; another one is to carry it on.

    One that ``refused`` it could not carry it out at all, and has begun nothing.
    """

    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step was begun."""

    step: StepId


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetried:
    """A try of a step failed, and the next one begins after ``delay``; tries count from 1.

    A fault that did not bite in the failed try is undone by then.
    """

    step: StepId
    attempt: int
    error: str
    code: str
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step is over; ``error`` and ``code`` say why where it did not succeed."""

    step: StepId
    outcome: Outcome
    error: str = ""
    code: str = ""
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultArmed:
    """A fault is about to be injected; ``receipt`` is enough to revert it from any process."""

    step: StepId
    fault: str
    service: ServiceName
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultInjected:
    """The fault is in force, and ``evidence`` shows that it bites."""

    step: StepId
    evidence: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultNotInjected:
    """The fault was tried and does not bite; what there is of it will be reverted."""

    step: StepId
    reason: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReverted:
    """The fault is gone, and ``evidence`` shows that it is."""

    step: StepId
    evidence: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRevertFailed:
    """The fault may still be in force: the undo was tried and could not be verified."""

    step: StepId
    reason: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidueAccepted:
    """Somebody answers for a fault that is not proven undone: nobody tries any more.

    It stays on record as residue, and what was held because of it is free.
    """

    step: StepId
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """The state of services was captured."""

    step: StepId
    snapshot: SnapshotId
    services: tuple[ServiceName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckJudged:
    """A check came to its end."""

    validation: Validation


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyStateLeft:
    """A watched condition stopped being true."""

    check: CheckId
    observed: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyStateRegained:
    """A watched condition is true again."""

    check: CheckId
    observed: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRequested:
    """Somebody, or a guard, asked for the execution to stop; ``by`` names whom."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPaused:
    """Nothing further is begun until it is resumed; ``by`` names who asked for that.

    With ``undo`` the faults that are in force are ended, and otherwise they are held on. ``wish``
    is what was asked for, where it was asked through a store.
    """

    reason: str
    by: str
    undo: bool = False
    wish: WishId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResumed:
    """Steps may begin again; see `ExecutionPaused`."""

    reason: str
    by: str
    wish: WishId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something that a reader of the log should know, such as a store that was away."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionEnded:
    """Nothing is left to do; ``verdict`` is final."""

    verdict: Verdict
    reason: str


Event: TypeAlias = (
    ExecutionStarted
    | ExecutionTakenOver
    | ExecutionReleased
    | StepStarted
    | StepRetried
    | StepEnded
    | FaultArmed
    | FaultInjected
    | FaultNotInjected
    | FaultReverted
    | FaultRevertFailed
    | ResidueAccepted
    | SnapshotTaken
    | CheckJudged
    | SteadyStateLeft
    | SteadyStateRegained
    | AbortRequested
    | ExecutionPaused
    | ExecutionResumed
    | Noted
    | ExecutionEnded
)
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
"""Each event by the name under which it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of an execution's log; positions count from 1 without a gap.

    ``at`` is the recording worker's clock, in UTC; within one worker its differences are exact,
    whatever happens to the clock of the machine.
    """

    position: int
    at: datetime
    event: Event
