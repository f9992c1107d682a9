"""A coordinator may be killed at any moment: whoever starts next puts everything right."""

from __future__ import annotations

import os
import random
import secrets
import signal
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.e2e_log import Past, is_gapless, narrated, never_reverted, of_kind, past
from support.e2e_terminal import Said
from support.e2e_trading import PAUSE, RESTART, Trading, trading_system
from support.e2e_witness import belonging, left_running
from support.servers_witness import kill_all as kill_servers
from test_coordination.domain.events import (
    Entry,
    ExecutionEnded,
    ExecutionTakenOver,
    FaultReverted,
)
from test_coordination.domain.execution import Status
from test_coordination.domain.verdicts import Verdict

KILLS = int(os.environ.get("TCOORD_TEST_KILLS", "10"))
SEED = int(os.environ.get("TCOORD_TEST_SEED", "0")) or secrets.randbits(32)
# Faults that must have been in force at a kill, for the whole ordeal to mean anything.
BITING_MIN = KILLS // 8
COMMANDS = (("undo",), ("doctor",), ("executions", "--output", "json"))
CLOCK = len("00:00.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When the coordinator is killed, and who puts things right; an empty command: the test.

    The moment is counted from a line that it prints, so that it is met on a busy machine, too.
    """

    number: int
    scenario: Path
    lines: int
    after_s: float
    command: tuple[str, ...]
    command_dies_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When a run that is left alone prints each line, and between which times its fault is made."""

    times_s: Sequence[float]
    fault_s: tuple[float, float]


@pytest.fixture(scope="module")
def trading() -> Iterator[Trading]:
    with trading_system() as lent:
        yield lent


@pytest.mark.timeout(1200)
def test_whenever_a_coordinator_is_killed_the_next_start_undoes_and_loses_nothing(
    trading: Trading,
) -> None:
    chance = random.Random(SEED)
    paces = {scenario: _pace(trading, scenario) for scenario in (RESTART, PAUSE)}
    known, biting = 2, 0
    for kill in _kills(chance, paces):
        with _told(kill):
            running = trading.breaks(kill.scenario)
            running.reaches(kill.lines)
            printed = running.dies(after_s=kill.after_s)
            found = _put_right(trading, kill)

            assert not trading.trouble()
            assert len(found.records) - known in {0, 1}
            assert _is_explained(printed, found if len(found.records) > known else None)
        biting += _undone_by_another(found.log()) if len(found.records) > known else 0
        known = len(found.records)

    assert biting >= BITING_MIN
    assert trading.breaks(RESTART).ends().status == 0


def _pace(trading: Trading, scenario: Path) -> Pace:
    running = trading.breaks(scenario)
    times_s = running.pace()
    said = running.ends()
    assert said.status == 0, said
    # The time before the process prints anything counts as its line 0.
    lines = ["", *said.out.splitlines()]
    (begins,) = (i for i, line in enumerate(lines) if "waiting for 100ms" in line and i < 8)
    (over,) = (i for i, line in enumerate(lines) if "on exchange undone" in line)
    return Pace(times_s=times_s, fault_s=(times_s[begins], times_s[over]))


def _kills(chance: random.Random, paces: Mapping[Path, Pace]) -> Iterator[Kill]:
    for number in range(KILLS):
        scenario = (RESTART, PAUSE)[number % 2]
        pace = paces[scenario]
        # Two of four moments are drawn from the whole run, two from the short time of the fault.
        span = (0, pace.times_s[-1]) if number % 4 < 2 else pace.fault_s
        moment_s = chance.uniform(*span)
        lines = bisect_right(pace.times_s, moment_s) - 1
        # Every sixth time a command puts things right, and half of those are killed as well.
        by_command = number % 6 == 5
        yield Kill(
            number=number,
            scenario=scenario,
            lines=lines,
            after_s=moment_s - pace.times_s[lines],
            command=COMMANDS[number // 6 % len(COMMANDS)] if by_command else (),
            command_dies_after_s=chance.uniform(0.5, 3.0) if number % 12 == 5 else None,
        )


@contextmanager
def _told(kill: Kill) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"TCOORD_TEST_SEED={SEED} TCOORD_TEST_KILLS={KILLS}: {kill}")
        raise


def _put_right(trading: Trading, kill: Kill) -> Past:
    """Start what comes next, and return what is found after it."""
    if kill.command_dies_after_s is not None:
        trading.terminal.start(*kill.command).dies(after_s=kill.command_dies_after_s)
    if kill.command:
        said = trading.terminal.run(*kill.command)
        assert said.status == 0, said
    found = past(trading.terminal.home)
    assert not (kill.command and found.swept), "the command has left nothing to do"
    return found


def _is_explained(printed: Said, found: Past | None) -> bool:
    """Tell whether the newest log is whole, settled, and says all that was printed."""
    lines = [line for line in _whole_lines(printed.out) if _has_time(line)]
    if found is None:
        return not lines
    log, record = found.log(), found.records[0]
    assert is_gapless(log)
    assert record.end == len(log)
    assert all(one.status is Status.FINISHED and not one.outstanding for one in found.records)
    assert isinstance(log[-1].event, ExecutionEnded)
    assert not never_reverted(log)
    assert narrated(found.plan(), log)[: len(lines)] == lines
    taken_over = of_kind(log, ExecutionTakenOver)
    assert len(taken_over) <= 1 or printed.status < 0
    assert bool(taken_over) == (record.verdict is Verdict.COULD_NOT_RUN)
    return True


def _whole_lines(text: str) -> Sequence[str]:
    """Return the lines that were printed to their end."""
    return text[: text.rfind("\n") + 1].splitlines()


def _has_time(line: str) -> bool:
    """Tell a line about what happened from the verdict, and from where the report is."""
    return line[:CLOCK].replace(":", "").replace(".", "").isdigit()


def _undone_by_another(log: Sequence[Entry]) -> bool:
    """Tell whether a fault was in force, or half-way there, when the coordinator died."""
    kinds = [type(entry.event) for entry in log]
    return ExecutionTakenOver in kinds and FaultReverted in kinds[kinds.index(ExecutionTakenOver) :]


@pytest.mark.timeout(300)
def test_a_coordinator_killed_with_its_servers_and_its_frozen_target_leaves_nothing_behind(
    trading: Trading,
) -> None:
    running = trading.breaks(PAUSE, ("outage=60s", "warm_up=10ms"))
    running.prints("freeze: service.pause on exchange in force")
    (frozen,) = trading.exchange()
    session = [p for p in belonging(trading.terminal.place) if p.session == frozen.session]

    printed = running.dies()
    kill_servers(trading.terminal.home / "servers")
    for process in session:
        os.kill(process.pid, signal.SIGKILL)
    undo = trading.terminal.run("undo")
    found = past(trading.terminal.home)

    assert frozen.state == "T"
    assert undo.status == 0
    assert "undone: service.pause on exchange" in undo.err
    assert not trading.trouble()
    assert _is_explained(printed, found)
    assert _undone_by_another(found.log())
    assert not found.swept


@pytest.mark.timeout(300)
def test_no_server_outlives_a_killed_coordinator(trading: Trading) -> None:
    running = trading.breaks(RESTART)
    running.prints("restart: service.stop on exchange in force")

    running.dies()
    left = left_running(trading.terminal.home / "servers")

    assert left == []
    assert trading.terminal.run("undo").status == 0
    assert not trading.trouble()
