"""``tcoord follow`` and ``tcoord executions``, on a coordinator that runs one."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import anyio
import click
import pytest
from click.testing import CliRunner, Result

from support.engine_lab import Lab, document, start
from test_coordination.adapters.rendering.json import render_entry
from test_coordination.application.coordinator import Coordinator
from test_coordination.domain.events import Entry
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ExecutionId
from test_coordination.interfaces.cli.choosing import chosen
from test_coordination.interfaces.cli.commands import executions, follow

SHORT = document("steps: [{id: a, wait: 50ms}, {id: b, wait: 50ms}]")
LONG = document("steps: [{id: a, wait: 5m}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The part of the program that the commands need; an execution of ``text`` has begun."""

    text: str
    interrupted: bool = False

    def coordinator(self, topology: Topology | None) -> AbstractAsyncContextManager[Coordinator]:
        assert topology is None
        return self._lent()

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[Coordinator]:
        async with Lab().coordinator() as coordinator:
            await start(coordinator, self.text)
            await anyio.sleep(0.02)
            if self.interrupted:
                threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            yield coordinator

    def entry(self, entry: Entry) -> str:
        return render_entry(entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Running):
    """The same, where an execution of ``text`` was left to workers, and there are none."""

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[Coordinator]:
        async with Lab().coordinator() as coordinator:
            scenario = await coordinator.create_scenario(self.text)
            await coordinator.execute_scenario(scenario, detached=True)
            threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            yield coordinator


def ran(command: click.Command, *words: str, program: Running) -> Result:
    return CliRunner().invoke(command, list(words), obj=program)


def test_the_newest_is_followed_to_its_verdict() -> None:
    said = ran(follow.command, program=Running(text=SHORT))

    lines = said.stdout.splitlines()
    assert said.exit_code == 5, "nothing was checked"
    assert lines[0].startswith("story (version 1), 00000000-")
    assert lines[1].endswith("story on lab: watching nothing")
    assert lines[2].endswith("a: waiting for 50ms")
    assert lines[-1].startswith("INCONCLUSIVE")


def test_what_was_seen_is_left_out_and_programs_get_a_line_an_entry() -> None:
    said = ran(follow.command, "--after", "3", "--output", "json", program=Running(text=SHORT))

    entries = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.exit_code == 5
    assert [entry["position"] for entry in entries] == list(range(4, 4 + len(entries)))
    assert entries[0]["event"] == {"type": "StepStarted", "step": "b"}
    assert entries[-1]["event"]["verdict"] == "inconclusive"


@pytest.mark.parametrize("words", [["--output", "json"], []])
def test_who_leaves_is_told_where_to_go_on(words: list[str]) -> None:
    said = ran(follow.command, *words, program=Running(text=LONG, interrupted=True))

    assert said.exit_code == 130
    assert " --after 2`" in said.stderr


def test_what_waits_for_a_worker_is_told_with_what_is_lacking() -> None:
    said = ran(follow.command, program=Waiting(text=SHORT, interrupted=True))

    assert said.exit_code == 130
    lines = said.stdout.splitlines()
    assert lines[1] == "waits: for a worker: no worker is at work; start one with `tcoord worker`"


def test_an_unknown_execution_is_refused() -> None:
    said = ran(follow.command, "zz", program=Running(text=LONG))

    assert said.exit_code == 2
    assert "no execution begins or ends with 'zz'" in said.stderr


def test_what_runs_is_listed_with_how_far_it_has_come() -> None:
    text = ran(executions.command, program=Running(text=LONG))
    (listed,) = json.loads(
        ran(executions.command, "--output", "json", program=Running(text=LONG)).stdout
    )

    assert text.stdout.splitlines()[1].strip() == "0%, 5m left (a)"
    assert listed["progress"]["percent"] == 0
    assert listed["progress"]["remaining"]["least_s"] == pytest.approx(300, abs=1)


@pytest.mark.parametrize("part", ["0190aaaa", "5678", "0190AAAA-0000-7000-8000-000000005678"])
def test_an_execution_is_named_by_either_end(part: str) -> None:
    one = ExecutionId(UUID("0190aaaa-0000-7000-8000-000000005678"))
    other = ExecutionId(UUID("0190bbbb-0000-7000-8000-000000001234"))

    assert chosen(part, [other, one]) == one


def test_what_several_executions_begin_with_is_refused() -> None:
    known = [ExecutionId(UUID(f"0190aaaa-0000-7000-8000-00000000000{n}")) for n in range(2)]

    with pytest.raises(click.BadParameter, match="2 recent executions begin or end with '0190'"):
        chosen("0190", known)
