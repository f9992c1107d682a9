"""The port of links on the client of links, as the composition root makes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import TaskGroup, TaskStatus

from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.errors import LinksUnreachableError
from test_coordination.adapters.links.values import Direction
from test_coordination.application.capabilities import LinkDelay, TargetFailedError
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Facts


class Links:
    """One client for each control socket, kept open as long as this is."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._clients: dict[str, LinkControl] = {}

    async def delay(self, control: str, link: str, *, fault: str, latency: LinkDelay) -> Facts:
        client = await self._client(control)
        try:
            await client.add_latency(
                link,
                fault,
                delay=latency.delay,
                jitter=latency.jitter,
                direction=Direction(latency.direction),
                toxicity=latency.share,
            )
            return {"connections_open": (await client.describe())[link].connections_open}
        except CoordinationError as error:
            raise TargetFailedError(service=link, doing="slowed", cause=str(error)) from error

    async def clear(self, control: str, link: str, *, fault: str) -> Facts:
        client = await self._client(control)
        try:
            await client.remove(link, fault)
            state = (await client.describe())[link]
        except LinksUnreachableError as error:
            if not Path(control).exists():
                return {"running": False}
            raise TargetFailedError(service=link, doing="cleared", cause=str(error)) from error
        assert fault not in {one.fault for one in state.faults}
        return {"connections_open": state.connections_open}

    async def _client(self, control: str) -> LinkControl:
        if control not in self._clients:
            self._clients[control] = await self._tasks.start(_keep_open, Path(control))
        return self._clients[control]


async def _keep_open(control: Path, *, task_status: TaskStatus[LinkControl]) -> None:
    # A client is a context with tasks: it ends in the task in which it began, and a step's task
    # is over long before the fault is.
    async with LinkControl(control) as client:
        task_status.started(client)
        await anyio.sleep_forever()


@asynccontextmanager
async def open_links() -> AsyncGenerator[Links]:
    async with anyio.create_task_group() as tasks:
        yield Links(tasks)
        tasks.cancel_scope.cancel()
