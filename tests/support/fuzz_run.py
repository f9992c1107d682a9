"""Runs both ways of strange bytes, each for half of the time: ``python fuzz_run.py SECONDS``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
SEEDS = {
    "fuzz_documents": [
        *(ROOT / "scenarios").rglob("*.yaml"),
        *(TESTS / "unit" / "fixtures").rglob("*.yaml"),
    ],
    "fuzz_expressions": [],
}
WORDS = TESTS / "fuzz" / "expressions.txt"


def fuzz(name: str, seconds: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one way for so long; what broke it is left in ``folder``, named crash-…"""
    corpus = folder / name
    corpus.mkdir()
    for place, path in enumerate(SEEDS[name]):
        shutil.copy(path, corpus / f"{place}.yaml")
    if name == "fuzz_expressions":
        for place, line in enumerate(WORDS.read_text(encoding="utf-8").splitlines()):
            (corpus / str(place)).write_text(line, encoding="utf-8")
    options = [f"-max_total_time={seconds}", "-timeout=20", f"-artifact_prefix={folder}/"]
    paths = os.pathsep.join(map(str, [TESTS, ROOT / "src", ROOT / "examples"]))
    return subprocess.run(
        [sys.executable, TESTS / "fuzz" / f"{name}.py", *options, corpus],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 90,
    )


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for each in SEEDS:
        done = fuzz(each, int(sys.argv[1]) // len(SEEDS), place)
        if done.returncode:
            sys.exit(f"{done.stderr[-4_000:]}\n{each} broke; what broke it is in {place}")
        print(f"{each}: {done.stderr.splitlines()[-1]}")
    shutil.rmtree(place)
