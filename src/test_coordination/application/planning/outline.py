"""The outline of a plan: what runs when and beside what, what is touched, and how it is undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from test_coordination.application.capabilities import Catalogue
from test_coordination.application.planning.claims import hit
from test_coordination.application.planning.course import course
from test_coordination.application.planning.times import Times, least, most
from test_coordination.domain.graph import Span, lanes
from test_coordination.domain.plan import (
    Choice,
    Claims,
    Plan,
    PlannedDependency,
    Stage,
)
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ServiceName, StepId

_ALL: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A service that a fault hits, and how the fault is undone.

    ``step`` is the path to the step, through the steps that run other scenarios.
    """

    step: tuple[StepId, ...]
    fault: str
    family: str
    service: ServiceName
    undo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlinedStep:
    """A step and when it runs, counted from the start of the execution.

    ``best`` is when it runs if nothing is waited for longer than it must be, ``worst`` if
    everything takes as long as it may. Steps in the same ``lane`` never overlap at worst; one
    that is ``critical`` makes the whole longer if it takes longer.
    """

    id: StepId
    kind: str
    stage: Stage
    title: str
    needs: tuple[StepId, ...]
    background: bool
    best: Span
    worst: Span
    lane: int
    critical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What running a plan would mean.

    ``steps`` stand in the order in which they may begin, those that follow only a failure left
    out and named in ``on_failure``. ``usual`` is the expected length by what steps took before,
    None where nothing is known of that. ``share_percent`` is how many of the services of the
    system are among those ``hit``.
    """

    steps: tuple[OutlinedStep, ...]
    on_failure: tuple[StepId, ...]
    critical_path: tuple[StepId, ...]
    best: timedelta
    worst: timedelta
    usual: timedelta | None
    touches: tuple[Touch, ...]
    hit: tuple[ServiceName, ...]
    share_percent: float
    claims: Claims
    choices: tuple[Choice, ...]
    depends_on: tuple[PlannedDependency, ...]


def outline(
    plan: Plan,
    topology: Topology,
    catalogue: Catalogue,
    *,
    history: Mapping[StepId, timedelta] | None = None,
) -> Outline:
    """Return what running ``plan`` on ``topology`` would mean.

    ``history`` is how long steps took when they ran before; a step that is not in it is taken
    to be as short as it can be. The whole is never longer than the plan's timeout.
    """
    points = course(plan.steps, plan.groups)
    steps = {step.id: step for step in plan.steps if step.stage is not Stage.FAILURE}
    shortest = {name: least(step) for name, step in steps.items()}
    longest = {name: most(step) for name, step in steps.items()}
    best, worst = Times(plan, points, shortest), Times(plan, points, longest)
    usual = None if history is None else Times(plan, points, {**shortest, **history})
    path = tuple(dict.fromkeys(name for name, _ in worst.path() if name))
    spans = {name: worst.span(name) for name in steps}
    rows = lanes(spans)
    outlined = (
        OutlinedStep(
            id=name,
            kind=step.kind,
            stage=step.stage,
            title=step.title,
            needs=tuple(sorted(step.needs)),
            background=step.background,
            best=best.span(name),
            worst=spans[name],
            lane=rows[name],
            critical=name in path,
        )
        for name, step in steps.items()
    )
    services = sorted(hit(plan.steps))
    return Outline(
        steps=tuple(sorted(outlined, key=lambda step: step.best[0])),
        on_failure=tuple(step.id for step in plan.steps if step.stage is Stage.FAILURE),
        critical_path=path,
        best=min(best.end, plan.timeout),
        worst=min(worst.end, plan.timeout),
        usual=None if usual is None else min(usual.end, plan.timeout),
        touches=tuple(_touches(plan, catalogue)),
        hit=tuple(services),
        share_percent=_ALL * len(services) / max(1, len(topology.services)),
        claims=plan.claims,
        choices=plan.choices,
        depends_on=plan.depends_on,
    )


def _touches(plan: Plan, catalogue: Catalogue, path: tuple[StepId, ...] = ()) -> Iterator[Touch]:
    for step in plan.steps:
        if step.fault is not None:
            fault = catalogue.faults[step.fault.fault]
            yield Touch(
                step=(*path, step.id),
                fault=fault.kind,
                family=fault.family,
                service=step.fault.service,
                undo=fault.undo,
            )
        if step.scenario is not None:
            yield from _touches(step.scenario.plan, catalogue, (*path, step.id))
