"""Workers that come and go, and a mix of scenarios that is left to them."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from support.e2e_log import is_gapless, never_reverted, of_kind
from support.e2e_ordeal import Market
from support.e2e_terminal import Running
from test_coordination import Settings, open_coordinator
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import (
    Entry,
    ExecutionEnded,
    ExecutionStarted,
    ExecutionTakenOver,
    Noted,
    StepEnded,
)
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, WorkerId
from test_coordination.domain.verdicts import Verdict

HELD = """
scenario: {fault}-{target}
version: 1
probes:
  one: {{http: "GET http://${{{{ services.{target}.address }}}}/health", every: 100ms, timeout: 5s}}
steps:
  - {{id: break, fault: service.{fault}, target: {target}, hold: {hold}}}
  - {{id: back, expect: probes.one.last.status == 200, within: 20s, after_fault: break}}
"""
SLOWED = """
scenario: slowed
version: 1
probes:
  way: {http: "GET http://${{ links.till_to_shop }}/health", every: 100ms, timeout: 5s}
steps:
  - parallel:
      - {id: slow, fault: latency, target: shop, with: {from: till, delay: 120ms}, hold: 600ms}
      - {id: meanwhile, wait: 300ms}
  - {id: back, expect: probes.way.last.ms < 100.0, within: 20s, after_fault: slow}
"""
CALM = """
scenario: calm
version: 1
probes:
  shop: {http: "GET http://${{ services.shop.address }}/health", every: 100ms, timeout: 5s}
steps:
  - {id: first, wait: 300ms}
  - id: look
    probe: {http: "GET http://${{ services.shop.address }}/health"}
    retry: {attempts: 9, delay: 500ms}
  - {id: second, wait: 400ms}
  - {id: fine, expect: probes.shop.last.status == 200, within: 20s}
"""
POSTED = """
scenario: posted
version: 1
probes:
  shop: {http: "GET http://${{ services.shop.address }}/health", every: 100ms, timeout: 5s}
steps:
  - {id: first, wait: 100ms}
  - id: post
    action: http.post
    with: {url: "http://${{ services.desk.address }}/once?k=${{ execution.seed }}"}
  - {id: second, wait: 200ms}
  - {id: fine, expect: probes.shop.last.status == 200, within: 20s}
"""
NESTED = """
scenario: nested
version: 1
steps:
  - {id: inner, scenario: pause-till}
  - {id: after, wait: 100ms}
"""
MIX: Mapping[str, str] = {
    "pause-till": HELD.format(fault="pause", target="till", hold="500ms"),
    "stop-till": HELD.format(fault="stop", target="till", hold="300ms"),
    "kill-shop": HELD.format(fault="kill", target="shop", hold="300ms"),
    "slowed": SLOWED,
    "calm": CALM,
    "posted": POSTED,
    "nested": NESTED,
}
FOR_HARMLESS = frozenset({"calm"})
"""Those that nothing but time and looks make up: whoever carries them on comes to their end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A worker that was killed, and when."""

    worker: WorkerId
    at: datetime


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The workers of a market."""

    market: Market
    living: list[Running] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)

    def grow(self) -> None:
        """Start one more worker; it is at work a second or two later."""
        words = ("worker", "--topology", self.market.topology.file)
        self.living.append(self.market.terminal.start(*words))

    def lose(self, one: Running) -> None:
        """Kill a worker, which has said who it is."""
        said = one.out().split()
        one.process.send_signal(signal.SIGKILL)
        died = datetime.now(UTC)  # noqa: TID251  to be compared with what workers wrote
        one.process.wait()
        self.living.remove(one)
        if said:
            name = said[1].rstrip(":")
            self.deaths.append(Death(worker=WorkerId(UUID(name)), at=died))

    def end(self) -> None:
        """Tell all of them to end."""
        for one in self.living:
            one.gets(signal.SIGTERM)
        for one in self.living:
            one.ends()


def is_at_work(one: Running) -> bool:
    """Tell whether a worker says that it has an execution in hand."""
    said = [line.split()[0] for line in one.out().splitlines()]
    return said.count("taken") > said.count("ended") + said.count("back")


@contextmanager
def fleet(market: Market, count: int) -> Iterator[Fleet]:
    """Lend so many workers that are at work."""
    lent = Fleet(market=market)
    try:
        for _ in range(count):
            lent.grow()
        for one in lent.living:
            one.prints("offers")
        yield lent
    finally:
        lent.end()


def _settings(market: Market) -> Settings:
    """Return where the commands of a market have their stores."""
    return Settings.read(market.terminal.variables(), user=os.geteuid())


async def leave(market: Market, names: Sequence[str]) -> list[ExecutionId]:
    """Leave an execution of each of ``names`` to the workers."""
    async with open_coordinator(_settings(market), topology=market.topology) as coordinator:
        stored = {name: await coordinator.create_scenario(MIX[name]) for name in MIX}
        return [
            await coordinator.execute_scenario(stored[name], detached=True, requested_by="ann")
            for name in names
        ]


async def found(
    market: Market, *, logs: bool = False
) -> tuple[Sequence[ExecutionRecord], Mapping[ExecutionId, Sequence[Entry]]]:
    """Return all executions, and their logs if those are asked for."""
    async with open_coordinator(_settings(market), topology=market.topology) as coordinator:
        records = await coordinator.list_executions(limit=100_000)
        if not logs:
            return records, {}
        read = {}
        for record in records:
            report = await coordinator.generate_test_report(record.id)
            read[record.id] = report.log
        return records, read


def takeovers(deaths: Sequence[Death], logs: Mapping[ExecutionId, Sequence[Entry]]) -> list[float]:
    """Return in how many seconds each execution of a worker that died was carried on.

    Those are left out that end as soon as what was in force is undone.
    """
    return [
        (min(taken) - death.at) / timedelta(seconds=1)
        for death in deaths
        for log in logs.values()
        if _holder(log, death.at) == death.worker
        and (taken := [entry.at for entry in log if entry.at > death.at and _is_taken(entry)])
    ]


def _is_taken(entry: Entry) -> bool:
    return isinstance(entry.event, ExecutionTakenOver)


def _holder(log: Sequence[Entry], at: datetime) -> WorkerId | None:
    holder = None
    for entry in log:
        if entry.at <= at and isinstance(entry.event, ExecutionStarted | ExecutionTakenOver):
            holder = entry.event.worker
    return holder


def posted(market: Market) -> Mapping[str, int]:
    """Return how often each execution's key was posted."""
    url = f"http://127.0.0.1:{market.ports['desk']}/posted"
    with urllib.request.urlopen(url, timeout=5) as reply:
        counts: dict[str, int] = json.loads(reply.read())
    return counts


def assert_settled(record: ExecutionRecord, log: Sequence[Entry]) -> None:
    """Assert that an execution has an end, with nothing in force, and a verdict that it earned.

    After the end there may be notes on how it was shown.
    """
    name, ended = record.scenario_name, Execution.of(record.id, log)
    last = [entry for entry in log if not isinstance(entry.event, Noted)][-1]
    assert is_gapless(log), name
    assert record.end == len(log), name
    assert (record.status, record.outstanding) == (Status.FINISHED, 0), name
    assert isinstance(last.event, ExecutionEnded), name
    assert len(of_kind(log, ExecutionEnded)) == 1, name
    assert not never_reverted(log), name
    codes = {event.code for event in of_kind(log, StepEnded) if isinstance(event, StepEnded)}
    if ended.abort is not None:
        assert record.verdict is Verdict.STOPPED, name
    elif "worker.lost" in codes:
        assert record.verdict is not Verdict.HELD, name
    elif not ended.handovers or name in FOR_HARMLESS:
        assert record.verdict in {Verdict.HELD, Verdict.INCONCLUSIVE}, (name, ended.reason)
