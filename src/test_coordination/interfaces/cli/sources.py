"""Definitions that somebody names on the command line: by file, by name, or on standard input."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from test_coordination.application.ports import Library
from test_coordination.domain.errors import suggestion
from test_coordination.domain.scenario import Definition, Part, Scenario, Suite, Template
from test_coordination.interfaces.cli.program import Desk

STANDARD_INPUT: Final = "-"
SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The text of a document, what its places are named after, and the folder that it lies in."""

    text: str
    file: str
    place: Path


def from_file(path: Path) -> Source:
    """Return what ``path`` holds; ``-`` is standard input, which lies in the current folder."""
    if str(path) == STANDARD_INPUT:
        raw = sys.stdin.buffer.read()
        # What is no UTF-8 is kept, for the reader to refuse.
        text = raw.decode(errors="surrogateescape")
        return Source(text=text, file="<stdin>", place=Path())
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise click.UsageError(message) from error
    return Source(text=text, file=str(path), place=path.parent)


def is_file(what: str) -> bool:
    """Tell whether ``what`` names a file, and not a definition."""
    return what == STANDARD_INPUT or Path(what).is_file() or is_path(what)


def is_path(what: str) -> bool:
    """Tell whether ``what`` looks like a path, whether there is such a file or not."""
    return "/" in what or what.endswith(SUFFIXES) or what in {".", ".."}


def from_words(what: str, desk: Desk) -> Source:
    """Return the file or the definition of the library that ``what`` names.

    Raises:
        click.BadParameter: there is neither.
    """
    if is_file(what):
        return existing(what)
    library = desk.library(Path())
    name, version = versioned(what)
    part = library.find(name, version=version)
    if part is None:
        message = unknown(what, library)
        raise click.BadParameter(message, param_hint="NAME")
    return from_part(part)


def existing(what: str) -> Source:
    """Return the file that ``what`` names.

    Raises:
        click.BadParameter: there is none.
    """
    path = Path(what)
    if what != STANDARD_INPUT and not path.exists():
        message = f"there is no file {what!r}"
        raise click.BadParameter(message, param_hint="FILE")
    if path.is_dir():
        message = f"{what!r} is a folder; name a file in it"
        raise click.BadParameter(message, param_hint="FILE")
    return from_file(path)


def from_part(part: Part) -> Source:
    """Return a definition of a library as if its file had been named."""
    return Source(text=part.text, file=part.file, place=Path(part.file).parent)


def versioned(what: str) -> tuple[str, int | None]:
    """Return the name and the version in ``NAME`` or ``NAME@VERSION``.

    Raises:
        click.BadParameter: the version is no number.
    """
    name, separator, version = what.partition("@")
    if not separator:
        return name, None
    if not version.isdecimal() or not version.isascii():
        message = f"{what!r}: expected NAME@VERSION, such as {name}@3"
        raise click.BadParameter(message, param_hint="NAME")
    return name, int(version)


def unknown(what: str, library: Library) -> str:
    """Return the sentence about a name that ``library`` does not have."""
    name, version = versioned(what)
    if version is not None and library.find(name) is not None:
        return (
            f"{what!r}: only what is stored has versions; leave '@{version}' out for the file, "
            f"or see `tcoord scenarios export {what}`"
        )
    return f"nothing is named {what!r}; {suggestion(name, frozenset(library.names()))}"


def need_runnable(definition: Definition) -> Scenario | Suite:
    """Return ``definition`` unless it is a template, which is refused with what to do instead.

    Raises:
        click.UsageError: it is a template.
    """
    if not isinstance(definition, Template):
        return definition
    raise click.UsageError(template_refused(definition.name))


def template_refused(name: str) -> str:
    """Return the sentence about a template where something to be run was expected."""
    return (
        f"{name!r} is a template, which cannot be run by itself; extend it: "
        f"`tcoord init FILE --template {name}` writes a scenario that does"
    )
