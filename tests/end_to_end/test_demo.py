"""``tcoord demo``: the first thing that anybody tries."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.e2e_log import past
from support.e2e_terminal import Said, Terminal, terminal
from support.e2e_witness import belonging, left_running
from test_coordination import Verdict
from test_coordination.domain.execution import Status

pytestmark = pytest.mark.timeout(600)

DEMO_S_MAX = 300.0


@pytest.fixture
def fresh() -> Iterator[Terminal]:
    with terminal() as lent:
        yield lent


def _report(said: Said) -> str:
    found = re.search(r"^report: file://(\S+)$", said.out, re.MULTILINE)
    assert found, said
    return Path(found[1]).read_text()


def test_the_fragile_build_loses_orders_and_the_demo_says_so(fresh: Terminal) -> None:
    said = fresh.run("demo", "--build", "fragile", within_s=DEMO_S_MAX)
    left = left_running(fresh.place)
    lost = re.search(r"none-lost \(during\) broken: observed (\d+)", said.out)

    assert said.status == 1, said
    assert lost, said.out
    assert int(lost[1]) > 0
    assert "BROKEN" in said.out
    assert "broken" in _report(said).lower()
    assert left == []


def test_a_demo_that_is_killed_is_cleared_away_by_the_next_one_which_holds(
    fresh: Terminal,
) -> None:
    first = fresh.start("demo")
    first.prints("in force")
    first.dies()
    orphans = {process.pid for process in belonging(fresh.place)}

    second = fresh.run("demo", within_s=DEMO_S_MAX)
    left = left_running(fresh.place)
    found = past(fresh.home)

    assert orphans
    assert second.status == 0, second
    assert "HELD  all 12 checks held, and every fault is undone" in second.out
    assert "held" in _report(second).lower()
    assert left == []
    assert [record.verdict for record in found.records] == [Verdict.HELD, Verdict.COULD_NOT_RUN]
    assert all(one.status is Status.FINISHED and not one.outstanding for one in found.records)
    assert not any(Path(f"/proc/{pid}").exists() for pid in orphans)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_demo_that_is_interrupted_while_it_starts_stops_what_it_started(
    fresh: Terminal, number: signal.Signals
) -> None:
    running = fresh.start("demo")
    running.prints("starting the hardened trading system")
    while not any("trading.exchange" in process.command for process in belonging(fresh.place)):
        assert running.process.poll() is None, running.ends()

    running.gets(number)
    said = running.ends()

    assert said.status == 130, said
    assert left_running(fresh.place) == []


def test_a_demo_holds_where_its_usual_ports_are_taken(fresh: Terminal) -> None:
    first = fresh.start("demo")
    first.prints("all services are healthy")
    ports = _ports(fresh)
    second = fresh.start("demo")
    second.prints("all services are healthy")
    both = _ports(fresh)
    for running in (first, second):
        os.kill(running.process.pid, signal.SIGINT)

    assert [running.ends().status for running in (first, second)] == [130, 130]
    assert len(ports) == 1
    assert len(both) == 2
    assert left_running(fresh.place) == []


def _ports(fresh: Terminal) -> set[str]:
    """Return on which ports auditors of this home listen: exchanges come and go in a demo."""
    found = set()
    for process in belonging(fresh.place):
        if process.command.endswith("-m trading.auditor"):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            found |= {word.decode() for word in environment if word.startswith(b"TRADING_PORT=")}
    return found
