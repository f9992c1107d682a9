"""The names that expressions may use, and what those that never change stand for.

A name that a hyphen is allowed in, of a service, step or link, is spelled with an underscore
inside an expression: ``services.trading_engine.address``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from test_coordination.domain.expressions import Fact, Kind, Names
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.secrets import placeholder
from test_coordination.domain.series import figures
from test_coordination.domain.steps import (
    ActionStep,
    FaultStep,
    ForEach,
    ProbeStep,
    SnapshotStep,
    Step,
)
from test_coordination.domain.topology import Service, Topology
from test_coordination.domain.values import ProbeName

PARAMETER_KINDS: Final = {
    ParameterType.STRING: Kind.STRING,
    ParameterType.INTEGER: Kind.INTEGER,
    ParameterType.NUMBER: Kind.NUMBER,
    ParameterType.BOOLEAN: Kind.BOOLEAN,
    ParameterType.DURATION: Kind.DURATION,
    ParameterType.PERCENT: Kind.NUMBER,
    ParameterType.BYTES: Kind.INTEGER,
    ParameterType.SERVICE: Kind.STRING,
    ParameterType.ENUM: Kind.STRING,
    ParameterType.LIST: Kind.LIST,
    ParameterType.SECRET: Kind.STRING,
}
STEP_FACTS: Final[Names] = {
    "outcome": Kind.STRING,
    "error": Kind.STRING,
    "error_class": Kind.STRING,
    "started_at": Kind.TIMESTAMP,
    "ended_at": Kind.TIMESTAMP,
    "took": Kind.DURATION,
}
FAULT_FACTS: Final[Names] = {
    "status": Kind.STRING,
    "injected_at": Kind.TIMESTAMP,
    "reverted_at": Kind.TIMESTAMP,
    "held": Kind.DURATION,
}
EXECUTION_FACTS: Final[Names] = {
    "id": Kind.STRING,
    "started_at": Kind.TIMESTAMP,
    "elapsed": Kind.DURATION,
}
WINDOWS: Final = ("during", "before", "after")

_FIGURE: Final = re.compile(
    r"probes\.(?P<probe>\w+)(?:\.(?P<window>\w+)\((?P<step>[\w.]+)\))?\.(?P<figure>[\w.]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeShape:
    """What the readings of a probe hold: see `ProbeKind` among the capabilities."""

    fields: Mapping[str, Kind]
    measured: str
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureName:
    """A dotted name that asks for a figure of a probe's samples.

    With a ``window`` only those count that were taken before, during or after a step, whose id
    is spelled as `word` does.
    """

    probe: ProbeName
    figure: str
    window: str = ""
    step: str = ""


def word(name: str) -> str:
    """Return ``name`` as it is spelled inside an expression."""
    return name.replace("-", "_")


def figure_name(name: str) -> FigureName | None:
    """Return what a dotted name asks of a probe; None if it asks for something else."""
    found = _FIGURE.fullmatch(name)
    if found is None:
        return None
    return FigureName(
        probe=ProbeName(found["probe"]),
        figure=found["figure"],
        window=found["window"] or "",
        step=found["step"] or "",
    )


def settled_names(
    parameters: Iterable[Parameter],
    topology: Topology | None,
    environment: Iterable[str] = (),
) -> Names:
    """Return the names that are known before an execution starts, secrets left out.

    Without a topology every path below ``services`` and ``links`` is allowed. ``environment``
    names the variables that scenarios may see.
    """
    names = {
        f"parameters.{each.name}": PARAMETER_KINDS[each.type]
        for each in parameters
        if each.type is not ParameterType.SECRET
    }
    names |= {f"env.{name}": Kind.STRING for name in environment}
    names |= {"execution.scenario": Kind.STRING, "execution.seed": Kind.INTEGER}
    if topology is None:
        return {**names, "services": Kind.MAP, "links": Kind.MAP}
    return {**names, **{name: _kind(value) for name, value in _known(topology).items()}}


def secret_names(parameters: Iterable[Parameter]) -> Names:
    """Return the names of the parameters that are secrets."""
    return {
        f"parameters.{each.name}": Kind.STRING
        for each in parameters
        if each.type is ParameterType.SECRET
    }


def settled_values(  # noqa: PLR0917  four types, of which none can be taken for another
    parameters: Iterable[Parameter],
    arguments: Mapping[str, Fact],
    topology: Topology,
    environment: Mapping[str, str],
) -> Mapping[str, Fact]:
    """Return the values behind `settled_names` but for ``execution``, and those of secrets.

    ``arguments`` has a value for each parameter; for a secret its placeholder stands.
    """
    secret = {each.name for each in parameters if each.type is ParameterType.SECRET}
    given: dict[str, Fact] = {
        f"parameters.{name}": placeholder(str(value)) if name in secret else value
        for name, value in arguments.items()
    }
    seen = {f"env.{name}": value for name, value in environment.items()}
    return {**given, **seen, **_known(topology)}


def each_names(for_each: ForEach) -> Names:
    """Return the names that are known inside a step that is copied."""
    return {f"each.{axis}": Kind.ANY for axis in for_each.axes} | {"each.index": Kind.INTEGER}


def live_names(
    scenario: Scenario,
    probes: Mapping[ProbeName, ProbeShape],
    results: Mapping[str, Mapping[str, Kind]],
) -> Names:
    """Return the names whose values come while an execution runs.

    ``results`` are the fields that each kind of probe gives, for steps that look once.
    """
    names: dict[str, Kind] = {f"execution.{name}": kind for name, kind in EXECUTION_FACTS.items()}
    for probe, shape in probes.items():
        for figure, kind in figures(shape.fields, shape.unit).items():
            names[f"probes.{probe}.{figure}"] = kind
    for step in scenario.every_step():
        fields = results.get(step.kind, {}) if isinstance(step, ProbeStep) else {}
        names |= step_names(step, fields)
    return names


def step_names(step: Step, fields: Mapping[str, Kind]) -> Names:
    """Return the names that tell of one step; ``fields`` are those of what a look gives."""
    name = word(step.id)
    names = {f"steps.{name}.{fact}": kind for fact, kind in STEP_FACTS.items()}
    match step:
        case FaultStep():
            names |= {f"faults.{name}.{fact}": kind for fact, kind in FAULT_FACTS.items()}
        case SnapshotStep():
            names[f"snapshots.{name}"] = Kind.MAP
        case ProbeStep():
            names |= {f"steps.{name}.result.{field}": kind for field, kind in fields.items()}
        case ActionStep():
            names[f"steps.{name}.result"] = Kind.MAP
        case _:
            pass
    return names


def copy_names(steps: Iterable[str]) -> Names:
    """Return the names by which windows of copies are known, those of ``steps`` that are some."""
    return {f"steps.{word(step)}.outcome": Kind.STRING for step in steps if "." in step}


def state_names(topology: Topology) -> Names:
    """Return the names under which a snapshot's parts are known: ``services.exchange.orders``."""
    return {
        f"services.{word(service.name)}.{word(part)}": Kind.ANY
        for service in topology.services.values()
        for part in service.state
    }


def _kind(value: Fact) -> Kind:
    match value:
        case bool():
            return Kind.BOOLEAN
        case int():
            return Kind.INTEGER
        case _:
            return Kind.STRING


def _known(topology: Topology) -> dict[str, Fact]:
    found: dict[str, Fact] = {
        f"links.{word(name)}": str(link.listen) for name, link in topology.links.items()
    }
    for service in topology.services.values():
        found |= _facts(service)
    return found


def _facts(service: Service) -> dict[str, Fact]:
    name = f"services.{word(service.name)}"
    facts: dict[str, Fact] = {
        f"{name}.instances": 1,
        f"{name}.criticality": str(service.criticality),
        f"{name}.protected": service.protect,
    }
    ports: dict[str, Fact] = {f"{name}.{word(p)}": at.port for p, at in service.ports.items()}
    main = service.ports.get("http") or next(iter(service.ports.values()), None)
    return facts | ports | ({f"{name}.address": str(main)} if main else {})
