"""From a scenario to a plan: everything settled, and all mistakes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from support.engine_lab import EXPRESSIONS, Lab, document, topology
from test_coordination.adapters.documents.scenario import ScenarioReader
from test_coordination.application.planning.resolver import Resolver
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.plan import Plan, Stage
from test_coordination.domain.values import StepId, Value

ROOT = Path(__file__).parents[2]
PARAMETERS = """
parameters:
  target: {type: service, default: shop}
  outage: {type: duration, default: 5s}
  share: {type: percent, default: 50%}
"""
FULL = document(
    PARAMETERS
    + """
probes:
  p: {dial: {dial: "${{ parameters.target }}"}, every: "${{ parameters.outage }}"}
  q: {dial: {dial: "at-${{ services.shop.address }}"}, every: 1s, timeout: 500ms}
steady_state:
  - id: well
    expect: probes.p.last.ok
    within: 20s
    hold: 1s
    severity: critical
    title: All is well
  - {id: low, expect: probes.q.p95 < 5.0, watch: false}
steps:
  - {id: take, snapshot: [bank, "${{ parameters.target }}"], timeout: 9s, title: Look}
  - id: cut
    fault: switch.off
    target: "${{ parameters.target }}"
    hold: "${{ parameters.outage }}"
    with:
      deep: {list: [1, "${{ parameters.outage }}", "x${{ parameters.share }}"]}
      all: "${{ [1, 2] }}"
      map: "${{ {'a': duration('2s')} }}"
  - {id: rest, wait: "${{ parameters.outage }}", needs: []}
  - {id: act, action: note, with: {name: "${{ parameters.target }}"}, needs: [take]}
  - {id: back, expect: probes.p.last.ok, within: 10s, hold: 3s, after_fault: cut, needs: [rest]}
"""
)


def plan(text: str, given: Mapping[str, Value] | None = None) -> Plan:
    catalogue = Lab().kit.catalogue()
    scenario = ScenarioReader(catalogue, EXPRESSIONS).read(text, file="s.yaml")
    resolver = Resolver(catalogue=catalogue, expressions=EXPRESSIONS, topology=topology())
    return resolver.plan(scenario, given or {})


def mistakes(text: str, given: Mapping[str, Value] | None = None) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidDocumentError) as refused:
        plan(text, given)
    return [(p.mark.line, p.code, p.text) for p in refused.value.problems]


def test_every_value_is_settled() -> None:
    found = plan(FULL)

    cut = found.step(StepId("cut")).fault
    assert cut is not None
    assert (cut.service, cut.hold) == ("shop", timedelta(seconds=5))
    assert cut.parameters == {
        "deep": {"list": [1, "5s", "x50.0"]}, "all": [1, 2], "map": {"a": "2s"},
    }  # fmt: skip
    assert [(p.name, p.parameters, p.every.total_seconds()) for p in found.probes] == [
        ("p", {"dial": "shop"}, 5.0),
        ("q", {"dial": "at-127.0.0.1:80"}, 1.0),
    ]
    assert [p.timeout.total_seconds() for p in found.probes] == [2.0, 0.5]
    assert found.parameters == {"target": "shop", "outage": "5s", "share": 50.0}
    assert (found.scenario, found.topology) == ("story", "lab")


def test_the_steady_state_is_judged_before_and_after_and_watched_where_it_says() -> None:
    found = plan(FULL)

    stages = {step.id: step.stage for step in found.steps}
    needs = {step.id: set(step.needs) for step in found.steps}
    first, main = {"before.well", "before.low"}, {"take", "cut", "rest", "act", "back"}
    assert [check.id for check in found.watched] == ["well"]
    assert {step for step, stage in stages.items() if stage is Stage.MAIN} == main
    assert needs == {
        "before.well": set(), "before.low": set(), "take": first, "cut": {"take"}, "rest": first,
        "act": {"take"}, "back": {"rest", "cut"}, "after.well": main, "after.low": main,
    }  # fmt: skip
    before = found.step(StepId("before.low")).expect
    assert before is not None
    assert (before.within, before.recent) == (timedelta(seconds=10), True)
    assert found.watched[0].recent is False
    assert found.step(StepId("after.well")).title == "All is well"


def test_a_step_has_time_for_its_own_length_and_some_more_unless_it_says() -> None:
    found = plan(FULL)

    assert {step.id: step.timeout.total_seconds() for step in found.steps} == {
        "before.well": 321, "before.low": 310, "take": 9, "cut": 305, "rest": 305, "act": 300,
        "back": 313, "after.well": 321, "after.low": 310,
    }  # fmt: skip
    assert [step.kind for step in found.steps[2:7]] == [
        "snapshot", "fault", "wait", "action", "expect",
    ]  # fmt: skip
    assert [step.id for step, _ in found.checks()] == [
        "before.well", "before.low", "back", "after.well", "after.low",
    ]  # fmt: skip


def test_all_mistakes_are_told_at_once_at_their_places() -> None:
    text = document("""# line 3
parameters: {t: {type: string, default: shp}, d: {type: duration, default: 5s}}
probes: {p: {dial: {dial: p}, every: "${{ parameters.d - duration('5s') }}"}}
steps:
  - {id: a, fault: switch.off, target: "${{ parameters.t }}", hold: 1s}
  - {id: b, fault: switch.off, target: vault, hold: 1s}
  - {id: c, wait: "${{ parameters.d + duration('100h') }}"}
  - {id: d, snapshot: [shop, "my-${{ parameters.t }}"]}
  - {id: e, action: note, with: {name: "${{ 1 / 0 }}"}}
  - {id: g, wait: "${{ services.nobody.address }}"}
  - {id: f, wait: 1s, timeout: "${{ parameters.d - duration('5s') }}"}
timeout: "${{ parameters.d - duration('10s') }}"
""")

    found = mistakes(text)

    assert [(line, code) for line, code, _ in found] == [
        (5, "value.out_of_range"),
        (7, "topology.unknown_service"),
        (8, "plan.protected_target"),
        (9, "value.out_of_range"),
        (10, "topology.unknown_service"),
        (11, "expression.failed"),
        (12, "expression.unknown_name"),
        (13, "value.out_of_range"),
        (14, "value.out_of_range"),
    ]
    said = [text for _, _, text in found]
    assert said[0] == "a duration of 0s; expected 50ms to 1d"
    assert "did you mean 'shop'?" in said[1]
    assert "protects (protect: true)" in said[2]
    assert said[3] == "a duration of 4d4h5s; expected 0s to 1d"
    assert "'1 / 0' has no value here" in said[5]
    assert said[8] == "a duration of -5s; expected 1ms to 1d"


def test_a_protected_service_is_refused_also_when_a_parameter_names_it() -> None:
    found = mistakes(FULL, {"target": "vault"})

    assert [code for _, code, _ in found] == ["plan.protected_target"]


def test_parameters_are_judged_again_once_they_are_settled() -> None:
    text = document("steps: [{id: a, action: note, with: {name: x, bad: \"${{ 'y' }}\"}}]")

    found = mistakes(text)

    assert [text for _, _, text in found] == ["bad: nobody wants this"]


def test_a_condition_that_means_nothing_here_is_refused() -> None:
    text = document("steps: [{id: a, expect: services.nobody.address == 'x'}]")

    assert [code for _, code, _ in mistakes(text)] == ["expression.unknown_name"]


def test_the_same_input_gives_the_same_plan_and_digest() -> None:
    assert plan(FULL) == plan(FULL)
    assert len(plan(FULL).digest) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hold: 3s", "hold: 4s"),
        ("needs: [take]", "needs: [rest]"),
        ("severity: critical", "severity: normal"),
        ("every: 1s", "every: 2s"),
        ("title: Look", "title: look"),
        ("list: [1,", "list: [2,"),
        ("watch: false", "watch: true"),
    ],
)
def test_the_digest_tells_every_change(old: str, new: str) -> None:
    assert FULL.count(old) == 1
    assert plan(FULL).digest != plan(FULL.replace(old, new)).digest


def test_the_digest_tells_other_arguments() -> None:
    assert plan(FULL).digest != plan(FULL, {"outage": "6s"}).digest


def test_the_digest_is_the_same_in_every_process() -> None:
    code = "from unit.test_resolve import FULL, plan; print(plan(FULL).digest)"
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])

    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": paths, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }

    assert digests == {plan(FULL).digest}
