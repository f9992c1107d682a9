"""The executions that are steps of one, begun, found again, followed and stopped by its worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

import anyio

from test_coordination.application.engine.patience import patiently
from test_coordination.application.gathering import Loaded
from test_coordination.application.holders import HeldElsewhereError, LetGoError
from test_coordination.application.ports import ExecutionLog
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import ScenarioWork
from test_coordination.domain.values import ExecutionId, StepId

_LOOK_AGAIN: Final = timedelta(milliseconds=500)

_Found = TypeVar("_Found")


class Carrier(Protocol):
    """Whoever carries out the executions of this worker."""

    async def start_child(
        self, loaded: Loaded, work: ScenarioWork, *, parent: ExecutionId, step: StepId
    ) -> ExecutionId:
        """See `Executions.start_child`."""
        ...

    async def bring_in(self, execution: ExecutionId) -> None:
        """See `Executions.bring_in`."""
        ...

    async def carried_on(self, execution: ExecutionId) -> Execution:
        """See `Executions.carried_on`."""
        ...

    async def abort(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        """See `Executions.abort`."""
        ...

    async def let_go(self, execution: ExecutionId) -> None:
        """See `Executions.let_go`."""
        ...

    def is_leaving(self, execution: ExecutionId) -> bool:
        """See `Executions.is_leaving`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Offspring:
    """The `Children` of one execution.

    ``members`` are the scenarios that they run, as they were when what runs them was stored.
    """

    carrier: Carrier
    log: ExecutionLog
    parent: ExecutionId
    members: Mapping[str, Loaded]

    async def start(self, work: ScenarioWork, *, step: StepId) -> ExecutionId:
        """See `Children.start`."""
        loaded = self.members[work.scenario]
        return await self.carrier.start_child(loaded, work, parent=self.parent, step=step)

    async def find(self, step: StepId, *, since: datetime) -> ExecutionId | None:
        """See `Children.find`."""
        read = partial(self.log.children, self.parent)
        records = await patiently(read, doing=f"looking for steps of execution {self.parent}")
        own = [record for record in records if record.parent_step == step]
        if not own or (own[-1].status is Status.FINISHED and own[-1].requested_at < since):
            return None
        return own[-1].id

    async def result(self, execution: ExecutionId) -> Execution:
        """See `Children.result`; one whose worker is gone is carried on here.

        Raises:
            LetGoError: this worker lets go of it, and of what it is a step of.
            CoordinationError: its end will not be known here; its faults are undone.
        """
        if self.carrier.is_leaving(self.parent):
            raise LetGoError(execution=execution, reason="what it is a step of is left, too")
        return await _once_free(partial(self.carrier.carried_on, execution))

    async def abort(self, execution: ExecutionId, *, reason: str) -> None:
        """See `Children.abort`; it is let go of if what runs it is.

        A store that is away is waited for, ``STORE_PATIENCE`` at most, to find out who has it.
        """
        if self.carrier.is_leaving(self.parent):
            await self.carrier.let_go(execution)
            return
        by = "the execution that began it"
        doing = f"stopping execution {execution}, a step of another"
        bring_in = partial(self.carrier.bring_in, execution)
        await _once_free(partial(patiently, bring_in, doing=doing))
        await self.carrier.abort(execution, reason=reason, by=by)


async def _once_free(act: Callable[[], Awaitable[_Found]]) -> _Found:
    """Return what ``act`` returns once no other worker is in its way."""
    while True:
        try:
            return await act()
        except HeldElsewhereError:
            await anyio.sleep(_LOOK_AGAIN.total_seconds())
