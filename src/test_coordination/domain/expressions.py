"""Expressions in a document: finding `${{ … }}` in text, what names mean, and how one can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from test_coordination.domain.errors import CoordinationError, Mark, Problem
from test_coordination.domain.values import Value, format_duration

EXPRESSION_LENGTH_MAX: Final = 4096

Fact: TypeAlias = "Value | datetime | tuple[Fact, ...] | Mapping[str, Fact]"
"""What a name may stand for while an expression is evaluated; datetimes are aware."""


class Kind(StrEnum):
    """What is known about a value before there is one."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    DURATION = "duration"
    TIMESTAMP = "timestamp"
    LIST = "list"
    MAP = "map"
    ANY = "any"


Names: TypeAlias = Mapping[str, Kind]
"""The dotted names that an expression may use; below a map or an any, every path is allowed."""


@dataclass(eq=False, kw_only=True)
class InvalidExpressionError(CoordinationError):
    """An expression cannot be used; the problem's own code says why."""

    code: ClassVar[str] = "expression.invalid"

    problem: Problem

    def __str__(self) -> str:
        return str(self.problem)


@dataclass(eq=False, kw_only=True)
class MissingValueError(CoordinationError):
    """An expression hangs on names that have no value (yet): it is neither true nor false."""

    code: ClassVar[str] = "expression.missing_value"

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"no value is known for {', '.join(map(repr, self.names))}"


@dataclass(eq=False, kw_only=True)
class ExpressionFailedError(CoordinationError):
    """A valid expression broke off on the values that it met, such as a division by zero."""

    code: ClassVar[str] = "expression.failed"

    mark: Mark
    expression: str
    cause: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.expression!r} could not be evaluated: {self.cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One CEL expression; ``mark`` is the place of its first character.

    Raises:
        InvalidExpressionError: the text is empty or longer than ``EXPRESSION_LENGTH_MAX``.
    """

    text: str
    mark: Mark

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise _refused(
                self.mark, "expression.syntax", "the expression is empty; write one, such as 1 < 2"
            )
        if len(self.text) > EXPRESSION_LENGTH_MAX:
            text = (
                f"an expression of {len(self.text)} characters; at most {EXPRESSION_LENGTH_MAX} "
                "are allowed: split it into several checks"
            )
            raise _refused(self.mark, "expression.too_long", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolation:
    """Text with expressions inside it, each to be rendered by `as_text`; no part is empty."""

    parts: tuple[str | Expression, ...]
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The two sides of a comparison; ``observed`` is None if it could not be seen."""

    observed: Value
    relation: str
    limit: Value


def parse_text(text: str, mark: Mark) -> str | Expression | Interpolation:
    """Return ``text`` as it is, as one expression, or as text with expressions inside it.

    Blanks around a single expression are dropped, so that it keeps its type. ``$${{`` stands
    for a literal ``${{``. Places are counted from ``mark``, that of the first character; an
    expression that does not stand on the text's first line gets the place of the text.

    Raises:
        InvalidExpressionError: an expression is empty, too long, or is not closed by ``}}``.
    """
    if "${{" not in text:
        return text
    newline = text.find("\n")
    line_end = len(text) if newline < 0 else newline
    parts = _split(_Source(text=text, mark=mark, line_end=line_end))
    solid = [part for part in parts if isinstance(part, Expression) or part.strip()]
    if len(solid) == 1 and isinstance(solid[0], Expression):
        return solid[0]
    if all(isinstance(part, str) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    return Interpolation(parts=tuple(parts), mark=mark)


def as_text(value: Value) -> str:
    """Return ``value`` as it reads inside a longer text; lists and maps as JSON."""
    match value:
        case str():
            return value
        case timedelta():
            return format_duration(value)
        case _:
            return json.dumps(value, default=_plain, ensure_ascii=False)


def tokens(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """Yield what an expression is made of: whole texts and comments, words, and single signs."""
    return _TOKEN.finditer(text, start)


_OPEN: Final = re.compile(r"\$?\$\{\{")

# What the scanner steps over inside an expression: whole strings (raw ones have no escapes),
# comments up to the end of the line or of the expression, and runs of no interest to it.
_TOKEN: Final = re.compile(
    r'''
      [bB]?[rR][bB]? (?: """ [\s\S]*? """ | \'\'\' [\s\S]*? \'\'\' | "[^"\n]*" | '[^'\n]*' )
    | """ (?: [^\\] | \\[\s\S] )*? """
    | \'\'\' (?: [^\\] | \\[\s\S] )*? \'\'\'
    | " (?: [^"\\\n] | \\. )* "
    | ' (?: [^'\\\n] | \\. )* '
    | // (?: (?!}}) [^\n] )*
    | [A-Za-z0-9_]+
    | [\s\S]
    ''',
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A text and its place; what follows the first line cannot be placed any closer."""

    text: str
    mark: Mark
    line_end: int

    def at(self, offset: int) -> Mark:
        if offset > self.line_end:
            return self.mark
        return replace(self.mark, column=self.mark.column + offset)


def _split(source: _Source) -> list[str | Expression]:
    text = source.text
    parts: list[str | Expression] = []
    literal, position = "", 0
    while found := _OPEN.search(text, position):
        literal += text[position : found.start()]
        position = found.end()
        if found[0] == "$${{":
            literal += "${{"
            continue
        end = _end(source, position)
        if literal:
            parts.append(literal)
            literal = ""
        inner = text[position:end]
        start = position + len(inner) - len(inner.lstrip())
        parts.append(Expression(text=inner.strip(), mark=source.at(start)))
        position = end + 2
    literal += text[position:]
    return [*parts, literal] if literal else parts


def _end(source: _Source, start: int) -> int:
    """Return where the ``}}`` stands that closes the expression whose text begins at ``start``."""
    depth = 0
    for token in tokens(source.text, start):
        match token[0]:
            case "{":
                depth += 1
            case "}" if depth > 0:
                depth -= 1
            case "}" if source.text.startswith("}}", token.start()):
                return token.start()
            case '"' | "'":
                text = "a string in the expression is not closed; end it with the same quote"
                raise _refused(source.at(token.start()), "expression.syntax", text)
            case _:
                pass
    text = "'${{' is not closed; end the expression with '}}', or write '$${{' if none is meant"
    raise _refused(source.at(start - 3), "expression.syntax", text)


def _refused(mark: Mark, code: str, text: str) -> InvalidExpressionError:
    return InvalidExpressionError(problem=Problem(mark=mark, code=code, text=text))


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return format_duration(value)
    assert isinstance(value, Mapping), f"no value of the domain: {value!r}"
    return dict(value)
