"""Put the stages of a plan together: before, the author's own steps, after, and on failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Final

from test_coordination.application.planning.checks import after, before
from test_coordination.application.planning.expand import Expanded, expand
from test_coordination.application.planning.settle import TIME_MIN, Settler
from test_coordination.application.planning.steps import Made, Planner
from test_coordination.application.planning.wiring import Wired, wire
from test_coordination.domain.names import copy_names
from test_coordination.domain.plan import PlannedDependency, PlannedProbe, PlannedStep, Stage
from test_coordination.domain.scenario import EVERY_MIN, Scenario
from test_coordination.domain.values import StepId

PROBE_TIMEOUT_DEFAULT: Final = timedelta(seconds=2)
AGE_MAX: Final = timedelta(days=366)
"""The longest ago that a scenario may have ended on which another one depends."""


def stages(scenario: Scenario, planner: Planner, settler: Settler) -> Wired:
    """Return the steps of all stages with their needs, in the order in which they may begin.

    What stands before is waited for by what stands first among the author's steps; what stands
    after waits for all of these, also for those in the background to end.
    """
    earlier = tuple(before(scenario, settler))
    needed = frozenset(chain(*(step.needs for step in earlier)))
    first = frozenset(step.id for step in earlier) - needed
    expanded = expand(scenario.steps, settler)
    knowing = replace(settler, live={**settler.live, **copy_names(expanded.deeds)})
    main = wire(expanded, _made(expanded, planner, knowing), first=first, settler=settler)
    everything = frozenset(step.id for step in main.steps)
    background = frozenset(step.id for step in main.steps if step.background)
    later = (
        replace(step, needs=everything or first, ended=background)
        for step in after(scenario, settler)
    )
    failure = tuple(planner.make(action, settler) for action in scenario.on_failure)
    spread = {made.step.id: tuple(step.id for step in made.steps) for made in failure}
    groups = {name: members for name, members in spread.items() if members != (name,)}
    return Wired(
        steps=(*earlier, *main.steps, *later, *_in_order(failure)),
        groups={**main.groups, **groups},
    )


def _made(expanded: Expanded, planner: Planner, settler: Settler) -> Mapping[StepId, Made]:
    return {
        deed.id: Made(step=deed, steps=(), first=frozenset())
        if deed.id in expanded.empty
        else planner.make(
            deed, settler.inside(expanded.each[deed.id]), limit=expanded.limits.get(deed.id)
        )
        for deed in expanded.every_deed()
    }


def _in_order(failure: tuple[Made, ...]) -> Iterator[PlannedStep]:
    above: frozenset[StepId] = frozenset()
    for made in failure:
        for step in made.steps:
            needs = above if step.id in made.first else step.needs
            yield replace(step, stage=Stage.FAILURE, needs=needs)
        above = frozenset(step.id for step in made.steps)


def probes(scenario: Scenario, settler: Settler) -> Iterator[PlannedProbe]:
    """Yield the probes with their parameters and times known."""
    for probe in scenario.probes:
        kind = settler.catalogue.probes[probe.kind]
        timeout = probe.timeout or PROBE_TIMEOUT_DEFAULT
        yield PlannedProbe(
            name=probe.name,
            kind=probe.kind,
            parameters=settler.parameters(probe.parameters, kind, probe.mark),
            every=settler.moment(probe.every, probe.mark, least=EVERY_MIN),
            timeout=settler.moment(timeout, probe.mark, least=TIME_MIN),
        )


def dependencies(scenario: Scenario, settler: Settler) -> Iterator[PlannedDependency]:
    """Yield the scenarios that must have ended before this one begins."""
    for each in scenario.depends_on:
        mark = each.scenario.mark
        within = each.within
        yield PlannedDependency(
            scenario=each.scenario.name,
            version=each.scenario.version,
            verdicts=each.verdicts,
            mark=mark,
            within=None if within is None else settler.moment(within, mark, most=AGE_MAX),
        )
