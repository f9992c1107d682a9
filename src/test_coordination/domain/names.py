"""The names that expressions may use, and what those that never change stand for.

A name that a hyphen is allowed in, of a service, step or link, is spelled with an underscore
inside an expression: ``services.trading_engine.address``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from test_coordination.domain.expressions import Fact, Kind, Names
from test_coordination.domain.scenario import Parameter, ParameterType, Scenario, SnapshotStep
from test_coordination.domain.series import figures
from test_coordination.domain.topology import Service, Topology
from test_coordination.domain.values import ProbeName

PARAMETER_KINDS: Final = {
    ParameterType.STRING: Kind.STRING,
    ParameterType.INTEGER: Kind.INTEGER,
    ParameterType.NUMBER: Kind.NUMBER,
    ParameterType.BOOLEAN: Kind.BOOLEAN,
    ParameterType.DURATION: Kind.DURATION,
    ParameterType.PERCENT: Kind.NUMBER,
    ParameterType.SERVICE: Kind.STRING,
    ParameterType.ENUM: Kind.STRING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeShape:
    """What the readings of a probe hold: see `ProbeKind` among the capabilities."""

    fields: Mapping[str, Kind]
    measured: str
    unit: str = ""


def word(name: str) -> str:
    """Return ``name`` as it is spelled inside an expression."""
    return name.replace("-", "_")


def probe_of(name: str) -> ProbeName:
    """Return the probe that a dotted name asks for; the empty name if it asks for none."""
    root, _, rest = name.partition(".")
    return ProbeName(rest.partition(".")[0] if root == "probes" else "")


def settled_names(parameters: Iterable[Parameter], topology: Topology | None) -> Names:
    """Return the names that are known before an execution starts.

    Without a topology every path below ``services`` and ``links`` is allowed.
    """
    names = {f"parameters.{each.name}": PARAMETER_KINDS[each.type] for each in parameters}
    if topology is None:
        return {**names, "services": Kind.MAP, "links": Kind.MAP}
    for name, value in _addresses(topology).items():
        names[name] = Kind.INTEGER if isinstance(value, int) else Kind.STRING
    return names


def settled_values(arguments: Mapping[str, Fact], topology: Topology) -> Mapping[str, Fact]:
    """Return the values behind `settled_names`; ``arguments`` has one for each parameter."""
    given = {f"parameters.{name}": value for name, value in arguments.items()}
    return {**given, **_addresses(topology)}


def live_names(scenario: Scenario, probes: Mapping[ProbeName, ProbeShape]) -> Names:
    """Return the names whose values come while an execution runs."""
    names: dict[str, Kind] = {}
    for probe, shape in probes.items():
        for figure, kind in figures(shape.fields, shape.unit).items():
            names[f"probes.{probe}.{figure}"] = kind
    for step in scenario.every_step():
        names[f"steps.{word(step.id)}.outcome"] = Kind.STRING
        if isinstance(step, SnapshotStep):
            names[f"snapshots.{word(step.id)}"] = Kind.MAP
    return names


def state_names(topology: Topology) -> Names:
    """Return the names under which a snapshot's parts are known: ``services.exchange.orders``."""
    return {
        f"services.{word(service.name)}.{word(part)}": Kind.ANY
        for service in topology.services.values()
        for part in service.state
    }


def _addresses(topology: Topology) -> dict[str, Fact]:
    found: dict[str, Fact] = {
        f"links.{word(name)}": str(link.listen) for name, link in topology.links.items()
    }
    for service in topology.services.values():
        found |= _ports(service)
    return found


def _ports(service: Service) -> dict[str, Fact]:
    name = f"services.{word(service.name)}"
    ports: dict[str, Fact] = {f"{name}.{word(p)}": at.port for p, at in service.ports.items()}
    main = service.ports.get("http") or next(iter(service.ports.values()), None)
    return ports | ({f"{name}.address": str(main)} if main else {})
