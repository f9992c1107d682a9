"""Who waits for whom."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from support.decoding import HEAD, read
from test_coordination.domain.graph import find_cycle
from test_coordination.domain.steps import needs_of
from test_coordination.domain.values import StepId


def needs(steps: str) -> dict[str, set[str]]:
    scenario = read(f"{HEAD}steps:\n{steps}")
    return {step: set(found) for step, found in needs_of(scenario.steps).items()}


def test_a_step_waits_for_the_one_above_it_unless_it_says() -> None:
    found = needs("""
  - {id: a, wait: 1s}
  - {id: b, wait: 1s}
  - {id: c, wait: 1s, needs: [a]}
  - {id: d, wait: 1s}
  - {id: e, wait: 1s, needs: []}
""")

    assert found == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"c"}, "e": set()}


def test_the_steps_of_a_group_wait_for_what_it_waits_for_and_what_follows_for_all_of_them() -> None:
    found = needs("""
  - {id: a, wait: 1s}
  - id: g
    parallel:
      - {id: b, wait: 1s}
      - id: h
        parallel: [{id: c, wait: 1s}, {id: d, wait: 1s, needs: [b]}]
  - {id: e, wait: 1s}
  - {id: f, wait: 1s, needs: [h]}
  - {id: i, parallel: [{id: j, wait: 1s}, {id: k, wait: 1s}], needs: [g]}
""")

    group = {"b", "c", "d"}
    assert found == {
        "a": set(), "b": {"a"}, "c": {"a"}, "d": {"a", "b"}, "e": group, "f": {"c", "d"},
        "j": group, "k": group,
    }  # fmt: skip


def test_the_steps_of_a_sequence_wait_for_each_other() -> None:
    found = needs("""
  - {id: a, wait: 1s}
  - id: g
    sequence:
      - {id: b, wait: 1s}
      - {id: h, parallel: [{id: c, wait: 1s}, {id: d, wait: 1s}]}
      - {id: e, wait: 1s}
  - {id: f, wait: 1s}
""")

    assert found == {
        "a": set(), "b": {"a"}, "c": {"b"}, "d": {"b"}, "e": {"c", "d"},
        "f": {"b", "c", "d", "e"},
    }  # fmt: skip


def test_a_check_beside_a_step_waits_for_what_that_step_waits_for_and_what_follows_for_both() -> (
    None
):
    found = needs("""
  - {id: a, wait: 1s}
  - {id: b, wait: 1s}
  - {id: c, expect: "1 < 2", during: b}
  - {id: d, wait: 1s}
""")

    assert found == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}


def cycle(graph: dict[str, str]) -> tuple[str, ...]:
    return find_cycle({StepId(a): frozenset(map(StepId, b)) for a, b in graph.items()})


def test_a_circle_is_named_step_by_step() -> None:
    assert cycle({"a": "b", "b": "c", "c": "b"}) == ("b", "c", "b")
    assert cycle({"a": "a"}) == ("a", "a")
    assert cycle({"a": "bc", "b": "d", "c": "d", "d": ""}) == ()
    assert cycle({"a": "x"}) == ()
    assert cycle({}) == ()


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef")), max_size=6))
def test_what_is_found_is_a_circle_and_where_none_is_found_the_steps_can_be_ordered(
    graph: dict[str, set[str]],
) -> None:
    found = cycle({step: "".join(sorted(needs)) for step, needs in graph.items()})

    if found:
        assert found[0] == found[-1]
        assert all(b in graph[a] for a, b in pairwise(found))
        return
    left = {step: {need for need in needs if need in graph} for step, needs in graph.items()}
    while left:
        ready = {step for step, needs in left.items() if not needs}
        assert ready
        left = {step: needs - ready for step, needs in left.items() if step not in ready}
