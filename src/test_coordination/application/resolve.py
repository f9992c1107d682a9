"""Make a plan of a scenario: arguments bound, expressions settled, targets found, ends known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Final, assert_never

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.ports import Expressions
from test_coordination.application.settle import Settler
from test_coordination.domain.arguments import bind
from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem
from test_coordination.domain.expressions import Kind, as_text
from test_coordination.domain.names import ProbeShape, live_names, settled_names, settled_values
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedProbe,
    PlannedStep,
    SnapshotWork,
    Stage,
    WaitWork,
)
from test_coordination.domain.scenario import EVERY_MIN, Scenario
from test_coordination.domain.steps import (
    HOLD_MAX,
    SETTLE_DEFAULT,
    STEP_TIMEOUT_DEFAULT,
    ActionStep,
    Between,
    Check,
    Deed,
    ExpectStep,
    FaultStep,
    GateStep,
    ParallelStep,
    ProbeStep,
    ScenarioStep,
    Selector,
    SequenceStep,
    SnapshotStep,
    StopStep,
    WaitStep,
    needs_of,
)
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ProbeName, ServiceName, StepId, Value

PROBE_TIMEOUT_DEFAULT: Final = timedelta(seconds=2)
TIME_MIN: Final = timedelta(milliseconds=1)
_NO_TIME: Final = timedelta(0)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Makes plans; it looks at no target, and the same input gives the same plan."""

    catalogue: Catalogue
    expressions: Expressions
    topology: Topology

    def plan(self, scenario: Scenario, given: Mapping[str, Value]) -> Plan:
        """Return what running ``scenario`` with the parameters ``given`` means here.

        Raises:
            InvalidDocumentError: parameters, targets or settled values are wrong; all at once.
        """
        arguments = bind(
            scenario.parameters,
            given,
            mark=scenario.mark,
            services=frozenset(self.topology.services),
        )
        names = settled_names(scenario.parameters, self.topology)
        settler = Settler(
            catalogue=self.catalogue,
            expressions=self.expressions,
            topology=self.topology,
            names=names,
            live={
                **names,
                **live_names(scenario, shapes(scenario, self.catalogue), results(self.catalogue)),
            },
            values=settled_values(scenario.parameters, arguments, self.topology, {}),
        )
        plan = Plan(
            scenario=scenario.name,
            topology=self.topology.name,
            parameters={name: _plain(value) for name, value in arguments.items()},
            probes=tuple(self._probes(scenario, settler)),
            watched=tuple(_check(check, settler) for check in scenario.steady_state if check.watch),
            steps=tuple(_steps(scenario, settler)),
            timeout=settler.moment(scenario.timeout, scenario.mark, least=TIME_MIN, most=HOLD_MAX),
        )
        if settler.problems:
            raise InvalidDocumentError(problems=tuple(sorted(set(settler.problems), key=_place)))
        return replace(plan, digest=_digest(plan))

    def _probes(self, scenario: Scenario, settler: Settler) -> Iterator[PlannedProbe]:
        for probe in scenario.probes:
            timeout = probe.timeout or PROBE_TIMEOUT_DEFAULT
            yield PlannedProbe(
                name=probe.name,
                kind=probe.kind,
                parameters=settler.parameters(
                    probe.parameters, self.catalogue.probes[probe.kind], probe.mark
                ),
                every=settler.moment(probe.every, probe.mark, least=EVERY_MIN),
                timeout=settler.moment(timeout, probe.mark, least=TIME_MIN),
            )


def _digest(plan: Plan) -> str:
    """Return the digest of all that ``plan`` says; in every process the same."""
    text = json.dumps(asdict(plan), default=_canonical, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> object:
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)} us"
    assert isinstance(value, frozenset), f"no value of a plan: {value!r}"
    return sorted(value)


def _place(problem: Problem) -> Mark:
    return problem.mark


def _steps(scenario: Scenario, settler: Settler) -> Iterator[PlannedStep]:
    """Yield the steps of the steady state before, of the scenario, and of the one after."""
    needs = needs_of(scenario.steps)
    before = tuple(_steady(check, Stage.BEFORE, settler) for check in scenario.steady_state)
    first = frozenset(step.id for step in before)
    yield from before
    for each in scenario.every_step():
        if not isinstance(each, ParallelStep | SequenceStep):
            yield _step(each, needs[each.id] or first, settler)
    for check in scenario.steady_state:
        yield replace(_steady(check, Stage.AFTER, settler), needs=frozenset(needs))


def _steady(check: Check, stage: Stage, settler: Settler) -> PlannedStep:
    planned = _check(replace(check, within=check.within or SETTLE_DEFAULT), settler, recent=True)
    return PlannedStep(
        id=StepId(f"{stage}.{check.id}"),
        stage=stage,
        title=check.title,
        timeout=(planned.within or _NO_TIME) + planned.hold + STEP_TIMEOUT_DEFAULT,
        expect=planned,
    )


def _check(check: Check, settler: Settler, *, recent: bool = False) -> PlannedCheck:
    mark = check.expression.mark
    settler.condition(check.expression)
    return PlannedCheck(
        id=check.id,
        expression=check.expression.text,
        mark=mark,
        within=None if check.within is None else settler.moment(check.within, mark),
        hold=_NO_TIME if check.hold is None else settler.moment(check.hold, mark),
        severity=check.severity,
        after_fault=check.after_fault,
        recent=recent,
        title=check.title,
    )


def _step(step: Deed, needs: frozenset[StepId], settler: Settler) -> PlannedStep:
    planned = PlannedStep(id=step.id, title=step.title, needs=needs, timeout=STEP_TIMEOUT_DEFAULT)
    longest = _NO_TIME
    match step:
        case FaultStep():
            fault = _fault(step, settler)
            planned, longest = replace(planned, fault=fault), fault.hold or _NO_TIME
        case ActionStep():
            planned = replace(planned, action=_action(step, settler))
        case WaitStep():
            wait = _wait(step, settler)
            planned, longest = replace(planned, wait=wait), wait.duration
        case SnapshotStep():
            services = tuple(settler.service(name, step.mark) for name in step.services)
            planned = replace(planned, snapshot=SnapshotWork(services=services))
        case ExpectStep(check=check):
            expect = _check(check, settler)
            longest = (expect.within or _NO_TIME) + expect.hold
            after = frozenset({expect.after_fault} if expect.after_fault else ())
            planned = replace(planned, expect=expect, needs=needs | after)
        case ProbeStep() | GateStep() | StopStep() | ScenarioStep():
            settler.unplannable(type(step).__name__, step.mark)
        case _:
            assert_never(step)
    if step.timeout is None:
        return replace(planned, timeout=longest + STEP_TIMEOUT_DEFAULT)
    return replace(planned, timeout=settler.moment(step.timeout, step.mark, least=TIME_MIN))


def _wait(step: WaitStep, settler: Settler) -> WaitWork:
    if isinstance(step.duration, Between):
        settler.unplannable("a wait of a length left to chance", step.mark)
        return WaitWork(duration=_NO_TIME)
    return WaitWork(duration=settler.moment(step.duration, step.mark, most=HOLD_MAX))


def _fault(step: FaultStep, settler: Settler) -> FaultWork:
    if isinstance(step.target, Selector):
        settler.unplannable("a selector", step.mark)
        service = ServiceName("")
    else:
        service = settler.service(step.target, step.mark)
    settler.unprotected(service, step.id, step.mark)
    return FaultWork(
        fault=step.fault,
        service=service,
        hold=None if step.hold is None else settler.moment(step.hold, step.mark, most=HOLD_MAX),
        parameters=settler.parameters(
            step.parameters, settler.catalogue.faults[step.fault], step.mark
        ),
    )


def _action(step: ActionStep, settler: Settler) -> ActionWork:
    kind = settler.catalogue.actions[step.action]
    return ActionWork(
        action=step.action, parameters=settler.parameters(step.parameters, kind, step.mark)
    )


def _plain(value: Value) -> object:
    return value if isinstance(value, str | int | float | None) else as_text(value)
