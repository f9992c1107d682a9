"""One execution under way in this process: let in, begun or carried on, ended or let go of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio

from test_coordination.application.engine.attempts import LOST
from test_coordination.application.engine.continuing import HANDOVERS_MAX, settled
from test_coordination.application.engine.hands import Hands
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.engine.runner import Runner
from test_coordination.application.engine.takeover import Cleaning
from test_coordination.application.engine.verdict import conclusion
from test_coordination.application.equipment import hide, recall
from test_coordination.application.fleet import NOBODY
from test_coordination.application.heeding import recalled
from test_coordination.application.holders import LetGoError
from test_coordination.application.lobby import Lobby
from test_coordination.application.ports import ExecutionRecord
from test_coordination.application.world import World
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import (
    AbortRequested,
    Event,
    ExecutionReleased,
    ExecutionStarted,
    ExecutionTakenOver,
    Noted,
    StepEnded,
)
from test_coordination.domain.execution import (
    Execution,
    FaultStatus,
    IllegalTransitionError,
    Status,
)

_TRIED: Final = FaultStatus.REVERT_FAILED


@dataclass(slots=True, eq=False, kw_only=True)
class Run:
    """An execution that this worker has.

    Cancelling whoever began it does not reach it: it is told to stop, so that it can write how
    it ended, or it is let go of. Only where it cannot even be told, its ``scope`` is cancelled.
    ``failure`` says why nothing more is known of it here.
    """

    world: World
    record: ExecutionRecord
    hands: Hands
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=partial(anyio.CancelScope, shield=True))
    failure: Exception | None = None
    leaving: str = ""

    @property
    def recorder(self) -> Recorder:
        """Return its pen."""
        return self.hands.recorder

    @property
    def state(self) -> Execution:
        """Return it as it stands."""
        return self.hands.recorder.state

    async def carry_out(self, lobby: Lobby, *, why: str) -> None:
        """Bring it to its end; what keeps it from that is kept as its ``failure``.

        One that has begun is carried on, and ``why`` says why its worker does not do that.
        """
        try:
            with self.scope:
                runner = Runner(self.record.plan, self.hands, self.world.stores.live)
                await self._begin(lobby, why)
                if self.state.status is Status.RUNNING:
                    await runner.run()
            if self.leaving and self.state.status is not Status.FINISHED:
                await self._release()
        except Exception as error:  # noqa: BLE001  a border: its failure must not end the executions beside it
            self.failure = self.failure or self.hands.vault.conceal_error(error)
            if self.record.detached and not isinstance(error, LOST):
                await self._break_off()
        finally:
            self.ended.set()

    async def abort(self, wish: AbortRequested) -> None:
        """Stop it; return when the wish is durable.

        Raises:
            LogConflictError: another worker has it; its faults are being undone.
            StoreUnavailableError: the wish could not be recorded; it is stopped all the same.
        """
        self.recorder.wish(wish)
        try:
            await self.recorder.record(wish)
        except IllegalTransitionError:
            return  # it has ended while the wish waited for its turn
        except LOST as error:
            self.failure = self.failure or error
            self.scope.cancel()
            raise

    async def let_go(self, reason: str) -> None:
        """Undo its faults and leave it to another worker, unless it has ended before."""
        self.leaving = self.leaving or reason
        self.recorder.foresee(None)
        self.scope.cancel()
        await self.ended.wait()

    async def result(self) -> Execution:
        """Return it as it ended.

        Raises:
            Exception: its ``failure``.
        """
        await self.ended.wait()
        if self.failure is not None:
            raise self.failure
        return self.state

    async def _begin(self, lobby: Lobby, why: str) -> None:
        if self.state.handovers >= HANDOVERS_MAX:
            await self._cleaning.end(self.record, by=self.record.worker, why=why)
            return
        if self.record.detached:
            await recalled(self, self.world.wishes.kept)
        if self.state.status is Status.RUNNING:
            await self._carry_on(why)
            return
        if self.record.parent is None and not self.record.detached:
            await self._wait_in(lobby)
        if self.recorder.wanted.abort is None:
            await self.recorder.record(ExecutionStarted(worker=self.record.worker))
            return
        # A stop takes it out of the queue as soon as it is durable, which is not known here yet.
        while (seen := self.state).abort is None:  # pragma: no branch  (a slow store)
            await self.recorder.change(seen, limit=None)
        await self.recorder.record(*conclusion(self.record.plan, self.state))

    async def _wait_in(self, lobby: Lobby) -> None:
        """Return when it has been let in, or is stopped before."""
        async with anyio.create_task_group() as group:

            async def stopped() -> None:
                while (seen := self.recorder.state).abort is None:
                    await self.recorder.change(seen, limit=None)
                group.cancel_scope.cancel()

            group.start_soon(stopped)
            await lobby.let_in(self.record.id)
            group.cancel_scope.cancel()

    @property
    def _cleaning(self) -> Cleaning:
        hands = self.hands
        return Cleaning(
            faults=hands.catalogue.faults,
            recorder=self.recorder,
            vault=hands.vault,
            hold=hands.hold,
        )

    async def _carry_on(self, why: str) -> None:
        """Undo what the worker before left in force, and settle which of its steps go on."""
        plan, hands = self.record.plan, self.hands
        hide(hands)
        taken = ExecutionTakenOver(worker=self.record.worker, reason=why, continues=True)
        await self.recorder.record(taken)
        left = [fault.step for fault in self.state.outstanding]
        with anyio.CancelScope(shield=True):
            await self._cleaning.undo_left()
        await recall(hands)
        events = settled(plan, self.state, repeatable=hands.catalogue.repeatable)
        await self.recorder.record(*events, Noted(text=self._account(why, left, events)))

    def _account(self, why: str, left: Sequence[str], events: Sequence[Event]) -> str:
        """Return who carries it on, why, and what becomes of what the worker before was at."""
        ended = [event.step for event in events if isinstance(event, StepEnded)]
        running = [step for step, state in self.state.steps.items() if state.outcome is None]
        going = [step for step in running if step not in ended]
        parts = [("undone", left), ("ended", ended), ("going on with", going)]
        said = "".join(f"; {what} {', '.join(map(repr, steps))}" for what, steps in parts if steps)
        return f"worker {self.record.worker} carries it on, as {why}{said}"

    async def _break_off(self) -> None:
        """Leave it to another worker, and say what keeps this one from carrying it out."""
        failure = self.failure
        ours = not isinstance(failure, CoordinationError)
        bug = f"a bug of ours: {type(failure).__name__}: " if ours else ""
        self.leaving = f"given back by worker {self.record.worker}: {bug}{failure}"
        await self._release(refused=self.state.status is Status.PENDING)
        self.failure = failure

    async def _release(self, *, refused: bool = False) -> None:
        """Say that it is for another worker; where that cannot be said the next sweep does."""
        with anyio.CancelScope(shield=True), suppress(*LOST):
            if refused or self.state.status is Status.RUNNING:
                released = ExecutionReleased(reason=self.leaving, refused=refused)
                await self.recorder.record(released)
                # Told to end before it could, it has not undone what the worker before left.
                if any(fault.status is not _TRIED for fault in self.state.outstanding):
                    await self._cleaning.undo_left()
            record = self.record
            workers = self.world.workers
            await workers.claim(record.id, by=NOBODY, epoch=record.epoch, from_living=True)
        self.failure = LetGoError(execution=self.record.id, reason=self.leaving)
