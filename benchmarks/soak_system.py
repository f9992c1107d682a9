"""What `soak.py` lets run: the trading example, scenarios that break it, and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from test_coordination import (
    Coordinator,
    Every,
    ExecutionId,
    Overlap,
    Rules,
    Schedule,
    Settings,
    systems,
)
from test_coordination.adapters.machine import SystemClock
from test_coordination.domain.topology import Topology

ROOT: Final = Path(__file__).parents[1]
TOPOLOGY: Final = ROOT / "examples/trading/topology.yaml"
PORTS: Final = (*range(8081, 8088), *range(18081, 18087))
OFFSETS: Final = range(2_000, 40_000, 500)
PERIOD: Final = timedelta(seconds=5)
PULSE: Final = timedelta(seconds=30)
CALLED: Final = "platform"
STAYS: Final = "stays=yes"
READY_S_MAX: Final = 60.0
END_S_MAX: Final = 90.0

HEALTH: Final = """
scenario: {name}
version: 1
probes:
  seen:
    http: "GET http://${{{{ services.{service}.address }}}}/health"
    every: 250ms
    timeout: 2s
steps:
  - {{id: break, fault: {fault}, target: {target}, hold: {hold}}}
  - {{id: back, expect: probes.seen.last.status == 200, within: 30s, after_fault: break}}
"""
SLOWED: Final = """
scenario: slowed
version: 1
probes:
  engine: {process: trading-engine, every: 500ms}
  way:
    http: "GET http://${{ links.engine_to_custodian }}/health"
    every: 250ms
    timeout: 3s
steps:
  - parallel:
      - id: slow
        fault: latency
        target: custodian
        with: {from: trading-engine, delay: 300ms}
        hold: 1500ms
      - {id: felt, expect: probes.way.last.ms > 250.0, within: 20s}
  - {id: quick, expect: probes.way.last.ms < 250.0, within: 20s, after_fault: slow}
"""
BOOKS: Final = """
scenario: books
version: 1
probes:
  lost:
    sql: {target: trading-db, query: select count(*) from audit.lost_orders}
    every: 500ms
    timeout: 5s
steps:
  - {id: before, snapshot: [exchange, custodian]}
  - id: load
    action: http.post
    with:
      url: "http://${{ services.load_generator.address }}/start"
      json: {rate: 5}
    retry: {attempts: 5, delay: 500ms}
  - {id: meanwhile, wait: {between: [300ms, 900ms]}}
  - id: computed
    action: python
    with: {call: "platform:python_version"}
  - id: asked
    for_each: [health, invariants, timeline]
    concurrency: 3
    action: http.get
    with: {url: "http://${{ services.auditor.address }}/${{ each.value }}", expect: 200..599}
    retry: {attempts: 5, delay: 500ms}
  - {id: none-lost, expect: probes.lost.last.value == 0, within: 20s}
  - {id: after, snapshot: [exchange, custodian]}
"""
NESTED: Final = """
scenario: nested
version: 1
steps:
  - {id: inner, scenario: killed}
  - {id: rest, wait: 200ms}
"""
ATTENDED: Final = """
scenario: attended
version: 1
parameters:
  times: {type: integer, required: true, min: 2}
probes:
  auditor:
    http: "GET http://${{ services.auditor.address }}/health"
    every: 1s
    timeout: 5s
steps:
  - id: asking
    background: true
    action: http.get
    with: {url: "http://${{ services.auditor.address }}/health", expect: 200..599}
    repeat: {every: 5s}
  - id: pulse
    fault: latency
    target: exchange
    with: {from: load-generator, delay: 20ms}
    hold: 2s
    repeat: {times: "${{ parameters.times }}", pause: 28s}
  - {id: over, stop: asking}
timeout: 24h
"""


def _breaks(name: str, fault: str, target: str, *, hold: str, seen: str = "") -> str:
    service = (seen or target).replace("-", "_")
    return HEALTH.format(name=name, fault=fault, target=target, hold=hold, service=service)


SHORT: Final[Mapping[str, str]] = {
    "killed": _breaks("killed", "service.kill", "market-data", hold="500ms"),
    "frozen": _breaks("frozen", "service.pause", "trading-engine", hold="700ms"),
    "stopped": _breaks("stopped", "service.stop", "risk-monitor", hold="300ms"),
    "database": _breaks("database", "service.pause", "trading-db", hold="300ms", seen="auditor"),
    "stream": _breaks("stream", "service.kill", "trading-redis", hold="300ms", seen="exchange"),
    "slowed": SLOWED,
    "books": BOOKS,
    "nested": NESTED,
}


def free_offset() -> int:
    """Return what can be added to every port of the example, so that all are free."""
    return next(offset for offset in OFFSETS if all(_is_free(port + offset) for port in PORTS))


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(eq=False, slots=True, kw_only=True)
class Process:
    """A process of ours; ``name`` is the series that it is part of, ``since`` when it began.

    ``since`` and ``until`` count by the monotonic clock, in seconds.
    """

    name: str
    process: subprocess.Popen[bytes]
    said: Path
    since: float
    until: float | None = None

    def is_at_work(self) -> bool:
        """Tell whether it has said what it offers, as a worker does when it is ready."""
        return "offers" in self.said.read_text()


@dataclass(slots=True, kw_only=True)
class Soaked:
    """The trading example, and all processes that were started to break and to watch it.

    What each of these prints is kept in the folder ``words``.
    """

    settings: Settings
    words: Path
    offset: int = field(default_factory=free_offset)
    every: list[Process] = field(default_factory=list)

    @property
    def system(self) -> tuple[str, ...]:
        """The options that name the system under test."""
        return ("--topology", str(TOPOLOGY), "--port-offset", str(self.offset))

    @property
    def living(self) -> Sequence[Process]:
        """Those that have not ended."""
        return [one for one in self.every if one.until is None]

    def topology(self) -> Topology:
        """Return the system as workers know it."""
        directory = systems.state_directory(self.settings.home, TOPOLOGY)
        source = systems.Source(file=TOPOLOGY, port_offset=self.offset)
        return systems.read_topology(source, directory=directory)

    def services(self, deed: str) -> str:
        """Start or stop the services, or see how they are; return what is said of each."""
        words = (*_tcoord(), "services", deed, *self.system)
        done = subprocess.run(words, env=self._environment(), capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    def work(self, name: str, *options: str) -> Process:
        """Start a worker."""
        return self._start(name, ("worker", *self.system, *options))

    def follow(self, name: str, execution: ExecutionId, *, redis: bool) -> Process:
        """Start somebody who follows an execution to its end."""
        words = ("follow", str(execution), "--output", "json")
        return self._start(name, words, redis=redis)

    def kill(self, one: Process) -> None:
        """Kill a process as nothing can be done about it."""
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        one.until = time.monotonic()

    def end(self) -> None:
        """Tell all processes to end, and wait until they have."""
        for one in self.living:
            one.process.terminate()
        for one in self.living:
            try:
                one.process.wait(END_S_MAX)
            except subprocess.TimeoutExpired:
                print(f"{one.name} does not end; it is killed")
                self.kill(one)
            one.until = time.monotonic()

    def _start(self, name: str, words: Sequence[str], *, redis: bool = True) -> Process:
        said = self.words / f"said-{len(self.every) + 1}.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(
                [*_tcoord(), *words],
                env=self._environment(redis=redis),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.every.append(
            Process(name=name, process=process, said=said, since=time.monotonic()),
        )
        return self.every[-1]

    def _environment(self, *, redis: bool = True) -> Mapping[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TCOORD_")}
        known = {
            "PYTHONPATH": str(ROOT / "src"),
            "TCOORD_HOME": str(self.settings.home),
            "TCOORD_POSTGRES_URL": self.settings.postgres_url or "",
            "TCOORD_ALLOWED_PYTHON": CALLED,
        }
        if redis:
            known["TCOORD_REDIS_URL"] = self.settings.redis_url or ""
        return {**kept, **known}


async def fill(coordinator: Coordinator, length: timedelta) -> ExecutionId:
    """Have every short scenario run each `PERIOD`, and return a long execution that was ordered.

    It is carried out by the worker with the label `STAYS`, so that it is one worker's all along.
    """
    now = SystemClock().now()
    names = list(SHORT)
    for place, name in enumerate(names):
        stored = await coordinator.create_scenario(SHORT[name])
        anchor = now - 10 * PERIOD + place * PERIOD / len(names)
        schedule = Schedule(
            trigger=Every(period=PERIOD, anchor=anchor), rules=Rules(overlap=Overlap.FORBID)
        )
        await coordinator.schedule_scenario(stored, schedule, name=name, requested_by="soak")
    attended = await coordinator.create_scenario(ATTENDED)
    times = max(2, round(length / PULSE))
    return await coordinator.execute_scenario(
        attended, {"times": times}, detached=True, labels=(STAYS,), requested_by="soak"
    )


def _tcoord() -> tuple[str, ...]:
    return (sys.executable, "-m", "test_coordination")
