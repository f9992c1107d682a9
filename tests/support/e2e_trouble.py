"""A fleet at work on stores that get into trouble, and what is asked of it afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from support.e2e_cut import Way, way_to
from support.e2e_fleet import HELD, Fleet, assert_settled, fleet, found, leave, posted
from support.e2e_ordeal import Market, market
from support.e2e_stores import Store, small_disk, store
from support.e2e_terminal import TCOORD, Running
from support.servers_witness import target_urls
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.events import Entry
from test_coordination.domain.values import ExecutionId

FULL: Final = os.environ.get("TCOORD_TEST_TROUBLE") == "full"
"""Whether stores are in trouble for as long as is promised, and in every way; it takes minutes."""

IMPATIENT: Final = (sys.executable, str(Path(__file__).with_name("e2e_impatient.py")))
DISK_MB: Final = 160
PATIENCE_S: Final = 120.0
WORKERS: Final = 2


@dataclass(slots=True, kw_only=True)
class Scene:
    """A market, its two stores, and the workers that carry out what is left to them.

    The stores are reached by ``way``, which may lead to another place later. ``small`` tells
    whether the disk of PostgreSQL is one that can be filled.
    """

    market: Market
    postgres: Store
    redis: Store
    workers: Fleet
    way: Way
    portal: BlockingPortal
    small: bool
    left: list[ExecutionId] = field(default_factory=list)

    def run(self, *, hold: str, then: str = "", program: tuple[str, ...] = TCOORD) -> Running:
        """Run what pauses a service for a while, and return once it stands still."""
        file = self.scenario(hold=hold, then=then)
        words = ("run", file, "--topology", self.market.topology.file)
        running = self.market.terminal.start(*words, program=program)
        running.prints("in force")
        return running

    def scenario(self, *, hold: str, then: str = "") -> Path:
        """Write what pauses a service for a while, and does then what is said in its language."""
        file = self.market.terminal.place / "held.yaml"
        file.write_text(HELD.format(fault="pause", target="till", hold=hold) + then)
        return file

    def leave(self, names: Sequence[str]) -> Sequence[ExecutionId]:
        """Leave scenarios of the mix to the workers, and return once one of them has begun."""
        executions = anyio.run(leave, self.market, names)
        self.left += executions
        self._until(lambda said: any(f"taken   {each}" in said for each in executions))
        return executions

    def ended(self, executions: Sequence[ExecutionId]) -> None:
        """Return once a worker has said of each that it has ended."""
        self._until(lambda said: all(f"ended   {each}" in said for each in executions))

    def _until(self, holds: Callable[[str], bool]) -> None:
        limit = monotonic() + PATIENCE_S
        while not holds(said := "".join(one.out() for one in self.workers.living)):
            assert monotonic() < limit, said + "".join(one.err() for one in self.workers.living)
            sleep(0.05)

    def lead(self) -> None:
        """Lead to where PostgreSQL is now."""
        self.portal.call(self.way.lead, self.postgres.directory)

    def past(self) -> Mapping[ExecutionId, tuple[ExecutionRecord, Sequence[Entry]]]:
        """Return all executions that there were, and their logs."""
        records, logs = anyio.run(partial(found, self.market, logs=True))
        return {record.id: (record, logs[record.id]) for record in records}

    def assert_true(self) -> None:
        """Assert that nothing is lost, in force, doubled, or told as what it is not."""
        past = self.past()
        assert self.market.trouble() == []
        assert past.keys() >= set(self.left)
        for record, log in past.values():
            if record.detached:
                assert_settled(record, log)
            assert record.outstanding == 0
        assert max(posted(self.market).values(), default=1) == 1, "what is done once was done twice"
        for one in self.workers.living:
            assert "Traceback" not in one.err()
            assert "a bug of ours" not in one.out()


@contextmanager
def scene() -> Iterator[Scene]:
    """Lend a scene on which nothing has happened yet."""
    with ExitStack() as stack:
        shop = stack.enter_context(market())
        terminal = shop.terminal
        disk = terminal.place / "disk"
        small = stack.enter_context(small_disk(disk, megabytes=DISK_MB))
        postgres = stack.enter_context(store(terminal, "postgres", disk / "first"))
        redis = stack.enter_context(store(terminal, "valkey", terminal.place / "cache"))
        portal = stack.enter_context(start_blocking_portal())
        place = terminal.place / "way"
        leading = portal.wrap_async_context_manager(way_to(postgres.directory, place))
        way = stack.enter_context(leading)
        terminal.variables_given |= {
            "TCOORD_POSTGRES_URL": target_urls(place).postgres,
            "TCOORD_REDIS_URL": redis.urls.redis,
        }
        workers = stack.enter_context(fleet(shop, WORKERS))
        yield Scene(
            market=shop,
            postgres=postgres,
            redis=redis,
            workers=workers,
            way=way,
            portal=portal,
            small=small,
        )
