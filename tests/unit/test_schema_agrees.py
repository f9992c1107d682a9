"""Documents changed at random: what the schema refuses the decoder refuses, and the reverse."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from support.decoder_catalogue import catalogue
from support.decoding import GOOD
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.forms.step import STEP_FORMS, StepForm
from test_coordination.adapters.documents.schemas.documents import scenario_schema
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.scenario import Part

Path: TypeAlias = tuple[str | int, ...]

TEMPLATE: Final = """
template: restart
version: 1
parameters:
  service: {type: service, abstract: true}
  outage: {type: duration, default: 5s, min: 1s, max: 60s}
probes:
  latency: {http: "GET http://127.0.0.1:8080/health", every: 500ms}
steady_state:
  - {id: healthy, expect: "probes.latency.last.status == 200", severity: critical}
steps:
  - {id: stop, fault: service.stop, target: "${{ parameters.service }}", hold: 5s}
  - {id: back, expect: "1 < 2", within: 10s, after_fault: stop}
"""
CHILD: Final = """
scenario: exchange-restart
version: 1
extends: restart
tags: [exchange]
parameters:
  service: exchange
  rate: {type: integer, default: 5}
probes:
  remove: [none-such]
  latency: {every: 1s}
  books: {sql: {target: books, query: select 1}}
steady_state:
  remove: []
  items:
    - {id: healthy, severity: normal}
    - {id: again, expect: "1 < 2", after: healthy}
steps:
  - {id: stop, hold: 10s, with: {grace: 2s}}
  - {id: pause, before: stop, wait: {until: 1 < 2, within: 5s}}
  - {wait: 1s}
"""
SUITE: Final = """
suite: nightly
version: 1
title: All that runs every night
parameters:
  outages: {type: list<duration>, default: [1s, 5s]}
matrix: {outage: "${{ parameters.outages }}"}
scenarios:
  - {id: first, scenario: exchange-restart, with: {outage: "${{ matrix.outage }}"}}
  - {scenario: other@2, needs: [first], matrix: {rate: [1, 2]}}
concurrency: 2
stop_on: [residue, broken]
"""
CHILD_GOOD: Final = CHILD.replace("  remove: [none-such]\n", "")
DOCUMENTS: Final = [
    *(yaml.safe_load((GOOD / f"{one}.yaml").read_text(encoding="utf-8"))
      for one in ("every-feature", "whole-language")),
    *map(yaml.safe_load, (TEMPLATE, CHILD_GOOD, SUITE)),
]  # fmt: skip
LIBRARY: Final = Shelf(parts=(Part(name="restart", file="restart.yaml", text=TEMPLATE),))
READER: Final = DefinitionReader(catalogue(), CelExpressions())
SCHEMA: Final = Draft7Validator(scenario_schema(catalogue()))

STRUCTURAL: Final = frozenset(
    {
        "scenario.misplaced_key",
        "scenario.missing_key",
        "scenario.missing_parameter",
        "scenario.no_kind",
        "scenario.two_kinds",
        "scenario.unknown_action",
        "scenario.unknown_fault",
        "scenario.unknown_key",
        "scenario.unknown_parameter",
        "scenario.unknown_probe",
    }
)
"""The codes of mistakes that the schema must always see."""

INHERITED: Final = frozenset(
    {
        "scenario.missing_key",
        "scenario.missing_parameter",
        "scenario.misplaced_key",
        "scenario.no_kind",
        "scenario.unknown_key",
        "scenario.unknown_parameter",
    }
)
"""Those of what may come from another document, which a schema does not look at."""

OWN: Final = frozenset().union(*(form.known_keys() for form in STEP_FORMS.values())) - (
    StepForm.known_keys() | {"background", "retry"}
)
"""The keys that only some kinds of steps have."""

VALUES: Final = st.sampled_from(
    [
        None, True, False, 0, 1, -3, 2.5, 1000, "", "x", "exchange", "A b", "5s", "0.5", "50%",
        "150%", "5 s", "true", "http.post", "service.stop", "held", "fail", "skip", "info", "all",
        "any", "env:NAME", "list<duration>", "${{ 5 }}", "${{ duration('5s') }}", "a ${{ 'b' }}",
        [], ["exchange"], ["5s", "1s"], [1, 2], [None], {}, {"x": 1}, {"id": "x"},
        {"service": "exchange"}, {"grace": "2s"}, {"wait": "5s"}, {"times": 3}, {"every": "1s"},
        {"attempts": 3}, {"type": "integer"}, {"type": "string", "abstract": True},
        {"http": "GET http://127.0.0.1:1/"}, {"expect": "1 < 2"}, {"until": "1 < 2"},
        {"between": ["1s", "2s"]}, {"action": "http.post", "with": {"url": "http://127.0.0.1/"}},
    ]
)  # fmt: skip
KEYS: Final = st.sampled_from(
    [
        "id", "title", "hold", "with", "within", "when", "needs", "if", "timeout", "retry",
        "repeat", "ramp", "target", "fault", "action", "probe", "wait", "expect", "stop",
        "parallel", "sequence", "scenario", "snapshot", "background", "for_each", "concurrency",
        "always", "never", "during", "after_fault", "severity", "weight", "watch", "on_error",
        "every", "pause", "times", "default", "required", "abstract", "min", "max", "values",
        "pattern", "unit", "type", "http", "sql", "process", "grace", "url", "steps", "matrix",
        "start", "resources", "blast_radius", "nonsense", "delay", "attempts", "verdict",
    ]
)  # fmt: skip


def places(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything inside ``tree``."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


@st.composite
def changed(draw: st.DrawFn) -> Mapping[str, Any]:
    """Return a good document with one thing in it changed, added or taken away."""
    tree: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    path = draw(st.sampled_from([*places(tree)]))
    parent, key = at(tree, path[:-1]), path[-1]
    way = draw(st.sampled_from(["remove", "value", "rename", "add"]))
    if way == "remove":
        del parent[key]
    elif way == "value" or isinstance(parent, list):
        parent[key] = draw(VALUES)
    elif way == "add":
        parent[draw(KEYS)] = draw(VALUES)
    else:
        renamed = {draw(KEYS) if one == key else one: value for one, value in parent.items()}
        parent.clear()
        parent.update(renamed)
    assume(not is_halved(tree))
    return tree


def is_halved(tree: Any) -> bool:
    """Tell whether a step stands half beside its ``background`` and half under it.

    The decoder puts the halves together; the schema admits a step in one place only.
    """
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    beside = isinstance(tree, dict) and isinstance(tree.get("background"), dict)
    return (beside and bool(tree.keys() & OWN)) or any(map(is_halved, inner))


def refused(tree: Mapping[str, Any]) -> frozenset[str]:
    """Return the codes of what the decoder refuses."""
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    try:
        READER.read(text, file="any.yaml", library=LIBRARY)
    except InvalidDocumentError as error:
        return frozenset(problem.code for problem in error.problems)
    return frozenset()


def said(tree: Mapping[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(tree)]


def test_the_documents_that_are_changed_are_good() -> None:
    for tree in DOCUMENTS:
        assert refused(tree) == frozenset()
        assert said(tree) == []


@settings(max_examples=200, deadline=None)
@given(tree=changed())
def test_what_the_schema_refuses_the_decoder_refuses(tree: Mapping[str, Any]) -> None:
    complaints = said(tree)

    assert refused(tree) or not complaints, complaints


@settings(max_examples=200, deadline=None)
@given(tree=changed())
def test_what_the_decoder_refuses_for_its_structure_the_schema_refuses(
    tree: Mapping[str, Any],
) -> None:
    codes = refused(tree) & STRUCTURAL
    if "extends" in tree:
        codes -= INHERITED

    assert said(tree) or not codes, codes
