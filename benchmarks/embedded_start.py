"""How long the embedded servers take to start in a new directory, to start again, and to stop.

Usage: python benchmarks/embedded_start.py [REPETITIONS]
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from test_coordination.adapters.servers.embedded import embedded_servers

REPETITIONS = 5
LIMITS_S = {"first start": 5.0, "warm start": 0.5}


async def measure(directory: Path) -> tuple[float, float]:
    """Return how long the servers took until they served, and until they were gone."""
    begin = time.perf_counter()
    async with embedded_servers(directory):
        serving = time.perf_counter()
    return serving - begin, time.perf_counter() - serving


async def main(repetitions: int) -> None:
    """Measure and print."""
    seconds: dict[str, list[float]] = {"first start": [], "warm start": [], "stop": []}
    for _ in range(repetitions):
        directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
        directory.chmod(0o755)
        try:
            for name in ("first start", "warm start"):
                start, stop = await measure(directory)
                seconds[name].append(start)
                seconds["stop"].append(stop)
        finally:
            shutil.rmtree(directory)
    print(f"{'':12} {'median':>8} {'min':>8} {'max':>8} {'limit':>8}   seconds")
    for name, values in seconds.items():
        figures = (statistics.median(values), min(values), max(values))
        limit = f"{LIMITS_S[name]:8.2f}" if name in LIMITS_S else ""
        print(f"{name:12} {' '.join(f'{figure:8.3f}' for figure in figures)} {limit}")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS)
