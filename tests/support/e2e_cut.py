"""A way to a PostgreSQL that can be cut: nothing passes any more, and nobody is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import SocketStream

SOCKET = ".s.PGSQL.5432"
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class Way:
    """Carries connections to the socket in ``server``, as long as it is not cut."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._open = anyio.Event()
        self._open.set()
        self._streams: set[SocketStream] = set()

    def cut(self) -> None:
        """Let nothing pass from now on; connections stay, and new ones are taken in."""
        self._open = anyio.Event()

    async def mend(self) -> None:
        """Break the connections that were cut, and let new ones pass."""
        for stream in tuple(self._streams):
            await stream.aclose()
        self._open.set()

    async def lead(self, server: Path) -> None:
        """Break all connections, and let new ones pass to the socket in another ``server``."""
        self._server = server
        await self.mend()

    async def carry(self, client: SocketStream) -> None:
        """Carry one connection to its end."""
        self._streams.add(client)
        with suppress(*_GONE):
            await self._open.wait()
            server = await anyio.connect_unix(self._server / SOCKET)
            self._streams.add(server)
            async with anyio.create_task_group() as group:
                group.start_soon(self._pass, client, server)
                group.start_soon(self._pass, server, client)
            self._streams.discard(server)
        await client.aclose()
        self._streams.discard(client)

    async def _pass(self, source: SocketStream, sink: SocketStream) -> None:
        with suppress(*_GONE):
            while True:
                some = await source.receive()
                await self._open.wait()
                await sink.send(some)
        await sink.aclose()


@asynccontextmanager
async def way_to(server: Path, place: Path) -> AsyncGenerator[Way]:
    """Lend a way to the server whose socket is in ``server``; ``place`` is where it begins."""
    place.mkdir()
    way = Way(server)
    async with (
        await anyio.create_unix_listener(place / SOCKET) as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, way.carry)
        yield way
        group.cancel_scope.cancel()
