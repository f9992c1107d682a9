"""The library that is shipped: every definition in it is well, and tells what it is for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from support.decoding import ROOT, trading
from test_coordination.adapters.documents.composition.library import FileLibrary
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.planning.lint import lint
from test_coordination.application.planning.resolver import Resolver
from test_coordination.domain.scenario import Definition, Scenario, Suite, Template
from test_coordination.domain.steps import ExpectStep
from test_coordination.domain.verdicts import Severity
from test_coordination.kinds import catalogue

SHIPPED = ROOT / "scenarios"
SCENARIOS = sorted(SHIPPED.glob("*.yaml"))
TEMPLATES = sorted((SHIPPED / "templates").glob("*.yaml"))
KNOWN = catalogue(LinkKeeper(), ProcessServices())


def read(path: Path) -> Definition:
    """Return a definition with all that it needs, on the system that it is shipped for."""
    reader = DefinitionReader(KNOWN, CelExpressions())
    text = path.read_text(encoding="utf-8")
    return reader.closed(text, file=str(path), library=FileLibrary([SHIPPED]), topology=trading())


def severities(scenario: Scenario) -> Iterator[Severity]:
    steps = (step.check for step in scenario.every_step() if isinstance(step, ExpectStep))
    return (check.severity for check in chain(scenario.steady_state, steps))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_shipped_scenario_fits_the_shipped_system_and_runs_as_it_is(path: Path) -> None:
    found = read(path)

    assert isinstance(found, Scenario | Suite)
    assert found.name == path.stem
    assert found.title
    assert found.owner
    assert found.tags
    assert not [each.name for each in found.parameters if each.required]
    if isinstance(found, Scenario):
        assert Severity.CRITICAL in severities(found)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_shipped_template_says_what_it_and_each_of_its_parameters_is_for(path: Path) -> None:
    found = read(path)

    assert isinstance(found, Template)
    assert found.name == path.stem
    assert found.body.title
    assert found.body.description
    assert found.body.owner
    assert all(parameter.description for parameter in found.body.parameters)


@pytest.mark.parametrize("path", [*SCENARIOS, *TEMPLATES], ids=lambda path: path.stem)
def test_each_parameter_of_what_is_shipped_is_used(path: Path) -> None:
    found = read(path)
    texts = [path.read_text(encoding="utf-8"), *(part.text for part in _body(found).parts)]
    text = "\n".join(texts)

    unused = [
        each.name for each in _body(found).parameters if f"parameters.{each.name}" not in text
    ]
    assert unused == []


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_shipped_scenario_is_planned_without_a_warning(path: Path) -> None:
    found = read(path)
    if isinstance(found, Scenario):
        system = trading()
        resolver = Resolver(catalogue=KNOWN, expressions=CelExpressions(), topology=system)

        plan = resolver.plan(found, {})

        assert lint(found, plan, topology=system) == ()


def _body(found: Definition) -> Scenario | Suite:
    return found.body if isinstance(found, Template) else found
