"""An author's editor points out mistakes and offers what may be written, by a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support.yaml_language_server import Diagnostic, Editor, editing

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["scenario"],
    "additionalProperties": False,
    "properties": {
        "scenario": {"type": "string", "description": "The name that others call it by."},
        "title": {"type": "string"},
        "on_error": {"enum": ["fail", "continue", "ignore"]},
    },
}


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncGenerator[Editor]:
    schema = tmp_path / "small.schema.json"
    schema.write_text(json.dumps(SCHEMA))
    async with editing(tmp_path, schemas={schema: "*.yaml"}) as opened:
        yield opened


async def test_a_file_that_keeps_to_the_schema_is_left_in_peace(editor: Editor) -> None:
    file = await editor.open("scenario: outage\non_error: ignore\n")

    assert file.diagnostics == ()


async def test_a_mistake_is_pointed_out_where_it_stands(editor: Editor) -> None:
    file = await editor.open('{scenario: "🜁", on_errors: fail}\n')

    assert file.diagnostics == (
        Diagnostic(line=1, column=17, text="Property on_errors is not allowed."),
    )


async def test_what_may_be_written_is_offered_with_its_description(editor: Editor) -> None:
    keys = await (await editor.open("title: An outage\n\n")).suggestions(line=2, column=1)
    line = '{title: "🜁", on_error: '
    values = await (await editor.open(f"{line}}}\n")).suggestions(line=1, column=len(line) + 1)

    offered = {each.label: each.documentation for each in keys}
    assert offered["scenario"] == "The name that others call it by."
    assert offered["on_error"] == ""
    assert "title" not in offered
    assert [each.inserts for each in values] == ["fail", "continue", "ignore"]


async def test_a_file_may_name_its_schema_itself(tmp_path: Path) -> None:
    (tmp_path / "named.schema.json").write_text(json.dumps(SCHEMA))
    async with editing(tmp_path, schemas={}) as editor:
        named = "# yaml-language-server: $schema=./named.schema.json\n"
        file = await editor.open(f"{named}scenario: 7\n", name="outage.scenario")

    assert [(each.line, each.column) for each in file.diagnostics] == [(2, 11)]
