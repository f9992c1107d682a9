"""Where definitions are found: in directories, and in several places in turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from test_coordination.adapters.documents.composition.headings import heading
from test_coordination.adapters.documents.composition.library import (
    FILES_MAX,
    ChainedLibrary,
    FileLibrary,
    LibraryTooLargeError,
)
from test_coordination.adapters.documents.reader import BYTES_MAX, read
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.scenario import DocumentKind, Part

TEMPLATE = "template: base\nversion: 1\n"


def put(directory: Path, file: str, text: str | bytes) -> Path:
    path = directory / file
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_files_are_known_by_what_their_first_key_says(tmp_path: Path) -> None:
    path = put(tmp_path, "one.yaml", f"# about it\n{TEMPLATE}")
    put(tmp_path, "two.yml", "scenario: other\nversion: 1\n")
    put(tmp_path, "three.yaml", "suite: all\nversion: 1\n")
    library = FileLibrary([tmp_path])

    assert library.find("base") == Part(name="base", file=str(path), text=f"# about it\n{TEMPLATE}")
    assert library.names() == ["all", "base", "other"]
    assert library.find("one") is None


def test_what_is_no_definition_is_not_in_the_library(tmp_path: Path) -> None:
    put(tmp_path, "topology.yaml", "topology: trading\nversion: 1\n")
    put(tmp_path, "compose.yaml", "services:\n  a: {}\n")
    put(tmp_path, "list.yaml", "- a\n")
    put(tmp_path, "base.txt", TEMPLATE)
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    library = FileLibrary([tmp_path, tmp_path / "nowhere"])

    assert library.names() == []
    for name in ("trading", "topology", "compose", "list", "base", "folder", "pipe", "gone"):
        assert library.find(name) is None


def test_a_file_that_is_broken_further_down_is_found_so_that_it_can_be_told(
    tmp_path: Path,
) -> None:
    put(tmp_path, "any.yaml", f"{TEMPLATE}steps: [\n")
    found = FileLibrary([tmp_path]).find("base")

    assert found is not None
    with pytest.raises(InvalidDocumentError):
        read(found.text, file=found.file)


@pytest.mark.parametrize("content", [b"template: \x07", b"", b"\xff\xfe\x00", b"{template: [}\x01"])
def test_a_file_that_cannot_be_read_is_known_by_its_own_name(
    tmp_path: Path, content: bytes
) -> None:
    put(tmp_path, "base.yaml", content)
    library = FileLibrary([tmp_path])

    found = library.find("base")

    assert library.names() == []
    assert found is not None
    with pytest.raises(InvalidDocumentError):
        read(found.text, file=found.file)


def test_what_can_be_read_goes_before_what_only_has_the_name(tmp_path: Path) -> None:
    put(tmp_path, "base.yaml", b"\x07")
    path = put(tmp_path, "other.yaml", TEMPLATE)
    found = FileLibrary([tmp_path]).find("base")

    assert found is not None
    assert found.file == str(path)


def test_bytes_that_are_no_utf8_are_told_where_they_are(tmp_path: Path) -> None:
    put(tmp_path, "base.yaml", b"template: base\nversion: 1\ntitle: caf\xe9\n")
    found = FileLibrary([tmp_path]).find("base")

    assert found is not None
    with pytest.raises(InvalidDocumentError) as refused:
        read(found.text, file=found.file)
    (problem,) = refused.value.problems
    assert (problem.code, problem.mark.line, problem.mark.column) == ("yaml.encoding", 3, 11)


def test_of_two_files_with_one_name_the_first_counts(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    put(two, "a.yaml", f"{TEMPLATE}title: two\n")
    put(one, "c.yaml", f"{TEMPLATE}title: later\n")
    first = put(one, "b.yaml", f"{TEMPLATE}title: one\n")

    found = FileLibrary([one, two]).find("base")

    assert found is not None
    assert found.file == str(first)


def test_templates_are_found_in_a_folder_of_their_own_behind_what_is_above_it(
    tmp_path: Path,
) -> None:
    for folder in ("templates", "other", "templates/templates"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "templates", "a.yaml", f"{TEMPLATE}title: below\n")
    below = put(tmp_path / "templates", "b.yaml", "template: below\nversion: 1\n")
    put(tmp_path / "other", "c.yaml", "template: elsewhere\nversion: 1\n")
    put(tmp_path / "templates/templates", "d.yaml", "template: too-deep\nversion: 1\n")
    above = put(tmp_path, "z.yaml", TEMPLATE)
    library = FileLibrary([tmp_path])

    base, template = library.find("base"), library.find("below")

    assert library.names() == ["base", "below"]
    assert base is not None
    assert base.file == str(above)
    assert template is not None
    assert template.file == str(below)


def test_files_that_come_change_and_go_are_seen(tmp_path: Path) -> None:
    library = FileLibrary([tmp_path])
    assert library.find("base") is None

    path = put(tmp_path, "a.yaml", TEMPLATE)
    assert library.find("base") is not None

    put(tmp_path, "a.yaml", "template: another\n")
    assert (library.find("base"), library.names()) == (None, ["another"])

    path.unlink()
    assert library.names() == []


def test_a_file_that_did_not_change_is_not_read_again_for_its_name(tmp_path: Path) -> None:
    path = put(tmp_path, "a.yaml", TEMPLATE)
    library = FileLibrary([tmp_path])
    assert library.names() == ["base"]
    before = path.stat()

    put(tmp_path, "a.yaml", TEMPLATE.replace("base", "bass"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert library.names() == ["base"]

    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert library.names() == ["bass"]


def test_a_file_has_no_versions(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", TEMPLATE)

    assert FileLibrary([tmp_path]).find("base", version=1) is None


def test_a_file_that_is_too_large_is_cut_where_that_shows(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", TEMPLATE + "#" * (2 * BYTES_MAX))
    found = FileLibrary([tmp_path]).find("base")

    assert found is not None
    assert len(found.text) == BYTES_MAX + 1
    with pytest.raises(InvalidDocumentError):
        read(found.text, file=found.file)


def test_a_directory_with_far_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(FILES_MAX + 1):
        (tmp_path / f"{number}.yaml").touch()

    with pytest.raises(LibraryTooLargeError) as refused:
        FileLibrary([tmp_path]).find("base")

    assert str(tmp_path) in str(refused.value)


def held(name: str, version: int | None = None) -> Part:
    return Part(name=name, file=f"{name}.yaml", text=f"{name}-{version}", version=version)


def test_an_earlier_library_hides_what_later_ones_have() -> None:
    chain = ChainedLibrary([Shelf(parts=(held("a"),)), Shelf(parts=(held("a", 1), held("b", 1)))])

    assert chain.find("a") == held("a")
    assert chain.find("a", version=1) == held("a", 1)
    assert chain.find("b") == held("b", 1)
    assert chain.find("c") is None
    assert chain.names() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("scenario: a\n", (DocumentKind.SCENARIO, "a")),
        ("---\n# x\nsuite: 's'", (DocumentKind.SUITE, "s")),
        ("{template: t, version: 1}", (DocumentKind.TEMPLATE, "t")),
        ("template: t\nsteps: [", (DocumentKind.TEMPLATE, "t")),
        ("version: 1\nscenario: a\n", (None, "")),
        ("scenario: {a: b}\n", (None, "")),
        ("just text", (None, "")),
        ("", (None, None)),
        ("# only a comment\n", (None, None)),
        ("scenario: \x07", (None, None)),
        ("scenario: \ud800", (None, None)),
    ],
)
def test_a_heading_tells_kind_and_name_or_that_there_is_none(
    text: str, found: tuple[DocumentKind | None, str | None]
) -> None:
    assert heading(text) == found
