"""The JSON Schemas of documents: checked in as they are made, and of one mind with the decoder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
from jsonschema import Draft7Validator

from support.decoder_catalogue import catalogue
from support.decoding import GOOD, ROOT
from test_coordination.adapters.documents.reader import read
from test_coordination.adapters.documents.schemas.documents import scenario_schema
from test_coordination.adapters.documents.schemas.topology import topology_schema
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.handbook import generated, known

BAD: Final = ROOT / "tests" / "unit" / "fixtures" / "bad"
SHIPPED: Final = Draft7Validator(scenario_schema(known()))
SMALL: Final = Draft7Validator(scenario_schema(catalogue()))
TOPOLOGY: Final = Draft7Validator(topology_schema())

EXPECTED: Final = re.compile(r"# expect: \d+:\d+ (\S+)")
YAML: Final = re.compile(r"^```ya?ml\n(.*?)^```", re.DOTALL | re.MULTILINE)
DOCUMENT: Final = re.compile(r"(?:#.*\n)*(scenario|template|suite): \S+\nversion: 1\n")

UNSEEN: Final = {
    "expression.syntax": "the text of an expression",
    "expression.type": "what an expression gives",
    "expression.unknown_name": "the names that an expression speaks of",
    "scenario.bad_default": "a default beside the bounds that stand elsewhere",
    "scenario.bad_parameter": "what only the code of a fault, action or probe judges",
    "scenario.bad_pattern": "the pattern of a parameter",
    "scenario.cycle": "what waits for what",
    "scenario.duplicate_id": "two entries with one id",
    "scenario.not_a_fault": "what kind of step an id stands for",
    "scenario.not_begun": "the order of steps",
    "scenario.not_stoppable": "what ends by itself",
    "scenario.out_of_range": "the length of a duration, and one bound beside another",
    "scenario.secret": "what a parameter is used for",
    "scenario.too_many": "how many copies come of lists",
    "scenario.unknown_step": "names that stand elsewhere",
    "scenario.wrong_document": "the order of keys",
    "topology.bad_reference": "what a reference leads to",
    "topology.bad_url": "what a URL leads to",
    "topology.cycle": "what waits for what",
    "topology.duplicate_id": "two entries with one id",
    "topology.unknown_port": "names that stand elsewhere",
    "topology.unknown_service": "names that stand elsewhere",
    "topology.unknown_store": "names that stand elsewhere",
    "topology.unknown_variable": "names that stand elsewhere",
}
"""The codes of mistakes that no schema can see, or not all of them, and what they are about."""


def validator_of(path: Path) -> Draft7Validator:
    return TOPOLOGY if "topology" in path.name else SMALL


def mistakes(validator: Draft7Validator, text: str) -> list[str]:
    tree = read(text, file="any.yaml")
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(tree)]


def examples() -> Iterator[Any]:
    """Yield every whole document in the texts that people read."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for found in YAML.finditer(path.read_text(encoding="utf-8")):
            if DOCUMENT.match(found[1]):
                yield pytest.param(found[1], id=f"{path.name}:{found.start()}")


@pytest.mark.parametrize("name", generated())
def test_what_is_checked_in_is_what_the_code_says(name: str) -> None:
    path = ROOT / name

    assert path.is_file(), f"{name} is missing; run 'make generated'"
    assert path.read_text(encoding="utf-8") == generated()[name], (
        f"{name} is not what the code says any more; run 'make generated' and commit it"
    )


@pytest.mark.parametrize("validator", [SHIPPED, SMALL, TOPOLOGY])
def test_each_schema_is_one_of_draft_7_with_nothing_of_ours(validator: Draft7Validator) -> None:
    schema = validator.schema
    assert isinstance(schema, dict)
    text = json.dumps(schema)

    Draft7Validator.check_schema(schema)
    assert '"x-' not in text
    names = {unquote(one) for one in re.findall(r'"#/definitions/([^"]+)"', text)}
    assert names == schema["definitions"].keys(), "all that is referred to is there, and no more"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "scenarios").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_what_is_shipped_keeps_to_the_schema(path: Path) -> None:
    assert mistakes(SHIPPED, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", [*examples()])
def test_examples_in_the_documentation_keep_to_the_schema(text: str) -> None:
    assert mistakes(SHIPPED, text) == []


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yaml")), ids=lambda path: path.stem)
def test_good_files_keep_to_the_schema(path: Path) -> None:
    assert mistakes(validator_of(path), path.read_text(encoding="utf-8")) == []


def test_the_topology_of_the_example_keeps_to_the_schema() -> None:
    text = (ROOT / "examples" / "trading" / "topology.yaml").read_text(encoding="utf-8")

    assert mistakes(TOPOLOGY, text) == []


@pytest.mark.parametrize("path", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_with_a_mistake_that_a_schema_can_see_is_refused(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    codes = set(EXPECTED.findall(text))
    try:
        found = mistakes(validator_of(path), text)
    except InvalidDocumentError:
        return  # it is no YAML that a schema would ever see

    assert found or codes <= UNSEEN.keys(), codes - UNSEEN.keys()


def test_of_every_code_that_is_said_to_be_unseen_there_is_a_file_that_shows_it() -> None:
    unseen: set[str] = set()
    for path in BAD.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        try:
            if not mistakes(validator_of(path), text):
                unseen |= set(EXPECTED.findall(text))
        except InvalidDocumentError:
            continue

    assert UNSEEN.keys() == unseen
