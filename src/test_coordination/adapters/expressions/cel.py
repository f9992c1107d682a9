"""Compiles CEL expressions against declared names, and evaluates and measures them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from test_coordination.adapters.expressions.conversion import (
    NOUNS,
    Encoder,
    Limits,
    UnfitValueError,
    decode,
    is_fit,
)
from test_coordination.adapters.expressions.costs import excess, limits
from test_coordination.adapters.expressions.functions import FUNCTIONS
from test_coordination.adapters.expressions.mixing import unmixed
from test_coordination.adapters.expressions.refusals import Refusal, retell
from test_coordination.adapters.expressions.syntax import Form, Node, Syntax, read_syntax
from test_coordination.adapters.expressions.windows import replace_windows
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    Fact,
    Kind,
    Measure,
    MissingValueError,
    Names,
)
from test_coordination.domain.values import Value

ENVIRONMENTS_KEPT: Final = 64
PROGRAMS_KEPT: Final = 4_096

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
_ERROR: Final = cel.Type.ERROR
_NO_VALUE: Final = "UNKNOWN: No value with name "
_NO_KEY: Final = re.compile(r'NOT_FOUND: Key not found in map : "(.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CelProgram:
    """An expression that is ready to be evaluated, any number of times and from any thread."""

    expression: Expression
    expected: Kind
    code: _Code

    @property
    def names(self) -> frozenset[str]:
        """The declared names that the expression refers to, whatever it short-circuits."""
        return frozenset(self.code.names)

    def evaluate(self, values: Mapping[str, Fact]) -> Value:
        """Return the result for ``values``, which are keyed by the names declared at `compile`.

        A name that is absent, or None though its kind is known, has no value; nor has a key that
        a map lacks. It matters only if CEL cannot decide without: ``true || missing`` is true.

        Raises:
            MissingValueError: the result hangs on a value that is missing.
            ExpressionFailedError: the expression broke off, or a value is too large for it.
        """
        return self._result(self.code.program, self._bound(values), expected=self.expected)

    def measure(self, values: Mapping[str, Fact]) -> Measure | None:
        """Return the sides of the comparison at the root; None if there is another operator.

        What varies is the observed side; if both do, the left one. A side that has no value, or
        cannot be computed, is None.

        Raises:
            ExpressionFailedError: a value is too large for the expression.
        """
        if self.code.sides is None:
            return None
        data = self._bound(values)
        observed, relation, limit = self.code.sides
        return Measure(
            observed=self._side(observed, data), relation=relation, limit=self._side(limit, data)
        )

    def _side(self, program: Any, data: Mapping[str, object]) -> Value:
        try:
            return self._result(program, data, expected=Kind.ANY)
        except (MissingValueError, ExpressionFailedError):
            return None

    def _bound(self, values: Mapping[str, Fact]) -> dict[str, object]:
        data: dict[str, object] = {}
        encoder = Encoder(self.code.limits)
        for name, kind in self.code.names.items():
            value = values.get(name)
            if value is None and (kind is not Kind.ANY or name not in values):
                continue
            try:
                spelled = self.code.spelled.get(name, name)
                data[spelled] = encoder.encode(value, kind=kind)
            except UnfitValueError as error:
                raise self._failed(f"{name!r} does not fit: {error}") from error
        return data

    def _result(self, program: Any, data: Mapping[str, object], *, expected: Kind) -> Value:
        # Every failure of the library is a RuntimeError, or a value of the type ERROR.
        try:
            result = program.eval(data=data)
            value = result.value()
            broken = result.type() == _ERROR
        except RuntimeError as error:
            raise self._failed(_cause(str(error))) from error
        if broken:
            raise self._breakage(value, data)
        try:
            return decode(value, expected=expected)
        except UnfitValueError as error:
            raise self._failed(str(error)) from error

    def _breakage(
        self, said: str, data: Mapping[str, object]
    ) -> MissingValueError | ExpressionFailedError:
        if said.startswith(_NO_VALUE):
            spelled = self.code.spelled
            lost = [name for name in self.code.names if spelled.get(name, name) not in data]
            return MissingValueError(names=tuple(sorted(lost)))
        if absent := _NO_KEY.fullmatch(said):
            key = absent[1]
            paths = {path for path in self.code.paths if path.rpartition(".")[2] == key}
            return MissingValueError(names=tuple(sorted(paths)) or (key,))
        return self._failed(_cause(said))

    def _failed(self, cause: str) -> ExpressionFailedError:
        return ExpressionFailedError(
            mark=self.expression.mark, expression=self.expression.text, cause=cause
        )


class CelExpressions:
    """The language of expressions: CEL without its extensions, with windows and functions of ours.

    Hostile text cannot hang or blow up the process: length, depth, loops and all that can grow in
    a loop are bounded when it is compiled (see `costs`), the turns of its loops and the size of
    what it is given when it is evaluated. The worst that is known takes less than a second and
    256 MiB; evaluating holds the interpreter, on the thread that asked, and many such expressions
    at once are not guarded against.
    """

    def __init__(self) -> None:
        self._environment = lru_cache(ENVIRONMENTS_KEPT)(_environment)
        self._last: tuple[Names, frozenset[tuple[str, Kind]]] | None = None
        self._code = lru_cache(PROGRAMS_KEPT)(self._compiled)

    def compile(self, expression: Expression, names: Names, *, expected: Kind) -> CelProgram:
        """Return ``expression`` ready to be evaluated, given that ``names`` will be known.

        Below a name that is a map or of any kind every path is allowed; elsewhere only the names
        given. An integer is a number, too.

        Raises:
            InvalidExpressionError: it is no CEL, uses an unknown name, mixes types, does not
                give the ``expected`` kind, or could take too long.
        """
        code = self._code(expression.text, self._declared(names), expected)
        if isinstance(code, Refusal):
            raise code.about(expression)
        return CelProgram(expression=expression, expected=expected, code=code)

    def _declared(self, names: Names) -> frozenset[tuple[str, Kind]]:
        """Return ``names`` as a key; a scenario's checks all come with the same thousands."""
        if self._last is None or self._last[0] is not names:
            self._last = (names, frozenset(names.items()))
        return self._last[1]

    def _compiled(
        self, text: str, declared: frozenset[tuple[str, Kind]], expected: Kind
    ) -> _Code | Refusal:
        names = dict(declared)
        if (bad := _not_unicode(text)) is not None:
            return bad
        windowed = replace_windows(text, names)
        if isinstance(windowed, Refusal):
            return windowed
        known = {**names, **windowed.kinds}
        environment = self._environment(declared.union(windowed.kinds.items()))
        try:
            program = _checked(environment, windowed.text)
            syntax = read_syntax(program.serialize())
        except RuntimeError as error:
            return retell(str(error), text, names)
        scalars = _scalars(known)
        if (why := excess(syntax.root, scalars=scalars)) is not None:
            return Refusal(code="expression.too_costly", text=why)
        if (unfit := _unfit(program.return_type().name(), expected)) is not None:
            return unfit
        return _Code(
            program=program,
            names={windowed.named(name): known[name] for name in _names(syntax.root, known)},
            spelled={named: name for name, named in windowed.canonical.items()},
            paths=frozenset(map(windowed.named, filter(None, map(_path, syntax.root.walk())))),
            limits=limits(syntax.root, scalars=scalars),
            sides=_sides(environment, syntax, known),
        )


def _environment(declared: frozenset[tuple[str, Kind]]) -> Any:
    return cel.NewEnv(
        variables={name: _TYPES[kind] for name, kind in declared}, functions=_DECLARATIONS
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


def _not_unicode(text: str) -> Refusal | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        said = "a character that is no valid Unicode; remove it"
        return Refusal(code="expression.syntax", text=said, column=error.start + 1)
    return None


def _unfit(type_name: str, expected: Kind) -> Refusal | None:
    """Return the refusal of a result that is known to be of the wrong type."""
    name = type_name.partition("<")[0]
    kind = _KINDS.get(name)
    dynamic = name == "DYN" or (name == "NULL" and expected is Kind.ANY)
    if dynamic or (kind is not None and is_fit(kind, expected)):
        return None
    found = NOUNS[kind] if kind else {"NULL": "null", "BYTES": "bytes"}.get(name, "a type")
    if expected is Kind.ANY:
        text = f"the expression gives {found}, which no value may be; turn it into a text first"
        return Refusal(code="expression.type", text=text)
    hint = "; turn it into an integer with int(…)" if expected is Kind.INTEGER else ""
    if expected is Kind.BOOLEAN and kind is not None:
        hint = "; compare it with something, such as == or <"
    text = f"the expression gives {found}, but {NOUNS[expected]} was expected{hint}"
    return Refusal(code="expression.type", text=text)


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


_CAUSES: Final = {
    "Iteration budget exceeded": "its loops take more than 10,000 turns",
    "divide by zero": "it divides by zero",
    "modulus by zero": "it divides by zero",
    "Applying SELECT to non-message type": "a field is asked of a value that is no map",
    "int too big to convert": "the result is too large for an integer",
    "overflow in fsum": "the sum is too large",
    "construction from null": "a text holds characters that are no valid Unicode",
    "_(int64, double)": "it mixes an integer with a fraction; write double(…) around the integer",
    "_(double, int64)": "it mixes an integer with a fraction; write double(…) around the integer",
}


def _cause(said: str) -> str:
    """Return what the library said, in words where we know better ones."""
    for words, cause in _CAUSES.items():
        if words in said:
            return cause
    return re.sub(r"^[A-Z_]+: | \[[A-Z_]+\]$", "", said)
