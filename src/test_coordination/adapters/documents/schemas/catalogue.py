"""Faults, actions and probes in the JSON Schema of a document: each with its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from test_coordination.adapters.documents.capabilities import SHORT_FORMS
from test_coordination.adapters.documents.schemas.parts import (
    ANY_MAP,
    REPLACE,
    chosen,
    having,
    needing,
    opened,
    ref,
)
from test_coordination.adapters.documents.words import enumerated
from test_coordination.adapters.shapes import Shape
from test_coordination.application.capabilities import Catalogue, Parameterised

INHERITED: Final = ".inherited"
"""What ends the names of definitions in documents that extend others."""


def parameter_definitions(catalogue: Catalogue) -> Mapping[str, Shape]:
    """Return the parameters of all there is, as ``fault.NAME``, ``action.NAME``, ``probe.NAME``.

    Those of which some may be inherited end in ``.inherited``.
    """
    groups: Mapping[str, Mapping[str, Parameterised]] = {
        "fault": catalogue.faults,
        "action": catalogue.actions,
        "probe": catalogue.probes,
    }
    found: dict[str, Shape] = {}
    for noun, kinds in groups.items():
        for name, kind in kinds.items():
            said: Shape = {"title": name, "description": kind.summary}
            shape = {**said, **opened(kind.schema())}
            found[f"{noun}.{name}"] = shape
            found[f"{noun}.{name}{INHERITED}"] = _inheriting(shape)
    return found


def names_of(kinds: Mapping[str, Parameterised]) -> Shape:
    """Return the shape of a name of one of ``kinds``, each with what it does."""
    return {"enum": [*kinds], "enumDescriptions": [kind.summary for kind in kinds.values()]}


def given_with(noun: str, kinds: Mapping[str, Parameterised], *, extending: bool) -> list[Shape]:
    """Return the rules by which ``with`` has the parameters of what ``noun`` names.

    Where the document is ``extending`` others, parameters may be inherited.
    """
    return [
        {
            "if": having(**{noun: {"const": name}}),
            "then": _parameters(f"{noun}.{name}", kind, extending=extending),
        }
        for name, kind in kinds.items()
    ]


def _parameters(definition: str, kind: Parameterised, *, extending: bool) -> Shape:
    schema: Mapping[str, Any] = kind.schema()
    shape = {
        **ref(f"{definition}{INHERITED if extending else ''}"),
        "description": f"the parameters of {kind.kind}",
        "examples": [one for one in [example(schema)] if one],
    }
    out: Shape = {"properties": {"with": shape}}
    return {**out, "required": ["with"]} if schema.get("required") and not extending else out


def example(schema: Mapping[str, Any]) -> Shape:
    """Return parameters as an author may write them: those required, or else the first."""
    shown = {
        name: shape["examples"][0]
        for name, shape in schema["properties"].items()
        if "examples" in shape
    }
    names = [name for name in shown if name in schema.get("required", [])]
    return {name: shown[name] for name in names or [*shown][:1]}


def _inheriting(shape: Shape) -> Shape:
    out = {key: value for key, value in shape.items() if key != "required"}
    return {**out, "properties": {**shape.get("properties", {}), "replace": REPLACE}}


def probe_shape(
    kinds: Mapping[str, Parameterised], beside: Mapping[str, Shape], *, extending: bool
) -> Shape:
    """Return the shape of a probe of one of ``kinds``, with the keys that stand ``beside``."""
    looks = {name: _look(name, kind, extending=extending) for name, kind in kinds.items()}
    whole: Shape = {
        "type": "object",
        "properties": {**looks, **beside},
        "additionalProperties": False,
    }
    if extending:
        whole["properties"]["replace"] = REPLACE
    if not kinds:
        return whole
    one_of_them = chosen(
        [
            (having(name), {"properties": {one: False for one in looks if one != name}})
            for name in looks
        ],
        otherwise={}
        if extending
        else needing(
            [*kinds], f"a probe needs the key that says what it looks at: {enumerated([*kinds])}"
        ),
    )
    return {**whole, **one_of_them}


def _look(name: str, kind: Parameterised, *, extending: bool) -> Shape:
    parameters = ref(f"probe.{name}{INHERITED if extending else ''}")
    out: Shape = {"description": kind.summary}
    if name not in SHORT_FORMS:
        return {**parameters, **out}
    short: Shape = dict(opened(kind.schema())["properties"][SHORT_FORMS[name]])
    return {**out, "if": ANY_MAP, "then": parameters, "else": short}
