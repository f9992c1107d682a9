"""The dispatch, with workers that are killed, and stopped until nobody expects them any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import anyio

from support.dispatch_worker import TICKS
from support.stores_servers import Urls
from support.stores_story import new_record, new_scenario
from test_coordination.adapters.postgres.dispatch import enqueue
from test_coordination.adapters.postgres.executions import open_execution_log
from test_coordination.adapters.postgres.pool import Pool, open_pool, transaction
from test_coordination.adapters.postgres.scenarios import PostgresScenarioStore
from test_coordination.adapters.postgres.shift import SILENT_MAX
from test_coordination.application.engine.lease import LEASE
from test_coordination.application.fleet import NOBODY, Job

ROOT = Path(__file__).parents[2]
EACH = 8
"""How many executions each of those that come to grief is at."""

JOBS = "SELECT dedupe_key FROM pgqueuer WHERE dedupe_key = ANY ($1)"
TICKED = "SELECT execution, epoch FROM tick WHERE execution = ANY ($1) ORDER BY at"
MAKE_TICKS = "CREATE TABLE IF NOT EXISTS tick (at bigserial, execution uuid, epoch integer)"


class Process:
    """A worker in a process of its own."""

    def __init__(self, url: str, mark: str, most: int, *, out: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
        self.out = out
        with out.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.dispatch_worker", url, mark, str(most)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.out.read_text().splitlines()]

    def said(self, word: str) -> list[str]:
        return [line[1] for line in self.lines() if line[0] == word]

    async def until_said(self, word: str, *, count: int = 1) -> None:
        with anyio.fail_after(20):
            while len(self.said(word)) < count:  # noqa: ASYNC110  another process's
                await anyio.sleep(0.05)

    def send(self, number: int) -> None:
        self.process.send_signal(number)


@contextmanager
def process(url: str, mark: str, most: int, *, out: Path) -> Iterator[Process]:
    started = Process(url, mark, most, out=out)
    try:
        yield started
    finally:
        started.send(signal.SIGKILL)
        started.process.wait()


async def given(pool: Pool, mark: str, *, count: int) -> set[str]:
    """Create executions that wait for nothing but a worker, and return them."""
    await pool.execute(MAKE_TICKS)
    scenario = await PostgresScenarioStore(pool).store(new_scenario())
    jobs = []
    async with open_execution_log(pool) as log:
        for _ in range(count):
            record = replace(new_record(scenario), worker=NOBODY, detached=True)
            await log.create(record)
            jobs.append(Job(execution=record.id, requires=frozenset({mark})))
    async with transaction(pool, doing="enqueuing") as lent:
        await enqueue(lent, jobs)
    return {str(job.execution) for job in jobs}


async def test_no_execution_is_lost_and_none_is_run_twice_at_a_time(
    least_privilege: Urls, tmp_path: Path
) -> None:
    url, mark = least_privilege.postgres, f"label of={uuid4()}"

    with (
        process(url, mark, EACH, out=tmp_path / "killed") as killed,
        process(url, mark, EACH, out=tmp_path / "zombie") as zombie,
        process(url, mark, 2 * EACH, out=tmp_path / "last") as last,
    ):
        for each in (killed, zombie, last):
            await each.until_said("worker")
        last.send(signal.SIGSTOP)
        async with open_pool(url) as pool:
            wanted = await given(pool, mark, count=2 * EACH)
            for each in (killed, zombie):
                await each.until_said("taken", count=EACH)
            killed.send(signal.SIGKILL)
            zombie.send(signal.SIGSTOP)
            last.send(signal.SIGCONT)
            began = anyio.current_time()
            await last.until_said("taken", count=2 * EACH)
            took_s = anyio.current_time() - began
            zombie.send(signal.SIGCONT)
            await zombie.until_said("refused", count=EACH)
            await anyio.sleep(0.5)  # what the zombie says of its jobs is written meanwhile
            kept = {row[0] for row in await pool.fetch(JOBS, sorted(wanted))}
            assert wanted - set(last.said("done")) <= kept, "the zombie took no job away"

            await last.until_said("done", count=2 * EACH)
            with anyio.fail_after(5):
                while await pool.fetch(JOBS, sorted(wanted)):  # noqa: ASYNC110  theirs
                    await anyio.sleep(0.05)
            ticked = await pool.fetch(TICKED, sorted(wanted))
        done = Counter(each for one in (killed, zombie, last) for each in one.said("done"))

    assert done == dict.fromkeys(wanted, 1)
    assert Counter(str(row["execution"]) for row in ticked) == dict.fromkeys(wanted, TICKS)
    for execution in wanted:
        epochs = [row["epoch"] for row in ticked if str(row["execution"]) == execution]
        assert epochs == sorted(epochs), "nobody writes beside his successor"
    assert took_s < (LEASE + SILENT_MAX).total_seconds()
