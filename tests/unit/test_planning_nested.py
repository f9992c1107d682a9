"""Scenarios that run as steps of others, and secrets that nobody may see."""

from __future__ import annotations

from typing import Any

import pytest

from support.planning_lab import (
    act,
    at,
    cel,
    expect,
    fault,
    mistakes,
    only,
    plan,
    s,
    select,
    story,
    wait,
)
from test_coordination.domain.expressions import Interpolation
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.plan import Claims, Plan, ScenarioWork
from test_coordination.domain.scenario import BlastRadius, Resources, Scenario
from test_coordination.domain.secrets import placeholder
from test_coordination.domain.steps import Quota, ScenarioStep
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict


def run(identity: str, scenario: str, line: int = 1, **keys: Any) -> ScenarioStep:
    return ScenarioStep(id=StepId(identity), mark=at(line), scenario=scenario, **keys)


def parameter(name: str, kind: ParameterType = ParameterType.STRING, **keys: Any) -> Parameter:
    return Parameter(name=name, type=kind, mark=at(2), **keys)


def work(found: Plan, identity: str) -> ScenarioWork:
    scenario = only(found, identity).scenario
    assert scenario is not None
    return scenario


OUTAGE = parameter("outage", ParameterType.DURATION, default=s(1), maximum=s(60))
CHILD = story(
    fault("cut", "bank", cel("parameters.outage")),
    name="child",
    parameters=(OUTAGE, parameter("names", ParameterType.LIST, items=ParameterType.STRING)),
    timeout=s(100),
)
OTHERS = {"child": CHILD}


def test_a_scenario_runs_as_a_step_with_parameters_of_its_own() -> None:
    given = {"outage": cel("duration('5s')"), "names": ["x", cel("'y'")]}

    found = plan(
        story(run("a", "child", parameters=given, verdicts=(Verdict.BROKEN,))), others=OTHERS
    )

    step = work(found, "a")
    assert (step.scenario, step.verdicts) == ("child", (Verdict.BROKEN,))
    assert step.parameters == {"outage": "5s", "names": ["x", "y"]}
    assert step.plan.parameters == {"outage": "5s", "names": ["x", "y"]}
    assert step.plan.steps[0].fault is not None
    assert step.plan.steps[0].fault.hold == s(5)
    assert len(step.plan.digest) == 64
    assert only(found, "a").timeout == s(400)


def test_what_a_step_s_scenario_hits_and_claims_counts_for_the_whole() -> None:
    resources = Resources(exclusive=("lane",), shared=("rack",), pools={"network": 2, "disk": 1})
    child = story(fault("cut", "bank"), name="child", resources=resources)
    outer = story(
        fault("cut"), run("a", "child"), resources=Resources(pools={"network": 1, "disk": 3})
    )

    found = plan(outer, others={"child": child})
    refused = mistakes(
        story(*outer.steps, blast_radius=BlastRadius(mark=at(8), services=1)),
        others={"child": child},
    )

    assert found.claims == Claims(
        exclusive=("lane", "service/bank", "service/shop"),
        shared=("rack",),
        pools={"network": 2, "disk": 3},
        sizes={"network": 3, "disk": 3},
    )
    assert [(line, code) for line, code, _ in refused] == [(8, "plan.blast_radius")]


def test_two_steps_that_run_the_same_scenario_choose_each_for_themselves() -> None:
    any_one = select("shop", "bank", "ledger", "broker", quota=Quota(count=1))
    child = story(fault("cut", any_one), name="child")
    steps = [run(f"a{place}", "child") for place in range(20)]

    found = plan(story(*steps), others={"child": child})
    again = plan(child, seed=work(found, "a3").plan.seed)

    plans = [work(found, step.id).plan for step in steps]
    assert len({each.choices[0].chosen for each in plans}) == 4
    assert again == plans[3]


def test_mistakes_inside_are_told_at_the_step_that_runs_it() -> None:
    inner = story(fault("cut", "shp", mark=at(7)), name="inner", mark=at(3))
    outer = story(
        run("a", "child", 4, parameters={"outage": "5m", "strange": 1}),
        run("b", "inner", 5),
        run("c", "chld", 6),
        run("d", "child", 7, parameters={"outage": cel("1 / 0", 8)}),
    )

    found = mistakes(outer, others={**OTHERS, "inner": inner})

    assert [(line, code) for line, code, _ in found] == [
        (4, "parameter.unknown"), (4, "parameter.invalid"), (5, "topology.unknown_service"),
        (6, "plan.unknown_scenario"), (8, "expression.failed"),
    ]  # fmt: skip
    assert found[1][2].startswith("in the scenario 'child', s.yaml:2:1: parameter 'outage' is")
    assert "in the scenario 'inner', s.yaml:7:1: no service is named 'shp'" in found[2][2]
    assert "did you mean 'child'?" in found[3][2]


def test_scenarios_that_run_each_other_are_named() -> None:
    one = story(run("x", "two", 2), name="one")
    two = story(run("y", "one@3", 3), name="two")

    found = mistakes(story(run("a", "one", 4)), others={"one": one, "one@3": one, "two": two})

    assert [(line, code) for line, code, _ in found] == [(4, "plan.circle")]
    assert "one -> two -> one; take one step away" in found[0][2]
    assert mistakes(one, others={"one@3": one, "two": two})[0][1] == "plan.circle"


@pytest.mark.parametrize(("deep", "fits"), [(7, True), (8, False)])
def test_scenarios_run_each_other_only_so_deep(deep: int, *, fits: bool) -> None:
    chain = {f"s{n}": story(run("a", f"s{n + 1}"), name=f"s{n}") for n in range(1, deep)}
    chain[f"s{deep}"] = story(wait("w"), name=f"s{deep}")
    outer = story(run("a", "s1"))

    if fits:
        assert plan(outer, others=chain).steps
    else:
        ((_, code, text),) = mistakes(outer, others=chain)
        assert code == "plan.too_deep"
        assert text.endswith(
            "story -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8; expected 8 at most"
        )


def test_the_steps_of_all_scenarios_are_counted_together() -> None:
    child = story(*[wait(f"w{n}") for n in range(99)], name="child")
    ten, eleven = ([run(f"a{n}", "child") for n in range(count)] for count in (10, 11))

    assert plan(story(*ten), others={"child": child}).steps
    assert {code for _, code, _ in mistakes(story(*eleven), others={"child": child})} == {
        "plan.too_many_steps"
    }


def test_scenarios_without_steps_cannot_be_run_for_ever() -> None:
    empty = story(name="empty")
    middle = story(*[run(f"a{n}", "empty") for n in range(40)], name="middle")
    outer = story(*[run(f"b{n}", "middle") for n in range(25)])

    found = mistakes(outer, others={"empty": empty, "middle": middle})

    assert {code for _, code, _ in found} == {"plan.too_many_steps"}


TOKEN = parameter("token", ParameterType.SECRET, default="env:TOKEN")
OPEN = placeholder("env:TOKEN")


def test_a_secret_stands_as_a_placeholder_and_is_shown_as_its_reference() -> None:
    text = Interpolation(parts=("Bearer ", cel("parameters.token")), mark=at(1))
    parameters = {"name": cel("parameters.token"), "deep": [{"text": text}]}

    found = plan(story(act("a", parameters=parameters), parameters=(TOKEN,)))
    other = plan(story(act("a"), parameters=(TOKEN,)), {"token": "file:/run/token"})

    action = only(found, "a").action
    assert action is not None
    assert action.parameters == {"name": OPEN, "deep": [{"text": f"Bearer {OPEN}"}]}
    assert found.parameters == {"token": "env:TOKEN"}
    assert other.parameters == {"token": "file:/run/token"}


def test_nothing_is_computed_from_a_secret_and_no_condition_sees_it() -> None:
    scenario = story(
        act("a", parameters={"name": cel("parameters.token + 'x'", 3)}),
        expect("b", "parameters.token == 'x'"),
        fault("c", cel("parameters.token", 5)),
        wait("d", condition=cel("parameters.token == ''", 6)),
        parameters=(TOKEN,),
    )

    found = mistakes(scenario)

    assert {(line, code) for line, code, _ in found} == {
        (1, "expression.unknown_name"), (3, "secret.computed"), (5, "expression.unknown_name"),
        (6, "expression.unknown_name"),
    }  # fmt: skip
    assert not any("env:TOKEN" in text for _, _, text in found)


def test_a_secret_that_was_not_given_has_no_value() -> None:
    optional = parameter("token", ParameterType.SECRET)
    scenario = story(act("a", parameters={"name": cel("parameters.token")}), parameters=(optional,))

    assert [code for _, code, _ in mistakes(scenario)] == ["expression.missing_value"]
    assert plan(story(wait("a"), parameters=(optional,))).parameters == {"token": None}


def keeper(kind: ParameterType) -> Scenario:
    step = act("a", parameters={"name": cel("parameters.key")})
    return story(step, name="keeper", parameters=(parameter("key", kind),))


def test_a_secret_is_handed_on_as_the_reference_to_it() -> None:
    outer = story(
        run("a", "keeper", parameters={"key": cel("parameters.token")}), parameters=(TOKEN,)
    )

    found = work(plan(outer, others={"keeper": keeper(ParameterType.SECRET)}), "a")

    assert found.parameters == {"key": "env:TOKEN"}
    action = only(found.plan, "a").action
    assert action is not None
    assert action.parameters == {"name": OPEN}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (ParameterType.STRING, cel("parameters.token")),
        (ParameterType.SECRET, Interpolation(parts=("x", cel("parameters.token")), mark=at(1))),
    ],
)
def test_a_secret_is_handed_on_only_as_what_it_is(kind: ParameterType, given: object) -> None:
    outer = story(run("a", "keeper", parameters={"key": given}), parameters=(TOKEN,))

    found = mistakes(outer, others={"keeper": keeper(kind)})

    assert [code for _, code, _ in found] == ["secret.computed"]
