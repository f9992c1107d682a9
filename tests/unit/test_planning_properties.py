"""What is true of every plan, whatever the scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.planning_lab import (
    PROBE,
    act,
    at,
    both,
    check,
    expect,
    fault,
    plan,
    row,
    s,
    select,
    stop,
    story,
    wait,
)
from test_coordination.domain.graph import find_cycle
from test_coordination.domain.plan import Stage
from test_coordination.domain.scenario import Resources, Scenario
from test_coordination.domain.steps import (
    FaultStep,
    ForEach,
    ParallelStep,
    Quota,
    Ramp,
    Repeat,
    SequenceStep,
    Step,
    WaitStep,
    flatten,
)
from test_coordination.domain.values import ProbeName, StepId

SERVICES = ("shop", "bank", "ledger", "broker")
LISTS = st.lists(st.integers(0, 9), max_size=3).map(tuple)
AXES = st.none() | st.lists(LISTS, min_size=1, max_size=2).map(
    lambda lists: ForEach(axes={f"axis{n}": values for n, values in enumerate(lists)}, mark=at(1))
)


class Author:
    """Writes scenarios: each step has an id of its own, and refers only to what stands above."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._above: list[StepId] = []
        self._faults: list[StepId] = []
        self._count = 0

    def steps(self, depth: int) -> tuple[Step, ...]:
        return tuple(self._step(depth) for _ in range(self._draw(st.integers(1, 3))))

    def _step(self, depth: int) -> Step:
        self._count += 1
        head: dict[str, Any] = {
            "identity": f"s{self._count}",
            "for_each": self._draw(AXES),
            "concurrency": self._draw(st.integers(1, 3)),
        }
        waits = self._draw(st.booleans())
        if self._above and waits:
            head["needs"] = [self._draw(st.sampled_from(self._above))]
        kinds = ["wait", "act", "fault", "expect", "stop", *["group"] * (2 * depth)]
        kind = self._draw(st.sampled_from(kinds))
        step = self._group(depth, head) if kind == "group" else self._deed(kind, head)
        self._above.append(step.id)
        if isinstance(step, FaultStep):
            self._faults.append(step.id)
        return step

    def _group(self, depth: int, head: dict[str, Any]) -> Step:
        make = both if self._draw(st.booleans()) else row
        return make(head.pop("identity"), *self.steps(depth - 1), **head)

    def _deed(self, kind: str, head: dict[str, Any]) -> Step:
        match kind:
            case "fault":
                return self._fault(head)
            case "act":
                times = self._draw(st.none() | st.integers(1, 3))
                return act(**head, repeat=times and Repeat(times=times, pause=s(1)))
            case "expect" if self._faults:
                key = self._draw(st.sampled_from(["after_fault", "during"]))
                return expect(**head, **{key: self._draw(st.sampled_from(self._faults))})
            case "stop" if self._faults:
                return stop(**head, step=self._draw(st.sampled_from(self._faults)))
            case _:
                return wait(**head)

    def _fault(self, head: dict[str, Any]) -> Step:
        quota = Quota(count=self._draw(st.integers(1, 4)))
        return fault(
            **head,
            fault="switch.slow",
            parameters={"delay": "1s"},
            target=self._draw(st.sampled_from(["shop", select(*SERVICES, quota=quota)])),
            repeat=self._draw(st.none() | st.just(Repeat(times=2))),
            ramp=self._draw(st.none() | st.just(Ramp(over=s(1), stages=2))),
            background=self._draw(st.booleans()),
        )


@st.composite
def stories(draw: st.DrawFn) -> Scenario:
    steady = (check("w"),) if draw(st.booleans()) else ()
    return story(*Author(draw).steps(2), steady_state=steady)


@given(scenario=stories(), seed=st.integers(0, 9))
@settings(deadline=None)
def test_every_plan_can_be_carried_out(scenario: Scenario, seed: int) -> None:
    found = plan(scenario, seed=seed)
    known = {step.id for step in found.steps}
    assert len(known) == len(found.steps)
    assert find_cycle({step.id: step.needs for step in found.steps}) == ()
    for step in found.steps:
        assert step.ended <= step.needs <= known
        assert step.beside <= known
        assert all(found.step(need).background for need in step.ended)
        assert step.work is not None
        if step.expect is not None and step.expect.during is not None:
            assert step.beside == set(found.members(step.expect.during)) != set()
    for members in found.groups.values():
        assert set(members) <= known
    for one in flatten(scenario.steps):
        assert set(found.members(one.id)) <= known


@given(scenario=stories(), seed=st.integers(0, 9))
@settings(deadline=None)
def test_the_same_scenario_and_seed_give_the_same_plan(scenario: Scenario, seed: int) -> None:
    assert plan(scenario, seed=seed) == plan(scenario, seed=seed)


@given(scenario=stories())
@settings(deadline=None)
def test_everything_but_the_steps_stands_before_or_after_all_of_them(scenario: Scenario) -> None:
    assume(scenario.steady_state)
    found = plan(scenario)
    main = {step.id for step in found.steps if step.stage is Stage.MAIN}
    reach: dict[str, set[str]] = {}
    steps = {step.id: step for step in found.steps}

    def below(name: StepId) -> set[str]:
        if name not in reach:
            needs = steps[name].needs
            reach[name] = set(needs).union(*map(below, needs))
        return reach[name]

    assert all("before.w" in below(step) for step in steps if step != "before.w")
    assert main <= below(StepId("after.w"))


def copies(step: Step, factor: int, found: dict[str, int]) -> None:
    """Count how often each step that does something must have been planned."""
    if step.for_each is not None:
        axes = step.for_each.axes.values()
        factor *= math.prod(len(values) for values in axes if isinstance(values, tuple))
    if isinstance(step, ParallelStep | SequenceStep):
        for inner in step.steps:
            copies(inner, factor, found)
    else:
        found[step.id] = factor


@given(scenario=stories())
@settings(deadline=None)
def test_there_are_as_many_copies_as_there_are_values(scenario: Scenario) -> None:
    found = plan(scenario)
    expected: dict[str, int] = {}
    for step in scenario.steps:
        copies(step, 1, expected)
    plain = {step.id for step in flatten(scenario.steps) if isinstance(step, WaitStep)}
    assert {name: len(found.members(name)) for name in plain} == {
        name: expected[name] for name in plain
    }


ORDERED = st.permutations(["a", "b", "c"])


def keyed(order: list[str]) -> Mapping[str, str]:
    return {name: f"{name}-value" for name in order}


def arranged(parameters: list[str], pools: list[str], deep: list[str]) -> Scenario:
    return story(
        act("a", parameters=keyed(parameters)),
        fault("b", select(*SERVICES), parameters={"deep": keyed(deep)}),
        resources=Resources(pools={name: len(name) for name in pools}),
        probes=tuple(replace(PROBE, name=ProbeName(name)) for name in ("p", *pools)),
    )


@given(orders=st.tuples(ORDERED, ORDERED, ORDERED))
@settings(deadline=None)
def test_the_order_of_keys_that_do_not_hang_on_each_other_changes_nothing(
    orders: tuple[list[str], list[str], list[str]],
) -> None:
    plain = ["a", "b", "c"]

    found, expected = plan(arranged(*orders)), plan(arranged(plain, plain, plain))

    assert found.digest == expected.digest
    assert found.steps == expected.steps


@given(lines=st.tuples(st.integers(1, 99), st.integers(1, 99)), file=st.text(max_size=5))
@settings(deadline=None)
def test_places_are_no_part_of_the_digest(lines: tuple[int, int], file: str) -> None:
    first, second = (
        story(
            replace(wait("a"), mark=replace(at(line), file=file)),
            replace(expect("b"), check=check("b", line=line)),
            steady_state=(check("w", line=line),),
            mark=at(line),
        )
        for line in lines
    )

    assert plan(first).digest == plan(second).digest
