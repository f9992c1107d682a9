"""What stands before the steps, between them and after them, and what a plan claims."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.planning_lab import (
    act,
    at,
    cel,
    check,
    expect,
    fault,
    group,
    mistakes,
    needs,
    only,
    plan,
    planned,
    s,
    select,
    stop,
    story,
    system,
    wait,
)
from test_coordination.domain.plan import (
    Claims,
    GateWork,
    PlannedCondition,
    PlannedDependency,
    ProbeWork,
    Stage,
    StopRule,
)
from test_coordination.domain.scenario import (
    BlastRadius,
    Dependency,
    Reference,
    Resources,
    StopCondition,
)
from test_coordination.domain.steps import Gate, GateStep, Mode, Otherwise, ProbeStep, Repeat
from test_coordination.domain.values import CheckId, StepId
from test_coordination.domain.verdicts import Severity, Verdict

GATE = Gate(condition=cel("probes.p.last.ok", 3), within=s(60), otherwise=Otherwise.SKIP)


def test_the_gate_comes_first_then_preconditions_then_the_steady_state() -> None:
    found = plan(
        story(
            wait("a"),
            wait("b", needs=[]),
            start=GATE,
            preconditions=(check("x"), check("y", within=s(2), hold=s(1))),
            steady_state=(check("w"), check("v")),
            postconditions=(check("z", severity=Severity.INFO, weight=2.0),),
            on_failure=(act("t", repeat=Repeat(times=2)), act("u")),
        )
    )

    steady, main = {"before.w", "before.v"}, {"a", "b"}
    assert needs(found) == {
        "start": set(), "pre.x": {"start"}, "pre.y": {"start"},
        "before.w": {"pre.x", "pre.y"}, "before.v": {"pre.x", "pre.y"},
        "a": steady, "b": steady, "after.w": main, "after.v": main, "post.z": main,
        "t.1": set(), "t.2": {"t.1"}, "u": {"t.1", "t.2"},
    }  # fmt: skip
    assert [step.stage for step in found.steps] == [
        *[Stage.BEFORE] * 5, *[Stage.MAIN] * 2, *[Stage.AFTER] * 3, *[Stage.FAILURE] * 3,
    ]  # fmt: skip
    assert group(found, "t") == ("t.1", "t.2")


def test_what_is_left_out_before_is_not_waited_for() -> None:
    gated = plan(story(wait("a"), start=GATE))
    conditional = plan(story(wait("a"), preconditions=(check("x"),)))

    assert needs(gated) == {"start": set(), "a": {"start"}}
    assert needs(conditional) == {"pre.x": set(), "a": {"pre.x"}}


def test_checks_before_are_patient_and_those_at_the_end_see_everything() -> None:
    scenario = story(
        wait("a"),
        preconditions=(check("x"),),
        steady_state=(check("w"),),
        postconditions=(check("z"),),
    )

    found = {step.id: step.expect for step in plan(scenario).steps if step.expect}

    assert {name: (one.within, one.recent) for name, one in found.items()} == {
        "pre.x": (s(10), True), "before.w": (s(10), True), "after.w": (s(10), True),
        "post.z": (None, False),
    }  # fmt: skip


def test_what_comes_after_waits_for_the_ends_of_what_runs_in_the_background() -> None:
    found = plan(story(fault("a", background=True), wait("b"), steady_state=(check("w"),)))

    after = only(found, "after.w")
    assert (set(after.needs), set(after.ended)) == ({"a", "b"}, {"a"})


def test_where_no_step_is_left_what_comes_after_waits_for_what_came_before() -> None:
    none = select(tags={"no": "body"}, none=Otherwise.SKIP)

    found = plan(story(fault("a", none), steady_state=(check("w"),)))

    assert needs(found) == {"before.w": set(), "after.w": {"before.w"}}


def test_a_gate_that_can_never_open_is_a_mistake() -> None:
    gates = [replace(GATE, hold=hold) for hold in (s(60), s(61))]

    assert plan(story(wait("a"), start=gates[0])).steps[0].gate is not None
    ((line, code, text),) = mistakes(story(wait("a"), start=gates[1]))
    assert (line, code) == (3, "value.out_of_range")
    assert text.startswith("what must have been true for 1m1s within 1m can never be")


def test_a_gate_is_planned_with_its_times() -> None:
    step = GateStep(id=StepId("a"), mark=at(2), gate=GATE)

    found = planned(step)

    assert only(found, "a").gate == GateWork(
        condition=PlannedCondition(expression="probes.p.last.ok", mark=at(3)),
        within=s(60),
        otherwise=Otherwise.SKIP,
    )
    assert (only(found, "a").kind, only(found, "a").timeout) == ("wait", s(360))


def test_a_look_is_planned_with_its_parameters() -> None:
    step = ProbeStep(
        id=StepId("a"), mark=at(2), kind="dial", parameters={"dial": cel("services.bank.address")}
    )

    found = planned(step, wait("b", condition=cel("steps.a.result.ok")))

    assert only(found, "a").probe == ProbeWork(kind="dial", parameters={"dial": "127.0.0.1:81"})


def test_conditions_that_stop_everything_are_planned() -> None:
    rules = (
        StopCondition(id=CheckId("x"), condition=cel("!probes.p.last.ok", 4), hold=s(2)),
        StopCondition(id=CheckId("y"), condition=cel("!probes.p.last.ok", 4), title="Too bad"),
    )
    condition = PlannedCondition(expression="!probes.p.last.ok", mark=at(4))

    assert plan(story(wait("a"), stop_when=rules)).stop_when == (
        StopRule(id=CheckId("x"), condition=condition, hold=s(2)),
        StopRule(id=CheckId("y"), condition=condition, title="Too bad"),
    )


def test_scenarios_that_must_have_ended_are_planned() -> None:
    wanted = (
        Dependency(scenario=Reference(name="base", mark=at(4), version=2), within=s(86400 * 7)),
        Dependency(
            scenario=Reference(name="other", mark=at(5)),
            verdicts=(Verdict.HELD, Verdict.INCONCLUSIVE),
        ),
    )

    assert plan(story(wait("a"), depends_on=wanted)).depends_on == (
        PlannedDependency(
            scenario="base", version=2, verdicts=(Verdict.HELD,), mark=at(4),
            within=timedelta(days=7),
        ),
        PlannedDependency(
            scenario="other", verdicts=(Verdict.HELD, Verdict.INCONCLUSIVE), mark=at(5)
        ),
    )  # fmt: skip


def test_faults_claim_what_they_are_aimed_at_beside_what_the_author_claims() -> None:
    resources = Resources(
        exclusive=(cel("'db/' + services.bank.address"), "lane"),
        shared=("lane", "rack", "service/shop"),
        pools={"network": 2},
    )
    scenario = story(
        fault("a"),
        fault("b", "bank", parameters={"link": "to-bank"}),
        fault("c", "bank", parameters={"link": "nowhere"}),
        resources=resources,
    )

    assert plan(scenario).claims == Claims(
        exclusive=("db/127.0.0.1:81", "lane", "link/to-bank", "service/bank", "service/shop"),
        shared=("rack",),
        pools={"network": 2},
        sizes={"network": 3},
    )


def test_slots_that_there_are_not_are_refused() -> None:
    resources = Resources(pools={"network": 4, "disc": 1})
    plain = replace(system(), pools={})

    found = mistakes(story(wait("a"), resources=resources))
    ((_, code, text),) = mistakes(
        story(wait("a"), resources=Resources(pools={"disk": 1})), topology=plain
    )

    assert [each[1] for each in found] == ["plan.pool_too_small", "plan.unknown_pool"]
    assert "4 slots of the pool 'network' are taken, which has 3" in found[0][2]
    assert "no pool named 'disc'; did you mean 'disk'?" in found[1][2]
    assert code == "plan.unknown_pool"
    assert text.endswith("say there how many slots it has, such as pools: {disk: 1}")


@pytest.mark.parametrize(
    ("budget", "most"),
    [
        (None, None),
        ({"services": 2}, 2),
        ({"percent": 79.9}, 3),
        ({"services": 3, "percent": 40.0}, 2),
        ({"services": 1, "percent": 100.0}, 1),
    ],
)
def test_a_plan_says_how_much_of_its_system_may_be_hit_at_a_time(
    budget: dict[str, Any] | None, most: int | None
) -> None:
    radius = None if budget is None else BlastRadius(mark=at(2), **budget)
    limited = replace(system(), blast_radius=radius)

    assert plan(story(fault("a")), topology=limited).services_max == most


def test_where_nothing_may_be_hit_a_fault_is_refused() -> None:
    limited = replace(system(), blast_radius=BlastRadius(mark=at(2), percent=19.9))

    ((_, code, text),) = mistakes(story(fault("a")), topology=limited)

    assert code == "plan.blast_radius"
    assert "19.9% of the 5 services of 'lab' at a time, which is none" in text
    assert plan(story(wait("a")), topology=limited).services_max == 0


@pytest.mark.parametrize(
    ("radius", "said"),
    [
        ({"services": 2}, ""),
        ({"percent": 40.0}, ""),
        ({"services": 2, "percent": 100.0}, ""),
        ({"services": 1}, "expected 1 at most"),
        ({"percent": 39.9}, "expected 39.9% at most"),
    ],
)
def test_faults_hit_no_more_than_they_may(radius: dict[str, Any], said: str) -> None:
    scenario = story(
        fault("a", select("shop", "bank")),
        fault("b", "bank"),
        blast_radius=BlastRadius(mark=at(9), **radius),
    )

    if not said:
        assert set(plan(scenario).targets()) == {"shop", "bank"}
        return
    ((line, code, text),) = mistakes(scenario)
    assert (line, code) == (9, "plan.blast_radius")
    assert text.startswith("faults hit 2 of 5 services (bank, shop); ")
    assert said in text


def test_where_nothing_is_hit_no_radius_is_exceeded() -> None:
    radius = BlastRadius(mark=at(9), services=0, percent=0.0)

    assert plan(story(wait("a"), blast_radius=radius)).targets() == ()


def test_a_check_over_time_has_time_for_it() -> None:
    found = planned(
        fault("f", background=True),
        expect("a", mode=Mode.ALWAYS, span=s(30), weight=3.0),
        expect("b", mode=Mode.NEVER, during="f"),
        expect("c", mode=Mode.NEVER, background=True),
        stop("d", "c"),
    )

    timeouts = {step.id: step.timeout for step in found.steps}
    assert timeouts == {"f": s(305), "a": s(330), "b": s(900), "c": s(900), "d": s(300)}
    a, b, c = (only(found, name) for name in "abc")
    assert a.expect is not None
    assert (a.expect.mode, a.expect.span, a.expect.weight) == (Mode.ALWAYS, s(30), 3.0)
    assert b.beside == {"f"}
    assert c.endless


def test_an_id_that_two_steps_have_is_refused() -> None:
    scenario = story(
        wait("a"), wait("start", mark=at(5)), start=GATE, on_failure=(act("a", mark=at(7)),)
    )

    assert [(line, code) for line, code, _ in mistakes(scenario)] == [
        (5, "plan.duplicate_id"), (7, "plan.duplicate_id"),
    ]  # fmt: skip


def test_names_of_the_execution_and_of_the_environment_are_known_before_it_starts() -> None:
    text = cel("execution.scenario + string(execution.seed) + env.CITY")

    found = plan(story(act("a", parameters={"name": text})), seed=7, environment={"CITY": "Ulm"})

    action = only(found, "a").action
    assert action is not None
    assert action.parameters == {"name": "story7Ulm"}
    assert found.seed == 7


def test_a_variable_that_may_not_be_seen_is_no_name() -> None:
    scenario = story(act("a", parameters={"name": cel("env.HOME")}))

    assert [code for _, code, _ in mistakes(scenario)] == ["expression.unknown_name"]
