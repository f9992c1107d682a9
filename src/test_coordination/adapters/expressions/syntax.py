"""The tree of a checked CEL expression, read from the library's serialized form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

# Field numbers of cel/expr/{syntax,checked}.proto, and of google.protobuf.Any around them. The
# numbers are frozen by protobuf's rules; a field that is not named here is stepped over.
ANY_TYPE: Final = 1
ANY_VALUE: Final = 2
CHECKED_REFERENCES: Final = 2
CHECKED_EXPRESSION: Final = 4
REFERENCE_OVERLOAD: Final = 3
ID: Final = 2
ENTRY_KEY: Final = 1
ENTRY_VALUE: Final = 2

_VARINT: Final = 0
_BYTES: Final = 2
_FIXED: Final = {1: 8, 5: 4}

Fields: TypeAlias = Mapping[int, list[bytes]]


class Form(Enum):
    """What a node of the tree is."""

    CONSTANT = auto()
    NAME = auto()
    FIELD = auto()
    CALL = auto()
    LIST = auto()
    MAP = auto()
    LOOP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the tree.

    ``name`` is that of a name (dotted, as declared), a field or a function, or the text of a
    constant that is one. The parts of a field
    are what it is a field of; those of a call its target, if any, and its arguments; those of a
    loop its range, start, condition, step and result, as `all`, `map` and their like are written
    out by CEL. ``overloads`` are the meanings a call may have; ``raw`` is the node as it came.
    """

    form: Form
    name: str = ""
    parts: tuple[Node, ...] = ()
    overloads: frozenset[str] = frozenset()
    raw: bytes = b""

    def walk(self) -> Iterator[Node]:
        """Return this node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """A checked expression taken apart, so that a piece of it can be run by itself."""

    root: Node
    type_url: bytes
    around: tuple[tuple[int, bytes], ...]

    def serialized(self, node: Node) -> bytes:
        """Return ``node`` as an expression of its own, for ``Env.deserialize``."""
        checked = b"".join(_field(number, content) for number, content in self.around)
        checked += _field(CHECKED_EXPRESSION, node.raw)
        return _field(ANY_TYPE, self.type_url) + _field(ANY_VALUE, checked)


def read_syntax(serialized: bytes) -> Syntax:
    """Return the tree in what ``Expression.serialize`` gave.

    Recursion is no danger: the library parses no deeper than 32 levels.
    """
    outer = _fields(serialized)
    pairs = tuple(_pairs(outer[ANY_VALUE][0]))
    overloads = dict(
        _overloads(_fields(content)) for number, content in pairs if number == CHECKED_REFERENCES
    )
    root = next(content for number, content in pairs if number == CHECKED_EXPRESSION)
    return Syntax(
        root=_node(root, overloads),
        type_url=outer[ANY_TYPE][0],
        around=tuple(pair for pair in pairs if pair[0] != CHECKED_EXPRESSION),
    )


def _overloads(entry: Fields) -> tuple[bytes, frozenset[str]]:
    reference = _fields(entry[ENTRY_VALUE][0])
    return entry[ENTRY_KEY][0], frozenset(name.decode() for name in reference[REFERENCE_OVERLOAD])


def _node(raw: bytes, overloads: Mapping[bytes, frozenset[str]]) -> Node:
    fields = _fields(raw)
    number = next((number for number in fields if number in _FORMS), CONSTANT_FIELD)
    form, name_at, parts_at = _FORMS[number]
    body = _fields(fields[number][0]) if parts_at or name_at else defaultdict(list)
    contents = [content for at in parts_at for content in body[at]]
    if form is Form.MAP:
        contents = [part for entry in contents for part in _entry_parts(_fields(entry))]
    name = body[name_at][0].decode() if body[name_at] else ""
    return Node(
        form=form,
        name=name,
        parts=tuple(_node(content, overloads) for content in contents),
        overloads=overloads.get(fields[ID][0], frozenset()) if fields[ID] else frozenset(),
        raw=raw,
    )


# Of each alternative of an Expr: its form, where its name is, and where its parts are.
CONSTANT_FIELD: Final = 3
_FORMS: Final[Mapping[int, tuple[Form, int, tuple[int, ...]]]] = {
    CONSTANT_FIELD: (Form.CONSTANT, 6, ()),
    4: (Form.NAME, 1, ()),
    5: (Form.FIELD, 2, (1,)),
    6: (Form.CALL, 2, (1, 3)),
    7: (Form.LIST, 0, (1,)),
    8: (Form.MAP, 1, (2,)),
    9: (Form.LOOP, 1, (2, 4, 5, 6, 7)),
}


def _entry_parts(entry: Fields) -> list[bytes]:
    map_key, value = 3, 4
    return entry[map_key] + entry[value]


def _fields(data: bytes) -> Fields:
    fields: defaultdict[int, list[bytes]] = defaultdict(list)
    for number, content in _pairs(data):
        fields[number].append(content)
    return fields


def _pairs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each field's number and content; a varint's content is its own encoding."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        start = position
        if wire == _VARINT:
            _, position = _varint(data, position)
        elif wire == _BYTES:
            length, start = _varint(data, position)
            position = start + length
        else:
            position += _FIXED[wire]
        yield number, data[start:position]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  (the top bit says that more follows)
            return value, position
        shift += 7


def _field(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004  (seven bits to a byte)
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
