"""A worker that is stopped, cut off or killed is replaced in seconds, and spoils nothing after."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from time import monotonic

import anyio
import pytest
from anyio import to_thread

from support.e2e_cut import way_to
from support.e2e_log import is_gapless, never_reverted
from support.e2e_shop import Shop, shop
from support.e2e_terminal import NOTHING, Running, Said
from support.e2e_witness import Seen
from support.servers_witness import postgres_serves, target_urls, until
from test_coordination import Coordinator, Settings, Verdict, open_coordinator
from test_coordination.domain.events import Entry, ExecutionTakenOver, FaultReverted
from test_coordination.domain.values import ExecutionId

pytestmark = pytest.mark.timeout(200)

COUNTING = (sys.executable, str(Path(__file__).parents[1] / "support" / "e2e_zombie.py"))
# Five seconds are promised; the rest is for a machine on which others work as well.
TAKEOVER_S_MAX = 8.0
WRITES = re.compile(r"writes: (\d+) accepted, (\d+) refused")

# The short waits keep its worker writing, so that it has something to say when it goes on.
SCENARIO = """
scenario: frozen
version: 1
steps:
  - {id: break, fault: service.pause, target: shop, hold: 60s, needs: []}
  - {id: first, wait: 200ms, needs: []}
"""
WAITS = "".join(f"  - {{id: wait-{number}, wait: 200ms}}\n" for number in range(100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What another worker made of an execution, and how long after its worker was last there."""

    execution: ExecutionId
    log: tuple[Entry, ...]
    took_s: float

    @property
    def taken_over_at(self) -> int:
        """Return the position in the log from which on it is another worker's."""
        (position,) = (e.position for e in self.log if isinstance(e.event, ExecutionTakenOver))
        return position


@pytest.fixture(scope="module")
def opened() -> Iterator[Shop]:
    with shop() as lent:
        directory = _server(lent)
        running = lent.terminal.start("server", "postgres", "--directory", directory)
        anyio.run(until, partial(postgres_serves, target_urls(directory)))
        yield lent
        running.gets(signal.SIGINT)
        running.ends()


def _server(opened: Shop) -> Path:
    return opened.terminal.place / "own"


def alone(
    test: Callable[[Shop], Coroutine[None, None, None]],
) -> Callable[[Shop], None]:
    """Run an asynchronous test in a loop of its own, in the main thread."""

    @wraps(test)
    def run(opened: Shop) -> None:
        anyio.run(test, opened)

    return run


@asynccontextmanager
async def _standing_by(opened: Shop) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator that has nothing to do until another worker falls silent."""
    url = target_urls(_server(opened)).postgres
    settings = Settings(home=opened.terminal.home, postgres_url=url)
    async with open_coordinator(settings) as coordinator:
        yield coordinator


async def _frozen(opened: Shop, *, environment: Mapping[str, str] = NOTHING) -> Running:
    """Return a run whose fault is in force."""
    path = opened.terminal.place / "frozen.yaml"
    path.write_text(SCENARIO + WAITS)
    url = target_urls(_server(opened)).postgres
    given = {"TCOORD_POSTGRES_URL": url, **environment}
    running = opened.breaks(path, program=COUNTING, environment=given)
    await to_thread.run_sync(running.prints, "in force")
    return running


async def _replaced(coordinator: Coordinator, *, since_s: float) -> Replaced:
    """Return what was made of the newest execution, once it has ended."""
    (record,) = await coordinator.list_executions(limit=1)
    log = [entry async for entry in coordinator.follow_execution(record.id)]
    took_s = monotonic() - since_s
    return Replaced(execution=record.id, log=tuple(log), took_s=took_s)


def _service(opened: Shop) -> Seen:
    (process,) = opened.processes("shop")
    return process


async def _spoils_nothing(opened: Shop, running: Running) -> Said:
    """Return how a worker ended after it was replaced, with the shop frozen by somebody else."""
    said = await to_thread.run_sync(running.ends)
    state = _service(opened).state
    os.kill(_service(opened).pid, signal.SIGCONT)

    assert state == "T", "its undo, which others had done, has let go of what is not its own"
    assert said.status == 4, said
    assert re.search("another worker has taken it over|taken over by another worker", said.err)
    return said


def _is_settled(replaced: Replaced) -> bool:
    """Tell whether the log is whole, and says that the fault was undone by who took over."""
    later = [e.event for e in replaced.log if e.position > replaced.taken_over_at]
    assert any(isinstance(event, FaultReverted) for event in later)
    assert not never_reverted(replaced.log)
    assert replaced.took_s < TAKEOVER_S_MAX
    return is_gapless(replaced.log)


def _writes(said: Said) -> tuple[int, int]:
    """Return how many writes of a worker were accepted, and how many refused."""
    found = WRITES.search(said.err)
    assert found is not None, said
    return int(found[1]), int(found[2])


@alone
async def test_a_stopped_worker_is_replaced_and_nothing_that_it_writes_later_is_accepted(
    opened: Shop,
) -> None:
    async with _standing_by(opened) as other:
        before = _service(opened)
        running = await _frozen(opened)
        running.gets(signal.SIGSTOP)
        replaced = await _replaced(other, since_s=monotonic())
        after = _service(opened)
        os.kill(after.pid, signal.SIGSTOP)
        running.gets(signal.SIGCONT)
        said = await _spoils_nothing(opened, running)
        later = await other.generate_test_report(replaced.execution)

    assert _is_settled(replaced)
    assert later.log == replaced.log
    assert (after.pid, after.state) == (before.pid, before.state)
    accepted, refused = _writes(said)
    assert accepted == replaced.taken_over_at - 1
    assert refused > 0


@alone
async def test_a_worker_that_is_cut_off_from_its_store_is_replaced_and_spoils_nothing(
    opened: Shop,
) -> None:
    place = opened.terminal.place / "way"
    async with way_to(_server(opened), place) as way, _standing_by(opened) as other:
        url = target_urls(place).postgres
        running = await _frozen(opened, environment={"TCOORD_POSTGRES_URL": url})
        way.cut()
        replaced = await _replaced(other, since_s=monotonic())
        os.kill(_service(opened).pid, signal.SIGSTOP)
        await way.mend()
        said = await _spoils_nothing(opened, running)
        later = await other.generate_test_report(replaced.execution)

    assert _is_settled(replaced)
    assert later.log == replaced.log
    accepted, _ = _writes(said)
    assert accepted <= replaced.taken_over_at - 1


@alone
async def test_a_killed_worker_is_replaced_at_once(opened: Shop) -> None:
    async with _standing_by(opened) as other:
        running = await _frozen(opened)
        running.gets(signal.SIGKILL)
        replaced = await _replaced(other, since_s=monotonic())
        (record,) = await other.list_executions(limit=1)
        running.ends()

    assert _is_settled(replaced)
    assert replaced.took_s < TAKEOVER_S_MAX / 2
    assert record.verdict is Verdict.COULD_NOT_RUN
    assert not opened.trouble()
