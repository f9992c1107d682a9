"""Whatever of the language is under way when a coordinator ends, nothing of it stays."""

from __future__ import annotations

import os
import random
import secrets
import signal
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import anyio
import pytest

from support.e2e_log import Aftermath, aftermath, is_gapless, narrated, never_reverted, of_kind
from support.e2e_ordeal import KEY, PIN, Market, market
from support.e2e_terminal import Said
from support.e2e_witness import left_running
from support.engine_echo import traces
from support.stores_contents import keys, tables
from test_coordination.adapters.servers.embedded import embedded_servers
from test_coordination.domain.events import (
    Entry,
    ExecutionEnded,
    ExecutionTakenOver,
    FaultReverted,
    StepRetried,
)
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

MOMENTS = int(os.environ.get("TCOORD_TEST_KILLS", "9"))
SEED = int(os.environ.get("TCOORD_TEST_SEED", "0")) or secrets.randbits(32)
# Endings that must have come while a fault was in force, for the whole ordeal to mean anything.
BITING_MIN = MOMENTS // 8
CLOCK = len("00:00.0")
WHOLE: Final = {"broad": (0, Verdict.HELD), "alarm": (3, Verdict.STOPPED)}
"""The exit status and the verdict of a run that nobody disturbs."""
ENDINGS: Final[Sequence[tuple[signal.Signals, ...]]] = (
    (signal.SIGKILL,),
    (signal.SIGKILL,),
    (signal.SIGTERM,),
    (signal.SIGKILL,),
    (signal.SIGINT, signal.SIGINT),
)
INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a coordinator is ended, by which signals, and when the one is that puts things right.

    It is counted from a line that it prints, so that it is met on a busy machine, too.
    """

    number: int
    scenario: str
    lines: int
    after_s: float
    signals: tuple[signal.Signals, ...]
    undo_dies_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When a run that is left alone prints each line, and between which times a part of it runs."""

    times_s: Sequence[float]
    inner_s: tuple[float, float]


@pytest.fixture(scope="module")
def open_market() -> Iterator[Market]:
    with market() as opened:
        yield opened


@pytest.mark.timeout(2400)
def test_whenever_a_coordinator_ends_all_of_the_language_is_undone_and_no_secret_is_told(
    open_market: Market,
) -> None:
    chance = random.Random(SEED)
    paces = {scenario: _pace(open_market, scenario) for scenario in WHOLE}
    known = {record.id for record in aftermath(open_market.terminal.home, known=()).records}
    biting, parts, retried = 0, 0, 0
    for moment in _moments(chance, paces):
        with _told(moment):
            said = _ended(open_market, moment)
            found = _put_right(open_market, moment, known)

            assert open_market.trouble() == []
            assert open_market.told() == []
            assert left_running(open_market.terminal.home / "servers") == []
            _is_settled(found, moment)
            _is_explained(said, found)
        logs = found.logs.values()
        biting += any(map(_undone_by_another, logs)) or said.status == INTERRUPTED
        parts += len(logs) > 1
        retried += any(of_kind(log, StepRetried) for log in logs)
        known |= {record.id for record in found.records}

    assert biting >= BITING_MIN
    assert parts >= BITING_MIN
    assert retried >= BITING_MIN
    assert _digests(KEY, PIN) <= open_market.heard()
    assert anyio.run(_telling, open_market) == set()
    assert open_market.breaks("broad").ends().status == 0


def _pace(shop: Market, scenario: str) -> Pace:
    running = shop.breaks(scenario)
    times_s = running.pace()
    said = running.ends()
    assert said.status == WHOLE[scenario][0], said
    # The time before the process prints anything counts as its line 0.
    lines = ["", *said.out.splitlines()]
    (begins,) = (i for i, line in enumerate(lines) if "  inner: running" in line)
    over = next(i for i, line in enumerate(lines) if i > begins and "  inner" in line)
    return Pace(times_s=times_s, inner_s=(times_s[begins], times_s[over]))


def _moments(chance: random.Random, paces: Mapping[str, Pace]) -> Iterator[Moment]:
    for number in range(MOMENTS):
        # Of three runs two are of the scenario that has more in it.
        scenario = "alarm" if number % 3 == 2 else "broad"
        pace = paces[scenario]
        inner, over = pace.inner_s
        # From the whole run, from the part of it that is a run of its own, and from its start.
        first, last = (pace.times_s[1], pace.times_s[-1]), (inner, over)
        start, end = (first, last, first, (inner, inner + 0.1))[number % 4]
        moment_s = chance.uniform(start, end)
        lines = bisect_right(pace.times_s, moment_s) - 1
        yield Moment(
            number=number,
            scenario=scenario,
            lines=lines,
            after_s=moment_s - pace.times_s[lines],
            signals=ENDINGS[number % len(ENDINGS)],
            undo_dies_after_s=chance.uniform(0.5, 2.5) if number % 5 == 1 else None,
        )


@contextmanager
def _told(moment: Moment) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(f"TCOORD_TEST_SEED={SEED} TCOORD_TEST_KILLS={MOMENTS}: {moment}")
        raise


def _ended(shop: Market, moment: Moment) -> Said:
    running = shop.breaks(moment.scenario)
    running.reaches(moment.lines)
    return running.dies(*moment.signals, after_s=moment.after_s)


def _put_right(shop: Market, moment: Moment, known: set[ExecutionId]) -> Aftermath:
    """Start what comes next, which may be killed as well, and return what is found after it."""
    if moment.undo_dies_after_s is not None:
        shop.terminal.start("undo").dies(after_s=moment.undo_dies_after_s)
    found = aftermath(shop.terminal.home, known=known)
    killed = signal.SIGKILL in moment.signals
    assert killed or not found.swept, "who is asked to end leaves nothing to do"
    return found


def _is_settled(found: Aftermath, moment: Moment) -> None:
    """Assert that each execution has an end that is true, and is part of no other than its own."""
    wholes = [record for record in found.records if record.parent is None]
    parts = [record for record in found.records if record.parent is not None]
    assert len(wholes) <= 1
    assert [record.parent for record in parts] == [record.id for record in wholes][: len(parts)]
    for record in found.records:
        log = found.logs[record.id]
        assert is_gapless(log)
        assert record.end == len(log)
        assert (record.status, record.outstanding) == (Status.FINISHED, 0)
        assert isinstance(log[-1].event, ExecutionEnded)
        assert not never_reverted(log)
        assert record.verdict in _honest(log, moment)
    for part in parts:
        logs = (found.logs[part.id], found.logs[wholes[0].id])
        if not any(of_kind(log, ExecutionTakenOver) for log in logs):
            assert logs[0][-1].at <= logs[1][-1].at, "a part ends before the whole does"


def _honest(log: Sequence[Entry], moment: Moment) -> set[Verdict]:
    """Return the verdicts that a log may come to."""
    if of_kind(log, ExecutionTakenOver):
        assert signal.SIGKILL in moment.signals
        return {Verdict.COULD_NOT_RUN}
    undisturbed = WHOLE[moment.scenario][1]
    return {undisturbed} if signal.SIGKILL in moment.signals else {undisturbed, Verdict.STOPPED}


def _is_explained(said: Said, found: Aftermath) -> None:
    """Assert that the log of the whole says all that was printed."""
    whole = said.out[: said.out.rfind("\n") + 1].splitlines()
    # What happened has a time, other than the verdict and the place of the report.
    lines = [line for line in whole if line[:CLOCK].replace(":", "").replace(".", "").isdigit()]
    if not found.records:
        assert not lines
    for record in found.records:
        if record.parent is None:
            assert narrated(record.plan, found.logs[record.id])[: len(lines)] == lines


def _undone_by_another(log: Sequence[Entry]) -> bool:
    """Tell whether a fault was in force, or half-way there, when the coordinator died."""
    kinds = [type(entry.event) for entry in log]
    return ExecutionTakenOver in kinds and FaultReverted in kinds[kinds.index(ExecutionTakenOver) :]


def _digests(*told: str) -> set[str]:
    return {sha256(secret.encode()).hexdigest() for secret in told}


async def _telling(shop: Market) -> set[str]:
    """Return the tables and keys that hold a secret."""
    async with embedded_servers(shop.terminal.home / "servers") as urls:
        kept = {**await tables(urls.postgres), **await keys(urls.redis)}
    assert any("execution_event" in name for name in kept)
    assert any("ORDEAL_KEY" in told for told in kept.values())
    return {name for name, told in kept.items() if traces(told)}
