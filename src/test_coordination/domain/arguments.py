"""Bind what somebody gave to what a scenario declares: types, bounds, and nothing unknown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, assert_never

from test_coordination.domain.errors import InvalidDocumentError, Problem, suggestion
from test_coordination.domain.expressions import as_text
from test_coordination.domain.scenario import Parameter, ParameterType, Scenario
from test_coordination.domain.values import (
    DURATION_EXPECTED,
    Value,
    format_duration,
    parse_duration,
)

_EXPECTED: Final = {
    ParameterType.INTEGER: "a whole number",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.DURATION: DURATION_EXPECTED,
    ParameterType.PERCENT: "a share such as 50%",
    ParameterType.STRING: "a text",
    ParameterType.SERVICE: "the name of a service",
    ParameterType.ENUM: "one of the values that it declares",
}
_BOOLEANS: Final = {"true": True, "false": False}


def bind(
    scenario: Scenario, given: Mapping[str, object], *, services: frozenset[str]
) -> Mapping[str, Value]:
    """Return a value for each parameter: the one given, else its default.

    Texts are read as the parameter's type, so that a command line may give all of them.

    Raises:
        InvalidDocumentError: something given is unknown, of another type or out of bounds, or
            something required is missing; all at once, at the parameter's declaration.
    """
    declared = {parameter.name: parameter for parameter in scenario.parameters}
    problems = [
        Problem(
            mark=scenario.mark,
            code="parameter.unknown",
            text=f"no parameter is named {name!r}; {suggestion(name, frozenset(declared))}",
        )
        for name in given
        if name not in declared
    ]
    bound: dict[str, Value] = {}
    for name, parameter in declared.items():
        found = given.get(name, parameter.default)
        why = _refusal(parameter, found, services)
        if why:
            problems.append(Problem(mark=parameter.mark, code="parameter.invalid", text=why))
        bound[name] = read_as(parameter.type, found)
    if problems:
        raise InvalidDocumentError(problems=tuple(problems))
    return bound


def read_as(kind: ParameterType, found: object) -> Value:  # noqa: PLR0911  a return a type
    """Return ``found`` as a value of that type; None if it is none."""
    if isinstance(found, bool):
        return found if kind is ParameterType.BOOLEAN else None
    match kind:
        case ParameterType.BOOLEAN:
            return _BOOLEANS.get(found) if isinstance(found, str) else None
        case ParameterType.INTEGER:
            return _integer(found)
        case ParameterType.NUMBER | ParameterType.PERCENT:
            return _number(found, percent=kind is ParameterType.PERCENT)
        case ParameterType.DURATION if isinstance(found, str):
            return parse_duration(found)
        case ParameterType.DURATION:
            return _only(found, timedelta)
        case ParameterType.STRING | ParameterType.SERVICE:
            return _only(found, str)
        case ParameterType.ENUM:
            return found if isinstance(found, str | int | float) else None
        case _:
            assert_never(kind)


def _only(found: object, kind: type[str | int | timedelta]) -> Value:
    return found if isinstance(found, kind) else None


def _integer(found: object) -> Value:
    if isinstance(found, str):
        return int(found) if re.fullmatch(r"[-+]?\d{1,18}", found) else None
    return _only(found, int)


def _number(found: object, *, percent: bool) -> Value:
    """Return ``found`` as a finite number; no bound could hold another."""
    if isinstance(found, str):
        found = found.removesuffix("%") if percent else found
    elif not isinstance(found, int | float):
        return None
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return found if isinstance(found, int) else number


def _refusal(parameter: Parameter, found: object, services: frozenset[str]) -> str:
    name = f"parameter {parameter.name!r}"
    if found is None:
        return f"{name} is required: give it a value" if parameter.required else ""
    value, shown = read_as(parameter.type, found), _shown(found)
    if value is None:
        return f"{name} is {shown}; expected {_EXPECTED[parameter.type]}"
    if parameter.type is ParameterType.SERVICE and value not in services:
        return f"{name}: no service is named {shown}; {suggestion(str(value), services)}"
    if parameter.values and value not in parameter.values:
        choices = ", ".join(as_text(choice) for choice in parameter.values)
        return f"{name} is {shown}; expected one of {choices}"
    if parameter.pattern is not None and not re.fullmatch(parameter.pattern, str(value)):
        return f"{name} is {shown}; expected text that matches {parameter.pattern}"
    return _out_of_bounds(parameter, value, f"{name} is {shown}")


def _shown(found: object) -> str:
    return repr(format_duration(found) if isinstance(found, timedelta) else found)


def _out_of_bounds(parameter: Parameter, value: Value, found: str) -> str:
    low, high = parameter.minimum, parameter.maximum
    if low is not None and _less(value, low):
        return f"{found}; expected at least {as_text(low)}"
    if high is not None and _less(high, value):
        return f"{found}; expected at most {as_text(high)}"
    return ""


def _less(left: Value, right: Value) -> bool:
    if isinstance(left, timedelta) and isinstance(right, timedelta):
        return left < right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left < right
    return False
