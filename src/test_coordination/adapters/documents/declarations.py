"""The parameters that a scenario declares, each held to its own bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms import (
    NAME_EXPECTED,
    WORD_EXPECTED,
    fill,
    is_name,
    is_word,
    not_supported,
)
from test_coordination.adapters.documents.patterns import TEXT_LENGTH_MAX, pattern_problem
from test_coordination.adapters.documents.scenario_forms import LATER_PARAMETERS, ParameterForm
from test_coordination.adapters.documents.words import alternatives, described, enumerated, shown
from test_coordination.domain.arguments import typed
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.values import DURATION_EXPECTED, Value

PARAMETERS_MAX: Final = 100

EXPECTED: Final[Mapping[ParameterType, str]] = {
    ParameterType.STRING: "a text",
    ParameterType.INTEGER: "an integer",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.DURATION: DURATION_EXPECTED,
    ParameterType.PERCENT: "a share such as 50%",
    ParameterType.SERVICE: f"a service: {NAME_EXPECTED}",
    ParameterType.ENUM: "a text",
}
# Which of the keys belong to which types.
_BOUNDED: Final = frozenset(
    {ParameterType.INTEGER, ParameterType.NUMBER, ParameterType.DURATION, ParameterType.PERCENT}
)
_BELONGS: Final[Mapping[str, frozenset[ParameterType]]] = {
    "min": _BOUNDED,
    "max": _BOUNDED,
    "values": frozenset({ParameterType.ENUM}),
    "pattern": frozenset({ParameterType.STRING, ParameterType.SERVICE}),
}

_Bounds: TypeAlias = Mapping[str, Value]


def read_parameters(document: Document, location: Location) -> tuple[Parameter, ...]:
    """Return what is declared at ``location``; every mistake is noted in ``document``."""
    entries = document.entries(location, "names with their parameters")
    if len(entries) > PARAMETERS_MAX:
        text = f"{len(entries)} parameters; at most {PARAMETERS_MAX} are allowed"
        document.refuse(location, "too_many", text, key=True)
    return tuple(_parameter(document, (*location, name)) for name in [*entries][:PARAMETERS_MAX])


def literal(kind: ParameterType, found: object) -> Value:
    """Return the value that ``found`` is for a parameter of that type; None if it is none."""
    if kind is ParameterType.SERVICE and not is_name(found):
        return None
    return typed(kind, found)


def _parameter(document: Document, location: Location) -> Parameter:
    name = str(location[-1])
    if not is_word(name):
        text = f"{shown(name)} is no name of a parameter; write {WORD_EXPECTED}"
        document.refuse(location, "bad_name", text, key=True)
    content = document.entries(location, "a parameter with its type, such as {type: integer}")
    later = content.get("type") in LATER_PARAMETERS if content.get("type") else False
    if later:
        text = not_supported(f"the type {shown(content['type'])}")
        document.refuse((*location, "type"), "not_supported", text)
    form = fill(ParameterForm, document, location, skip=frozenset({"type"} if later else ()))
    return _Declaration(document, location, form).read(name)


class _Declaration:
    """One parameter, once its type is known."""

    def __init__(self, document: Document, location: Location, form: ParameterForm) -> None:
        self._document = document
        self._location = location
        self._form = form
        content = document.at(location)
        self._given: Mapping[str, object] = content if isinstance(content, Mapping) else {}

    def read(self, name: str) -> Parameter:
        form, kind = self._form, self._form.type
        mark = self._document.mark(self._location, key=True)
        if kind is None:
            return Parameter(name=name, type=ParameterType.STRING, mark=mark)
        self._check_belonging(kind)
        self._check_presence(kind)
        minimum, maximum = self._literal("min", kind), self._literal("max", kind)
        if minimum is not None and maximum is not None and minimum > maximum:  # type: ignore[operator]  # both are of one ordered type
            text = f"'min' is {described(minimum)}, which is more than 'max' ({described(maximum)})"
            text += "; correct one of the two"
            self._refuse("min", "out_of_range", text)
            minimum = maximum = None
        values, pattern = self._values(), self._pattern()
        default = self._literal("default", kind)
        if default is not None:
            self._check_default(default, {"min": minimum, "max": maximum}, values)
        return Parameter(
            name=name,
            type=kind,
            mark=mark,
            default=default,
            required=default is None,
            minimum=minimum,
            maximum=maximum,
            values=values,
            pattern=pattern,
            unit=form.unit,
            description=form.description,
        )

    def _refuse(self, key: str, rule: str, text: str, *, at_key: bool = False) -> None:
        self._document.refuse((*self._location, key), rule, text, key=at_key)

    def _check_belonging(self, kind: ParameterType) -> None:
        for key, kinds in _BELONGS.items():
            if key in self._given and kind not in kinds:
                text = f"{key!r} belongs to parameters of type {enumerated(sorted(kinds))}, "
                self._refuse(
                    key, "unknown_key", f"{text}not to a {kind}; leave it out", at_key=True
                )

    def _check_presence(self, kind: ParameterType) -> None:
        if kind is ParameterType.ENUM and "values" not in self._given:
            text = "an enum needs 'values': the texts to choose from, such as [small, large]"
            self._document.refuse(self._location, "missing_key", text)
        has_default = "default" in self._given
        if self._form.required_ is True and has_default:
            text = "a parameter that is required has no default; leave one of the two out"
            self._refuse("required", "bad_default", text)
        if self._form.required_ is False and not has_default:
            text = "a parameter that is not required needs a 'default' to take its place"
            self._refuse("required", "bad_default", text)

    def _literal(self, key: str, kind: ParameterType) -> Value:
        found = self._given.get(key)
        if found is None or (key in _BELONGS and kind not in _BELONGS[key]):
            return None
        if isinstance(found, str) and "${{" in found:
            text = f"{key!r} must be a value that is known now, not an expression; write it out"
            self._refuse(key, "bad_default", text)
            return None
        value = literal(kind, found)
        if value is None:
            text = f"{key!r} must be {EXPECTED[kind]}, not {described(found)}"
            self._refuse(key, "wrong_type", text)
        return value

    def _values(self) -> tuple[Value, ...]:
        found = self._form.values
        if found is None or self._form.type is not ParameterType.ENUM:
            return ()
        if not found:
            self._refuse("values", "empty", "'values' is an empty list; name at least one value")
        for place, value in enumerate(found):
            at = (*self._location, "values", place)
            if not isinstance(value, str):
                text = f"each of 'values' must be a text, not {described(value)}; put it in quotes"
                self._document.refuse(at, "wrong_type", text)
            elif value in found[:place]:
                text = f"{shown(value)} is among the 'values' already; leave it out"
                self._document.refuse(at, "duplicate", text)
        return tuple(value for value in found if isinstance(value, str))

    def _pattern(self) -> str | None:
        pattern = self._form.pattern
        if pattern is None or self._form.type not in _BELONGS["pattern"]:
            return None
        if (said := pattern_problem(pattern)) is not None:
            self._refuse("pattern", "bad_pattern", f"'pattern' {said}")
            return None
        default = self._given.get("default")
        if isinstance(default, str) and len(default) > TEXT_LENGTH_MAX:
            text = f"'default' has {len(default)} characters; beside a pattern, {TEXT_LENGTH_MAX}"
            self._refuse("default", "bad_default", f"{text} are the most")
        elif isinstance(default, str) and not re.fullmatch(pattern, default):
            text = f"'default' is {shown(default)}, which does not match the pattern as a whole"
            self._refuse("default", "bad_default", f"{text}; correct one of the two")
        return pattern

    def _check_default(self, default: Value, bounds: _Bounds, values: tuple[Value, ...]) -> None:
        low, high = bounds["min"], bounds["max"]
        if low is not None and default < low:  # type: ignore[operator]  # both are of one ordered type
            text = f"'default' is {described(default)}, which is less than 'min' ({described(low)})"
            self._refuse("default", "bad_default", f"{text}; correct one of the two")
        if high is not None and default > high:  # type: ignore[operator]  # both are of one ordered type
            text = (
                f"'default' is {described(default)}, which is more than 'max' ({described(high)})"
            )
            self._refuse("default", "bad_default", f"{text}; correct one of the two")
        if values and default not in values:
            names = [str(value) for value in values]
            text = f"'default' is {shown(default)}, which is not among the 'values'"
            self._refuse("default", "bad_default", f"{text}; {alternatives(str(default), names)}")
