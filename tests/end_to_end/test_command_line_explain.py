"""``tcoord explain``, ``schema`` and ``init``: what helps whoever writes scenarios."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.e2e_authors import SCENARIO, TEMPLATE, Author, author
from support.e2e_terminal import ROOT

pytestmark = pytest.mark.timeout(300)

LATENCY = """\
latency (fault)
Delay what goes over a link to the service.

family: link
how it is undone: the link's proxy lets everything pass without delay again
can grow by ramp: yes, by delay, jitter

parameters, under `with`
  delay      duration, more than 0s and at most 1m; required
             how much later everything arrives, each way (e.g. 200ms)
"""
TEMPLATES = sorted(path.stem for path in (ROOT / "scenarios" / "templates").glob("*.yaml"))


@pytest.fixture(scope="module")
def writer() -> Iterator[Author]:
    with author() as lent:
        yield lent


def test_a_fault_is_told_with_all_its_parameters(writer: Author) -> None:
    said = writer.types("explain", "latency")

    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(LATENCY)
    assert said.out.endswith("    with: {delay: 200ms}\n")
    assert max(map(len, said.out.splitlines())) <= 80


def test_a_fault_and_an_action_of_one_name_are_both_told(writer: Author) -> None:
    text = writer.types("explain", "service.stop")
    data = json.loads(writer.types("explain", "service.stop", "--output", "json").out)

    assert "service.stop (fault)" in text.out
    assert "service.stop (action)" in text.out
    assert [one["kind"] for one in data["reference"]] == ["fault", "action"]


def test_a_probe_is_told_with_what_a_reading_holds(writer: Author) -> None:
    said = writer.types("explain", "http")

    assert "a reading has: status (integer)" in said.out
    assert "parameters, under its name" in said.out


def test_a_file_is_shown_with_where_each_value_is_from(writer: Author) -> None:
    said = writer.types("explain", "shop-gone.yaml")

    lines = {line.split("#")[0].strip(): line.split("#")[-1].strip() for line in _rows(said.out)}
    assert said.status == 0
    assert lines["title: The shop is gone"] == "shop-gone.yaml:4"
    assert lines["default: shop"] == "shop-gone.yaml:7"
    assert lines["fault: service.stop"] == "gone.yaml:12"


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if "#" in line]


def test_what_is_shown_plainly_means_the_same_without_the_files_around_it(
    writer: Author,
) -> None:
    plain = writer.types("explain", "shop-gone", "--plain").out

    again = writer.folder / "alone"
    again.mkdir()
    (again / "whole.yaml").write_text(plain)
    said = writer.types("plan", "alone/whole.yaml", "--topology", writer.topology)
    assert said.status == 0
    assert said.out.splitlines()[:11] == writer.plans("shop-gone").out.splitlines()[:11]
    assert "#" not in plain


def test_a_program_is_told_the_place_of_each_line(writer: Author) -> None:
    data = json.loads(writer.types("explain", "shop-gone.yaml", "--output", "json").out)

    title = next(line for line in data["document"]["lines"] if line["path"] == ["title"])
    assert (title["file"], title["line"]) == ("shop-gone.yaml", 4)
    assert data["document"]["text"].startswith("scenario: shop-gone\n")
    assert data["reference"] == []


def test_files_of_elsewhere_are_named_from_the_folder_that_holds_them(writer: Author) -> None:
    said = writer.types("explain", "baseline")

    first, second, *_ = said.out.splitlines()
    assert first == f"# places are those of files in {ROOT / 'scenarios'}"
    assert second.endswith("# baseline.yaml:2")


def test_a_document_is_explained_from_standard_input(writer: Author) -> None:
    said = writer.types("explain", "-", typed=SCENARIO)

    assert said.status == 0
    assert "# <stdin>:4" in said.out


def test_without_a_name_all_that_there_is_is_listed_by_family(writer: Author) -> None:
    said = writer.types("explain")
    listed = json.loads(writer.types("explain", "--output", "json").out)

    families = [line for line in said.out.splitlines() if line.isalpha()]
    assert families == ["faults", "actions", "probes", "templates", "scenarios", "suites"]
    assert "  gone " in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    assert {"family": "suites", "name": "all-gone", "title": "One after the other"} in listed


@pytest.mark.parametrize(
    ("what", "nearest"),
    [("service.stpo", "service.stop"), ("shop-goen", "shop-gone"), ("latnecy", "latency")],
)
def test_who_misspells_is_told_the_nearest_name(writer: Author, what: str, nearest: str) -> None:
    said = writer.types("explain", what)

    assert (said.status, said.out) == (2, "")
    assert f"did you mean {nearest!r}?" in said.err


@pytest.mark.parametrize(("what", "told"), [("nowhere.yaml", "no file"), ("gone@2", "versions")])
def test_what_is_not_there_is_not_explained(writer: Author, what: str, told: str) -> None:
    said = writer.types("explain", what)

    assert (said.status, said.out) == (2, "")
    assert told in said.err


def test_a_topology_is_no_definition(writer: Author) -> None:
    said = writer.types("explain", writer.topology)

    assert said.status == 2
    assert "this is a topology" in said.err


def test_a_value_for_a_secret_in_a_file_is_never_shown(writer: Author) -> None:
    text = "scenario: careless\nversion: 1\nparameters: {token: {type: secret, default: hunter2}}\n"
    writer.writes("careless.yaml", text + "steps: [{id: rest, wait: 1s}]\n")

    said = writer.types("explain", "careless.yaml")

    assert said.status == 2
    assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize("document", ["scenario", "topology"])
def test_the_schema_is_the_one_that_is_shipped(writer: Author, document: str) -> None:
    printed = writer.types("schema", document)
    written = writer.types("schema", document, "--output", f"made/{document}.json")

    shipped = (ROOT / "docs" / "reference" / f"{document}.schema.json").read_text()
    assert printed.out == shipped
    assert written.out == f"written: made/{document}.json\n"
    assert (writer.folder / "made" / f"{document}.json").read_text() == shipped


def test_a_new_scenario_has_no_mistake_and_no_weakness(writer: Author) -> None:
    made = writer.types("init", "new/first.yaml")
    checked = writer.types("check", "new/first.yaml", "--strict")
    planned = writer.plans("new/first.yaml", "--set", "service=till", "--strict")

    text = (writer.folder / "new" / "first.yaml").read_text()
    assert made.out.startswith("written: new/first.yaml, the scenario 'first'\n")
    assert (checked.status, planned.status) == (0, 0), (checked, planned)
    modeline, first = text.splitlines()[:2]
    assert modeline.startswith("# yaml-language-server: $schema=")
    assert Path(modeline.partition("=")[2]).is_file()
    assert first == "scenario: first"


def test_a_new_scenario_names_a_service_where_it_is_known_which_there_are(
    writer: Author,
) -> None:
    writer.types("init", "here.yaml", "--topology", writer.topology, "--name", "my-shop")

    assert "scenario: my-shop\n" in (writer.folder / "here.yaml").read_text()
    assert writer.plans("here.yaml", "--strict").status == 0


@pytest.mark.parametrize("template", [*TEMPLATES, "gone", "shop-gone"])
def test_what_extends_a_template_has_no_mistake_as_it_is(writer: Author, template: str) -> None:
    file = f"from-{template}.yaml"

    made = writer.types("init", file, "--template", template)
    checked = writer.types("check", file)

    assert made.status == 0, made
    assert checked.status == 0, checked


def test_parameters_are_there_to_be_filled_in(writer: Author) -> None:
    writer.types("init", "fill.yaml", "--template", "gone", "--name", "fill")

    text = (writer.folder / "fill.yaml").read_text()
    assert "  # service; the service that is gone\n  service: {required: true}\n" in text
    assert "  # outage: 5s  # duration, 1s to 1m; for how long\n" in text
    filled = text.replace("service: {required: true}", "service: till")
    filled = filled.replace("# outage: 5s", "outage: 9s")
    (writer.folder / "fill.yaml").write_text(filled)
    said = writer.plans("fill")
    assert "with service=till  outage=9s" in said.out


def test_a_scenario_that_would_have_its_template_s_name_gets_another(writer: Author) -> None:
    said = writer.types("init", "deep/service-kill.yaml", "--template", "service-kill")

    assert "the scenario 'my-service-kill'" in said.out
    assert writer.types("check", "deep/service-kill.yaml").status == 0


def test_a_schema_beside_the_file_is_the_one_that_is_named(writer: Author) -> None:
    writer.types("schema", "--output", "near/scenario.schema.json")
    writer.types("init", "near/one.yaml")

    text = (writer.folder / "near" / "one.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=scenario.schema.json\n")


def test_nothing_is_written_over_unless_that_is_asked_for(writer: Author) -> None:
    writer.writes("mine.yaml", "mine\n")

    refused = writer.types("init", "mine.yaml")
    kept = (writer.folder / "mine.yaml").read_text()
    forced = writer.types("init", "mine.yaml", "--force")

    assert (refused.status, forced.status) == (2, 0)
    assert "--force" in refused.err
    assert kept == "mine\n"
    assert "scenario: mine" in (writer.folder / "mine.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--template", "goen"), "did you mean 'gone'?"),
        (("--template", "all-gone"), "is a suite"),
        (("--name", "Bad Name"), "expected small letters"),
    ],
)
def test_what_cannot_be_begun_is_refused(writer: Author, words: tuple[str, ...], told: str) -> None:
    said = writer.types("init", "never.yaml", *words)

    assert said.status == 2
    assert told in said.err
    assert not (writer.folder / "never.yaml").exists()


def test_a_template_with_mistakes_is_not_extended(writer: Author) -> None:
    broken = TEMPLATE.replace("template: gone", "template: broken")
    writer.writes("broken.yaml", broken.replace("service.stop", "service.stpo"))

    said = writer.types("init", "never.yaml", "--template", "broken")

    assert said.status == 2
    assert "broken.yaml:12" in said.err
    assert not (writer.folder / "never.yaml").exists()
    (writer.folder / "broken.yaml").unlink()
