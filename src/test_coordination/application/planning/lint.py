"""What a careful author would not leave out: the warnings of strict mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Final

from test_coordination.application.planning.claims import hit
from test_coordination.domain.errors import Mark, Problem
from test_coordination.domain.expressions import Expression, tokens
from test_coordination.domain.graph import closure
from test_coordination.domain.plan import GateWork, Plan, PlannedCheck
from test_coordination.domain.scenario import TIMEOUT_DEFAULT, Scenario
from test_coordination.domain.steps import (
    Check,
    ExpectStep,
    FaultStep,
    GateStep,
    Moment,
    needs_of,
)
from test_coordination.domain.topology import Criticality, Topology
from test_coordination.domain.values import format_duration

_ROOTS: Final = frozenset(
    {"probes", "steps", "faults", "snapshots", "execution", "services", "links", "parameters"}
    | {"env", "each"}
)
_NO_TIME: Final = timedelta(0)


def lint(
    scenario: Scenario, plan: Plan | None = None, *, topology: Topology | None = None
) -> tuple[Problem, ...]:
    """Return what makes ``scenario`` weaker than it could be, in the order of the file.

    Without a ``plan`` only times that are written out are compared; without one and its
    ``topology`` nobody knows which services are critical.
    """
    if plan is not None:
        late = _too_long(_planned(plan), plan.timeout)
    else:
        whole = TIMEOUT_DEFAULT if scenario.timeout is None else scenario.timeout
        late = _too_long(_written(scenario), _known(whole))
    found = chain(
        _missing(scenario),
        _constant(scenario),
        late,
        _unchecked(scenario),
        _unused(scenario),
        _critical(scenario, plan, topology),
    )
    return tuple(sorted(dict.fromkeys(found), key=lambda problem: problem.mark))


def _problem(mark: Mark, what: str, text: str) -> Problem:
    return Problem(mark=mark, code=f"strict.{what}", text=text)


def _faults(scenario: Scenario) -> list[FaultStep]:
    return [step for step in scenario.every_step() if isinstance(step, FaultStep)]


def _missing(scenario: Scenario) -> Iterator[Problem]:
    if scenario.timeout is None:
        text = f"no timeout is written, so it is {format_duration(TIMEOUT_DEFAULT)}; write "
        yield _problem(scenario.mark, "no_timeout", f"{text}'timeout' for the whole scenario")
    if not _faults(scenario):
        return
    if not scenario.steady_state:
        text = "nothing says what a well system looks like before and after its faults; write "
        yield _problem(scenario.mark, "no_steady_state", f"{text}a 'steady_state'")
    if not scenario.stop_when:
        text = "nothing says when its faults do too much harm to go on; write a 'stop_when'"
        yield _problem(scenario.mark, "no_stop_condition", text)


def _checks(scenario: Scenario) -> Iterator[Check]:
    yield from scenario.preconditions
    yield from scenario.steady_state
    yield from scenario.postconditions
    for step in scenario.every_step():
        if isinstance(step, ExpectStep):
            yield step.check


def _conditions(scenario: Scenario) -> Iterator[Expression]:
    yield from (check.expression for check in _checks(scenario))
    yield from (rule.condition for rule in scenario.stop_when)
    if scenario.start is not None:
        yield scenario.start.condition
    for step in scenario.every_step():
        if step.condition is not None:
            yield step.condition
        if isinstance(step, GateStep):
            yield step.gate.condition


def _paths(expression: Expression) -> Iterator[tuple[str, str]]:
    """Yield the first two words of each name that ``expression`` uses."""
    parts = [token[0] for token in tokens(expression.text)]
    solid = [part for part in parts if part.strip() and part[:2] != "//"]
    for place, root in enumerate(solid[:-2]):
        if root in _ROOTS and solid[place + 1] == "." and solid[place - 1 : place] != ["."]:
            yield root, solid[place + 2]


def _constant(scenario: Scenario) -> Iterator[Problem]:
    for check in _checks(scenario):
        if not any(_paths(check.expression)):
            text = f"{check.expression.text!r} looks at nothing, so it can never turn out "
            text += "otherwise; compare something that is seen, such as probes.NAME.last"
            yield _problem(check.expression.mark, "constant_check", text)


def _unused(scenario: Scenario) -> Iterator[Problem]:
    used = {
        name
        for condition in _conditions(scenario)
        for root, name in _paths(condition)
        if root == "probes"
    }
    for probe in scenario.probes:
        if probe.name not in used:
            text = f"no condition looks at the probe {probe.name!r}; expect something of it, or "
            yield _problem(probe.mark, "unused_probe", f"{text}take it away")


def _unchecked(scenario: Scenario) -> Iterator[Problem]:
    if scenario.steady_state or scenario.postconditions:
        return
    needs = needs_of(scenario.steps)
    checks = [step for step in scenario.every_step() if isinstance(step, ExpectStep)]
    seen = {*closure((step.id for step in checks), needs)}
    seen |= {step.check.after_fault for step in checks if step.check.after_fault is not None}
    for step in _faults(scenario):
        if step.id not in seen:
            text = f"nothing is checked after the fault {step.id!r}; write an 'expect' with "
            yield _problem(step.mark, "unchecked_fault", f"{text}'after_fault: {step.id}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patience:
    """How long something is waited for, and the timeout of the step that does."""

    mark: Mark
    needed: timedelta
    timeout: timedelta | None = None


def _too_long(patience: Iterable[_Patience], whole: timedelta | None) -> Iterator[Problem]:
    for each in patience:
        for whose, timeout in (("scenario", whole), ("step", each.timeout)):
            if timeout is not None and each.needed > timeout:
                text = (
                    f"what is waited for here may take {format_duration(each.needed)}, and the "
                    f"{whose}'s timeout is {format_duration(timeout)}; lengthen the timeout, or "
                    "shorten 'within' and 'hold'"
                )
                yield _problem(each.mark, "beyond_timeout", text)


def _planned(plan: Plan) -> Iterator[_Patience]:
    for step in plan.steps:
        match step.work:
            case PlannedCheck(mark=mark, within=within, span=span, hold=hold):
                needed = (within or span or _NO_TIME) + hold
            case GateWork(condition=condition, within=within, hold=hold):
                mark, needed = condition.mark, within + hold
            case _:
                continue
        yield _Patience(mark=step.mark or mark, needed=needed, timeout=step.timeout)


def _written(scenario: Scenario) -> Iterator[_Patience]:
    """Yield what is known before there is a plan, as far as times are no expressions."""
    for check in (*scenario.preconditions, *scenario.steady_state, *scenario.postconditions):
        yield _Patience(mark=check.expression.mark, needed=_sum(check.within, check.hold))
    if scenario.start is not None:
        gate = scenario.start
        yield _Patience(mark=gate.condition.mark, needed=_sum(gate.within, gate.hold))
    for step in scenario.every_step():
        match step:
            case ExpectStep(check=check):
                needed = _sum(check.within or check.span, check.hold)
            case GateStep(gate=gate):
                needed = _sum(gate.within, gate.hold)
            case _:
                continue
        yield _Patience(mark=step.mark, needed=needed, timeout=_known(step.timeout))


def _sum(*moments: Moment | None) -> timedelta:
    return sum((_known(moment) or _NO_TIME for moment in moments), _NO_TIME)


def _known(moment: Moment | None) -> timedelta | None:
    return moment if isinstance(moment, timedelta) else None


def _critical(
    scenario: Scenario, plan: Plan | None, topology: Topology | None
) -> Iterator[Problem]:
    if plan is None or topology is None or scenario.blast_radius is not None:
        return
    for step in plan.steps:
        critical = [
            name
            for name in sorted(hit((step,)))
            if topology.services[name].criticality is Criticality.HIGH
        ]
        for name in critical:
            text = f"a fault hits {name!r}, whose criticality is high, and nothing limits how "
            text += "many services are hit; write a 'blast_radius'"
            yield _problem(step.mark or scenario.mark, "no_blast_radius", text)
