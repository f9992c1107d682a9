"""Do one step, whatever its kind, and record how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.children import ChildFailedError
from test_coordination.application.engine.conditions import GateShutError, is_true
from test_coordination.application.engine.deeds import Deed
from test_coordination.application.engine.hands import Hands
from test_coordination.application.engine.readiness import IF_FALSE, LIFTED
from test_coordination.application.engine.verdict import remarks, stop_reason
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import Outcome, StepEnded, StepStarted
from test_coordination.domain.evidence import Facts
from test_coordination.domain.failures import NOT_PRIVILEGED, TIMED_OUT
from test_coordination.domain.plan import PlannedStep, Stage
from test_coordination.domain.steps import Otherwise
from test_coordination.domain.values import format_duration


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Performance:
    """One step under way: it can be told that its time is over, or be cancelled.

    A fault is undone in both cases, before the step is recorded as ended. While the execution is
    paused it is not begun. ``limit`` ends when its timeout has passed, from when it has begun on,
    or was ``resumed``, which is to go on with what another worker has begun. One that is ``begun``
    is on record as that already.
    """

    step: PlannedStep
    hands: Hands
    resumed: bool = False
    begun: bool = False
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
        step, hands = self.step, self.hands
        deed = Deed(step=step, hands=hands, over=self.over, resumed=self.resumed)
        ended = await self._ended(deed)
        await hands.recorder.record(*deed.told, ended, *remarks(step, ended))

    async def _ended(self, deed: Deed) -> StepEnded:
        """Return how the step ended; its start is recorded unless its condition forbids it."""
        with self.scope:
            if not self.resumed and not self.begun:
                unwanted = await self._bordered(self._asked)
                if unwanted is not None:
                    return unwanted
                await self._held_back()
                await self.hands.recorder.record(StepStarted(step=self.step.id))
            # It may have been paused while its start was recorded.
            if not self.resumed or deed.anew:
                await self._held_back()
            ended = await self._bordered(lambda: self._done(deed))
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
            if isinstance(bug, PermissionError):
                return self._failed(f"the system does not let us: {bug}", NOT_PRIVILEGED)
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

    async def _done(self, deed: Deed) -> StepEnded:
        self.limit.deadline = anyio.current_time() + self.step.timeout.total_seconds()
        with self.limit:
            # What runs as a step is found again also to be stopped.
            if self.step.scenario is None:
                await anyio.lowlevel.checkpoint_if_cancelled()
            return StepEnded(step=self.step.id, outcome=Outcome.DONE, facts=await deed.done())
        assert self.limit.cancelled_caught, "nothing else leaves the block without an end"
        said = format_duration(self.step.timeout)
        return self._failed(f"it was not done within its timeout of {said}", TIMED_OUT)

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


def _first(error: Exception) -> Exception:
    """Return the first of what a group of tasks raised; the group itself says nothing."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
