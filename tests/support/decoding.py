"""Scenarios and templates read from text, with the small catalogue of the fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.document import Document
from test_coordination.adapters.documents.scenario import ScenarioDecoder, ScenarioReader
from test_coordination.adapters.documents.systems.topology import TopologyReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import InvalidDocumentError, Problem
from test_coordination.domain.scenario import Scenario, Template
from test_coordination.domain.steps import Step
from test_coordination.domain.topology import Topology

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "tests" / "unit" / "fixtures" / "good"
TRADING = ROOT / "examples" / "trading" / "topology.yaml"
HEAD = "scenario: good\nversion: 1\n"


def read(
    text: str | bytes, *, topology: Topology | None = None, environment: tuple[str, ...] = ()
) -> Scenario:
    """Return the scenario that ``text`` is."""
    reader = ScenarioReader(catalogue(), CelExpressions(), environment=environment)
    return reader.read(text, file="good.yaml", topology=topology)


def template(text: str) -> Template:
    """Return the template that ``text`` is."""
    document = Document(text, file="good.yaml", language="template")
    found = ScenarioDecoder(catalogue(), CelExpressions()).template(document)
    document.settle()
    return found


def step(text: str) -> Step:
    """Return the only step of a scenario; ``text`` is what it says, as YAML writes it inline."""
    return read(f"{HEAD}steps:\n  - {text}\n").steps[0]


def mistakes(text: str, *, topology: Topology | None = None) -> list[tuple[int, int, str]]:
    """Return the places and the codes of what is wrong with ``text``."""
    found = problems(text, topology=topology)
    return [(problem.mark.line, problem.mark.column, problem.code) for problem in found]


def problems(text: str, *, topology: Topology | None = None) -> tuple[Problem, ...]:
    """Return what is wrong with ``text``, which must be something."""
    with pytest.raises(InvalidDocumentError) as refused:
        read(text, topology=topology)
    return refused.value.problems


def trading() -> Topology:
    """Return the topology of the shipped example."""
    reader = TopologyReader(CelExpressions(), python=sys.executable, environment={})
    text = TRADING.read_text(encoding="utf-8")
    return reader.read(text, file=str(TRADING), state_directory=Path("/nowhere"))
