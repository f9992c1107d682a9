"""Picks the published CEL cases that apply to expressions here; README.md beside it says how."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

FILES: Final = frozenset(
    [
        "basic",
        "comparisons",
        "conversions",
        "fields",
        "fp_math",
        "integer_math",
        "lists",
        "logic",
        "macros",
        "namespace",
        "parse",
        "plumbing",
        "string",
        "timestamps",
    ]
)
# Kinds that a name can be declared to be of; all others would need a type that is not offered.
PRIMITIVES: Final = {"INT64": "integer", "DOUBLE": "number", "STRING": "string", "BOOL": "boolean"}
KNOWN: Final = {"DURATION": "duration", "TIMESTAMP": "timestamp", "ANY": "any"}
UNFIT_VALUES: Final = frozenset({"objectValue", "enumValue", "uint64Value", "bytesValue"})
# Messages of protobuf are not offered, nor are their enums.
MESSAGES: Final = re.compile(r"TestAllTypes|NestedMessage|google\.protobuf|GlobalEnum|NestedEnum")


def cases(suite: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield the cases below ``suite`` that apply."""
    for test in suite.get("tests", []):
        case = applicable(test["original"])
        if case is not None:
            yield {"name": "/".join([*path, test["original"]["name"]]), **case}
    for inner in suite.get("suites", []):
        if path or inner["name"] in FILES:
            yield from cases(inner, (*path, inner["name"]))


def applicable(test: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the case is made of, or None if it cannot be told here."""
    if test.keys() & {"container", "disableCheck", "checkOnly", "typedResult"}:
        return None
    if MESSAGES.search(json.dumps(test)):
        return None
    kinds = {entry["name"]: kind(entry) for entry in test.get("typeEnv", [])}
    given = {name: bound.get("value") for name, bound in test.get("bindings", {}).items()}
    if None in kinds.values() or any(unfit(value) for value in given.values()):
        return None
    case: dict[str, Any] = {"expr": test["expr"]}
    if kinds:
        case["kinds"] = kinds
    if given:
        case["given"] = given
    if "evalError" in test:
        return {**case, "error": test["evalError"]["errors"][0]["message"]}
    return {**case, "value": test.get("value", {"boolValue": True})}


def kind(entry: dict[str, Any]) -> str | None:
    """Return the kind that a declared name is of, or None."""
    declared = entry.get("ident", {}).get("type", {})
    match declared:
        case {"primitive": name}:
            return PRIMITIVES.get(name)
        case {"wellKnown": name}:
            return KNOWN.get(name)
        case {"listType": _}:
            return "list"
        case {"mapType": {"keyType": {"primitive": "STRING"}}}:
            return "map"
        case {"dyn": _}:
            return "any"
        case _:
            return None


def unfit(value: object) -> bool:
    """Tell whether a name cannot stand for ``value``, or for something inside it."""
    match value:
        case None:
            return True
        case dict():
            return bool(UNFIT_VALUES & value.keys()) or any(map(unfit, value.values()))
        case list():
            return any(map(unfit, value))
        case _:
            return False


if __name__ == "__main__":
    lines = [json.dumps(case, separators=(",", ":")) for case in cases(json.load(sys.stdin))]
    sys.stdout.write("[\n" + ",\n".join(lines) + "\n]\n")
