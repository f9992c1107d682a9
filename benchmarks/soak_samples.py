"""What is measured of the processes and the stores while `soak.py` runs."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import psutil
from redis.asyncio import Redis

from soak_system import Process  # type: ignore[import-not-found]  # beside it
from test_coordination.adapters.postgres.pool import Pool

MIB: Final = 1024 * 1024
LINKS: Final = "test_coordination.adapters.links"

STORES: Final = """
    SELECT
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS postgres,
        pg_database_size(current_database()) AS size,
        count(*) FILTER (WHERE status = 'pending') AS waiting,
        count(*) FILTER (WHERE status = 'running') AS running,
        count(*) FILTER (WHERE status = 'finished') AS ended,
        (SELECT count(*) FROM execution_event WHERE kind = 'ExecutionTakenOver') AS taken_over,
        (SELECT count(*) FROM fault_receipt) AS faults
    FROM execution
"""
VERDICTS: Final = """
    SELECT verdict, count(*) AS times FROM execution WHERE status = 'finished' GROUP BY verdict
    ORDER BY times DESC
"""
BY_SCENARIO: Final = """
    SELECT scenario_name AS name, count(*) AS times,
        count(*) FILTER (WHERE verdict = 'held') AS held
    FROM execution WHERE status = 'finished' GROUP BY name ORDER BY name
"""
FIRINGS: Final = "SELECT state, count(*) AS times FROM schedule_firing GROUP BY state"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSample:
    """What one process took at a moment; memory in MiB, ``at_s`` from the begin of the soak.

    ``uss_mib`` is what would be free if it ended, ``rss_mib`` counts what it shares with others,
    too. ``cpu_s`` is the processor time that it has had so far, without its children's.
    """

    at_s: float
    name: str
    pid: int
    uss_mib: float
    rss_mib: float
    fds: int
    threads: int
    children: int
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSample:
    """What was to be seen in PostgreSQL and Valkey at a moment; sizes in MiB.

    Connections are those of all clients, that of whoever looks included.
    """

    at_s: float
    postgres_connections: int
    valkey_connections: int
    database_mib: float
    valkey_mib: float
    waiting: int
    running: int
    ended: int
    taken_over: int
    faults: int


@dataclass(slots=True, kw_only=True)
class Samples:
    """All that was measured, oldest first; ``begin_s`` is the begin by the monotonic clock."""

    processes: list[ProcessSample]
    stores: list[StoreSample]
    begin_s: float

    def look(self, living: Iterable[Process]) -> None:
        """Note what each process takes, those of links included; one that has died is left out."""
        at_s = time.monotonic() - self.begin_s
        for one in living:
            with suppress(psutil.NoSuchProcess):
                self._note(one.name, psutil.Process(one.process.pid), at_s)

    def look_at_links(self, pid: int) -> None:
        """Note what the process that carries the links takes."""
        at_s = time.monotonic() - self.begin_s
        with suppress(psutil.NoSuchProcess):
            self._note("links", psutil.Process(pid), at_s)

    async def look_into(self, pool: Pool, redis: Redis) -> None:
        """Note what is in the stores."""
        row = await pool.fetchrow(STORES)
        assert row is not None, "a count has a row"
        self.stores.append(
            StoreSample(
                at_s=time.monotonic() - self.begin_s,
                postgres_connections=row["postgres"],
                valkey_connections=len(await redis.client_list()),
                database_mib=row["size"] / MIB,
                valkey_mib=int((await redis.info("memory"))["used_memory"]) / MIB,
                waiting=row["waiting"],
                running=row["running"],
                ended=row["ended"],
                taken_over=row["taken_over"],
                faults=row["faults"],
            )
        )

    def write(self, folder: Path) -> None:
        """Write two tables, `processes.csv` and `stores.csv`."""
        _write(folder / "processes.csv", ProcessSample, self.processes)
        _write(folder / "stores.csv", StoreSample, self.stores)

    def _note(self, name: str, process: psutil.Process, at_s: float) -> None:
        with process.oneshot():
            memory, times = process.memory_full_info(), process.cpu_times()
            self.processes.append(
                ProcessSample(
                    at_s=at_s,
                    name=name,
                    pid=process.pid,
                    uss_mib=memory.uss / MIB,
                    rss_mib=memory.rss / MIB,
                    fds=process.num_fds(),
                    threads=process.num_threads(),
                    children=len(process.children(recursive=True)),
                    cpu_s=times.user + times.system,
                )
            )


def read(folder: Path) -> Samples:
    """Return what `Samples.write` has written; a begin is not in it."""
    return Samples(
        processes=[
            ProcessSample(name=row.pop("name"), **{key: json.loads(row[key]) for key in row})
            for row in _rows(folder / "processes.csv")
        ],
        stores=[
            StoreSample(**{key: json.loads(row[key]) for key in row})
            for row in _rows(folder / "stores.csv")
        ],
        begin_s=0.0,
    )


def links_process(directory: Path) -> int:
    """Return the process that carries the links of the system whose state is in there."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if LINKS in (process.info["cmdline"] or ()) and process.info["cwd"] == str(directory):
            return int(process.pid)
    message = f"no process carries the links of {directory}; expected {LINKS} to run there"
    raise LookupError(message)


def _rows(file: Path) -> Sequence[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def _write(
    file: Path,
    kind: type[ProcessSample | StoreSample],
    samples: Sequence[ProcessSample | StoreSample],
) -> None:
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, [one.name for one in fields(kind)])
        writer.writeheader()
        for sample in samples:
            values = asdict(sample)
            writer.writerow(
                {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}
            )
