"""How 10,000 executions that are due at once are carried out by four worker processes.

    python benchmarks/crowd.py [EXECUTIONS]

Four teams order a quarter each, one after the other, before any worker is there; the first would
be served first by a plain queue. Then four `tcoord worker` begin. Every ten seconds a line says how
far it has come. At the end it is printed how many executions ended, that each began and ended once,
how many a second there were, what the workers took, and how fair it was: which share of the first
begins each team had (25 % each is fair), Jain's index of these shares (1 is fair, 1/4 is all for
one), and how long each team waited, counted from when the workers were started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

import anyio
import psutil

from executions_measures import (  # type: ignore[import-not-found]  # beside it
    MIB,
    coordinator,
)
from test_coordination import Settings
from test_coordination.adapters.machine import SystemClock
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.reaching import server_urls

Process: TypeAlias = "subprocess.Popen[bytes]"

EXECUTIONS: Final = 10_000
WORKERS: Final = 4
TEAMS: Final = ("team-a", "team-b", "team-c", "team-d")
AT_ONCE: Final = 50
LOOK_S: Final = 1.0
SAID_S: Final = 10.0
PER_S_MIN: Final = 4.0
START_S: Final = 120.0
"""It is given up after so many seconds, and one for each `PER_S_MIN` executions."""
FIRST: Final = (100, 1_000)
SCENARIO: Final = "scenario: small\nversion: 1\nsteps: [{id: rest, wait: 1ms}]\n"
TCOORD: Final = Path(sys.executable).with_name("tcoord")

FAR: Final = """
    SELECT count(*) FILTER (WHERE status = 'finished') AS ended,
        count(*) FILTER (WHERE status = 'running') AS running
    FROM execution
"""
TWICE: Final = """
    SELECT count(*) FROM (
        SELECT execution_id, kind FROM execution_event
        WHERE kind IN ('ExecutionStarted', 'ExecutionEnded')
        GROUP BY execution_id, kind HAVING count(*) <> 1
    ) AS strange
"""
ENDED: Final = "SELECT count(*) FROM execution WHERE status = 'finished'"
BEGAN: Final = "SELECT count(*) FROM execution_event WHERE kind = 'ExecutionStarted'"
SHARES: Final = """
    SELECT requested_by, count(*) AS times FROM (
        SELECT requested_by FROM execution ORDER BY started_at LIMIT $1
    ) AS first GROUP BY requested_by ORDER BY requested_by
"""
WAITS: Final = """
    SELECT requested_by AS team,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY started_at - $1::timestamptz) AS middle,
        max(started_at - $1::timestamptz) AS longest
    FROM execution WHERE started_at IS NOT NULL GROUP BY team ORDER BY team
"""
BY_WORKER: Final = "SELECT count(*) AS times FROM execution GROUP BY worker ORDER BY times"


async def order(settings: Settings, count: int) -> None:
    """Order so many executions, a quarter for each team, one team after the other."""
    async with coordinator(settings) as lent:
        stored = await lent.create_scenario(SCENARIO)
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def one(team: str) -> None:
            async with limit:
                await lent.execute_scenario(stored, requested_by=team, detached=True)

        for team in TEAMS:
            async with anyio.create_task_group() as group:
                for _ in range(count // len(TEAMS)):
                    group.start_soon(one, team)


async def told(pool: Pool, count: int, took_s: float) -> bool:
    """Print what has become of them, and return whether each began and ended once."""
    began, twice = await pool.fetchval(BEGAN), await pool.fetchval(TWICE)
    ended = await pool.fetchval(ENDED)
    each = [row["times"] for row in await pool.fetch(BY_WORKER)]
    print(f"{count:,} executions over {WORKERS} workers: {took_s:.0f} s, {ended / took_s:.1f}/s")
    print(f"  ended {ended:,}, began {began:,}; did not begin and end just once: {twice:,}")
    print(f"  carried out by each worker: {', '.join(f'{times:,}' for times in each)}")
    return bool(began == ended == count and not twice)


async def fairness(pool: Pool, count: int, start: datetime) -> None:
    """Print how the begins were shared by the teams, and how long each waited since ``start``."""
    for first in sorted({*(each for each in FIRST if each < count // 2), count // 2}):
        found = {row["requested_by"]: row["times"] for row in await pool.fetch(SHARES, first)}
        shares = [found.get(team, 0) / first for team in TEAMS]
        said = ", ".join(f"{team} {share:.1%}" for team, share in zip(TEAMS, shares, strict=True))
        print(f"  first {first:,} begins: {said}; Jain's index {jain(shares):.4f}")
    for row in await pool.fetch(WAITS, start):
        middle, longest = (row[name] / timedelta(seconds=1) for name in ("middle", "longest"))
        print(f"  {row['team']} waited {middle:.1f} s in the middle, {longest:.1f} s at most")


def jain(shares: Sequence[float]) -> float:
    """Return how even shares are: 1 if all are equal, 1/n if one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


async def all_ended(pool: Pool, count: int, workers: Sequence[Process]) -> None:
    """Wait until all have ended, or the time is up, and say each `SAID_S` how far it has come."""
    start = said = time.perf_counter()
    limit_s = START_S + count / PER_S_MIN
    before, most = 0, 0.0
    while (now := time.perf_counter()) - start < limit_s:
        row = await pool.fetchrow(FAR)
        assert row is not None, "a count has a row"
        assert all(worker.poll() is None for worker in workers), "a worker has ended"
        if row["ended"] == count:
            break
        if now - said >= SAID_S:
            most = max(most, *(psutil.Process(each.pid).memory_info().rss for each in workers))
            rate = (row["ended"] - before) / (now - said)
            said, before = now, row["ended"]
            at = f"{now - start:5.0f} s: {before:,} ended, {row['running']:,} run"
            print(f"  {at}, {rate:.1f}/s; workers at most {most / MIB:.0f} MiB each", flush=True)
        await anyio.sleep(LOOK_S)
    else:
        print(f"given up after {limit_s:.0f} s")


async def main(count: int) -> bool:
    """Measure, print, and return whether all went well."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name, ExitStack() as ended:
        home = Path(name)
        home.chmod(0o755)
        async with server_urls(Settings(home=home)) as (url, redis_url), open_pool(url) as pool:
            settings = Settings(home=home, postgres_url=url, redis_url=redis_url)
            start = time.perf_counter()
            await order(settings, count)
            print(f"ordered {count:,} in {time.perf_counter() - start:.0f} s", flush=True)
            known = {"TCOORD_HOME": str(home), "TCOORD_POSTGRES_URL": url}
            known["TCOORD_REDIS_URL"] = redis_url or ""
            serve: list[str | Path] = [TCOORD, "worker", "--topology", home / "topology.yaml"]
            start, since = time.perf_counter(), SystemClock().now()
            workers = [
                subprocess.Popen(serve, env={**os.environ, **known}, stdout=subprocess.DEVNULL)
                for _ in range(WORKERS)
            ]
            for worker in workers:
                ended.callback(worker.wait)
                ended.callback(worker.terminate)
            await all_ended(pool, count, workers)
            well = await told(pool, count, time.perf_counter() - start)
            await fairness(pool, count, since)
            ended.close()
    return well


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else EXECUTIONS) else 1)
