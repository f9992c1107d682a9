"""Do one step, whatever its kind, and record how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import assert_never

import anyio
import anyio.lowlevel

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.engine.attempts import LOST, accompanied, repeated, tried
from test_coordination.application.engine.capture import Camera
from test_coordination.application.engine.checks import Bench, judged
from test_coordination.application.engine.children import Child, ChildFailedError, Children
from test_coordination.application.engine.conditions import (
    GateShutError,
    came_true,
    is_true,
    passed,
)
from test_coordination.application.engine.lease import Hold
from test_coordination.application.engine.ledger import Charge, ResidueError, held
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.readiness import IF_FALSE, LIFTED
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.sampler import Probing
from test_coordination.application.engine.vault import Vault
from test_coordination.application.engine.verdict import PHASES, stop_reason
from test_coordination.application.ports import Evidence
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import (
    CheckJudged,
    Noted,
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
    Plan,
    PlannedCheck,
    PlannedStep,
    ProbeWork,
    ScenarioWork,
    SnapshotWork,
    Stage,
    StopWork,
    WaitWork,
)
from test_coordination.domain.steps import ErrorPolicy, Otherwise
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import format_duration
from test_coordination.domain.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a step needs to be done, and the right to do it."""

    hold: Hold
    plan: Plan
    children: Children
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

    @property
    def vault(self) -> Vault:
        """Return the secrets of this execution."""
        return self.probing.vault


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Performance:
    """One step under way: it can be told that its time is over, or be cancelled.

    A fault is undone in both cases, before the step is recorded as ended. While the execution is
    paused it is not begun. ``limit`` ends when its timeout has passed, from when it has begun on.
    """

    step: PlannedStep
    hands: Hands
    over: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    limit: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def cancel(self) -> None:
        """End the step before its time; one whose own time is up already ends by that."""
        if not self.limit.cancel_called:
            self.scope.cancel()

    async def run(self) -> None:
        """Do the step; whatever goes wrong in it is recorded as its end.

        Raises:
            LogConflictError: another worker has the execution; a fault is undone all the same.
            StoreUnavailableError: the log cannot be written; a fault is undone all the same.
        """
        ended = await self._ended()
        await self.hands.recorder.record(ended, *self._notes(ended))

    async def _ended(self) -> StepEnded:
        """Return how the step ended; its start is recorded unless its condition forbids it."""
        step = self.step.id
        with self.scope:
            unwanted = await self._bordered(self._asked)
            if unwanted is not None:
                return unwanted
            await self._held_back()
            await self.hands.recorder.record(StepStarted(step=step))
            # It may have been paused while its start was recorded.
            await self._held_back()
            ended = await self._bordered(self._done)
            assert ended is not None, "what is done has an end"
            return ended
        return self._cancelled()

    async def _held_back(self) -> None:
        """Wait while the execution is paused; that keeps nothing from what ends it."""
        if self.step.stage is not Stage.FAILURE:
            await self.hands.recorder.resumed()

    def _cancelled(self) -> StepEnded:
        wanted, step = self.hands.recorder.wanted, self.step
        why, code = "the execution was stopped", ""
        if step.fault and wanted.pause and not stop_reason(self.hands.plan, wanted):
            why, code = "a pause undid its fault before its time", LIFTED
        return StepEnded(step=step.id, outcome=Outcome.CANCELLED, error=why, code=code)

    async def _bordered(self, act: Callable[[], Awaitable[StepEnded | None]]) -> StepEnded | None:
        """Return what ``act`` returns; what goes wrong in it is the failure of the step."""
        try:
            return await act()
        except LOST:
            raise
        except CoordinationError as error:
            return self._refused(error)
        except Exception as error:  # noqa: BLE001  a step is one of the three borders: a bug in it must not leave the other steps' faults in force
            bug = _first(error)
            return self._failed(f"a bug of ours: {type(bug).__name__}: {bug}", "internal")

    async def _asked(self) -> StepEnded | None:
        """Return how the step ends without having begun; None if it is to begin."""
        condition, state = self.step.condition, self.hands.recorder.state
        if condition is None:
            return None
        assert state.started_at is not None, "a step is begun in an execution that has begun"
        if await is_true(self.hands.bench, condition, origin=state.started_at):
            return None
        return self._skipped("its condition is false", IF_FALSE)

    async def _done(self) -> StepEnded:
        self.limit.deadline = anyio.current_time() + self.step.timeout.total_seconds()
        with self.limit:
            await anyio.lowlevel.checkpoint_if_cancelled()
            return StepEnded(step=self.step.id, outcome=Outcome.DONE, facts=await self._work())
        assert self.limit.cancelled_caught, "nothing else leaves the block without an end"
        said = format_duration(self.step.timeout)
        return self._failed(f"it was not done within its timeout of {said}", "step.timeout")

    def _refused(self, error: CoordinationError) -> StepEnded:
        if isinstance(error, GateShutError) and error.work.otherwise is Otherwise.SKIP:
            return self._skipped(str(error), error.code)
        facts = error.facts if isinstance(error, ChildFailedError) else {}
        return self._failed(str(error), error.code, facts)

    def _skipped(self, reason: str, code: str) -> StepEnded:
        return StepEnded(step=self.step.id, outcome=Outcome.SKIPPED, error=reason, code=code)

    def _failed(self, reason: str, code: str, facts: Facts | None = None) -> StepEnded:
        return StepEnded(
            step=self.step.id, outcome=Outcome.FAILED, error=reason, code=code, facts=facts or {}
        )

    def _notes(self, ended: StepEnded) -> tuple[Noted, ...]:
        """Return a word on a failure that has no say in the verdict."""
        if ended.outcome is not Outcome.FAILED:
            return ()
        if self.step.stage is Stage.FAILURE:
            text = f"step {ended.step!r} of on_failure failed: {ended.error}"
        elif self.step.on_error is ErrorPolicy.IGNORE:
            text = f"step {ended.step!r} failed, which is ignored: {ended.error}"
        else:
            return ()
        return (Noted(text=text),)

    async def _work(self) -> Facts:
        """Do what the step is for; where it may be tried again, it is."""
        match self.step.work:
            case ActionWork() as work:
                return await self._action(work)
            case WaitWork():
                await self.over.wait()
                return {}
            case GateWork() as work:
                return await self._gate(work)
            case StopWork() as work:
                return await self._stop(work)
            case PlannedCheck() as check:
                return await self._check(check)
            case FaultWork() | ProbeWork() | SnapshotWork() | ScenarioWork() as work:
                return await self._tried(lambda: self._once(work))
            case never:
                assert_never(never)

    async def _once(self, work: FaultWork | ProbeWork | SnapshotWork | ScenarioWork) -> Facts:
        match work:
            case FaultWork():
                return await self._fault(work)
            case ProbeWork():
                return await self._probe(work)
            case SnapshotWork():
                return await self._snapshot(work)
            case ScenarioWork():
                return await self._scenario(work)
            case never:
                assert_never(never)

    async def _tried(self, act: Callable[[], Awaitable[Facts]]) -> Facts:
        return await tried(
            act,
            step=self.step,
            recorder=self.hands.recorder,
            over=self.over,
            again=self._may_be_tried_again,
        )

    def _may_be_tried_again(self, error: CoordinationError) -> bool:
        """Tell whether nothing is left of the try that failed."""
        if isinstance(error, ChildFailedError) and error.verdict is Verdict.RESIDUE:
            return False
        fault = self.hands.recorder.state.faults.get(self.step.id)
        return fault is None or fault.status is FaultStatus.REVERTED

    async def _fault(self, work: FaultWork) -> Facts:
        hands, step = self.hands, self.step.id
        charge = Charge(
            step=step,
            fault=hands.catalogue.faults[work.fault],
            work=work,
            topology=hands.topology,
            vault=hands.vault,
            hold=hands.hold,
        )
        async with held(charge, hands.recorder.record):
            await self.over.wait()
        fault = hands.recorder.state.faults[step]
        if fault.status is not FaultStatus.REVERTED:
            raise ResidueError(step=step, reason=fault.reason)
        return {}

    async def _action(self, work: ActionWork) -> Facts:
        """Do it once, or again and again; only what is done once is cut short by a stop."""
        action = self.hands.catalogue.actions[work.action]

        async def run() -> Facts:
            parameters = self.hands.vault.reveal(work.parameters)
            await self.hands.hold.sure()
            return await action.run(self.hands.topology, parameters)

        async def turn() -> Facts:
            return await self._tried(run)

        if work.every is not None or work.times != 1:
            return await repeated(
                turn,
                work,
                clock=self.hands.bench.clock,
                over=self.over,
                forgiving=self.step.on_error is ErrorPolicy.IGNORE,
            )
        with anyio.CancelScope() as scope:

            async def cut() -> None:
                await self.over.wait()
                scope.cancel()

            return await accompanied(turn, cut)
        return {"stopped": True}

    async def _probe(self, work: ProbeWork) -> Facts:
        kind = self.hands.catalogue.probes[work.kind]
        parameters = self.hands.vault.reveal(work.parameters)
        reading = kind.open(self.hands.topology, parameters, timeout=self.step.timeout)
        async with reading as probe:
            return await probe.read()

    async def _gate(self, work: GateWork) -> Facts:
        opened = await came_true(
            self.hands.bench,
            work.condition,
            origin=self._began_at(),
            hold=work.hold,
            within=work.within,
        )
        return passed(work, opened=opened)

    async def _stop(self, work: StopWork) -> Facts:
        """Wait for the ends of what is stopped; whoever decides tells it to end."""
        recorder = self.hands.recorder
        while True:
            state = recorder.state
            named = [state.steps.get(step) for step in work.steps]
            if all(step is not None and step.outcome is not None for step in named):
                return {}
            await recorder.change(state, limit=None)

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
            over=self.over,
        )
        await hands.recorder.record(CheckJudged(validation=validation))
        return {"finding": validation.finding}

    def _origin(self, check: PlannedCheck) -> datetime:
        """Return when the check's time began: at its step, or at the end of its fault.

        A fault that failed, where that is no matter, ended with its step.
        """
        if check.after_fault is None:
            return self._began_at()
        state = self.hands.recorder.state
        ends: list[datetime] = []
        for member in self.hands.plan.members(check.after_fault):
            fault, step = state.faults.get(member), state.steps[member]
            undone_at = None if fault is None else fault.reverted_at
            ended_at = undone_at or step.ended_at
            assert ended_at is not None, "it begins once its fault's steps are over"
            if step.outcome is not Outcome.SKIPPED:
                ends.append(ended_at)
        return max(ends)

    def _began_at(self) -> datetime:
        return self.hands.recorder.state.steps[self.step.id].started_at

    async def _scenario(self, work: ScenarioWork) -> Facts:
        hands, began_at = self.hands, self.hands.bench.clock.now()
        child = Child(
            children=hands.children, work=work, parent=hands.recorder.state.id, step=self.step.id
        )
        ended = await child.run(self.over)
        validation = child.judged(
            ended,
            phase=PHASES[self.step.stage],
            began_at=began_at,
            ended_at=hands.bench.clock.now(),
        )
        await hands.recorder.record(CheckJudged(validation=validation))
        return {"execution": str(ended.id), "verdict": str(ended.verdict)}


def _first(error: Exception) -> Exception:
    """Return the first of what a group of tasks raised; the group itself says nothing."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
