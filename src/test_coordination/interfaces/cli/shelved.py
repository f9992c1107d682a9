"""What the library has: definitions found in files, read, and chosen among."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from test_coordination.application.definitions import DefinitionKindError, heading, services_of
from test_coordination.domain.errors import InvalidDocumentError, Problem, suggestion
from test_coordination.domain.scenario import Definition, DocumentKind
from test_coordination.interfaces.cli.program import Desk, Shelved


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which definitions are wanted; what is left empty does not matter."""

    kind: DocumentKind
    tag: str = ""
    owner: str = ""
    service: str = ""

    def fits(self, definition: Definition) -> bool:
        """Tell whether ``definition`` is wanted."""
        top = heading(definition)
        return (
            (not self.tag or self.tag in top.tags)
            and (not self.owner or self.owner == top.owner)
            and (not self.service or self.service in services_of(definition))
        )

    @property
    def narrow(self) -> bool:
        """Tell whether something is asked of them."""
        return bool(self.tag or self.owner or self.service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A definition of the library; None with the mistakes in it if it cannot be read."""

    shelved: Shelved
    definition: Definition | None
    problems: tuple[Problem, ...] = ()


def selected(desk: Desk, wanted: Selection) -> Sequence[Found]:
    """Return what the library has of that kind, by name.

    What has mistakes fits only where nothing is asked of it.
    """
    found = [_read(desk, one) for one in desk.shelved(Path()) if one.kind is wanted.kind]
    return [
        one
        for one in found
        if (wanted.fits(one.definition) if one.definition is not None else not wanted.narrow)
    ]


def one(desk: Desk, name: str, kind: DocumentKind) -> Found:
    """Return the definition of that name and kind.

    Raises:
        click.BadParameter: there is none; the nearest name is suggested.
        InvalidDocumentError: it has mistakes.
        DefinitionKindError: it is of another kind.
    """
    shelved = desk.shelved(Path())
    found = next((each for each in shelved if each.part.name == name), None)
    if found is None:
        names = frozenset(each.part.name for each in shelved if each.kind is kind)
        message = (
            f"no {kind} is named {name!r}; {suggestion(name, names)} (`tcoord {kind}s versions "
            f"{name}` looks in the store)"
        )
        raise click.BadParameter(message, param_hint="NAME")
    if found.kind is not kind:
        raise DefinitionKindError(name=name, kind=found.kind, expected=kind)
    read = _read(desk, found)
    if read.problems:
        raise InvalidDocumentError(problems=read.problems)
    return read


def _read(desk: Desk, shelved: Shelved) -> Found:
    part = shelved.part
    try:
        definition = desk.read(part.text, file=part.file, place=Path(part.file).parent)
    except InvalidDocumentError as error:
        return Found(shelved=shelved, definition=None, problems=error.problems)
    return Found(shelved=shelved, definition=definition)
