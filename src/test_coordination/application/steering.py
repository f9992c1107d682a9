"""The part of the domain API that stops, pauses and resumes what runs, wherever it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from test_coordination.application.controls import Hearing
from test_coordination.application.wishes import Desire
from test_coordination.application.work import Work
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.values import ExecutionId


@dataclass(eq=False, kw_only=True)
class UnheardError(CoordinationError):
    """A wish could not be kept, and no worker has said that it acts on it."""

    code: ClassVar[str] = "control.unheard"

    hearing: Hearing

    def __str__(self) -> str:
        wish = self.hearing.wish
        troubles = "; ".join(self.hearing.troubles)
        return (
            f"no worker has said that it will {wish.desire} execution {wish.execution}, and the "
            f"wish could not be kept for those that come later ({troubles}); try again"
        )


class Steering:
    """Stops, pauses and resumes executions of any process on any machine."""

    work: Work

    async def abort_execution(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        """Stop an execution, whoever runs it; every fault is undone, newest first.

        Of one that this process runs the undo begins at once, and this returns when the wish is
        durable. Otherwise it returns when the worker that runs it has said that it acts, or when
        the wish is kept for whoever takes it. Stopping what has ended already does nothing.

        Raises:
            NotFoundError: no execution has that identity.
            StoreUnavailableError: the wish could not be recorded; an execution that this process
                runs is stopped and its faults are being undone all the same.
            UnheardError: it is not known whether anybody will go by the wish.
        """
        if self.work.executions.has(execution):
            await self.work.executions.abort(execution, reason=reason, by=by)
            return
        _certain(await self.work.controls.wish(Desire.ABORT, execution, reason=reason, by=by))

    async def pause_execution(
        self, execution: ExecutionId, *, reason: str, by: str, undo: bool = False
    ) -> Hearing:
        """Have nothing further begun in an execution and in those that are its steps.

        What is under way goes on to its end, and faults are held on as long as they would be;
        with ``undo`` they are ended, newest first, and the verdict cannot be that all held. No
        timeout runs meanwhile. Pausing what is paused changes nothing.

        Raises:
            NotFoundError: no execution has that identity.
            StoreUnavailableError: nobody could be told.
            UnheardError: it is not known whether anybody will go by the wish.
        """
        wish = self.work.controls.wish
        return _certain(await wish(Desire.PAUSE, execution, reason=reason, by=by, undo=undo))

    async def resume_execution(self, execution: ExecutionId, *, reason: str, by: str) -> Hearing:
        """Let a paused execution, and those that are its steps, go on; see `pause_execution`.

        Faults that the pause has ended are not injected again.
        """
        wish = self.work.controls.wish
        return _certain(await wish(Desire.RESUME, execution, reason=reason, by=by))

    async def stop_all(self, *, reason: str, by: str) -> Hearing:
        """Stop every execution that there is, whoever runs it, and every suite.

        Those that wait in the queue are ended without having begun. What is ordered later is not
        concerned. What is returned tells which workers have answered.

        Raises:
            StoreUnavailableError: nobody could be told but this process.
        """
        return await self.work.controls.wish(Desire.ABORT, reason=reason, by=by)


def _certain(hearing: Hearing) -> Hearing:
    """Return ``hearing``; a wish for one execution that nobody may go by is refused.

    Raises:
        UnheardError: it is not kept, and nobody has answered.
    """
    if not hearing.kept and hearing.wish.execution not in hearing.heard:
        raise UnheardError(hearing=hearing)
    return hearing
