"""Definitions of the library as people and programs read them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from test_coordination.application.definitions import heading
from test_coordination.domain.parameters import Parameter
from test_coordination.domain.scenario import DocumentKind, Scenario, Suite, Template
from test_coordination.interfaces.cli.layout import fold
from test_coordination.interfaces.cli.layout import heading as titled
from test_coordination.interfaces.cli.shelved import Found
from test_coordination.interfaces.cli.wording import bounds, readable, type_name

INDENT: Final = "    "


def listed_lines(found: Sequence[Found], kind: DocumentKind, *, columns: int) -> Sequence[str]:
    """Return a few lines about each of ``found``, with their colours."""
    if not found:
        places = "in this folder, in TCOORD_LIBRARY or among what is shipped"
        return [f"no {kind} is found {places}; `tcoord {kind}s --stored` lists those of the store"]
    lines: list[str] = []
    for number, one in enumerate(found):
        if number:
            lines.append("")
        lines += _listed(one, columns)
    return lines


def _listed(one: Found, columns: int) -> Iterator[str]:
    part = one.shelved.part
    yield click.style(part.name, bold=True)
    if one.definition is None:
        count = len(one.problems)
        mistakes = f"{count} mistake{'s' if count != 1 else ''}"
        text = f"{mistakes}, see `tcoord check {nearby(part.file)}`"
        yield click.style(fold(text, columns=columns, first=INDENT), fg="red")
        return
    top = heading(one.definition)
    if top.title:
        yield fold(top.title, columns=columns, first=INDENT)
    if top.parameters:
        given = ", ".join(map(brief, top.parameters))
        yield click.style(
            fold(f"with {given}", columns=columns, first=INDENT, later=INDENT + "     "), dim=True
        )
    yield click.style(f"{INDENT}{nearby(part.file)}", dim=True)


def brief(parameter: Parameter) -> str:
    """Return a parameter in a few words: ``outage=5s (duration)``."""
    kind = type_name(parameter)
    if parameter.default is not None:
        return f"{parameter.name}={readable(parameter.default, parameter)} ({kind})"
    state = "to be filled in, " if parameter.abstract else "required, "
    return f"{parameter.name} ({state if parameter.abstract or parameter.required else ''}{kind})"


def shown_lines(found: Found, *, columns: int) -> Sequence[str]:
    """Return all that there is to say of one definition, with its colours."""
    return list(_shown(found, columns))


def _shown(found: Found, columns: int) -> Iterator[str]:
    definition, part = found.definition, found.shelved.part
    assert definition is not None, "what has mistakes is not shown"
    top = heading(definition)
    yield f"{click.style(part.name, bold=True)} ({found.shelved.kind})"
    for text in (top.title, top.description):
        if text:
            yield fold(text, columns=columns)
    yield ""
    extends = top.extends if isinstance(top, Scenario) else ()
    facts = {
        "owner": top.owner,
        "tags": ", ".join(top.tags),
        "extends": ", ".join(map(str, extends)),
        "runs": _runs(top),
        "file": nearby(part.file),
    }
    for name, text in facts.items():
        if text:
            yield fold(text, columns=columns, first=f"{name:<9}", later=" " * 9)
    if top.parameters:
        yield ""
        yield titled("parameters")
        label = max(len(each.name) for each in top.parameters)
        for each in top.parameters:
            yield from _parameter(each, label, columns)
    yield ""
    yield click.style(_hint(part.name, found.shelved.kind), dim=True)


def _runs(top: Scenario | Suite) -> str:
    entries = top.entries if isinstance(top, Suite) else ()
    return ", ".join(dict.fromkeys(str(entry.scenario) for entry in entries))


def _parameter(each: Parameter, label: int, columns: int) -> Iterator[str]:
    start = " " * (label + 4)
    facts = [", ".join(filter(None, (type_name(each), bounds(each))))]
    if each.default is not None:
        facts.append(f"{readable(each.default, each)} if not given")
    elif each.abstract:
        facts.append("to be filled in by what extends it")
    elif each.required:
        facts.append("required")
    first, *more = fold("; ".join(facts), columns=columns - len(start)).split("\n")
    yield f"  {click.style(f'{each.name:<{label}}', bold=True)}  {first}"
    yield from (start + line for line in more)
    if each.description:
        yield click.style(fold(each.description, columns=columns, first=start), dim=True)


def _hint(name: str, kind: DocumentKind) -> str:
    if kind is DocumentKind.TEMPLATE:
        return f"`tcoord init FILE --template {name}` writes a scenario that extends it"
    return f"`tcoord plan {name}` shows what it comes to, `tcoord explain {name}` all of its text"


def shelf_document(found: Found) -> dict[str, object]:
    """Return a definition as JSON has it; mistakes if there are any."""
    part = found.shelved.part
    document: dict[str, object] = {
        "name": part.name,
        "kind": found.shelved.kind.value,
        "file": part.file,
        "mistakes": len(found.problems),
    }
    if found.definition is None:
        return document
    definition = found.definition
    top = heading(definition)
    body = definition.body if isinstance(definition, Template) else definition
    return {
        **document,
        "title": top.title,
        "description": top.description,
        "owner": top.owner,
        "tags": list(top.tags),
        "extends": [str(one) for one in body.extends] if isinstance(body, Scenario) else [],
        "parameters": [_parameter_document(each) for each in top.parameters],
    }


def _parameter_document(each: Parameter) -> dict[str, object]:
    return {
        "name": each.name,
        "type": type_name(each),
        "default": None if each.default is None else readable(each.default, each),
        "required": each.required or each.abstract,
        "abstract": each.abstract,
        "bounds": bounds(each),
        "description": each.description,
    }


def nearby(file: str) -> str:
    """Return the path of a file as it is seen from here, if it lies below this folder."""
    path = Path(file)
    here = Path.cwd()
    resolved = path.resolve()
    return os.fspath(resolved.relative_to(here)) if resolved.is_relative_to(here) else file
