"""A link of the proxy: what it carries, how much it holds, and what it can not be."""

from __future__ import annotations

import random
from datetime import timedelta

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from support.links_net import (
    BROKEN,
    LOOPBACK,
    MS,
    break_off,
    dial,
    echo,
    echoing,
    eventually,
    is_reset,
    proxied,
    read_all,
    read_exactly,
    round_trip,
    upstream,
)
from support.target_systems import free_port
from test_coordination.adapters.links.errors import (
    CannotListenError,
    InvalidLatencyError,
    InvalidLinkError,
)
from test_coordination.adapters.links.pipe import PIECE_BYTES
from test_coordination.adapters.links.proxy import listen
from test_coordination.adapters.links.values import Direction, Latency, LinkSpec

READ_BYTES_MAX = 256 * 1024
FOREVER = Latency(delay=timedelta(minutes=1))


# -- traffic without a fault


async def test_a_large_body_passes_unchanged_both_ways_at_once() -> None:
    body = random.Random(7).randbytes(8 << 20)
    async with echoing() as link, await dial(link.spec.listen) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, body)
            returned = await read_exactly(client, len(body))

        assert returned == body
        assert (link.state.bytes_up, link.state.bytes_down) == (len(body), len(body))
        assert link.state.bytes_delayed == 0


async def test_a_half_closed_client_still_gets_the_whole_answer() -> None:
    async def answer_at_the_end(stream: SocketStream) -> None:
        async with stream:
            question = await read_all(stream)
            await stream.send(question * 2)

    async with (
        upstream(answer_at_the_end) as address,
        proxied(address) as link,
        await dial(link.spec.listen) as client,
    ):
        await client.send(b"half")
        await client.send_eof()

        assert await read_all(client) == b"halfhalf"
        await eventually(lambda: link.state.connections_open == 0)


@settings(max_examples=25, deadline=None)
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=70_000), max_size=8),
    delay_ms=st.integers(0, 3),
)
def test_any_pieces_arrive_whole_and_in_order(pieces: list[bytes], delay_ms: int) -> None:
    async def scene() -> bytes:
        async with echoing() as link, await dial(link.spec.listen) as client:
            if delay_ms:
                link.add("f", Latency(delay=delay_ms * MS, jitter=delay_ms * MS))
            async with anyio.create_task_group() as tasks:

                async def say() -> None:
                    for piece in pieces:
                        await client.send(piece)
                    await client.send_eof()

                tasks.start_soon(say)
                return await read_all(client)
        raise AssertionError

    assert anyio.run(scene) == b"".join(pieces)


async def test_a_client_that_breaks_off_resets_its_upstream() -> None:
    seen: list[bool] = []

    async def watch(stream: SocketStream) -> None:
        async with stream:
            await stream.send(await stream.receive())
            seen.append(await is_reset(stream))

    async with upstream(watch) as address, proxied(address) as link:
        client = await dial(link.spec.listen)
        await round_trip(client)
        break_off(client)
        await client.aclose()

        await eventually(lambda: seen)
        assert seen == [True]
        await eventually(lambda: link.state.connections_open == 0)


async def test_an_upstream_that_breaks_off_resets_its_client_after_the_bytes_it_sent() -> None:
    async def answer_and_break(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(b"last words")
        await anyio.sleep(0.02)
        break_off(stream)
        await stream.aclose()

    async with (
        upstream(answer_and_break) as address,
        proxied(address) as link,
        await dial(link.spec.listen) as client,
    ):
        link.add("f", Latency(delay=50 * MS, direction=Direction.DOWN))
        await client.send(b"?")

        assert await client.receive() == b"last words"
        assert await is_reset(client)


async def test_an_upstream_that_is_down_shows_as_a_reset_and_works_once_it_is_back() -> None:
    port = free_port()
    async with proxied((LOOPBACK, port)) as link:
        async with await dial(link.spec.listen) as client:
            assert await is_reset(client)
        assert (link.state.connections_refused, link.state.connections_open) == (1, 0)

        async with (
            await anyio.create_tcp_listener(local_host=LOOPBACK, local_port=port) as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, echo)
            async with await dial(link.spec.listen) as client:
                await round_trip(client)
            tasks.cancel_scope.cancel()


async def test_a_closed_link_resets_what_is_open() -> None:
    async with upstream() as address:
        async with proxied(address) as link:
            client = await dial(link.spec.listen)
            await round_trip(client)
        async with client:
            assert await is_reset(client)


# -- bounds


async def test_a_flood_into_a_held_link_is_bounded() -> None:
    bound = 512 * 1024
    async with (
        upstream() as address,
        proxied(address, held_bytes_max=bound) as link,
        await dial(link.spec.listen) as client,
    ):
        link.add("f", FOREVER)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, bytes(16 << 20))
            await eventually(lambda: link.held_bytes >= bound)
            await anyio.sleep(0.2)
            held_bytes = link.held_bytes
            tasks.cancel_scope.cancel()

        assert bound <= held_bytes <= bound + READ_BYTES_MAX + PIECE_BYTES


async def test_a_slow_reader_holds_up_its_sender_not_the_memory_of_the_proxy() -> None:
    sent = 0

    async def flood(stream: SocketStream) -> None:
        nonlocal sent
        async with stream:
            try:
                while True:
                    await stream.send(bytes(65_536))
                    sent += 65_536
            except BROKEN:
                return

    bound = 512 * 1024
    async with upstream(flood) as address, proxied(address, held_bytes_max=bound) as link:
        link.add("f", Latency(delay=5 * MS))
        async with await dial(link.spec.listen) as client:
            most = 0
            for _ in range(80):
                await anyio.sleep(0.01)
                most = max(most, link.held_bytes)
            stuck_at = sent
            await anyio.sleep(0.1)

            assert sent == stuck_at
            assert most <= bound + READ_BYTES_MAX + PIECE_BYTES
            buffered = link.state.bytes_delayed - link.state.bytes_down
            assert buffered <= bound + READ_BYTES_MAX + PIECE_BYTES

            link.remove("f")
            assert len(await read_exactly(client, 16 << 20)) == 16 << 20


async def test_a_million_tiny_pieces_are_bounded_by_their_cost_not_their_bytes() -> None:
    bound = 64 * PIECE_BYTES
    async with (
        upstream() as address,
        proxied(address, held_bytes_max=bound) as link,
        await dial(link.spec.listen) as client,
    ):
        link.add("f", FOREVER)
        for _ in range(300):
            await client.send(b"x")
            await checkpoint()
            await checkpoint()

        assert link.state.bytes_delayed <= 2 * 64  # the others wait in the kernel


# -- what cannot be


@pytest.mark.parametrize(
    "fields",
    [
        {"delay": -1 * MS},
        {"delay": timedelta(minutes=2)},
        {"delay": 0 * MS},
        {"delay": 1 * MS, "jitter": -1 * MS},
        {"delay": 1 * MS, "toxicity": 1.5},
        {"delay": 1 * MS, "toxicity": float("nan")},
    ],
)
def test_a_latency_that_cannot_be_is_refused(fields: dict[str, timedelta]) -> None:
    with pytest.raises(InvalidLatencyError):
        Latency(**fields)  # type: ignore[arg-type]  # toxicity is a number


@pytest.mark.parametrize(
    ("name", "port", "up"),
    [("", 1, 2), ("a b", 1, 2), ("a=b", 1, 2), ("a", 70_000, 2), ("a", 1, 0), ("a", 9, 9)],
)
def test_a_link_that_cannot_be_is_refused(name: str, port: int, up: int) -> None:
    with pytest.raises(InvalidLinkError):
        LinkSpec(name=name, listen=(LOOPBACK, port), upstream=(LOOPBACK, up))


def test_a_port_in_use_is_refused_with_the_links_name_and_the_address() -> None:
    spec = LinkSpec(name="orders", listen=(LOOPBACK, 0), upstream=(LOOPBACK, 9))
    with listen(spec) as taken:
        port = taken.getsockname()[1]
        again = LinkSpec(name="orders", listen=(LOOPBACK, port), upstream=(LOOPBACK, 9))

        with pytest.raises(CannotListenError, match=rf"'orders' .* '127.0.0.1:{port}'"):
            listen(again)
