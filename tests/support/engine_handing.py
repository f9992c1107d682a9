"""Detached executions, and workers that take them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import anyio

from support.engine_fakes import NumberedIdentities
from support.engine_lab import Lab
from support.engine_lease import firm
from test_coordination.application.engine.recorder import Recorder
from test_coordination.application.executions import Executions, Order
from test_coordination.application.scenarios import Scenarios
from test_coordination.domain.events import Event, ExecutionStarted
from test_coordination.domain.execution import Execution
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ExecutionId, WorkerId

DETACHED = Order(requested_by="ann", detached=True)
NOTHING: Mapping[str, object] = {}
GONE = WorkerId(NumberedIdentities(900).new())
"""A worker that is not there any more."""


@dataclass(slots=True)
class Hand:
    """One worker, which never falls silent while it lives, and what it has."""

    lab: Lab
    executions: Executions
    name: WorkerId

    async def order(
        self, text: str, order: Order = DETACHED, *, given: Mapping[str, object] = NOTHING
    ) -> ExecutionId:
        """Store the scenario in ``text`` and order it."""
        scenarios = Scenarios(world=self.lab.world())
        stored = await scenarios.create(text, file="a.yaml", expected=DocumentKind.SCENARIO)
        return await self.executions.start(stored, given, order=order)


async def left(lab: Lab, execution: ExecutionId, *events: Event) -> None:
    """Let `GONE` have begun an execution, done ``events``, and be gone."""
    record = await lab.log.get(execution)
    epoch = await lab.workers.claim(execution, by=GONE, epoch=record.epoch)
    assert epoch is not None
    claimed = replace(record, worker=GONE, epoch=epoch)
    recorder = Recorder(lab.world().stores, claimed, Execution(id=execution))
    await recorder.record(ExecutionStarted(worker=GONE), *events)


@asynccontextmanager
async def hand(lab: Lab, number: int = 801) -> AsyncGenerator[Hand]:
    """Lend a worker; what it has not ended when it is given back is broken off."""
    name = WorkerId(NumberedIdentities(number).new())
    async with anyio.create_task_group() as group:
        executions = Executions(lab.world(), group, firm(lab.workers, name))
        group.start_soon(executions.lobby.run)
        yield Hand(lab, executions, name)
        group.cancel_scope.cancel()


async def taken(worker: Hand, execution: ExecutionId, found: list[object]) -> None:
    """Keep in ``found`` how an execution ends that ``worker`` takes, or why that is not known."""
    try:
        found.append(await worker.executions.take(execution))
    except Exception as error:  # noqa: BLE001  that is what is asked for
        found.append(error)
