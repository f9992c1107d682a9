from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup, UNIXSocketStream
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.links_net import (
    LOOPBACK,
    MS,
    dial,
    eventually,
    free_port,
    round_trip,
    upstream,
)
from test_coordination.adapters.links.client import LinkControl
from test_coordination.adapters.links.control import Conversation
from test_coordination.adapters.links.errors import (
    FaultNotHeldError,
    InvalidLatencyError,
    InvalidLinkError,
    LinkRefusedError,
    LinksUnreachableError,
    UnknownLinkError,
)
from test_coordination.adapters.links.leases import FAULTS_PER_LINK_MAX, Leases
from test_coordination.adapters.links.requests import REQUEST_BYTES_MAX
from test_coordination.adapters.links.server import serve_links
from test_coordination.adapters.links.values import Address, Direction, LinkSpec

MODULE = "test_coordination.adapters.links"
SUPPORT = Path(__file__).parent.parent / "support"
SOURCE = Path(__file__).parent.parent.parent / "src"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SOURCE)}


@pytest.fixture
def control() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tcl-") as folder:  # a socket's path must be short
        yield Path(folder) / "own" / "links.sock"


@asynccontextmanager
async def serving(control: Path, *names: str) -> AsyncGenerator[dict[str, Address]]:
    """Serve links to one echo server in this process; yield where each listens."""
    async with upstream() as address:
        specs = [
            LinkSpec(name=name, listen=(LOOPBACK, 0), upstream=address)
            for name in names or ("orders",)
        ]
        tasks: TaskGroup
        async with anyio.create_task_group() as tasks:

            async def serve(*, task_status: anyio.abc.TaskStatus[Any]) -> None:
                await serve_links(
                    specs, control=control, chance=random.Random(1), task_status=task_status
                )

            states = await tasks.start(serve)
            yield {state.name: state.listen for state in states}
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def running(*arguments: str) -> AsyncGenerator[subprocess.Popen[str]]:
    """Run a Python process that says a line when it is ready; kill it at the end."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, await asyncio.to_thread(process.stderr.read)  # type: ignore[union-attr]
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def linked(control: Path) -> AsyncGenerator[tuple[Address, subprocess.Popen[str]]]:
    """Serve the link ``orders`` in a process of its own."""
    async with upstream() as (host, port):
        listen = (LOOPBACK, free_port())
        link = f"orders={listen[0]}:{listen[1]}={host}:{port}"
        async with running("-m", MODULE, "--control", str(control), "--link", link) as process:
            yield listen, process


def coordinator(
    control: Path, fault: str = "f", *, latency_ms: int = 60, lease_s: float = 0
) -> Any:
    script = str(SUPPORT / "links_coordinator.py")
    return running(script, str(control), "orders", fault, str(latency_ms), str(lease_s))


async def ask(stream: UNIXSocketStream, line: bytes) -> dict[str, Any]:
    await stream.send(line + b"\n")
    with anyio.fail_after(2):
        reply = b""
        while not reply.endswith(b"\n"):
            reply += await stream.receive()
    document: dict[str, Any] = json.loads(reply)
    return document


async def faults_on(links: LinkControl, link: str = "orders") -> list[str]:
    return [fault.fault for fault in (await links.describe())[link].faults]


async def until_clear(links: LinkControl, *, within_s: float) -> float:
    """Return the seconds until no fault is in force."""
    begun = time.perf_counter()
    with anyio.fail_after(within_s):
        while await faults_on(links):  # noqa: ASYNC110 - another process has no event
            await anyio.sleep(0.002)
    return time.perf_counter() - begun


# -- a fault lives as long as the connection that asked for it


async def test_a_fault_ends_when_its_coordinator_is_killed_and_the_link_keeps_serving(
    control: Path,
) -> None:
    async with linked(control) as (listen, _), await dial(listen) as client:
        async with coordinator(control) as doomed:
            slow_ms = await round_trip(client)
            async with LinkControl(control) as links:
                assert await faults_on(links) == ["f"]
                doomed.kill()
                took_s = await until_clear(links, within_s=2)
        fast_ms = await round_trip(client)

    assert slow_ms >= 115
    assert took_s < 0.2
    assert fast_ms < 80


async def test_bytes_held_for_a_killed_coordinator_leave_at_once(control: Path) -> None:
    async with (
        linked(control) as (listen, _),
        await dial(listen) as client,
        coordinator(control, latency_ms=30_000) as doomed,
    ):
        begun = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(round_trip, client)
            await anyio.sleep(0.1)
            doomed.kill()

    assert time.perf_counter() - begun < 1


async def test_a_lease_runs_out_when_its_coordinator_hangs(control: Path) -> None:
    async with (
        linked(control),
        LinkControl(control) as links,
        coordinator(control, lease_s=0.6) as hung,
    ):
        await anyio.sleep(1.2)
        assert await faults_on(links) == ["f"]  # it was renewed while the coordinator lived

        hung.send_signal(signal.SIGSTOP)
        took_s = await until_clear(links, within_s=3)
        hung.send_signal(signal.SIGCONT)
        await anyio.sleep(0.4)

        assert 0.2 < took_s < 1.2
        assert await faults_on(links) == []  # what was proven gone does not come back


async def test_a_link_keeps_its_connections_when_the_coordinator_ends(control: Path) -> None:
    async with serving(control) as at, await dial(at["orders"]) as client:
        async with LinkControl(control) as links:
            await links.add_latency("orders", "f", delay=50 * MS)
            slow_ms = await round_trip(client)
        await anyio.sleep(0.02)
        fast_ms = await round_trip(client)

    assert slow_ms >= 95
    assert fast_ms < 80


# -- two coordinators


async def test_the_faults_of_two_coordinators_do_not_disturb_each_other(control: Path) -> None:
    async with (
        serving(control) as at,
        await dial(at["orders"]) as client,
        LinkControl(control) as first,
    ):
        await first.add_latency("orders", "a", delay=40 * MS)
        async with LinkControl(control) as second:
            await second.add_latency("orders", "b", delay=60 * MS)
            both_ms = await round_trip(client)
        await anyio.sleep(0.02)
        one_ms = await round_trip(client)

        assert await faults_on(first) == ["a"]
    assert both_ms >= 195
    assert 75 <= one_ms < 190


async def test_any_coordinator_can_remove_the_fault_of_another(control: Path) -> None:
    async with (
        serving(control),
        LinkControl(control) as owner,
        LinkControl(control) as sweeper,
    ):
        await owner.add_latency("orders", "f", delay=MS, lease=timedelta(seconds=0.3))
        await sweeper.remove("orders", "f")

        assert await faults_on(sweeper) == []
        await anyio.sleep(0.25)
        assert await faults_on(sweeper) == []
        assert not owner.holds("orders", "f")


async def test_a_fault_that_was_taken_over_survives_the_end_of_its_first_owner(
    control: Path,
) -> None:
    async with serving(control), LinkControl(control) as second:
        async with LinkControl(control) as first:
            await first.add_latency("orders", "f", delay=MS)
            await second.add_latency("orders", "f", delay=2 * MS)
        await anyio.sleep(0.05)

        assert await faults_on(second) == ["f"]


# -- the client


async def test_the_state_of_a_link_shows_its_faults_and_its_traffic(control: Path) -> None:
    async with (
        serving(control, "orders", "quotes") as at,
        LinkControl(control) as links,
        await dial(at["orders"]) as client,
    ):
        await links.add_latency(
            "orders",
            "f",
            delay=3 * MS,
            jitter=MS,
            direction=Direction.DOWN,
            toxicity=0.999,
            lease=timedelta(seconds=9),
        )
        await round_trip(client, b"12345678")
        states = await links.describe()

    orders = states["orders"]
    assert set(states) == {"orders", "quotes"}
    assert orders.listen == at["orders"]
    assert (orders.connections_open, orders.connections_total) == (1, 1)
    assert (orders.bytes_up, orders.bytes_down, orders.bytes_delayed) == (8, 8, 8)
    (fault,) = orders.faults
    assert (fault.fault, fault.bytes_delayed, fault.connections) == ("f", 8, 1)
    assert fault.latency.direction is Direction.DOWN
    assert (fault.latency.delay, fault.latency.jitter) == (3 * MS, MS)
    assert fault.expires_in is not None
    assert 8 < fault.expires_in.total_seconds() <= 9
    assert states["quotes"].faults == ()


async def test_removing_is_safe_to_repeat_and_for_what_never_was(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        await links.add_latency("orders", "f", delay=MS)
        await links.remove("orders", "f")
        await links.remove("orders", "f")
        await links.remove("orders", "never was")

        assert await faults_on(links) == []


async def test_an_unknown_link_is_refused_with_a_hint(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        with pytest.raises(UnknownLinkError, match=r"'oders'; did you mean 'orders'\?") as refused:
            await links.add_latency("oders", "f", delay=MS)
        with pytest.raises(UnknownLinkError):
            await links.remove("oders", "f")

    assert refused.value.code == "links.unknown_link"
    assert refused.value.known == {"orders"}


async def test_a_latency_that_cannot_be_is_refused_before_it_is_sent(control: Path) -> None:
    async with LinkControl(control) as links:
        with pytest.raises(InvalidLatencyError):
            await links.add_latency("orders", "f", delay=-MS)


async def test_a_link_has_a_limit_of_faults(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        for number in range(FAULTS_PER_LINK_MAX):
            await links.add_latency("orders", f"f{number}", delay=MS, lease=None)
        await links.add_latency("orders", "f0", delay=2 * MS)
        with pytest.raises(LinkRefusedError, match="remove one first"):
            await links.add_latency("orders", "one too many", delay=MS)


async def test_links_that_are_not_there_are_unreachable(control: Path) -> None:
    async with LinkControl(control) as links:
        with pytest.raises(LinksUnreachableError, match="No such file") as unreachable:
            await links.ping()

    assert unreachable.value.code == "links.unreachable"


async def test_links_that_hang_are_unreachable_within_the_limit(control: Path) -> None:
    async with (
        linked(control) as (_, process),
        LinkControl(control, answer_max=timedelta(seconds=0.3)) as links,
    ):
        await links.add_latency("orders", "f", delay=MS)
        process.send_signal(signal.SIGSTOP)
        begun = time.perf_counter()
        with pytest.raises(LinksUnreachableError, match=r"none in 0\.3 s"):
            await links.describe()
        took_s = time.perf_counter() - begun
        process.send_signal(signal.SIGCONT)

        assert 0.25 < took_s < 1
        assert not links.holds("orders", "f")
        await until_clear(links, within_s=2)


async def test_links_that_were_restarted_are_found_again_without_the_lost_fault(
    control: Path,
) -> None:
    async with LinkControl(control) as links:
        async with serving(control):
            await links.add_latency("orders", "f", delay=MS)
        async with serving(control):
            assert await faults_on(links) == []
            assert not links.holds("orders", "f")
            await links.add_latency("orders", "f", delay=MS)
            assert await faults_on(links) == ["f"]


async def test_a_lost_fault_is_noticed_by_the_renewal(control: Path) -> None:
    async with LinkControl(control) as links:
        async with serving(control):
            await links.add_latency("orders", "f", delay=MS, lease=timedelta(seconds=0.3))
            assert links.holds("orders", "f")

        await eventually(lambda: not links.holds("orders", "f"))


async def test_an_error_in_the_body_leaves_the_context_as_it_is(control: Path) -> None:
    async def body() -> None:
        async with LinkControl(control) as links:
            await links.add_latency("orders", "f", delay=MS)
            raise FaultNotHeldError(link="orders", fault="f")

    async with serving(control):
        with pytest.raises(FaultNotHeldError):
            await body()
        async with LinkControl(control) as links:
            await until_clear(links, within_s=1)


async def test_a_cancelled_body_ends_its_faults(control: Path) -> None:
    async with serving(control), LinkControl(control) as watcher:
        with anyio.move_on_after(0.1) as scope:
            async with LinkControl(control) as links:
                await links.add_latency("orders", "f", delay=MS)
                await anyio.sleep_forever()

        assert scope.cancelled_caught
        await until_clear(watcher, within_s=1)


async def test_many_calls_at_once_each_get_their_own_answer(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                fault = f"f{number}"
                tasks.start_soon(lambda f: links.add_latency("orders", f, delay=MS), fault)

        assert len(await faults_on(links)) == 40


# -- the control socket


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


# -- the process


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", MODULE, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stderr


async def test_the_process_ends_cleanly_when_told_to(control: Path) -> None:
    async with linked(control) as (_, process):
        process.terminate()

        assert await asyncio.to_thread(process.wait, 5) == 0
        assert not control.exists()


def test_a_port_in_use_is_one_clear_line_and_status_4(control: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        status, text = refused("--control", str(control), "--link", f"orders={port}=9")

    assert status == 4
    assert text.count("\n") == 1
    assert f"link 'orders' cannot listen on '127.0.0.1:{port}'" in text
    assert "[links.cannot_listen]" in text


async def test_a_control_socket_with_a_living_owner_is_left_alone(control: Path) -> None:
    async with serving(control), LinkControl(control) as links:
        status, text = await asyncio.to_thread(
            refused, "--control", str(control), "--link", f"other={free_port()}=9"
        )

        assert status == 4
        assert "another process is in control" in text
        await links.ping()


async def test_a_control_socket_that_a_killed_process_left_is_replaced(control: Path) -> None:
    async with linked(control) as (_, process):
        process.kill()
        process.wait()
    assert control.exists()

    async with serving(control), LinkControl(control) as links:
        await links.ping()


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("orders", "expected NAME="),
        ("orders=x=1", "'x' is no address"),
        ("orders=1=70000", "the upstream port is 70000"),
        ("=1=2", "a name is"),
    ],
)
def test_a_link_that_cannot_be_read_is_refused(control: Path, link: str, told: str) -> None:
    status, text = refused("--control", str(control), "--link", link)

    assert status == 4
    assert told in text


async def test_two_links_of_one_name_are_refused(control: Path) -> None:
    specs = [
        LinkSpec(name="orders", listen=(LOOPBACK, 0), upstream=(LOOPBACK, port)) for port in (1, 2)
    ]
    with pytest.raises(InvalidLinkError, match="two links"):
        await serve_links(specs, control=control, chance=random.Random(1))


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    status, text = refused("--control", str(tmp_path / ("x" * 120)), "--link", "orders=0=9")

    assert status == 4
    assert "path too long" in text


async def test_the_process_carries_links_within_a_moment_of_its_start(control: Path) -> None:
    waits_s = []
    for _ in range(3):
        begun = time.perf_counter()
        async with linked(control):
            waits_s.append(time.perf_counter() - begun)

    assert min(waits_s) < 1  # 0.2 s when the machine is idle


async def test_many_connections_share_a_process(control: Path) -> None:
    async with AsyncExitStack() as stack:
        listen, _ = await stack.enter_async_context(linked(control))
        clients = [await stack.enter_async_context(await dial(listen)) for _ in range(100)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(round_trip, client, os.urandom(5000))
        async with LinkControl(control) as links:
            state = (await links.describe())["orders"]

        assert state.connections_open == 100
        assert state.bytes_up == state.bytes_down == 500_000
