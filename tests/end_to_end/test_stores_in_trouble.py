"""PostgreSQL or Redis breaks while a scenario runs: the fault is undone, and the log is true."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import anyio
import pytest

from support.e2e_log import Past, is_gapless, never_reverted, of_kind, past
from support.e2e_shop import Shop, shop
from support.e2e_terminal import LOOK_S, PATIENCE_S, Running, Said
from support.servers_witness import (
    kill_all,
    postgres_serves,
    postmaster,
    target_urls,
    until,
    valkey,
    valkey_serves,
)
from test_coordination import Verdict
from test_coordination.domain.events import ExecutionTakenOver, Noted
from test_coordination.domain.execution import Status

pytestmark = pytest.mark.timeout(300)

IMPATIENT = (sys.executable, str(Path(__file__).parents[1] / "support" / "e2e_impatient.py"))
# Four seconds of patience, two more for what comes after, and the ends of all that is lent.
GIVEN_UP_S_MAX = 60.0


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


def _servers(open_shop: Shop) -> Path:
    return open_shop.terminal.home / "servers"


def _redis(path: Path, *words: str) -> str:
    """Return what a Valkey answers to a command."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(" ".join(words).encode() + b"\r\n")
        return client.recv(65536).decode()


def _comes_back(path: Path) -> bool:
    """Tell whether the state of a running execution is in Redis within some seconds."""
    limit = monotonic() + PATIENCE_S
    while monotonic() < limit:
        with suppress(OSError):
            if "test:execution:" in (found := _redis(path, "KEYS", "*:state")):
                key = found.splitlines()[-1]
                return "running" in _redis(path, "HGETALL", key)
        sleep(LOOK_S)
    return False


@contextmanager
def _server(open_shop: Shop, kind: str) -> Iterator[Running]:
    """Run a server that is none of the coordinator's; it may be started again in its place."""
    directory = _own(open_shop)
    running = open_shop.terminal.start("server", kind, "--directory", directory)
    serves = {"postgres": postgres_serves, "valkey": valkey_serves}[kind]
    anyio.run(until, partial(serves, target_urls(directory)))
    try:
        yield running
    finally:
        running.gets(signal.SIGINT if kind == "postgres" else signal.SIGTERM)
        running.ends()


def _own(open_shop: Shop) -> Path:
    return open_shop.terminal.place / "own"


def _postgres_url(open_shop: Shop) -> str:
    return target_urls(_own(open_shop)).postgres


def _is_settled(found: Past) -> bool:
    """Tell whether the newest log is whole, at its end, and has no fault that is not undone."""
    log, record = found.log(), found.records[0]
    assert record.status is Status.FINISHED
    assert (record.end, record.outstanding) == (len(log), 0)
    assert not never_reverted(log)
    return is_gapless(log)


def test_a_redis_that_is_emptied_is_filled_again_while_the_execution_goes_on(
    open_shop: Shop,
) -> None:
    address = _servers(open_shop) / "valkey" / "valkey.sock"
    running = open_shop.breaks(open_shop.scenario(), "outage=6s")
    running.prints("in force")
    before = _comes_back(address)

    emptied = _redis(address, "FLUSHALL")
    back = _comes_back(address)
    said = running.ends()
    found = past(open_shop.terminal.home)

    assert before
    assert emptied == "+OK\r\n"
    assert back
    assert said.status == 0
    assert _is_settled(found)
    assert not of_kind(found.log(), Noted)


def test_a_redis_that_is_killed_is_started_again_and_shows_the_execution_again(
    open_shop: Shop,
) -> None:
    running = open_shop.breaks(open_shop.scenario(), "outage=6s")
    running.prints("in force")

    os.kill(valkey(_servers(open_shop)), signal.SIGKILL)
    back = _comes_back(_servers(open_shop) / "valkey" / "valkey.sock")
    said = running.ends()
    found = past(open_shop.terminal.home)

    assert back
    assert said.status == 0
    assert _is_settled(found)
    assert len(of_kind(found.log(), Noted)) <= 1


def test_a_redis_that_is_gone_for_good_is_noted_once_and_changes_no_verdict(
    open_shop: Shop,
) -> None:
    place = _own(open_shop)
    environment = {"TCOORD_REDIS_URL": target_urls(place).redis}
    with _server(open_shop, "valkey"):
        running = open_shop.breaks(open_shop.scenario(), "outage=2s", environment=environment)
        running.prints("in force")
        kill_all(place)
        said = running.ends()
    found = past(open_shop.terminal.home)

    assert said.status == 0
    assert _is_settled(found)
    (noted,) = of_kind(found.log(), Noted)
    assert isinstance(noted, Noted)
    assert "Redis" in noted.text


def test_a_redis_that_never_was_there_changes_no_verdict(open_shop: Shop) -> None:
    environment = {"TCOORD_REDIS_URL": "unix:///nowhere/valkey.sock"}

    said = open_shop.breaks(open_shop.scenario(), environment=environment).ends()

    assert said.status == 0, said
    assert said.out.count("Redis cannot be used") == 1


def test_a_postgresql_that_is_killed_is_waited_for_and_the_execution_goes_on(
    open_shop: Shop,
) -> None:
    running = open_shop.breaks(open_shop.scenario(), "outage=1s")
    running.prints("in force")

    os.kill(postmaster(_servers(open_shop) / "postgres"), signal.SIGKILL)
    said = running.ends()
    found = past(open_shop.terminal.home)

    assert said.status == 0, said
    assert not open_shop.trouble()
    assert _is_settled(found)
    assert not of_kind(found.log(), ExecutionTakenOver)


def test_who_comes_while_the_owner_of_the_servers_dies_waits_and_starts_them_again(
    open_shop: Shop,
) -> None:
    published = _servers(open_shop) / "servers.json"
    running = open_shop.breaks(open_shop.scenario())
    running.prints("in force")
    where = published.read_text()
    running.ends()
    # As a child of the owner would that was not yet another program when the owner was killed.
    with (_servers(open_shop) / "owner.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        published.write_text(where)

        coming = open_shop.terminal.start("executions")
        sleep(3)
        waited = coming.process.poll() is None
    said = coming.ends()

    assert waited, said
    assert said.status == 0, said
    assert "quick" in said.out


def test_servers_that_keep_dying_end_the_run_with_its_fault_undone(open_shop: Shop) -> None:
    running = open_shop.breaks(open_shop.scenario(), "outage=5m", program=IMPATIENT)
    running.prints("in force")
    limit = monotonic() + PATIENCE_S
    while running.process.poll() is None and monotonic() < limit:
        with suppress(OSError, ValueError):
            os.kill(postmaster(_servers(open_shop) / "postgres"), signal.SIGKILL)
        sleep(0.1)

    said = running.ends()
    trouble = open_shop.trouble()
    found = past(open_shop.terminal.home)

    assert said.status == 4, said
    assert "Traceback" not in said.err
    assert not trouble
    assert _is_settled(found)
    assert found.records[0].verdict is Verdict.COULD_NOT_RUN


def test_who_interrupts_while_postgresql_is_gone_has_the_fault_undone_all_the_same(
    open_shop: Shop,
) -> None:
    environment = {"TCOORD_POSTGRES_URL": _postgres_url(open_shop)}
    with _server(open_shop, "postgres"):
        running = open_shop.breaks(
            open_shop.scenario(), "outage=5m", program=IMPATIENT, environment=environment
        )
        running.prints("in force")
        kill_all(_own(open_shop))

        running.gets(signal.SIGINT)
        said = running.ends()
    trouble = open_shop.trouble()

    assert said.status == 4, said
    assert "stopping: every fault is being undone" in said.err
    assert "Traceback" not in said.err
    assert said.took_s < GIVEN_UP_S_MAX
    assert not trouble


def test_a_postgresql_that_is_gone_for_good_ends_the_run_with_its_fault_undone(
    open_shop: Shop,
) -> None:
    with _server(open_shop, "postgres"):
        said = _bereft(open_shop)
    trouble = open_shop.trouble()
    with _server(open_shop, "postgres"):
        found = past(open_shop.terminal.home, postgres_url=_postgres_url(open_shop))

    assert said.status == 4, said
    assert "PostgreSQL" in said.err or "the execution log" in said.err
    assert "Traceback" not in said.err
    assert said.took_s < GIVEN_UP_S_MAX
    assert not trouble
    assert _is_settled(found)
    assert found.records[0].verdict is Verdict.COULD_NOT_RUN
    assert of_kind(found.log(), ExecutionTakenOver)


def _bereft(open_shop: Shop) -> Said:
    """Run a scenario, kill its PostgreSQL while the fault is in force, and await its end."""
    environment = {"TCOORD_POSTGRES_URL": _postgres_url(open_shop)}
    running = open_shop.breaks(
        open_shop.scenario(), "outage=500ms", program=IMPATIENT, environment=environment
    )
    running.prints("in force")
    kill_all(_own(open_shop))
    return running.ends()
