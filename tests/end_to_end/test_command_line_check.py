"""``tcoord check``: every kind of document, at once, in the form that its reader wants."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from support.e2e_authors import BAD, SCENARIO, Author, author

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def writer() -> Iterator[Author]:
    with author() as lent:
        yield lent


def test_every_kind_of_document_is_checked_by_its_first_key(writer: Author) -> None:
    files = ("gone.yaml", "shop-gone.yaml", "all-gone.yaml", writer.topology)

    said = writer.types("check", *files)

    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [f"{file}: no mistake found" for file in files]
    assert not writer.terminal.home.exists()


def test_what_a_file_extends_is_found_beside_it_wherever_one_stands(writer: Author) -> None:
    elsewhere = writer.folder / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(writer.folder / "gone.yaml", elsewhere)
    (elsewhere / "mine.yaml").write_text(SCENARIO)

    assert writer.types("check", "elsewhere/mine.yaml").status == 0


def test_a_document_may_come_from_standard_input(writer: Author) -> None:
    good = writer.types("check", "-", typed=SCENARIO)
    bad = writer.types("check", "-", typed=BAD)
    system = writer.types("check", "-", typed="topology: empty\nservices: 7\n")

    assert (good.status, good.out) == (0, "-: no mistake found\n")
    assert bad.status == 2
    assert bad.err.startswith("<stdin>:4:22: ")
    assert "did you mean 'service.pause'?" in bad.err
    assert system.status == 2
    assert "<stdin>:2:11" in system.err


def test_a_suite_of_a_scenario_with_mistakes_has_them_too(writer: Author) -> None:
    writer.writes("bad.yaml", BAD)
    suite = "suite: of-bad\nversion: 1\nscenarios: [{id: one, scenario: bad}]\n"
    writer.writes("of-bad.yaml", suite)

    said = writer.types("check", "of-bad.yaml", "bad.yaml")

    assert said.status == 2
    assert said.err.count("bad.yaml:4:22") == 1, "each mistake is told once"
    assert said.err.splitlines()[-1] == "1 mistake"


def test_a_name_that_is_not_found_may_be_stored_and_it_is_said_so(writer: Author) -> None:
    writer.writes("orphan.yaml", SCENARIO.replace("extends: gone", "extends: gnoe"))

    said = writer.types("check", "orphan.yaml")

    assert said.status == 2
    assert "did you mean 'gone'?" in said.err
    assert "what is only stored is not seen here" in said.err


def test_with_a_topology_targets_and_the_blast_radius_are_looked_at(writer: Author) -> None:
    writer.writes("wide.yaml", SCENARIO + "blast_radius: {percent: 10}\n")
    writer.writes("lost.yaml", SCENARIO.replace("service: shop", "service: shpo"))

    alone = writer.types("check", "wide.yaml", "lost.yaml")
    here = writer.types("check", "wide.yaml", "lost.yaml", "--topology", writer.topology)

    assert alone.status == 0
    assert here.status == 2
    assert "did you mean 'shop'?" in here.err
    assert "wide.yaml:" in here.err


def test_strict_warns_of_what_is_weak_and_then_the_status_is_2(writer: Author) -> None:
    lenient = writer.types("check", "shop-gone.yaml")
    strict = writer.types("check", "shop-gone.yaml", "--strict", "--topology", writer.topology)

    assert lenient.status == 0
    assert strict.status == 2
    warned = strict.err.splitlines()
    assert warned[-1] == f"{len(warned) - 1} warnings"
    assert all(": warning: " in line for line in warned[:-1])
    assert any("[strict.no_stop_condition]" in line for line in warned)
    assert any("[strict.no_blast_radius]" in line for line in warned)


def test_programs_are_told_the_severity_of_each(writer: Author) -> None:
    writer.writes("bad.yaml", BAD)

    said = writer.types("check", "bad.yaml", "shop-gone.yaml", "--strict", "--output", "json")

    found = json.loads(said.out)
    assert said.status == 2
    assert found[0] == {
        "file": "bad.yaml",
        "line": 4,
        "column": 22,
        "severity": "error",
        "code": found[0]["code"],
        "text": found[0]["text"],
    }
    assert {one["severity"] for one in found if one["file"] == "shop-gone.yaml"} == {"warning"}


def test_nothing_found_is_an_empty_list(writer: Author) -> None:
    said = writer.types("check", "shop-gone.yaml", "--output", "json")

    assert (said.status, json.loads(said.out), said.err) == (0, [], "")


def test_github_shows_them_beside_the_lines(writer: Author) -> None:
    writer.writes("odd, name.yaml", BAD)

    said = writer.types("check", "odd, name.yaml", "--output", "github")

    assert said.status == 2
    assert said.out.startswith("::error file=odd%2C name.yaml,line=4,col=22,title=")
    assert said.out.count("\n") == 1


def test_a_file_that_is_not_there_is_a_mistake_of_the_user(writer: Author) -> None:
    said = writer.types("check", "nowhere.yaml")

    assert said.status == 2
    assert "nowhere.yaml" in said.err
    assert "Traceback" not in said.err
