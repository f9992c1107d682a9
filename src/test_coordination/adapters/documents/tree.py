"""What a document is before it is understood: plain values that know their places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from test_coordination.domain.errors import Mark

Plain: TypeAlias = str | int | float | bool | None


class TreeMap(dict[str, Any]):
    """A map that knows the place of itself, of each key and of each value."""

    __slots__ = ("key_marks", "mark", "value_marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.key_marks: dict[str, Mark] = {}
        self.value_marks: dict[str, Mark] = {}

    def put(self, key: str, value: Tree, *, key_mark: Mark, mark: Mark) -> None:
        """Set the value of ``key``, found at ``mark``; the key keeps its place among the others."""
        self[key] = value
        self.key_marks[key] = key_mark
        self.value_marks[key] = mark

    def take(self, source: TreeMap, key: str) -> None:
        """Set ``key`` to what it is in ``source``, with the places that it has there."""
        key_mark, mark = source.key_marks[key], source.value_marks[key]
        self.put(key, source[key], key_mark=key_mark, mark=mark)

    def drop(self, key: str) -> None:
        """Forget ``key`` if it is there."""
        if key in self:
            del self[key], self.key_marks[key], self.value_marks[key]

    def copied(self) -> TreeMap:
        """Return another map of the same values."""
        copy = TreeMap(self.mark)
        for key in self:
            copy.take(self, key)
        return copy


class TreeList(list[Any]):
    """A list that knows the place of itself and of each item."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []

    def add(self, value: Tree, mark: Mark, *, place: int | None = None) -> None:
        """Insert an item, found at ``mark``, at ``place``, or else at the end."""
        at = len(self) if place is None else place
        self.insert(at, value)
        self.marks.insert(at, mark)

    def drop(self, place: int) -> None:
        """Forget the item at ``place``."""
        del self[place], self.marks[place]


Tree: TypeAlias = TreeMap | TreeList | Plain


def count(tree: Tree) -> int:
    """Return how many values and keys ``tree`` has, what aliases repeat counted again."""
    nodes, rest = 0, [tree]
    while rest:
        node = rest.pop()
        nodes += 1
        if isinstance(node, TreeMap):
            nodes += len(node)
            rest.extend(node.values())
        elif isinstance(node, TreeList):
            rest.extend(node)
    return nodes


def locate(tree: Tree, loc: Sequence[str | int], *, key: bool = False) -> Mark:
    """Return the place of what ``loc`` leads to from ``tree``, a map or a list.

    Where the path leaves the tree, that is the place of the last thing on it. With ``key`` it
    is the place of that thing's key, if it has one. The place of a text is that of its first
    character, behind the quote or at the beginning of the block.
    """
    assert isinstance(tree, TreeMap | TreeList), "a plain value does not know its place"
    node: Tree = tree
    mark = tree.mark
    for part in loc:
        if isinstance(node, TreeMap) and isinstance(part, str) and part in node:
            mark = node.key_marks[part] if key else node.value_marks[part]
            node = node[part]
        elif isinstance(node, TreeList) and isinstance(part, int) and 0 <= part < len(node):
            mark = node.marks[part]
            node = node[part]
        else:
            break
    return mark


NUMBER_LENGTH_MAX: Final = 100

_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FIRST: Final = frozenset("-+.0123456789")
_CONSTANTS: Final[dict[str, Plain]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def plain_value(text: str) -> Plain:
    """Return what unquoted ``text`` stands for in the core schema of YAML 1.2.

    There ``no`` and ``on`` are texts, as is a date. A number of more than ``NUMBER_LENGTH_MAX``
    characters is a text, too: nobody counts that far.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _FIRST or len(text) > NUMBER_LENGTH_MAX:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text
