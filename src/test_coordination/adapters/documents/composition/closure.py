"""All that a definition needs: what it runs, what it waits for, and what these need in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from test_coordination.adapters.documents.composition.compose import unknown
from test_coordination.adapters.documents.composition.uses import Use, uses
from test_coordination.adapters.documents.document import PROBLEMS_MAX, Document
from test_coordination.adapters.documents.tree import TreeMap
from test_coordination.adapters.documents.words import alternatives, shown
from test_coordination.application.ports import Library
from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem
from test_coordination.domain.scenario import (
    Definition,
    DocumentKind,
    Part,
    Scenario,
    Template,
)

DEPTH_MAX: Final = 16
"""How far scenarios may run or wait for others that do so."""
PARTS_MAX: Final = 256
"""How many other definitions one may need."""

_Key = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A definition that was read, its tree, and the document that knows its mistakes."""

    document: Document
    tree: TreeMap
    definition: Definition


class Closure:
    """Follows what definitions need, each once; every mistake on the way is gathered."""

    def __init__(self, library: Library, opening: Callable[[Part], Opened]) -> None:
        """Look for definitions in ``library``, and read them by ``opening`` them."""
        self._library = library
        self._opening = opening
        self._problems: list[Problem] = []
        self._parts: dict[_Key, Part] = {}
        self._opened: dict[_Key, Opened | None] = {}
        self._followed: set[_Key] = set()

    def parts(self, root: Opened) -> tuple[Part, ...]:
        """Return all that ``root`` needs, what it extends first.

        Raises:
            InvalidDocumentError: it, or one of the others, has mistakes.
        """
        self._gather(root)
        self._follow(root, [(root.definition.name, None)])
        if self._problems:
            found = sorted(dict.fromkeys(self._problems), key=lambda problem: problem.mark)
            raise InvalidDocumentError(problems=tuple(found[:PROBLEMS_MAX]))
        return tuple(self._parts.values())

    def _refuse(self, mark: Mark, rule: str, text: str) -> None:
        self._problems.append(Problem(mark=mark, code=f"definition.{rule}", text=text))

    def _gather(self, opened: Opened) -> None:
        """Keep what a definition extends, and what is wrong with it."""
        try:
            opened.document.settle()
        except InvalidDocumentError as error:
            self._problems += error.problems
        definition = opened.definition
        body = definition.body if isinstance(definition, Template) else definition
        for part in body.parts:
            self._parts.setdefault((part.name, part.version), part)

    def _follow(self, opened: Opened, path: list[_Key]) -> None:
        for use in uses(opened.tree):
            self._step(use, path)

    def _step(self, use: Use, path: list[_Key]) -> None:
        reference = use.reference
        wanted: _Key = (reference.name, reference.version)
        part = None
        if wanted != path[0]:
            part = self._library.find(reference.name, version=reference.version)
            if part is None:
                self._refuse(reference.mark, "unknown", unknown(self._library, reference))
                return
            wanted = (part.name, part.version)
        if wanted in path:
            circle = [*path[path.index(wanted) :], wanted]
            text = f"these run or wait for each other: {' -> '.join(map(_spelled, circle))}; "
            self._refuse(reference.mark, "cycle", f"{text}take one of them out")
        elif part is not None and self._has_room(use, path):
            self._enter(use, part, [*path, wanted])

    def _has_room(self, use: Use, path: list[_Key]) -> bool:
        if len(path) > DEPTH_MAX:
            text = f"scenarios run or wait for others more than {DEPTH_MAX} deep; flatten them"
            self._refuse(use.reference.mark, "too_deep", text)
        elif len(self._parts) >= PARTS_MAX:
            text = f"more than {PARTS_MAX} other definitions are needed in all; split this one"
            self._refuse(use.reference.mark, "too_many", text)
        else:
            return True
        return False

    def _enter(self, use: Use, part: Part, path: list[_Key]) -> None:
        key = path[-1]
        if key not in self._opened:
            self._parts.setdefault(key, part)
            try:
                self._opened[key] = self._opening(part)
            except InvalidDocumentError as error:
                self._problems += error.problems
                self._opened[key] = None
        opened = self._opened[key]
        if opened is None:
            return
        if not isinstance(opened.definition, Scenario):
            kind = next(iter(opened.tree))
            text = f"{str(use.reference)!r} is a {kind}, and only a scenario can be "
            text += "run or waited for; name one"
            self._refuse(use.reference.mark, "kind", text)
            return
        self._check_given(use, opened.definition)
        if key not in self._followed:
            self._followed.add(key)
            self._gather(opened)
            self._follow(opened, path)

    def _check_given(self, use: Use, scenario: Scenario) -> None:
        if not use.runs:
            return
        known = {parameter.name: parameter for parameter in scenario.parameters}
        given = use.given if use.given is not None else TreeMap(use.reference.mark)
        for name in given:
            if name not in known:
                text = f"{DocumentKind.SCENARIO} {scenario.name!r} has no parameter {shown(name)}; "
                mark = given.key_marks[name]
                self._refuse(mark, "unknown_parameter", text + alternatives(name, known))
        for name, parameter in known.items():
            if parameter.required and name not in given:
                text = f"{DocumentKind.SCENARIO} {scenario.name!r} needs the parameter {name!r}; "
                text += "give it under 'with'"
                self._refuse(use.reference.mark, "missing_parameter", text)


def _spelled(key: _Key) -> str:
    name, version = key
    return name if version is None else f"{name}@{version}"
