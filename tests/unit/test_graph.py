"""Circles, layers, chains and lanes, against what trying everything finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain, pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_coordination.domain.graph import (
    CircularNeedsError,
    Span,
    closure,
    critical_path,
    find_cycle,
    lanes,
    layers,
    schedule,
)

Graph = Mapping[str, frozenset[str]]

NAMES = "abcdefgh"
DEEP = 5_000
ZERO = timedelta(0)


def graph(words: str) -> Graph:
    """Return the graph of words such as ``a:bc``: a needs b and c."""
    pairs = (word.partition(":") for word in words.split())
    return {name: frozenset(needed) for name, _, needed in pairs}


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def known(needs: Graph, name: str) -> frozenset[str]:
    return needs[name] & needs.keys()


def in_networkx(needs: Graph) -> nx.DiGraph[str]:
    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_nodes_from(needs)
    found.add_edges_from((need, name) for name in needs for need in known(needs, name))
    return found


def chains(needs: Graph) -> Iterator[tuple[str, ...]]:
    """Yield every chain that ends anywhere and begins with a name that needs no other."""
    rest: list[tuple[str, ...]] = [(name,) for name in needs]
    while rest:
        path = rest.pop()
        before = known(needs, path[0])
        if not before:
            yield path
        rest.extend((name, *path) for name in before)


def overlap(one: Span, other: Span) -> bool:
    return one[0] == other[0] or (one[0] < other[1] and other[0] < one[1])


any_graphs = st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from(NAMES)))
moments = st.integers(0, 6).map(s)
some_lengths = st.dictionaries(st.sampled_from(NAMES), moments)


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> Graph:
    """Draw names in an order of their own, and needs that point back in another."""
    order = draw(st.permutations(NAMES))
    needs = {
        name: draw(st.frozensets(st.sampled_from([*order[:place], "z"])))
        for place, name in enumerate(order)
    }
    kept = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return {name: needs[name] for name in kept}


@st.composite
def some_spans(draw: st.DrawFn) -> Mapping[str, Span]:
    starts = draw(st.dictionaries(st.sampled_from(NAMES), moments))
    return {name: (start, start + draw(moments)) for name, start in starts.items()}


def test_a_circle_is_told_whole_from_its_smallest_name_on() -> None:
    assert find_cycle(graph("a:b b:c c:b")) == ("b", "c", "b")
    assert find_cycle(graph("a:c c:b b:c")) == ("b", "c", "b")
    assert find_cycle(graph("a:a")) == ("a", "a")
    assert find_cycle(graph("a:bc b:d c:d d:")) == ()
    assert find_cycle({}) == ()


def test_of_several_circles_the_first_on_the_way_from_the_smallest_name_is_found() -> None:
    assert find_cycle(graph("d:c c:d b:a a:b")) == ("a", "b", "a")
    back = dict.fromkeys("bcdefghijklmnopqrstuvwxyz", frozenset("a"))
    assert find_cycle({"a": frozenset(back), **back}) == ("a", "b", "a")


def test_a_name_that_the_graph_does_not_have_is_passed_over() -> None:
    needs = graph("a:x b:ax")

    assert find_cycle(needs) == ()
    assert layers(needs) == (("a",), ("b",))
    assert closure(["b", "x"], needs) == ("a", "b")
    assert critical_path(needs, {"x": s(9)}) == ("a",)
    assert schedule(needs, {"x": s(9)}) == {"a": (ZERO, ZERO), "b": (ZERO, ZERO)}


def test_a_graph_may_be_deep() -> None:
    line = {number: frozenset({number + 1}) for number in range(DEEP)}
    ring = line | {DEEP: frozenset({0})}

    assert find_cycle(line) == ()
    assert find_cycle(ring) == (*range(DEEP + 1), 0)
    assert len(layers(line)) == DEEP
    assert closure([0], line) == tuple(reversed(range(DEEP)))
    assert len(critical_path(line, dict.fromkeys(line, s(1)))) == DEEP


def test_a_name_that_many_ways_lead_to_is_looked_at_once() -> None:
    ladder = {
        (rung, side): frozenset({(rung + 1, "left"), (rung + 1, "right")})
        for rung in range(100)
        for side in ("left", "right")
    }

    assert find_cycle(ladder) == ()
    assert len(closure([(0, "left")], ladder)) == len(ladder) - 1
    assert len(critical_path(ladder, {})) == 100


@given(any_graphs)
def test_a_circle_is_found_where_there_is_one_and_only_there(needs: Graph) -> None:
    found = find_cycle(needs)

    assert bool(found) is not nx.is_directed_acyclic_graph(in_networkx(needs))
    assert all(after in needs[before] for before, after in pairwise(found))
    assert found[:1] == found[-1:]
    assert len(set(found)) == max(0, len(found) - 1)
    assert min(found, default="") == "".join(found[:1])
    assert find_cycle(dict(sorted(needs.items(), reverse=True))) == found


@given(any_graphs.filter(lambda needs: bool(find_cycle(needs))), some_lengths)
def test_what_needs_an_order_refuses_a_circle_and_tells_it(
    needs: Graph, lengths: Mapping[str, timedelta]
) -> None:
    circle = find_cycle(needs)

    for refusing in (
        lambda: layers(needs),
        lambda: closure(needs, needs),
        lambda: schedule(needs, lengths),
        lambda: critical_path(needs, lengths),
    ):
        with pytest.raises(CircularNeedsError) as refused:
            refusing()
        assert refused.value.circle == circle
        assert f"wait for each other: {' -> '.join(circle)};" in str(refused.value)


def test_layers_name_what_may_run_at_the_same_time_in_the_order_of_the_mapping() -> None:
    needs = graph("z: d:bc c:a b:a a: e:da")

    assert layers(needs) == (("z", "a"), ("c", "b"), ("d",), ("e",))
    assert layers({}) == ()


@given(acyclic_graphs())
def test_layers_hold_every_name_once_as_early_as_its_needs_allow(needs: Graph) -> None:
    found = layers(needs)

    order = list(needs)
    layer = {name: number for number, names in enumerate(found) for name in names}
    assert sorted(chain(*found)) == sorted(needs)
    assert all(list(names) == sorted(names, key=order.index) for names in found)
    for name in needs:
        assert layer[name] == max((layer[need] + 1 for need in known(needs, name)), default=0)
    assert [set(names) for names in found] == [
        set(names) for names in nx.topological_generations(in_networkx(needs))
    ]


def test_a_closure_minds_no_circle_that_is_not_needed() -> None:
    needs = graph("a:b b: c:d d:c")

    assert closure("a", needs) == ("b", "a")
    with pytest.raises(CircularNeedsError):
        closure("c", needs)


@given(acyclic_graphs(), st.lists(st.sampled_from(NAMES)))
def test_a_closure_holds_all_that_is_needed_in_an_order_that_is_always_the_same(
    needs: Graph, wanted: list[str]
) -> None:
    found = closure(wanted, needs)

    above = in_networkx(needs)
    here = [name for name in wanted if name in needs]
    assert set(found) == set(here).union(*(nx.ancestors(above, name) for name in here))
    assert len(found) == len(set(found))
    assert all(
        found.index(need) < found.index(name) for name in found for need in known(needs, name)
    )
    assert found == tuple(name for name in closure(needs, needs) if name in found)


def test_a_schedule_starts_each_name_when_the_last_of_its_needs_ends() -> None:
    needs = graph("d:bc c:a b:a a: e:")
    lengths = {"a": s(1), "b": s(2), "c": s(5), "d": s(1)}

    assert schedule(needs, lengths) == {
        "d": (s(6), s(7)),
        "c": (s(1), s(6)),
        "b": (s(1), s(3)),
        "a": (s(0), s(1)),
        "e": (s(0), s(0)),
    }
    assert list(schedule(needs, lengths)) == list(needs)
    assert critical_path(needs, lengths) == ("a", "c", "d")


def test_of_chains_of_the_same_length_the_names_that_come_first_are_taken_from_the_end_on() -> None:
    same = dict.fromkeys(NAMES, s(1))

    assert critical_path(graph("a: c: b: d:ab e:cb f:"), same) == ("a", "d")
    assert critical_path(graph("e:cb b: c: d:cb"), same) == ("b", "e")
    assert critical_path(graph("a: b:a"), {}) == ("a",)
    assert critical_path({}, {}) == ()


@given(acyclic_graphs(), some_lengths)
def test_the_critical_path_is_as_long_as_the_longest_of_all_chains(
    needs: Graph, lengths: Mapping[str, timedelta]
) -> None:
    found = critical_path(needs, lengths)

    def length(names: tuple[str, ...]) -> timedelta:
        return sum((lengths.get(name, ZERO) for name in names), ZERO)

    spans = schedule(needs, lengths)
    every = list(chains(needs))
    assert found in [*every, *([()] if not needs else [])]
    assert length(found) == max(map(length, every), default=ZERO)
    for name, (start, end) in spans.items():
        before = (length(path[:-1]) for path in every if path[-1] == name)
        assert (start, end - start) == (max(before), lengths.get(name, ZERO))


def test_what_ends_makes_room_for_what_starts() -> None:
    spans = {
        "late": (s(2), s(4)),
        "long": (s(0), s(3)),
        "short": (s(0), s(2)),
        "last": (s(3), s(5)),
    }

    assert lanes(spans) == {"late": 1, "long": 0, "short": 1, "last": 0}
    assert list(lanes(spans)) == list(spans)
    assert lanes({}) == {}


def test_what_takes_no_time_has_a_place_of_its_own_where_it_starts() -> None:
    assert lanes({"a": (s(1), s(1)), "b": (s(1), s(2)), "c": (s(1), s(1)), "d": (s(2), s(2))}) == {
        "a": 0,
        "b": 1,
        "c": 2,
        "d": 0,
    }


@given(some_spans())
def test_no_two_that_overlap_share_a_lane_and_there_are_no_more_than_overlap_at_once(
    spans: Mapping[str, Span],
) -> None:
    found = lanes(spans)

    for one, other in ((a, b) for a in spans for b in spans if a < b):
        assert found[one] != found[other] or not overlap(spans[one], spans[other])
    at_once = (
        sum(here == start or here < start < end for here, end in spans.values())
        for start, _ in spans.values()
    )
    assert sorted(set(found.values())) == list(range(max(at_once, default=0)))
