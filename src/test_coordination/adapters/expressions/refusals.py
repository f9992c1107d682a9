"""The library's complaints about an expression, retold for those who wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from test_coordination.adapters.expressions.functions import FUNCTIONS as CUSTOM
from test_coordination.adapters.expressions.mixing import COMPARISONS, is_mixed
from test_coordination.domain.errors import Mark, Problem, nearest, suggestion
from test_coordination.domain.expressions import Expression, InvalidExpressionError, Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an expression is refused, and where in its text; line and column count from 1."""

    code: str
    text: str
    line: int = 1
    column: int = 1

    @classmethod
    def at(cls, offset: int, source: str, *, code: str, text: str) -> Refusal:
        """Return a refusal of what stands at ``offset`` of the expression ``source``."""
        before = source[:offset].split("\n")
        return cls(code=code, text=text, line=len(before), column=len(before[-1]) + 1)

    def about(self, expression: Expression) -> InvalidExpressionError:
        """Return the error to raise for ``expression``, placed as well as its mark allows."""
        mark, text = expression.mark, self.text
        if self.line == 1:
            mark = Mark(mark.file, mark.line, mark.column + self.column - 1)
        else:
            text = f"{text} (line {self.line}, column {self.column} of the expression)"
        return InvalidExpressionError(problem=Problem(mark=mark, code=self.code, text=text))


class RefusedError(Exception):
    """An expression is refused; never leaves this package."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


SIGNATURES: Final = {function.name: function.signatures for function in CUSTOM}
FUNCTIONS: Final = frozenset(
    {
        *SIGNATURES,
        "all",
        "bool",
        "bytes",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "exists",
        "exists_one",
        "filter",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "has",
        "int",
        "map",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
    }
)

_COMPLAINT: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNKNOWN: Final = re.compile(r"undeclared reference to '(.+)' \(in container '.*'\)")
_OVERLOAD: Final = re.compile(r"found no matching overload for '(.+)' applied to '\((.*)\)'")
_UNEXPECTED: Final = re.compile(
    r"Syntax error: (?:mismatched input|extraneous input|no viable alternative at input"
    r"|token recognition error at:) '(.*?)'?(?: expecting .*)?$"
)
_ABSENT: Final = re.compile(r"Syntax error: missing '?([^' ]+)'? at '.*'")
_TOO_DEEP: Final = ("recursion depth", "recursion limit")


def retell(complaint: str, text: str, names: Names) -> Refusal:
    """Return the first thing that ``complaint``, the library's, says about ``text``.

    A comparison of an integer with a fraction comes last: most often it would have been allowed
    (see `mixing`), had there been nothing else.
    """
    if any(words in complaint for words in _TOO_DEEP):
        return Refusal(
            code="expression.too_costly",
            text="the expression is nested too deeply, or a chain of one operator in it is too "
            "long (32 is the limit); split it",
        )
    complaints = sorted(_COMPLAINT.finditer(complaint), key=_is_of_mixing)
    if not complaints:
        return Refusal(code="expression.syntax", text=f"this is no CEL expression: {complaint}")
    found = complaints[0]
    place = _Place(text=text, line=max(int(found[1]), 1), column=max(int(found[2]), 1))
    said = _said(found)
    if unknown := _UNKNOWN.fullmatch(said):
        return place.unknown(unknown[1], names)
    if overload := _OVERLOAD.fullmatch(said):
        return place.refusal("expression.type", place.mismatch(overload[1], overload[2]))
    if "operand of a select operation" in said:
        found_type = TYPES.get(said.split("'")[1], "a value")
        return place.refusal("expression.type", f"{found_type} has no fields; only maps have")
    return place.refusal("expression.syntax", place.syntax(said))


def _said(complaint: re.Match[str]) -> str:
    return complaint[3].removesuffix(" [INVALID_ARGUMENT]")


def _is_of_mixing(complaint: re.Match[str]) -> bool:
    overload = _OVERLOAD.fullmatch(_said(complaint))
    return overload is not None and is_mixed(overload[1], overload[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the library points at; for an operator or a field, that is the sign itself."""

    text: str
    line: int
    column: int

    def refusal(self, code: str, text: str) -> Refusal:
        return Refusal(code=code, text=text, line=self.line, column=self.column)

    @property
    def before(self) -> str:
        return self._line[: self.column - 1]

    @property
    def after(self) -> str:
        return self._line[self.column - 1 :]

    @property
    def _line(self) -> str:
        return self.text.split("\n")[self.line - 1]

    def unknown(self, name: str, names: Names) -> Refusal:
        if self.after.startswith("(") and self.before.rstrip().endswith(name):
            start = replace(self, column=len(self.before.rstrip()) - len(name) + 1)
            return start.refusal("expression.unknown_name", _unknown_function(name))
        last = name.rpartition(".")[2]
        end = len(self.before) + len(last) + ("." in name)
        start = self
        if self._line[:end].endswith(name):
            start = replace(self, column=end - len(name) + 1)
        return start.refusal("expression.unknown_name", _unknown_name(name, names, start.after))

    def mismatch(self, function: str, types: str) -> str:
        kinds = [*_split_types(types)]
        sign = SIGNS.get(function, function)
        if sign == "?:" and kinds[0] != "bool":
            return f"what stands before '?' is {TYPES.get(kinds[0], 'no boolean')}; compare first"
        met = " and ".join(TYPES.get(kind, "a value of unknown type") for kind in kinds)
        what = f"{sign!r} does not work with {met or 'nothing'}"
        if sign in SIGNATURES:
            return f"{what}; it is {' or '.join(SIGNATURES[sign])}"
        is_trap = sorted(kinds) == ["double", "int"] and sign not in ("in", "[]")
        hint = self._unmixed(sign, kinds) if is_trap else _mismatch_hint(sign, kinds)
        return f"{what}; {hint}" if hint else what

    def _unmixed(self, sign: str, kinds: list[str]) -> str:
        """Return the hint for CEL's trap: it does not mix integers and fractions."""
        left = re.search(r"[\w.]+(?:\([^()]*\)\.[\w.]+)?$", self.before.rstrip())
        right = re.match(r"\s*([\w.]+(?!\w*\())", self.after.removeprefix(sign))
        sides = [left[0] if left else "…", right[1] if right else "…"]
        at = kinds.index("int")
        sides[at] = f"{sides[at]}.0" if sides[at].isdigit() else f"double({sides[at]})"
        return f"make both numbers fractions: {sides[0]} {sign} {sides[1]}"

    def syntax(self, said: str) -> str:
        if absent := _ABSENT.fullmatch(said):
            return f"{absent[1]!r} is missing here"
        unexpected = _UNEXPECTED.fullmatch(said)
        if unexpected is None:
            return said.removeprefix("Syntax error: ")
        token = unexpected[1].strip()
        if token == "<EOF>":  # noqa: S105  (a token of the grammar)
            return "the expression ends too early; a value was expected here"
        if token.startswith(("'", '"')):
            return "a string is not closed, or holds an escape that CEL does not know"
        word = self.before.split()[-1:] or [""]
        hint = WORDS.get(token) or WORDS.get(word[0]) or "an operator or the end was expected"
        return f"{token!r} was not expected here; {hint}"


def _unknown_function(name: str) -> str:
    if name in SIGNATURES:
        return f"{name!r} takes something else; it is {' or '.join(SIGNATURES[name])}"
    if name in FUNCTIONS:
        return f"the function {name!r} does not take what it is given here"
    return f"no function is named {name!r}; {suggestion(name, FUNCTIONS, most=30)}"


def _unknown_name(name: str, names: Names, rest: str) -> str:
    known = frozenset(names)
    for other in known:
        if "-" in other and rest.startswith(other):
            quoted = ".".join(f"`{part}`" if "-" in part else part for part in other.split("."))
            return f"{name!r} followed by '-' is a subtraction; write {quoted}"
    if below := {other[len(name) + 1 :] for other in known if other.startswith(f"{name}.")}:
        return f"{name!r} is a group of values; name one of them: {', '.join(sorted(below)[:12])}"
    if near := _nearest(name, known):
        return f"no value is named {name!r}; did you mean {near!r}?"
    return f"no value is named {name!r}; {suggestion('', known)}"


def _nearest(name: str, known: frozenset[str]) -> str | None:
    """Return the name that is like ``name`` part by part, or that ends in it; or None.

    To compare the names as a whole would take a fraction of a second where there are thousands.
    """
    if complete := [other for other in known if other.endswith(f".{name}")]:
        return min(complete)
    candidates = _taken_apart(known)
    for place, part in enumerate(name.split(".")):
        parts = {other[place] for other in candidates if len(other) > place}
        near = part if part in parts else nearest(part, parts)
        if near is None:
            whole = (other for other in candidates if len(other) == place > 0)
            return next(map(".".join, whole), None)
        candidates = [other for other in candidates if other[place : place + 1] == [near]]
    return ".".join(candidates[0])


@lru_cache(2)
def _taken_apart(known: frozenset[str]) -> list[list[str]]:
    """Return the parts of each name, in order; a scenario's mistakes all come with the same."""
    return [name.split(".") for name in sorted(known)]


def _split_types(types: str) -> list[str]:
    while (flat := re.sub(r"\([^()]*\)", "", types)) != types:
        types = flat
    return types.split(", ") if types else []


def _mismatch_hint(sign: str, kinds: list[str]) -> str:
    if sign in ("&&", "||", "!", "?:") and kinds[0:1] != ["bool"]:
        return "compare first, such as a > 0"
    if sign == "?:":
        return "both results must be of one type"
    if "google.protobuf.Duration" in kinds:
        return "a duration is written duration('5s')"
    if "google.protobuf.Timestamp" in kinds:
        return "a timestamp is written timestamp('2026-01-31T12:00:00Z')"
    if len(kinds) > 1 and sign != "[]":
        return "both sides must be of one type"
    return ""


SIGNS: Final = {
    **{f"_{sign}_": sign for sign in ("+", "-", "*", "/", "%", "&&", "||", *COMPARISONS)},
    "_?_:_": "?:",
    "_[_]": "[]",
    "!_": "!",
    "-_": "-",
    "@in": "in",
}
WORDS: Final = {
    "=": "to compare, write ==",
    "&": "write && for 'and'",
    "and": "write && for 'and'",
    "|": "write || for 'or'",
    "or": "write || for 'or'",
    "not": "write ! for 'not'",
    "is": "to compare, write ==",
}
TYPES: Final = {
    "bool": "a boolean",
    "int": "an integer",
    "uint": "an unsigned integer",
    "double": "a number with a fraction",
    "string": "a text",
    "bytes": "bytes",
    "google.protobuf.Duration": "a duration",
    "google.protobuf.Timestamp": "a timestamp",
    "list": "a list",
    "map": "a map",
    "null": "null",
    "type": "a type",
}
