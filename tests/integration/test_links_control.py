"""The control socket: what comes over it, and whom it is for."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import UNIXSocketStream
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.links_net import MS, eventually
from support.links_scene import faults_on, serving, until_clear
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.control import Conversation
from test_coordination.adapters.links.leases import Leases
from test_coordination.adapters.links.requests import REQUEST_BYTES_MAX

MALFORMED = [
    (b"", "no JSON"),
    (b"nonsense", "no JSON"),
    (b"\xff\xfe", "no JSON"),
    (b"[" * 5000, "no JSON"),
    (b"[]", "no JSON object"),
    (b"{}", "'id'"),
    (b'{"id":true,"do":"ping"}', "'id'"),
    (b'{"id":1}', "'do' is None, expected one of add, list, ping"),
    (b'{"id":1,"do":["add"]}', "'do'"),
    (b'{"id":1,"do":"add"}', "'link' is None"),
    (b'{"id":1,"do":"add","link":"orders","fault":""}', "'fault'"),
    (b'{"id":1,"do":"add","link":"orders","fault":"f","latncy_ms":1}', "mean 'latency_ms'"),
    (b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":"1"}', "expected a number"),
    (b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":NaN}', "NaN is no JSON"),
    (b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":1e999}', "from 0 to 60000"),
    (b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":1' + b"0" * 400 + b"}", "from"),
    (b'{"id":1,"do":"add","link":"orders","fault":"f"}', "both zero"),
    (
        b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":1,"direction":["up"]}',
        "expected one of up, down, both",
    ),
    (
        b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":1,"expires_in_s":0}',
        "expected more",
    ),
    (b'{"id":1,"do":"renew","link":"orders","fault":"f"}', "not held by this connection"),
    (b'{"id":1,"do":"remove","link":"nowhere","fault":"f"}', "no link is named 'nowhere'"),
]


async def ask(stream: UNIXSocketStream, line: bytes) -> dict[str, Any]:
    await stream.send(line + b"\n")
    with anyio.fail_after(2):
        reply = b""
        while not reply.endswith(b"\n"):
            reply += await stream.receive()
    document: dict[str, Any] = json.loads(reply)
    return document


@pytest.mark.parametrize(("line", "told"), MALFORMED)
async def test_what_is_no_request_gets_an_error_and_the_next_one_its_answer(
    control: Path, line: bytes, told: str
) -> None:
    async with serving(control), await anyio.connect_unix(control) as stream:
        reply = await ask(stream, line)

        assert not reply["ok"]
        assert told in reply["error"]["text"]
        assert await ask(stream, b'{"id":2,"do":"ping"}') == {"id": 2, "ok": True}


async def test_an_error_carries_the_id_of_its_request(control: Path) -> None:
    async with serving(control), await anyio.connect_unix(control) as stream:
        bad_field = await ask(stream, b'{"id":7,"do":"list","x":1}')
        bad_latency = await ask(stream, b'{"id":8,"do":"add","link":"orders","fault":"f"}')

    assert (bad_field["id"], bad_latency["id"]) == (7, 8)
    assert bad_latency["error"]["code"] == "links.invalid_latency"


async def test_a_line_without_an_end_is_refused_and_only_its_connection_closed(
    control: Path,
) -> None:
    async with serving(control), LinkControl(control) as links:
        await links.add_latency("orders", "f", delay=MS)
        async with await anyio.connect_unix(control) as stream:
            reply = await ask(stream, b"x" * (REQUEST_BYTES_MAX + 1))
            assert "longer than" in reply["error"]["text"]
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()

        assert await faults_on(links) == ["f"]


async def test_a_client_that_reads_no_replies_is_not_read_and_loses_its_fault_at_its_end(
    control: Path,
) -> None:
    add = b'{"id":1,"do":"add","link":"orders","fault":"f","latency_ms":1}\n'
    flood = b'{"id":2,"do":"list"}\n' * 50_000
    async with serving(control), LinkControl(control) as links:
        async with await anyio.connect_unix(control) as stream:
            await stream.send(add)
            with anyio.move_on_after(0.5) as scope:
                await stream.send(flood)
            assert scope.cancelled_caught
            assert await faults_on(links) == ["f"]

        await until_clear(links, within_s=1)


async def test_replies_that_nobody_reads_do_not_pile_up() -> None:
    ours, theirs = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
        lambda: Conversation(leases=Leases({}), owner=1, present=set()), sock=ours
    )
    with theirs:
        theirs.settimeout(0)
        theirs.send(b"x\n" * 40_000)  # each is answered with some hundred bytes
        await eventually(transport.get_write_buffer_size)
        await anyio.sleep(0.05)

        assert transport.get_write_buffer_size() < 128 * 1024
        transport.abort()
        await checkpoint()


async def test_requests_sent_in_one_breath_are_all_answered_in_order(control: Path) -> None:
    async with serving(control), await anyio.connect_unix(control) as stream:
        async with anyio.create_task_group() as tasks:
            lines = b"".join(b'{"id":%d,"do":"list"}\n' % number for number in range(3_000))
            tasks.start_soon(stream.send, lines)
            replies = b""
            while replies.count(b"\n") < 3_000:
                replies += await stream.receive()

        assert [json.loads(reply)["id"] for reply in replies.splitlines()] == list(range(3_000))


def test_no_bytes_on_the_control_socket_crash_it() -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(noise=st.lists(st.binary(max_size=300), max_size=6))
    def property_of(noise: list[bytes]) -> None:
        async def scene() -> None:
            with tempfile.TemporaryDirectory(prefix="tcl-") as folder:
                control = Path(folder) / "s"
                async with serving(control):
                    async with await anyio.connect_unix(control) as stream:
                        await stream.send(b"\n".join(noise) + b" ")
                    async with LinkControl(control) as links:
                        await links.ping()

        anyio.run(scene)

    property_of()


async def test_the_control_socket_is_for_its_owner_alone(control: Path) -> None:
    async with serving(control):
        socket_mode = stat.S_IMODE(control.stat().st_mode)
        folder_mode = stat.S_IMODE(control.parent.stat().st_mode)

    assert (socket_mode, folder_mode) == (0o600, 0o700)
    assert not control.exists()
