"""Plan the checks: those of steps, and those that stand before and after all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from test_coordination.application.planning.settle import NO_TIME, Settler
from test_coordination.domain.plan import (
    GateWork,
    PlannedCheck,
    PlannedStep,
    Stage,
    StopRule,
)
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.steps import (
    SETTLE_DEFAULT,
    STEP_TIMEOUT_DEFAULT,
    Check,
    Gate,
)
from test_coordination.domain.values import StepId, format_duration

START: Final = StepId("start")
"""The step that waits for the moment at which everything else may begin."""


def planned_check(check: Check, settler: Settler, *, recent: bool = False) -> PlannedCheck:
    """Return ``check`` with its times known; see `PlannedCheck` for ``recent``."""
    condition = settler.condition(check.expression)
    mark = check.expression.mark
    return PlannedCheck(
        id=check.id,
        expression=condition.expression,
        mark=mark,
        mode=check.mode,
        within=None if check.within is None else settler.moment(check.within, mark),
        hold=NO_TIME if check.hold is None else settler.moment(check.hold, mark),
        span=None if check.span is None else settler.moment(check.span, mark),
        during=check.during,
        severity=check.severity,
        weight=check.weight,
        after_fault=check.after_fault,
        recent=recent,
        title=check.title,
    )


def planned_gate(gate: Gate, settler: Settler) -> GateWork:
    """Return ``gate`` with its times known; one that can never open is a problem."""
    condition = settler.condition(gate.condition)
    within = settler.moment(gate.within, condition.mark)
    hold = NO_TIME if gate.hold is None else settler.moment(gate.hold, condition.mark)
    if hold > within:
        text = f"what must have been true for {format_duration(hold)} within "
        text += f"{format_duration(within)} can never be; lengthen 'within', or shorten 'hold'"
        settler.refuse(condition.mark, "value.out_of_range", text)
    return GateWork(condition=condition, within=within, hold=hold, otherwise=gate.otherwise)


def before(scenario: Scenario, settler: Settler) -> Iterator[PlannedStep]:
    """Yield what comes before the first step: the gate, preconditions, the steady state."""
    done: frozenset[StepId] = frozenset()
    if scenario.start is not None:
        gate = planned_gate(scenario.start, settler)
        timeout = gate.within + gate.hold + STEP_TIMEOUT_DEFAULT
        yield PlannedStep(
            id=START, stage=Stage.BEFORE, mark=gate.condition.mark, timeout=timeout, gate=gate
        )
        done = frozenset({START})
    for prefix, checks in (("pre", scenario.preconditions), ("before", scenario.steady_state)):
        steps = tuple(_settling(checks, settler, prefix=prefix, stage=Stage.BEFORE))
        yield from (replace(step, needs=done) for step in steps)
        done = frozenset(step.id for step in steps) or done


def after(scenario: Scenario, settler: Settler) -> Iterator[PlannedStep]:
    """Yield what comes after the last step: the steady state, and postconditions.

    The steady state is judged by what is seen from then on; a postcondition, as a check among
    the steps, by all that was seen.
    """
    yield from _settling(scenario.steady_state, settler, prefix="after", stage=Stage.AFTER)
    for check in scenario.postconditions:
        planned = planned_check(check, settler)
        yield _judging(planned, f"post.{check.id}", stage=Stage.AFTER)


def stop_rules(scenario: Scenario, settler: Settler) -> Iterator[StopRule]:
    """Yield the conditions that stop everything."""
    for rule in scenario.stop_when:
        condition = settler.condition(rule.condition)
        yield StopRule(
            id=rule.id,
            condition=condition,
            hold=NO_TIME if rule.hold is None else settler.moment(rule.hold, condition.mark),
            title=rule.title,
        )


def _settling(
    checks: Iterable[Check], settler: Settler, *, prefix: str, stage: Stage
) -> Iterator[PlannedStep]:
    for check in checks:
        within = SETTLE_DEFAULT if check.within is None else check.within
        patient = replace(check, within=within)
        planned = planned_check(patient, settler, recent=True)
        yield _judging(planned, f"{prefix}.{check.id}", stage=stage)


def _judging(check: PlannedCheck, step: str, *, stage: Stage) -> PlannedStep:
    return PlannedStep(
        id=StepId(step),
        stage=stage,
        title=check.title,
        mark=check.mark,
        timeout=(check.within or NO_TIME) + check.hold + STEP_TIMEOUT_DEFAULT,
        expect=check,
    )
