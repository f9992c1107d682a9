"""``tcoord schedules``, each command as it is typed, on stores in memory."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.e2e_authors import SUITE, TOPOLOGY
from support.memory_program import MemoryProgram
from test_coordination.application.coordinator import Coordinator
from test_coordination.interfaces.cli.app import cli

NAP = """\
scenario: nap
version: 1
parameters: {length: {type: duration, default: 5m}}
steps: [{id: nap, wait: "${{ parameters.length }}"}]
"""


class Shell:
    """Somebody who types commands in a folder."""

    def __init__(self, folder: Path) -> None:
        self.program = MemoryProgram(folder)
        self.topology = folder / "shop.yaml"
        self.topology.write_text(TOPOLOGY)
        (folder / "nap.yaml").write_text(NAP)
        (folder / "suite.yaml").write_text(SUITE.replace("shop-gone", "nap").split("    matrix")[0])
        self.folder = folder

    def types(self, *words: str, status: int = 0) -> str:
        ended = CliRunner().invoke(cli, ["schedules", *words], obj=self.program)
        assert ended.exit_code == status, ended.output
        return ended.output

    def creates(self, name: str, *words: str, what: str = "nap.yaml", status: int = 0) -> str:
        file = str(self.folder / what) if what.endswith(".yaml") else what
        given = (name, "--scenario", file, "--topology", str(self.topology), *words)
        return self.types("create", *given, status=status)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_schedules_are_made_listed_and_shown(shell: Shell) -> None:
    made = shell.creates(
        "nightly",
        *("--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--set", "length=1s"),
        *("--max-runs", "2"),
    )
    shell.creates("pinned", "--every", "6h", what="nap@1")
    shell.creates("newest", "--on-event", "released", what="nap")

    listed = [line.split()[:3] for line in shell.types().splitlines()]
    told = json.loads(shell.types("list", "--output", "json"))
    shown = shell.types("nightly")
    ahead = json.loads(shell.types("preview", "nightly", "--output", "json"))

    assert made.splitlines()[0] == "nightly is scheduled"
    assert len(made.splitlines()) == 3
    assert listed == [
        ["newest", "active", "nap"],
        ["nightly", "active", "nap"],
        ["pinned", "active", "nap@1"],
    ]
    assert [each["version"] for each in told] == [None, None, 1]
    assert "at most 2 runs" in shown
    assert json.loads(shell.types("show", "nightly", "--output", "json")) == told[1]
    assert len(ahead) == 2
    assert shell.types("preview", "newest") == "it waits to hear of something\n"
    assert len(shell.types("preview", "pinned", "--count", "7").splitlines()) == 7


def test_a_schedule_is_paused_resumed_and_deleted(shell: Shell) -> None:
    shell.creates("often", "--every", "6h")

    paused = shell.types("pause", "often", "--reason", "audit")
    ahead = shell.types("preview", "often", "--count", "1")
    resumed = shell.types("resume", "often")
    deleted = shell.types("delete", "often")

    assert paused == "often is paused: audit\n"
    assert "it is paused" in ahead
    assert resumed.splitlines()[0] == "often goes on"
    assert len(resumed.splitlines()) == 2
    assert deleted == "often is deleted\n"
    assert shell.types() == "nothing is scheduled; see `tcoord schedules create --help`\n"
    assert "no schedule is stored under 'often'" in shell.types("often", status=2)


def test_a_run_by_hand_is_asked_for_once_where_runs_may_not_overlap(shell: Shell) -> None:
    shell.creates("often", "--every", "6h")

    first = shell.types("trigger", "often")
    second = shell.types("trigger", "often", status=4)
    history = shell.types("history", "often").splitlines()
    told = json.loads(shell.types("history", "often", "--output", "json"))

    assert first.startswith("execution ")
    assert first.endswith(" is to be begun\n")
    assert second == "left out: an execution of the schedule was under way\n"
    assert [each["state"] for each in told] == ["skipped", "due"]
    assert len(history) == 2


def test_an_event_is_posted(shell: Shell) -> None:
    assert shell.types("post", "released", "--data", "env=eu") == "released is told\n"
    assert "expected NAME=VALUE" in shell.types("post", "released", "--data", "eu", status=2)
    assert "the event is 'two words'" in shell.types("post", "two words", status=2)


@pytest.mark.parametrize(
    ("what", "words", "told"),
    [
        ("suite.yaml", ("--every", "1h"), "only scenarios can be scheduled"),
        ("nap.yaml", ("--cron", "99 * * * *"), "[schedule.invalid]"),
        ("nap.yaml", ("--every", "1h", "--set", "lenth=1s"), "no parameter is named 'lenth'"),
        ("nap.yaml", ("--on-event", "e", "--match", "event.data ="), "<match of schedule bad>:1:"),
        ("nap.yaml", ("--on-event", "e", "--match", "event.date"), "<match of schedule bad>:1:"),
        ("nap.yaml", ("--on-change", "nobody"), "no service is named 'nobody'"),
        ("nothing", ("--every", "1h"), "no scenario or suite is named 'nothing'"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(
    shell: Shell, *, what: str, words: tuple[str, ...], told: str
) -> None:
    assert told in shell.creates("bad", *words, what=what, status=2)


def test_a_name_is_given_once_and_a_system_is_needed(shell: Shell) -> None:
    shell.creates("often", "--every", "6h")
    scenario = str(shell.folder / "nap.yaml")

    again = shell.creates("often", "--every", "6h", status=2)
    nowhere = shell.types("create", "n", "--scenario", scenario, "--every", "1h", status=2)
    idle = shell.types("run", status=2)

    assert "[schedule.exists]" in again
    assert "needs a topology" in nowhere
    assert "going through schedules needs a topology" in idle


def test_a_scheduler_alone_goes_through_them_until_it_is_told_to_end(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.creates("often", "--every", "6h")
    shell.types("trigger", "often")
    kept = Coordinator.run_schedules

    async def ended_soon(self: Coordinator) -> None:
        threading.Timer(1.2, _interrupt).start()
        await kept(self)

    monkeypatch.setattr(Coordinator, "run_schedules", ended_soon)
    said = shell.types("run", "--topology", str(shell.topology))
    (told,) = json.loads(shell.types("history", "often", "--output", "json"))

    assert said == "going through the schedules of shop; Ctrl-C ends it\nended\n"
    assert told["state"] == "started"


def _interrupt(kill: Callable[[int, int], None] = os.kill) -> None:
    kill(os.getpid(), signal.SIGINT)
