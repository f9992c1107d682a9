"""``tcoord run`` as it is typed, on what is in memory."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from support.e2e_authors import TOPOLOGY
from support.memory_program import MemoryProgram
from test_coordination.application.suite_runs import EntryResult
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.interfaces.cli.app import cli
from test_coordination.interfaces.cli.suite_running import entry_line

NAP = "scenario: nap\nversion: 1\nsteps: [{id: nap, wait: 1h}]\n"


def ran(folder: Path, *words: str) -> Result:
    (folder / "nap.yaml").write_text(NAP)
    (folder / "shop.yaml").write_text(TOPOLOGY)
    given = ("run", str(folder / "nap.yaml"), "--topology", str(folder / "shop.yaml"), *words)
    return CliRunner().invoke(cli, given, obj=MemoryProgram(folder))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "junit"), "--format cannot go with --detach"),
        (("--report", "here"), "--report cannot go with --detach"),
        (("--report", "here", "--format", "html"), "--report and --format cannot go"),
    ],
)
def test_a_report_of_what_is_not_waited_for_is_refused(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    said = ran(tmp_path, "--detach", *words)

    assert said.exit_code == 2
    assert told in " ".join(said.stderr.split())
    assert said.stdout == ""


def test_what_is_left_to_workers_is_named_and_what_is_lacking_is_told(tmp_path: Path) -> None:
    said = ran(tmp_path, "--detach", "--label", "zone=eu")

    assert said.exit_code == 0
    assert str(UUID(said.stdout.strip())) == said.stdout.strip()
    assert said.stderr.startswith("it waits: no worker is at work; start one")


def test_a_label_of_a_worker_is_for_what_is_left_to_workers(tmp_path: Path) -> None:
    said = ran(tmp_path, "--label", "zone=eu")

    assert said.exit_code == 2
    assert "it goes with --detach" in said.stderr


def test_an_entry_of_a_suite_that_may_wait_is_not_called_begun() -> None:
    entry = EntryResult(
        id=StepId("one"), scenario="nap", parameters={}, execution=ExecutionId(UUID(int=7))
    )

    assert entry_line(entry) == f"one: nap ordered (execution {UUID(int=7)})"


@pytest.mark.parametrize(
    "words",
    [
        ("9c1d",),
        ("9c1d", "--accept-residue"),
        ("--accept-residue", "--reason", "so"),
        ("--reason", "so"),
    ],
)
def test_who_answers_for_residue_says_for_whose_and_why(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = CliRunner().invoke(cli, ("undo", *words), obj=MemoryProgram(tmp_path))

    assert said.exit_code == 2
    assert "go together" in said.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [("9c1d", "no execution begins or ends with"), (str(UUID(int=9)), "[store.not_found]")],
)
def test_residue_is_accepted_of_what_there_is(tmp_path: Path, given: str, told: str) -> None:
    words = ("undo", given, "--accept-residue", "--reason", "so")

    said = CliRunner().invoke(cli, words, obj=MemoryProgram(tmp_path))

    assert said.exit_code == 2
    assert told in said.stderr
