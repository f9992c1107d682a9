"""What an expression may not do, because its time or memory would have no bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from test_coordination.adapters.expressions.conversion import Limits
from test_coordination.adapters.expressions.functions import FUNCTIONS
from test_coordination.adapters.expressions.syntax import Form, Node

LOOPS_NESTED_MAX: Final = 2
JOINS_MAX: Final = 16
COMPARISONS_MAX: Final = 2
NODES_IN_LOOPS_MAX: Final = 120
MATCHES_MAX: Final = 4
PATTERN_LENGTH_MAX: Final = 128
LIST_CALLS_MAX: Final = 16
CALLS_IN_LOOPS_MAX: Final = 16

PLAIN: Final = Limits(nodes=10_000, text_length=65_536, nodes_in_all=20_000, text_in_all=1_048_576)
SEARCHED: Final = Limits(nodes=10_000, text_length=4_096, nodes_in_all=20_000, text_in_all=262_144)
LOOPED: Final = Limits(nodes=2_000, text_length=4_096, nodes_in_all=8_000, text_in_all=262_144)
# What the turns of all loops may look through: values, or characters of a text. A turn of a loop
# inside another counts tenfold, as there may be 10,000 of those and 1,000 of others; to compare two
# values counts eightfold, as it takes that much longer than to see whether one is `in` many.
LOOKED_THROUGH_MAX: Final = 30_000
COMPARISON_WEIGHT: Final = 8
NESTED_WEIGHT: Final = 10

_JOINS: Final = frozenset({"add_string", "add_bytes", "add_list"})
_COMPARISONS: Final = frozenset({"_==_", "_!=_", "@in"})
# Calls whose result may be as large as what they are given.
_PASSING: Final = frozenset({"_[_]", "_?_:_", "dyn"})
# Calls that look at each character of a text.
_SCANS: Final = frozenset({"contains", "size", "bytes", "duration"})
_OF_LISTS: Final = frozenset(function.name for function in FUNCTIONS if function.of_lists)
_LIST_OVERLOADS: Final = frozenset().union(*(function.of_lists for function in FUNCTIONS))
_CUSTOM: Final = frozenset(function.name for function in FUNCTIONS)
_LOOPS: Final = "a loop (all, exists, exists_one, filter, map)"


def excess(root: Node, *, scalars: frozenset[str]) -> str | None:
    """Return why the expression is refused as too costly, or None.

    CEL itself ends an evaluation after 10,000 turns of its loops, but has no bound on memory, nor
    on what a single turn costs; and a value may be named twice in each turn, so that it grows
    exponentially with the loops. What can grow is therefore not allowed to meet a loop, what
    takes time for each item or character is counted, and patterns stay outside. ``scalars`` are
    the names that stand for neither list nor map.
    """
    places = list(_places(root, 0))
    return (
        _excess_of_joins([node for node, _ in places])
        or _excess_of_patterns(places)
        or _excess_of_functions(places)
        or _excess_of_loops(places, scalars)
    )


def limits(root: Node, *, scalars: frozenset[str]) -> Limits:
    """Return how large the values may be that the expression is given.

    The more an expression with loops looks through in each turn, the smaller they must be.
    """
    places = list(_places(root, 0))
    if not any(is_loop(node) for node, _ in places):
        searches = any(is_match(node) or _searches(node) for node, _ in places)
        return SEARCHED if searches else PLAIN
    values = texts = 1
    for node, depth in places:
        weight = NESTED_WEIGHT ** (depth - 1) if depth else 0
        values += weight * (_is_lookup(node) + COMPARISON_WEIGHT * _is_heavy(node, scalars))
        texts += weight * (node.form is Form.CALL and node.name in _SCANS)
    return replace(
        LOOPED,
        nodes=min(LOOPED.nodes, LOOKED_THROUGH_MAX // values),
        text_length=min(LOOPED.text_length, LOOKED_THROUGH_MAX // texts),
    )


def is_loop(node: Node) -> bool:
    """Whether ``node`` runs over a list or map."""
    return node.form is Form.LOOP


def is_match(node: Node) -> bool:
    """Whether ``node`` matches a text with a regular expression."""
    return node.form is Form.CALL and node.name == "matches"


def _places(node: Node, depth: int) -> Iterator[tuple[Node, int]]:
    """Yield each node with the number of loops in whose bodies it stands."""
    yield node, depth
    for index, part in enumerate(node.parts):
        is_body = is_loop(node) and index > 0
        yield from _places(part, depth + is_body)


def _excess_of_joins(nodes: list[Node]) -> str | None:
    joins = sum(_is_join(node) for node in nodes)
    if joins and any(is_loop(node) for node in nodes):
        return (
            f"'+' on texts, lists or values of unknown type cannot be used together with {_LOOPS}; "
            "compare the parts by themselves, or say what is added, such as double(a) + double(b)"
        )
    if joins > JOINS_MAX:
        return f"'+' joins more than {JOINS_MAX} texts or lists; split the expression"
    return None


def _excess_of_patterns(places: list[tuple[Node, int]]) -> str | None:
    matches = [(node, depth) for node, depth in places if is_match(node)]
    if any(depth for _, depth in matches):
        return (
            f"'matches' cannot be used inside {_LOOPS}; use contains, startsWith or endsWith, "
            "or let the probe select what matches"
        )
    if len(matches) > MATCHES_MAX:
        return f"'matches' is used more than {MATCHES_MAX} times; split the expression"
    for node, _ in matches:
        pattern = node.parts[-1]
        if pattern.form is not Form.CONSTANT or len(pattern.name) > PATTERN_LENGTH_MAX:
            return (
                "the pattern of 'matches' must be written out, "
                f"in at most {PATTERN_LENGTH_MAX} characters"
            )
    return None


def _excess_of_functions(places: list[tuple[Node, int]]) -> str | None:
    calls = [(node, depth) for node, depth in places if node.form is Form.CALL]
    of_lists = [(node.name, depth) for node, depth in calls if _is_of_list(node)]
    if inside := [name for name, depth in of_lists if depth]:
        return (
            f"{inside[0]!r} of a list cannot be used inside {_LOOPS}; use it on what a loop gives"
        )
    if len(of_lists) > LIST_CALLS_MAX:
        return (
            f"functions of lists ({', '.join(sorted(_OF_LISTS))}) are used more than "
            f"{LIST_CALLS_MAX} times; split the expression"
        )
    if sum(depth > 0 and node.name in _CUSTOM for node, depth in calls) > CALLS_IN_LOOPS_MAX:
        return (
            f"inside {_LOOPS} functions are used more than {CALLS_IN_LOOPS_MAX} times; "
            "split the expression"
        )
    return None


def _excess_of_loops(places: list[tuple[Node, int]], scalars: frozenset[str]) -> str | None:
    inside = [node for node, depth in places if depth]
    # A list that is only looked into, or that CEL wrote to collect one more result, builds nothing.
    harmless = {id(node.parts[1]) for node in inside if _is_call(node, "@in") or _collects(node)}
    if any(_is_built(node) and id(node) not in harmless for node in inside):
        return f"inside {_LOOPS} a list or map may hold constants only"
    if sum(_is_heavy(node, scalars) for node in inside) > COMPARISONS_MAX:
        return (
            f"inside {_LOOPS} at most {COMPARISONS_MAX} comparisons may be made "
            "between values of unknown type; compare with constants, or say string(…) or double(…)"
        )
    if len(inside) > NODES_IN_LOOPS_MAX:
        return f"too much happens inside {_LOOPS}; split the expression"
    if max(depth for _, depth in places) > LOOPS_NESTED_MAX:
        return f"loops may stand inside each other at most {LOOPS_NESTED_MAX} deep"
    return None


def _is_call(node: Node, name: str) -> bool:
    return node.form is Form.CALL and node.name == name


def _is_of_list(node: Node) -> bool:
    """Whether ``node`` calls a function that looks at each item of a list (or may do so)."""
    return node.name in _OF_LISTS and bool(node.overloads & _LIST_OVERLOADS)


def _is_lookup(node: Node) -> bool:
    """Whether ``node`` looks for a value in a list or map that is not written out."""
    return _is_call(node, "@in") and node.parts[1].form is not Form.LIST


def _searches(node: Node) -> bool:
    """Whether ``node`` looks for one text, that is not written out, in another."""
    return _is_call(node, "contains") and not _is_constant(node.parts[-1])


def _is_join(node: Node) -> bool:
    return _is_call(node, "_+_") and bool(node.overloads & _JOINS) and not _collects(node)


def _collects(node: Node) -> bool:
    """Whether CEL itself wrote this node, to gather what `map` or `filter` gives."""
    return _is_call(node, "_+_") and node.parts[0].name.startswith("@")


def _is_built(node: Node) -> bool:
    return node.form in (Form.LIST, Form.MAP) and not _is_constant(node)


def _is_constant(node: Node) -> bool:
    return all(part.form in (Form.CONSTANT, Form.LIST, Form.MAP) for part in node.walk())


def _is_heavy(node: Node, scalars: frozenset[str]) -> bool:
    """Whether ``node`` may compare two large values with each other."""
    if node.form is not Form.CALL or node.name not in _COMPARISONS:
        return False
    return not any(_is_small(part, scalars) for part in node.parts)


def _is_small(node: Node, scalars: frozenset[str]) -> bool:
    match node.form:
        case Form.CALL:
            return node.name not in _PASSING
        case Form.NAME:
            return node.name in scalars
        case _:
            return _is_constant(node)
