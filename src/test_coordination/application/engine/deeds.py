"""Do what one step is for, whatever its kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

import anyio
import anyio.lowlevel

from test_coordination.application.engine.attempts import (
    FIRST,
    Earlier,
    accompanied,
    delay_before,
    repeated,
    tried,
)
from test_coordination.application.engine.checks import judged
from test_coordination.application.engine.children import Child, ChildFailedError
from test_coordination.application.engine.conditions import came_true, passed
from test_coordination.application.engine.hands import Hands
from test_coordination.application.engine.ledger import Charge, ResidueError, held
from test_coordination.application.engine.patience import patiently
from test_coordination.application.engine.verdict import PHASES
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import CheckJudged, Event, Outcome, SnapshotTaken
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import FaultStatus, StepState
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
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Deed:
    """The work of a step that has begun; it is told to end by ``over``.

    One that is ``resumed`` was begun by another worker, which is gone: it goes on with what can
    be gone on with, and is done once more otherwise. ``told`` is to be recorded together with
    the end of the step, so that nothing is known of the one without the other.
    """

    step: PlannedStep
    hands: Hands
    over: anyio.Event
    resumed: bool = False
    told: list[Event] = field(default_factory=list)

    @property
    def anew(self) -> bool:
        """Tell whether something is done, and not only waited for or looked at."""
        return isinstance(self.step.work, FaultWork | ActionWork | ProbeWork | SnapshotWork)

    async def done(self) -> Facts:  # noqa: PLR0911  a case a kind
        """Return what came of it; where it may be tried again, it is.

        Raises:
            CoordinationError: it failed; a fault is undone by then, or on record as residue.
        """
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
            case ScenarioWork() as work:
                return await self._scenario(work)
            case FaultWork() | ProbeWork() | SnapshotWork() as work:
                return await self._tried(lambda: self._once(work))
            case never:
                assert_never(never)

    async def _once(self, work: FaultWork | ProbeWork | SnapshotWork) -> Facts:
        match work:
            case FaultWork():
                return await self._fault(work)
            case ProbeWork():
                return await self._probe(work)
            case SnapshotWork():
                return await self._snapshot(work)
            case never:
                assert_never(never)

    async def _tried(
        self, act: Callable[[], Awaitable[Facts]], *, earlier: Earlier | None = None
    ) -> Facts:
        return await tried(
            act,
            step=self.step,
            recorder=self.hands.recorder,
            over=self.over,
            again=self._may_be_tried_again,
            earlier=self._earlier() if earlier is None else earlier,
        )

    def _earlier(self, *, begun: bool = False) -> Earlier:
        """Return what another worker has tried before; it may have ``begun`` the next try."""
        state = self._state()
        if not self.resumed or state.retried_at is None:
            return FIRST
        due_at = state.retried_at + delay_before(state.attempts, self.step)
        left = max(timedelta(0), due_at - self.hands.bench.clock.now())
        return Earlier(tries=state.attempts - 1, left=left, begun=begun)

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
            resumed=hands.recorder.resumed,
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

        if work.every is not None or work.times != 1:
            facts = await repeated(
                partial(self._tried, run, earlier=FIRST),
                work,
                clock=self.hands.bench.clock,
                over=self.over,
                forgiving=self.step.on_error is ErrorPolicy.IGNORE,
            )
            # What it counts is only what was done since.
            return {**facts, "begun_anew": True} if self.resumed else facts
        with anyio.CancelScope() as scope:

            async def cut() -> None:
                await self.over.wait()
                scope.cancel()

            return await accompanied(partial(self._tried, run), cut)
        return {"stopped": True}

    async def _probe(self, work: ProbeWork) -> Facts:
        kind = self.hands.catalogue.probes[work.kind]
        parameters = self.hands.vault.reveal(work.parameters)
        reading = kind.open(self.hands.topology, parameters, timeout=self.step.timeout)
        async with reading as probe:
            return await probe.read()

    async def _gate(self, work: GateWork) -> Facts:
        """Wait for its condition; the time in which nobody looked does not count."""
        resumed_at = self.hands.recorder.state.resumed_at if self.resumed else None
        opened = await came_true(
            self.hands.bench,
            work.condition,
            origin=resumed_at or self._state().started_at,
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
            resumed_at=hands.recorder.state.resumed_at,
        )
        self.told.append(CheckJudged(validation=validation))
        return {"finding": validation.finding}

    def _origin(self, check: PlannedCheck) -> datetime:
        """Return when the check's time began: at its step, or at the end of its fault.

        A fault that failed, where that is no matter, ended with its step.
        """
        if check.after_fault is None:
            return self._state().started_at
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

    def _state(self) -> StepState:
        return self.hands.recorder.state.steps[self.step.id]

    async def _scenario(self, work: ScenarioWork) -> Facts:
        """Run it as an execution of its own, or go on with the one that another worker left."""
        hands, state, left = self.hands, self._state(), list[ExecutionId]()
        child = Child(
            children=hands.children, work=work, parent=hands.recorder.state.id, step=self.step.id
        )
        if self.resumed:
            since = state.retried_at or state.started_at
            # Also if this is cancelled: nobody else would stop it.
            with anyio.CancelScope(shield=True):
                found = await hands.children.find(self.step.id, since=since)
                left += [] if found is None else [found]
        if not left:
            await anyio.lowlevel.checkpoint_if_cancelled()

        async def once() -> Facts:
            if not left:
                await hands.hold.sure()
            return await self._verdict(child, left.pop() if left else None)

        return await self._tried(once, earlier=self._earlier(begun=bool(left)))

    async def _verdict(self, child: Child, left: ExecutionId | None) -> Facts:
        began_at = self.hands.bench.clock.now()
        ended = await child.run(self.over, left=left)
        validation = child.judged(
            ended,
            phase=PHASES[self.step.stage],
            began_at=began_at,
            ended_at=self.hands.bench.clock.now(),
        )
        self.told.append(CheckJudged(validation=validation))
        return {"execution": str(ended.id), "verdict": str(ended.verdict)}
