"""How values in documents are described to editors and readers: JSON Schema, and a few words.

Beside what JSON Schema knows, a shape may have keys that only we read: ``x-type`` is what people
call such a value, ``x-bounds`` says in words between what it must lie where a schema cannot, and
``x-open`` tells that an expression may stand in its place, or inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from test_coordination.domain.values import DURATION_EXPECTED, DURATION_TEXT_MAX, format_duration

Shape: TypeAlias = dict[str, Any]

TYPE: Final = "x-type"
BOUNDS: Final = "x-bounds"
OPENED: Final = "x-open"

OPEN: Final = r"\$\{\{"
"""The pattern of a text that holds an expression."""

WHOLE: Final = r"^\s*\$\{\{[\s\S]*\}\}\s*$"
"""The pattern of a text that is one expression, as far as a pattern can tell."""

_AMOUNT: Final = r"[0-9]+(?:\.[0-9]+)?"
_TERMS: Final = "".join(f"(?:{_AMOUNT}{unit})?" for unit in ("d", "h", "m", "s", "ms"))

_ALONE: Final = "or an expression"
_INSIDE: Final = "or a text with expressions"
_ABOUT: Final = frozenset({"description", "default", "examples", TYPE, BOUNDS})

DURATION: Final[Shape] = {
    "type": "string",
    "pattern": f"^(?=.){_TERMS}$",
    "patternErrorMessage": f"this must be {DURATION_EXPECTED}",
    "maxLength": DURATION_TEXT_MAX,
    TYPE: "duration",
}


def span(
    *,
    above: timedelta | None = None,
    least: timedelta | None = None,
    most: timedelta | None = None,
) -> str:
    """Return in words between what a duration lies; a bound that is None does not count."""
    words = [
        f"more than {format_duration(above)}" if above is not None else "",
        f"at least {format_duration(least)}" if least is not None else "",
        f"at most {format_duration(most)}" if most is not None else "",
    ]
    return " and ".join(filter(None, words))


def shown_as(shape: Mapping[str, object]) -> Any:
    """Return the type that a check of pydantic names as what it takes, to be shown as ``shape``."""
    return Annotated[Any, WithJsonSchema(dict(shape))]


def model_shape(model: type[BaseModel]) -> Shape:
    """Return the shape of a map with the fields of ``model``, as an author writes them.

    What may be left out has no value of its own: nobody writes null for it.
    """
    found = model.model_json_schema(by_alias=True, mode="validation")
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    properties = {
        key: _property(shape, fields[key]) for key, shape in found.get("properties", {}).items()
    }
    whole: Shape = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**whole, "required": found["required"]} if "required" in found else whole


def _property(found: Shape, field: FieldInfo) -> Shape:
    shape = {key: value for key, value in found.items() if key not in {"title", "default"}}
    if "anyOf" in shape:
        others = [one for one in shape.pop("anyOf") if one != {"type": "null"}]
        shape = {**others[0], **shape} if len(others) == 1 else {"anyOf": others, **shape}
    if field.examples:
        shape["examples"] = field.examples  # with their keys in the order of their author
    if isinstance(field.default, timedelta):
        return {**shape, "default": format_duration(field.default)}
    if "default" in found and found["default"] not in (None, ""):
        return {**shape, "default": _written(found["default"], shape)}
    return shape


def _written(default: Any, shape: Shape) -> Any:
    """Return a default as an author would write it."""
    if isinstance(default, list) and len(default) == 1 and "anyOf" in shape:
        return default[0]
    return int(default) if isinstance(default, float) and default.is_integer() else default


def matching(pattern: str, *, called: str, said: str) -> Shape:
    """Return the shape of a text that matches; ``said`` completes "it must be" in an editor."""
    message = f"this must be {said}"
    return {"type": "string", "pattern": pattern, "patternErrorMessage": message, TYPE: called}


def admitting(shape: Mapping[str, Any], *, inside: bool = False) -> Shape:
    """Return ``shape`` or an expression for such a value; with ``inside`` a text may hold some.

    What is said about the value is said about the whole.
    """
    pattern, opened = (OPEN, _INSIDE) if inside else (WHOLE, _ALONE)
    if shape.get("type") == "string":
        if "pattern" not in shape:
            return {**shape, OPENED: opened}
        out = {key: value for key, value in shape.items() if key != "maxLength"}
        if "patternErrorMessage" in out:
            out["patternErrorMessage"] += ", or an expression as in ${{ … }}"
        return {**out, "pattern": f"{shape['pattern']}|{pattern}", OPENED: opened}
    about = {key: value for key, value in shape.items() if key in _ABOUT}
    plain = {key: value for key, value in shape.items() if key not in _ABOUT}
    if not plain:
        return {**about, OPENED: opened}
    alternatives = plain["anyOf"] if list(plain) == ["anyOf"] else [plain]
    text = {"type": "string", "pattern": pattern}
    return {**about, "anyOf": [*alternatives, text], OPENED: opened}
