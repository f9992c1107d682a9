"""The JSON Schema of scenarios, templates and suites, made of the forms that they are read by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from test_coordination.adapters.documents.forms.fields import NAMED_SCENARIO
from test_coordination.adapters.documents.forms.form import Form
from test_coordination.adapters.documents.forms.scenario import (
    BlastRadiusForm,
    CheckForm,
    DependencyForm,
    FailureForm,
    ProbeForm,
    ResourcesForm,
    ScenarioForm,
    StartForm,
    SteadyForm,
    StopRuleForm,
    TemplateForm,
)
from test_coordination.adapters.documents.forms.suite import SuiteEntryForm, SuiteForm
from test_coordination.adapters.documents.schemas.catalogue import (
    INHERITED,
    given_with,
    names_of,
    parameter_definitions,
    probe_shape,
)
from test_coordination.adapters.documents.schemas.declarations import (
    WORD_KEYS,
    declaration,
    declarations,
    inherited,
)
from test_coordination.adapters.documents.schemas.parts import (
    ANY_MAP,
    DRAFT,
    chosen,
    finished,
    form_shape,
    having,
    listed,
    needing,
    placed,
    ref,
)
from test_coordination.adapters.documents.schemas.steps import StepShapes, step_definitions
from test_coordination.adapters.shapes import WHOLE, Shape
from test_coordination.application.capabilities import Catalogue
from test_coordination.domain.scenario import DocumentKind

SCENARIO_ID: Final = "urn:test-coordination:scenario:1"

_EXTENDS: Final[Shape] = {
    "anyOf": [
        NAMED_SCENARIO,
        {"type": "array", "items": NAMED_SCENARIO, "minItems": 1, "uniqueItems": True},
    ]
}
_VERSION: Final[Shape] = {"const": 1}
_AXIS: Final[Shape] = {
    "anyOf": [{"type": "array", "minItems": 1}, {"type": "string", "pattern": WHOLE}]
}
_MATRIX: Final[Shape] = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,62}$"},
    "additionalProperties": _AXIS,
    "minProperties": 1,
}
_BODIES: Final[Mapping[DocumentKind, type[Form]]] = {
    DocumentKind.SCENARIO: ScenarioForm,
    DocumentKind.TEMPLATE: TemplateForm,
}
_DESCRIPTION: Final = (
    "One document of the scenario language, version 1: a scenario, a template or a suite, as its "
    "first key says. What a schema cannot see, such as a name that nothing has, is told by "
    "tcoord check."
)


def scenario_schema(catalogue: Catalogue) -> dict[str, Any]:
    """Return the JSON Schema (draft 7) of documents that may ask for what is in ``catalogue``.

    It admits all that the decoder admits of a document as an author would write it, and refuses
    what is wrong with its keys and the types of its values; a step stands beside its
    ``background`` or under it, but not half here and half there, and words of inheritance only
    where something is extended. It is the same each time.
    """
    definitions: dict[str, Shape] = {
        **_documents(),
        **_parts(catalogue, extending=False),
        **_parts(catalogue, extending=True),
        **step_definitions(catalogue),
        **parameter_definitions(catalogue),
    }
    said = "the first key says what the document is: scenario, template or suite"
    forms: dict[DocumentKind, type[Form]] = {**_BODIES, DocumentKind.SUITE: SuiteForm}
    names = {kind.value: form_shape(form)["properties"][kind] for kind, form in forms.items()}
    nothing: Shape = {"properties": names, "allOf": [needing([*names], said)]}
    kinds = [(having(kind.value), _document(kind)) for kind in DocumentKind]
    whole: dict[str, Any] = finished(
        {
            "title": "scenario, template or suite",
            "description": _DESCRIPTION,
            "type": "object",
            **chosen(kinds, otherwise=nothing),
            "definitions": definitions,
        }
    )
    return {"$schema": DRAFT, "$id": SCENARIO_ID, **whole}


def _document(kind: DocumentKind) -> Shape:
    if kind is DocumentKind.SUITE:
        return ref(kind.value)
    return {
        "if": having("extends"),
        "then": ref(f"{kind}{INHERITED}"),
        "else": ref(kind.value),
    }


def _documents() -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for kind in _BODIES:
        for extending in (False, True):
            suffix = INHERITED if extending else ""
            found[f"{kind}{suffix}"] = _body(kind, extending=extending)
            found[f"parameter.{kind}{suffix}"] = declaration(kind, extending=extending)
    entries = {**listed("suite.entry", extending=False), "minItems": 1}
    given = {
        "version": _VERSION,
        "parameters": declarations(f"parameter.{DocumentKind.SCENARIO}", extending=False),
        "matrix": _MATRIX,
        "scenarios": entries,
    }
    found["suite"] = form_shape(SuiteForm, given)
    found["suite.entry"] = form_shape(SuiteEntryForm, {"with": ANY_MAP, "matrix": _MATRIX})
    return found


def _body(kind: DocumentKind, *, extending: bool) -> Shape:
    suffix = INHERITED if extending else ""
    steps = listed(f"step{suffix}", extending=extending)
    lists = {
        "preconditions": "check",
        "steady_state": "steady",
        "stop_when": "stop-rule",
        "postconditions": "check",
        "on_failure": "failure",
    }
    parts = {"resources": "resources", "blast_radius": "blast-radius", "start": "start"}
    given = {
        "version": _VERSION,
        "extends": _EXTENDS,
        "parameters": declarations(f"parameter.{kind}{suffix}", extending=extending),
        "depends_on": listed("dependency", extending=extending, named=False),
        "probes": ref(f"probes{suffix}"),
        "steps": steps if extending else {**steps, "minItems": 1},
        **{key: listed(f"{one}{suffix}", extending=extending) for key, one in lists.items()},
        **{key: ref(f"{one}{suffix}") for key, one in parts.items()},
    }
    whole = form_shape(_BODIES[kind], given)
    first = (kind.value, "version", "extends")
    properties = whole["properties"]
    whole["properties"] = {key: properties[key] for key in first} | properties
    if extending:
        whole["required"] = ["version"]
    return whole


def _parts(catalogue: Catalogue, *, extending: bool) -> dict[str, Shape]:
    suffix = INHERITED if extending else ""
    retry = {"retry": StepShapes(catalogue, extending=extending).own("retry")}
    failure = form_shape(
        FailureForm,
        {"action": names_of(catalogue.actions), **retry},
        extending=extending,
        known=True,
    )
    failure["properties"]["with"] = True  # what it holds, the rules say
    failure["allOf"] = given_with("action", catalogue.actions, extending=extending)
    entries = {
        "check": form_shape(CheckForm, extending=extending, known=True),
        "steady": form_shape(SteadyForm, extending=extending, known=True),
        "stop-rule": form_shape(StopRuleForm, extending=extending, known=True),
        "failure": failure,
    }
    if extending:
        entries = {name: placed(shape) for name, shape in entries.items()}
    beside = form_shape(ProbeForm)["properties"]
    probes: Shape = {
        "type": "object",
        "propertyNames": WORD_KEYS,
        "additionalProperties": ref(f"probe-entry{suffix}"),
    }
    radius = form_shape(BlastRadiusForm, extending=extending)
    found: dict[str, Shape] = {
        **entries,
        "probes": inherited(probes, bare=False) if extending else probes,
        "probe-entry": probe_shape(catalogue.probes, beside, extending=extending),
        "start": form_shape(StartForm, extending=extending),
        "resources": form_shape(ResourcesForm, extending=extending),
        "blast-radius": radius if extending else {**radius, "minProperties": 1},
    }
    if not extending:
        found["dependency"] = form_shape(DependencyForm)
    return {f"{name}{suffix}": shape for name, shape in found.items()}
