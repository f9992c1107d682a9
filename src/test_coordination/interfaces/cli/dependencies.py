"""Tell of the scenarios that are run first, because another one depends on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, ScenarioId
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.progress import VERDICT_COLOURS

LOOK_EVERY_S: Final = 0.5
RECENT: Final = 50


@asynccontextmanager
async def telling_of_dependencies(
    coordinator: Coordinator, scenario: ScenarioId, *, wanted: bool
) -> AsyncIterator[None]:
    """Print a line when an execution begins and ends that the body runs before ``scenario``."""
    if not wanted:
        yield
        return
    before = {record.id for record in await coordinator.list_executions(limit=RECENT)}
    told = _Told(coordinator, before, scenario)
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(told.keep_telling)
        try:
            yield
        except Exception as error:  # noqa: BLE001  carried past the group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    await told.tell(ended_only=True)
    if failure is not None:
        raise failure


class _Told:
    def __init__(
        self, coordinator: Coordinator, before: set[ExecutionId], main: ScenarioId
    ) -> None:
        self._coordinator = coordinator
        self._before = before
        self._main = main
        self._begun: set[ExecutionId] = set()
        self._ended: set[ExecutionId] = set()

    async def keep_telling(self) -> None:
        while True:
            with suppress(StoreUnavailableError):  # what is run meanwhile tells of that
                await self.tell()
            await anyio.sleep(LOOK_EVERY_S)

    async def tell(self, *, ended_only: bool = False) -> None:
        for record in reversed(await self._coordinator.list_executions(limit=RECENT)):
            if record.id in self._before or record.scenario == self._main:
                continue
            if record.id not in self._begun and not ended_only:
                self._begun.add(record.id)
                click.echo(f"run first: {record.scenario_name}")
            if record.verdict is not None and record.id in self._begun - self._ended:
                self._ended.add(record.id)
                click.echo(f"run first: {record.scenario_name} {_word(record.verdict)}")


def _word(verdict: Verdict) -> str:
    return click.style(verdict.replace("_", " "), fg=VERDICT_COLOURS.get(verdict, "red"))
