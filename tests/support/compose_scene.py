"""Documents that extend each other, written down in a test."""

from __future__ import annotations

from textwrap import dedent

from test_coordination.adapters.documents.composition.compose import Composed, compose
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.tree import TreeMap
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import Problem
from test_coordination.domain.scenario import Part


def part(text: str, *, version: int | None = None) -> Part:
    """Return a document as a part whose file is named after it."""
    text = dedent(text)
    name = next(iter(read(text, file="part.yaml").values()))
    file = f"{name}.yaml" if version is None else f"{name}@{version}.yaml"
    return Part(name=name, file=file, text=text, version=version)


def composed(text: str, *others: str | Part) -> Composed:
    """Return the document in ``text``, of the file ``main.yaml``, with what it extends."""
    parts = [part(other) if isinstance(other, str) else other for other in others]
    text = dedent(text)
    return compose(
        read(text, file="main.yaml"), file="main.yaml", library=Shelf(parts=tuple(parts))
    )


def whole(text: str, *others: str | Part) -> TreeMap:
    """Return the tree of a document that is well."""
    found = composed(text, *others)
    assert not found.problems, "\n".join(map(str, found.problems))
    return found.tree


def told(text: str, *others: str | Part) -> list[str]:
    """Return the mistakes of a document as place and code: ``main.yaml:1:2 scenario.cycle``."""
    return [f"{each.mark} {each.code}" for each in composed(text, *others).problems]


def sentences(text: str, *others: str | Part) -> list[str]:
    """Return what is told of the mistakes of a document, without their places."""
    found: tuple[Problem, ...] = composed(text, *others).problems
    return [each.text for each in found]
