"""Makes code of an expression's text: checked by CEL, and by what is asked of it beyond that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from test_coordination.adapters.expressions.conversion import NOUNS, Limits, is_fit
from test_coordination.adapters.expressions.costs import excess, limits
from test_coordination.adapters.expressions.functions import FUNCTIONS
from test_coordination.adapters.expressions.mixing import unmixed
from test_coordination.adapters.expressions.presence import asked_of_a_name
from test_coordination.adapters.expressions.refusals import Refusal, RefusedError, retell
from test_coordination.adapters.expressions.syntax import Form, Node, Syntax, read_syntax
from test_coordination.adapters.expressions.tokens import Sort, tokens
from test_coordination.adapters.expressions.windows import Windowed, replace_windows
from test_coordination.adapters.expressions.zones import bad_zone
from test_coordination.domain.expressions import Kind, Names

ENVIRONMENTS_KEPT: Final = 256
PATHS_KEPT: Final = 1_024
PARTS_MAX: Final = 32
"""How long a dotted path may be; CEL parses no longer ones."""

# Each comparison, and how it reads from the other side.
MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

_TYPES: Final = {
    Kind.BOOLEAN: cel.Type.BOOL,
    Kind.INTEGER: cel.Type.INT,
    Kind.NUMBER: cel.Type.DOUBLE,
    Kind.STRING: cel.Type.STRING,
    Kind.DURATION: cel.Type.DURATION,
    Kind.TIMESTAMP: cel.Type.TIMESTAMP,
    Kind.LIST: cel.Type("list<dyn>"),
    Kind.MAP: cel.Type("map<string, dyn>"),
    Kind.ANY: cel.Type.DYN,
}
_KINDS: Final = {
    "BOOL": Kind.BOOLEAN,
    "INT": Kind.INTEGER,
    "UINT": Kind.INTEGER,
    "DOUBLE": Kind.NUMBER,
    "STRING": Kind.STRING,
    "DURATION": Kind.DURATION,
    "TIMESTAMP": Kind.TIMESTAMP,
    "LIST": Kind.LIST,
    "MAP": Kind.MAP,
}
_DECLARATIONS: Final = [function.declaration() for function in FUNCTIONS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A compiled expression without its place, so that equal texts share it.

    ``paths`` are the names with the fields that are asked of them; ``spelled`` has the names that
    go by another one in CEL; ``sides`` are those of the comparison at the root, observed one first.
    """

    program: Any
    names: Mapping[str, Kind]
    spelled: Mapping[str, str]
    paths: frozenset[str]
    limits: Limits
    sides: tuple[Any, str, Any] | None


def code_of(text: str, names: Names, expected: Kind) -> Code:
    """Return the code of ``text``.

    Raises:
        RefusedError: see `CelExpressions.compile`.
    """
    _check_unicode(text)
    windowed = replace_windows(text, names)
    spoken = _spoken(windowed, names)
    _check_presence(text, windowed, spoken)
    environment = _environment(frozenset(spoken.items()))
    try:
        program = _checked(environment, windowed.text)
        syntax = read_syntax(program.serialize())
    except RuntimeError as error:
        raise RefusedError(retell(str(error), text, names)) from None
    _check_messages(syntax.root)
    scalars = _scalars(spoken)
    if (why := excess(syntax.root, scalars=scalars)) is not None:
        raise RefusedError(Refusal(code="expression.too_costly", text=why))
    if (why := bad_zone(syntax.root)) is not None:
        raise RefusedError(Refusal(code="expression.bad_time_zone", text=why))
    _check_type(program.return_type().name(), expected)
    return Code(
        program=program,
        names={windowed.named(name): spoken[name] for name in _names(syntax.root, spoken)},
        spelled={named: name for name, named in windowed.canonical.items()},
        paths=frozenset(map(windowed.named, filter(None, map(_path, syntax.root.walk())))),
        limits=limits(syntax.root, scalars=scalars),
        sides=_sides(environment, syntax, spoken),
    )


@lru_cache(ENVIRONMENTS_KEPT)
def _environment(spoken: frozenset[tuple[str, Kind]]) -> Any:
    """Return what expressions that speak of these names are compiled in.

    Only these are declared, as declaring thousands takes long. What takes longest is done when
    the first expression is compiled, and each program keeps its environment, which is large.
    """
    variables = {name: _TYPES[kind] for name, kind in spoken}
    return cel.NewEnv(variables=variables, functions=_DECLARATIONS)


def _spoken(windowed: Windowed, names: Names) -> Names:
    """Return the names that the expression may speak of, windows among them."""
    return {
        path: kind
        for path in dotted(windowed.text)
        if (kind := windowed.kinds.get(path) or names.get(path)) is not None
    }


@lru_cache(PATHS_KEPT)
def dotted(text: str) -> tuple[str, ...]:
    """Return each dotted path in ``text``, and each that it begins with, once."""
    found: list[str] = []
    path, before, parts = "", "", 0
    for token in tokens(text):
        if token.sort is Sort.WORD:
            word = token.text.strip("`")
            is_inner = bool(path) and before == "."
            parts = parts + 1 if is_inner else 1
            if parts <= PARTS_MAX:
                path = f"{path}.{word}" if is_inner else word
                found.append(path)
        elif token.text != ".":
            path = ""
        before = token.text
    return tuple(dict.fromkeys(found))


@lru_cache(PATHS_KEPT)
def has_methods(text: str) -> bool:
    """Tell whether a function is called on a value, as a window is; others need no more names."""
    found = tokens(text)
    return any(
        dot.text == "." and name.sort is Sort.WORD and opening.text == "("
        for dot, name, opening in zip(found, found[1:], found[2:], strict=False)
    )


def _checked(environment: Any, text: str) -> Any:
    try:
        return environment.compile(text)
    except RuntimeError as error:
        if (other := unmixed(str(error), text)) is None:
            raise
        try:
            return environment.compile(other)
        except RuntimeError:
            raise error from None


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        said = "a character that is no valid Unicode; remove it"
        refusal = Refusal.at(error.start, text, code="expression.syntax", text=said)
        raise RefusedError(refusal) from None


def _check_presence(text: str, windowed: Windowed, names: Names) -> None:
    if (asked := asked_of_a_name(windowed.text, names)) is None:
        return
    token, name = asked
    said = (
        f"'has' asks whether a map has a key, but {windowed.named(name)!r} is a value by itself; "
        "leave 'has' out: what hangs on a missing value is neither true nor false"
    )
    raise RefusedError(Refusal.at(token.start, text, code="expression.type", text=said))


def _check_messages(root: Node) -> None:
    """Refuse protobuf's messages; those that the library always has would pass for maps."""
    for node in root.walk():
        if node.form is Form.MAP and node.name:
            text = f"{node.name!r} cannot be made here; write a map, such as {{'a': 1}}"
            raise RefusedError(Refusal(code="expression.unknown_name", text=text))


def _check_type(type_name: str, expected: Kind) -> None:
    """Refuse a result that is known to be of the wrong type."""
    name = type_name.partition("<")[0]
    kind = _KINDS.get(name)
    dynamic = name == "DYN" or (name == "NULL" and expected is Kind.ANY)
    if dynamic or (kind is not None and is_fit(kind, expected)):
        return
    found = NOUNS[kind] if kind else {"NULL": "null", "BYTES": "bytes"}.get(name, "a type")
    if expected is Kind.ANY:
        text = f"the expression gives {found}, which no value may be; turn it into a text first"
        raise RefusedError(Refusal(code="expression.type", text=text))
    hint = "; turn it into an integer with int(…)" if expected is Kind.INTEGER else ""
    if expected is Kind.BOOLEAN and kind is not None:
        hint = "; compare it with something, such as == or <"
    text = f"the expression gives {found}, but {NOUNS[expected]} was expected{hint}"
    raise RefusedError(Refusal(code="expression.type", text=text))


def _names(root: Node, declared: Names) -> Iterator[str]:
    """Yield the declared names below ``root``; others are variables of loops."""
    for node in root.walk():
        if node.form is Form.NAME and node.name.removeprefix(".") in declared:
            yield node.name.removeprefix(".")


def _path(node: Node) -> str | None:
    """Return ``node`` as it was written, if it is a field (of a field …) of a name."""
    fields = []
    while node.form is Form.FIELD:
        fields.append(node.name)
        node = node.parts[0]
    if node.form is not Form.NAME or not fields:
        return None
    return ".".join([node.name, *reversed(fields)])


def _scalars(names: Names) -> frozenset[str]:
    grown = (Kind.LIST, Kind.MAP, Kind.ANY)
    return frozenset(name for name, kind in names.items() if kind not in grown)


def _sides(environment: Any, syntax: Syntax, declared: Names) -> tuple[Any, str, Any] | None:
    relation = syntax.root.name.strip("_")
    if syntax.root.form is not Form.CALL or relation not in MIRRORED:
        return None
    observed, limit = syntax.root.parts
    if not any(_names(observed, declared)) and any(_names(limit, declared)):
        observed, relation, limit = limit, MIRRORED[relation], observed
    left, right = (environment.deserialize(syntax.serialized(side)) for side in (observed, limit))
    return left, relation, right
