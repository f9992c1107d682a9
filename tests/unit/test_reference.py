"""The pages that are made from the code: whole, well-formed, and right in what they show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft7Validator

from support.decoding import ROOT
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.documents.forms.form import Form
from test_coordination.adapters.documents.forms.parameter import ParameterForm
from test_coordination.adapters.documents.forms.scenario import BodyForm
from test_coordination.adapters.documents.forms.step import COMMON_FORMS
from test_coordination.adapters.documents.forms.topology import TopologyForm
from test_coordination.adapters.documents.references.pages import (
    UnknownKindError,
    explain,
    explained,
)
from test_coordination.adapters.documents.references.rules import DOCUMENT, EXPRESSION, YAML
from test_coordination.adapters.documents.references.words import anchor, value_words, yaml_line
from test_coordination.adapters.documents.schemas.parts import form_shape
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.expressions.functions import FUNCTIONS
from test_coordination.domain.names import EXECUTION_FACTS, FAULT_FACTS, STEP_FACTS
from test_coordination.handbook import generated, known

PAGES: Final = {name: text for name, text in generated().items() if name.endswith(".md")}
LANGUAGE: Final = PAGES["docs/reference/scenario-language.md"]
CATALOGUE: Final = PAGES["docs/reference/catalogue.md"]
ABSTRACT: Final = {BodyForm, *COMMON_FORMS[1:]}
INTEGER: Final = "whole number, at least 1 and at most 1,000"
LINK: Final = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def forms(form: type[Form] = Form) -> Iterator[type[Form]]:
    for one in form.__subclasses__():
        if one.__module__.startswith("test_coordination."):
            yield from ([] if one in ABSTRACT else [one])
            yield from forms(one)


ALL: Final = [*dict.fromkeys(forms())]
OF_LANGUAGE: Final = [one for one in ALL if one.__module__ != TopologyForm.__module__]


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.__name__)
def test_every_key_says_what_it_is_for(form: type[Form]) -> None:
    for name, field in form.model_fields.items():
        assert field.description, f"{form.__name__}.{name} has no description"
        assert not field.description.endswith("."), field.description
        assert field.description[0].islower() or field.description[0] == "'", field.description


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.__name__)
def test_the_examples_of_every_key_are_right(form: type[Form]) -> None:
    for key, shape in form_shape(form)["properties"].items():
        for example in shape.get("examples", ()):
            Draft7Validator(shape).validate(example)
        filled = [form.model_validate({key: one}) for one in shape.get("examples", ())]
        assert all(key in str(one.model_fields_set) or filled for one in filled)


@pytest.mark.parametrize("form", OF_LANGUAGE, ids=lambda form: form.__name__)
def test_every_key_is_on_the_page_about_the_language(form: type[Form]) -> None:
    for key, shape in form_shape(form)["properties"].items():
        rows = [line for line in LANGUAGE.splitlines() if line.startswith(f"| `{key}`")]
        assert any(shape["description"].replace("<", "&lt;") in row for row in rows), key


def test_every_name_and_function_of_expressions_is_on_the_page_about_the_language() -> None:
    for group, names in {"steps.ID": STEP_FACTS, "faults.ID": FAULT_FACTS}.items():
        assert all(f"| `{group}.{name}` |" in LANGUAGE for name in names)
    assert all(f"| `execution.{name}` |" in LANGUAGE for name in EXECUTION_FACTS)
    for function in FUNCTIONS:
        assert function.description in LANGUAGE
        assert all(f"`{signature}`" in LANGUAGE for signature in function.signatures)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed(name: str) -> None:
    lines = PAGES[name].splitlines()
    width = 0
    for line in lines:
        columns = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert columns in {0, width} or not width, line
        width = columns
    titles = [line.lstrip("# ") for line in lines if line.startswith("#")]
    assert len(titles) == len(set(titles)), "each heading stands once, so that links find it"
    assert PAGES[name].endswith("\n")
    assert "\n\n\n" not in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    for file, part in LINK.findall(PAGES[name]):
        if file.startswith("http"):
            continue
        target = name if not file else f"docs/reference/{file}"
        assert (folder / file).exists()
        titles = re.findall(r"^#+ (.*)$", PAGES.get(target, ""), re.MULTILINE)
        assert not part or part in [anchor(title) for title in titles], (file, part)


@pytest.mark.parametrize(
    "text", re.findall(r"^```yaml\n(.*?)^```", CATALOGUE, re.DOTALL | re.MULTILINE)
)
def test_what_the_catalogue_shows_can_be_written(text: str) -> None:
    if text.startswith("- "):
        document = f"scenario: shown\nversion: 1\nsteps:\n{text}"
    else:
        document = f"scenario: shown\nversion: 1\n{text}steps:\n- wait: 1s\n"
    reader = DefinitionReader(known(), CelExpressions())

    reader.read(document, file="shown.yaml")


def test_a_name_is_explained_as_all_that_it_stands_for() -> None:
    fault, action = explain("service.stop", known())

    assert (fault.noun, action.noun) == ("fault", "action")
    assert fault.facts["family"] == "service"
    assert "started again" in fault.facts["how it is undone"]
    [grace] = fault.parameters
    assert (grace.key, grace.required, grace.example) == ("grace", False, "2s")
    assert grace.value == "duration, at least 0s and at most 10m"
    assert [(one.key, one.required) for one in action.parameters] == [
        ("service", True),
        ("grace", False),
    ]


def test_of_a_probe_its_readings_and_figures_are_told() -> None:
    [http] = explain("http", known())

    assert http.noun == "probe"
    assert "`status` (integer)" in http.facts["a reading has"]
    assert "`p95_ms`" in http.facts["figures, made of `ms`"]
    assert http.facts["short form"] == "a text alone is its `request`"


def test_what_there_is_not_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownKindError) as refused:
        explain("service.sotp", known())

    assert refused.value.code == "catalogue.unknown"
    assert "did you mean 'service.stop'?" in str(refused.value)


def test_everything_is_explained() -> None:
    catalogue = known()
    count = len(catalogue.faults) + len(catalogue.actions) + len(catalogue.probes)

    assert len([*explained(catalogue)]) == count


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 1000}, INTEGER),
        ({"type": "number", "exclusiveMinimum": 0}, "number, more than 0"),
        ({"enum": ["a", "b", True]}, "`a`, `b` or `true`"),
        ({"type": "array", "items": {"type": "string"}}, "list of: text"),
        (
            {"type": "object", "additionalProperties": {"type": "boolean"}},
            "map of names to: true or false",
        ),
        ({}, "anything"),
    ],
)
def test_a_shape_is_told_in_words(shape: Mapping[str, Any], words: str) -> None:
    assert value_words(shape) == words


@pytest.mark.parametrize("value", [1, "5s", "a: b", [1, "x"], {"b": 1, "a": None}, True, "true"])
def test_yaml_on_one_line_says_the_same(value: object) -> None:
    line = yaml_line(value)

    assert "\n" not in line
    assert yaml.safe_load(line) == value


def test_parameters_of_a_scenario_are_on_the_page() -> None:
    assert all(f"| `{key}`" in LANGUAGE for key in ParameterForm.known_keys())


HOW_TO_ADD: Final = (
    "say in adapters/documents/references/rules.py what it is about, and run 'make generated'"
)
SOURCES: Final = sorted((ROOT / "src" / "test_coordination").rglob("*.py"))
CODES: Final = {
    *(f"yaml.{rule}" for rule in YAML),
    *DOCUMENT,
    *(f"expression.{rule}" for rule in EXPRESSION),
}


def rules_of(path: Path) -> Iterator[str]:
    """Yield the rules that a module says are broken, as far as they are written out there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        place = {"refuse": 1, "refuse_at": 1, "_refuse": 1, "refusal": 0}.get(called)
        if place is not None and len(node.args) > place:
            given = node.args[place]
            values = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
            yield from (str(one.value) for one in values if isinstance(one, ast.Constant))


def test_every_rule_that_a_document_can_break_is_on_the_page_about_errors() -> None:
    found = {rule for path in SOURCES if "documents" in path.parts for rule in rules_of(path)}
    shown = {
        code.removeprefix("scenario.").removeprefix("topology.")
        for path in (ROOT / "tests/unit/fixtures/bad").glob("*.yaml")
        for code in re.findall(r"# expect: \d+:\d+ (\S+)", path.read_text(encoding="utf-8"))
    }

    assert len(found) > 40
    assert found - CODES == set(), HOW_TO_ADD
    assert shown - CODES == set(), HOW_TO_ADD


def test_there_is_no_rule_on_the_page_that_nothing_tells() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)

    silent = {rule for rule in CODES if not re.search(rf"[\".]{re.escape(rule)}\"", text)}
    assert silent <= {"unknown_action", "unknown_fault"}, "of these the noun is put in"
