"""What 100,000 schedules on one scheduler cost: when nothing is due, when some are, when all are.

    python benchmarks/schedules.py [SCHEDULES]

Against the cost of deciding about a schedule, and of keeping what was decided, stands what cannot
be left out: to read its cron and find the next time, by cronsim alone, with the same crons.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from uuid import uuid4
from zoneinfo import ZoneInfo

import anyio
from cronsim import CronSim

from log_ingestion import store  # type: ignore[import-not-found]  # beside it
from test_coordination.adapters.cron import following
from test_coordination.adapters.machine import TimeOrderedIdentities
from test_coordination.adapters.postgres.pool import Pool
from test_coordination.adapters.postgres.schedule_rows import schedule_columns
from test_coordination.adapters.postgres.schedules import PostgresTimetable
from test_coordination.application.timetable import StoredSchedule
from test_coordination.domain.due import Look, Standing, look
from test_coordination.domain.schedule import Cron, Misfire, MisfirePolicy, Rules, Schedule
from test_coordination.domain.values import ScheduleId, ScheduleName

SCHEDULES = 100_000
SYSTEM = "bench"
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
IDLE_TURNS = 200
PORTION = 200
SOME = 2_000
DAY = timedelta(days=1)
COLUMNS = [
    *("id", "name", "scenario", "version", "parameters", "format", "kind", "trigger", "rules"),
    *("system", "topic", "seed", "created_at", "created_by", "paused_at", "paused_because"),
    *("over_at", "next_due", "next_moment", "runs"),
]


def crons(count: int) -> Sequence[Cron]:
    """Return as many crons, each once a day or seldomer."""
    chance = Random(7)
    days = ("*", "*", "1-5", "0", "*/2")
    return [
        Cron(
            expression=f"{chance.randrange(60)} {chance.randrange(24)} * * {chance.choice(days)}",
            zone=chance.choice(ZONES),
        )
        for _ in range(count)
    ]


def alone(known: Sequence[Cron], now: datetime) -> float:
    """Return how many microseconds cronsim takes to read a cron and find its next time."""
    zones = {name: ZoneInfo(name) for name in ZONES}
    begin = time.perf_counter()
    for cron in known:
        next(CronSim(cron.expression, now.astimezone(zones[cron.zone])))
    return (time.perf_counter() - begin) / len(known) * 1e6


async def filled(pool: Pool, known: Sequence[Cron], now: datetime) -> PostgresTimetable:
    """Return a timetable with a schedule for each cron, as it stands a day before ``now``."""
    identities = TimeOrderedIdentities()
    rules = Rules(misfire=Misfire(grace=2 * DAY, policy=MisfirePolicy.RUN_ONCE))
    rows = []
    for number, cron in enumerate(known):
        first = following(cron, now)
        rows.append(
            schedule_columns(
                StoredSchedule(
                    id=ScheduleId(identities.new()),
                    name=ScheduleName(f"s{number}-{uuid4().hex[:6]}"),
                    scenario="restart",
                    schedule=Schedule(trigger=cron, rules=rules),
                    system=SYSTEM,
                    seed=number,
                    created_at=now - DAY,
                    created_by="benchmark",
                    next_due=first,
                    next_moment=first,
                )
            )
        )
    async with pool.acquire() as connection:
        await connection.copy_records_to_table("schedule", records=rows, columns=COLUMNS)
        await connection.execute("ANALYZE schedule")
    return PostgresTimetable(pool, identities)


async def make_due(pool: Pool, count: int) -> None:
    """Let ``count`` schedules be due at the last time of their cron before now."""
    async with pool.acquire() as connection:
        due = await connection.fetch(
            "SELECT id, trigger ->> 'expression' AS expression, trigger ->> 'zone' AS zone"
            " FROM schedule ORDER BY next_moment LIMIT $1",
            count,
        )
        now = await connection.fetchval("SELECT now()")
        # What came within the last day, or the nearest to it: one time is due, the next is not.
        firsts = [_last(Cron(expression=r["expression"], zone=r["zone"]), now) for r in due]
        await connection.execute(
            "UPDATE schedule SET next_due = w.at, next_moment = w.at"
            " FROM unnest($1::uuid[], $2::timestamptz[]) AS w (id, at)"
            " WHERE schedule.id = w.id",
            [row["id"] for row in due],
            firsts,
        )


def _last(cron: Cron, now: datetime) -> datetime:
    back = DAY
    while True:
        found, after = None, now - back
        while (moment := following(cron, after)) is not None and moment <= now:
            found = after = moment
        if found is not None:
            return found
        back *= 2


def decide(standing: Standing, now: datetime) -> Look:
    """Decide as a scheduler does."""
    return look(standing, now, following)


async def drained(timetable: PostgresTimetable) -> tuple[int, float, list[float]]:
    """Look until nothing is due; return how many were, the seconds, and those of each look."""
    looked, times = 0, list[float]()
    begin = time.perf_counter()
    while True:
        start = time.perf_counter()
        count = await timetable.look(decide, system=SYSTEM, limit=PORTION)
        if not count:
            return looked, time.perf_counter() - begin, times
        times.append(time.perf_counter() - start)
        looked += count


async def timed(work: Callable[[], Awaitable[object]], turns: int) -> list[float]:
    """Return how many milliseconds each of so many turns takes."""
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        await work()
        times.append((time.perf_counter() - start) * 1e3)
    return times


async def main(count: int) -> None:
    """Measure, and print."""
    known = crons(count)
    now = datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251  a benchmark has no other clock
    async with store() as pool:
        timetable = await filled(pool, known, now)
        idle = await timed(lambda: timetable.stirs(SYSTEM), IDLE_TURNS)
        print(f"{count:,} schedules on one scheduler")
        print(f"nothing is due: a look   {median(idle):8.2f} ms   (max {max(idle):.2f})")
        raw_us = alone(known, now)
        print(f"cronsim alone: a cron    {raw_us:8.1f} us")
        for due in (SOME, count):
            await make_due(pool, due)
            looked, took_s, times = await drained(timetable)
            each_us = took_s / looked * 1e6
            print(f"{looked:,} are due: each".ljust(24), end=" ")
            print(f"{each_us:8.1f} us   {each_us / raw_us:.1f} times cronsim;", end=" ")
            print(f"{looked / took_s:,.0f} a second; {PORTION} take {median(times) * 1e3:.0f} ms")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else SCHEDULES)
