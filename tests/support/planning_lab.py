"""Scenarios built by hand, and the plans that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.engine_fakes import Kit
from support.engine_lab import EXPRESSIONS, MARK, service
from test_coordination.application.planning.resolver import Resolver
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.expressions import Expression
from test_coordination.domain.plan import Plan, PlannedStep
from test_coordination.domain.scenario import ProbeSpec, Scenario
from test_coordination.domain.steps import (
    ActionStep,
    Check,
    ExpectStep,
    FaultStep,
    ForEach,
    ParallelStep,
    Selector,
    SequenceStep,
    Step,
    StopStep,
    WaitStep,
)
from test_coordination.domain.topology import Address, Link, Topology
from test_coordination.domain.values import CheckId, ProbeName, ServiceName, StepId

CATALOGUE = Kit.new().catalogue()
PROBE = ProbeSpec(
    name=ProbeName("p"),
    kind="dial",
    parameters={"dial": "p"},
    every=timedelta(seconds=1),
    mark=MARK,
)
CHECK_KEYS = ("within", "hold", "span", "mode", "during", "after_fault", "severity", "weight")


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def at(line: int) -> Mark:
    return Mark("s.yaml", line, 1)


def cel(text: str, line: int = 1) -> Expression:
    return Expression(text=text, mark=at(line))


SECOND = s(1)
HOLD = s(5)


def head(identity: str, keys: dict[str, Any]) -> dict[str, Any]:
    needs = keys.pop("needs", None)
    found = {"mark": MARK, **keys, "id": StepId(identity)}
    return found if needs is None else {**found, "needs": tuple(map(StepId, needs))}


def wait(identity: str, duration: Any = SECOND, **keys: Any) -> WaitStep:
    return WaitStep(**head(identity, keys), duration=duration)


def fault(identity: str, target: Any = "shop", hold: Any = HOLD, **keys: Any) -> FaultStep:
    keys = {"fault": "switch.off", **keys}
    return FaultStep(**head(identity, keys), target=target, hold=hold)


def act(identity: str, **keys: Any) -> ActionStep:
    return ActionStep(**head(identity, {"action": "note", **keys}))


def check(identity: str, text: str = "probes.p.last.ok", **keys: Any) -> Check:
    return Check(id=CheckId(identity), expression=cel(text, keys.pop("line", 1)), **keys)


def expect(identity: str, text: str = "probes.p.last.ok", **keys: Any) -> ExpectStep:
    own = {key: keys.pop(key) for key in CHECK_KEYS if key in keys}
    return ExpectStep(**head(identity, keys), check=check(identity, text, **own))


def stop(identity: str, step: str, **keys: Any) -> StopStep:
    return StopStep(**head(identity, keys), step=StepId(step))


def both(identity: str, *steps: Step, **keys: Any) -> ParallelStep:
    return ParallelStep(**head(identity, keys), steps=steps)


def row(identity: str, *steps: Step, **keys: Any) -> SequenceStep:
    return SequenceStep(**head(identity, keys), steps=steps)


def each(*values: object, line: int = 1, **axes: Any) -> ForEach:
    return ForEach(axes=axes or {"value": values}, mark=at(line))


def select(*services: str, line: int = 1, **keys: Any) -> Selector:
    return Selector(mark=at(line), services=services, **keys)


def story(*steps: Step, name: str = "story", **keys: Any) -> Scenario:
    return Scenario(
        **{"name": name, "mark": at(1), "source": "", "probes": (PROBE,), "steps": steps, **keys}
    )


def system() -> Topology:
    """Return five services, one of them protected, and a link to the bank."""
    tiers = {"shop": "front", "bank": "back", "ledger": "back", "broker": "back"}
    services = [
        replace(service(name, port=80 + place), tags={"tier": tier, "name": name})
        for place, (name, tier) in enumerate(tiers.items())
    ]
    services.append(replace(service("vault", protect=True), tags={"tier": "back"}))
    link = Link(
        name="to-bank",
        mark=MARK,
        source=ServiceName("shop"),
        target=ServiceName("bank"),
        listen=Address(host="127.0.0.1", port=90),
        upstream=Address(host="127.0.0.1", port=81),
    )
    return Topology(
        name="lab",
        file="lab.yaml",
        directory="/nowhere",
        services={each.name: each for each in services},
        links={link.name: link},
        pools={"network": 3, "disk": 3, "a": 1, "b": 1, "c": 1},
    )


def plan(
    scenario: Scenario,
    given: Mapping[str, Any] | None = None,
    *,
    topology: Topology | None = None,
    environment: Mapping[str, str] | None = None,
    **keys: Any,
) -> Plan:
    resolver = Resolver(
        catalogue=CATALOGUE,
        expressions=EXPRESSIONS,
        topology=topology or system(),
        environment=environment or {},
    )
    return resolver.plan(scenario, given or {}, **keys)


def planned(*steps: Step, **keys: Any) -> Plan:
    """Return the plan of a scenario with these steps."""
    return plan(story(*steps), **keys)


def mistakes(scenario: Scenario, given: Any = None, **keys: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidDocumentError) as refused:
        plan(scenario, given, **keys)
    return [(found.mark.line, found.code, found.text) for found in refused.value.problems]


def needs(found: Plan) -> dict[str, set[str]]:
    return {step.id: set(step.needs) for step in found.steps}


def only(found: Plan, identity: str) -> PlannedStep:
    return found.step(StepId(identity))


def group(found: Plan, identity: str) -> tuple[str, ...]:
    """Return what the plan says that ``identity`` stands for."""
    return found.groups[StepId(identity)]
