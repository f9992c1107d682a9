"""All that a scenario can say, and what it becomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.decoding import GOOD, HEAD, mistakes, read, step, trading
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression, Interpolation
from test_coordination.domain.scenario import BlastRadius, Reference, Scenario
from test_coordination.domain.steps import (
    ActionStep,
    Between,
    Check,
    ErrorPolicy,
    ExpectStep,
    FaultStep,
    ForEach,
    Gate,
    GateStep,
    Mode,
    Otherwise,
    ProbeStep,
    Quota,
    Ramp,
    Repeat,
    Retry,
    ScenarioStep,
    Selector,
    SequenceStep,
    Step,
    StopStep,
    WaitStep,
)
from test_coordination.domain.verdicts import Severity, Verdict

SECOND = timedelta(seconds=1)
ACTION = 'action: http.post, with: {url: "http://x/"}'


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read((GOOD / "whole-language.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def steps(scenario: Scenario) -> dict[str, Step]:
    return {step.id: step for step in scenario.every_step()}


def text_of(found: object) -> str:
    assert isinstance(found, Expression)
    return found.text


def test_a_scenario_depends_on_others_with_a_verdict_and_an_age(scenario: Scenario) -> None:
    health, smoke = scenario.depends_on

    assert health.scenario == Reference(name="baseline-health", mark=Mark("good.yaml", 13, 16))
    assert (health.verdicts, health.within) == ((Verdict.HELD,), timedelta(hours=24))
    assert (str(smoke.scenario), smoke.within) == ("smoke@3", None)
    assert smoke.verdicts == (Verdict.HELD, Verdict.INCONCLUSIVE)


def test_a_scenario_claims_resources_and_limits_its_reach(scenario: Scenario) -> None:
    service, database = scenario.resources.exclusive

    assert isinstance(service, Interpolation)
    assert database == "database"
    assert scenario.resources.shared == ("network",)
    assert scenario.resources.pools == {"network": 1}
    assert scenario.blast_radius == BlastRadius(
        mark=Mark("good.yaml", 19, 15), services=2, percent=50.0
    )
    assert scenario.owner == "trading"


@pytest.mark.parametrize(("text", "percent"), [("50", 50.0), ("12.5", 12.5), ("12.5%", 12.5)])
def test_a_share_is_a_number_with_or_without_its_sign(text: str, percent: float) -> None:
    found = read(f"{HEAD}blast_radius: {{percent: {text}}}\nsteps: [{{wait: 1s}}]\n")

    assert found.blast_radius is not None
    assert found.blast_radius.percent == percent


def test_a_start_is_a_gate(scenario: Scenario) -> None:
    assert scenario.start is not None
    assert text_of(scenario.start.condition) == "probes.latency.count > 10"
    assert (scenario.start.within, scenario.start.hold) == (timedelta(minutes=2), SECOND)
    assert scenario.start.otherwise is Otherwise.SKIP


def test_checks_before_meanwhile_and_after_have_ids_and_weights(scenario: Scenario) -> None:
    up, always = scenario.preconditions
    (healthy,), (after,) = scenario.steady_state, scenario.postconditions

    assert (up.id, up.within, up.hold, up.weight) == ("up", timedelta(seconds=3), SECOND, 2.0)
    assert (always.id, always.title) == ("precondition-2", "Always")
    assert always.severity is Severity.INFO
    assert (healthy.id, healthy.weight, healthy.watch) == ("healthy", 0.5, False)
    assert (after.id, after.weight, after.watch) == ("postcondition-1", 1.0, True)


def test_conditions_stop_everything(scenario: Scenario) -> None:
    lost, too_long = scenario.stop_when

    assert (lost.id, lost.hold) == ("lost", timedelta(seconds=2))
    assert (too_long.id, too_long.hold, too_long.title) == ("stop-2", None, "Too long")
    assert too_long.condition.text == "execution.elapsed > duration('60s')"


def test_actions_on_failure_are_steps(scenario: Scenario) -> None:
    clear, second = scenario.on_failure

    assert (clear.id, clear.title, clear.action) == ("clear", "Clear", "http.post")
    assert (clear.timeout, clear.retry) == (timedelta(seconds=5), Retry(attempts=2))
    assert isinstance(clear.parameters["url"], Interpolation)
    assert (second.id, second.retry) == ("failure-2", None)


def test_a_probe_is_looked_at_once_and_again_if_it_fails(steps: dict[str, Step]) -> None:
    look = steps["look"]

    assert isinstance(look, ProbeStep)
    assert (look.kind, look.parameters) == ("http", {"request": "GET http://x/"})
    assert look.retry == Retry(attempts=3, delay=SECOND, backoff=2.0)


def test_a_secret_passes_through_alone_and_inside_a_text(scenario: Scenario) -> None:
    load = next(step for step in scenario.steps if step.id == "load")
    (latency,) = scenario.probes

    assert isinstance(load, ActionStep)
    assert isinstance(latency.parameters["request"], Interpolation)
    json = load.parameters["json"]
    assert isinstance(json, dict)
    assert text_of(json["t"]) == "parameters.token"


def test_a_step_under_its_background_is_the_step_with_a_flag() -> None:
    nested = step(f"{{id: a, title: T, background: {{{ACTION}, repeat: {{every: 1s}}}}}}")
    beside = step(f"{{id: a, title: T, background: true, {ACTION}, repeat: {{every: 1s}}}}")

    assert nested == beside
    assert nested.background
    assert nested.mark == Mark("good.yaml", 4, 5)
    assert isinstance(nested, ActionStep)
    assert nested.repeat == Repeat(every=SECOND)
    assert not step(f"{{{ACTION}, background: false}}").background


def test_an_alias_of_a_step_under_its_background_is_written_out_in_both_places() -> None:
    text = f"{HEAD}steps:\n  - parallel: [&load {{background: {{{ACTION}}}}}]\n  - *load\n"

    first, second = (each for each in read(text).every_step() if isinstance(each, ActionStep))

    assert (first.background, second.background) == (True, True)


def test_copies_are_made_of_groups_for_each_value_of_a_list(steps: dict[str, Step]) -> None:
    group = steps["each-service"]

    assert isinstance(group, SequenceStep)
    assert group.for_each is not None
    assert text_of(group.for_each.axes["value"]) == "parameters.services"
    assert group.for_each.mark == Mark("good.yaml", 40, 16)
    assert (group.concurrency, group.on_error) == (2, ErrorPolicy.CONTINUE)
    assert group.condition is not None
    assert group.condition.text == "steps.look.result.status == 200"
    assert [inner.id for inner in group.steps] == ["break", "settle", "matrix"]


def test_a_matrix_has_its_axes_and_sees_those_around_it(steps: dict[str, Step]) -> None:
    matrix = steps["matrix"]
    inner = step('{for_each: [1], parallel: [{for_each: {a: [1]}, wait: "${{ each.value }}"}]}')

    assert matrix.for_each is not None
    assert matrix.for_each.axes["outage"] == ("1s", "5s")
    assert len(matrix.for_each.axes["service"]) == 2  # type: ignore[arg-type]  # a list was written
    assert inner.for_each == ForEach(axes={"value": (1,)}, mark=Mark("good.yaml", 4, 16))


def test_a_condition_in_copies_of_copies_knows_what_both_are_made_for() -> None:
    inner = "{for_each: [1], wait: 1s, if: \"each.service == 'a' && each.value > 0\"}"
    outer = step(f"{{for_each: {{service: [a]}}, sequence: [{inner}]}}")

    assert isinstance(outer, SequenceStep)
    assert outer.steps[0].condition is not None


def test_what_is_copied_is_not_known_beside_the_copies() -> None:
    text = f'{HEAD}steps:\n  - {{for_each: [1], wait: 1s}}\n  - {{wait: "${{{{ each.value }}}}"}}\n'

    assert mistakes(text) == [(5, 17, "expression.unknown_name")]


def test_a_fault_is_repeated_and_ramped(steps: dict[str, Step]) -> None:
    broken, chosen = steps["break"], steps["choose"]

    assert isinstance(broken, FaultStep)
    assert isinstance(chosen, FaultStep)
    assert broken.repeat is not None
    assert text_of(broken.repeat.times) == "parameters.times"
    assert (broken.repeat.every, broken.repeat.pause) == (None, timedelta(seconds=2))
    assert text_of(broken.target) == "each.value"
    assert chosen.ramp == Ramp(over=timedelta(seconds=30), start=10.0, stages=3)


def test_services_are_chosen_by_names_and_tags(steps: dict[str, Step]) -> None:
    chosen = steps["choose"]

    assert isinstance(chosen, FaultStep)
    assert isinstance(chosen.target, Selector)
    assert chosen.target.services[0] == "exchange"
    assert text_of(chosen.target.services[1]) == "parameters.service"
    assert chosen.target == Selector(
        mark=Mark("good.yaml", 53, 13),
        services=chosen.target.services,
        tags={"tier": "backend"},
        exclude=("ledger-db",),
        quota=Quota(percent=50.0),
        none=Otherwise.SKIP,
        seed=9,
    )


@pytest.mark.parametrize(
    ("instances", "quota"),
    [
        ("all", Quota()),
        ("any", Quota(count=1)),
        ("2", Quota(count=2)),
        ("33.3%", Quota(percent=33.3)),
        ("100%", Quota(percent=100.0)),
    ],
)
def test_a_quota_is_a_number_or_a_share(instances: str, quota: Quota) -> None:
    target = f"{{service: exchange, instances: {instances}}}"
    found = step(f"{{fault: service.kill, hold: 1s, target: {target}}}")

    assert isinstance(found, FaultStep)
    assert isinstance(found.target, Selector)
    assert (found.target.services, found.target.quota) == (("exchange",), quota)
    assert (found.target.none, found.target.seed) == (Otherwise.FAIL, None)


def test_with_a_topology_services_to_choose_from_are_its_own() -> None:
    target = "{service: [exchange, exchnge], exclude: [auditr]}"
    text = f"{HEAD}steps:\n  - {{fault: service.kill, hold: 1s, target: {target}}}\n"

    assert mistakes(text, topology=trading()) == [
        (4, 66, "scenario.unknown_service"),
        (4, 86, "scenario.unknown_service"),
    ]


def test_a_fault_in_the_background_needs_no_hold(steps: dict[str, Step]) -> None:
    endless = steps["any-of"]

    assert isinstance(endless, FaultStep)
    assert (endless.background, endless.hold) == (True, None)


def test_a_wait_is_drawn_by_chance_or_waits_for_a_condition(steps: dict[str, Step]) -> None:
    settle, gate = steps["settle"], steps["gate"]

    assert isinstance(settle, WaitStep)
    assert isinstance(settle.duration, Between)
    assert (settle.duration.least, settle.duration.seed) == (timedelta(seconds=5), 7)
    assert text_of(settle.duration.most) == "parameters.outage"
    assert isinstance(gate, GateStep)
    assert gate.gate == Gate(
        condition=gate.gate.condition,
        within=timedelta(minutes=1),
        hold=timedelta(seconds=2),
        otherwise=Otherwise.CONTINUE,
    )
    assert gate.gate.condition.text == "faults.any_of.status == 'in_force'"


def test_a_stop_names_the_step_that_it_ends(steps: dict[str, Step]) -> None:
    halt = steps["halt"]

    assert isinstance(halt, StopStep)
    assert halt.step == "any-of"


def check(text: str) -> Check:
    found = step(f'{{expect: "1 < 2", {text}}}')
    assert isinstance(found, ExpectStep)
    return found.check


def test_a_check_becomes_true_or_is_so_at_every_look(steps: dict[str, Step]) -> None:
    calm, never, beside = steps["calm"], steps["never"], steps["beside"]

    assert isinstance(calm, ExpectStep)
    assert isinstance(never, ExpectStep)
    assert isinstance(beside, ExpectStep)
    assert (calm.check.mode, calm.check.span) == (Mode.ALWAYS, timedelta(seconds=30))
    assert (calm.check.after_fault, calm.check.weight) == ("each-service", 3.0)
    assert never.check.mode is Mode.NEVER
    assert text_of(never.check.span) == "parameters.outage"
    assert (beside.check.mode, beside.check.during) == (Mode.ALWAYS, "other")
    assert (beside.check.span, beside.check.within) == (None, None)


@pytest.mark.parametrize(
    ("text", "mode", "span"),
    [
        ("within: 1s, hold: 1s", Mode.EVENTUALLY, None),
        ("always: 1s", Mode.ALWAYS, SECOND),
        ("never: 1s", Mode.NEVER, SECOND),
        ("always: true, background: true", Mode.ALWAYS, None),
        ("never: true, background: true", Mode.NEVER, None),
    ],
)
def test_the_mode_of_a_check_follows_from_its_keys(
    text: str, mode: Mode, span: timedelta | None
) -> None:
    found = check(text)

    assert (found.mode, found.span) == (mode, span)


@pytest.mark.parametrize(
    ("text", "mode"),
    [("", Mode.ALWAYS), (", always: true", Mode.ALWAYS), (", never: true", Mode.NEVER)],
)
def test_a_check_beside_a_step_is_always_true_unless_it_is_never(text: str, mode: Mode) -> None:
    one = "steps:\n  - {id: one, wait: 1s}\n"
    found = read(f'{HEAD}{one}  - {{expect: "1 < 2", during: one{text}}}\n').steps[1]

    assert isinstance(found, ExpectStep)
    assert (found.check.mode, found.check.span, found.check.during) == (mode, None, "one")


def test_another_scenario_is_a_step(steps: dict[str, Step]) -> None:
    other = steps["other"]

    assert isinstance(other, ScenarioStep)
    assert other.scenario == "baseline-health@2"
    assert text_of(other.parameters["rate"]) == "parameters.times"
    assert other.verdicts == (Verdict.HELD, Verdict.BROKEN)
    assert other.needs == ("calm",)


def test_an_if_may_be_a_constant(steps: dict[str, Step]) -> None:
    thrice = steps["thrice"]

    assert isinstance(thrice, ActionStep)
    assert thrice.condition is not None
    assert thrice.condition.text == "false"
    assert thrice.repeat == Repeat(times=3, pause=SECOND)


def test_the_defaults_of_a_step_are_those_of_its_type() -> None:
    found = step("wait: 1s")

    assert (found.retry, found.condition, found.for_each) == (None, None, None)
    assert (found.on_error, found.concurrency, found.background) == (ErrorPolicy.FAIL, 1, False)


def test_reading_the_whole_language_twice_gives_the_same(scenario: Scenario) -> None:
    again = read(scenario.source)

    assert replace(again, source="") == replace(scenario, source="")
