"""The links of every system that this program slows: one client a control socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.errors import LinksUnreachableError
from test_coordination.adapters.links.values import Direction
from test_coordination.application.capabilities import LinkDelay, TargetFailedError
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.evidence import Facts

_CONNECT_S_MAX: Final = 2.0


class LinkKeeper:
    """A `LinkControl` of the capabilities; its clients stay connected as long as it is lent.

    The connection is what keeps a fault in force, so there is one for all faults of a system.
    """

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._clients: dict[str, LinkControl] = {}
        self._opening = anyio.Lock()

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
        async with self._opening:
            if control not in self._clients:
                client = await self._stack.enter_async_context(LinkControl(Path(control)))
                self._clients[control] = client
        return self._clients[control]


async def _answers(control: Path) -> bool:
    """Tell whether a living process listens at ``control``."""
    try:
        with anyio.fail_after(_CONNECT_S_MAX):
            stream = await anyio.connect_unix(str(control))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except (OSError, TimeoutError):
        return True
    await stream.aclose()
    return True


@asynccontextmanager
async def open_links() -> AsyncGenerator[LinkKeeper]:
    """Lend the control of links; all that was added through it ends with it."""
    async with AsyncExitStack() as stack:
        yield LinkKeeper(stack)
