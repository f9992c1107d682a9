"""What parameters owe to the documents that declared them first: their type and their bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from test_coordination.adapters.documents.declarations import (
    described_as,
    literal,
    parameter_type,
)
from test_coordination.adapters.documents.tree import TreeList, TreeMap
from test_coordination.adapters.documents.words import enumerated, shown
from test_coordination.domain.errors import Mark, Problem
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import Value

_BOUNDS: Final = {"min": ("less", "at least"), "max": ("more", "at most")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """A document that another goes back to; ``via`` is where that one names what leads to it."""

    name: str
    tree: TreeMap
    via: Mark


def parameter_problems(tree: TreeMap, ancestors: Sequence[Ancestor]) -> tuple[Problem, ...]:
    """Return what is wrong with the parameters of ``tree``, which the ``ancestors`` went into.

    Each must keep the type and the bounds that any of them gave it, also where it was replaced
    or removed in between; and in a scenario none may be abstract any more. One that is loses the
    key, so that it is told once.
    """
    parameters = tree.get("parameters")
    if not isinstance(parameters, TreeMap):
        return ()
    problems: list[Problem] = []
    for name in parameters:
        if not isinstance(parameters[name], TreeMap):
            continue
        for ancestor in ancestors:
            declared = _declared(ancestor, name)
            if declared is not None:
                problems += _Promise(name, ancestor, declared).broken_by(parameters)
        if next(iter(tree)) == DocumentKind.SCENARIO:
            problems += _left_open(parameters, name, ancestors)
    return tuple(dict.fromkeys(problems))


def _declared(ancestor: Ancestor, name: str) -> TreeMap | None:
    parameters = ancestor.tree.get("parameters")
    declared = parameters.get(name) if isinstance(parameters, TreeMap) else None
    return declared if isinstance(declared, TreeMap) else None


def _left_open(parameters: TreeMap, name: str, ancestors: Sequence[Ancestor]) -> Iterator[Problem]:
    """Yield the problem of a parameter that is still abstract, and declare it anew without."""
    declared = parameters[name]
    if declared.get("abstract") is not True:
        return
    mark = declared.key_marks["abstract"]
    found = [each for each in ancestors if _says(each, name, mark)]
    if not found:
        return
    text = f"{found[0].name!r} leaves the parameter {name!r} open (at {mark.file}:{mark.line}); "
    text += f"give it a value: 'parameters: {{{name}: …}}', or '{name}: {{required: true}}'"
    yield Problem(mark=found[0].via, code="scenario.left_abstract", text=text)
    settled = declared.copied()
    settled.drop("abstract")
    places = {"key_mark": parameters.key_marks[name], "mark": parameters.value_marks[name]}
    parameters.put(name, settled, **places)


def _says(ancestor: Ancestor, name: str, mark: Mark) -> bool:
    declared = _declared(ancestor, name)
    return declared is not None and declared.key_marks.get("abstract") == mark


class _Promise:
    """What one ancestor declares of one parameter."""

    def __init__(self, name: str, ancestor: Ancestor, declared: TreeMap) -> None:
        self._name = name
        self._ancestor = ancestor
        self._declared = declared

    def broken_by(self, parameters: TreeMap) -> Iterator[Problem]:
        """Yield in what the declaration that holds now differs more than it may."""
        found: TreeMap = parameters[self._name]
        at = parameters.key_marks[self._name]
        kinds = parameter_type(found.get("type"))
        if kinds is None:
            return
        promised = parameter_type(self._declared.get("type"))
        if promised is not None and promised != kinds:
            text = f"the type is {self._declared['type']} there and must stay so; "
            at = found.value_marks["type"]
            yield self._problem(at, f"{text}give the parameter another name")
            return
        kind = kinds[1] or kinds[0]
        yield from self._bounds(found, kind, at)
        yield from self._values(found)
        yield from self._pattern(found, at)

    def _bounds(self, found: TreeMap, kind: ParameterType, at: Mark) -> Iterator[Problem]:
        for key, (further, bound) in _BOUNDS.items():
            limit = _read(self._declared, key, kind)
            if limit is None:
                continue
            now = _read(found, key, kind)
            if now is not None and _keeps(key, now, limit):
                continue
            shown_limit = described_as(kind, limit)
            text = f"{key!r} is {shown_limit} there and may not be left out; say {bound} that"
            if now is not None:
                text = f"{key!r} must not be {further} than there ({shown_limit}); narrow it"
            elif key in found:
                continue
            yield self._problem(found.value_marks.get(key, at), text)

    def _values(self, found: TreeMap) -> Iterator[Problem]:
        allowed, now = self._declared.get("values"), found.get("values")
        if not isinstance(allowed, TreeList) or not isinstance(now, TreeList):
            return
        for place, value in enumerate(now):
            if value not in allowed:
                text = f"the 'values' there are {enumerated(map(str, allowed), 'and')}, and "
                text += f"{shown(value)} is none of them; leave it out"
                yield self._problem(now.marks[place], text)

    def _pattern(self, found: TreeMap, at: Mark) -> Iterator[Problem]:
        promised = self._declared.get("pattern")
        if isinstance(promised, str) and found.get("pattern") != promised:
            text = f"the pattern there is {shown(promised)} and must stay so, since nobody can "
            text += "tell whether another is narrower; leave the key out"
            yield self._problem(found.value_marks.get("pattern", at), text)

    def _problem(self, mark: Mark, text: str) -> Problem:
        declared = self._declared.mark
        where = f"{self._ancestor.name!r} declares it at {declared.file}:{declared.line}"
        text = f"parameter {self._name!r} is inherited ({where}): {text}"
        return Problem(mark=mark, code="scenario.widened", text=text)


def _keeps(key: str, now: Value, limit: Value) -> bool:
    low, high = (limit, now) if key == "min" else (now, limit)
    return bool(low <= high)  # type: ignore[operator]  # both are of one ordered type


def _read(declared: TreeMap, key: str, kind: ParameterType) -> Value:
    found = declared.get(key)
    if found is None or (isinstance(found, str) and "${{" in found):
        return None
    return literal(kind, found)
