"""What a link costs: throughput and latency through the proxy, as ratios to a direct connection.

Run it with ``python benchmarks/proxy.py``. Upstream, proxy and client are three processes; each
round measures both ways one after the other, and the table shows the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parent.parent / "src"
LOOPBACK: Final = "127.0.0.1"
SMALL: Final = b"x" * 64
LARGE: Final = 1 << 20


class Upstream(asyncio.Protocol):
    """Echoes small requests; answers each ``L`` alone with a large body."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self.transport.write(bytes(LARGE) if data == b"L" else data)


def serve_upstream(raw: socket.socket) -> None:
    """Serve until killed."""

    async def job() -> None:
        server = await asyncio.get_running_loop().create_server(Upstream, sock=raw)
        await server.serve_forever()

    asyncio.run(job())


def receive(client: socket.socket, size: int, into: bytearray) -> None:
    """Read exactly ``size`` bytes."""
    view, got = memoryview(into), 0
    while got < size:
        got += client.recv_into(view[: size - got])


def small_ms(client: socket.socket, *, count: int) -> float:
    """Return the median milliseconds of a request of 64 bytes and its answer."""
    waits, into = [], bytearray(len(SMALL))
    for _ in range(count):
        begun = time.perf_counter()
        client.sendall(SMALL)
        receive(client, len(SMALL), into)
        waits.append((time.perf_counter() - begun) * 1000)
    return statistics.median(waits)


def large_ms(client: socket.socket, *, count: int) -> float:
    """Return the median milliseconds of a tiny request and its answer of 1 MiB."""
    waits, into = [], bytearray(LARGE)
    for _ in range(count):
        begun = time.perf_counter()
        client.sendall(b"L")
        receive(client, LARGE, into)
        waits.append((time.perf_counter() - begun) * 1000)
    return statistics.median(waits)


def connect_ms(port: int, *, count: int) -> float:
    """Return the median milliseconds of a new connection with one small request."""
    waits = []
    for _ in range(count):
        begun = time.perf_counter()
        with socket.create_connection((LOOPBACK, port)) as client:
            client.sendall(SMALL)
            receive(client, len(SMALL), bytearray(len(SMALL)))
        waits.append((time.perf_counter() - begun) * 1000)
    return statistics.median(waits)


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def link_to(port: int) -> Generator[tuple[int, int]]:
    """Carry a link to ``port`` in a process; yield its port and its pid."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--control", f"{folder}/s", "--link", f"bench=0={port}"]
        with subprocess.Popen(
            [sys.executable, "-m", "test_coordination.adapters.links", *arguments],
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            listen = process.stdout.readline().split()[1]
            try:
                yield int(listen.rpartition(":")[2]), process.pid
            finally:
                process.terminate()


def measure(direct: int, proxied: int, *, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median of each measurement, direct and through the proxy."""
    jobs: dict[str, Callable[[int], float]] = {
        "64 B request and answer": lambda port: on(port, lambda c: small_ms(c, count=800)),
        "1 MiB answer": lambda port: on(port, lambda c: large_ms(c, count=60)),
        "connect, 64 B, close": lambda port: connect_ms(port, count=200),
    }
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            for port, values in zip((direct, proxied), found[name], strict=True):
                values.append(job(port))
    return {
        name: (statistics.median(plain), statistics.median(linked))
        for name, (plain, linked) in found.items()
    }


def on(port: int, job: Callable[[socket.socket], float]) -> float:
    """Run ``job`` on a connection of its own."""
    with socket.create_connection((LOOPBACK, port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return job(client)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    raw = socket.create_server((LOOPBACK, 0), backlog=512)
    port = raw.getsockname()[1]
    upstream = multiprocessing.get_context("fork").Process(target=serve_upstream, args=(raw,))
    upstream.start()
    try:
        with link_to(port) as (link_port, pid):
            found = measure(port, link_port, rounds=rounds)
            used_s = cpu_s(pid)
            on(link_port, lambda client: small_ms(client, count=5_000))
            request_us = (cpu_s(pid) - used_s) / 5_000 * 1e6
            used_s = cpu_s(pid)
            on(link_port, lambda client: large_ms(client, count=1_024))
            gib_s = cpu_s(pid) - used_s
    finally:
        upstream.kill()
        upstream.join()
    print(f"{'':26}{'direct ms':>11}{'link ms':>11}{'ratio':>8}{'added ms':>11}")
    for name, (plain, linked) in found.items():
        print(f"{name:26}{plain:11.3f}{linked:11.3f}{linked / plain:8.2f}{linked - plain:11.3f}")
    plain, linked = (1000 / wait_ms for wait_ms in found["1 MiB answer"])
    print(f"throughput of 1 MiB bodies: direct {plain:.0f} MiB/s, link {linked:.0f} MiB/s", end="")
    print(f" ({linked / plain:.0%})")
    print(f"the proxy's processor: {request_us:.0f} µs a request, {gib_s:.2f} s a GiB")


if __name__ == "__main__":
    main()
