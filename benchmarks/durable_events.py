"""How many single events a second become durable: through the batcher, or one commit each.

    python benchmarks/durable_events.py

Many executions append one event at a time, each waiting until its event is committed. Against that
stands what needs no batcher: one connection, one INSERT and one commit an event. By turns, in one
run, into the same table.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from uuid import UUID

import anyio

from log_ingestion import FACTS, START, create, store  # type: ignore[import-not-found]  # beside it
from test_coordination.adapters.codec import kind_of
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import Pool, jsonb
from test_coordination.application.ports import ExecutionLog
from test_coordination.domain.events import Entry, Outcome, StepEnded
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, StepId

EXECUTIONS = 256
EACH = 25
ALONE = 500
REPETITIONS = 9
GOAL = 10

EVENT = StepEnded(step=StepId("wait-until-orders-flow-again"), outcome=Outcome.DONE, facts=FACTS)
INSERT = """
    INSERT INTO execution_event (execution_id, position, at, kind, body)
    VALUES ($1, $2, $3, $4, $5)
"""


@dataclass(slots=True, kw_only=True)
class Story:
    """One log, and how far it has come."""

    execution: UUID
    position: int = 0

    def next(self) -> tuple[Entry, Execution]:
        """Return the next entry, and what it leads to."""
        self.position += 1
        state = Execution(
            id=ExecutionId(self.execution),
            status=Status.RUNNING,
            position=self.position,
            started_at=START,
        )
        return Entry(position=self.position, at=START, event=EVENT), state


async def batched(log: ExecutionLog, stories: Sequence[Story]) -> int:
    """Let every execution append, each event once the one before is committed."""

    async def write(story: Story) -> None:
        for _ in range(EACH):
            entry, state = story.next()
            await log.append([entry], leading_to=state, epoch=1)

    async with anyio.create_task_group() as group:
        for story in stories:
            group.start_soon(write, story)
    return len(stories) * EACH


async def one_by_one(pool: Pool, story: Story) -> int:
    """Insert on one connection, where each statement is a transaction."""
    async with pool.acquire() as connection:
        insert = await connection.prepare(INSERT)
        for _ in range(ALONE):
            entry, _ = story.next()
            await insert.fetch(
                story.execution, entry.position, entry.at, kind_of(EVENT), jsonb(EVENT)
            )
    return ALONE


async def main() -> None:
    """Measure, and print."""
    rates: dict[str, list[float]] = {"one by one": [], "batched": []}
    async with store() as pool, open_execution_log(pool) as log:
        stories = [Story(execution=await create(pool, log)) for _ in range(EXECUTIONS)]
        alone = Story(execution=await create(pool, log))
        ways = {
            "one by one": partial(one_by_one, pool, alone),
            "batched": partial(batched, log, stories),
        }
        await ways["batched"]()
        for _ in range(REPETITIONS):
            for name, way in ways.items():
                start = time.perf_counter()
                count = await way()
                rates[name].append(count / (time.perf_counter() - start))
    print(f"single durable events; {EXECUTIONS} executions at once when batched; events/s")
    for name, seen in rates.items():
        print(f"{name:10} median {median(seen):10,.0f}   {min(seen):,.0f} - {max(seen):,.0f}")
    ratios = [one / other for one, other in zip(rates["batched"], rates["one by one"], strict=True)]
    print(f"ratio      median {median(ratios):10.1f}   {min(ratios):.1f} - {max(ratios):.1f}")
    print(f"goal       at least {GOAL}")


if __name__ == "__main__":
    anyio.run(main)
