"""What the documentation shows: documents without a mistake, and commands that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import pytest

from support.decoding import ROOT, trading
from test_coordination.adapters.documents.composition.headings import heading
from test_coordination.adapters.documents.composition.library import ChainedLibrary, FileLibrary
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.definitions import Shelf
from test_coordination.application.planning.resolver import Resolver
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.scenario import DocumentKind, Part, Scenario
from test_coordination.interfaces.cli.app import cli
from test_coordination.kinds import catalogue

PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "trading" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
SHIPPED: Final = FileLibrary([ROOT / "scenarios"])
KNOWN: Final = catalogue(LinkKeeper(), ProcessServices())
READER: Final = DefinitionReader(KNOWN, CelExpressions())
FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# What ends the words of one command in a line of a shell.
JOINTS: Final = frozenset({"&", "&&", "|", ";", ">", ">>"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block; ``line`` is that of its first line in the page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str) -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            if found[1] == language:
                line = text.count("\n", 0, found.start(2)) + 1
                yield Block(page=page, line=line, language=found[1], text=found[2])


DOCUMENTS: Final = [block for block in blocks("yaml") if heading(block.text)[0] is not None]
COMMANDS: Final = [
    (block, line)
    for block in blocks("sh")
    for line in block.text.replace("\\\n", " ").splitlines()
    if "tcoord " in line
]


@pytest.mark.parametrize("block", DOCUMENTS, ids=str)
def test_a_document_that_is_shown_has_no_mistake_and_can_be_planned(block: Block) -> None:
    above = [each for each in DOCUMENTS if each.page == block.page and each.line < block.line]
    parts = [
        Part(name=name, file=str(each), text=each.text)
        for each in above
        if (name := heading(each.text)[1]) is not None
    ]
    library = ChainedLibrary([Shelf(parts=tuple(parts)), SHIPPED])
    system = trading()
    try:
        found = READER.closed(block.text, file=str(block), library=library, topology=system)
        if isinstance(found, Scenario):
            Resolver(catalogue=KNOWN, expressions=CelExpressions(), topology=system).plan(found, {})
    except InvalidDocumentError as error:
        pytest.fail(f"{block} is not a document without a mistake:\n{error}")


def test_documents_of_every_kind_are_shown() -> None:
    assert {heading(block.text)[0] for block in DOCUMENTS} == set(DocumentKind)
    assert len(COMMANDS) > 15


@pytest.mark.parametrize(("block", "line"), COMMANDS, ids=str)
def test_a_command_that_is_shown_is_one_that_there_is(block: Block, line: str) -> None:
    for words in _calls(line):
        _understand(words, where=f"{block}: {line}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_files_that_there_are(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    named = [name for name in LINK.findall(text) if "://" not in name]

    assert [name for name in named if not (page.parent / name).exists()] == []


def test_every_page_is_found_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if "docs" in page.parts}
    apart = {name for name in pages if name.startswith("decisions/")} | {"README.md"}

    assert pages - apart <= set(LINK.findall(index))


def _calls(line: str) -> Iterator[list[str]]:
    """Yield the words behind each ``tcoord`` of a line."""
    words: list[str] | None = None
    for word in shlex.split(line, comments=True):
        if word == "tcoord":
            words = []
        elif words is not None and word in JOINTS:
            yield words
            words = None
        elif words is not None:
            words.append(word)
    if words is not None:
        yield words


def _understand(words: list[str], *, where: str) -> None:
    """Let click parse a command line; files that it names need not be there, and nothing runs."""
    command: click.Command = cli
    context = click.Context(cli, info_name="tcoord")
    while isinstance(command, click.Group):
        assert words, f"{where}: no command is named"
        found = command.get_command(context, words[0])
        if found is None and command is not cli:
            break  # the name of a definition, which the group takes itself
        assert found is not None, f"{where}: there is no command {words[0]!r}"
        command, words = found, words[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    try:
        _rest(command, context, words)
    except click.UsageError as error:
        if "does not exist" not in error.format_message():
            pytest.fail(f"{where}: {error.format_message()}")


def _rest(command: click.Command, context: click.Context, words: list[str]) -> None:
    if not isinstance(command, click.Group):
        command.parse_args(context, list(words))
