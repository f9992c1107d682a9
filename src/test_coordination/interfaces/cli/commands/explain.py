"""``tcoord explain``: see what a file means, or how a fault, an action or a probe is used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import click

from test_coordination.domain.errors import suggestion
from test_coordination.domain.scenario import Explanation, WrittenLine
from test_coordination.interfaces.cli.layout import heading, signs, width
from test_coordination.interfaces.cli.manual_text import manual_document, manual_lines
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Desk, Manual, Program
from test_coordination.interfaces.cli.sources import (
    Source,
    existing,
    from_part,
    is_file,
    unknown,
    versioned,
)

ORIGIN_COLUMN: Final = 80
"""Behind lines that are longer than this, where they come from stands at once."""


@click.command(
    "explain",
    epilog=examples(
        "tcoord explain restart.yaml",
        "tcoord explain service.stop",
        "tcoord explain exchange-restart-under-load --plain > all-in-one.yaml",
    ),
)
@click.argument("what", metavar="[FILE|NAME]", required=False)
@click.option("--plain", is_flag=True, help="Leave out where each value comes from.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(program: Program, what: str | None, *, plain: bool, output: str) -> None:
    """See what a file means, or how a fault, an action or a probe is used. No server is needed.

    A FILE, or a definition of the library by its NAME, is shown with all that it extends merged
    in, and with the file and line that each value comes from. Of a fault, an action or a probe
    all parameters are told, how it is undone, and how it stands in a scenario. Without a name,
    all that there is to be explained is listed.
    """
    desk = program.desk
    if what is None:
        _say_all(desk, output)
        return
    manuals = [] if is_file(what) else [each for each in desk.manuals() if each.name == what]
    found = _definition(what, desk, known=bool(manuals))
    explained = None if found is None else _explained(found, desk)
    if output == "json":
        _say_json(manuals, explained)
        return
    blocks: list[Iterator[str]] = [manual_lines(each, columns=width()) for each in manuals]
    if explained is not None:
        blocks.append(_plain(explained) if plain else _annotated(explained))
    for number, block in enumerate(blocks):
        if number:
            click.echo()
        for line in block:
            click.echo(line)


def _definition(what: str, desk: Desk, *, known: bool) -> Source | None:
    """Return the document that ``what`` names; None if it names only what is ``known``."""
    if is_file(what):
        return existing(what)
    library = desk.library(Path())
    name, version = versioned(what)
    part = library.find(name, version=version)
    if part is not None:
        return from_part(part)
    if known:
        return None
    if version is not None:
        raise click.BadParameter(unknown(what, library), param_hint="NAME")
    names = frozenset((*library.names(), *(each.name for each in desk.manuals())))
    message = (
        f"nothing is named {what!r}; {suggestion(name, names)} "
        "(`tcoord explain` lists all that can be explained)"
    )
    raise click.BadParameter(message, param_hint="NAME")


def _explained(source: Source, desk: Desk) -> Explanation:
    reader = desk.world(None).reader
    library = desk.library(source.place)
    return reader.explained(source.text, file=source.file, library=library)


def _plain(explained: Explanation) -> Iterator[str]:
    yield from explained.text.splitlines()


def _annotated(explained: Explanation) -> Iterator[str]:
    lines = explained.lines
    lengths = [len(line.text) for line in lines if line.mark is not None]
    column = max((length for length in lengths if length <= ORIGIN_COLUMN), default=0)
    files = {line.mark.file for line in lines if line.mark is not None}
    base = _base(files)
    if base != Path.cwd():
        yield click.style(f"# places are those of files in {_printable(str(base))}", dim=True)
    for line in lines:
        yield _with_origin(line, column, base)


def _base(files: set[str]) -> Path:
    """Return the folder from which files are named: this one, or the one that holds them all."""
    paths = [Path(file).resolve() for file in files if Path(file).is_file()]
    here = Path.cwd()
    if all(path.is_relative_to(here) for path in paths):
        return here
    return Path(os.path.commonpath([path.parent for path in paths]))


def _with_origin(line: WrittenLine, column: int, base: Path) -> str:
    if line.mark is None:
        return line.text
    path = Path(line.mark.file)
    if path.is_file():
        path = path.resolve().relative_to(base)
    origin = click.style(f"# {_printable(str(path))}:{line.mark.line}", dim=True)
    return f"{line.text:<{column}}  {origin}"


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _say_json(manuals: Sequence[Manual], explained: Explanation | None) -> None:
    document: dict[str, object] = {"reference": [manual_document(each) for each in manuals]}
    if explained is not None:
        document["document"] = {
            "text": explained.text,
            "lines": [_line(line) for line in explained.lines],
        }
    click.echo(json.dumps(document, indent=2))


def _line(line: WrittenLine) -> dict[str, object]:
    mark = line.mark
    return {
        "path": list(line.path),
        "text": line.text,
        "file": None if mark is None else mark.file,
        "line": None if mark is None else mark.line,
        "column": None if mark is None else mark.column,
    }


def _say_all(desk: Desk, output: str) -> None:
    """Print the name and a line of all that can be explained, by family."""
    rows = [(f"{each.noun}s", each.name, each.summary) for each in desk.manuals()]
    shelved = sorted(desk.shelved(Path()), key=lambda each: (each.kind != "template", each.kind))
    rows += [(f"{each.kind}s", each.part.name, each.title) for each in shelved]
    if output == "json":
        listed = [{"family": family, "name": name, "title": text} for family, name, text in rows]
        click.echo(json.dumps(listed, indent=2))
        return
    label = max(len(name) for _, name, _ in rows)
    room = max(width() - label - 4, 20)
    for number, (family, members) in enumerate(groupby(rows, key=lambda row: row[0])):
        if number:
            click.echo()
        click.echo(heading(family))
        for _, name, text in members:
            click.echo(f"  {name:<{label}}  {_head(text, room)}".rstrip())
    click.echo(click.style("\n`tcoord explain NAME` tells all of one of them", dim=True))


def _head(text: str, most: int) -> str:
    sign = signs().cut
    return text if len(text) <= most else text[: most - len(sign)] + sign
