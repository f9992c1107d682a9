"""Copies of steps: for_each, how many at a time, and what is meant by the id of all of them."""

from __future__ import annotations

import pytest

from support.planning_lab import (
    act,
    both,
    cel,
    each,
    expect,
    fault,
    group,
    mistakes,
    needs,
    only,
    plan,
    planned,
    row,
    s,
    stop,
    story,
    wait,
)
from test_coordination.domain.errors import Mark
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.plan import Plan
from test_coordination.domain.steps import ErrorPolicy

MANY = (
    "are planned, with all copies and the steps of other scenarios; "
    "expected 1000 at most: split the scenario"
)


def notes(found: Plan) -> dict[str, object]:
    return {step.id: step.action.parameters["name"] for step in found.steps if step.action}


def test_a_step_is_copied_for_each_value_in_its_order() -> None:
    found = planned(
        wait("a"),
        act("b", for_each=each("x", 2, [3, {"k": "5s"}]), parameters={"name": cel("each.value")}),
        wait("c"),
    )

    assert notes(found) == {"b.1": "x", "b.2": 2, "b.3": [3, {"k": "5s"}]}
    assert needs(found) == {
        "a": set(), "b.1": {"a"}, "b.2": {"a", "b.1"}, "b.3": {"a", "b.2"},
        "c": {"b.1", "b.2", "b.3"},
    }  # fmt: skip
    assert found.groups == {"b": ("b.1", "b.2", "b.3")}


def test_the_last_axis_changes_fastest() -> None:
    axes = each(service=("shop", "bank"), outage=("1s", "5s"))
    step = fault("cut", cel("each.service"), cel("each.outage"), for_each=axes)

    found = planned(step)

    made = [(step.fault.service, step.fault.hold) for step in found.steps if step.fault]
    assert made == [("shop", s(1)), ("shop", s(5)), ("bank", s(1)), ("bank", s(5))]


def test_copies_can_come_from_a_parameter_and_count_from_zero() -> None:
    several = Parameter(
        name="several",
        type=ParameterType.LIST,
        items=ParameterType.STRING,
        mark=Mark("s.yaml", 2, 2),
        default=("x", "y"),
    )
    text = {"name": cel("each.value + string(each.index) + parameters.several[0]")}
    scenario = story(
        act("b", for_each=each(value=cel("parameters.several")), parameters=text),
        parameters=(several,),
    )

    assert notes(plan(scenario)) == {"b.1": "x0x", "b.2": "y1x"}
    assert notes(plan(scenario, {"several": ("z",)})) == {"b.1": "z0z"}


@pytest.mark.parametrize(
    ("concurrency", "waits"),
    [(1, [0, 1, 1, 1]), (2, [0, 0, 1, 1]), (4, [0, 0, 0, 0]), (1000, [0, 0, 0, 0])],
)
def test_so_many_copies_are_under_way_at_once(concurrency: int, waits: list[int]) -> None:
    found = planned(wait("a", for_each=each(*"wxyz"), concurrency=concurrency))

    assert [len(step.needs) for step in found.steps] == waits
    assert all(step.queued == step.needs for step in found.steps)
    if concurrency == 2:
        assert needs(found)["a.4"] == {"a.2"}


def test_what_is_needed_and_what_is_only_waited_for_in_a_queue_are_told_apart() -> None:
    found = planned(wait("a"), row("g", wait("b"), wait("c"), for_each=each(1, 2)))

    assert needs(found)["b.2"] == {"a", "b.1", "c.1"}
    assert only(found, "b.2").queued == {"b.1", "c.1"}
    assert not only(found, "c.2").queued


def test_a_group_is_copied_with_all_that_its_steps_say_of_each_other() -> None:
    found = planned(
        wait("a"),
        row(
            "g",
            fault("cut", cel("each.value")),
            expect("back", after_fault="cut", needs=["cut", "a"]),
            expect("well", mode="always", during="cut"),
            for_each=each("shop", "bank"),
        ),
        wait("z", needs=["back"]),
        expect("end", after_fault="cut", needs=["a"]),
    )

    assert needs(found) == {
        "a": set(),
        "cut.1": {"a"}, "back.1": {"cut.1", "a"}, "well.1": {"a"},
        "cut.2": {"a", "back.1", "cut.1", "well.1"}, "back.2": {"cut.2", "a"},
        "well.2": {"a", "back.1", "cut.1", "well.1"},
        "z": {"back.1", "back.2"}, "end": {"a", "cut.1", "cut.2"},
    }  # fmt: skip
    second = only(found, "well.2")
    assert second.beside == {"cut.2"}
    assert second.expect is not None
    assert second.expect.during == "cut.2"
    assert group(found, "g.2") == ("cut.2", "back.2", "well.2")
    assert group(found, "cut") == ("cut.1", "cut.2")
    back = only(found, "back.1").expect
    assert back is not None
    assert back.after_fault == "cut.1"


def test_copies_inside_copies_know_both_and_are_known_by_every_id() -> None:
    found = planned(
        row(
            "g",
            act(
                "b",
                for_each=each(inner=("x", "y")),
                parameters={"name": cel("each.outer + each.inner")},
            ),
            wait("c", needs=["b"]),
            for_each=each(outer=("1", "2")),
            concurrency=2,
        ),
    )

    assert notes(found) == {"b.1.1": "1x", "b.1.2": "1y", "b.2.1": "2x", "b.2.2": "2y"}
    assert needs(found)["c.2"] == {"b.2.1", "b.2.2"}
    assert group(found, "b") == ("b.1.1", "b.1.2", "b.2.1", "b.2.2")
    assert group(found, "b.2") == ("b.2.1", "b.2.2")
    assert group(found, "g.1") == ("b.1.1", "b.1.2", "c.1")


def test_a_step_beside_copies_in_a_copied_group_needs_those_of_its_own_copy() -> None:
    found = planned(
        both(
            "g",
            both("h", wait("b"), for_each=each(1, 2), concurrency=2),
            wait("c", needs=["b"]),
            for_each=each("x", "y"),
            concurrency=2,
        ),
    )

    assert needs(found)["c.2"] == {"b.2.1", "b.2.2"}


def test_conditions_hold_what_each_stands_for() -> None:
    found = planned(
        row(
            "g",
            expect("ok", "probes.p.last.value > double(each.value) || 'each.value' == ''"),
            wait("c", condition=cel("each.value > 1")),
            for_each=each(1, 2),
            condition=cel("each.index == 0 // first"),
        ),
    )

    ok, pause = only(found, "ok.2"), only(found, "c.2")
    assert ok.expect is not None
    assert ok.expect.expression == "probes.p.last.value > double(2) || 'each.value' == ''"
    assert ok.condition is not None
    assert ok.condition.expression == "1 == 0 // first"
    assert pause.condition is not None
    assert pause.condition.expression == "(1 == 0 // first\n) && (2 > 1\n)"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('a"b', '"a\\"b"'),
        (True, "true"),
        (None, "null"),
        (-1.5, "-1.5"),
        ([1, ["x"]], '[1, ["x"]]'),
        ({"k": {"l": 1}}, '{"k": {"l": 1}}'),
        (cel("duration('1500ms')"), 'duration("1500000us")'),
    ],
)
def test_every_value_is_written_as_an_expression_reads_it(value: object, written: str) -> None:
    found = planned(
        expect("ok", "[each.value] == [each.value] && probes.p.last.ok", for_each=each(value))
    )

    check = only(found, "ok.1").expect
    assert check is not None
    assert check.expression == f"[{written}] == [{written}] && probes.p.last.ok"


def test_the_steps_of_a_group_take_over_what_it_says_of_failing_and_of_time() -> None:
    found = planned(
        both(
            "g",
            wait("a", timeout=s(3)),
            wait("b", timeout=s(30), on_error=ErrorPolicy.CONTINUE),
            row("h", wait("c"), timeout=s(4)),
            row("i", wait("d"), timeout=s(40)),
            on_error=ErrorPolicy.IGNORE,
            timeout=s(20),
        ),
    )

    assert [step.timeout for step in found.steps] == [s(3), s(20), s(4), s(20)]
    assert [step.on_error for step in found.steps] == ["ignore", "continue", "ignore", "ignore"]


def test_where_there_is_nothing_to_copy_for_the_order_stays() -> None:
    found = planned(
        wait("a"),
        row(
            "g",
            fault("b", for_each=each()),
            expect("c", after_fault="b"),
            expect("d", mode="always", during="b"),
            stop("e", "b"),
            for_each=each("x", "y"),
        ),
        row("h", wait("f"), for_each=each()),
        wait("i"),
        wait("j", needs=["f"]),
    )

    assert needs(found) == {"a": set(), "i": {"a"}, "j": {"a"}}
    assert group(found, "b") == ()
    assert group(found, "f") == ()
    assert group(found, "c.1") == ()


def test_copies_in_the_background_wait_for_the_ends_of_those_before() -> None:
    found = planned(
        fault("b", for_each=each(1, 2, 3), background=True, concurrency=2),
        wait("c"),
        stop("d", "b"),
    )

    last = only(found, "b.3")
    assert (set(last.needs), set(last.ended)) == ({"b.1"}, {"b.1"})
    assert needs(found)["c"] == {"b.1", "b.2"}
    stopped = only(found, "d").stop
    assert stopped is not None
    assert stopped.steps == ("b.1", "b.2", "b.3")


def test_a_step_beside_a_late_copy_in_the_background_waits_for_that_one() -> None:
    inner = (fault("b", background=True), wait("c"))

    found = planned(row("g", *inner, for_each=each(1, 2)), wait("d", needs=["g"]))

    assert needs(found) == {
        "b.1": set(), "c.1": {"b.1"}, "b.2": {"b.1", "c.1"}, "c.2": {"b.2"},
        "d": {"b.1", "c.1", "c.2"},
    }  # fmt: skip


def test_copies_that_never_end_cannot_wait_for_each_other() -> None:
    scenario = story(fault("b", hold=None, background=True, for_each=each(1, 2)))

    assert [code for _, code, _ in mistakes(scenario)] == ["plan.endless"]


def test_more_copies_than_a_plan_may_have_are_refused_before_they_are_made() -> None:
    many = each(*range(1000))
    scenario = story(
        row("g", row("h", wait("b", for_each=many), for_each=many), for_each=many),
        row("i", wait("c"), wait("d"), for_each=each(*range(501), line=7)),
        wait("e", for_each=each(a=tuple(range(1000)), b=tuple(range(1000)), line=9)),
    )

    found = mistakes(scenario)

    assert {(line, code) for line, code, _ in found} == {
        (1, "plan.too_many_steps"), (7, "plan.too_many_steps"), (9, "plan.too_many_steps"),
    }  # fmt: skip
    assert "1000000 copies" in found[-1][2]


def test_a_plan_has_a_thousand_steps_at_most() -> None:
    most = planned(
        *[wait(f"w{place}") for place in range(400)], wait("x", for_each=each(*range(600)))
    )
    scenario = story(
        *[wait(f"w{place}") for place in range(401)], wait("x", for_each=each(*range(600)))
    )

    assert len(most.steps) == 1000
    assert mistakes(scenario) == [
        (
            1,
            "plan.too_many_steps",
            f"1001 steps {MANY}",
        )
    ]


def test_steps_that_wait_for_each_other_only_as_copies_are_named() -> None:
    scenario = story(
        row("g", wait("b"), wait("c", needs=["o"]), for_each=each(1, 2)),
        wait("o", needs=["b"]),
    )

    (found,) = mistakes(scenario)

    assert found[1] == "plan.circle"
    assert "b.2 -> c.1 -> o -> b.2" in found[2]


def test_steps_that_wait_for_each_other_are_named() -> None:
    scenario = story(wait("a", needs=["b"]), wait("b", needs=["a"]))

    assert "a -> b -> a" in mistakes(scenario)[0][2]


def test_what_each_stands_for_is_wrong_in_one_place() -> None:
    scenario = story(
        fault("a", cel("each.value", 3), for_each=each("shp", "shop")),
        fault("b", hold=cel("each.value", 5), for_each=each("x", 7)),
        wait("c", for_each=each(value=cel("[[1]][1]", 6))),
        expect("d", "each.nothing", for_each=each(1)),
        wait("e", condition=cel("each.value == " + "1" * 4080, 8), for_each=each("x" * 40)),
    )

    found = mistakes(scenario)

    assert [(line, code) for line, code, _ in found if line > 1] == [
        (5, "value.not_a_duration"), (5, "value.not_a_duration"),
        (6, "expression.failed"), (8, "expression.too_long"),
    ]  # fmt: skip
    said = {code: text for _, code, text in found}
    assert "did you mean 'shop'?" in said["topology.unknown_service"]
    assert "each.nothing" in said["expression.unknown_name"]
    assert said["value.not_a_duration"].startswith("'each.value' is 7 here; expected a duration")


def test_joined_conditions_may_become_too_long() -> None:
    long = "true || " * 300 + "true"
    scenario = story(both("g", wait("a", condition=cel(long)), condition=cel(long)))

    assert [code for _, code, _ in mistakes(scenario)] == ["expression.too_long"]
