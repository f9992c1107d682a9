"""Parameters in words: their types, what they may be, and their defaults as YAML writes them."""

from __future__ import annotations

import json
from datetime import timedelta

from test_coordination.domain.expressions import as_text
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.values import Value, format_bytes


def type_name(parameter: Parameter) -> str:
    """Return the type as it is declared, such as ``list<service>``."""
    if parameter.type is ParameterType.LIST and parameter.items is not None:
        return f"list<{parameter.items}>"
    return parameter.type.value


def bounds(parameter: Parameter) -> str:
    """Return what the parameter may be, such as ``1s to 1m`` or ``one of a, b``; else nothing."""
    found = []
    low, high = (
        None if bound is None else readable(bound, parameter)
        for bound in (parameter.minimum, parameter.maximum)
    )
    if low is not None and high is not None:
        found.append(f"{low} to {high}")
    elif low is not None or high is not None:
        found.append(f"at least {low}" if low is not None else f"at most {high}")
    if parameter.values:
        choices = ", ".join(readable(value, parameter) for value in parameter.values)
        found.append(f"one of {choices}")
    if parameter.pattern is not None:
        found.append(f"like {parameter.pattern}")
    text = ", ".join(found)
    return f"{text} {parameter.unit}".strip() if parameter.unit else text


def readable(value: Value, parameter: Parameter) -> str:
    """Return a value of ``parameter`` as people write it."""
    kind = parameter.items if parameter.type is ParameterType.LIST else parameter.type
    if isinstance(value, tuple):
        return "[" + ", ".join(readable(each, parameter) for each in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if kind is ParameterType.BYTES and isinstance(value, int):
        return format_bytes(value)
    if kind is ParameterType.PERCENT and isinstance(value, int | float):
        return f"{value:g}%"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return as_text(value)


def literal(value: Value, parameter: Parameter) -> str:
    """Return a value of ``parameter`` as YAML writes it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(literal(each, parameter) for each in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, timedelta | bool | int | float):
        return readable(value, parameter)
    return as_text(value)
