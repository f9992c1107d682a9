"""PostgreSQL and Redis get into trouble while a fleet is at work: each ends as it truly did.

By default stores are in trouble for a moment and in the most frequent ways. The whole, some
minutes of it, with the outages that are promised to be survived, is run and told of by
``TCOORD_TEST_TROUBLE=full ./test -s tests/end_to_end/test_fleet_and_stores.py``; what chance
chooses is repeated by ``TCOORD_TEST_SEED``.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from time import monotonic, sleep
from uuid import UUID

import pytest

from support.e2e_fleet import MIX
from support.e2e_trouble import FULL, IMPATIENT, PATIENCE_S, Scene, scene
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

pytestmark = pytest.mark.timeout(600)
in_full = pytest.mark.skipif(not FULL, reason="TCOORD_TEST_TROUBLE=full runs it")

SEED = int(os.environ.get("TCOORD_TEST_SEED", "0")) or secrets.randbits(32)
AWAY_S = 30.0 if FULL else 1.0
LEFT = sorted(MIX) * 2 if FULL else ["kill-shop"]
CUT_EVERY_S = 1.0 if FULL else 0.2
# What is done after the fault writes more than fits where something is written already.
MUCH = "".join(f"  - {{id: wait-{number}, wait: 5ms}}\n" for number in range(60))
FULL_DISK_S = 8.0 if FULL else 1.5
# The hold of its fault, and what a machine that is busy needs to undo it.
UNDONE_S_MAX = 8.0
# A program that finds the store back lets others have their chance, and looks each half second.
ENDED_S_MAX = 15.0
REFUSALS_A_SECOND_MAX = 8
NO_ROOM = "No space left on device"


@pytest.fixture(scope="module")
def stage() -> Iterator[Scene]:
    with scene() as opened:
        yield opened


@pytest.fixture(autouse=True)
def told(
    stage: Scene, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Assert at the end of each test that all is well, and tell how everything ended."""
    known = set(stage.past()) if FULL else set()
    began = monotonic()
    yield
    took_s = monotonic() - began
    stage.assert_true()
    if FULL:
        new = [(record, log) for name, (record, log) in stage.past().items() if name not in known]
        verdicts = Counter(str(record.verdict) for record, _ in new)
        with capsys.disabled():
            print(f"\n{request.node.name}: {took_s:.1f} s, {dict(verdicts)}")


def until_undone(stage: Scene, *, within_s: float = UNDONE_S_MAX) -> float:
    """Return after how long nothing is amiss with the services any more."""
    began = monotonic()
    while trouble := stage.market.trouble():
        assert monotonic() - began < within_s, trouble
        sleep(0.1)
    return monotonic() - began


def test_postgresql_is_restarted_while_a_run_and_a_fleet_are_at_work(stage: Scene) -> None:
    executions = stage.leave(LEFT)
    running = stage.run(hold="1s")

    stage.postgres.stop()
    stage.postgres.start()
    said = running.ends()
    stage.ended(executions)

    assert said.status == 0, said
    assert "Traceback" not in said.err


def frozen(stage: Scene) -> Callable[[], None]:
    stage.postgres.freeze()
    return stage.postgres.thaw


def stopped(stage: Scene) -> Callable[[], None]:
    stage.postgres.stop()
    return stage.postgres.start


@pytest.mark.parametrize("away", [frozen, pytest.param(stopped, marks=in_full)])
def test_postgresql_is_away_for_half_a_minute_while_faults_are_in_force(
    stage: Scene, away: Callable[[Scene], Callable[[], None]]
) -> None:
    executions = stage.leave([*LEFT, "pause-till"])

    back = away(stage)
    sleep(AWAY_S)
    if FULL:
        until_undone(stage)
    back()
    stage.ended(executions)


@in_full
def test_postgresql_is_away_for_longer_than_it_is_waited_for(stage: Scene) -> None:
    executions = stage.leave(LEFT)
    running = stage.run(hold="1s")

    stage.postgres.freeze()
    sleep(40)
    until_undone(stage)
    stage.postgres.thaw()
    said = running.ends()
    stage.ended(executions)

    assert said.status == 4, said
    assert "within 30 s" in said.err


def test_a_connection_is_cut_each_second_of_a_whole_mix(stage: Scene) -> None:
    chance = random.Random(SEED)
    executions = stage.leave([*LEFT, "posted"])
    cut = 0
    said = ""
    while not all(f"ended   {each}" in said for each in executions):
        cut += stage.postgres.cut_one(chance)
        sleep(CUT_EVERY_S)
        said = "".join(one.out() for one in stage.workers.living)

    assert cut > 0, f"TCOORD_TEST_SEED={SEED}"


def on_a_small_disk(stage: Scene) -> None:
    """Skip what needs a disk that can be filled, unless everything must run."""
    if not stage.small:
        assert os.environ.get("TCOORD_TEST_MUST_RUN") != "1", "no disk of its own may be mounted"
        pytest.skip("only who may mount a disk of its own can fill it")


def refusals(stage: Scene) -> int:
    """Return how often PostgreSQL said that its disk is full, for a while after the first time."""
    limit = monotonic() + PATIENCE_S
    while not (before := stage.postgres.said().count(NO_ROOM)):
        assert monotonic() < limit, "all that was written had room"
        sleep(0.05)
    sleep(FULL_DISK_S)
    return stage.postgres.said().count(NO_ROOM) - before


def test_a_disk_that_is_full_for_a_while_is_waited_for(stage: Scene) -> None:
    on_a_small_disk(stage)
    running = stage.run(hold="500ms", then=MUCH)

    stage.postgres.fill()
    refused = refusals(stage)
    until_undone(stage)
    stage.postgres.free()
    said = running.ends()

    assert refused <= REFUSALS_A_SECOND_MAX * FULL_DISK_S, "it is tried again and again"
    assert said.status == 0, said


def beside(stage: Scene, known: Collection[ExecutionId]) -> ExecutionRecord:
    """Return the one execution that is not known, once somebody has ended it."""
    limit = monotonic() + ENDED_S_MAX
    while True:
        (new,) = [record for name, (record, _) in stage.past().items() if name not in known]
        if new.status is Status.FINISHED:
            return new
        assert monotonic() < limit, new
        sleep(0.5)


@in_full
def test_a_disk_that_stays_full_ends_a_run_which_says_what_to_do(stage: Scene) -> None:
    on_a_small_disk(stage)
    known = stage.past().keys()
    running = stage.run(hold="1s", then=MUCH, program=IMPATIENT)

    stage.postgres.fill()
    undone_s = until_undone(stage)
    said = running.ends()
    stage.postgres.free()
    new = beside(stage, known)

    assert undone_s < UNDONE_S_MAX
    assert said.status == 4, said
    assert "Traceback" not in said.err
    assert "DiskFullError" in said.err
    assert "make room on the disk of its data" in said.err
    assert new.verdict is Verdict.COULD_NOT_RUN


@in_full
def test_a_postgresql_that_dies_of_a_full_disk_is_waited_for(stage: Scene) -> None:
    """It panics where not even what is to be written next fits; somebody starts it again."""
    on_a_small_disk(stage)
    executions = stage.leave(LEFT)
    running = stage.run(hold="1s", then=MUCH)

    stage.postgres.fill()
    died = stage.postgres.panic()
    until_undone(stage)
    stage.postgres.free()
    stage.postgres.start()
    said = running.ends()
    stage.ended(executions)

    assert "PANIC" in died
    assert said.status == 0, said


def test_postgresql_comes_back_elsewhere_and_takes_no_writes_at_first(stage: Scene) -> None:
    executions = stage.leave(LEFT)

    stage.postgres.stop()
    stage.postgres.move("second")
    stage.postgres.start()
    stage.lead()
    sleep(AWAY_S / 2)
    refused = [one.out() for one in stage.workers.living]
    stage.postgres.promote()
    stage.ended(executions)

    assert not any("a bug of ours" in said for said in refused)
    assert "in a read-only transaction" in stage.postgres.said(), "it was asked to write"


@in_full
def test_who_finds_only_a_standby_is_told_what_to_do(stage: Scene) -> None:
    stage.postgres.stop()
    stage.postgres.move("third")
    stage.postgres.start()
    stage.lead()

    said = stage.market.terminal.run("executions", program=IMPATIENT)
    stage.postgres.promote()

    assert said.status == 4, said
    assert "it takes no writes, as a standby does" in said.err
    assert "target_session_attrs=read-write" in said.err


def hung(stage: Scene) -> Callable[[], None]:
    stage.redis.freeze()
    return stage.redis.thaw


def gone(stage: Scene) -> Callable[[], None]:
    stage.redis.kill()
    return stage.redis.start


@pytest.mark.parametrize("trouble", [pytest.param(hung, marks=in_full), gone])
def test_without_redis_a_fleet_is_at_work_followed_and_stopped(
    stage: Scene, trouble: Callable[[Scene], Callable[[], None]]
) -> None:
    terminal = stage.market.terminal
    file = stage.scenario(hold="5m")
    words = ("run", file, "--topology", stage.market.topology.file, "--detach")
    execution = terminal.run(*words).out.strip()
    following = terminal.start("follow", execution)
    following.prints("in force")

    back = trouble(stage)
    others = stage.leave(LEFT)
    stopped = terminal.run("abort", execution, "--reason", "enough")
    said = following.ends()
    stage.ended([*others, ExecutionId(UUID(execution))])
    back()

    assert stopped.status == 0, stopped
    assert "not told by Redis" in stopped.err
    assert "STOPPED" in said.out, said
    assert said.status == 3


@in_full
def test_a_run_whose_redis_hangs_from_begin_to_end_holds_and_says_so_once(stage: Scene) -> None:
    stage.redis.freeze()
    said = stage.run(hold="3s").ends()
    stage.redis.thaw()

    assert said.status == 0, said
    assert (said.out + said.err).count("Redis cannot be used") <= 2
