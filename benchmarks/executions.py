"""How fast executions are carried out, how many wait in a worker, and how soon one is told.

    python benchmarks/executions.py

A no-op execution has 10 steps, each of which waits for 1 ms, the least there is; every step's
begin and end is durable before the next one begins. One process has a coordinator on embedded
PostgreSQL and Valkey. Against it stand Chaos Toolkit running 10 no-op steps in process without
any store, its command line once a scenario, and PgQueuer's own no-op jobs on the same
PostgreSQL. Each repetition is a process of its own, by turns. The processor time is that of the
program alone, without its servers'. The peer lives in environments of its own under build/, which
the first run makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from executions_peers import COMMAND_LINE, PEER, experiment  # type: ignore[import-not-found]
from planning import ENVIRONMENT, PINNED, environment  # type: ignore[import-not-found]

REPETITIONS: Final = 3
EXECUTIONS: Final = 400
COMMANDS: Final = 4
JOBS: Final = 2_000
WAITING: Final = 2_000
STARTS: Final = 500
PER_S: Final = 50
LATE_MS_MAX: Final = 250
MEMORY_MIB_MAX: Final = 512
HERE: Final = Path(__file__).resolve().parent

Figures = dict[str, float]


def measured(name: str, *arguments: object) -> Figures:
    """Return what a measurement in a process of its own says."""
    program = [sys.executable, str(HERE / "executions_measures.py"), name, *map(str, arguments)]
    return figures(program)


def figures(command: list[str], **variables: str) -> Figures:
    """Return what a process prints last, which is JSON."""
    found = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    said: Figures = json.loads(found.stdout.splitlines()[-1])
    return said


def throughput(home: Path) -> None:
    """Print how many no-op executions a second there are, and how many of the peers'."""
    python: Path = environment()
    chaos: Path = environment(
        ENVIRONMENT.with_name("benchmark-chaostoolkit-cli"), (*PINNED, *COMMAND_LINE)
    )
    steps = home / "experiment.json"
    steps.write_text(json.dumps(experiment()), encoding="utf-8")
    seen: dict[str, list[Figures]] = {}
    ways: dict[str, Callable[[], Figures]] = {
        "ours": lambda: measured("throughput", home, EXECUTIONS),
        "Chaos Toolkit in process": lambda: figures(
            [str(python), "-c", PEER, str(steps), str(EXECUTIONS)]
        ),
        "chaos run": lambda: figures(
            [str(chaos), "-c", COMMANDS_LOOP, str(steps), str(COMMANDS), str(home)]
        ),
        "PgQueuer's jobs": lambda: measured("jobs", home, JOBS),
    }
    for _ in range(REPETITIONS):
        for name, way in ways.items():
            seen.setdefault(name, []).append(way())
    print(f"no-op executions of 10 steps; median of {REPETITIONS} (smallest to largest)")
    for name, found in seen.items():
        rates, cpus = ([each[key] for each in found] for key in ("per_s", "cpu_ms"))
        print(f"  {name:26} {told(rates)} a second   {told(cpus)} ms of the processor each")
    ours = [each["per_s"] for each in seen.pop("ours")]
    for name, goal in (
        ("Chaos Toolkit in process", 1),
        ("chaos run", 50),
        ("PgQueuer's jobs", None),
    ):
        ratios = [one / other["per_s"] for one, other in zip(ours, seen[name], strict=True)]
        wanted = "" if goal is None else f"   goal: at least {goal}"
        print(f"  ours to {name:26} {told(ratios)} times as many{wanted}")


COMMANDS_LOOP: Final = """
import json, pathlib, resource, subprocess, sys, time
steps, count, home = sys.argv[1], int(sys.argv[2]), sys.argv[3]
chaos = pathlib.Path(sys.executable).with_name("chaos")
start = time.perf_counter()
for _ in range(count):
    subprocess.run([chaos, "--no-version-check", "run", steps], check=True, cwd=home,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"per_s": count / wall, "cpu_ms": 1000 * (used.ru_utime + used.ru_stime) / count}))
"""


def told(values: list[float]) -> str:
    """Return the median of some values, with the smallest and the largest."""
    return f"{median(values):8,.2f} ({min(values):,.2f} to {max(values):,.2f})"


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        home = Path(name)
        home.chmod(0o755)
        throughput(home)
        crowd = measured("waiting", home, WAITING)
        print(
            f"{WAITING:,} executions wait at once in one worker: {crowd['rss_mib']:.0f} MiB "
            f"resident (goal: below {MEMORY_MIB_MAX}), {crowd['busy']:.0%} of a processor while "
            f"they do; all were under way {crowd['begun_s']:.0f} s after the first order"
        )
        begun = measured("starts", home, STARTS, PER_S)
        print(
            f"order to first step begun, {PER_S} executions a second: p50 {begun['p50']:.0f} ms, "
            f"p99 {begun['p99']:.0f} ms (goal: below {LATE_MS_MAX})"
        )
        for store in ("redis", "none"):
            heard = measured("follow", home, store)
            kind = "with Redis" if store == "redis" else "without Redis"
            print(
                f"event durable to follower in another process, {kind}: p50 {heard['p50']:.0f} ms, "
                f"p99 {heard['p99']:.0f} ms of {heard['events']:,.0f} (goal: below {LATE_MS_MAX})"
            )


if __name__ == "__main__":
    main()
