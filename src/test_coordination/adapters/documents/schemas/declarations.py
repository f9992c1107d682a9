"""The declaration of a parameter in the JSON Schema of a document: each type with its own keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from test_coordination.adapters.documents.declarations import (
    BELONGS,
    ITEM_TYPES,
    PARAMETERS_MAX,
    SINGLE_TYPES,
)
from test_coordination.adapters.documents.forms.fields import SHARE
from test_coordination.adapters.documents.forms.form import NAME_SHAPE
from test_coordination.adapters.documents.forms.parameter import ParameterForm
from test_coordination.adapters.documents.patterns import PATTERN_LENGTH_MAX
from test_coordination.adapters.documents.schemas.parts import (
    NAMES,
    REPLACE,
    form_shape,
    having,
    ref,
)
from test_coordination.adapters.shapes import DURATION, TYPE, Shape, matching
from test_coordination.domain.arguments import INTEGER_MAX, ITEMS_MAX, PERCENT_MAX
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.secrets import SECRET_EXPECTED
from test_coordination.domain.values import BYTES_EXPECTED

WORD_KEYS: Final[Shape] = {"pattern": "^(?!(?:remove|replace)$)[a-z][a-z0-9_]{0,62}$"}

_KNOWN_NOW: Final[Shape] = matching(
    r"^(?![\s\S]*\$\{\{)",
    called="value that is known now",
    said="a value that is known now, not an expression",
)
_BYTES: Final = matching(
    r"^[0-9]{1,19}(?:\.[0-9]{1,9})?(?:[KMGT]i?B|B)$", called="size", said=BYTES_EXPECTED
)
_SECRET: Final = matching(
    r"^(?:env:[A-Za-z_][A-Za-z0-9_]{0,254}|file:[^\0\n⟦⟧]{1,1024})$",
    called="secret",
    said=SECRET_EXPECTED,
)
_WHOLE: Final[Shape] = {"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX}
VALUES: Final[Mapping[ParameterType, Shape]] = {
    ParameterType.STRING: _KNOWN_NOW,
    ParameterType.ENUM: _KNOWN_NOW,
    ParameterType.INTEGER: _WHOLE,
    ParameterType.NUMBER: {"type": "number"},
    ParameterType.BOOLEAN: {"type": "boolean"},
    ParameterType.DURATION: DURATION,
    ParameterType.PERCENT: {
        "anyOf": [SHARE, {"type": "number", "minimum": 0, "maximum": PERCENT_MAX}],
        TYPE: "share",
    },
    ParameterType.BYTES: {"anyOf": [_BYTES, {**_WHOLE, "minimum": 0}], TYPE: "size"},
    ParameterType.SERVICE: NAME_SHAPE,
    ParameterType.SECRET: _SECRET,
}
"""What a value of each type looks like in a document, but for lists of them."""

assert VALUES.keys() == set(SINGLE_TYPES), "every type that is no list has a shape"


def declaration(kind: DocumentKind, *, extending: bool) -> Shape:
    """Return the shape of one entry of ``parameters`` in a document of that kind."""
    whole = form_shape(ParameterForm, {"type": _types()}, extending=extending)
    properties = whole["properties"]
    properties["pattern"]["maxLength"] = PATTERN_LENGTH_MAX
    if kind is not DocumentKind.TEMPLATE:
        properties["abstract"] = {**properties["abstract"], "const": False, "doNotSuggest": True}
    rules = [_typed(one, extending=extending) for one in SINGLE_TYPES]
    rules += [_list_of(one, extending=extending) for one in ITEM_TYPES]
    if not extending:
        rules += _sources()
    return {**whole, "allOf": rules}


def declarations(definition: str, *, extending: bool) -> Shape:
    """Return the shape of ``parameters``, of which each is as the ``definition`` says."""
    whole: Shape = {
        "type": "object",
        "propertyNames": WORD_KEYS,
        "additionalProperties": ref(definition),
        "maxProperties": PARAMETERS_MAX,
    }
    return inherited(whole, bare=True) if extending else whole


def inherited(whole: Shape, *, bare: bool) -> Shape:
    """Return the shape of a map laid over an inherited one; a ``bare`` value may stand in it."""
    entry = whole["additionalProperties"]
    if bare:
        entry = {"if": {"type": "object"}, "then": entry}
    return {
        "type": "object",
        "properties": {
            "replace": REPLACE,
            "remove": {**NAMES, "description": "the names that are inherited and dropped"},
        },
        "propertyNames": {"pattern": WORD_KEYS["pattern"].replace("(?!(?:remove|replace)$)", "")},
        "additionalProperties": entry,
    }


def _types() -> Shape:
    names = [*SINGLE_TYPES, *(f"list<{one}>" for one in ITEM_TYPES)]
    spaced = rf"^list<\s*(?:{'|'.join(ITEM_TYPES)})\s*>$"
    return {"anyOf": [{"enum": names}, {"type": "string", "pattern": spaced}], TYPE: "type"}


def _typed(kind: ParameterType, *, extending: bool) -> Shape:
    return _rule({"const": kind.value}, kind, default=VALUES[kind], extending=extending)


def _list_of(kind: ParameterType, *, extending: bool) -> Shape:
    items: Shape = {"type": "array", "items": VALUES[kind], "maxItems": ITEMS_MAX}
    spelled = {"pattern": rf"^list<\s*{kind.value}\s*>$"}
    return _rule(spelled, kind, default=items, extending=extending)


def _rule(spelled: Shape, kind: ParameterType, *, default: Shape, extending: bool) -> Shape:
    """Return what a parameter of that type, or a list of it, may say."""
    keys: dict[str, Any] = {"default": default}
    for key, kinds in BELONGS.items():
        if kind not in kinds:
            keys[key] = False
        elif key in {"min", "max"}:
            keys[key] = VALUES[kind]
    out: Shape = {"properties": keys}
    if kind is ParameterType.ENUM:
        texts: Shape = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        keys["values"] = {**texts, "uniqueItems": True}
        if not extending:
            out["required"] = ["values"]
    return {"if": having(type=spelled), "then": out}


def _sources() -> list[Shape]:
    """Return the rules about where a value comes from: a default, the start, or a child."""
    required, absent = {"required": {"const": False}}, {"default": False}
    return [
        {"if": having("default"), "then": {"properties": required}},
        {"if": having(required={"const": False}), "then": {"required": ["default"]}},
        {"if": having(abstract={"const": True}), "then": {"properties": {**absent, **required}}},
    ]
