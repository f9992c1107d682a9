"""The process that carries links, and the control socket by which it is told to slow them."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskStatus

from test_coordination.adapters.links.control import Conversation
from test_coordination.adapters.links.errors import CannotListenError, InvalidLinkError
from test_coordination.adapters.links.leases import Leases
from test_coordination.adapters.links.proxy import listen, open_link
from test_coordination.adapters.links.values import LinkSpec, LinkState

PROBE_S_MAX: Final = 1


async def serve_links(
    links: Sequence[LinkSpec],
    *,
    control: Path,
    chance: random.Random,
    task_status: TaskStatus[Sequence[LinkState]] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Carry ``links`` until cancelled, and obey what is asked on the socket ``control``.

    All listeners are open before the first byte is carried, or none is; ``task_status`` then
    tells the links with the ports that they were given. A fault ends with the control
    connection that added it, so none outlives its coordinator. The socket is ours alone (0600,
    in a directory made with 0700 if there was none) and is gone at the end.

    Raises:
        CannotListenError: an address is taken, or the control socket has a living owner.
        InvalidLinkError: two links have the same name.
    """
    for name in {spec.name for spec in links}:
        if sum(spec.name == name for spec in links) > 1:
            raise InvalidLinkError(link=name, reason="two links have this name")
    with ExitStack() as sockets:
        # Before the task group begins, so that a refusal is no group of errors.
        listeners = [(spec, sockets.enter_context(listen(spec))) for spec in links]
        raw_control = sockets.enter_context(_control_socket(control))
        async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
            opened = {
                spec.name: await stack.enter_async_context(
                    open_link(spec, tasks=tasks, chance=chance, listener=listener)
                )
                for spec, listener in listeners
            }
            leases = Leases(opened)
            owners = count(1)
            conversations: set[Conversation] = set()
            server = await asyncio.get_running_loop().create_unix_server(
                lambda: Conversation(leases=leases, owner=next(owners), present=conversations),
                sock=raw_control,
            )
            stack.callback(_hang_up, conversations)
            stack.callback(server.close)
            task_status.started(leases.states())
            await leases.expire()


def _hang_up(conversations: set[Conversation]) -> None:
    for conversation in tuple(conversations):
        conversation.close()


@contextmanager
def _control_socket(control: Path) -> Generator[socket.socket]:
    """Lend a listening socket at ``control``; a file that a dead process left there goes."""
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with raw:
        try:
            control.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _clear_away(control)
            # The mode must be right from the first moment: a chmod later would leave a gap.
            before = os.umask(0o177)
            try:
                raw.bind(str(control))
            finally:
                os.umask(before)
            raw.listen()
        except OSError as error:
            raise CannotListenError(
                what="the control socket",
                address=str(control),
                cause=error.strerror or str(error),
            ) from error
        raw.setblocking(False)  # noqa: FBT003 - the standard library's way
        try:
            yield raw
        finally:
            control.unlink(missing_ok=True)


def _clear_away(control: Path) -> None:
    """Remove a socket that nobody listens on.

    Raises:
        OSError: somebody does, or what is there is no socket.
    """
    if not control.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S_MAX)
        if probe.connect_ex(str(control)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, "another process is in control there")
    control.unlink()
