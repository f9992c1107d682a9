"""Bind what somebody gave to what a scenario declares: types, bounds, and nothing unknown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final, assert_never

from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem, suggestion
from test_coordination.domain.expressions import as_text
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.secrets import SECRET_EXPECTED, is_reference
from test_coordination.domain.values import (
    BYTES_EXPECTED,
    DURATION_EXPECTED,
    Value,
    format_duration,
    parse_bytes,
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
    ParameterType.BYTES: BYTES_EXPECTED,
    ParameterType.SECRET: SECRET_EXPECTED,
    ParameterType.LIST: "a list",
}
ITEMS_MAX: Final = 1_000
INTEGER_MAX: Final = 2**63 - 1
PERCENT_MAX: Final = 100

_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%")
_WHOLE: Final = re.compile(r"[-+]?\d{1,19}")
_DECIMAL: Final = re.compile(r"[-+]?\d{1,32}(?:\.\d{1,32})?(?:[eE][-+]?\d{1,3})?")
_BOOLEANS: Final = {"true": True, "false": False}


def bind(
    parameters: Iterable[Parameter],
    given: Mapping[str, object],
    *,
    mark: Mark,
    services: frozenset[str],
) -> Mapping[str, Value]:
    """Return a value for each parameter: the one given, else its default.

    Texts are read as the parameter's type, so that a command line may give all of them.

    Raises:
        InvalidDocumentError: something given is unknown, of another type or out of bounds, or
            something required is missing; all at once, at the parameter's declaration, or at
            ``mark``, that of the document, where there is none.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    problems = [
        Problem(
            mark=mark,
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
        bound[name] = read_as(parameter.type, found, items=parameter.items)
    if problems:
        raise InvalidDocumentError(problems=tuple(problems))
    return bound


def read_as(kind: ParameterType, found: object, *, items: ParameterType | None = None) -> Value:
    """Return ``found``, or what it spells if it is a text, as a value of that type.

    It is for what was given outside a document, such as on a command line, where everything is
    a text, and commas part the items of a list; None if it is no such value.
    """
    if kind is ParameterType.LIST:
        parts = found.split(",") if isinstance(found, str) and found else found
        return _list(parts or [], lambda item: items and read_as(items, item))
    value = typed(kind, found)
    if value is None and isinstance(found, str):
        value = typed(kind, _spelled(found))
    return value


def typed(kind: ParameterType, found: object, *, items: ParameterType | None = None) -> Value:  # noqa: C901  a case a type
    """Return ``found`` as a value of that type, as a document writes it; None if it is none.

    A share is a number from 0 to 100, or that with a percent sign. Integers have 64 bits, as
    in expressions; numbers are finite, since no bound could hold another. A list has at most
    ``ITEMS_MAX`` values of the type ``items``. A secret stays the reference to it.
    """
    if isinstance(found, bool):
        return found if kind is ParameterType.BOOLEAN else None
    match kind:
        case ParameterType.BOOLEAN:
            value: Value = None
        case ParameterType.INTEGER:
            value = found if isinstance(found, int) and abs(found) <= INTEGER_MAX else None
        case ParameterType.NUMBER:
            value = _finite(found)
        case ParameterType.PERCENT:
            value = _share(found)
        case ParameterType.DURATION:
            value = parse_duration(found) if isinstance(found, str) else _only(found, timedelta)
        case ParameterType.STRING | ParameterType.SERVICE | ParameterType.ENUM:
            value = _only(found, str)
        case ParameterType.BYTES:
            value = _size(found)
        case ParameterType.SECRET:
            value = found if isinstance(found, str) and is_reference(found) else None
        case ParameterType.LIST:
            value = _list(found, lambda item: items and typed(items, item))
        case _:
            assert_never(kind)
    return value


def _list(found: object, read: Callable[[object], Value]) -> Value:
    if not isinstance(found, list | tuple) or len(found) > ITEMS_MAX:
        return None
    values = tuple(map(read, found))
    return None if None in values else values


def _size(found: object) -> int | None:
    size = parse_bytes(found) if isinstance(found, str) else found
    return size if isinstance(size, int) and 0 <= size <= INTEGER_MAX else None


def _only(found: object, kind: type[str | timedelta]) -> Value:
    return found if isinstance(found, kind) else None


def _finite(found: object) -> float | None:
    if not isinstance(found, int | float):
        return None
    try:
        number = float(found)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _share(found: object) -> float | None:
    text = _PERCENT.fullmatch(found) if isinstance(found, str) else None
    share = float(text[1]) if text else _finite(found)
    return share if share is not None and 0 <= share <= PERCENT_MAX else None


def _spelled(text: str) -> object:
    """Return the boolean or the number that ``text`` spells, if it spells one."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else None


def _refusal(parameter: Parameter, found: object, services: frozenset[str]) -> str:
    name = f"parameter {parameter.name!r}"
    if found is None:
        return f"{name} is required: give it a value" if parameter.required else ""
    value = read_as(parameter.type, found, items=parameter.items)
    if parameter.type is ParameterType.SECRET:
        # What was given may be a secret that somebody did not hide: it is never repeated.
        return f"{name} must be {SECRET_EXPECTED}" if value is None else ""
    if parameter.type is not ParameterType.LIST:
        return _unfit(parameter, parameter.type, (value, _shown(found)), services=services)
    if not isinstance(value, tuple):
        items = _EXPECTED[parameter.items or ParameterType.STRING]
        return f"{name} is {_shown(found)}; expected a list of at most {ITEMS_MAX}, each {items}"
    kind = parameter.items or ParameterType.STRING
    unfit = (_unfit(parameter, kind, (item, _shown(item)), services=services) for item in value)
    return next(filter(None, unfit), "")


def _unfit(
    parameter: Parameter, kind: ParameterType, given: tuple[Value, str], *, services: frozenset[str]
) -> str:
    """Return why one value is not what the parameter, or each item of its list, must be."""
    (value, shown), name = given, f"parameter {parameter.name!r}"
    if value is None:
        return f"{name} is {shown}; expected {_EXPECTED[kind]}"
    if kind is ParameterType.SERVICE and value not in services:
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
