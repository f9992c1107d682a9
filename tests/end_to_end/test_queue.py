"""Runs that want the same service: who waits for whom is seen, and nobody is let in too early."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import pytest

from support.e2e_log import aftermath
from support.e2e_shop import Shop, shop
from support.e2e_terminal import Running
from test_coordination.domain.events import Entry, Event, FaultArmed, FaultReverted
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.exits import EXIT_INTERRUPTED

pytestmark = pytest.mark.timeout(300)

BITTEN = " in force"
WAITS = "in the queue: for service/shop alone: held since "


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


def when(log: Sequence[Entry], kind: type[Event]) -> list[float]:
    """Return when events of that kind were written."""
    return [entry.at.timestamp() for entry in log if isinstance(entry.event, kind)]


def begun(shop: Shop, name: str, *more: str, outage: str = "100ms") -> Running:
    """Begin a run that pauses the shop."""
    scenario = shop.scenario(name)
    words = ("run", scenario, "--topology", shop.topology, "--set", f"outage={outage}", *more)
    return shop.terminal.start(*words)


def test_runs_of_one_service_wait_for_each_other_in_a_queue_that_can_be_seen(
    open_shop: Shop,
) -> None:
    first = begun(open_shop, "first", outage="1m")
    first.prints(BITTEN)
    waiting = [begun(open_shop, "later"), begun(open_shop, "urgent", "--priority", "7")]
    for running in waiting:
        running.prints(WAITS)

    shown = open_shop.terminal.run("executions", "--queued").out
    first.gets(signal.SIGINT)
    ends = [running.ends() for running in (first, *waiting)]

    assert [end.status for end in ends] == [EXIT_INTERRUPTED, 0, 0], ends
    urgent, why, _, later, *_ = shown.splitlines()
    assert urgent.startswith("   1  ")
    assert "  urgent  (by " in urgent
    assert ", priority 7)" in urgent
    assert why.startswith("      for service/shop alone: held since ")
    assert later.startswith("   2  ")
    assert "  later  (by " in later
    assert not open_shop.trouble()


def test_what_a_killed_run_held_is_let_go_only_when_its_fault_is_undone(open_shop: Shop) -> None:
    killed = begun(open_shop, "killed", outage="1m")
    killed.prints(BITTEN)
    heir = begun(open_shop, "heir")
    heir.prints(WAITS)

    killed.dies()
    end = heir.ends()

    assert end.status == 0, end
    found = aftermath(open_shop.terminal.home, known=())
    second, first = found.records[:2]
    assert (first.verdict, second.verdict) == (Verdict.COULD_NOT_RUN, Verdict.HELD)
    (undone_at,) = when(found.logs[first.id], FaultReverted)
    (armed_at,) = when(found.logs[second.id], FaultArmed)
    assert undone_at < armed_at
    assert not open_shop.trouble()
