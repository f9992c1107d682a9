"""What it costs to let executions in, however many wait.

    python benchmarks/admission.py

Thousands wait in PostgreSQL. Either each wants something else, and all of them are let in at once;
or they want the same, and each is let in when the one before has ended. The cost for each must
not grow with how many wait: against 1,000 stand 10,000, in one run. It grows with how many
different things they want that cannot be had, which the last line is about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import anyio

from log_ingestion import START, create, store  # type: ignore[import-not-found]  # beside it
from test_coordination.adapters.machine import TimeOrderedIdentities
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import Pool
from test_coordination.adapters.postgres.queue import PostgresQueue
from test_coordination.application.ports import ExecutionLog
from test_coordination.domain.events import Entry, Event, ExecutionEnded, ExecutionTakenOver
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Claims
from test_coordination.domain.values import ExecutionId, WorkerId
from test_coordination.domain.verdicts import Verdict

SIZES = (1_000, 10_000)
TURNS = 100
HANDS = 8
REQUESTERS = 7
SERVICES = 100
GOAL = 2.0

NEW = TimeOrderedIdentities()
CLEAR = "TRUNCATE waiting_execution, lane_turn, admission, claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who waits for what, by their numbers."""

    name: str
    claims: Callable[[int], Claims]


def alone(number: int) -> Claims:
    """Return a claim that nobody else has."""
    return Claims(exclusive=(f"thing/{number}",))


def one_lock(_number: int) -> Claims:
    """Return the claim that everybody has."""
    return Claims(exclusive=("service/shop",))


def few_slots(number: int) -> Claims:
    """Return a claim to one of many services, and to one of four slots."""
    service = f"service/{number % SERVICES}"
    return Claims(exclusive=(service,), pools={"network": 1}, sizes={"network": 4})


def a_slot_and_a_thing(number: int) -> Claims:
    """Return a claim to what nobody else wants, and to one of four slots."""
    return Claims(exclusive=(f"thing/{number}",), pools={"network": 1}, sizes={"network": 4})


AT_ONCE = Crowd(name="each wants something else", claims=alone)
IN_TURN = (
    Crowd(name="all want one lock", claims=one_lock),
    Crowd(name=f"{SERVICES} services, 4 slots", claims=few_slots),
    Crowd(name="a service each, 4 slots", claims=a_slot_and_a_thing),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where they wait."""

    pool: Pool
    log: ExecutionLog
    queue: PostgresQueue


async def come(place: Place, crowd: Crowd, size: int) -> None:
    """Let ``size`` executions come to an empty queue, by some requesters."""
    like = await place.log.get(ExecutionId(await create(place.pool, place.log)))
    await place.pool.execute(CLEAR)
    numbers = iter(range(size))

    async def bring() -> None:
        for number in numbers:
            record = replace(
                like,
                id=ExecutionId(NEW.new()),
                plan=replace(like.plan, claims=crowd.claims(number)),
                requested_by=f"user {number % REQUESTERS}",
            )
            await place.log.create(record)

    async with anyio.create_task_group() as group:
        for _ in range(HANDS):
            group.start_soon(bring)
    await place.pool.execute("ANALYZE waiting_execution")


async def end(log: ExecutionLog, execution: ExecutionId) -> None:
    """End an execution that was let in."""
    events: tuple[Event, ...] = (
        ExecutionTakenOver(worker=WorkerId(NEW.new()), reason="it is measured"),
        ExecutionEnded(verdict=Verdict.HELD, reason=""),
    )
    entries = [Entry(position=at, at=START, event=event) for at, event in enumerate(events, 1)]
    await log.append(entries, leading_to=Execution.of(execution, entries), epoch=1)


async def at_once(place: Place, size: int) -> float:
    """Return how many seconds it takes for each to let all of them in."""
    start = time.perf_counter()
    assert len(await place.queue.admit()) == size
    return (time.perf_counter() - start) / size


async def in_turn(place: Place) -> float:
    """Return how many seconds it takes, for each of some, to end and let the next ones in."""
    running = list(await place.queue.admit())
    start = time.perf_counter()
    for _ in range(TURNS):
        await end(place.log, running.pop(0))
        running += await place.queue.admit()
    return (time.perf_counter() - start) / TURNS


async def main() -> None:
    """Measure, and print."""
    few, many = SIZES
    print(f"let one in, ms of {few:,} and of {many:,} that wait; {REQUESTERS} requesters")
    async with store() as pool, open_execution_log(pool) as log:
        place = Place(pool=pool, log=log, queue=PostgresQueue(pool))
        for crowd in (AT_ONCE, *IN_TURN):
            took = []
            for size in SIZES:
                await come(place, crowd, size)
                measured = at_once(place, size) if crowd is AT_ONCE else in_turn(place)
                took.append(1000 * await measured)
            small, large = took
            print(f"{crowd.name:26} {small:8.2f} {large:8.2f}   ratio {large / small:5.2f}")
            if crowd is AT_ONCE:
                print(f"{'':26} all {many:,} within {large * many / 1000:.1f} s")
    print(f"goal                       ratio at most {GOAL:g}, but for the last one")


if __name__ == "__main__":
    anyio.run(main)
