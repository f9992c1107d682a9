"""What the JSON Schema of a document is put together from: forms, references, and choices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from test_coordination.adapters.documents.forms.form import Form
from test_coordination.adapters.shapes import BOUNDS, OPENED, TYPE, Shape, admitting, model_shape

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
ANY_MAP: Final[Shape] = {"type": "object"}
REPLACE: Final[Shape] = {
    "const": True,
    "description": "keep nothing of what is inherited here",
}
NAMES: Final[Shape] = {"type": "array", "items": {"type": "string"}}

_OURS: Final = (TYPE, BOUNDS, OPENED)
_ABOUT: Final = ("description", "default", "examples")
# Under these keys stand values, not schemas.
_VALUES: Final = frozenset({"const", "default", "enum", "examples", "required", "enumDescriptions"})
_MAPS_OF_SHAPES: Final = frozenset({"properties", "definitions", "dependencies"})


def ref(name: str) -> Shape:
    """Return a reference to the definition of that name."""
    return {"$ref": f"#/definitions/{name}"}


def about(shape: Mapping[str, Any], of: Mapping[str, Any]) -> Shape:
    """Return ``shape`` with what is said about the shape ``of`` the same thing."""
    return {**shape, **{key: of[key] for key in _ABOUT if key in of}}


def form_shape(
    form: type[Form],
    given: Mapping[str, Shape] | None = None,
    *,
    extending: bool = False,
    known: bool = False,
) -> Shape:
    """Return the shape of a map that fills ``form``; ``given`` are those of keys it leaves open.

    Where the document is ``extending`` others, what is required may be inherited, and all that
    is inherited may be replaced; it is ``known`` by its id if that tells whether it is.
    """
    whole = {"title": form.noun.removeprefix("an ").removeprefix("a "), **model_shape(form)}
    properties = whole["properties"]
    for key, shape in (given or {}).items():
        if key in properties:
            properties[key] = about(shape, properties[key])
    required = sorted(form.required)
    whole.pop("required", None)
    if extending:
        properties["replace"] = REPLACE
        if known and required:
            whole["if"] = {"required": ["id"]}
            whole["else"] = {"required": required}
    elif required:
        whole["required"] = required
    return whole


def chosen(branches: Iterable[tuple[Shape, Shape]], *, otherwise: Shape) -> Shape:
    """Return the shape that is the first branch whose condition is met, else ``otherwise``."""
    out = otherwise
    for condition, shape in reversed([*branches]):
        out = {"if": condition, "then": shape, "else": out}
    return out


def having(*keys: str, **values: Shape) -> Shape:
    """Return the condition that a map has ``keys``, and those named with such values."""
    found: Shape = {"type": "object", "required": [*keys, *values]}
    return {**found, "properties": values} if values else found


def needing(keys: Sequence[str], message: str) -> Shape:
    """Return the complaint that none of ``keys`` is there, in our own words in an editor."""
    return {"required": [keys[0]], "errorMessage": message}


def listed(entry: str, *, extending: bool, named: bool = True) -> Shape:
    """Return the shape of a list of what the definition ``entry`` describes.

    Where it is ``extending`` the list of another document it may be a map that says how; its
    entries are ``named`` if they have ids.
    """
    items: Shape = {"type": "array", "items": ref(entry)}
    if not (extending and named):
        return items
    words: Shape = {
        "type": "object",
        "properties": {
            "replace": REPLACE,
            "remove": {**NAMES, "description": "the ids of inherited entries that are dropped"},
            "items": {**items, "description": "the entries themselves"},
        },
        "additionalProperties": False,
    }
    return {"if": {"type": "object"}, "then": words, "else": items}


def placed(shape: Shape) -> Shape:
    """Return the shape of an entry of an inherited list, which may say where it stands."""
    places = {
        place: {
            "type": "string",
            "description": f"the id of the entry {place} which this one is put",
            "examples": ["restart"],
        }
        for place in ("before", "after")
    }
    return {**shape, "properties": {**shape["properties"], **places}}


def opened(shape: Mapping[str, Any]) -> Shape:
    """Return the shape of parameters of which each, or a part of it, may be an expression."""
    out = dict(shape)
    inner = dict(out.get("properties", {}))
    if out.get("type") == "object":
        if inner:
            out["properties"] = {key: opened(one) for key, one in inner.items()}
        if isinstance(out.get("additionalProperties"), Mapping):
            out["additionalProperties"] = opened(out["additionalProperties"])
        return out
    if out.get("type") == "array" and isinstance(out.get("items"), Mapping):
        out["items"] = opened(out["items"])
    return admitting(out, inside=True)


def schema_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as the text of a file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def finished(whole: Shape) -> Shape:
    """Return ``whole`` as others may see it, its definitions completed.

    Our own keys are told in words, or left out; what has a pattern is described only once.
    """
    values: dict[str, Shape] = {}
    out: Shape = _finished(whole, values)
    out["definitions"] = dict(sorted({**out["definitions"], **values}.items()))
    return out


def _finished(shape: Any, values: dict[str, Shape]) -> Any:
    if isinstance(shape, list):
        return [_finished(one, values) for one in shape]
    if not isinstance(shape, Mapping):
        return shape
    out: Shape = {}
    for key, value in shape.items():
        if key in _MAPS_OF_SHAPES:
            out[key] = {name: _finished(one, values) for name, one in value.items()}
        elif key not in _OURS:
            out[key] = value if key in _VALUES else _finished(value, values)
    if BOUNDS in shape and "description" in shape:
        out["description"] = f"{shape['description']} ({shape[BOUNDS]})"
    return _once(shape, out, values) if TYPE in shape and "pattern" in shape else out


def _once(shape: Mapping[str, Any], out: Shape, values: dict[str, Shape]) -> Shape:
    """Return a reference to what ``out`` says of its value, and beside it what it is for."""
    name = " ".join(["a", shape[TYPE], *([shape[OPENED]] if OPENED in shape else [])])
    plain = {key: value for key, value in out.items() if key not in _ABOUT}
    assert values.setdefault(name, plain) == plain, f"{name!r} is two different shapes"
    return about(ref(name.replace(" ", "%20")), out)
