"""Definitions that were read and planned once are not read and planned again for each execution."""

from __future__ import annotations

from typing import Any

import pytest

from support.engine_lab import Lab, document
from support.virtual_time import virtual
from test_coordination.application import scenarios as kept
from test_coordination.application.gathering import Loaded
from test_coordination.application.scenarios import Scenarios
from test_coordination.domain.scenario import DocumentKind

PLAIN = document(
    "parameters: {n: {type: number, default: 2}}\n"
    'steps: [{id: rest, wait: 2s}, {id: on, if: "parameters.n > 1.0", wait: 1s}]'
)
BY_CHANCE = {
    "a choice": "steps: [{id: a, fault: switch.off, target: {service: [shop, bank], instances: 1}, "
    "hold: 1s}]",
    "a wait": "steps: [{id: a, wait: {between: [1s, 9s]}}]",
    "the seed's value": "steps: [{id: a, "
    "wait: \"${{ execution.seed % 2 == 0 ? duration('1s') : duration('2s') }}\"}]",
    "a scenario inside": "steps: [{id: inner, scenario: story}]",
}


async def loaded(scenarios: Scenarios, text: str) -> Loaded:
    stored = await scenarios.create(text, file="s.yaml", expected=DocumentKind.SCENARIO)
    return await scenarios.load(stored)


def planned_anew(scenarios: Scenarios, found: Loaded, seed: int, **given: Any) -> object:
    return Scenarios(world=scenarios.world).plan(found, given, seed=seed)


@virtual
async def test_what_is_stored_is_read_once_and_planned_once_for_the_same_parameters() -> None:
    scenarios = Scenarios(world=Lab().world())
    found = await loaded(scenarios, PLAIN)
    assert found.stored is not None

    assert await scenarios.load(found.stored) is found
    first, second = (scenarios.plan(found, {"n": 3}, seed=seed) for seed in (1, 2))

    assert first.steps is second.steps
    assert first.digest != second.digest
    assert (first.seed, second.seed) == (1, 2)
    assert second == planned_anew(scenarios, found, 2, n=3)


@virtual
async def test_parameters_that_only_compare_as_equal_have_plans_of_their_own() -> None:
    scenarios = Scenarios(world=Lab().world())
    found = await loaded(scenarios, PLAIN)

    for n in (1, 1.0, 0.0, -0.0, 2):
        plan = scenarios.plan(found, {"n": n}, seed=5)
        assert repr(plan) == repr(planned_anew(scenarios, found, 5, n=n))


@pytest.mark.parametrize("text", BY_CHANCE.values(), ids=BY_CHANCE)
@virtual
async def test_a_plan_that_another_seed_would_change_is_made_for_each_seed(text: str) -> None:
    scenarios = Scenarios(world=Lab().world())
    await loaded(scenarios, PLAIN)
    found = await loaded(scenarios, document(text, name="by-chance"))

    plans = [scenarios.plan(found, {}, seed=seed) for seed in range(12)]

    assert plans == [planned_anew(scenarios, found, seed) for seed in range(12)]
    assert len({repr(plan.steps) for plan in plans}) > 1


@virtual
async def test_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_MAX", 1)
    scenarios = Scenarios(world=Lab().world())
    first = await loaded(scenarios, PLAIN)
    assert first.stored is not None
    steps = scenarios.plan(first, {}).steps
    assert scenarios.plan(first, {}).steps is steps

    scenarios.plan(first, {"n": 7})
    await loaded(scenarios, document("steps: [{id: a, wait: 1s}]", name="other"))

    assert scenarios.plan(first, {}).steps is not steps
    assert await scenarios.load(first.stored) is not first


@virtual
async def test_a_plan_of_very_many_steps_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_STEPS_MAX", 1)
    scenarios = Scenarios(world=Lab().world())
    found = await loaded(scenarios, PLAIN)

    first, second = scenarios.plan(found, {}), scenarios.plan(found, {})

    assert first == second
    assert first.steps is not second.steps
