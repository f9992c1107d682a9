"""How 10,000 executions that are due at once are carried out by four worker processes.

    python benchmarks/crowd.py [EXECUTIONS]

Four teams order a quarter each, one after the other, before any worker is there; the first would
be served first by a plain queue. Then four `tcoord worker` begin. Printed is how many executions
ended, that each began and ended once, how many a second there were, and how the begins of the
first half were shared by the teams: fair are 25 % each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import anyio

from executions_measures import coordinator  # type: ignore[import-not-found]  # beside it
from test_coordination import Settings
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.reaching import server_urls

EXECUTIONS: Final = 10_000
WORKERS: Final = 4
TEAMS: Final = ("team-a", "team-b", "team-c", "team-d")
AT_ONCE: Final = 50
LOOK_S: Final = 1.0
SCENARIO: Final = "scenario: small\nversion: 1\nsteps: [{id: rest, wait: 1ms}]\n"
TCOORD: Final = Path(sys.executable).with_name("tcoord")

LEFT: Final = "SELECT count(*) FROM execution WHERE status <> 'finished'"
TWICE: Final = """
    SELECT count(*) FROM (
        SELECT execution_id, kind FROM execution_event
        WHERE kind IN ('ExecutionStarted', 'ExecutionEnded')
        GROUP BY execution_id, kind HAVING count(*) <> 1
    ) AS strange
"""
BEGAN: Final = "SELECT count(*) FROM execution_event WHERE kind = 'ExecutionStarted'"
SHARES: Final = """
    SELECT requested_by, count(*) AS times FROM (
        SELECT requested_by FROM execution ORDER BY started_at LIMIT $1
    ) AS first GROUP BY requested_by ORDER BY requested_by
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


async def told(pool: Pool, count: int, took_s: float) -> None:
    """Print what has become of them."""
    began, twice = await pool.fetchval(BEGAN), await pool.fetchval(TWICE)
    shares = {row["requested_by"]: row["times"] for row in await pool.fetch(SHARES, count // 2)}
    each = [row["times"] for row in await pool.fetch(BY_WORKER)]
    print(f"{count:,} executions over {WORKERS} workers: {took_s:.0f} s, {count / took_s:.0f}/s")
    print(f"  began {began:,}, of which {twice:,} did not begin and end just once (must be 0)")
    print(f"  carried out by each worker: {', '.join(f'{times:,}' for times in each)}")
    said = (f"{team} {shares.get(team, 0) / (count // 2):.1%}" for team in TEAMS)
    print(f"  begins of the first half: {', '.join(said)}")


async def main(count: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name, ExitStack() as ended:
        home = Path(name)
        home.chmod(0o755)
        async with server_urls(Settings(home=home)) as (url, redis_url), open_pool(url) as pool:
            settings = Settings(home=home, postgres_url=url, redis_url=redis_url)
            await order(settings, count)
            known = {"TCOORD_HOME": str(home), "TCOORD_POSTGRES_URL": url}
            known["TCOORD_REDIS_URL"] = redis_url or ""
            serve: list[str | Path] = [TCOORD, "worker", "--topology", home / "topology.yaml"]
            start = time.perf_counter()
            workers = [
                subprocess.Popen(serve, env={**os.environ, **known}, stdout=subprocess.DEVNULL)
                for _ in range(WORKERS)
            ]
            for worker in workers:
                ended.callback(worker.wait)
                ended.callback(worker.terminate)
            while await pool.fetchval(LEFT):
                await anyio.sleep(LOOK_S)
                assert all(worker.poll() is None for worker in workers), "a worker has ended"
            await told(pool, count, time.perf_counter() - start)
            ended.close()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else EXECUTIONS)
