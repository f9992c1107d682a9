"""The JSON Schema of topologies, made of the forms that they are read by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from test_coordination.adapters.documents.forms.form import NAME_SHAPE, WORD_SHAPE
from test_coordination.adapters.documents.forms.topology import (
    BudgetForm,
    HealthForm,
    InvariantForm,
    LinkForm,
    ServiceForm,
    StateForm,
    StoreForm,
    TopologyForm,
)
from test_coordination.adapters.documents.schemas.parts import (
    DRAFT,
    chosen,
    finished,
    form_shape,
    having,
    needing,
    ref,
)
from test_coordination.adapters.documents.systems.addresses import PORT_MAX
from test_coordination.adapters.documents.systems.services import SERVICES_MAX
from test_coordination.adapters.documents.systems.topology import BUILT_IN
from test_coordination.adapters.documents.words import enumerated
from test_coordination.adapters.shapes import Shape

TOPOLOGY_ID: Final = "urn:test-coordination:topology:1"

_DESCRIPTION: Final = (
    "The services of a system, how each is started and seen to be healthy, and what connects them."
)
_PORT: Final[Shape] = {"type": "integer", "minimum": 1, "maximum": PORT_MAX}
_PATH: Final[Shape] = {"type": "string", "pattern": "^/"}


def topology_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 7) of topologies; see `scenario_schema`."""
    given = {
        "variables": _named("variable", WORD_SHAPE, but=BUILT_IN),
        "services": {
            **_named("service", NAME_SHAPE, but=["links"]),
            "minProperties": 1,
            "maxProperties": SERVICES_MAX,
        },
        "links": _named("link", NAME_SHAPE),
        "stores": _named("store", NAME_SHAPE),
        "invariants": {"type": "array", "items": ref("invariant")},
        "blast_radius": ref("blast-radius"),
    }
    whole = finished(
        {
            "title": "Topology",
            "description": _DESCRIPTION,
            **form_shape(TopologyForm, given),
            "definitions": _definitions(),
        }
    )
    whole["required"] = ["topology", *whole["required"]]
    return {"$schema": DRAFT, "$id": TOPOLOGY_ID, **whole}


def _definitions() -> Mapping[str, Shape]:
    ports: Shape = {
        "type": "object",
        "propertyNames": _names(WORD_SHAPE, ["address"]),
        "additionalProperties": _PORT,
    }
    command: Shape = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    variables: Shape = {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": "string"},
    }
    state = _named("state", WORD_SHAPE)
    given = {
        "command": command,
        "env": variables,
        "ports": ports,
        "health": ref("health"),
        "state": state,
    }
    return {
        "variable": {"type": "string"},
        "service": form_shape(ServiceForm, given),
        "health": _health(),
        "state": _state(),
        "link": form_shape(LinkForm, {"listen": _PORT}),
        "store": form_shape(StoreForm),
        "invariant": form_shape(InvariantForm),
        "blast-radius": {**form_shape(BudgetForm), "minProperties": 1},
    }


def _named(definition: str, names: Shape, *, but: tuple[str, ...] | list[str] = ()) -> Shape:
    return {
        "type": "object",
        "propertyNames": _names(names, [*but]),
        "additionalProperties": ref(definition),
    }


def _names(shape: Shape, but: list[str]) -> Shape:
    """Return the shape of names, some of which stand for something else already."""
    if not but:
        return {"pattern": shape["pattern"]}
    return {"pattern": f"^(?!(?:{'|'.join(but)})$){shape['pattern'].removeprefix('^')}"}


def _health() -> Shape:
    ways = ["http", "tcp", "unix"]
    whole = form_shape(HealthForm, {"http": _PATH})
    said = f"a health check needs the key that says how to look: {enumerated(ways)}"
    return {**whole, **_one_of(ways, said)}


def _state() -> Shape:
    ways = ["http", "sql", "process"]
    whole = form_shape(StateForm, {"http": _PATH})
    said = "a part of the state needs the key that says how to read it: " + enumerated(ways)
    asked: Shape = {"dependencies": {"sql": ["query"]}}
    return {**whole, **asked, **_one_of(ways, said)}


def _one_of(ways: list[str], said: str) -> Shape:
    branches = [
        (having(way), {"properties": {one: False for one in ways if one != way}}) for way in ways
    ]
    return chosen(branches, otherwise=needing(ways, said))
