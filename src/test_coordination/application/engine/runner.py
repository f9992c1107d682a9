"""The loop: ask what is due, do it, record what happened, ask again."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, assert_never

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.checks import Watch
from test_coordination.application.engine.conditions import Tripwire
from test_coordination.application.engine.decide import (
    Begin,
    Cancel,
    Command,
    Conclude,
    Finish,
    Lift,
    Stop,
    decide,
)
from test_coordination.application.engine.hands import Hands
from test_coordination.application.engine.readiness import Skip, Standing
from test_coordination.application.engine.sampler import SampleWriter, sample
from test_coordination.application.engine.steps import Performance
from test_coordination.application.engine.verdict import conclusion, remedy
from test_coordination.application.ports import LiveView
from test_coordination.domain.events import (
    AbortRequested,
    Event,
    Noted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution, IllegalTransitionError, Status
from test_coordination.domain.plan import Plan, Stage
from test_coordination.domain.values import StepId

GUARD: Final = "the coordinator"
"""Who is named where nobody but the coordinator itself stops an execution."""


class Runner:
    """Carries one execution to its end, from its start or from where another worker left it."""

    def __init__(self, plan: Plan, hands: Hands, live: LiveView) -> None:
        self._plan = plan
        self._hands = hands
        self._live = live
        self._recorder = hands.recorder
        self._under_way: dict[StepId, Performance] = {}
        self._watches: list[Watch | Tripwire] | None = None
        self._closed: anyio.Event | None = None
        self._skipped: set[StepId] = set()
        self._still: dict[StepId, float] = {}
        self._failure: Exception | None = None
        self._told = False
        self._foreseen: list[StepId] = []
        hands.recorder.foresee(self._following)

    async def run(self) -> Execution:
        """Return the execution as it ended.

        Every fault is undone by the time this returns or raises, also when it is cancelled, or
        is on record as residue. What goes wrong in one of its tasks is raised as it is.

        Raises:
            LogConflictError: another worker has taken the execution over.
            StoreUnavailableError: the log could not be written any more.
        """
        hold = self._hands.hold
        writer = SampleWriter(hold=hold, evidence=self._hands.evidence, live=self._live)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._guarded, group, writer.run)
                group.start_soon(self._guarded, group, hold.until_lost)
                self._start_probes(group, writer)
                self._resume(group)
                await self._guarded(group, lambda: self._loop(group))
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await writer.flush()
        if self._failure is not None:
            raise self._failure
        await self._tell_loss(writer)
        return self._recorder.state

    def _start_probes(self, group: TaskGroup, writer: SampleWriter) -> None:
        def see(taken: Sample) -> None:
            writer.add(taken)
            self._hands.bench.observations.add(taken)

        for probe in self._plan.probes:
            looking = partial(sample, probe, self._hands.probing, see)
            group.start_soon(self._guarded, group, looking)

    def _resume(self, group: TaskGroup) -> None:
        """Go on with the steps that another worker has begun."""
        for step in Standing.of(self._plan, self._recorder.state).running():
            if step.id not in self._foreseen:
                self._launch(Performance(step=step, hands=self._hands, resumed=True), group)

    def _following(self, after: Execution) -> Sequence[Event]:
        """Return what follows at once when an execution stands so: steps begin, or it ends.

        What hangs on a condition is left to be found out when its turn has come.
        """
        if after.status is not Status.RUNNING:
            return ()
        commands = decide(self._plan, after, self._hands.bench.clock.now()).commands
        if commands == (Conclude(),):
            return self._end(after)
        begun = [
            command.step
            for command in commands
            if isinstance(command, Begin)
            and command.step not in self._under_way
            and self._plan.step(command.step).condition is None
        ]
        self._foreseen += begun
        return [StepStarted(step=step) for step in begun]

    def _end(self, after: Execution) -> Sequence[Event]:
        """Return what ends an execution that stands so, unless something is left to be done."""
        watched = self._plan.watched or self._plan.stop_when
        early = any(step not in after.steps for step in self._under_way)
        if watched or early or remedy(self._plan, after) is not None:
            return ()
        return conclusion(self._plan, after)

    def _join(self, group: TaskGroup) -> None:
        """Do the steps whose begin was foreseen, and is durable by now."""
        for step in [step for step in self._foreseen if step in self._recorder.state.steps]:
            self._foreseen.remove(step)
            begun = Performance(step=self._plan.step(step), hands=self._hands, begun=True)
            self._launch(begun, group)

    async def _guarded(self, group: TaskGroup, act: Callable[[], Awaitable[None]]) -> None:
        """Do ``act``; if it fails, end everything else, which undoes the faults."""
        try:
            await act()
        except Exception as error:  # noqa: BLE001  `run` raises it: a task group would wrap it
            self._failure = self._failure or error
            self._recorder.foresee(None)
            group.cancel_scope.cancel()

    async def _loop(self, group: TaskGroup) -> None:
        # While a fault may be in force nothing here waits for the log: it may be slow, or away.
        while (state := self._recorder.wanted).status is not Status.FINISHED:
            self._join(group)
            now = self._hands.bench.clock.now()
            decision = decide(self._plan, state, now)
            self._stand_still(on=state.pause is not None)
            for command in decision.commands:
                await self._carry_out(command, group)
            self._watch(group, on=decision.watching)
            self._tell_trouble(group)
            limit = decision.wake_at - now if decision.wake_at else None
            await self._recorder.news(state, limit=limit)

    async def _carry_out(self, command: Command, group: TaskGroup) -> None:
        match command:
            case Begin(step=step):
                self._begin(step, group)
            case Finish(step=step):
                self._under_way[step].over.set()
            case Cancel(step=step):
                self._under_way[step].cancel()
                self._hold_back()
            case Lift(step=step):
                self._under_way[step].cancel()
            case Stop(reason=reason):
                self._stop(reason, group)
            case Skip(step=step, reason=reason, code=code):
                skipped = StepEnded(step=step, outcome=Outcome.SKIPPED, error=reason, code=code)
                if step not in self._skipped:
                    self._skipped.add(step)
                    self._note(skipped, group)
            case Conclude():
                # A step that was begun and is not in the log would write to it after its end.
                if not self._hold_back():
                    await self._conclude(group)
            case _:
                assert_never(command)

    async def _conclude(self, group: TaskGroup) -> None:
        """End the log, unless something is left to be done about what went wrong.

        What the watches find while they end may be another reason to stop, and so may be what is
        not durable yet: it is decided anew.
        """
        state = self._recorder.state
        self._end_watch(group)
        if self._closed is not None:
            await self._closed.wait()
        if self._recorder.wanted is not state:
            return
        left = remedy(self._plan, state)
        if left is not None:
            self._begin(left, group)
        else:
            await self._recorder.record(*conclusion(self._plan, state))

    def _begin(self, step: StepId, group: TaskGroup) -> None:
        if step not in self._under_way and step not in self._foreseen:
            self._launch(Performance(step=self._plan.step(step), hands=self._hands), group)

    def _launch(self, performance: Performance, group: TaskGroup) -> None:
        self._under_way[performance.step.id] = performance
        group.start_soon(self._guarded, group, performance.run)

    def _hold_back(self) -> bool:
        """Cancel the steps whose start is not in the log yet; tell whether there are any.

        Those of on_failure are left alone: they come when all else is over.
        """
        known = self._recorder.state.steps
        early = [
            begun
            for step, begun in self._under_way.items()
            if step not in known and begun.step.stage is not Stage.FAILURE
        ]
        for performance in early:
            performance.cancel()
        return bool(early)

    def _stop(self, reason: str, group: TaskGroup) -> None:
        """Have the execution stopped, at once, and put on record why."""
        wish = AbortRequested(reason=reason, by=GUARD)
        self._recorder.wish(wish)

        async def ask() -> None:
            with suppress(IllegalTransitionError):  # its end was being written already
                await self._recorder.record(wish)

        group.start_soon(self._guarded, group, ask)

    def _stand_still(self, *, on: bool) -> None:
        """Let no timeout of a step run while the execution is paused."""
        now = anyio.current_time()
        if on:
            for step, begun in self._under_way.items():
                if step not in self._still and begun.limit.deadline < math.inf:
                    self._still[step] = begun.limit.deadline - now
                    begun.limit.deadline = math.inf
        else:
            for step, left_s in self._still.items():
                self._under_way[step].limit.deadline = now + left_s
            self._still.clear()

    def _watch(self, group: TaskGroup, *, on: bool) -> None:
        """Watch the steady state, and what would stop it, from the first step to the last."""
        if on and self._watches is None:
            bench = self._hands.bench
            steady = [Watch(bench, check, self._recorder) for check in self._plan.watched]
            wires = [Tripwire(bench, rule, self._recorder) for rule in self._plan.stop_when]
            self._watches = [*steady, *wires]
            for watch in self._watches:
                group.start_soon(self._guarded, group, watch.look)
            for watch in steady:
                group.start_soon(self._guarded, group, watch.tell)
        elif not on:
            self._end_watch(group)

    def _end_watch(self, group: TaskGroup) -> None:
        """End what watches; `_closed` tells when all that it found is on record."""
        if not self._watches:
            return
        watches, self._watches = self._watches, []
        closed = self._closed = anyio.Event()

        async def close() -> None:
            for watch in watches:
                await watch.conclude()
            closed.set()

        group.start_soon(self._guarded, group, close)

    def _tell_trouble(self, group: TaskGroup) -> None:
        trouble = self._live.trouble()
        if trouble and not self._told:
            self._told = True
            if trouble not in self._recorder.state.notes:  # a worker before may have said so
                self._note(Noted(text=trouble), group)

    def _note(self, event: Event, group: TaskGroup) -> None:
        """Record ``event`` without waiting for it."""
        group.start_soon(self._guarded, group, partial(self._recorder.record, event))

    async def _tell_loss(self, writer: SampleWriter) -> None:
        """Note how many samples nobody will find; without a store that is not known either."""
        if writer.lost:
            text = f"{writer.lost} samples are lost: they could not be stored in time"
            with suppress(*LOST):
                await self._recorder.record(Noted(text=text))
