"""Both ends of a link for tests: upstreams that talk back, and a proxy between."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from test_coordination.adapters.links.pipe import HELD_BYTES_MAX
from test_coordination.adapters.links.proxy import Link, open_link
from test_coordination.adapters.links.values import Address, LinkSpec

LOOPBACK = "127.0.0.1"
MS = timedelta(milliseconds=1)
BROKEN = (anyio.BrokenResourceError, anyio.EndOfStream)

Handler = Callable[[SocketStream], Awaitable[None]]


async def echo(stream: SocketStream) -> None:
    """Send back what comes, and half-close when the other side has."""
    with suppress(*BROKEN):
        async with stream:
            with suppress(anyio.EndOfStream):
                while True:
                    await stream.send(await stream.receive())
            await stream.send_eof()


@asynccontextmanager
async def upstream(handler: Handler = echo) -> AsyncGenerator[Address]:
    """Serve ``handler`` on a free port for the body of the ``async with``."""
    async with (
        await anyio.create_tcp_listener(local_host=LOOPBACK) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handler)
        yield LOOPBACK, listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def proxied(
    address: Address,
    *,
    seed: int = 1,
    held_bytes_max: int = HELD_BYTES_MAX,
) -> AsyncGenerator[Link]:
    """Carry a link to ``address`` in this process."""
    spec = LinkSpec(name="orders", listen=(LOOPBACK, 0), upstream=address)
    tasks: TaskGroup
    async with anyio.create_task_group() as tasks:
        async with open_link(
            spec, tasks=tasks, chance=random.Random(seed), held_bytes_max=held_bytes_max
        ) as link:
            yield link
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def echoing(*, seed: int = 1) -> AsyncGenerator[Link]:
    """Carry a link to an echo server in this process."""
    async with upstream() as address, proxied(address, seed=seed) as link:
        yield link


async def dial(address: Address) -> SocketStream:
    """Connect as a client would."""
    return await anyio.connect_tcp(*address)


async def read_exactly(stream: SocketStream, size: int) -> bytes:
    """Return the next ``size`` bytes."""
    body = bytearray()
    while len(body) < size:
        body += await stream.receive(size - len(body))
    return bytes(body)


async def read_all(stream: SocketStream) -> bytes:
    """Return what comes until the other side half-closes."""
    body = bytearray()
    with suppress(anyio.EndOfStream):
        while True:
            body += await stream.receive(1 << 20)
    return bytes(body)


async def round_trip(stream: SocketStream, body: bytes = b"ping") -> float:
    """Return the milliseconds until an echo server has sent ``body`` back."""
    begun = time.perf_counter()
    await stream.send(body)
    assert await read_exactly(stream, len(body)) == body
    return (time.perf_counter() - begun) * 1000


async def is_reset(stream: SocketStream) -> bool:
    """Whether the next thing to come is a reset, rather than bytes or an end."""
    try:
        await stream.receive()
    except anyio.BrokenResourceError as error:
        return isinstance(error.__cause__, ConnectionResetError)
    except anyio.EndOfStream:
        return False
    return False


def break_off(stream: SocketStream) -> None:
    """Let the next close of ``stream`` be a reset."""
    stream.extra(SocketAttribute.raw_socket).setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )


async def eventually(check: Callable[[], object], *, within_s: float = 2) -> None:
    """Wait until ``check`` says yes."""
    with anyio.fail_after(within_s):
        while not check():  # noqa: ASYNC110 - what is watched has no event
            await anyio.sleep(0.005)
