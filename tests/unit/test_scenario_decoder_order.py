"""Which steps wait for each other, so that none of them would ever begin or end."""

from __future__ import annotations

from time import perf_counter

import pytest

from support.decoding import HEAD, problems, read

SLOW = "background: {fault: service.kill, target: exchange}"
KILL = "fault: service.kill, target: exchange, hold: 1s"
LOAD = 'background: {action: http.post, with: {url: "http://x/"}, repeat: {every: 1s}}'


def scenario(*steps: str) -> str:
    return HEAD + "steps:\n" + "".join(f"  - {{{step}}}\n" for step in steps)


WELL = {
    "a check in the background follows a fault that is stopped later": (
        f"id: slow, {SLOW}",
        'id: back, expect: "1 < 2", after_fault: slow, background: true',
        "id: pause, wait: 1s",
        "stop: slow",
    ),
    "a check follows a fault that was stopped before": (
        f"id: slow, {SLOW}",
        "stop: slow",
        'expect: "1 < 2", after_fault: slow',
    ),
    "a check in the background lasts as long as the load that is stopped later": (
        f"id: load, {LOAD}",
        'expect: "1 < 2", during: load, background: true',
        "wait: 1s",
        "stop: load",
    ),
    "a check at the end lasts as long as the load that nothing stops": (
        f"id: load, {LOAD}",
        "wait: 1s",
        'expect: "1 < 2", during: load',
    ),
    "two loads that nothing stops do not wait for each other": (
        f"id: load, {LOAD}",
        f"id: more, {LOAD}",
        'expect: "1 < 2", always: true, background: true',
    ),
    "a group is the time of a check above and below it": (
        f"id: group, parallel: [{{{KILL}}}, {{wait: 1s}}]",
        'id: beside, expect: "1 < 2", during: group',
        "wait: 1s",
    ),
    "a stop inside a group comes after what stands above the group": (
        f"id: load, {LOAD}",
        "parallel: [{sequence: [{wait: 1s}, {stop: load}]}, {wait: 1s}]",
    ),
    "a fault that ends by itself is followed beside it": (
        f"id: break, {KILL}, background: true",
        'expect: "1 < 2", after_fault: break',
    ),
    "a stop comes after a check that begins with what is stopped": (
        f"id: load, {LOAD}, needs: []",
        'id: calm, expect: "1 < 2", during: load, background: true, needs: []',
        "stop: load, needs: [calm]",
    ),
    "a check needs another step and is judged during a third": (
        f"id: break, {KILL}, needs: []",
        "id: one, wait: 1s, needs: []",
        'expect: "1 < 2", during: break, needs: [one]',
    ),
}


@pytest.mark.parametrize("name", WELL)
def test_steps_that_can_all_end_are_taken(name: str) -> None:
    assert read(scenario(*WELL[name])).steps


ILL = {
    "a fault and the check that the stop waits for": (
        (
            f"id: slow, {SLOW}",
            'id: back, expect: "1 < 2", after_fault: slow',
            "id: halt, stop: slow",
        ),
        "back -> slow -> halt -> back; take one of the needs away, or let 'back' run",
    ),
    "a load that nothing stops, and a step behind the check beside it": (
        (f"id: load, {LOAD}", 'id: calm, expect: "1 < 2", during: load', "id: one, wait: 1s"),
        "calm -> load -> one -> calm; 'load' goes on until all others are over",
    ),
    "a check that waits for a fault inside a group": (
        (
            f"id: group, parallel: [{{id: break, {KILL}, needs: [back]}}]",
            'id: back, expect: "1 < 2", after_fault: group',
        ),
        "back -> break -> back; take one of the needs away, or let 'back' run",
    ),
    "a step in a group that needs the group": (
        ("id: group, parallel: [{id: one, wait: 1s, needs: [group]}]",),
        "one -> one; take one of the needs away",
    ),
    "steps in the background that begin after each other": (
        (
            f"id: one, {KILL}, background: true, needs: [two]",
            f"id: two, {KILL}, background: true, needs: [one]",
        ),
        "one -> two -> one; take one of the needs away",
    ),
}


@pytest.mark.parametrize("name", ILL)
def test_steps_that_would_wait_for_ever_are_named_whole(name: str) -> None:
    steps, circle = ILL[name]

    (problem,) = problems(scenario(*steps))

    assert problem.code == "scenario.cycle"
    assert problem.text.startswith(f"these steps wait for each other: {circle}")


def test_of_circles_that_share_a_step_one_is_told() -> None:
    waits = ("a, needs: [b]", "b, needs: [a, c]", "c, needs: [b, d]", "d, needs: [c]")

    found = problems(scenario(*(f"wait: 1s, id: {step}" for step in waits)))

    assert [problem.text.split("; ")[0] for problem in found] == [
        "these steps wait for each other: a -> b -> a",
        "these steps wait for each other: c -> d -> c",
    ]


@pytest.mark.parametrize(
    "steps",
    [
        ("parallel: [{stop: load}, {id: load, " + LOAD + "}]",),
        ("stop: load", f"id: load, {LOAD}, needs: []"),
        (f"id: load, {LOAD}", "stop: load, needs: []"),
    ],
)
def test_a_stop_comes_after_the_begin_of_what_it_stops(steps: tuple[str, ...]) -> None:
    (problem,) = problems(scenario(*steps))

    assert problem.code == "scenario.not_begun"
    assert "'load'" in problem.text


def test_a_stop_waits_for_the_begin_of_a_step_that_waits_for_it() -> None:
    (problem,) = problems(scenario("id: halt, stop: load", f"id: load, {LOAD}"))

    assert "halt -> load -> halt" in problem.text


def test_hundreds_of_loads_and_stops_are_ordered_in_seconds() -> None:
    loads = [f"id: load-{n}, {LOAD}" for n in range(400)]
    stops = [f"stop: load-{n}" for n in range(200)]
    began = perf_counter()

    found = read(scenario(*loads, *stops, *["wait: 1s"] * 400))

    assert len(found.steps) == 1000
    assert perf_counter() - began < 20
