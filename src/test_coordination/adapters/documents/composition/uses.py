"""What a definition runs or waits for: the scenarios of its steps, its suite, its dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from test_coordination.adapters.documents.composition.compose import kind_of
from test_coordination.adapters.documents.composition.entries import GROUPS
from test_coordination.adapters.documents.forms.fields import split_reference
from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.domain.scenario import DocumentKind, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place at which a document names a scenario.

    It is given the parameters under ``given`` where it ``runs`` it; otherwise it only waits.
    """

    reference: Reference
    runs: bool = True
    given: TreeMap | None = None


def uses(tree: TreeMap) -> Iterator[Use]:
    """Yield where ``tree`` names scenarios that it runs or waits for, as far as it is well."""
    if kind_of(tree) is DocumentKind.SUITE:
        for entry in _maps(tree.get("scenarios")):
            yield from _use(entry)
        return
    for entry in _maps(tree.get("depends_on")):
        yield from _use(entry, runs=False)
    yield from _in_steps(tree.get("steps"))


def _in_steps(steps: Tree) -> Iterator[Use]:
    for step in _maps(steps):
        background = step.get("background")
        yield from _use(background if isinstance(background, TreeMap) else step)
        for group in GROUPS:
            yield from _in_steps(step.get(group))


def _use(entry: TreeMap, *, runs: bool = True) -> Iterator[Use]:
    found = entry.get("scenario")
    named = split_reference(found) if isinstance(found, str) else None
    if named is None:
        return
    given = entry.get("with")
    yield Use(
        reference=Reference(name=named[0], version=named[1], mark=entry.value_marks["scenario"]),
        runs=runs,
        given=given if isinstance(given, TreeMap) else None,
    )


def _maps(entries: Tree) -> Iterator[TreeMap]:
    if isinstance(entries, TreeList):
        yield from (entry for entry in entries if isinstance(entry, TreeMap))
