"""Rules that span keys, each shown by a pair: the schema and the decoder judge both alike."""

from __future__ import annotations

from typing import Final

import pytest
from jsonschema import Draft7Validator

from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.schemas.documents import scenario_schema
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.application.definitions import Shelf
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.scenario import Part

BASE: Final = """
template: base
version: 1
parameters: {rate: {type: integer, default: 5}}
probes: {seen: {process: exchange}}
steady_state: [{id: healthy, expect: 1 < 2}]
steps: [{id: stop, fault: service.stop, target: exchange, hold: 5s}]
"""
LIBRARY: Final = Shelf(parts=(Part(name="base", file="base.yaml", text=BASE),))
READER: Final = DefinitionReader(catalogue(), CelExpressions())
SCHEMA: Final = Draft7Validator(scenario_schema(catalogue()))
SLOW: Final = "fault: network.latency, target: a, with: {link: b, delay: 1s}"
STOP: Final = "fault: service.stop, target: a"

STEPS: Final = [
    (f"{STOP}, hold: 5s", f"{STOP}"),
    (f"{STOP}, background: true", f"{STOP}, background: false"),
    (f"background: {{{STOP}}}", "background: {fault: service.stop}"),
    (f"id: b, background: {{{STOP}}}", f"background: {{{STOP}, background: true}}"),
    (f"{SLOW}, hold: 5s, ramp: {{over: 1s}}", f"{SLOW}, background: true, ramp: {{over: 1s}}"),
    (f"{SLOW}, hold: 5s, ramp: {{over: 1s}}", f"{STOP}, hold: 5s, ramp: {{over: 1s}}"),
    (f"{STOP}, hold: 5s, repeat: {{times: 2}}", f"{STOP}, hold: 5s, repeat: {{pause: 2s}}"),
    (f"{STOP}, hold: 5s, repeat: {{times: 1000}}", f"{STOP}, hold: 5s, repeat: {{times: 1001}}"),
    (f"{STOP}, hold: 5s, with: {{grace: 2s}}", f"{STOP}, hold: 5s, with: {{delay: 2s}}"),
    ("fault: service.stop, target: {service: a}, hold: 5s",
     "fault: service.stop, target: {instances: any}, hold: 5s"),
    ("fault: service.stop, target: {tags: {a: b}}, hold: 5s",
     "fault: service.stop, target: {tags: {}}, hold: 5s"),
    ("fault: service.stop, target: {service: a, instances: 50%}, hold: 5s",
     "fault: service.stop, target: {service: a, instances: 0}, hold: 5s"),
    ("action: http.post, with: {url: u}", "action: http.post"),
    ("action: http.post, with: {url: u}, repeat: {times: 2, every: 1s}",
     "action: http.post, with: {url: u}, repeat: {every: 1s}"),
    ("action: http.post, with: {url: u}, background: true, repeat: {every: 1s}",
     "action: http.post, with: {url: u}, background: true, repeat: {pause: 1s}"),
    ("action: http.post, with: {url: u}, repeat: {times: 2, pause: 1s}",
     "action: http.post, with: {url: u}, repeat: {times: 2, pause: 1s, every: 1s}"),
    ("probe: {process: a}", "probe: {process: a, sql: {target: a, query: b}}"),
    ("probe: {sql: {target: a, query: b}}", "probe: {sql: a}"),
    ("probe: {process: {service: a}}", "probe: {}"),
    ("expect: 1 < 2, within: 1s, hold: 1s", "expect: 1 < 2, always: 1s, hold: 1s"),
    ("expect: 1 < 2, never: 1s", "expect: 1 < 2, never: 1s, within: 1s"),
    ("expect: 1 < 2, always: 1s", "expect: 1 < 2, always: 1s, never: 1s"),
    ("expect: 1 < 2, always: true, background: true", "expect: 1 < 2, always: true"),
    ("expect: 1 < 2, during: other, never: true", "expect: 1 < 2, during: other, never: 1s"),
    ("expect: 1 < 2, during: other", "expect: 1 < 2, during: other, after_fault: broken"),
    ("expect: 1 < 2", "expect: '${{ 1 < 2 }}'"),
    ("wait: 5s", "wait: 5"),
    ("wait: '${{ duration(\"5s\") }}'", "wait: 'a ${{ 5 }}'"),
    ("wait: {between: [1s, 5s]}", "wait: {between: [1s]}"),
    ("wait: {until: 1 < 2, within: 5s}", "wait: {until: 1 < 2}"),
    ("wait: {between: [1s, 5s], seed: 7}", "wait: {seed: 7}"),
    ("wait: 5s, for_each: [1], concurrency: 2", "wait: 5s, concurrency: 2"),
    ("wait: 5s, for_each: {one: [1]}", "wait: 5s, for_each: {index: [1]}"),
    ("wait: 5s, if: false", "wait: 5s, if: 5"),
    ("wait: 5s, on_error: ignore", "wait: 5s, retry: {attempts: 2}"),
    ("snapshot: [a], retry: {attempts: 2}", "snapshot: [a], retry: {attempts: 1}"),
    ("parallel: [{wait: 5s}]", "parallel: []"),
    ("sequence: [{parallel: [{wait: 5s}]}]", "sequence: [{parallel: [{wait: 5}]}]"),
    ("scenario: x@2, verdict: held", "scenario: x@0"),
]  # fmt: skip
PARAMETERS: Final = [
    ("type: integer, default: 5, min: 1", "type: integer, default: five"),
    ("type: duration, default: 5s, max: 1m", "type: duration, default: 5"),
    ("type: percent, default: 50%", "type: percent, default: 150%"),
    ("type: bytes, default: 64MiB, min: 0", "type: bytes, default: 64 MiB"),
    ("type: service, default: a", "type: service, default: A"),
    ("type: enum, values: [a, b]", "type: enum"),
    ("type: list<enum>, values: [a], default: [a]", "type: list<integer>, values: [a]"),
    ("type: list<integer>, default: [1]", "type: list<integer>, default: 1"),
    ("type: string, pattern: a", "type: integer, pattern: a"),
    ("type: number, min: 0.5", "type: boolean, min: 0"),
    ("type: secret, default: env:A", "type: secret, default: hunter2"),
    ("type: string, required: true", "type: string, required: true, default: a"),
    ("type: string, default: a, required: false", "type: string, required: false"),
    ("type: string, abstract: false, default: a", "type: string, abstract: true"),
]
DOCUMENTS: Final = [
    ("scenario: a\nversion: 1\nextends: base", "scenario: a\nversion: 1"),
    ("scenario: a\nversion: 1\nextends: [base]", "scenario: a\nversion: 1\nextends: []"),
    ("template: a\nversion: 1", "template: a"),
    ("template: a\nversion: 1\nparameters: {b: {type: string, abstract: true}}",
     "template: a\nversion: 1\nparameters: {b: {type: string, abstract: true, default: c}}"),
    ("suite: a\nversion: 1\nscenarios: [{scenario: b}]", "suite: a\nversion: 1\nscenarios: []"),
    ("scenario: a\nversion: 1\nextends: base\nparameters: {rate: 7}",
     "scenario: a\nversion: 1\nsteps: [{wait: 1s}]\nparameters: {rate: 7}"),
    ("scenario: a\nversion: 1\nextends: base\nparameters: {rate: {replace: true, type: integer}}",
     "scenario: a\nversion: 1\nsteps: [{wait: 1s}]\nparameters: {rate: {replace: true}}"),
    ("scenario: a\nversion: 1\nextends: base\nprobes: {remove: [seen]}",
     "scenario: a\nversion: 1\nsteps: [{wait: 1s}]\nprobes: {remove: {process: a}}"),
    ("scenario: a\nversion: 1\nextends: base\nsteps: [{id: stop, hold: 9s, with: {grace: 1s}}]",
     "scenario: a\nversion: 1\nextends: base\nsteps: [{hold: 9s}]"),
    ("scenario: a\nversion: 1\nextends: base\nsteps: [{wait: 1s, before: stop}]",
     "scenario: a\nversion: 1\nextends: base\nsteps: [{wait: 1s, before: 7}]"),
    ("scenario: a\nversion: 1\nextends: base\nsteps: {replace: true, items: [{wait: 1s}]}",
     "scenario: a\nversion: 1\nextends: base\nsteps: {items: [], nonsense: 1}"),
    ("scenario: a\nversion: 1\nextends: base\nsteady_state: [{id: healthy, weight: 2}]",
     "scenario: a\nversion: 1\nextends: base\nsteady_state: [{weight: 2}]"),
]  # fmt: skip


def admitted(text: str) -> tuple[bool, bool]:
    """Return whether the schema, and whether the decoder, admits a document."""
    try:
        READER.read(text, file="any.yaml", library=LIBRARY)
    except InvalidDocumentError:
        decoded = False
    else:
        decoded = True
    return SCHEMA.is_valid(read(text, file="any.yaml")), decoded


def with_step(step: str) -> str:
    others = f"- {{id: other, wait: 9s}}\n- {{id: broken, {STOP}, hold: 1s}}"
    return f"scenario: good\nversion: 1\nsteps:\n{others}\n- {{{step}, needs: []}}\n"


@pytest.mark.parametrize(("good", "bad"), STEPS)
def test_what_keys_of_a_step_go_together(good: str, bad: str) -> None:
    afterwards = "background" not in good and "after_fault" not in bad
    text = with_step(good) if afterwards else with_step(good).replace(", needs: []", "")

    assert admitted(text) == (True, True)
    assert admitted(with_step(bad)) == (False, False)


@pytest.mark.parametrize(("good", "bad"), PARAMETERS)
def test_what_keys_of_a_parameter_go_together(good: str, bad: str) -> None:
    text = "scenario: good\nversion: 1\nparameters: {one: {%s}}\nsteps: [{wait: 1s}]\n"

    assert admitted(text % good) == (True, True)
    assert admitted(text % bad) == (False, False)


@pytest.mark.parametrize(("good", "bad"), DOCUMENTS)
def test_what_documents_may_say(good: str, bad: str) -> None:
    assert admitted(good) == (True, True)
    assert admitted(bad) == (False, False)
