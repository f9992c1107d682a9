"""How two versions of a definition differ: in what they mean, and in how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import timedelta
from difflib import unified_diff
from enum import Enum
from typing import Final

from test_coordination.application.definitions import StoredScenario
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression, Interpolation
from test_coordination.domain.parameters import Parameter
from test_coordination.domain.scenario import Definition, ProbeSpec, Reference
from test_coordination.domain.values import format_duration

UNTOLD: Final = frozenset({"mark", "source", "parts"})
"""The fields of a definition that say how it came to be, and not what it means."""
NAMED_BY: Final = ("id", "name")
"""The fields by which the members of a list are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that two definitions say differently; what is None is not said at all.

    ``path`` leads to it, with ids for places in lists. Values are as JSON has them, durations and
    expressions as they are written. A place is that of the closest thing that has one.
    """

    path: tuple[str, ...]
    before: object
    after: object
    before_at: Mark | None
    after_at: Mark | None

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDifference:
    """How version ``after`` of a definition differs from version ``before``.

    ``changes`` compare what they mean, with all that they extend merged in; ``text`` compares
    what their authors wrote, as a unified diff that is empty where nothing differs.
    """

    before: StoredScenario
    after: StoredScenario
    changes: tuple[Change, ...]
    text: str


def text_difference(before: StoredScenario, after: StoredScenario) -> str:
    """Return the unified diff of the texts of two versions."""
    lines = unified_diff(
        before.source.splitlines(),
        after.source.splitlines(),
        fromfile=f"{before.name}@{before.version}",
        tofile=f"{after.name}@{after.version}",
        lineterm="",
    )
    return "".join(f"{line}\n" for line in lines)


def differences(before: Definition, after: Definition) -> Iterator[Change]:
    """Yield what two definitions say differently, in the order in which they say it."""
    return _compared((), _node(before, None), _node(after, None))


@dataclass(frozen=True, slots=True)
class _Node:
    """A value as it is compared: a leaf, or what is inside by name, in its order."""

    value: object
    mark: Mark | None
    inside: Mapping[str, _Node] | None = None

    def plain(self) -> object:
        """Return the value as JSON has it."""
        if self.inside is None:
            return self.value
        return {name: node.plain() for name, node in self.inside.items()}


_ABSENT: Final = _Node(None, None)


def _compared(path: tuple[str, ...], before: _Node, after: _Node) -> Iterator[Change]:
    if before.inside is None or after.inside is None:
        if before.plain() != after.plain():
            yield Change(
                path=path,
                before=before.plain(),
                after=after.plain(),
                before_at=before.mark,
                after_at=after.mark,
            )
        return
    for name in dict.fromkeys((*before.inside, *after.inside)):
        yield from _compared(
            (*path, name), before.inside.get(name, _ABSENT), after.inside.get(name, _ABSENT)
        )
    both = before.inside.keys() & after.inside.keys()
    old, new = ([name for name in each.inside or () if name in both] for each in (before, after))
    if before.value is _IN_ORDER and old != new:
        yield Change(
            path=(*path, "(order)"),
            before=old,
            after=new,
            before_at=before.inside[old[0]].mark,
            after_at=after.inside[new[0]].mark,
        )


_IN_ORDER: Final = object()
"""The value of a node whose members stand in an order that means something."""


def _node(value: object, mark: Mark | None) -> _Node:  # noqa: PLR0911  one return a kind of value
    match value:
        case Expression(text=text, mark=at):
            return _Node(f"${{{{ {text} }}}}", at)
        case Interpolation(parts=parts, mark=at):
            return _Node("".join(str(_node(part, at).value) for part in parts), at)
        case Reference(mark=at):
            return _Node(str(value), at)
        case timedelta():
            return _Node(format_duration(value), mark)
        case Enum():
            return _Node(value.value, mark)
        case Mapping():
            return _Node(None, mark, {str(k): _node(each, mark) for k, each in value.items()})
        case list() | tuple():
            return _list(value, mark)
        case _ if is_dataclass(value):
            return _object(value, mark)
        case _:
            return _Node(value, mark)


def _list(values: Sequence[object], mark: Mark | None) -> _Node:
    names = [_name(value) for value in values]
    nodes = [_node(value, mark) for value in values]
    if None in names or len(set(names)) < len(names):
        return _Node([node.plain() for node in nodes], nodes[0].mark if nodes else mark)
    is_map = any(isinstance(value, Parameter | ProbeSpec) for value in values)
    inside = dict(zip(map(str, names), nodes, strict=True))
    return _Node(None if is_map else _IN_ORDER, mark, inside)


def _name(value: object) -> object:
    return next((getattr(value, name) for name in NAMED_BY if hasattr(value, name)), None)


def _object(value: object, mark: Mark | None) -> _Node:
    assert is_dataclass(value)
    at = getattr(value, "mark", None) or mark
    inside = {
        field.name: _node(found, at)
        for field in fields(value)
        if field.name not in UNTOLD and (found := getattr(value, field.name)) != _default(field)
    }
    return _Node(None, at, inside)


def _default(field: Field[object]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)
