"""Runs that want the same service: who waits for whom is seen, and nobody is let in too early."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from support.e2e_log import aftermath
from support.e2e_shop import Shop, shop
from support.e2e_terminal import Running
from test_coordination.domain.events import Entry, Event, FaultArmed, FaultReverted
from test_coordination.domain.verdicts import Verdict

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


def test_runs_of_one_service_wait_for_each_other_also_for_the_undo_of_one_that_is_killed(
    open_shop: Shop,
) -> None:
    first = begun(open_shop, "first", outage="1m")
    first.prints(BITTEN)
    waiting = [begun(open_shop, "later"), begun(open_shop, "urgent", "--priority", "7")]
    for running in waiting:
        running.prints(WAITS)

    shown = open_shop.terminal.run("executions", "--queued").out
    first.dies()
    ends = [running.ends() for running in waiting]

    assert [end.status for end in ends] == [0, 0], ends
    urgent, why, _, later, *_ = shown.splitlines()
    assert urgent.startswith("   1  ")
    assert "  urgent  (by " in urgent
    assert ", priority 7)" in urgent
    assert why.startswith("      for service/shop alone: held since ")
    assert later.startswith("   2  ")
    assert "  later  (by " in later
    found = aftermath(open_shop.terminal.home, known=())
    logs = {record.scenario_name: found.logs[record.id] for record in found.records}
    verdicts = {record.scenario_name: record.verdict for record in found.records}
    assert verdicts == {
        "first": Verdict.COULD_NOT_RUN, "urgent": Verdict.HELD, "later": Verdict.HELD,
    }  # fmt: skip
    (undone,), (urgent_armed,) = (
        when(logs["first"], FaultReverted),
        when(logs["urgent"], FaultArmed),
    )
    (urgent_undone,) = when(logs["urgent"], FaultReverted)
    (later_armed,) = when(logs["later"], FaultArmed)
    assert undone < urgent_armed < urgent_undone < later_armed
    assert not open_shop.trouble()
