"""What a careful author would not leave out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.planning_lab import (
    PROBE,
    at,
    cel,
    check,
    each,
    expect,
    fault,
    plan,
    row,
    s,
    select,
    story,
    system,
    wait,
)
from test_coordination.application.planning.lint import lint
from test_coordination.domain.scenario import BlastRadius, Scenario, StopCondition
from test_coordination.domain.steps import Gate, GateStep, Mode, ScenarioStep
from test_coordination.domain.topology import Criticality
from test_coordination.domain.values import CheckId, ProbeName, ServiceName, StepId

STOP = StopCondition(id=CheckId("x"), condition=cel("!probes.p.last.ok"))
CAREFUL: dict[str, Any] = {
    "steady_state": (check("w"),),
    "stop_when": (STOP,),
    "timeout": s(600),
}


def careful(*steps: Any, **keys: Any) -> Scenario:
    return story(*steps, **{**CAREFUL, **keys})


def warnings(scenario: Scenario, **keys: Any) -> list[tuple[int, str]]:
    """Return what is said of a scenario, before and after it is planned alike."""
    found = [(each.mark.line, each.code) for each in lint(scenario, **keys)]
    if "plan" not in keys:
        assert warnings(scenario, plan=plan(scenario)) == found
    return found


def test_nothing_is_said_of_a_careful_scenario() -> None:
    assert warnings(careful(fault("a"), expect("b", after_fault="a", within=s(5)))) == []


def test_each_thing_that_is_left_out_is_told_with_what_to_do() -> None:
    found = lint(story(fault("a", mark=at(3)), mark=at(2)))

    assert [(one.mark.line, one.code) for one in found] == [
        (1, "strict.unused_probe"), (2, "strict.no_timeout"), (2, "strict.no_steady_state"),
        (2, "strict.no_stop_condition"), (3, "strict.unchecked_fault"),
    ]  # fmt: skip
    said = {one.code: one.text for one in found}
    assert "so it is 10m" in said["strict.no_timeout"]
    assert "after_fault: a" in said["strict.unchecked_fault"]


def test_where_nothing_is_broken_nothing_need_be_well_before() -> None:
    assert warnings(story(expect("a"), timeout=s(9))) == []


@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("true", True),
        ("1 + 1 == 2 // probes.p.last.ok", True),
        ("'probes.p.last' != ''", True),
        ("[1, 2].all(steps, steps > 0)", True),
        ("{'probes': {'p': true}}.probes.p", True),
        ("probes.p.last.ok", False),
        ("probes . p.last.ok", False),
        ("steps.a.outcome == 'done' && probes.p.last.ok", False),
        ("{'x': probes.p.last.ok}.x", False),
    ],
)
def test_an_expectation_that_looks_at_nothing_can_never_fail(text: str, *, constant: bool) -> None:
    scenario = careful(wait("a"), expect("b", text))
    scenario = replace(scenario, postconditions=(check("z", "true || false", line=9),))

    expected = [(1, "strict.constant_check")] if constant else []
    assert warnings(scenario) == [*expected, (9, "strict.constant_check")]


@pytest.mark.parametrize(
    ("steps", "unchecked"),
    [
        ([fault("a"), expect("b")], False),
        ([expect("b", "probes.p.last.ok"), fault("a")], True),
        ([fault("a"), expect("b", needs=[])], True),
        ([fault("a", background=True), expect("b", needs=[], after_fault="a")], False),
        ([fault("a"), expect("b", mode=Mode.ALWAYS, during="a")], True),
        ([row("g", fault("a"), for_each=each(1, 2)), wait("c"), expect("b")], False),
        ([fault("a", mark=at(1)), wait("c"), expect("b", needs=["c"])], False),
    ],
)
def test_a_fault_is_followed_by_a_check(steps: list[Any], *, unchecked: bool) -> None:
    scenario = careful(*steps, steady_state=(), preconditions=(check("y"),))

    expected = [(1, "strict.no_steady_state"), (1, "strict.unchecked_fault")]
    assert sorted(warnings(scenario)) == expected[: 1 + unchecked]
    assert not warnings(replace(scenario, steady_state=(check("w"),)))
    assert warnings(replace(scenario, postconditions=(check("w"),))) == expected[:1]


def test_a_probe_is_used_where_any_condition_looks_at_it() -> None:
    names = "abcdefgh"
    probes = tuple(
        replace(PROBE, name=ProbeName(name), mark=at(line)) for line, name in enumerate(names, 1)
    )
    looks = {name: cel(f"probes.{name}.last.ok") for name in names}
    gate = Gate(condition=looks["e"], within=s(1))
    scenario = careful(
        expect("x", looks["a"].text),
        wait("y", condition=looks["b"]),
        GateStep(id=StepId("z"), mark=at(1), gate=gate),
        probes=probes,
        start=replace(gate, condition=looks["c"]),
        preconditions=(check("v", looks["d"].text),),
        steady_state=(check("w", looks["f"].text),),
        stop_when=(replace(STOP, condition=looks["g"]),),
    )

    assert warnings(scenario) == [(8, "strict.unused_probe")]


def test_nothing_is_waited_for_longer_than_there_is_time() -> None:
    gate = Gate(condition=cel("probes.p.last.ok", 8), within=s(50), hold=s(11))
    scenario = careful(
        expect("a", within=s(50), hold=s(11), mark=at(2), timeout=s(70)),
        expect("b", mode=Mode.ALWAYS, span=s(20), mark=at(3), timeout=s(19)),
        expect("c", within=s(59), mark=at(4), timeout=s(59)),
        GateStep(id=StepId("d"), mark=at(5), gate=gate, timeout=s(80)),
        wait("e"),
        start=gate,
        preconditions=(check("x", within=s(61), line=6),),
        postconditions=(check("y", hold=s(61), line=7),),
        timeout=s(60),
    )

    assert warnings(scenario) == [(line, "strict.beyond_timeout") for line in (2, 3, 5, 6, 7, 8)]
    said = [one.text for one in lint(scenario)]
    assert "may take 1m1s, and the scenario's timeout is 1m" in said[0]
    assert "may take 20s, and the step's timeout is 19s" in said[1]


def test_times_that_are_expressions_are_compared_once_they_are_known() -> None:
    long = cel("duration('70s')")
    scenario = careful(expect("a", within=long, mark=at(2)), timeout=cel("duration('60s')"))

    assert lint(scenario) == ()
    assert warnings(scenario, plan=plan(scenario)) == [(2, "strict.beyond_timeout")]


def test_a_critical_service_is_hit_only_within_a_radius() -> None:
    lab = system()
    bank = ServiceName("bank")
    services = {**lab.services, bank: replace(lab.services[bank], criticality=Criticality.HIGH)}
    critical = replace(lab, services=services)
    child = story(fault("cut", "bank"), name="child")
    step = ScenarioStep(id=StepId("c"), mark=at(5), scenario="child")
    scenario = careful(fault("a", select("shop", "bank"), mark=at(3)), fault("b"), step)
    limited = replace(scenario, blast_radius=BlastRadius(mark=at(4), services=2))

    found = plan(scenario, others={"child": child})

    assert warnings(scenario, plan=found, topology=critical) == [
        (3, "strict.no_blast_radius"), (5, "strict.no_blast_radius"),
    ]  # fmt: skip
    assert warnings(scenario, plan=found, topology=lab) == []
    assert warnings(scenario, plan=found) == []
    assert warnings(limited, plan=found, topology=critical) == []
