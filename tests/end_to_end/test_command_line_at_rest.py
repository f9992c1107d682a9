"""What the command line says without a server: help, mistakes in files, and no colour."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from support.e2e_shop import Shop, shop
from support.e2e_terminal import ROOT, Terminal, shown, terminal
from support.e2e_witness import belonging
from test_coordination import systems

pytestmark = pytest.mark.timeout(300)

COMMANDS = (
    "abort",
    "check",
    "demo",
    "doctor",
    "executions",
    "explain",
    "follow",
    "init",
    "pause",
    "plan",
    "report",
    "resume",
    "run",
    "scenarios",
    "schedules",
    "schema",
    "server",
    "services",
    "stop-all",
    "suites",
    "templates",
    "undo",
    "worker",
    "workers",
)
SLOW = (
    "aiohttp.client",
    "asyncpg",
    "cel_expr_python",
    "jinja2.environment",
    "pydantic",
    "redis",
    "rich",
    "yaml",
)
ALL_IN_ALL = """
import sys
import test_coordination.program
print(sys.modules.keys() & {"aiohttp.client", "jinja2.environment", "pgqueuer"})
"""
LOADED = f"""
import sys
from test_coordination.__main__ import main
try:
    main()
finally:
    print("slow:", [name for name in {SLOW!r} if name in sys.modules])
"""
BAD = """
scenario: bad
version: 1
steps:
  - id: one
    fault: service.puase
    target: shop
    hold: 1s
  - id: one
    wait: 3 parsecs
"""


@pytest.fixture
def bare() -> Iterator[Terminal]:
    with terminal() as lent:
        yield lent


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help")])
def test_help_waits_for_nothing_that_is_slow_to_import(
    bare: Terminal, words: tuple[str, ...]
) -> None:
    said = bare.run(*words, program=(sys.executable, "-c", LOADED))

    assert said.status == 0
    assert said.out.splitlines()[-1] == "slow: []"


@pytest.mark.parametrize("words", [("explain",), ("templates",), ("schema",)])
def test_what_needs_no_server_imports_nothing_for_servers(
    bare: Terminal, words: tuple[str, ...]
) -> None:
    said = bare.run(*words, program=(sys.executable, "-c", LOADED))

    assert said.status == 0
    imported = said.out.splitlines()[-1]
    assert imported.startswith("slow: [")
    assert not any(name in imported for name in ("aiohttp", "redis", "jinja2", "rich"))
    assert not bare.home.exists()


def test_what_only_some_commands_need_is_imported_by_none_before(bare: Terminal) -> None:
    said = bare.run(program=(sys.executable, "-c", ALL_IN_ALL))

    assert said.out == "set()\n"


def test_the_help_lists_every_command_and_each_has_a_help_of_its_own(bare: Terminal) -> None:
    said = bare.run("--help")
    helps = [bare.run(command, "--help") for command in COMMANDS]

    listed = said.out[said.out.index("Commands:") :].splitlines()[1:]
    assert tuple(line.split()[0] for line in listed if line.strip()) == COMMANDS
    assert [each.status for each in helps] == [0] * len(COMMANDS)
    assert all(each.out.startswith("Usage: tcoord ") and not each.err for each in helps)
    assert all(len(line) <= 80 for each in helps for line in each.out.splitlines())
    assert not bare.home.exists()


def test_an_unknown_command_is_a_mistake_of_the_user(bare: Terminal) -> None:
    said = bare.run("rnu")

    assert said.status == 2
    assert "rnu" in said.err
    assert "Traceback" not in said.err


def test_good_files_pass_the_check_and_nothing_is_started(bare: Terminal) -> None:
    scenarios = sorted((ROOT / "scenarios").glob("*.yaml"))
    topology = ROOT / "examples" / "trading" / "topology.yaml"

    said = bare.run("check", *scenarios, "--topology", topology)

    assert said.status == 0, said
    assert said.out.count("no mistake found") == len(scenarios) > 1
    assert not bare.home.exists()
    assert belonging(bare.place) == []


def test_all_mistakes_of_a_file_are_told_at_once_and_nothing_is_stored(bare: Terminal) -> None:
    file = bare.work / "bad.yaml"
    file.write_text(BAD)

    text = bare.run("check", file)
    listed = bare.run("check", file, "--output", "json")

    problems = json.loads(listed.out)
    assert (text.status, listed.status) == (2, 2)
    assert "bad.yaml:6:12" in text.err
    assert "did you mean 'service.pause'?" in text.err
    assert text.err.splitlines()[-1] == f"{len(problems)} mistakes"
    assert {problem["line"] for problem in problems} >= {6, 9, 10}
    assert not bare.home.exists()


def test_a_file_that_is_no_text_is_refused_with_a_sentence(bare: Terminal) -> None:
    file = bare.work / "binary.yaml"
    file.write_bytes(bytes(range(256)))

    said = bare.run("check", file)

    assert said.status == 2
    assert "binary.yaml" in said.err
    assert "Traceback" not in said.err


def test_a_system_has_a_short_folder_of_its_own_however_deep_its_file_lies(bare: Terminal) -> None:
    deep = bare.place.joinpath(*["a, folder & with %20 quite a long name"] * 6, "topology.yaml")
    other = deep.with_name("other.yaml")

    folder = systems.state_directory(bare.home, deep)

    assert len(str(folder.relative_to(bare.home))) < 45
    assert folder.name.replace("-", "").isalnum()
    assert folder == systems.state_directory(bare.home, deep)
    assert folder != systems.state_directory(bare.home, other)


def test_a_bad_scenario_is_not_run_and_no_server_is_asked(open_shop: Shop) -> None:
    file = open_shop.terminal.work / "bad.yaml"
    file.write_text(BAD)

    said = open_shop.breaks(file).ends()

    assert said.status == 2
    assert "mistakes; nothing was done" in said.err
    assert said.out == ""
    assert not open_shop.trouble()


def test_where_nobody_reads_colours_there_are_none(open_shop: Shop) -> None:
    said = open_shop.breaks(open_shop.scenario()).ends()

    assert said.status == 0
    assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_a_terminal_is_painted_only_if_it_may_be(
    open_shop: Shop, environment: dict[str, str]
) -> None:
    words = ("run", open_shop.scenario(), "--topology", open_shop.topology)

    written = shown(open_shop.terminal, *words, environment=environment)

    assert "HELD" in written
    assert ("\x1b[" in written) == (environment == {})
