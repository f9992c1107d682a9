"""The command line as people and programs meet it: what it prints, and its exit status."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from xml.etree import ElementTree as ET

import pytest

from support.e2e_log import of_kind, past
from support.e2e_shop import BROKEN, UNKNOWN, Shop, shop
from support.e2e_terminal import Running
from support.e2e_witness import belonging, left_running
from test_coordination.domain.events import ExecutionTakenOver, FaultReverted

pytestmark = pytest.mark.timeout(300)

# The undo has a minute before it is given up. It is begun first, and asked about last.
RESIDUE_S_MAX = 200.0


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def doomed() -> Iterator[tuple[Shop, Running]]:
    """A shop whose service cannot be started again, and the run that has stopped it."""
    with shop() as opened:
        scenario = opened.scenario(fault="service.stop")
        running = opened.breaks(scenario, "outage=200ms")
        running.prints("in force")
        opened.needed.unlink()
        yield opened, running


@pytest.mark.parametrize(
    ("status", "verdict", "words", "parameters"),
    [
        (0, "HELD", {}, ()),
        (1, "BROKEN", {"expect": BROKEN, "within": "300ms"}, ()),
        (3, "STOPPED", {"timeout": "1s"}, ("outage=5m",)),
        (5, "INCONCLUSIVE", {"expect": UNKNOWN, "within": "300ms"}, ()),
    ],
)
def test_the_exit_status_says_how_an_execution_ended(
    open_shop: Shop,
    *,
    status: int,
    verdict: str,
    words: dict[str, str],
    parameters: tuple[str, ...],
) -> None:
    scenario = open_shop.scenario(verdict.lower(), **words)

    said = open_shop.breaks(scenario, *parameters).ends()

    assert (said.status, said.out.splitlines()[-2].split()[0]) == (status, verdict), said
    assert not open_shop.trouble()


def test_a_service_that_does_not_run_cannot_be_broken(open_shop: Shop) -> None:
    elsewhere = shutil.copy(open_shop.topology, open_shop.topology.with_name("elsewhere.yaml"))

    said = open_shop.terminal.run("run", open_shop.scenario(), "--topology", elsewhere)

    assert said.status == 4
    assert "COULD NOT RUN  step 'break' failed" in said.out
    assert "never started" in said.out


def test_without_a_topology_nothing_is_run(open_shop: Shop) -> None:
    said = open_shop.terminal.run("run", open_shop.scenario())

    assert said.status == 2
    assert "--topology" in said.err
    assert said.out == ""


def test_a_parameter_that_the_scenario_does_not_have_is_refused_by_name(open_shop: Shop) -> None:
    said = open_shop.breaks(open_shop.scenario(), "outgae=1s").ends()

    assert said.status == 2
    assert "'outgae'" in said.err
    assert "did you mean 'outage'?" in said.err
    assert said.out == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_undoes_its_fault_before_it_ends(
    open_shop: Shop, number: signal.Signals
) -> None:
    running = open_shop.breaks(open_shop.scenario(), "outage=5m")
    running.prints("in force")

    running.gets(number)
    said = running.ends()

    assert not open_shop.trouble()
    assert said.status == 130
    assert "stopping: every fault is being undone" in said.err
    assert "break: service.pause on shop undone" in said.out
    assert "STOPPED" in said.out


def test_who_is_impatient_is_told_to_wait_and_the_fault_is_undone_all_the_same(
    open_shop: Shop,
) -> None:
    running = open_shop.breaks(open_shop.scenario(fault="service.stop"), "outage=5m")
    running.prints("in force")

    running.gets(signal.SIGINT)
    running.prints("stopping:")
    running.gets(signal.SIGINT)
    said = running.ends()

    assert said.status == 130
    assert "still undoing" in said.err
    assert not open_shop.trouble()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_before_it_began_leaves_nothing(
    open_shop: Shop, number: signal.Signals
) -> None:
    servers = open_shop.terminal.home / "servers"
    assert left_running(servers) == []
    running = open_shop.breaks(open_shop.scenario(), "outage=5m")
    while not belonging(servers):
        sleep(0.01)

    running.gets(number)
    said = running.ends()

    assert (said.status, said.err) == (130, "interrupted\n"), said
    assert left_running(servers) == []
    assert not open_shop.trouble()


def test_what_was_run_is_listed_newest_first(open_shop: Shop) -> None:
    open_shop.breaks(open_shop.scenario("older")).ends()
    open_shop.breaks(open_shop.scenario("newer")).ends()

    text = open_shop.terminal.run("executions", "--limit", "2")
    listed = open_shop.terminal.run("executions", "--limit", "2", "--output", "json")

    newer, older = json.loads(listed.out)
    assert (newer["scenario"], older["scenario"]) == ("newer", "older")
    assert (newer["status"], newer["verdict"]) == ("finished", "held")
    assert newer["faults_outstanding"] == 0
    lines = text.out.splitlines()
    assert [line.split()[0] for line in lines] == [newer["id"], older["id"]]


def test_a_report_is_found_by_the_end_of_its_identity_in_every_form(open_shop: Shop) -> None:
    open_shop.breaks(open_shop.scenario()).ends()
    records = json.loads(open_shop.terminal.run("executions", "--output", "json").out)
    suffix = records[0]["id"][-8:]
    for form in ("html", "json", "junit", "markdown"):
        said = open_shop.terminal.run("report", suffix, "--format", form)

        assert said.status == 0, said
        text = Path(open_shop.terminal.work, said.out.removeprefix("report: ").strip()).read_text()
        assert _holds(form, text), text


def _holds(form: str, text: str) -> bool:
    """Tell whether a report in ``form`` says that the scenario held."""
    match form:
        case "json":
            return bool(json.loads(text)["verdict"] == "held")
        case "junit":
            suites = ET.fromstring(text)
            return suites.tag == "testsuites" and suites.get("failures", "0") == "0"
        case "html":
            return text.startswith("<!doctype html>") and "held" in text.lower()
        case _:
            return text.startswith("#") and "held" in text.lower()


def test_a_report_of_nobody_is_refused(open_shop: Shop) -> None:
    said = open_shop.terminal.run("report", "no-such-end")

    assert said.status == 2
    assert "no execution begins or ends with 'no-such-end'" in said.err


def test_services_are_seen_stopped_and_started(open_shop: Shop) -> None:
    words = ("--topology", open_shop.topology)
    terminal = open_shop.terminal
    before = terminal.run("services", *words)
    stopped = terminal.run("services", "stop", *words)
    meanwhile = terminal.run("services", "status", *words)
    gone = open_shop.trouble()
    started = terminal.run("services", "start", *words)

    assert (before.status, before.out.count("healthy")) == (0, 3)
    assert (stopped.status, stopped.out.count("stopped")) == (0, 3)
    assert (meanwhile.status, meanwhile.out.count("stopped")) == (4, 3)
    assert gone
    assert (started.status, started.out.count("healthy")) == (0, 3)
    assert not open_shop.trouble()


def test_two_runs_share_the_servers_and_the_second_goes_on_when_the_first_has_ended(
    open_shop: Shop,
) -> None:
    first = open_shop.breaks(open_shop.scenario("first"), "outage=2s")
    first.prints("in force")
    second = open_shop.breaks(open_shop.scenario("second", target="till"), "outage=9s")
    second.prints("in force")

    ended, still = first.ends(), second.process.poll()
    went_on = second.ends()

    assert (ended.status, still, went_on.status) == (0, None, 0), (ended, went_on)
    assert not open_shop.trouble()
    assert not open_shop.trouble("till")


def test_a_living_run_undoes_what_a_killed_one_has_left_and_who_follows_that_sees_it(
    open_shop: Shop,
) -> None:
    first = open_shop.breaks(open_shop.scenario("first"), "outage=5m")
    first.prints("in force")
    follower = open_shop.terminal.start("follow")
    follower.prints("in force")
    second = open_shop.breaks(open_shop.scenario("second", target="till"), "outage=14s")
    second.prints("in force")

    first.dies()
    followed = follower.ends()
    assert second.ends().status == 0
    trouble = open_shop.trouble()
    found = past(open_shop.terminal.home)

    assert not trouble
    assert found.swept == []
    assert [record.outstanding for record in found.records[:2]] == [0, 0]
    assert followed.status == 4
    assert followed.out.startswith("first (version 1), ")
    assert "break: service.pause on shop undone" in followed.out
    assert followed.out.splitlines()[-1].startswith("COULD NOT RUN")


def test_a_fault_that_is_not_proven_undone_outranks_all_and_is_undone_later(
    doomed: tuple[Shop, Running],
) -> None:
    damaged, running = doomed
    said = running.ends(within_s=RESIDUE_S_MAX)
    trouble = damaged.trouble()
    damaged.needed.touch()
    undo = damaged.terminal.run("undo")
    nothing = damaged.terminal.run("undo")
    log = past(damaged.terminal.home).log()

    assert said.status == 6
    assert "NOT PROVEN UNDONE" in said.out
    assert "RESIDUE" in said.out
    assert trouble
    assert (undo.status, nothing.status) == (0, 0)
    assert "undone: service.stop on shop" in undo.err
    assert "nothing was left in force" in nothing.out
    assert not damaged.trouble()
    assert len(of_kind(log, FaultReverted)) == 1
    assert not of_kind(log, ExecutionTakenOver)
