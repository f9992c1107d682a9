"""Whether anything grows while a fleet breaks a system for an hour.

    make soak MINUTES=60
    python benchmarks/soak.py judge     # what was measured last, without running anything

Two `tcoord worker` carry out what eight schedules bring every five seconds, on the trading example,
with real faults; a long execution goes on all the while and is followed by two `tcoord follow`. One
worker stays from begin to end; the other is killed every five minutes, and another one takes its
place. Every five seconds it is noted what each process takes and what is in the stores. Written to
`build/soak/` are the samples and a plot; printed is whether all stayed flat, every execution ended,
and no fault was left. The exit status says so, too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio
from redis.asyncio import Redis

from soak_judge import Ending, judged  # type: ignore[import-not-found]  # beside it
from soak_plot import plotted  # type: ignore[import-not-found]  # beside it
from soak_samples import Samples, links_process, read  # type: ignore[import-not-found]  # beside it
from soak_system import (  # type: ignore[import-not-found]  # beside it
    CALLED,
    READY_S_MAX,
    ROOT,
    SHORT,
    STAYS,
    TOPOLOGY,
    Process,
    Soaked,
    fill,
)
from test_coordination import Settings, open_coordinator, systems
from test_coordination.adapters.postgres.pool import Pool, open_pool
from test_coordination.reaching import server_urls

OUT: Final = ROOT / "build/soak"
EVERY_S: Final = 5.0
LIFE_S: Final = 300.0
LIVES_MIN: Final = 3
WRITTEN_S: Final = 60.0
LAST_LOOKS: Final = 120
MINUTES: Final = 60.0

LEFT: Final = "SELECT count(*) FROM execution WHERE status <> 'finished'"


async def main(minutes: float) -> bool:
    """Let it soak, write and print what was seen, and return whether all was well."""
    OUT.mkdir(parents=True, exist_ok=True)
    length_s = minutes * 60
    with tempfile.TemporaryDirectory(prefix="soak-", dir="/tmp") as name:
        home = Path(name)
        home.chmod(0o755)
        async with server_urls(Settings(home=home)) as (url, redis_url), open_pool(url) as pool:
            settings = Settings(
                home=home, postgres_url=url, redis_url=redis_url, allowed_python=(CALLED,)
            )
            soaked = Soaked(settings=settings, words=OUT)
            print(soaked.services("start"), end="", flush=True)
            try:
                assert redis_url is not None, "the embedded servers are two"
                async with Redis.from_url(redis_url) as redis:
                    samples, ending = await _soak(soaked, pool, redis, length_s=length_s)
            finally:
                soaked.end()
                soaked.services("stop")
            ending.write(OUT)
    return _told(samples, ending)


async def _soak(
    soaked: Soaked, pool: Pool, redis: Redis, *, length_s: float
) -> tuple[Samples, Ending]:
    samples = Samples(processes=[], stores=[], begin_s=time.monotonic())
    stays = soaked.work("worker that stays", "--label", STAYS)
    await _at_work(stays)
    goes = soaked.work("worker that is replaced")
    await _at_work(goes)
    topology = soaked.topology()
    async with open_coordinator(soaked.settings, topology=topology) as coordinator:
        long = await fill(coordinator, timedelta(seconds=length_s))
    soaked.follow("follower", long, redis=True)
    soaked.follow("follower without Valkey", long, redis=False)
    directory = systems.state_directory(soaked.settings.home, TOPOLOGY)
    links = links_process(directory)
    life_s = min(LIFE_S, length_s / LIVES_MIN)
    changed_s, written_s, next_s = time.monotonic(), time.monotonic(), time.monotonic()
    while next_s - samples.begin_s < length_s:
        now_s = time.monotonic()
        if now_s - changed_s >= life_s:
            changed_s, goes = now_s, _replace(soaked, goes)
        assert stays.process.poll() is None, f"the worker has ended: {stays.said.read_text()}"
        samples.look(soaked.living)
        samples.look_at_links(links)
        await samples.look_into(pool, redis)
        if now_s - written_s >= WRITTEN_S:
            written_s = now_s
            samples.write(OUT)
            last = samples.stores[-1]
            print(
                f"{last.at_s / 60:5.1f} min: {last.ended:,} ended, {last.running} run", flush=True
            )
        next_s += EVERY_S
        await anyio.sleep(max(0.0, next_s - time.monotonic()))
    samples.write(OUT)
    return samples, await _ended(soaked, pool)


def _replace(soaked: Soaked, one: Process) -> Process:
    soaked.kill(one)
    return soaked.work(one.name)


async def _ended(soaked: Soaked, pool: Pool) -> Ending:
    """Let nothing more begin, wait until all has ended, and see what is left."""
    topology = soaked.topology()
    async with open_coordinator(soaked.settings, topology=topology) as coordinator:
        for name in SHORT:
            await coordinator.pause_schedule(name, reason="the soak is over")
        for _ in range(LAST_LOOKS):
            if not await pool.fetchval(LEFT):
                break
            await anyio.sleep(1)
    return await Ending.seen(pool, services=soaked.services("status"))


async def _at_work(one: Process) -> None:
    limit = time.monotonic() + READY_S_MAX
    while not one.is_at_work():
        assert time.monotonic() < limit, f"{one.name} is not ready: {one.said.read_text()!r}"
        await anyio.sleep(0.1)


def _told(samples: Samples, ending: Ending) -> bool:
    (OUT / "soak.svg").write_text(plotted(samples), "utf-8")
    text, well = judged(samples, ending)
    print(text)
    print(f"samples and plot: {OUT}")
    return bool(well)


if __name__ == "__main__":
    word = sys.argv[1] if len(sys.argv) > 1 else str(MINUTES)
    judging = word == "judge"
    done = _told(read(OUT), Ending.read(OUT)) if judging else anyio.run(main, float(word))
    sys.exit(0 if done else 1)
