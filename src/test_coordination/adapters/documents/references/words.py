"""Shapes of values and their keys as people read them: words, tables, and YAML on one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import yaml

from test_coordination.adapters.documents.words import enumerated
from test_coordination.adapters.shapes import BOUNDS, OPEN, OPENED, TYPE, WHOLE, span
from test_coordination.domain.arguments import INTEGER_MAX
from test_coordination.domain.steps import HOLD_MAX

USUAL: Final = span(above=timedelta(0), most=HOLD_MAX)
"""The bounds of a duration of which nothing else is said."""

_WIDTH: Final = 10_000
_SHOWN_MAX: Final = 40
_PLAIN: Final = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "map",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWords:
    """One key, or one parameter, in words; ``value`` and ``default`` are as YAML writes them."""

    key: str
    value: str
    default: str
    description: str
    required: bool = False
    example: str = ""


def yaml_line(value: object) -> str:
    """Return ``value`` as YAML on a single line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=_WIDTH, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def key_words(shape: Mapping[str, Any], said: Mapping[str, str] | None = None) -> list[KeyWords]:
    """Return the keys of a map in words, those that are required first.

    What is ``said`` of a value stands for what its shape tells.
    """
    required = shape.get("required", [])
    found = [
        KeyWords(
            key=key,
            value=(said or {}).get(key) or value_words(one),
            default=yaml_line(one["default"]) if "default" in one else "",
            description=one.get("description", ""),
            required=key in required,
            example=yaml_line(one["examples"][0]) if one.get("examples") else "",
        )
        for key, one in shape["properties"].items()
    ]
    return sorted(found, key=lambda words: not words.required)


def value_words(shape: Mapping[str, Any]) -> str:
    """Return in words what a value of that shape is, its bounds included if they are unusual."""
    bounds = shape.get(BOUNDS) or _range(shape)
    opened = f" {shape[OPENED]}" if OPENED in shape else ""
    return _kind(shape) + opened + (f", {bounds}" if bounds not in {"", USUAL} else "")


def _kind(shape: Mapping[str, Any]) -> str:
    if TYPE in shape:
        return str(shape[TYPE])
    if "enum" in shape:
        return enumerated([f"`{yaml_line(one)}`" for one in shape["enum"]])
    if "anyOf" in shape:
        alternatives = [one for one in shape["anyOf"] if one.get("pattern") not in {OPEN, WHOLE}]
        return enumerated(list(dict.fromkeys(map(value_words, alternatives))))
    if shape.get("type") == "array":
        return f"list of: {value_words(shape['items'])}" if "items" in shape else "list"
    if isinstance(shape.get("additionalProperties"), Mapping):
        return f"map of names to: {value_words(shape['additionalProperties'])}"
    return _PLAIN.get(str(shape.get("type")), "anything")


def _range(shape: Mapping[str, Any]) -> str:
    if shape.get("minimum", 0) <= -INTEGER_MAX:
        return ""  # all that there are
    words = [
        f"{said} {_number(shape[key])}"
        for key, said in (
            ("exclusiveMinimum", "more than"),
            ("minimum", "at least"),
            ("exclusiveMaximum", "less than"),
            ("maximum", "at most"),
        )
        if key in shape
    ]
    return " and ".join(words)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; columns that are empty throughout are left out."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    kept = [place for place in range(len(head)) if any(line[place] for line in lines)]
    out = [[head[place] for place in kept], ["---"] * len(kept)]
    out += [[line[place] for place in kept] for line in lines]
    return ["", *(f"| {' | '.join(cells)} |" for cells in out), ""]


def keys_table(keys: Iterable[KeyWords]) -> list[str]:
    """Return a table of keys."""
    rows = (
        [
            f"`{one.key}`" + (" (required)" if one.required else ""),
            one.value,
            f"`{one.default}`" if one.default else "",
            _escaped(one.description) + ("" if one.example in one.value else _shown(one.example)),
        ]
        for one in keys
    )
    return table(["key", "value", "if left out", "what it is"], rows)


def _shown(example: str) -> str:
    return f"; e.g. `{example}`" if example and len(example) <= _SHOWN_MAX else ""


def examples(keys: Iterable[KeyWords]) -> list[str]:
    """Return a block of the examples that are too long to stand in the table of ``keys``."""
    shown = [f"{one.key}: {one.example}" for one in keys if len(one.example) > _SHOWN_MAX]
    return ["```yaml", *shown, "```", ""] if shown else []


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;")


def page(lines: Iterable[str]) -> str:
    """Return the text of a page; nowhere is more than one line empty."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def anchor(title: str) -> str:
    """Return what a link to the heading ``title`` ends with."""
    kept = "".join(each for each in title.lower() if each.isalnum() or each in " -_")
    return kept.replace(" ", "-")


def contents(lines: Iterable[str]) -> list[str]:
    """Return a list of links to the headings among ``lines``, the first level left out."""
    headings = [line for line in lines if line.startswith(("## ", "### "))]
    return [
        f"{'  ' * (line.index(' ') - 2)}- [{title}](#{anchor(title)})"
        for line in headings
        for title in [line.lstrip("# ").replace("`", "")]
    ]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
