"""When everything would run, what it would touch, and how that would be undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.planning_lab import (
    CATALOGUE,
    act,
    at,
    cel,
    check,
    each,
    expect,
    fault,
    mistakes,
    plan,
    planned,
    row,
    s,
    select,
    stop,
    story,
    system,
    wait,
)
from test_coordination.application.planning.outline import Outline, Touch, outline
from test_coordination.domain.plan import Plan
from test_coordination.domain.steps import (
    Gate,
    GateStep,
    Mode,
    Repeat,
    Retry,
    ScenarioStep,
    Step,
)
from test_coordination.domain.values import StepId


def drawn(found: Plan, history: Mapping[str, float] | None = None) -> Outline:
    known = None if history is None else {StepId(k): s(v) for k, v in history.items()}
    return outline(found, system(), CATALOGUE, history=known)


def times(found: Outline, which: str = "worst") -> dict[str, tuple[float, float]]:
    spans = {step.id: getattr(step, which) for step in found.steps}
    return {name: (a.total_seconds(), b.total_seconds()) for name, (a, b) in spans.items()}


def best(*steps: Step, **keys: Any) -> dict[str, tuple[float, float]]:
    return times(drawn(planned(*steps, **keys)), "best")


def test_steps_run_one_after_the_other_or_beside_each_other() -> None:
    found = drawn(
        plan(
            story(
                wait("a", s(3)),
                fault("b", hold=s(5)),
                act("c", needs=["a"], repeat=Repeat(every=s(2), times=4)),
                expect("d", needs=["b", "c"], within=s(10), hold=s(1)),
                steady_state=(check("w", within=s(4)),),
                on_failure=(act("e"),),
            )
        )
    )

    assert times(found, "best") == {
        "before.w": (0, 0), "a": (0, 3), "b": (3, 8), "c": (3, 9), "d": (9, 10),
        "after.w": (10, 10),
    }  # fmt: skip
    assert times(found) == {
        "before.w": (0, 4), "a": (4, 7), "b": (7, 12), "c": (7, 13), "d": (13, 24),
        "after.w": (24, 28),
    }  # fmt: skip
    assert (found.best, found.worst, found.usual) == (s(10), s(28), None)
    assert found.critical_path == ("before.w", "a", "c", "d", "after.w")
    assert [step.id for step in found.steps if not step.critical] == ["b"]
    lanes = {str(step.id): step.lane for step in found.steps}
    assert (lanes["b"], lanes["c"], lanes["d"]) == (0, 1, 0)
    assert found.on_failure == ("e",)


def test_what_took_long_before_is_expected_to_do_so_again() -> None:
    found = planned(wait("a", s(3)), act("b"))

    assert drawn(found, {"b": 7, "gone": 99}).usual == s(10)
    assert drawn(found, {}).usual == s(3)


def test_nothing_is_expected_to_take_longer_than_it_may() -> None:
    slow = fault("b", hold=s(5), retry=Retry(attempts=3, delay=s(1), backoff=2))
    found = drawn(plan(story(wait("a", s(3), timeout=s(2)), slow, timeout=s(9))))
    free = drawn(plan(story(slow)))

    assert times(found)["a"] == (0, 2)
    assert (found.best, found.worst) == (s(8), s(9))
    assert free.worst == s(3 * 5 + 1 + 2)
    assert free.best == s(5)


def test_what_runs_in_the_background_is_waited_for_at_the_end() -> None:
    scenario = story(
        fault("a", hold=s(9), background=True),
        wait("b", s(2)),
        expect("c", after_fault="a", within=s(3)),
        steady_state=(check("w", within=s(0)),),
    )

    assert times(drawn(plan(scenario))) == {
        "before.w": (0, 0), "a": (0, 9), "b": (0, 2), "c": (9, 12), "after.w": (12, 12),
    }  # fmt: skip


def test_copies_in_the_background_follow_each_other_and_nobody_waits_for_the_last() -> None:
    found = best(fault("a", for_each=each(1, 2), background=True), wait("b"))

    assert found == {"a.1": (0, 5), "a.2": (5, 10), "b": (0, 1)}


def test_what_never_ends_does_so_when_it_is_stopped() -> None:
    found = best(
        fault("a", hold=None, background=True),
        wait("b", s(4)),
        stop("c", "a"),
        stop("d", "a"),
        wait("e", s(4)),
    )

    assert found == {"a": (0, 4), "b": (0, 4), "c": (4, 4), "d": (4, 4), "e": (4, 8)}


def test_what_never_ends_and_is_not_stopped_ends_with_everything_else() -> None:
    found = best(
        act("a", background=True, repeat=Repeat(every=s(1))),
        expect("b", mode=Mode.NEVER, background=True),
        expect("c", mode=Mode.ALWAYS, during="a", background=True),
        wait("d", s(4)),
        wait("e", s(2), needs=["c"]),
        wait("f", s(9), needs=[]),
    )

    assert found == {
        "a": (0, 9), "b": (0, 9), "c": (0, 9), "d": (0, 4), "e": (0, 2), "f": (0, 9)
    }  # fmt: skip


def test_a_check_beside_several_runs_from_the_first_begin_to_the_last_end() -> None:
    found = best(
        wait("a", s(2)),
        fault("b", select("shop", "bank"), hold=s(5), repeat=Repeat(times=2, pause=s(1))),
        expect("c", mode=Mode.ALWAYS, during="b"),
        wait("d"),
    )

    assert found["c"] == (2, 13)
    assert found["d"] == (13, 14)


def test_what_is_stopped_early_ends_early() -> None:
    found = best(
        fault("a", hold=s(60), background=True),
        fault("b", "bank", hold=s(2), background=True),
        wait("c", s(4)),
        stop("d", "a"),
        stop("e", "b"),
        expect("f", after_fault="a", hold=s(1)),
    )

    assert found == {"a": (0, 4), "b": (0, 2), "c": (0, 4), "d": (4, 4), "e": (4, 4), "f": (4, 5)}


def test_what_is_stopped_before_it_begins_takes_no_time() -> None:
    found = best(wait("a", s(4)), fault("b", hold=s(60), background=True), stop("c", "b", needs=[]))

    assert (found["b"], found["c"]) == ((4, 4), (0, 0))


def test_steps_that_would_wait_for_each_other_s_end_are_refused() -> None:
    scenario = story(
        fault("a", hold=None, background=True),
        expect("b", mode=Mode.ALWAYS, during="a", mark=at(4)),
        stop("c", "a"),
    )

    ((line, code, text),) = mistakes(scenario)
    assert (line, code) == (1, "plan.circle")
    assert "a -> b -> a; take one need away, or let one of them run in the background" in text


def test_gates_and_waits_of_chance_have_their_best_and_their_worst() -> None:
    gate = Gate(condition=cel("probes.p.last.ok"), within=s(60), hold=s(2))
    found = drawn(planned(GateStep(id=StepId("a"), mark=at(1), gate=gate)))

    assert (found.best, found.worst) == (s(2), s(62))


def test_a_scenario_that_runs_as_a_step_counts_with_all_that_it_does() -> None:
    child = story(fault("cut", "bank", s(5)), expect("ok", within=s(3)), name="child")
    step = ScenarioStep(id=StepId("a"), mark=at(1), scenario="child")

    found = drawn(plan(story(step, fault("b")), others={"child": child}))

    assert times(found, "best") == {"a": (0, 5), "b": (5, 10)}
    assert found.worst == s(13)
    undo = "it is switched on again"
    assert found.touches == (
        Touch(
            step=(StepId("a"), StepId("cut")), fault="switch.off", family="switch",
            service=system().service("bank").name, undo=undo,
        ),
        Touch(
            step=(StepId("b"),), fault="switch.off", family="switch",
            service=system().service("shop").name, undo=undo,
        ),
    )  # fmt: skip
    assert (found.hit, found.share_percent) == (("bank", "shop"), 40.0)


def test_what_a_plan_claims_and_left_to_chance_is_told() -> None:
    found = planned(fault("a", select("shop", "bank"), title="Cut"), row("g", wait("b")))

    told = drawn(found)

    assert told.claims == found.claims
    assert told.choices == found.choices
    assert told.depends_on == ()
    a = told.steps[0]
    assert (a.kind, a.stage, a.title, a.background) == ("fault", "main", "Cut", False)
    assert told.steps[-1].needs == ("a.bank", "a.shop")


def test_a_plan_without_steps_takes_no_time() -> None:
    found = drawn(plan(story()))

    assert (found.best, found.worst, found.critical_path) == (s(0), s(0), ())


@given(waits=st.lists(st.integers(0, 9), min_size=1, max_size=8), data=st.data())
@settings(deadline=None)
def test_the_critical_path_is_as_long_as_the_whole(waits: list[int], data: st.DataObject) -> None:
    steps = []
    for place, seconds in enumerate(waits):
        above = [f"w{n}" for n in range(place)]
        chosen = data.draw(st.lists(st.sampled_from(above), unique=True)) if above else []
        steps.append(wait(f"w{place}", s(seconds), needs=chosen))

    found = drawn(planned(*steps))

    lengths = {f"w{place}": s(seconds) for place, seconds in enumerate(waits)}
    assert sum((lengths[name] for name in found.critical_path), s(0)) == found.worst == found.best
    for one in found.steps:
        for other in found.steps:
            if one.id != other.id and one.lane == other.lane:
                assert one.worst[1] <= other.worst[0] or other.worst[1] <= one.worst[0]
