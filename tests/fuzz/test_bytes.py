"""No bytes get anything but an answer of ours: a short look at each run of the tests."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.fuzz_run import SEEDS, fuzz

SECONDS = 10


@pytest.mark.parametrize("name", SEEDS)
def test_bytes_that_reach_new_code_break_nothing(name: str, tmp_path: Path) -> None:
    if find_spec("atheris") is None:
        assert not os.environ.get("TCOORD_TEST_MUST_RUN"), "requirements/fuzz.txt is not installed"
        pytest.skip("atheris is not installed; 'make fuzz' installs it")

    done = fuzz(name, SECONDS, tmp_path)

    assert done.returncode == 0, done.stderr[-4_000:]
    assert "DONE" in done.stderr
