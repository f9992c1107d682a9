"""What is broken on purpose is noticed; `make sabotage` breaks more, and says how soon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORIES = 100
"""Within how many stories each is noticed here; all of these are in about ten."""


@pytest.mark.parametrize(
    "sabotage",
    [
        "the receipt is recorded after the injection",
        "what is cancelled is not undone",
        "two get in where only one may",
    ],
)
def test_an_engine_that_is_broken_on_purpose_is_noticed(sabotage: str) -> None:
    paths = os.pathsep.join(str(ROOT / each) for each in ("tests", "src", "examples"))
    script, stories = str(ROOT / "tests/simulation/sabotage.py"), f"--stories={STORIES}"
    done = subprocess.run(
        [sys.executable, script, "--only", sabotage, stories, "--finds=1"],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("1 of 1 noticed\n")
