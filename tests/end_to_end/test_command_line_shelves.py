"""``tcoord scenarios``, ``templates`` and ``suites``: what there is, in files and in the store."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.e2e_authors import BAD, SCENARIO, TEMPLATE, Author, author

pytestmark = pytest.mark.timeout(300)

GONE = """\
gone (template)
A service is gone

file     gone.yaml

parameters
  service  service; to be filled in by what extends it
           the service that is gone
  outage   duration, 1s to 1m; 5s if not given
           for how long

`tcoord init FILE --template gone` writes a scenario that extends it
"""
DIFFERENCE = """\
kept: version 1 → 2, 3 changes
~ title  kept.yaml:1:11
    - The shop is gone
    + The till is gone
~ parameters.service.default  kept.yaml:7:14
    - shop
    + till
- steps.rest  kept.yaml:9:5
    - {"id": "rest", "duration": {"least": "1s", "most": "3s"}}
"""


@pytest.fixture(scope="module")
def writer() -> Iterator[Author]:
    with author() as lent:
        yield lent


@pytest.fixture(scope="module")
def keeper() -> Iterator[Author]:
    """Somebody who has stored two versions of a scenario, and a template and a suite."""
    with author() as lent:
        first = SCENARIO.replace("shop-gone", "kept")
        lent.writes("kept.yaml", first)
        assert lent.types("scenarios", "store", "kept.yaml").status == 0
        rest = first.index("steps:")
        second = (
            first[:rest].replace("The shop", "The till").replace("service: shop", "service: till")
        )
        lent.writes("kept.yaml", second)
        assert lent.types("scenarios", "store", "kept.yaml").status == 0
        yield lent


def test_the_library_is_what_lies_here_and_what_is_shipped(writer: Author) -> None:
    said = writer.types("templates")

    assert (said.status, said.err) == (0, "")
    assert (
        "gone\n    A service is gone\n    with service (to be filled in, service), "
        "outage=5s (duration)\n    gone.yaml\n"
    ) in said.out
    assert "\nservice-restart\n" in said.out
    assert not writer.terminal.home.exists()


def test_one_is_shown_by_its_name_alone(writer: Author) -> None:
    assert writer.types("templates", "gone").out == GONE
    assert writer.types("templates", "show", "gone").out == GONE
    assert "runs     shop-gone" in writer.types("suites", "all-gone").out


def test_they_are_chosen_by_tag_owner_and_service(writer: Author) -> None:
    def named(*words: str) -> list[str]:
        said = writer.types("scenarios", *words, "--output", "json")
        return [one["name"] for one in json.loads(said.out)]

    assert named("--owner", "retail") == ["shop-gone"]
    assert named("--service", "shop") == ["shop-gone"]
    assert "shop-gone" in named("--tag", "stop")
    assert named("list", "--tag", "stop", "--owner", "nobody") == []


def test_a_program_is_told_the_parameters_of_each(writer: Author) -> None:
    found = json.loads(writer.types("templates", "gone", "--output", "json").out)

    assert found["file"] == "gone.yaml"
    assert found["parameters"][1] == {
        "name": "outage",
        "type": "duration",
        "default": "5s",
        "required": False,
        "abstract": False,
        "bounds": "1s to 1m",
        "description": "for how long",
    }


def test_what_has_mistakes_is_listed_with_how_to_see_them(writer: Author) -> None:
    writer.writes("bad.yaml", BAD)

    listed = writer.types("scenarios")
    shown = writer.types("scenarios", "bad")

    assert listed.status == 0
    assert "bad\n    1 mistake, see `tcoord check bad.yaml`\n" in listed.out
    assert shown.status == 2
    assert "bad.yaml:4:22" in shown.err
    (writer.folder / "bad.yaml").unlink()


def test_folders_of_the_operator_are_looked_through(writer: Author) -> None:
    writer.writes("shelf/late.yaml", TEMPLATE.replace("template: gone", "template: late"))
    environment = {"TCOORD_LIBRARY": str(writer.folder / "shelf")}

    said = writer.terminal.start("templates", "late", environment=environment).ends()

    assert said.status == 0
    assert "file     shelf/late.yaml" in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("templates", "goen"), "did you mean 'gone'?"),
        (("templates", "shop-gone"), "is a scenario, and a template was expected"),
    ],
)
def test_a_name_that_is_none_is_refused(writer: Author, words: tuple[str, ...], told: str) -> None:
    said = writer.types(*words)

    assert (said.status, said.out) == (2, "")
    assert told in said.err


def test_what_changes_becomes_the_next_version_and_what_does_not_stays(keeper: Author) -> None:
    same = keeper.types("scenarios", "store", "kept.yaml")
    listed = keeper.types("scenarios", "versions", "kept")
    data = json.loads(keeper.types("scenarios", "versions", "kept", "--output", "json").out)

    assert same.out == "kept.yaml: kept version 2 is the same already\n"
    assert listed.out.startswith("kept (scenario) The till is gone\n  version 2  ")
    assert [one["version"] for one in data] == [2, 1]


def test_versions_are_compared_by_what_they_mean_and_by_their_text(keeper: Author) -> None:
    meant = keeper.types("scenarios", "diff", "kept", "1", "2")
    newest = keeper.types("scenarios", "diff", "kept")
    text = keeper.types("scenarios", "diff", "kept", "1", "2", "--source")
    data = json.loads(keeper.types("scenarios", "diff", "kept", "--output", "json").out)

    assert meant.out == DIFFERENCE
    assert newest.out == DIFFERENCE
    assert "-title: The shop is gone\n+title: The till is gone\n" in text.out
    assert data["changes"][0]["path"] == ["title"]


def test_a_version_is_exported_as_it_was_written_or_as_one_document(keeper: Author) -> None:
    first = keeper.types("scenarios", "export", "kept@1")
    newest = keeper.types("scenarios", "export", "kept")
    whole = keeper.types("scenarios", "export", "kept@1", "--resolved")

    assert first.out == SCENARIO.replace("shop-gone", "kept")
    assert newest.out == (keeper.folder / "kept.yaml").read_text()
    assert "fault: service.stop" in whole.out
    assert "extends" not in whole.out


def test_what_is_deprecated_is_not_listed_until_it_is_restored(keeper: Author) -> None:
    because = "use shop-gone"
    noted = keeper.types("scenarios", "deprecate", "kept", "--reason", because)
    hidden = keeper.types("scenarios", "--stored")
    every = keeper.types("scenarios", "--all")
    keeper.types("scenarios", "restore", "kept")
    back = json.loads(keeper.types("scenarios", "--stored", "--output", "json").out)

    assert noted.out == f"kept is deprecated: {because}\n"
    assert hidden.out == "no scenario is stored; `tcoord scenarios store FILE` does\n"
    assert f": {because}\n" in every.out
    assert [(one["name"], one["deprecated_at"]) for one in back] == [("kept", None)]


def test_templates_and_suites_are_stored_by_commands_of_their_own(keeper: Author) -> None:
    stored = keeper.types("templates", "store", "gone.yaml")
    suite = keeper.types("suites", "store", "all-gone.yaml")
    listed = keeper.types("suites", "--stored")

    assert stored.out == "gone.yaml: stored as gone version 1\n"
    assert suite.out == "all-gone.yaml: stored as all-gone version 1\n"
    assert listed.out.startswith("all-gone  version 1  ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("scenarios", "versions", "nobody"), "'nobody'"),
        (("scenarios", "export", "kept@9"), "'kept@9'"),
        (("scenarios", "diff", "kept", "1", "7"), "7"),
        (("templates", "versions", "kept"), "`tcoord scenarios` is about scenarios"),
        (("templates", "store", "kept.yaml"), "`tcoord scenarios` is about scenarios"),
        (("scenarios", "deprecate", "nobody", "--reason", "x"), "'nobody'"),
        (("scenarios", "deprecate", "kept"), "--reason"),
        (("scenarios", "restore", "nobody"), "'nobody'"),
    ],
)
def test_what_the_store_does_not_have_is_refused(
    keeper: Author, words: tuple[str, ...], told: str
) -> None:
    said = keeper.types(*words)

    assert (said.status, said.out) == (2, "")
    assert told in said.err
    assert "Traceback" not in said.err


def test_a_file_with_mistakes_is_not_stored(keeper: Author) -> None:
    keeper.writes("bad.yaml", BAD)

    said = keeper.types("scenarios", "store", "bad.yaml")

    assert said.status == 2
    assert "bad.yaml:4:22" in said.err
    assert keeper.types("scenarios", "versions", "bad").status == 2
