"""Texts of a document that may hold expressions, checked against the names they may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NoReturn

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.words import shown
from test_coordination.application.ports import Expressions
from test_coordination.domain.errors import Mark, Problem
from test_coordination.domain.expressions import (
    Expression,
    InvalidExpressionError,
    Kind,
    Names,
    parse_text,
)
from test_coordination.domain.names import word
from test_coordination.domain.steps import Moment, Text
from test_coordination.domain.values import DURATION_EXPECTED, parse_duration

EXPRESSIONS_MAX: Final = 3_000
"""How many expressions a document may hold, counting what aliases repeat."""
CHARACTERS_MAX: Final = 96 * 1024
"""How long all the expressions of a document may be together."""

# Names with a dash, as people write them at first; strings are stepped over.
_GROUP: Final = r"(?<![\w.])(?P<path>(?:services|links|snapshots|steps)(?:\.\w+)*)"
_STRING: Final = r"""|"[^"\n]*"|'[^'\n]*'"""
_SUBTRACTED: Final = re.compile(rf"{_GROUP}\.(?P<name>\w+(?:-\w+)+){_STRING}")
_EACH: Final = re.compile(rf"(?<![\w.])(?P<name>each)\.{_STRING}")
_LIVE: Final = re.compile(rf"(?<![\w.])(?P<name>probes|steps|faults|snapshots)\.{_STRING}")
_QUOTED: Final = re.compile(
    rf"""{_GROUP}(?:\.`|\[(?P<quote>["']))(?P<name>\w+(?:-\w+)+)(?:`|(?P=quote)\]){_STRING}"""
)


class Texts:
    """Reads texts at places of one document, and notes there what is wrong with them.

    Expressions are checked against the names that are given, which hold those of secrets.
    """

    def __init__(
        self, document: Document, expressions: Expressions, *, secrets: Names | None = None
    ) -> None:
        """Read texts in which the names of ``secrets`` stand for values that nobody may see."""
        self._document = document
        self._expressions = expressions
        self._secrets = frozenset(secrets or ())
        self._expressions_left = EXPRESSIONS_MAX
        self._characters_left = CHARACTERS_MAX

    def text(
        self, location: Location, text: str, names: Names, *, kind: Kind, discreet: bool = False
    ) -> Text:
        """Return ``text``, found at ``location``; one that is an expression must be of ``kind``.

        Where the text is ``discreet`` it may hold a secret, alone or inside it.
        """
        opened = text.count("${{")
        if opened > self._expressions_left or (opened and len(text) > self._characters_left):
            self._refuse_many(self._document.mark(location))
        try:
            found = parse_text(text, self._document.mark(location))
        except InvalidExpressionError as error:
            self._document.add(error.problem)
            return text
        parts = () if isinstance(found, str | Expression) else found.parts
        for part in (found, *parts):
            if isinstance(part, Expression) and not (discreet and part.text in self._secrets):
                self._check(part, names, kind if part is found else Kind.ANY, live=False)
        return found

    def condition(self, location: Location, text: str, names: Names) -> Expression | None:
        """Return the condition that ``text`` states; None if it is none at all."""
        found = self.statement(location, text)
        if found is not None:
            self.judge(found, names)
        return found

    def judge(self, condition: Expression, names: Names) -> None:
        """Check a condition against the names that it may use; see `statement`."""
        self._check(condition, names, Kind.BOOLEAN)

    def statement(self, location: Location, text: str) -> Expression | None:
        """Return the condition that ``text`` states, to be judged once all names are known."""
        if text.lstrip().startswith("${{"):
            said = "a condition is an expression already; leave out '${{' and '}}'"
            self._document.refuse(location, "bad_condition", said)
            return None
        mark = self._document.mark(location)
        indent = len(text) - len(text.lstrip())
        try:
            return Expression(text=text.strip(), mark=replace(mark, column=mark.column + indent))
        except InvalidExpressionError as error:
            self._document.add(error.problem)
            return None

    def moment(self, location: Location, text: str, names: Names) -> Moment | None:
        """Return the duration that ``text`` is or will be; None if it cannot be one."""
        found = self.text(location, text, names, kind=Kind.DURATION)
        if isinstance(found, Expression):
            return found
        value = parse_duration(found) if isinstance(found, str) else None
        if value is None and "${{" in text and "}}" in text:
            said = (
                f"{location[-1]!r} must be {DURATION_EXPECTED}, or one expression and nothing "
                f"around it, not {shown(text)}"
            )
            self._document.refuse(location, "bad_duration", said)
        return value

    def values(
        self, location: Location, names: Names, *, discreet: bool = False
    ) -> tuple[object, frozenset[Location]]:
        """Return what stands at ``location`` with expressions, and the paths to those.

        Where the values are ``discreet`` they may hold secrets.
        """
        return self._values(location, (), names, discreet=discreet)

    def _values(
        self, location: Location, path: Location, names: Names, *, discreet: bool
    ) -> tuple[object, frozenset[Location]]:
        found = self._document.at(location)
        if isinstance(found, str):
            value = self.text(location, found, names, kind=Kind.ANY, discreet=discreet)
            return value, frozenset() if isinstance(value, str) else frozenset({path})
        if not isinstance(found, Mapping | list):
            return found, frozenset()
        keys = list(found) if isinstance(found, Mapping) else list(range(len(found)))
        inner = {
            key: self._values((*location, key), (*path, key), names, discreet=discreet)
            for key in keys
        }
        unknown = frozenset().union(*(paths for _, paths in inner.values()))
        if isinstance(found, Mapping):
            return {key: value for key, (value, _) in inner.items()}, unknown
        return tuple(value for value, _ in inner.values()), unknown

    def _check(
        self, expression: Expression, names: Names, kind: Kind, *, live: bool = True
    ) -> None:
        self._expressions_left -= 1
        self._characters_left -= len(expression.text)
        if self._expressions_left < 0 or self._characters_left < 0:
            self._refuse_many(expression.mark)
        if (problem := _dashed(expression, _QUOTED)) is not None:
            self._document.add(problem)
            return
        if expression.text in self._secrets:
            self._refuse_secret(expression, expression.text)
            return
        try:
            program = self._expressions.compile(expression, names, expected=kind)
        except InvalidExpressionError as error:
            why = _dashed(expression, _SUBTRACTED) or _misplaced(expression, names, live=live)
            self._document.add(why or error.problem)
            return
        for name in sorted(program.names & self._secrets):
            self._refuse_secret(expression, name)

    def _refuse_many(self, mark: Mark) -> NoReturn:
        """Stop: what follows would take longer to check than anybody waits.

        Raises:
            InvalidDocumentError: always.
        """
        text = f"there are more than {EXPRESSIONS_MAX} expressions, or more than {CHARACTERS_MAX} "
        text += "characters in them, counting what aliases repeat; split the document"
        self._document.refuse_at(mark, "too_many_expressions", text)
        self._document.settle()
        raise AssertionError("a document with a mistake does not settle")

    def _refuse_secret(self, expression: Expression, name: str) -> None:
        text = f"{name} is a secret: it may be used only in the parameters of faults, actions and "
        text += f"probes, as ${{{{ {name} }}}}, alone or inside a text, so that nothing that is "
        text += "computed from it is ever stored or shown; take it out"
        self._document.refuse_at(expression.mark, "secret", text)


def _dashed(expression: Expression, pattern: re.Pattern[str]) -> Problem | None:
    """Return the complaint about a name with a dash, which has another spelling in expressions."""
    for found in pattern.finditer(expression.text):
        if found["name"] is not None:
            meant = f"{found['path']}.{word(found['name'])}"
            text = f"in an expression a name is spelled with '_' for '-'; write {meant}"
            return Problem(
                mark=_inside(expression, found.start()),
                code="expression.unknown_name",
                text=text,
            )
    return None


def _misplaced(expression: Expression, names: Names, *, live: bool) -> Problem | None:
    """Return the complaint about names that are known elsewhere, if it uses such."""
    text = "'each' is known only in a step with 'for_each', and in what is in it; "
    found = None if "each.index" in names else _first(_EACH, expression)
    if found is None and not live:
        found = _first(_LIVE, expression)
        text = "what probes, steps, faults and snapshots give is known only while the execution "
        text += "runs, and so only in conditions; "
    if found is None:
        return None
    return Problem(
        mark=_inside(expression, found.start()),
        code="expression.unknown_name",
        text=f"{text}name something else",
    )


def _first(pattern: re.Pattern[str], expression: Expression) -> re.Match[str] | None:
    found = (found for found in pattern.finditer(expression.text) if found["name"] is not None)
    return next(found, None)


def _inside(expression: Expression, offset: int) -> Mark:
    if "\n" in expression.text[:offset]:
        return expression.mark
    return replace(expression.mark, column=expression.mark.column + offset)
