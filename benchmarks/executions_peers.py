"""What `executions.py` measures ours against: the same ten steps, told to Chaos Toolkit."""

from __future__ import annotations

from typing import Final

STEPS: Final = 10

# What its command line needs beside what its library does.
COMMAND_LINE: Final = ("chaostoolkit==1.19.0", "click==8.5.1", "click-plugins==1.1.1.2")

PEER: Final = """
import json, logging, sys, time
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
logging.disable(logging.CRITICAL)
steps = json.load(open(sys.argv[1]))
count = int(sys.argv[2])
ensure_experiment_is_valid(steps)
for _ in range(20):
    run_experiment(steps)
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(count):
    journal = run_experiment(steps)
    assert journal["status"] == "completed" and len(journal["run"]) == 10
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
print(json.dumps({"per_s": count / wall, "cpu_ms": 1000 * cpu / count}))
"""


def experiment() -> dict[str, object]:
    """Return an experiment of ten steps that do nothing."""
    provider = {"type": "python", "module": "os", "func": "getpid", "arguments": {}}
    method = [{"type": "action", "name": f"s{step}", "provider": provider} for step in range(STEPS)]
    return {"title": "no-op", "description": "Ten steps that do nothing.", "method": method}
