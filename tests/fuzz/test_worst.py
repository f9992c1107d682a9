"""What a small document may cost: about a second, and a quarter of a gibibyte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.fuzz_worst import DOCUMENTS

TESTS = Path(__file__).parents[1]
# A second on a machine with nothing else to do; the gates keep ours busy with three at once. The
# plan of what is not refused is made twice, to compare the two.
SECONDS_MAX = 3


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_costliest_documents_take_little_time_and_memory(name: str) -> None:
    paths = os.pathsep.join(map(str, [TESTS, TESTS.parent / "src", TESTS.parent / "examples"]))

    done = subprocess.run(
        [sys.executable, TESTS / "support" / "fuzz_worst.py", name],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert float(done.stdout) < SECONDS_MAX
