"""What ran as a step is stopped, also where the store is away for a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import anyio
import pytest

from support.engine_stores import ShakyLog
from support.virtual_time import virtual
from test_coordination.application.gathering import Loaded
from test_coordination.application.holders import HeldElsewhereError
from test_coordination.application.offspring import Offspring
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import ScenarioWork
from test_coordination.domain.values import ExecutionId, StepId, WorkerId

PARENT, CHILD = (ExecutionId(UUID(int=number)) for number in (1, 2))


@dataclass(slots=True)
class Busy:
    """Who carries out executions: its store is away until one second, another has it until two."""

    back_s: float = 1.0
    stopped: list[tuple[float, ExecutionId]] = field(default_factory=list)

    async def start_child(
        self, loaded: Loaded, work: ScenarioWork, *, parent: ExecutionId, step: StepId
    ) -> ExecutionId:
        raise NotImplementedError

    async def bring_in(self, execution: ExecutionId) -> None:
        await anyio.sleep(0.1)
        if anyio.current_time() < self.back_s:
            raise StoreUnavailableError(store="the store", doing="looking")
        if anyio.current_time() < self.back_s + 1:
            raise HeldElsewhereError(execution=execution, worker=WorkerId(UUID(int=3)))

    async def carried_on(self, execution: ExecutionId) -> Execution:
        raise NotImplementedError

    async def abort(self, execution: ExecutionId, *, reason: str, by: str) -> None:
        assert (reason, by) == ("enough", "the execution that began it")
        self.stopped.append((anyio.current_time(), execution))

    async def let_go(self, execution: ExecutionId) -> None:
        raise NotImplementedError

    def is_leaving(self, execution: ExecutionId) -> bool:
        assert execution == PARENT
        return False


def offspring(carrier: Busy) -> Offspring:
    return Offspring(carrier=carrier, log=ShakyLog(), parent=PARENT, members={})


@virtual
async def test_a_stop_is_not_dropped_because_the_store_was_away_for_a_moment() -> None:
    carrier = Busy()

    await offspring(carrier).abort(CHILD, reason="enough")

    ((stopped_s, execution),) = carrier.stopped
    assert execution == CHILD
    assert stopped_s == pytest.approx(2.4, abs=0.5)


@virtual
async def test_a_store_that_stays_away_is_told() -> None:
    carrier = Busy(back_s=100)

    with pytest.raises(StoreUnavailableError, match="stopping execution"):
        await offspring(carrier).abort(CHILD, reason="enough")

    assert carrier.stopped == []
