"""The page about the codes of errors, made of the errors themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from typing import Final

from test_coordination.adapters.documents.references.pages import MADE
from test_coordination.adapters.documents.references.rules import GROUPS
from test_coordination.adapters.documents.references.words import contents, page, table
from test_coordination.domain.errors import CoordinationError

_INTRODUCTION: Final = """
Every error has a code, which stays what it is, and a sentence, which may become better in any
release. Programs go by the code; it stands in brackets behind what the command line prints. The
mistakes of a document have codes of their own, such as `scenario.unknown_key`, and places in it.
"""


def errors_page(packages: Sequence[str]) -> str:
    """Return the page about all errors that modules of ``packages`` define, as Markdown.

    Only those of modules that have been imported are known.
    """
    found = {
        error.code: _first_line(error)
        for error in _below(CoordinationError)
        if "code" in vars(error) and error.__module__.startswith(tuple(packages))
    }
    rows = [[f"`{code}`", text] for code, text in sorted(found.items())]
    head = ["# Errors", "", MADE, _INTRODUCTION]
    lines = ["", "## Errors of commands and executions", *table(["code", "what it means"], rows)]
    for title, said, rules in GROUPS:
        known = [[f"`{rule}`", text] for rule, text in rules.items()]
        lines += ["", f"## {title}", "", f"{said}.", *table(["code", "what it means"], known)]
    return page([*head, *contents(lines), *lines])


def _below(error: type[CoordinationError]) -> Iterator[type[CoordinationError]]:
    for one in error.__subclasses__():
        yield one
        yield from _below(one)


def _first_line(error: type[CoordinationError]) -> str:
    return cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("``", "`")
