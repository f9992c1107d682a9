"""Compiles CEL expressions against declared names, and evaluates and measures them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from test_coordination.adapters.expressions.compiling import Code, code_of, dotted, has_methods
from test_coordination.adapters.expressions.conversion import (
    Encoder,
    UnfitValueError,
    decode,
)
from test_coordination.adapters.expressions.refusals import Refusal, RefusedError
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

PROGRAMS_KEPT: Final = 1_024
REFUSALS_KEPT: Final = 64

_ERROR: Final = cel.Type.ERROR
_NO_VALUE: Final = "UNKNOWN: No value with name "
_NO_KEY: Final = re.compile(r'NOT_FOUND: Key not found in map : "(.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CelProgram:
    """An expression that is ready to be evaluated, any number of times and from any thread."""

    expression: Expression
    expected: Kind
    code: Code

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
        self._last: _Scope | None = None
        self._code = lru_cache(PROGRAMS_KEPT)(_compiled)
        self._refusal = lru_cache(REFUSALS_KEPT)(_compiled)

    def compile(self, expression: Expression, names: Names, *, expected: Kind) -> CelProgram:
        """Return ``expression`` ready to be evaluated, given that ``names`` will be known.

        Below a name that is a map or of any kind every path is allowed; elsewhere only the names
        given. An integer is a number, too.

        Raises:
            InvalidExpressionError: it is no CEL, uses an unknown name, mixes types, does not
                give the ``expected`` kind, or could take too long.
        """
        text = expression.text
        scope = self._scoped(names) if has_methods(text) else _narrowed(text, names)
        code = self._code(text, scope, expected)
        if isinstance(code, Refusal) and code.code == "expression.unknown_name":
            # It is told with all the names that could have been meant.
            code = self._refusal(text, self._scoped(names), expected)
        if isinstance(code, Refusal):
            raise code.about(expression)
        return CelProgram(expression=expression, expected=expected, code=code)

    def _scoped(self, names: Names) -> _Scope:
        """Return ``names`` as a key; a scenario's checks all come with the same thousands."""
        if self._last is None or self._last.names is not names:
            self._last = _Scope(names=names, items=frozenset(names.items()))
        return self._last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Names, and what they are told apart from others by."""

    names: Names = field(compare=False)
    items: frozenset[tuple[str, Kind]]


def _narrowed(text: str, names: Names) -> _Scope:
    """Return what of ``names`` counts for ``text``, so that other scenarios share its code."""
    counts = {path: kind for path in dotted(text) if (kind := names.get(path)) is not None}
    return _Scope(names=counts, items=frozenset(counts.items()))


def _compiled(text: str, scope: _Scope, expected: Kind) -> Code | Refusal:
    try:
        return code_of(text, scope.names, expected)
    except RefusedError as error:
        return error.refusal


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
