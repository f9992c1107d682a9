"""A worker that is stopped, cut off or killed is replaced in seconds, and spoils nothing after."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

import anyio
import pytest
from anyio import to_thread

from support.e2e_cut import Way, way_to
from support.e2e_log import is_gapless, never_reverted
from support.e2e_shop import Shop, shop
from support.e2e_terminal import Running, Said
from support.e2e_witness import Seen
from support.servers_witness import postgres_serves, target_urls, until
from test_coordination import Coordinator, Settings, Verdict, open_coordinator
from test_coordination.domain.events import Entry, ExecutionTakenOver, FaultReverted
from test_coordination.domain.values import ExecutionId

pytestmark = pytest.mark.timeout(200)

COUNTING = (sys.executable, str(Path(__file__).parents[1] / "support" / "e2e_zombie.py"))
# Five seconds are promised; the rest is for a machine on which others work as well.
TAKEOVER_S_MAX = 8.0
WRITES = re.compile(r"writes to (\S+): (\d+) accepted, (\d+) refused")
TAKEN = re.compile(r"another worker has taken it over|was taken over by another worker")

# The short waits keep its worker writing, so that it has something to say when it goes on.
SCENARIO = """
scenario: frozen-{service}
version: 1
steps:
  - {{id: break, fault: service.pause, target: {service}, hold: 60s, needs: []}}
  - {{id: first, wait: 200ms, needs: []}}
"""
WAITS = "".join(f"  - {{id: wait-{number}, wait: 200ms}}\n" for number in range(100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an execution whose worker fell silent, and of that worker.

    Once it was ``replaced`` somebody else froze the same service, and the worker went on: ``state``
    is what it left of that, ``later`` is the log after it had ended.
    """

    execution: ExecutionId
    said: Said
    log: tuple[Entry, ...]
    later: tuple[Entry, ...]
    took_s: float
    before: Seen
    replaced: Seen
    state: str
    verdict: Verdict | None

    @property
    def taken_over_at(self) -> int:
        """Return the position in the log from which on it is another worker's."""
        (position,) = (e.position for e in self.log if isinstance(e.event, ExecutionTakenOver))
        return position

    @property
    def writes(self) -> tuple[int, int]:
        """Return how many writes of the worker to this log were accepted, and how many refused."""
        (found,) = (
            (int(accepted), int(refused))
            for execution, accepted, refused in WRITES.findall(self.said.err)
            if execution == str(self.execution)
        )
        return found

    def is_settled(self) -> bool:
        """Tell whether the log is whole, and says that who took over has undone the fault."""
        later = [e.event for e in self.log if e.position > self.taken_over_at]
        assert any(isinstance(event, FaultReverted) for event in later)
        assert self.verdict is Verdict.COULD_NOT_RUN
        assert not never_reverted(self.log)
        assert self.replaced.pid == self.before.pid
        assert self.replaced.state != "T"
        return is_gapless(self.log)


@dataclass(slots=True, kw_only=True)
class Story:
    """Three runs, each on a service of its own, and a coordinator that stands by."""

    opened: Shop
    other: Coordinator
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    async def silenced(
        self,
        service: str,
        server: Path,
        *,
        falls_silent: Callable[[Running], Awaitable[None]],
        goes_on: Callable[[Running], Awaitable[None]],
    ) -> None:
        """Let one worker fall silent while its fault is in force, and go on once replaced."""
        before = self._process(service)
        running = await self._frozen(service, server)
        await falls_silent(running)
        since_s = monotonic()
        record = next(
            record
            for record in await self.other.list_executions(limit=10)
            if record.scenario_name == f"frozen-{service}"
        )
        log = [entry async for entry in self.other.follow_execution(record.id)]
        took_s = monotonic() - since_s
        replaced = self._process(service)
        os.kill(replaced.pid, signal.SIGSTOP)
        await goes_on(running)
        said = await to_thread.run_sync(running.ends)
        state = self._process(service).state
        os.kill(replaced.pid, signal.SIGCONT)
        report = await self.other.generate_test_report(record.id)
        self.outcomes[service] = Outcome(
            execution=record.id,
            said=said,
            log=tuple(log),
            later=report.log,
            took_s=took_s,
            before=before,
            replaced=replaced,
            state=state,
            verdict=report.verdict,
        )

    async def _frozen(self, service: str, server: Path) -> Running:
        path = self.opened.terminal.place / f"frozen-{service}.yaml"
        path.write_text(SCENARIO.format(service=service) + WAITS)
        environment = {"TCOORD_POSTGRES_URL": target_urls(server).postgres}
        running = self.opened.breaks(path, program=COUNTING, environment=environment)
        await to_thread.run_sync(running.prints, "in force")
        return running

    def _process(self, service: str) -> Seen:
        (process,) = self.opened.processes(service)
        return process


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Outcome]]:
    with shop() as opened:
        directory = opened.terminal.place / "own"
        server = opened.terminal.start("server", "postgres", "--directory", directory)
        anyio.run(until, partial(postgres_serves, target_urls(directory)))
        yield anyio.run(_told, opened, directory)
        server.gets(signal.SIGINT)
        server.ends()


async def _told(opened: Shop, server: Path) -> dict[str, Outcome]:
    place = opened.terminal.place / "way"
    settings = Settings(home=opened.terminal.home, postgres_url=target_urls(server).postgres)
    async with way_to(server, place) as way, open_coordinator(settings) as other:
        story = Story(opened=opened, other=other)
        stopped = partial(story.silenced, "shop", server, falls_silent=_stop, goes_on=_cont)
        cut, mend = partial(_cut, way), partial(_mend, way)
        cut_off = partial(story.silenced, "till", place, falls_silent=cut, goes_on=mend)
        killed = partial(story.silenced, "desk", server, falls_silent=_kill, goes_on=_nothing)
        async with anyio.create_task_group() as group:
            for one in (stopped, cut_off):
                group.start_soon(one)
        await killed()  # who would take over from it may no more fall silent
        return story.outcomes


async def _stop(running: Running) -> None:
    running.gets(signal.SIGSTOP)


async def _cont(running: Running) -> None:
    running.gets(signal.SIGCONT)


async def _kill(running: Running) -> None:
    running.gets(signal.SIGKILL)


async def _nothing(running: Running) -> None:
    del running


async def _cut(way: Way, running: Running) -> None:
    del running
    way.cut()


async def _mend(way: Way, running: Running) -> None:
    del running
    await way.mend()


def test_a_stopped_worker_is_replaced_and_nothing_that_it_writes_later_is_accepted(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = outcomes["shop"]

    assert outcome.is_settled()
    assert outcome.took_s < TAKEOVER_S_MAX
    assert outcome.state == "T", "its undo has let go of what is not its own any more"
    assert outcome.later == outcome.log
    accepted, refused = outcome.writes
    assert accepted == outcome.taken_over_at - 1
    # It may as well see first that its lease is over, and write no more by itself.
    with capsys.disabled():
        print(f"\nof the writes of a zombie {refused} were refused, and none was accepted")
    assert outcome.said.status == 4, outcome.said
    assert TAKEN.search(outcome.said.err), outcome.said


def test_a_worker_that_is_cut_off_from_its_store_is_replaced_and_spoils_nothing(
    outcomes: dict[str, Outcome],
) -> None:
    outcome = outcomes["till"]

    assert outcome.is_settled()
    assert outcome.took_s < TAKEOVER_S_MAX
    assert outcome.state == "T", "its undo has let go of what is not its own any more"
    assert outcome.later == outcome.log
    accepted, _ = outcome.writes
    assert accepted <= outcome.taken_over_at - 1
    assert outcome.said.status == 4, outcome.said
    assert TAKEN.search(outcome.said.err), outcome.said


def test_a_killed_worker_is_replaced_at_once(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["desk"]

    assert outcome.is_settled()
    assert outcome.took_s < TAKEOVER_S_MAX / 2
    assert outcome.said.status == -signal.SIGKILL
