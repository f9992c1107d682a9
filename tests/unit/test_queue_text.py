"""What is told of those that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import anyio
import click

from support.virtual_time import virtual
from test_coordination.application.fleet import Waiting
from test_coordination.domain.admission import Claim, ClaimKind, Holding, Obstacle
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId
from test_coordination.interfaces.cli.queue_text import queue_document, queue_lines, reasons
from test_coordination.interfaces.cli.queueing import SEEN, tell_of_the_queue

SINCE = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC).astimezone()
CLOCK = f"{SINCE:%H:%M:%S}"
ONE, TWO = (ExecutionId(UUID(int=number)) for number in (1, 2))
NETWORK = Claim(system="s", kind=ClaimKind.POOL, name="network", slots=2, size=3)
SHOP = Claim(system="s", kind=ClaimKind.EXCLUSIVE, name="service/shop")
BOOKS = Claim(system="s", kind=ClaimKind.SHARED, name="books")
WAITING = Waiting(
    execution=ONE,
    scenario="break",
    requested_by="ann",
    priority=0,
    since=SINCE,
    place=3,
    detached=False,
    requires=frozenset(),
    admitted_at=None,
    obstacles=(),
)


def obstacle(claim: Claim, *, residue: bool = False, reserved: bool = False) -> Obstacle:
    holding = Holding(
        claim=replace(claim, slots=1),
        by=TWO,
        scenario="other",
        since=SINCE,
        residue=residue,
        reserved=reserved,
    )
    return Obstacle(claim=claim, holding=holding)


def test_each_thing_is_told_with_all_who_are_in_the_way_of_it() -> None:
    shared = obstacle(BOOKS, reserved=True)
    waiting = replace(
        WAITING,
        obstacles=(obstacle(SHOP, residue=True), shared, *[obstacle(NETWORK)] * 2),
    )
    other = f"execution {TWO} (other)"
    held = f"held since {CLOCK} by {other}"

    assert list(reasons(waiting)) == [
        f"for service/shop alone: {held}, which did not undo its faults: see `tcoord undo`",
        f"for books beside others: kept for {other}, which waits since {CLOCK}",
        f"for 2 of the 3 slots of network: {held}, 1 slot, {held}, 1 slot",
    ]


def test_one_in_whose_way_nothing_is_is_told_so() -> None:
    admitted = replace(WAITING, place=0, admitted_at=SINCE)
    lacking = replace(WAITING, place=0, detached=True, lacks="no worker is at work")

    assert [*reasons(WAITING)] == ["for nothing: it is let in next"]
    assert [*reasons(admitted)] == ["let in; its worker begins it"]
    assert [*reasons(replace(admitted, detached=True))] == ["let in; for a worker"]
    assert [*reasons(lacking)] == ["for a worker: no worker is at work"]
    assert [*reasons(replace(admitted, detached=True, released="given back by worker 7: why"))] == [
        "let in; for a worker",
        "not for the first time: given back by worker 7: why",
    ]


def test_a_line_tells_the_place_since_when_and_who_asked_how_urgently() -> None:
    urgent = replace(WAITING, priority=-2, requested_by="", place=12)
    lines = [click.unstyle(line) for line in queue_lines([WAITING, urgent], columns=80)]

    assert lines[0] == f"   3  {ONE}  {SINCE:%Y-%m-%d %H:%M:%S}  break  (by ann)"
    assert lines[2] == f"  12  {ONE}  {SINCE:%Y-%m-%d %H:%M:%S}  break  (by nobody, priority -2)"
    assert lines[1] == lines[3] == "      for nothing: it is let in next"


def test_a_program_reads_what_is_in_the_way() -> None:
    waiting = replace(WAITING, obstacles=(obstacle(SHOP, reserved=True), obstacle(NETWORK)))

    found = queue_document(waiting)

    assert (found["id"], found["place"], found["admitted_at"]) == (str(ONE), 3, None)
    assert found["waits_for"] == [
        {
            "system": "s", "kind": "exclusive", "name": "service/shop", "slots": None,
            "size": None, "held_by": str(TWO), "scenario": "other", "since": SINCE.isoformat(),
            "holds": False, "residue": False,
        },
        {
            "system": "s", "kind": "pool", "name": "network", "slots": 2, "size": 3,
            "held_by": str(TWO), "scenario": "other", "since": SINCE.isoformat(),
            "holds": True, "residue": False,
        },
    ]  # fmt: skip


class Heard:
    """A progress that keeps what it is told of the queue."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def show(self, entry: Entry, state: Execution) -> None:
        raise NotImplementedError

    def wait(self, state: Execution, waited: timedelta) -> None:
        raise NotImplementedError

    def queued(self, why: str) -> None:
        self.lines.append((anyio.current_time(), why))


class Teller:
    """What of a coordinator is asked: it tells of the queue from one time on."""

    def __init__(self, *told: tuple[float, Sequence[Waiting] | None]) -> None:
        self.told = told

    async def waiting_executions(self, *, limit: int) -> Sequence[Waiting]:
        assert limit == SEEN
        now = anyio.current_time()
        found = [waiting for since, waiting in self.told if since <= now][-1]
        if found is None:
            raise StoreUnavailableError(store="the store", doing="looking into the queue")
        return found


@virtual
async def test_a_run_tells_what_it_waits_for_when_that_changes_and_its_place_now_and_then() -> None:
    heard = Heard()
    held = replace(WAITING, obstacles=(obstacle(SHOP),))
    told = Teller(
        (0, [held]),
        (3, [replace(held, place=2)]),
        (5, [replace(held, place=2, obstacles=(obstacle(BOOKS),))]),
        (7, None),
        (9, [replace(WAITING, execution=TWO)] * SEEN),
        (11, [replace(WAITING, place=0, admitted_at=SINCE)]),
    )

    await tell_of_the_queue(told, ONE, heard)

    other = f"held since {CLOCK} by execution {TWO} (other)"
    assert [(at, line.split(" by exec")[0]) for at, line in heard.lines[:2]] == [
        (0.5, f"waits, number 3 in the queue: for service/shop alone: held since {CLOCK}"),
        (6.5, f"waits, number 2 in the queue: for books beside others: held since {CLOCK}"),
    ]
    assert other in heard.lines[0][1]
    assert heard.lines[2][1].startswith("waits in the queue: the store went away")
    assert heard.lines[3] == (10.5, f"waits behind {SEEN} others: for its turn")
    assert len(heard.lines) == 4


@virtual
async def test_what_begins_at_once_is_not_told_to_have_waited() -> None:
    heard = Heard()

    await tell_of_the_queue(Teller((0, [])), ONE, heard)

    assert heard.lines == []
