"""The links of every system that this program slows: one client a control socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.errors import LinksUnreachableError
from test_coordination.adapters.links.lines import Lines
from test_coordination.adapters.links.values import Direction
from test_coordination.application.capabilities import LinkDelay, TargetFailedError
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Facts

_CONNECT_S_MAX: Final = 2.0


class LinkKeeper:
    """A `LinkControl` of the capabilities; its clients stay connected as long as it is lent.

    The connection is what keeps a fault in force, so there is one for all faults of a system.
    """

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self._clients: dict[str, LinkControl] = {}
        self._opening = anyio.Lock()

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[LinkKeeper]:
        """Be of use for as long as the body runs; all that was added ends with it."""
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield self
            except Exception as error:  # noqa: BLE001  the caller's own: a task group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        self._tasks = None
        self._clients.clear()
        if failure is not None:
            raise failure

    async def delay(self, control: str, link: str, *, fault: str, latency: LinkDelay) -> Facts:
        """See `LinkControl.delay`."""
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
        """See `LinkControl.clear`; where no proxy runs, nothing is slowed."""
        client = await self._client(control)
        try:
            await client.remove(link, fault)
            return {"connections_open": (await client.describe())[link].connections_open}
        except LinksUnreachableError as error:
            if not await _answers(Path(control)):
                return {"proxy": "not running"}
            raise TargetFailedError(service=link, doing="cleared", cause=str(error)) from error
        except CoordinationError as error:
            raise TargetFailedError(service=link, doing="cleared", cause=str(error)) from error

    async def _client(self, control: str) -> LinkControl:
        assert self._tasks is not None, "it is opened before anything is done with it"
        async with self._opening:
            if control not in self._clients:
                self._clients[control] = await self._tasks.start(_keep_open, Path(control))
        return self._clients[control]


async def _keep_open(control: Path, *, task_status: TaskStatus[LinkControl]) -> None:
    # A client must end in the task in which it began, and the task of the step that slows a link
    # may be over long before the fault is.
    async with LinkControl(control) as client:
        task_status.started(client)
        await anyio.sleep_forever()


async def _answers(control: Path) -> bool:
    """Tell whether a living process listens at ``control``."""
    try:
        with anyio.fail_after(_CONNECT_S_MAX):
            lines = await Lines.connect(control)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except (OSError, TimeoutError):
        return True
    lines.close()
    return True
