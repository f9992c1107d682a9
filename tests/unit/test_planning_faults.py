"""Which services a fault hits, how often, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from support.engine_fakes import Board, SwitchFault
from support.planning_lab import (
    CATALOGUE,
    act,
    at,
    cel,
    each,
    expect,
    fault,
    group,
    mistakes,
    needs,
    only,
    planned,
    s,
    select,
    stop,
    story,
    wait,
)
from test_coordination.application.capabilities import ParameterProblem
from test_coordination.domain.plan import Choice, FaultWork, Plan
from test_coordination.domain.steps import Otherwise, Quota, Ramp, Repeat, Retry, Selector
from test_coordination.domain.values import StepId


def hits(found: Plan) -> dict[str, str]:
    return {step.id: step.fault.service for step in found.steps if step.fault}


def faults(found: Plan) -> list[tuple[str, FaultWork]]:
    return [(step.id, step.fault) for step in found.steps if step.fault]


BACK = {"tier": "back"}


@pytest.mark.parametrize(
    ("selector", "candidates"),
    [
        (select("shop", "bank"), "bank shop"),
        (select("shop", "bank", tags=BACK), "bank"),
        (select(tags=BACK), "bank broker ledger"),
        (select(tags={**BACK, "name": "bank"}), "bank"),
        (select(tags=BACK, exclude=("bank",)), "broker ledger"),
        (select(exclude=("bank",)), "broker ledger shop"),
        (select(cel("'shop'"), exclude=(cel("'bank'"),)), "shop"),  # type: ignore[arg-type]
    ],
)
def test_candidates_have_the_name_and_the_tags_and_are_not_excluded(
    selector: Selector, candidates: str
) -> None:
    found = planned(fault("a", selector))

    assert found.choices == (
        Choice(
            step=StepId("a"),
            seed=0,
            candidates=tuple(candidates.split()),
            chosen=tuple(candidates.split()),
        ),
    )


def test_each_of_several_chosen_is_hit_by_a_step_of_its_own_at_once() -> None:
    found = planned(wait("w"), fault("a", select("shop", "bank")), wait("z"))

    assert hits(found) == {"a.bank": "bank", "a.shop": "shop"}
    assert group(found, "a") == ("a.bank", "a.shop")
    assert needs(found) == {
        "w": set(), "a.bank": {"w"}, "a.shop": {"w"}, "z": {"a.bank", "a.shop"}
    }  # fmt: skip


def test_one_that_is_chosen_alone_is_hit_by_the_step_itself() -> None:
    found = planned(fault("a", select("shop", "bank", quota=Quota(count=1))))

    assert list(hits(found)) == ["a"]
    assert found.groups == {}


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        (Quota(), 4), (Quota(count=1), 1), (Quota(count=3), 3), (Quota(count=4), 4),
        (Quota(percent=50), 2), (Quota(percent=51), 3), (Quota(percent=1), 1),
        (Quota(percent=0), 1), (Quota(percent=75.0), 3), (Quota(percent=1e-7), 1),
        (Quota(percent=100), 4),
    ],
)  # fmt: skip
def test_so_many_of_the_candidates_are_chosen(quota: Quota, count: int) -> None:
    selector = select("shop", "bank", "ledger", "broker", quota=quota)

    (choice,) = planned(fault("a", selector)).choices

    assert len(choice.chosen) == count
    assert set(choice.chosen) <= set(choice.candidates)


def test_asking_for_more_than_there_are_is_a_mistake() -> None:
    wanted = select("shop", "bank", line=7, quota=Quota(count=3))

    ((line, code, text),) = mistakes(story(fault("a", wanted)))

    assert (line, code) == (7, "plan.too_few_targets")
    assert "asks for 3 services, and only 2 fit: bank, shop" in text


def test_a_protected_service_is_chosen_never_and_named_in_vain() -> None:
    scenario = story(
        fault("a", select(line=5, tags=BACK)),
        fault("b", select("vault", "shop", line=6, quota=Quota(count=1))),
        fault("c", select("vault", "shop", exclude=("vault",))),
    )

    assert [(line, code) for line, code, _ in mistakes(scenario)] == [(6, "plan.protected_target")]


def test_finding_none_is_a_mistake_unless_it_may_be() -> None:
    nobody = {"tier": "none"}
    found = mistakes(story(fault("a", select(line=4, tags=nobody))))
    skipped = planned(
        wait("w"),
        fault("a", select(tags=nobody, none=Otherwise.SKIP), repeat=Repeat(times=2, pause=s(1))),
        expect("b", after_fault="a"),
        wait("c"),
    )

    assert [(line, code) for line, code, _ in found] == [(4, "plan.no_target")]
    assert "step 'a' finds no service to aim at" in found[0][2]
    assert needs(skipped) == {"w": set(), "c": {"w"}}
    assert (group(skipped, "a"), group(skipped, "b")) == ((), ())
    assert [choice.chosen for choice in skipped.choices] == [(), ()]


def test_names_that_the_topology_lacks_are_told() -> None:
    scenario = story(fault("a", select("shp", line=3, exclude=("bnk",))))

    said = [text for _, code, text in mistakes(scenario) if code == "topology.unknown_service"]
    assert "did you mean 'shop'?" in said[0]
    assert "did you mean 'bank'?" in said[1]


def chosen(seed: int, selector: Selector | None = None) -> tuple[str, ...]:
    any_one = selector or select("shop", "bank", "ledger", "broker", quota=Quota(count=2))
    (choice,) = planned(fault("a", any_one), seed=seed).choices
    return choice.chosen


def test_the_same_seed_chooses_the_same_and_a_step_s_own_seed_wins() -> None:
    own = select("shop", "bank", "ledger", "broker", quota=Quota(count=2), seed=3)

    assert chosen(7) == chosen(7)
    assert len({chosen(seed) for seed in range(40)}) == 6
    assert chosen(1, own) == chosen(2, own) == chosen(3)


def test_copies_choose_each_for_themselves() -> None:
    any_one = select("shop", "bank", "ledger", "broker", quota=Quota(count=1))

    found = planned(fault("a", any_one, for_each=each(*range(40)), concurrency=40))

    assert set(hits(found).values()) == {"shop", "bank", "ledger", "broker"}
    assert [choice.step for choice in found.choices[:2]] == ["a.1", "a.2"]


def test_a_fault_is_repeated_with_pauses_between() -> None:
    found = planned(
        wait("w"),
        fault(
            "a", select("shop", "bank"), repeat=Repeat(times=2, pause=s(3)), condition=cel("true")
        ),
        expect("b", after_fault="a"),
    )

    first, second = {"a.1.bank", "a.1.shop"}, {"a.2.bank", "a.2.shop"}
    assert needs(found) == {
        "w": set(), "a.1.bank": {"w"}, "a.1.shop": {"w"}, "a.pause-1": first,
        "a.2.bank": {"a.pause-1"}, "a.2.shop": {"a.pause-1"},
        "b": {*first, "a.pause-1", *second},
    }  # fmt: skip
    pause = only(found, "a.pause-1")
    assert pause.wait is not None
    assert (pause.wait.duration, pause.timeout) == (s(3), s(303))
    assert pause.condition == only(found, "a.1.bank").condition
    assert group(found, "a")[2] == "a.pause-1"


def test_without_a_pause_one_repetition_follows_the_other() -> None:
    found = planned(fault("a", repeat=Repeat(times=cel("1 + 2"))))

    assert needs(found) == {"a.1": set(), "a.2": {"a.1"}, "a.3": {"a.2"}}


@pytest.mark.parametrize("times", [0, 1001, cel("1.5"), cel("0"), cel("[][0]")])
def test_repeating_needs_a_number_that_can_be(times: Any) -> None:
    assert mistakes(story(fault("a", repeat=Repeat(times=times))))


def test_a_repeated_action_is_planned_once_for_each_time_or_keeps_its_beat() -> None:
    found = planned(
        act("a", repeat=Repeat(times=2, pause=s(1)), parameters={"name": "x"}),
        act("b", repeat=Repeat(times=61, every=s(1))),
        act("c", repeat=Repeat(every=s(1)), background=True),
    )

    assert [step.id for step in found.steps] == ["a.1", "a.pause-1", "a.2", "b", "c"]
    b, c = only(found, "b"), only(found, "c")
    assert b.action is not None
    assert (b.action.every, b.action.times, b.timeout) == (s(1), 61, s(360))
    assert c.action is not None
    assert (c.action.times, c.endless, c.timeout) == (None, True, s(900))


def ramped(**keys: Any) -> Plan:
    parameters = {"delay": "100ms", "other": "100ms"}
    return planned(fault("a", fault="switch.slow", parameters=parameters, **keys), wait("z"))


def test_a_ramp_grows_to_the_full_strength_each_stage_undone_before_the_next() -> None:
    found = ramped(ramp=Ramp(over=s(8), start=20, stages=4), hold=s(5))

    assert [(name, work.parameters["delay"], work.hold) for name, work in faults(found)] == [
        ("a.ramp-1", "20ms", s(2)), ("a.ramp-2", "40ms", s(2)), ("a.ramp-3", "60ms", s(2)),
        ("a.ramp-4", "80ms", s(2)), ("a.full", "100ms", s(5)),
    ]  # fmt: skip
    assert {work.parameters["other"] for _, work in faults(found)} == {"100ms"}
    assert needs(found)["a.full"] == {"a.ramp-4"}
    assert needs(found)["z"] == {*group(found, "a")}


def test_a_ramp_from_nothing_begins_with_the_first_equal_part() -> None:
    found = ramped(ramp=Ramp(over=s(8), stages=4))

    assert [work.parameters["delay"] for _, work in faults(found)] == [
        "20ms", "40ms", "60ms", "80ms", "100ms",
    ]  # fmt: skip


def test_a_ramp_in_the_background_is_waited_for_until_its_first_stage() -> None:
    found = ramped(ramp=Ramp(over=s(2), stages=1), hold=None, background=True)

    full = only(found, "a.full")
    assert (set(full.needs), set(full.ended), full.endless) == ({"a.ramp-1"}, {"a.ramp-1"}, True)
    assert needs(found)["z"] == {"a.ramp-1"}


@pytest.mark.parametrize(
    ("value", "half"),
    [(100, 50), (1.0, 0.5), ("50%", "25%"), ("2KiB", 1024), ("3s", "1s500ms"), ("x%", "x%"),
     ("x", "x"), (True, True), (None, None)],
)  # fmt: skip
def test_any_amount_can_grow(value: object, half: object) -> None:
    found = planned(
        fault("a", fault="switch.slow", parameters={"delay": value}, ramp=Ramp(over=s(1), stages=1))
    )

    assert faults(found)[0][1].parameters["delay"] == half


def test_a_ramp_does_not_begin_with_what_is_no_fault_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Weak(SwitchFault):
        def problems(
            self,
            parameters: Mapping[str, object],
            *,
            unknown: frozenset[tuple[str | int, ...]] = frozenset(),
        ) -> Sequence[ParameterProblem]:
            del unknown
            weak = parameters["delay"] == "0s"
            return [ParameterProblem(path=("delay",), text="too short")] if weak else []

    weak = Weak(Board(), "switch.slow", scalable=frozenset({"delay"}))
    monkeypatch.setitem(CATALOGUE.faults, "switch.slow", weak)
    step = fault("a", fault="switch.slow", parameters={"delay": "4ms"}, mark=at(3))
    scenario = story(replace(step, ramp=Ramp(over=s(1), start=10, stages=4)))

    ((line, code, text),) = mistakes(scenario)
    assert (line, code) == (3, "plan.no_ramp")
    assert text.startswith("delay: too short (that is the strength of 'ramp-1'; let the ramp begin")
    stronger = planned(replace(step, ramp=Ramp(over=s(1), start=25, stages=3)))
    assert faults(stronger)[0][1].parameters == {"delay": "1ms"}


def test_a_fault_of_one_strength_has_no_ramp() -> None:
    scenario = story(
        fault("a", ramp=Ramp(over=s(1)), mark=at(3)),
        fault("b", fault="switch.slow", ramp=Ramp(over=s(1)), mark=at(4)),
    )

    first, second = mistakes(scenario)

    assert (first[:2], second[:2]) == ((3, "plan.no_ramp"), (4, "plan.no_ramp"))
    assert "use one that can: switch.slow" in first[2]
    assert "give one of delay under 'with'" in second[2]


def test_copies_repetitions_services_and_stages_are_named_from_the_outside_in() -> None:
    found = planned(
        fault(
            "a",
            select("shop", "bank"),
            fault="switch.slow",
            parameters={"delay": "1s"},
            for_each=each(1),
            repeat=Repeat(times=1),
            ramp=Ramp(over=s(1), stages=1),
        )
    )

    assert list(hits(found)) == [
        "a.1.1.bank.ramp-1", "a.1.1.bank.full", "a.1.1.shop.ramp-1", "a.1.1.shop.full",
    ]  # fmt: skip


@pytest.mark.parametrize("keys", [{"repeat": Repeat(times=2), "background": True}, {}])
def test_a_fault_that_never_ends_stands_alone_in_the_background(keys: dict[str, Any]) -> None:
    scenario = story(fault("a", hold=None, **keys))

    assert [code for _, code, _ in mistakes(scenario)] == ["plan.endless"]


def test_a_check_begins_without_the_end_of_a_fault_in_the_background() -> None:
    found = planned(
        fault("a", background=True), wait("w"), expect("b", after_fault="a"), stop("c", "a")
    )

    assert needs(found) == {"a": set(), "w": {"a"}, "b": {"w"}, "c": {"b"}}


@pytest.mark.parametrize(
    ("retry", "seconds"),
    [
        (Retry(attempts=3), 3 * 5 + 300),
        (Retry(attempts=3, delay=s(2), backoff=2), 3 * 5 + 2 + 4 + 300),
        (Retry(attempts=4, delay=s(1), backoff=1e300), 4 * 5 + 1 + 2 * 86400 + 300),
    ],
)
def test_there_is_time_for_all_tries(retry: Retry, seconds: float) -> None:
    found = only(planned(fault("a", retry=retry)), "a")

    assert found.timeout == s(seconds)
    assert (found.retry.attempts, found.retry.backoff) == (retry.attempts, retry.backoff)
