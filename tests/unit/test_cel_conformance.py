"""The published conformance cases of CEL, by way of our own compiler.

Where a case comes from, which are left out and what is adapted says `cel_conformance/README.md`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from support.cel_corpus import LANGUAGE
from test_coordination.domain.errors import CoordinationError, Mark
from test_coordination.domain.expressions import (
    Expression,
    ExpressionFailedError,
    Fact,
    InvalidExpressionError,
    Kind,
    MissingValueError,
)
from test_coordination.domain.values import Value

CASES: Final = json.loads((Path(__file__).parent / "cel_conformance/cases.json").read_text())

# The cases that come out otherwise here, and why.
KNOWN: Final[Mapping[str, str]] = {
    "fields/qualified_identifier_resolution/map_value_repeat_key_heterogeneous": (
        "the library keeps 0 and 0u as two keys of one map"
    ),
}


def outcome(case: Mapping[str, Any]) -> str:
    """Return how ``case`` comes out wrong; empty if it comes out as published."""
    expected = case.get("value")
    text, is_literal = case["expr"], False
    if expected is not None and needs_literal(expected):
        text, is_literal = f"({text}) == {literal(expected)}", True
    try:
        found = evaluated(text, case)
    except (InvalidExpressionError, ExpressionFailedError, MissingValueError) as error:
        return "" if expected is None else told(error)
    if expected is None:
        return f"gave {found!r} where an error was expected"
    right = found is True if is_literal else is_alike(found, fact(expected))
    return "" if right else f"gave {found!r}"


def told(error: CoordinationError) -> str:
    return error.problem.text if isinstance(error, InvalidExpressionError) else str(error)


def evaluated(text: str, case: Mapping[str, Any]) -> Value:
    kinds = {name: Kind(kind) for name, kind in case.get("kinds", {}).items()}
    given = {name: fact(value) for name, value in case.get("given", {}).items()}
    names = {**dict.fromkeys(given, Kind.ANY), **kinds}
    expression = Expression(text=text, mark=Mark("cases.json", 1, 1))
    return LANGUAGE.compile(expression, names, expected=Kind.ANY).evaluate(given)


def needs_literal(value: Mapping[str, Any]) -> bool:
    """Tell whether an expression here cannot give ``value``, so that CEL has to compare it."""
    return "bytesValue" in value or "typeValue" in value or has_odd_keys(value)


def has_odd_keys(value: Mapping[str, Any]) -> bool:
    entries = value.get("mapValue", {}).get("entries", [])
    return any("stringValue" not in entry["key"] for entry in entries)


def literal(value: Mapping[str, Any]) -> str:
    ((kind, content),) = value.items()
    match kind:
        case "bytesValue":
            return "b'" + "".join(f"\\x{byte:02x}" for byte in base64.b64decode(content)) + "'"
        case "mapValue":
            pairs = [f"{literal(e['key'])}: {literal(e['value'])}" for e in content["entries"]]
            return "{" + ", ".join(pairs) + "}"
        case "uint64Value":
            return f"{content}u"
        case "stringValue":
            return json.dumps(content)
        case "boolValue":
            return str(content).lower()
        case _:
            return str(content)


def fact(value: Mapping[str, Any]) -> Fact:
    ((kind, content),) = value.items()
    match kind:
        case "int64Value" | "uint64Value":
            return int(content)
        case "doubleValue":
            return float(content)
        case "listValue":
            return tuple(fact(item) for item in content.get("values", []))
        case "mapValue":
            entries = content.get("entries", [])
            return {entry["key"]["stringValue"]: fact(entry["value"]) for entry in entries}
        case _:
            return content  # type: ignore[no-any-return]  # JSON


def is_alike(found: object, expected: object) -> bool:
    """Tell whether both are the same, of the same type; NaN is like itself."""
    if isinstance(found, float) and found != found:  # noqa: PLR0124  # only NaN is not itself
        return expected != expected  # noqa: PLR0124  # as above
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize(
    ("file", "cases"),
    [
        (file, list(cases))
        for file, cases in groupby(CASES, key=lambda case: case["name"].partition("/")[0])
    ],
)
def test_the_published_cases_come_out_as_published(file: str, cases: list[Any]) -> None:
    wrong = {case["name"]: said for case in cases if (said := outcome(case))}

    assert wrong.keys() == {name for name in KNOWN if name.startswith(f"{file}/")}, wrong


def test_the_cases_are_as_many_as_were_picked() -> None:
    assert len(CASES) == 1009
