"""``tcoord run`` of suites, of names, of versions, and of what depends on others."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.e2e_shop import BROKEN, HELD, Shop, shop
from support.e2e_terminal import TCOORD, Said, shown

pytestmark = pytest.mark.timeout(300)

SUITE = """
suite: {name}
version: 1
parameters: {{outage: {{type: duration, default: 200ms}}}}
scenarios:
  - id: good
    scenario: quick
    matrix: {{n: [1, 2]}}
    with: {{outage: "${{{{ parameters.outage }}}}"}}
  - {{id: bad, scenario: {middle}, needs: [good]}}
  - {{id: last, scenario: quick, needs: [bad]}}
concurrency: 1
"""
DEPENDENT = """
scenario: dependent
version: 1
depends_on: [{scenario: ahead, within: 1h}]
probes: {seen: {process: till, every: 100ms}}
steps:
  - {id: rest, wait: 100ms}
  - {id: well, expect: probes.seen.last.healthy, within: 5s}
"""
CHANCE = """
scenario: chance
version: 1
probes: {seen: {process: till, every: 100ms}}
steps:
  - id: freeze
    fault: service.pause
    target: {service: [shop, till, desk], instances: any}
    hold: 100ms
  - {id: well, expect: probes.seen.last.healthy, within: 5s}
"""
SECRET = """
scenario: secret
version: 1
parameters: {token: {type: secret, required: true}}
probes: {seen: {process: till, every: 100ms}}
steps:
  - {id: well, expect: probes.seen.last.healthy, within: 5s}
"""


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        opened.scenario("quick")
        opened.scenario("broken", expect=BROKEN, within="300ms")
        opened.scenario("leading", target="till")
        opened.scenario("ahead", target="till")
        yield opened


def written(at: Shop, name: str, text: str) -> Path:
    path = at.topology.with_name(f"{name}.yaml")
    path.write_text(text)
    return path


def ran(at: Shop, *words: object) -> Said:
    return at.terminal.run("run", *words, "--topology", at.topology)


def test_a_suite_runs_to_its_end_and_all_of_it_is_told(open_shop: Shop) -> None:
    file = written(open_shop, "fine", SUITE.format(name="fine", middle="leading"))

    said = ran(open_shop, file, "--set", "outage=100ms", "--format", "json")

    assert said.status == 0, said
    assert said.out.count("held") == 4 + 4 + 1, "as it ends, in the table, and in the sum"
    assert "good.2: quick ordered" in said.out
    assert "HELD  fine: 4 held" in said.out
    reports = [line for line in said.out.splitlines() if line.startswith("report: ")]
    assert len(reports) == 4
    folder = open_shop.terminal.work
    assert all(json.loads((folder / line.split()[-1]).read_text()) for line in reports)
    assert not open_shop.trouble()


def test_the_gravest_verdict_of_a_suite_is_its_exit_status(open_shop: Shop) -> None:
    file = written(open_shop, "mixed", SUITE.format(name="mixed", middle="broken"))

    said = ran(open_shop, file)

    assert said.status == 1
    assert "last: not begun: it needs 'bad', which was broken" in said.out
    assert "BROKEN  mixed: 2 held, 1 broken, 1 not begun" in said.out


def test_a_suite_has_its_dependencies_among_its_entries(open_shop: Shop) -> None:
    file = written(open_shop, "fine", SUITE.format(name="fine", middle="leading"))

    said = ran(open_shop, file, "--with-dependencies")

    assert (said.status, said.out) == (2, "")
    assert "list what its scenarios depend on" in said.err


def test_a_suite_that_is_interrupted_is_stopped_and_undone(open_shop: Shop) -> None:
    file = written(open_shop, "fine", SUITE.format(name="fine", middle="leading"))

    running = open_shop.breaks(file, "outage=5m")
    running.prints("good.1: quick ordered")
    running.gets(signal.SIGINT)
    said = running.ends()

    assert said.status == 130
    assert "STOPPED  fine: 1 stopped, 3 not begun" in said.out
    assert not open_shop.trouble()


def test_a_terminal_is_shown_what_runs_of_a_suite(open_shop: Shop) -> None:
    file = written(open_shop, "fine", SUITE.format(name="fine", middle="leading"))
    words = ("run", file, "--topology", open_shop.topology)

    moving = shown(open_shop.terminal, *words, environment={})

    assert "\x1b[" in moving
    assert "good.1" in moving
    assert "fine: 4 held" in moving


def test_what_it_depends_on_has_to_be_run_first_and_may_be_run_along(open_shop: Shop) -> None:
    file = written(open_shop, "dependent", DEPENDENT)

    refused = ran(open_shop, file)
    along = ran(open_shop, file, "--with-dependencies")
    alone = ran(open_shop, file)

    assert refused.status == 4
    assert "'dependent' depends on 'ahead'" in refused.err
    assert refused.err.splitlines()[-1] == "--with-dependencies runs 'ahead' first"
    assert along.status == 0, along
    assert along.out.startswith("run first: ahead\nrun first: ahead held\n")
    assert alone.status == 0, "it was run a moment ago"


def test_a_stored_version_is_run_by_its_name_and_one_in_a_file_before_it(
    open_shop: Shop,
) -> None:
    first = written(
        open_shop,
        "named",
        DEPENDENT.replace("dependent", "named").replace(
            "depends_on: [{scenario: ahead, within: 1h}]", "title: One"
        ),
    )
    assert open_shop.terminal.run("scenarios", "store", first).status == 0
    first.write_text(first.read_text().replace("One", "Two").replace("100ms}", "150ms}"))
    assert open_shop.terminal.run("scenarios", "store", first).status == 0

    newest = ran(open_shop, "named")
    older = ran(open_shop, "named@1")
    listed = open_shop.terminal.run("executions", "--limit", "2", "--output", "json")

    assert (newest.status, older.status) == (0, 0)
    assert [one["version"] for one in json.loads(listed.out)] == [1, 2]
    (open_shop.terminal.work / "here.yaml").write_text(first.read_text().replace("150ms", "160ms"))
    assert "waiting for 160ms" in ran(open_shop, "named").out
    (open_shop.terminal.work / "here.yaml").unlink()


def test_the_same_seed_chooses_the_same(open_shop: Shop) -> None:
    file = written(open_shop, "chance", CHANCE)

    def chosen(*words: str) -> str:
        said = ran(open_shop, file, *words)
        assert said.status == 0, said
        return said.out.splitlines()[0]

    first = chosen("--seed", "11")

    assert chosen("--seed", "11") == first
    assert first.startswith("left to chance: freeze: ")
    assert first.endswith("(--seed 11 chooses the same again)")
    drawn = chosen()
    seed = drawn.rpartition("--seed ")[2].split()[0]
    assert chosen("--seed", seed) == drawn


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("service-stop",), "`tcoord init FILE --template service-stop`"),
        (("qiuck",), "no scenario or suite is named 'qiuck'"),
        (("nowhere.yaml",), "there is no file"),
        (("leading@7",), "leading"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_to_do(
    open_shop: Shop, words: tuple[str, ...], told: str
) -> None:
    said = ran(open_shop, *words)

    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert "Traceback" not in said.err


def test_a_secret_is_given_as_a_reference_and_a_value_is_never_repeated(
    open_shop: Shop,
) -> None:
    file = written(open_shop, "secret", SECRET)

    refused = ran(open_shop, file, "--set", "token=hunter2")
    bare = ran(open_shop, file, "--set", "hunter2")
    given = ran(open_shop, file, "--set", "token=env:HOME")

    assert (refused.status, bare.status, given.status) == (2, 2, 0)
    assert "env:NAME or file:PATH" in refused.err
    assert "hunter2" not in refused.out + refused.err + bare.out + bare.err


def test_who_stops_reading_stops_the_run_and_its_faults_are_undone(open_shop: Shop) -> None:
    words = (open_shop.scenario("quick", expect=HELD), "--topology", open_shop.topology)
    program = ("sh", "-c", '"$@" | head -1', "sh", *TCOORD, "run")

    said = open_shop.terminal.run(*words, program=program)

    assert said.out.count("\n") == 1
    assert "Traceback" not in said.err
    assert not open_shop.trouble()
