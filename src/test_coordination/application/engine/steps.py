"""Do one step, whatever its kind, and record how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import ClassVar, Final, assert_never

import anyio
import anyio.lowlevel

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.engine.capture import Camera
from test_coordination.application.engine.checks import Bench, judged
from test_coordination.application.engine.decide import PHASES
from test_coordination.application.engine.ledger import Charge, held
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.sampler import Probing
from test_coordination.application.ports import Evidence, LogConflictError
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.events import (
    CheckJudged,
    Outcome,
    SnapshotTaken,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import FaultStatus
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    GateWork,
    PlannedCheck,
    PlannedStep,
    ProbeWork,
    ScenarioWork,
    SnapshotWork,
    StopWork,
    WaitWork,
)
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import StepId, format_duration

LOST: Final = (LogConflictError, StoreUnavailableError)
"""Errors after which this worker cannot go on with the execution at all."""


@dataclass(eq=False, kw_only=True)
class ResidueError(CoordinationError):
    """A fault was held as asked, and is not proven to be undone."""

    code: ClassVar[str] = "fault.residue"

    step: StepId
    reason: str

    def __str__(self) -> str:
        return f"the fault of step {self.step!r} is not proven to be undone: {self.reason}"


@dataclass(eq=False, kw_only=True)
class UnknownWorkError(CoordinationError):
    """A plan has a kind of work that this version cannot do."""

    code: ClassVar[str] = "step.unknown_work"

    step: StepId
    kind: str

    def __str__(self) -> str:
        return f"step {self.step!r} is of the kind {self.kind!r}, which this version cannot do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a step needs to be done."""

    probing: Probing
    evidence: Evidence
    camera: Camera
    bench: Bench
    recorder: Recorder

    @property
    def catalogue(self) -> Catalogue:
        """Return what may be done and seen."""
        return self.probing.catalogue

    @property
    def topology(self) -> Topology:
        """Return the system that it is done to."""
        return self.probing.topology


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Performance:
    """One step under way: it can be told that its time is over, or be cancelled.

    A fault is undone in both cases, before the step is recorded as ended.
    """

    step: PlannedStep
    hands: Hands
    over: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def run(self) -> None:
        """Do the step; whatever goes wrong in it is recorded as its end.

        Raises:
            LogConflictError: another worker has the execution; a fault is undone all the same.
            StoreUnavailableError: the log cannot be written; a fault is undone all the same.
        """
        record = self.hands.recorder.record
        await record(StepStarted(step=self.step.id))
        ended = await self._done()
        self.hands.bench.observations.add_outcome(self.step.id, ended.outcome)
        await record(ended)

    async def _done(self) -> StepEnded:
        step = self.step.id
        try:
            with self.scope, anyio.move_on_after(self.step.timeout.total_seconds()) as limit:
                await anyio.lowlevel.checkpoint_if_cancelled()
                return StepEnded(step=step, outcome=Outcome.DONE, facts=await self._work())
            if limit.cancelled_caught:
                said = format_duration(self.step.timeout)
                return self._failed(f"it was not done within its timeout of {said}", "step.timeout")
        except LOST:
            raise
        except CoordinationError as error:
            return self._failed(str(error), error.code)
        except Exception as error:  # noqa: BLE001  a step is one of the three borders: a bug in it must not leave the other steps' faults in force
            bug = _first(error)
            return self._failed(f"a bug of ours: {type(bug).__name__}: {bug}", "internal")
        return StepEnded(step=step, outcome=Outcome.CANCELLED, error="the execution was stopped")

    def _failed(self, reason: str, code: str) -> StepEnded:
        return StepEnded(step=self.step.id, outcome=Outcome.FAILED, error=reason, code=code)

    async def _work(self) -> Facts:
        match self.step.work:
            case FaultWork() as work:
                return await self._fault(work)
            case WaitWork():
                await self.over.wait()
                return {}
            case ActionWork(action=action, parameters=parameters):
                return await self.hands.catalogue.actions[action].run(
                    self.hands.topology, parameters
                )
            case SnapshotWork() as work:
                return await self._snapshot(work)
            case PlannedCheck() as check:
                return await self._check(check)
            case ProbeWork() | GateWork() | StopWork() | ScenarioWork():
                raise UnknownWorkError(step=self.step.id, kind=self.step.kind)
            case never:
                assert_never(never)

    async def _fault(self, work: FaultWork) -> Facts:
        hands, step = self.hands, self.step.id
        charge = Charge(
            step=step,
            fault=hands.catalogue.faults[work.fault],
            work=work,
            topology=hands.topology,
        )
        async with held(charge, hands.recorder.record):
            await self.over.wait()
        fault = hands.recorder.state.faults[step]
        if fault.status is not FaultStatus.REVERTED:
            raise ResidueError(step=step, reason=fault.reason)
        return {}

    async def _snapshot(self, work: SnapshotWork) -> Facts:
        hands, step = self.hands, self.step.id
        execution = hands.recorder.state.id
        snapshot = await hands.camera.take(work.services, execution=execution, step=step)
        store = partial(hands.evidence.add_snapshot, snapshot)
        await patiently(store, doing=f"storing what step {step!r} captured")
        hands.bench.observations.add_snapshot(step, snapshot)
        taken = SnapshotTaken(step=step, snapshot=snapshot.id, services=work.services)
        await hands.recorder.record(taken)
        return {"problems": list(snapshot.problems)} if snapshot.problems else {}

    async def _check(self, check: PlannedCheck) -> Facts:
        hands = self.hands
        validation = await judged(
            hands.bench,
            check,
            origin=self._origin(check),
            phase=PHASES[self.step.stage],
            step=self.step.id,
        )
        await hands.recorder.record(CheckJudged(validation=validation))
        return {"finding": validation.finding}

    def _origin(self, check: PlannedCheck) -> datetime:
        """Return when the check's time began: at its step, or at the end of its fault."""
        state = self.hands.recorder.state
        if check.after_fault is None:
            return state.steps[self.step.id].started_at
        undone_at = state.faults[check.after_fault].reverted_at
        assert undone_at is not None, "it needs the step of its fault, whose failure stops all"
        return undone_at


def _first(error: Exception) -> Exception:
    """Return the first of what a group of tasks raised; the group itself says nothing."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
