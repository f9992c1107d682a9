"""What there is to know of a fault, an action or a probe, as people read it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from test_coordination.interfaces.cli.layout import fold, heading
from test_coordination.interfaces.cli.program import Manual, ManualKey

UNDER = {"fault": "under `with`", "action": "under `with`", "probe": "under its name"}
"""Where parameters are written."""


def manual_lines(manual: Manual, *, columns: int) -> Iterator[str]:
    """Yield the lines about ``manual``, with their colours."""
    yield f"{click.style(manual.name, bold=True)} ({manual.noun})"
    yield fold(_sentence(manual.summary), columns=columns)
    if manual.facts:
        yield ""
    for name, text in manual.facts.items():
        words = f"{name}: {text}"
        yield fold(words, columns=columns, first="", later="  ")
    yield ""
    if manual.parameters:
        yield f"{heading('parameters')}, {UNDER[manual.noun]}"
        label = max(len(each.name) for each in manual.parameters)
        for each in manual.parameters:
            yield from _parameter(each, label, columns)
    else:
        yield f"{heading('parameters')}: none"
    yield ""
    yield heading("in a scenario")
    for line in manual.example.splitlines():
        yield f"  {line}"


def manual_document(manual: Manual) -> dict[str, object]:
    """Return ``manual`` as JSON has it; defaults and examples are YAML."""
    return {
        "kind": manual.noun,
        "name": manual.name,
        "summary": manual.summary,
        "facts": dict(manual.facts),
        "parameters": [
            {
                "name": each.name,
                "value": each.value,
                "required": each.required,
                "default": each.default or None,
                "example": each.example or None,
                "description": each.description,
            }
            for each in manual.parameters
        ],
        "example": manual.example,
    }


def _parameter(each: ManualKey, label: int, columns: int) -> Iterator[str]:
    facts = [each.value]
    if each.required:
        facts.append("required")
    elif each.default:
        facts.append(f"{each.default} if left out")
    name = click.style(f"{each.name:<{label}}", bold=each.required)
    start = " " * (label + 4)
    first, *more = fold("; ".join(facts), columns=columns - len(start)).split("\n")
    yield f"  {name}  {first}"
    yield from (start + line for line in more)
    example = f" (e.g. {each.example})" if each.example else ""
    yield click.style(fold(each.description + example, columns=columns, first=start), dim=True)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
