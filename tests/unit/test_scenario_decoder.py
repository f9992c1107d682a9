"""Scenarios that are well: what they become."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from time import perf_counter

import pytest

from support.decoding import GOOD, HEAD, mistakes, read, trading
from test_coordination.adapters.documents.patterns import TEXT_LENGTH_MAX, pattern_problem
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression, Interpolation
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.steps import (
    ActionStep,
    ExpectStep,
    FaultStep,
    ParallelStep,
    SnapshotStep,
    WaitStep,
)
from test_coordination.domain.verdicts import Severity


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read((GOOD / "every-feature.yaml").read_text(encoding="utf-8"))


def test_the_head_of_a_scenario_is_kept_with_its_source(scenario: Scenario) -> None:
    assert scenario.name == "every-feature"
    assert scenario.title == "All that this release knows"
    assert scenario.description == "One of everything, so that nothing is forgotten."
    assert scenario.tags == ("restart", "v1")
    assert scenario.timeout == timedelta(minutes=5)
    assert scenario.mark == Mark("good.yaml", 2, 11)
    assert scenario.source == (GOOD / "every-feature.yaml").read_text(encoding="utf-8")


def test_parameters_are_values_of_their_types(scenario: Scenario) -> None:
    found = {parameter.name: parameter for parameter in scenario.parameters}

    assert found["service"].type is ParameterType.SERVICE
    assert found["service"].default == "exchange"
    assert found["outage"].default == timedelta(seconds=5)
    assert (found["outage"].minimum, found["outage"].maximum) == (
        timedelta(seconds=1),
        timedelta(seconds=60),
    )
    assert (found["rate"].default, found["rate"].unit) == (100, "orders/s")
    assert isinstance(found["factor"].default, float)
    assert (found["share"].default, found["share"].maximum) == (50.0, 100.0)
    assert found["quick"].default is False
    assert found["size"].values == ("small", "large")
    assert found["region"].pattern == "[a-z]{2}(-[a-z]+)?"
    assert found["rate"].mark == Mark("good.yaml", 12, 3)


def test_what_has_no_default_is_required(scenario: Scenario) -> None:
    required = {parameter.name for parameter in scenario.parameters if parameter.required}

    assert required == {"region"}


def test_probes_have_their_kind_parameters_and_pace(scenario: Scenario) -> None:
    latency, lost, alive = scenario.probes

    assert (latency.name, latency.kind) == ("latency", "http")
    assert isinstance(latency.parameters["request"], Interpolation)
    assert (latency.every, latency.timeout) == (timedelta(milliseconds=500), timedelta(seconds=2))
    assert lost.parameters == {
        "target": "trading-db",
        "query": "select count(*) from audit.lost_orders",
    }
    assert (lost.every, lost.timeout) == (timedelta(seconds=1), None)
    assert alive.parameters == {"service": "exchange"}
    assert isinstance(alive.every, Expression)


def test_checks_of_the_steady_state_are_named_where_they_are_not(scenario: Scenario) -> None:
    healthy, fast, lost = scenario.steady_state

    assert (healthy.id, healthy.watch, healthy.title) == ("healthy", True, "The exchange answers")
    assert (fast.id, fast.watch) == ("steady-2", False)
    assert (fast.within, fast.hold) == (timedelta(seconds=20), timedelta(seconds=1))
    assert lost.severity is Severity.CRITICAL
    assert healthy.expression == Expression(
        text="probes.latency.last.status == 200", mark=Mark("good.yaml", 24, 28)
    )


def test_steps_are_of_their_kinds_and_have_ids(scenario: Scenario) -> None:
    steps = list(scenario.every_step())

    assert [(type(step), step.id) for step in steps] == [
        (SnapshotStep, "before"),
        (ActionStep, "step-2"),
        (WaitStep, "step-3"),
        (FaultStep, "restart"),
        (ParallelStep, "together"),
        (ExpectStep, "back"),
        (ParallelStep, "step-7"),
        (WaitStep, "step-8"),
        (FaultStep, "slow"),
        (SnapshotStep, "after"),
        (ExpectStep, "step-11"),
        (ExpectStep, "step-12"),
    ]
    assert [step.needs for step in steps[:4]] == [None, (), None, ("before",)]
    assert steps[0].timeout == timedelta(seconds=10)


def test_a_made_up_id_gives_way_to_one_that_was_written() -> None:
    steps = read(HEAD + "steps:\n  - wait: 1s\n  - {id: step-1, wait: 2s}\n").steps

    assert [step.id for step in steps] == ["step-1-again", "step-1"]


def test_a_fault_has_target_hold_and_parameters(scenario: Scenario) -> None:
    restart, slow = (step for step in scenario.every_step() if isinstance(step, FaultStep))

    assert (restart.fault, restart.parameters) == ("service.stop", {"grace": "2s"})
    assert restart.target == Expression(text="parameters.service", mark=Mark("good.yaml", 40, 18))
    assert restart.hold == Expression(text="parameters.outage", mark=Mark("good.yaml", 42, 16))
    assert (slow.target, slow.hold) == ("exchange", timedelta(hours=24))


def test_expressions_are_found_however_deep_they_stand(scenario: Scenario) -> None:
    action = next(step for step in scenario.steps if isinstance(step, ActionStep))

    assert isinstance(action.parameters["url"], Interpolation)
    assert action.parameters["json"] == {
        "rate": Expression(text="parameters.rate", mark=Mark("good.yaml", 35, 25)),
        "literal": "${{ not an expression }}",
        "list": (1, Expression(text="parameters.quick", mark=Mark("good.yaml", 35, 99))),
    }


def test_a_check_that_is_a_step_has_its_id(scenario: Scenario) -> None:
    back = next(step for step in scenario.every_step() if isinstance(step, ExpectStep))

    assert (back.check.id, back.check.after_fault) == ("back", "restart")
    assert (back.check.within, back.check.hold) == (timedelta(seconds=10), timedelta(seconds=3))


def test_the_least_scenario_takes_the_defaults() -> None:
    least = read(HEAD + "steps: [{wait: 1s}]\n")

    assert least.timeout is None
    assert (least.parameters, least.probes, least.steady_state, least.tags) == ((), (), (), ())


def test_bytes_and_a_byte_order_mark_are_read() -> None:
    text = HEAD + 'steps: [{expect: "1 < 2"}]\n'

    assert read(text.encode("utf-8-sig")) == read(text)


def test_with_a_topology_only_its_own_services_and_links_are_known() -> None:
    text = HEAD + (
        "steps:\n"
        "  - {fault: service.kill, target: exchnge, hold: 1s}\n"
        "  - snapshot: [exchange, auditr]\n"
        '  - {action: http.post, with: {url: "http://${{ services.exchnge.address }}/"}}\n'
        '  - {action: http.post, with: {url: "http://${{ links.load_to_exchnge }}/"}}\n'
    )

    assert read(text).steps
    assert mistakes(text, topology=trading()) == [
        (4, 35, "scenario.unknown_service"),
        (5, 26, "scenario.unknown_service"),
        (6, 49, "expression.unknown_name"),
        (7, 49, "expression.unknown_name"),
    ]


def test_a_name_that_is_refused_is_not_told_again_where_it_is_used() -> None:
    text = HEAD + (
        "parameters:\n"
        "  rate: {type: intger}\n"
        "probes:\n"
        "  latency: {htp: x}\n"
        "steps:\n"
        '  - {expect: "probes.latency.p95_ms < 1.0"}\n'
        '  - {action: http.post, with: {url: "http://x/${{ parameters.rate }}"}}\n'
    )

    assert mistakes(text) == [
        (4, 16, "scenario.unknown_value"),
        (6, 13, "scenario.unknown_probe"),
    ]


def test_a_subtraction_without_blanks_is_no_name_with_a_dash() -> None:
    text = HEAD + (
        "steps:\n"
        "  - {id: a, snapshot: [exchange]}\n"
        '  - {id: b, expect: "snapshots.a.exchange.x-snapshots.a.exchange.y == 0"}\n'
    )

    assert read(text).steps[1].id == "b"


def test_a_thousand_steps_with_checks_are_read_in_seconds() -> None:
    probes = "probes:\n" + "".join(f"  p{n}: {{process: exchange}}\n" for n in range(20))
    steps = "".join(f'  - {{expect: "probes.p{n % 20}.count >= {n}"}}\n' for n in range(1000))
    began = perf_counter()

    scenario = read(HEAD + probes + "steps:\n" + steps)

    assert len(scenario.steps) == 1000
    assert perf_counter() - began < 20


def test_hundreds_of_copied_steps_with_conditions_are_read_in_seconds() -> None:
    step = '  - {{id: s{n}, for_each: [1], wait: 1s, if: "each.value > {n}"}}\n'
    steps = "".join(step.format(n=n) for n in range(500))
    began = perf_counter()

    scenario = read(HEAD + "steps:\n" + steps)

    assert len(scenario.steps) == 500
    assert perf_counter() - began < 5


@pytest.mark.parametrize(
    "pattern",
    ["[a-z]+", "(?:ab)+", r"\d{3}-\d{4}", "v?[0-9]+(\\.[0-9]+)?", "a|b", "[]x)]*", "{}", "x{,5}"],
)
def test_plain_patterns_are_safe(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|a)*",
        "((a*))+",
        "(a{,9})*",
        r"(a)\1",
        "(?=a)b",
        "(?P<n>a)",
        "a*a*a*a*",
        "a{1000}",
        "(",
    ],
)
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern)


def test_the_worst_pattern_that_is_allowed_ends_soon() -> None:
    pattern = "a*a*a*" + "b"
    assert pattern_problem(pattern) is None
    began = perf_counter()

    assert not re.fullmatch(pattern, "a" * TEXT_LENGTH_MAX)
    assert perf_counter() - began < 5


def test_reading_twice_gives_the_same(scenario: Scenario) -> None:
    again = read(scenario.source)

    assert replace(again, source="") == replace(scenario, source="")
