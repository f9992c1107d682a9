"""Where an execution stands: the fold of its log, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import reduce
from typing import ClassVar, assert_never

from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import (
    AbortRequested,
    CheckJudged,
    Entry,
    ExecutionEnded,
    ExecutionPaused,
    ExecutionReleased,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    FaultNotInjected,
    FaultReverted,
    FaultRevertFailed,
    Noted,
    Outcome,
    ResidueAccepted,
    SnapshotTaken,
    SteadyStateLeft,
    SteadyStateRegained,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.evidence import Facts, Validation
from test_coordination.domain.failures import ErrorClass, classify
from test_coordination.domain.stretches import Excursion, Pause, paused, regained
from test_coordination.domain.values import (
    ExecutionId,
    Receipt,
    ServiceName,
    SnapshotId,
    StepId,
    WishId,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict


class Status(StrEnum):
    """What an execution is doing."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"


class FaultStatus(StrEnum):
    """How far a fault has come; all but ``REVERTED`` may still be in force."""

    ARMED = "armed"
    INJECTED = "injected"
    NOT_INJECTED = "not_injected"
    REVERT_FAILED = "revert_failed"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """What became of a step that was begun, or that was skipped.

    ``attempts`` counts the tries, the one under way included; the one before it failed at
    ``retried_at``.
    """

    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    error: str = ""
    code: str = ""
    facts: Facts = field(default_factory=dict)
    attempts: int = 1
    retried_at: datetime | None = None

    @property
    def error_class(self) -> ErrorClass | None:
        """Return what kind of failure it was; None if it did not fail."""
        return classify(self.code) if self.outcome is Outcome.FAILED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultState:
    """One entry of the ledger: what was done to whom, and how to undo it.

    ``bitten`` is False where the fault was tried and never seen to bite. Of a step that was
    tried several times the last try is kept, which was its ``attempt``: those before it are
    undone. ``lost`` says that its worker was gone while it may have been in force: how long it
    was so is not known. One is ``accepted`` if somebody answers for it though it is not proven
    undone.
    """

    step: StepId
    fault: str
    service: ServiceName
    receipt: Receipt
    status: FaultStatus
    armed_at: datetime
    injected_at: datetime | None = None
    reverted_at: datetime | None = None
    attempt: int = 1
    bitten: bool = True
    lost: bool = False
    accepted: bool = False
    evidence: Facts = field(default_factory=dict)
    restored: Facts = field(default_factory=dict)
    reason: str = ""


@dataclass(eq=False, kw_only=True)
class IllegalTransitionError(CoordinationError):
    """An event arrived that cannot follow what is already known of its execution."""

    code: ClassVar[str] = "execution.illegal_transition"

    execution: ExecutionId
    status: str
    event: str

    def __str__(self) -> str:
        return (
            f"execution {self.execution} is {self.status}; {self.event} cannot follow: "
            "its log was written by something else, or is damaged"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The state of one run; ``taken_over`` says why another worker had to end it.

    ``changed_at`` is the time of the last entry of its log. ``heeded`` is the last wish to pause or
    to resume it that came through a store. ``handovers`` counts the workers that carried it on
    after another, or refused to, and ``resumed_at`` is when the last of them did; ``worker`` is
    None while none has it, and ``released`` says why the last one has it no more.
    """

    id: ExecutionId
    status: Status = Status.PENDING
    position: int = 0
    changed_at: datetime | None = None
    worker: WorkerId | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verdict: Verdict | None = None
    reason: str = ""
    abort: AbortRequested | None = None
    pauses: tuple[Pause, ...] = ()
    heeded: WishId | None = None
    taken_over: str = ""
    handovers: int = 0
    released: str = ""
    resumed_at: datetime | None = None
    steps: Mapping[StepId, StepState] = field(default_factory=dict)
    faults: Mapping[StepId, FaultState] = field(default_factory=dict)
    snapshots: Mapping[StepId, SnapshotId] = field(default_factory=dict)
    validations: tuple[Validation, ...] = ()
    excursions: tuple[Excursion, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, execution: ExecutionId, log: Iterable[Entry]) -> Execution:
        """Return the execution as it stands at the end of ``log``."""
        return reduce(cls.apply, log, cls(id=execution))

    @property
    def outstanding(self) -> tuple[FaultState, ...]:
        """Return the faults to be undone yet, in the order in which they were armed.

        All of them may be in force; so may those that somebody has accepted, which are left out.
        """
        left = (f for f in self.faults.values() if f.status is not FaultStatus.REVERTED)
        return tuple(fault for fault in left if not fault.accepted)

    @property
    def pause(self) -> Pause | None:
        """Return the pause that it is in, if it is in one."""
        last = self.pauses[-1] if self.pauses else None
        return None if last is None or last.resumed_at is not None else last

    def paused_for(self, now: datetime) -> timedelta:
        """Return how long it has been paused by ``now`` since it began, all pauses together."""
        began = self.started_at or now
        spans = ((pause.paused_at, pause.resumed_at or now) for pause in self.pauses)
        return sum((max(end, began) - max(start, began) for start, end in spans), timedelta(0))

    def apply(self, entry: Entry) -> Execution:
        """Return the execution as it stands after ``entry``.

        Raises:
            IllegalTransitionError: the entry's event cannot follow what is already known.
        """
        if entry.position != self.position + 1:
            raise self._refused(entry)
        after = self._after(entry)
        # Steps come and go most often, and are taken in with one copy instead of two.
        if after.position == entry.position:
            return after
        return replace(after, position=entry.position, changed_at=entry.at)

    def _after(self, entry: Entry) -> Execution:
        if self.status is Status.RUNNING:
            return self._while_running(entry)
        match entry.event:
            case FaultReverted() | FaultRevertFailed() | ResidueAccepted():
                return self._with_fault(entry)
            case Noted(text=text):
                return replace(self, notes=(*self.notes, text))
            case _ if self.status is Status.PENDING:
                return self._while_pending(entry)
            case _:
                raise self._refused(entry)

    def _while_pending(self, entry: Entry) -> Execution:  # noqa: PLR0911  a case an event
        """Return it begun, or stopped before any worker began it."""
        match entry.event:
            case ExecutionStarted(worker=worker):
                return replace(self, status=Status.RUNNING, worker=worker, started_at=entry.at)
            case ExecutionTakenOver(continues=False, worker=worker, reason=reason):
                return replace(
                    self,
                    status=Status.RUNNING,
                    worker=worker,
                    started_at=entry.at,
                    taken_over=reason,
                )
            case ExecutionReleased(refused=True) as released:
                return self._released(released)
            case AbortRequested() as abort:
                return replace(self, abort=self.abort or abort)
            case ExecutionPaused() | ExecutionResumed():
                return self._paused(entry.event, entry.at)
            case CheckJudged(validation=validation) if self.abort:
                return replace(self, validations=(*self.validations, validation))
            case ExecutionEnded() as ended if self.abort:
                return self._ended(ended, entry.at)
            case _:
                raise self._refused(entry)

    def _paused(self, event: ExecutionPaused | ExecutionResumed, at: datetime) -> Execution:
        pauses = paused(self.pauses, event, at)
        return replace(self, pauses=pauses, heeded=event.wish or self.heeded)

    def _ended(self, ended: ExecutionEnded, at: datetime) -> Execution:
        return replace(
            self, status=Status.FINISHED, ended_at=at, verdict=ended.verdict, reason=ended.reason
        )

    def _while_running(self, entry: Entry) -> Execution:  # noqa: C901, PLR0911, PLR0912  a case an event
        match entry.event:
            case ExecutionTakenOver(continues=False, worker=worker, reason=reason):
                return replace(self, worker=worker, taken_over=reason)
            case ExecutionTakenOver() | ExecutionReleased():
                return self._handed_over(entry.event, entry.at)
            case StepStarted() | StepRetried() | StepEnded():
                return self._with_step(entry)
            case (
                FaultArmed()
                | FaultInjected()
                | FaultNotInjected()
                | FaultReverted()
                | FaultRevertFailed()
            ):
                return self._with_fault(entry)
            case Noted(text=text):
                return replace(self, notes=(*self.notes, text))
            case SnapshotTaken(step=step, snapshot=snapshot):
                return replace(self, snapshots={**self.snapshots, step: snapshot})
            case CheckJudged(validation=validation):
                return replace(self, validations=(*self.validations, validation))
            case SteadyStateLeft(check=check):
                excursion = Excursion(check=check, left_at=entry.at)
                return replace(self, excursions=(*self.excursions, excursion))
            case SteadyStateRegained(check=check):
                return replace(self, excursions=regained(self.excursions, check, entry.at))
            case AbortRequested() as abort:
                return replace(self, abort=self.abort or abort)
            case ExecutionPaused() | ExecutionResumed():
                return self._paused(entry.event, entry.at)
            case ExecutionEnded() as ended:
                return self._ended(ended, entry.at)
            case ExecutionStarted() | ResidueAccepted():
                raise self._refused(entry)
            case _:
                assert_never(entry.event)

    def _handed_over(
        self, event: ExecutionTakenOver | ExecutionReleased, at: datetime
    ) -> Execution:
        """Return it without the worker that it had, whose faults are lost if they are in force."""
        lost = {fault.step: replace(fault, lost=True) for fault in self.outstanding}
        left = replace(self, worker=None, faults={**self.faults, **lost})
        if isinstance(event, ExecutionReleased):
            return left._released(event)  # noqa: SLF001  one of us
        return replace(left, worker=event.worker, handovers=self.handovers + 1, resumed_at=at)

    def _released(self, event: ExecutionReleased) -> Execution:
        return replace(self, handovers=self.handovers + event.refused, released=event.reason)

    def _with_step(self, entry: Entry) -> Execution:
        match entry.event:
            case StepStarted(step=step) if step not in self.steps:
                state = StepState(started_at=entry.at)
            case StepRetried(step=step, attempt=attempt) if self._is_running(step):
                begun = self.steps[step]
                state = replace(begun, attempts=attempt + 1, retried_at=entry.at)
            case StepEnded(step=step) as ended:
                begun = self.steps.get(step, StepState(started_at=entry.at))
                if begun.outcome is not None:
                    raise self._refused(entry)
                state = replace(
                    begun,
                    ended_at=entry.at,
                    outcome=ended.outcome,
                    error=ended.error,
                    code=ended.code,
                    facts=ended.facts,
                )
            case _:
                raise self._refused(entry)
        steps = {**self.steps, step: state}
        return replace(self, steps=steps, position=entry.position, changed_at=entry.at)

    def _with_fault(self, entry: Entry) -> Execution:
        match entry.event:
            case FaultArmed(step=step) as armed if not self._may_be_in_force(step):
                state = FaultState(
                    step=step,
                    fault=armed.fault,
                    service=armed.service,
                    receipt=armed.receipt,
                    status=FaultStatus.ARMED,
                    armed_at=entry.at,
                    attempt=self.steps[step].attempts if step in self.steps else 1,
                )
            case (
                FaultInjected(step=step)
                | FaultNotInjected(step=step)
                | FaultReverted(step=step)
                | FaultRevertFailed(step=step)
                | ResidueAccepted(step=step)
            ) if step in self.faults:
                state = self._changed(self.faults[step], entry)
            case _:
                raise self._refused(entry)
        others = self.faults
        if isinstance(entry.event, FaultArmed):
            others = {other: fault for other, fault in others.items() if other != step}
        return replace(self, faults={**others, step: state})

    def _is_running(self, step: StepId) -> bool:
        return step in self.steps and self.steps[step].outcome is None

    def _may_be_in_force(self, step: StepId) -> bool:
        return step in self.faults and self.faults[step].status is not FaultStatus.REVERTED

    def _changed(self, fault: FaultState, entry: Entry) -> FaultState:
        match entry.event:
            case FaultInjected(evidence=evidence) if fault.status is FaultStatus.ARMED:
                return replace(
                    fault, status=FaultStatus.INJECTED, injected_at=entry.at, evidence=evidence
                )
            case FaultNotInjected(reason=reason) if fault.status is FaultStatus.ARMED:
                return replace(fault, status=FaultStatus.NOT_INJECTED, bitten=False, reason=reason)
            case FaultReverted(evidence=evidence) if fault.status is not FaultStatus.REVERTED:
                return replace(
                    fault, status=FaultStatus.REVERTED, reverted_at=entry.at, restored=evidence
                )
            case FaultRevertFailed(reason=reason) if fault.status is not FaultStatus.REVERTED:
                return replace(fault, status=FaultStatus.REVERT_FAILED, reason=reason)
            case ResidueAccepted() if fault.status is not FaultStatus.REVERTED:
                return replace(fault, accepted=True)
            case _:
                raise self._refused(entry)

    def _refused(self, entry: Entry) -> IllegalTransitionError:
        return IllegalTransitionError(
            execution=self.id,
            status=f"{self.status} at position {self.position}",
            event=f"{type(entry.event).__name__} at position {entry.position}",
        )
