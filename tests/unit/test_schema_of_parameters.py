"""The parameters of every fault, action and probe can be told to editors and readers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.shapes import DURATION, TYPE
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.capabilities import Parameterised
from test_coordination.domain.values import format_bytes, format_duration, parse_duration
from test_coordination.kinds import catalogue

KNOWN: Final = catalogue(LinkKeeper(), ProcessServices())
GROUPS: Final[Mapping[str, Mapping[str, Parameterised]]] = {
    "faults": KNOWN.faults,
    "actions": KNOWN.actions,
    "probes": KNOWN.probes,
}
ALL: Final = [
    pytest.param(kind, id=f"{group}/{name}")
    for group, kinds in GROUPS.items()
    for name, kind in kinds.items()
]

JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def values(shape: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that ``shape`` admits, but for what is out of bounds that it cannot state."""
    if "enum" in shape:
        return st.sampled_from(shape["enum"])
    if shape.get(TYPE) == "status, or range of these":
        ends = st.lists(st.integers(100, 599), min_size=2, max_size=2).map(sorted)
        return st.integers(100, 599) | ends.map(lambda two: f"{two[0]}..{two[1]}")
    if "anyOf" in shape:
        return st.one_of([values(one) for one in shape["anyOf"]])
    if shape.get(TYPE) == "duration":
        return st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)).map(format_duration)
    if shape.get(TYPE) == "size":
        return st.integers(64 * 1024**2, 64 * 1024**3).map(format_bytes)
    makers: Mapping[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: (
            st.from_regex(shape["pattern"], fullmatch=True)
            if "pattern" in shape
            else st.text(min_size=shape.get("minLength", 0), max_size=9)
        ),
        "integer": lambda: st.integers(shape.get("minimum"), shape.get("maximum")),
        "number": lambda: st.floats(
            shape.get("minimum", shape.get("exclusiveMinimum")),
            shape.get("maximum"),
            exclude_min="exclusiveMinimum" in shape,
        ),
        "object": lambda: st.dictionaries(
            st.text(max_size=4), values(shape["additionalProperties"])
        ),
    }
    return makers[shape["type"]]() if "type" in shape else JSON.filter(lambda one: one is not None)


@pytest.mark.parametrize("kind", ALL)
def test_every_parameter_says_what_it_is_for_and_shows_an_example_that_is_right(
    kind: Parameterised,
) -> None:
    schema: dict[str, Any] = dict(kind.schema())

    Draft7Validator.check_schema(schema)
    for name, shape in schema["properties"].items():
        assert shape["description"][:1].islower(), name
        assert not shape["description"].endswith("."), name
        plain = [one for one in shape["examples"] if "${{" not in json.dumps(one)]
        given = [*plain, *([shape["default"]] if "default" in shape else [])]
        for value in given:
            Draft7Validator(shape).validate(value)
            found = kind.problems({name: value})
            assert all(problem.missing for problem in found), (name, value)


@pytest.mark.parametrize("kind", ALL)
def test_what_is_missing_or_unknown_is_refused_by_the_schema_and_by_the_code(
    kind: Parameterised,
) -> None:
    validator = Draft7Validator(dict(kind.schema()))

    for parameters in ({}, {"no-such": 1}):
        refused = bool(kind.problems(parameters))
        assert refused == (not validator.is_valid(parameters)), parameters


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=25)
@given(data=st.data())
def test_what_the_schema_admits_is_admitted(kind: Parameterised, data: st.DataObject) -> None:
    schema: dict[str, Any] = dict(kind.schema())
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    required = schema.get("required", [])
    chosen = {
        name: data.draw(values(shape), label=name)
        for name, shape in properties.items()
        if name in required or data.draw(st.booleans(), label=f"with {name}")
    }

    assert Draft7Validator(schema).is_valid(chosen)
    assert kind.problems(chosen) == []


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=25)
@given(data=st.data())
def test_what_the_code_admits_the_schema_does_not_refuse(
    kind: Parameterised, data: st.DataObject
) -> None:
    schema: dict[str, Any] = dict(kind.schema())
    shapes: Mapping[str, Mapping[str, Any]] = schema["properties"]
    if not shapes:
        return
    given = {name: data.draw(values(shape)) for name, shape in shapes.items()}
    name = data.draw(st.sampled_from(sorted(shapes)))
    given[name] = data.draw(JSON.filter(lambda one: one is not None))

    if not kind.problems(given):
        assert Draft7Validator(schema).is_valid(given)


@given(text=st.from_regex(DURATION["pattern"]) | st.from_regex(r"[0-9]{1,2}[dhms.]{1,3}[0-9ms]*"))
def test_the_pattern_of_a_duration_matches_what_is_read_as_one(text: str) -> None:
    assume(not re.search(r"\d{9}", text))  # so long that no computer counts it
    matches = Draft7Validator(DURATION).is_valid(text) and not text.endswith("\n")

    assert matches == (parse_duration(text) is not None)
