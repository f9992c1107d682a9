"""What it costs to call a function of Python in a process of its own.

    python benchmarks/python_calls.py

A call of `os.getpid` through the guard, against the interpreter alone, started and ended: by turns,
in one run. Processor time is that of the processes that were started.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import median

import anyio

from test_coordination.adapters.isolation.calls import Call, PythonCalls

REPETITIONS = 40
AT_ONCE = 16
CALL = Call(call="os:getpid", timeout=timedelta(seconds=20), memory_bytes=512 * 1024**2)


async def alone() -> None:
    """Start the interpreter, which has nothing to do."""
    await anyio.run_process([sys.executable, "-I", "-c", "pass"], stdout=subprocess.DEVNULL)


async def called() -> None:
    """Call a function as an action does."""
    await PythonCalls().call(CALL)


def processor_s() -> float:
    """Return the processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    """Measure, and print."""
    ways: dict[str, Callable[[], Awaitable[None]]] = {"interpreter": alone, "call": called}
    times: dict[str, list[float]] = {name: [] for name in ways}
    used = dict.fromkeys(ways, 0.0)
    for _ in range(REPETITIONS):
        for name, way in ways.items():
            began, before = time.perf_counter(), processor_s()
            await way()
            times[name].append(1000 * (time.perf_counter() - began))
            used[name] += 1000 * (processor_s() - before) / REPETITIONS
    for name, seen in times.items():
        low, high = min(seen), max(seen)
        print(f"{name:12} median {median(seen):5.1f} ms   {low:.1f} - {high:.1f}", end="")
        print(f"   processor {used[name]:5.1f} ms")
    print(f"ratio        {median(times['call']) / median(times['interpreter']):.1f}")
    calls, began = PythonCalls(), time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(8 * AT_ONCE):
            group.start_soon(calls.call, CALL)
    print(f"at once      {8 * AT_ONCE / (time.perf_counter() - began):5.1f} calls/s, 16 at a time")


if __name__ == "__main__":
    anyio.run(main)
