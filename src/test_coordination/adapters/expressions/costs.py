"""What an expression may not do, because its time or memory would have no bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from test_coordination.adapters.expressions.syntax import Form, Node

LOOPS_NESTED_MAX: Final = 2
JOINS_MAX: Final = 16

_JOINS: Final = frozenset({"add_string", "add_bytes", "add_list"})
_LOOPS: Final = "a loop (all, exists, exists_one, filter, map)"


def excess(root: Node) -> str | None:
    """Return why the expression is refused as too costly, or None.

    CEL itself ends an evaluation after 10,000 turns of its loops, but has no bound on memory, and
    a value may be named twice in each turn of a loop, so that it grows exponentially with the
    loops inside each other. What can grow is therefore not allowed to meet a loop: no ``+`` on
    texts or lists beside one, and no list, map or pattern that is built anew at each turn.
    """
    joins = sum(_is_join(node) for node in root.walk())
    loops = any(node.form is Form.LOOP for node in root.walk())
    if loops and joins:
        return (
            f"'+' on texts, lists or values of unknown type cannot be used together with {_LOOPS}; "
            "compare the parts by themselves, or say what is added, such as double(a) + double(b)"
        )
    if joins > JOINS_MAX:
        return f"'+' joins more than {JOINS_MAX} texts or lists; split the expression"
    return next(_excess_of_loops(root, 0), None)


def _is_join(node: Node) -> bool:
    return (
        node.form is Form.CALL
        and node.name == "_+_"
        and bool(node.overloads & _JOINS)
        and not _collects(node)
    )


def _collects(node: Node) -> bool:
    """Whether CEL itself wrote this node, to gather what `map` or `filter` gives."""
    return node.name == "_+_" and node.parts[0].name.startswith("@")


def _excess_of_loops(node: Node, depth: int) -> Iterator[str]:
    """Yield what is wrong below ``node``, which stands in the bodies of ``depth`` loops."""
    if node.form is Form.LOOP:
        first, *body = node.parts
        yield from _excess_of_loops(first, depth)
        if depth == LOOPS_NESTED_MAX:
            yield f"loops may stand inside each other at most {LOOPS_NESTED_MAX} deep"
            return
        for part in body:
            yield from _excess_of_loops(part, depth + 1)
        return
    if depth and node.name == "matches" and node.parts[-1].form is not Form.CONSTANT:
        yield f"inside {_LOOPS} the pattern of 'matches' must be written out"
    for part in _inner(node):
        if depth and part.form in (Form.LIST, Form.MAP) and not _is_constant(part):
            yield f"inside {_LOOPS} a list or map may hold constants only"
        yield from _excess_of_loops(part, depth)


def _inner(node: Node) -> tuple[Node, ...]:
    """Return the parts of ``node``, through lists that cannot grow into anything."""
    if node.form is Form.CALL and (node.name == "@in" or _collects(node)):
        left, right = node.parts
        return (left, *right.parts) if right.form is Form.LIST else node.parts
    return node.parts


def _is_constant(node: Node) -> bool:
    return all(part.form in (Form.CONSTANT, Form.LIST, Form.MAP) for part in node.walk())
