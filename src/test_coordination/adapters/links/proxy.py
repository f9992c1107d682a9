"""A TCP link that can be made slow while connections live, and fast again at once."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from test_coordination.adapters.links.errors import CannotListenError
from test_coordination.adapters.links.pipe import HELD_BYTES_MAX, End, Flow, Toxic
from test_coordination.adapters.links.values import (
    Direction,
    FaultState,
    Latency,
    LinkSpec,
    LinkState,
)

BACKLOG: Final = 512
DIAL_S_MAX: Final = 30


class _Connection:
    """A client, its upstream, and the two pipes between them."""

    __slots__ = ("client", "upstream")

    def __init__(
        self,
        *,
        up: Flow,
        down: Flow,
        held_bytes_max: int,
        on_made: Callable[[_Connection], None],
        on_lost: Callable[[_Connection], None],
    ) -> None:
        lost = partial(on_lost, self)
        self.client = End(
            flow=up, held_bytes_max=held_bytes_max, on_made=partial(on_made, self), on_lost=lost
        )
        self.upstream = End(flow=down, held_bytes_max=held_bytes_max, on_lost=lost)
        self.client.peer, self.upstream.peer = self.upstream, self.client

    @property
    def over(self) -> bool:
        """Whether neither end is open any more; one that was never dialled counts as closed."""
        return self.client.lost and (self.upstream.transport is None or self.upstream.lost)

    def afflict(self, fault: str, toxic: Toxic) -> None:
        """Let ``toxic`` work here if the draw says so, and no longer if it does not."""
        self.cure(fault)
        if not toxic.hits():
            return
        if toxic.latency.direction is not Direction.DOWN:
            self.client.afflict(fault, toxic)
        if toxic.latency.direction is not Direction.UP:
            self.upstream.afflict(fault, toxic)

    def cure(self, fault: str) -> None:
        """End ``fault`` in both directions."""
        self.client.cure(fault)
        self.upstream.cure(fault)

    def reset(self) -> None:
        """Break both ends off."""
        for end in (self.client, self.upstream):
            end.cut()
            end.reset()


class Link:
    """A listener that passes every connection on to ``spec.upstream``.

    Make one by `open_link`. Differences from no proxy that a client can see: the kernel takes
    its connection before the upstream is asked, so an upstream that is down shows as a reset
    right after connecting, never as "connection refused"; and a latency does not slow the
    handshake itself. Several faults on one link add up.
    """

    def __init__(
        self, spec: LinkSpec, *, tasks: TaskGroup, chance: random.Random, held_bytes_max: int
    ) -> None:
        self.spec = spec
        self._chance = chance
        self._held_bytes_max = held_bytes_max
        self._tasks = tasks
        self._connections: set[_Connection] = set()
        self._toxics: dict[str, Toxic] = {}
        self._up = Flow()
        self._down = Flow()
        self._total = 0
        self._refused = 0

    @property
    def held_bytes(self) -> int:
        """The bytes that all connections hold now, both ways."""
        return sum(
            end.held_bytes
            for connection in self._connections
            for end in (connection.client, connection.upstream)
        )

    @property
    def state(self) -> LinkState:
        """What the link has carried so far, and what is in force."""
        return LinkState(
            name=self.spec.name,
            listen=self.spec.listen,
            upstream=self.spec.upstream,
            connections_open=len(self._connections),
            connections_total=self._total,
            connections_refused=self._refused,
            bytes_up=self._up.bytes_passed,
            bytes_down=self._down.bytes_passed,
            bytes_delayed=self._up.bytes_delayed + self._down.bytes_delayed,
            faults=tuple(
                FaultState(
                    fault=fault,
                    latency=toxic.latency,
                    connections=toxic.connections,
                    bytes_delayed=toxic.bytes_delayed,
                )
                for fault, toxic in self._toxics.items()
            ),
        )

    def add(self, fault: str, latency: Latency) -> None:
        """Put ``latency`` in force for new connections and live ones, as ``fault``.

        A fault that is in force with the same latency is left alone, draws and counts included;
        with another latency it is replaced, and every connection draws anew.
        """
        present = self._toxics.get(fault)
        if present is not None and present.latency == latency:
            return
        toxic = self._toxics[fault] = Toxic(latency, chance=self._chance)
        for connection in self._connections:
            connection.afflict(fault, toxic)

    def remove(self, fault: str) -> bool:
        """End ``fault``; what it held leaves at once. Return whether it was in force."""
        for connection in self._connections:
            connection.cure(fault)
        return self._toxics.pop(fault, None) is not None

    def accept(self) -> End:
        """Return the client's end of a new connection; asyncio calls this for each it accepts."""
        connection = _Connection(
            up=self._up,
            down=self._down,
            held_bytes_max=self._held_bytes_max,
            on_made=self._begin,
            on_lost=self._forget,
        )
        self._connections.add(connection)
        self._total += 1
        for fault, toxic in self._toxics.items():
            connection.afflict(fault, toxic)
        return connection.client

    def reset_all(self) -> None:
        """Break every connection off; both sides see a reset."""
        for connection in tuple(self._connections):
            connection.reset()

    def _begin(self, connection: _Connection) -> None:
        self._tasks.start_soon(self._dial, connection)

    async def _dial(self, connection: _Connection) -> None:
        """Connect to the upstream; if it does not answer in time, reset the client."""
        host, port = self.spec.upstream
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(DIAL_S_MAX):
                await loop.create_connection(lambda: connection.upstream, host, port)
        except OSError:  # refused, unreachable, unknown host, or out of time
            self._refused += 1
            connection.client.reset()

    def _forget(self, connection: _Connection) -> None:
        if connection.over:
            self._connections.discard(connection)


def listen(spec: LinkSpec) -> socket.socket:
    """Return a socket that listens for ``spec``; the caller closes it.

    Raises:
        CannotListenError: the address is taken, is not ours, or may not be used.
    """
    host, port = spec.listen
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListenError(
            what=f"link {spec.name!r}",
            address=f"{host}:{port}",
            cause=error.strerror or str(error),
        ) from error


@asynccontextmanager
async def open_link(
    spec: LinkSpec,
    *,
    tasks: TaskGroup,
    chance: random.Random,
    listener: socket.socket | None = None,
    held_bytes_max: int = HELD_BYTES_MAX,
) -> AsyncGenerator[Link]:
    """Carry ``spec`` for the body of the ``async with``; at its end every connection is reset.

    ``listener`` is one made by `listen`, which is closed at the end; without it one is made.
    ``tasks`` owns the dialling. ``held_bytes_max`` bounds each direction of each connection;
    while a latency is in force it also bounds throughput, to about that much for each delay.

    Raises:
        CannotListenError: see `listen`.
    """
    raw = listener or listen(spec)
    host, port = raw.getsockname()[:2]
    link = Link(
        replace(spec, listen=(host, port)),
        tasks=tasks,
        chance=chance,
        held_bytes_max=held_bytes_max,
    )
    server = await asyncio.get_running_loop().create_server(link.accept, sock=raw, backlog=BACKLOG)
    try:
        yield link
    finally:
        server.close()
        link.reset_all()
        with anyio.CancelScope(shield=True):
            await checkpoint()  # the sockets close in the loop's next turn
