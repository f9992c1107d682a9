"""A tree as YAML again, with the file and line that each value in it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from test_coordination.adapters.documents.composition.scalars import KEY_LENGTH_MAX, block, scalar
from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.tree import Tree, TreeList, TreeMap
from test_coordination.domain.errors import Mark
from test_coordination.domain.scenario import Explanation, WrittenLine

_COLUMN_MAX: Final = 80
_INDENT: Final = "  "
_UNSHOWN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def explain(tree: TreeMap) -> Explanation:
    """Return ``tree`` as lines of YAML that read back as it is, and where their values are from."""
    lines = tuple(_map(tree, "", ()))
    plain = "".join(f"{line.text}\n" for line in lines)
    return Explanation(lines=lines, text=plain, annotated=_annotated(lines))


def _annotated(lines: tuple[WrittenLine, ...]) -> str:
    widths = [len(line.text) for line in lines if line.mark is not None]
    column = max((width for width in widths if width <= _COLUMN_MAX), default=0)
    return "".join(f"{_with_origin(line, column)}\n" for line in lines)


def _with_origin(line: WrittenLine, column: int) -> str:
    if line.mark is None:
        return line.text
    file = _UNSHOWN.sub("?", line.mark.file)
    return f"{line.text:<{column}}  # {file}:{line.mark.line}"


def _map(node: TreeMap, indent: str, path: Location) -> Iterator[WrittenLine]:
    for key in node:
        name, at, mark = scalar(key), (*path, key), node.value_marks[key]
        if len(name) <= KEY_LENGTH_MAX:
            yield from _value(node[key], f"{indent}{name}:", indent=indent, at=(at, mark))
        else:
            yield WrittenLine(path=at, text=f"{indent}? {name}")
            yield from _value(node[key], f"{indent}:", indent=indent, at=(at, mark))


def _list(node: TreeList, indent: str, path: Location) -> Iterator[WrittenLine]:
    for place, item in enumerate(node):
        at, mark = (*path, place), node.marks[place]
        if isinstance(item, TreeMap | TreeList) and item:
            inner = indent + _INDENT
            lines = _inside(item, inner, at)
            first = next(lines)
            text = f"{indent}- {first.text[len(inner) :]}"
            yield WrittenLine(path=first.path, text=text, mark=first.mark)
            yield from lines
        else:
            yield from _value(item, f"{indent}-", indent=indent, at=(at, mark))


def _value(
    value: Tree, begin: str, *, indent: str, at: tuple[Location, Mark]
) -> Iterator[WrittenLine]:
    """Yield the lines of a value behind its key or dash, which is how they ``begin``."""
    path, mark = at
    if isinstance(value, TreeMap | TreeList):
        if value:
            yield WrittenLine(path=path, text=begin)
            yield from _inside(value, indent + _INDENT, path)
        else:
            empty = "{}" if isinstance(value, TreeMap) else "[]"
            yield WrittenLine(path=path, text=f"{begin} {empty}", mark=mark)
        return
    sign, *body = block(value) or (scalar(value),)
    yield WrittenLine(path=path, text=f"{begin} {sign}", mark=mark)
    for text in body:
        yield WrittenLine(path=path, text=f"{indent}{_INDENT}{text}" if text else "")


def _inside(node: TreeMap | TreeList, indent: str, path: Location) -> Iterator[WrittenLine]:
    if isinstance(node, TreeMap):
        return _map(node, indent, path)
    return _list(node, indent, path)
