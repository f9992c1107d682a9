"""What expressions may name: the parameters, the system, and what comes while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.planning.settle import Allowance, Settler
from test_coordination.application.ports import Expressions
from test_coordination.domain.expressions import Fact, Kind
from test_coordination.domain.names import (
    ProbeShape,
    live_names,
    secret_names,
    settled_names,
    settled_values,
)
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ProbeName, Value

SEED: Final = "execution.seed"
"""The name of what all chance is drawn from."""


def shapes(scenario: Scenario, catalogue: Catalogue) -> Mapping[ProbeName, ProbeShape]:
    """Return what the readings of each of the scenario's probes hold."""
    kinds = {probe.name: catalogue.probes[probe.kind] for probe in scenario.probes}
    return {
        name: ProbeShape(fields=kind.fields, measured=kind.measured, unit=kind.unit)
        for name, kind in kinds.items()
    }


def results(catalogue: Catalogue) -> Mapping[str, Mapping[str, Kind]]:
    """Return the fields that each kind of probe gives."""
    return {name: kind.fields for name, kind in catalogue.probes.items()}


def settler_of(
    scenario: Scenario,
    arguments: Mapping[str, Value],
    *,
    catalogue: Catalogue,
    expressions: Expressions,
    topology: Topology,
    environment: Mapping[str, str],
    seed: int,
    allowance: Allowance,
) -> Settler:
    """Return what settles ``scenario`` with a value for each of its parameters.

    A parameter without a value has none in expressions either.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    names = settled_names(scenario.parameters, topology, environment)
    live = live_names(scenario, shapes(scenario, catalogue), results(catalogue))
    values: dict[str, Fact] = {"execution.scenario": scenario.name, SEED: seed}
    return Settler(
        mark=scenario.mark,
        allowance=allowance,
        catalogue=catalogue,
        expressions=expressions,
        topology=topology,
        names=names,
        secrets=secret_names(scenario.parameters),
        live={**names, **live},
        values={**settled_values(scenario.parameters, given, topology, environment), **values},
    )
