"""Whatever goes wrong, and whenever: each story ends well, and is the same when told again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = 2
"""Each has to read the scenarios anew, which takes as long as a hundred stories."""

STORIES = int(os.environ.get("TCOORD_TEST_STORIES", "1200")) // PARTS
"""How many seeds each part of the test takes; `make simulate` takes as many as are wanted."""


def run(*arguments: str, hashing: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the simulation in a process of its own, where sets of texts have a certain order."""
    paths = os.pathsep.join(str(ROOT / each) for each in ("tests", "src", "examples"))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": hashing}
    return subprocess.run(
        [sys.executable, str(ROOT / "tests/simulation/run.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110 + STORIES,
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_stories_of_all_kinds_end_well(part: int) -> None:
    done = run("--first", str(part * STORIES), "--seeds", str(STORIES))

    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{STORIES} stories" in done.stdout
    assert done.stderr == ""


def test_a_seed_tells_the_same_story_in_any_process() -> None:
    first = run("--traces", "--seeds", "40")
    again = run("--traces", "--seeds", "40", hashing="1")

    assert len(set(first.stdout.splitlines())) == 40
    assert first.stdout == again.stdout


def test_a_seed_is_told_line_by_line() -> None:
    told = run("--seed", "23")

    assert "hired      worker 1" in told.stdout
    assert told.stdout.splitlines()[-1].endswith("the same again")
