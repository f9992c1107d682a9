"""How fast 10,000 scenarios with 50,000 needs are put in order, against graph libraries.

    python benchmarks/dependencies.py

Asked of each on the same graph, by turns, in one run: the circle if there is one, the layers, all
that 100 wanted scenarios need in an order to run them in, and the longest chain. What the three
answer is compared first. The peers find their graphs ready; what it takes to make them of the
mapping that ours works on is told apart. One graph has no circle; the other has a single one, long,
somewhere in the middle, and there only the circle is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import chain, pairwise
from random import Random
from statistics import median
from typing import Any, TypeAlias, cast

import networkx as nx
import rustworkx as rx

from test_coordination.domain.graph import closure, critical_path, find_cycle, layers

SCENARIOS = 10_000
NEEDS = 50_000
WANTED = 100
RING = 1_000
REPETITIONS = 9
SEED = 20_260_101

Graph: TypeAlias = Mapping[str, frozenset[str]]
Lengths: TypeAlias = Mapping[str, timedelta]
Digraph: TypeAlias = "rx.PyDiGraph[str, float]"
Answer: TypeAlias = tuple[list[set[str]], list[str], list[str]]
START, END = "(start)", "(end)"


def scenarios(*, ring: int, chance: Random) -> Graph:
    """Return exactly `NEEDS` needs, among them a circle of ``ring`` names and no other."""
    names = [f"scenario-{number:05}" for number in range(SCENARIOS)]
    chance.shuffle(names)
    first = (SCENARIOS - ring) // 2
    circle = names[first : first + ring]
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, needed in pairwise([*circle, *circle[:1]]):
        found[name].add(needed)
    left = NEEDS - ring
    while left:
        place = chance.randrange(1, SCENARIOS)
        end = first if first <= place < first + ring else place
        needed = names[chance.randrange(end)]
        if needed not in found[names[place]]:
            found[names[place]].add(needed)
            left -= 1
    return {name: frozenset(found[name]) for name in sorted(found)}


def edges(
    needs: Graph, wanted: Iterable[str], lengths: Lengths
) -> Iterable[tuple[str, str, float]]:
    """Yield what the peers' graphs are made of: need, name, and the name's length in seconds.

    The start leads to all that needs nothing, so that the first length of a chain counts as well;
    what is wanted leads to the end, so that one search finds all that it needs.
    """
    for name, needed in needs.items():
        for need in needed or (START,):
            yield need, name, lengths[name].total_seconds()
    for name in wanted:
        yield name, END, 0.0


def in_networkx(needs: Graph, wanted: Iterable[str], lengths: Lengths) -> nx.DiGraph[str]:
    """Return the graph as networkx holds it."""
    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_weighted_edges_from(edges(needs, wanted, lengths))
    return found


def in_rustworkx(needs: Graph, wanted: Iterable[str], lengths: Lengths) -> Digraph:
    """Return the graph as rustworkx holds it."""
    found: Digraph = rx.PyDiGraph()
    names = [*needs, START, END]
    place = dict(zip(names, found.add_nodes_from(names), strict=True))
    every = edges(needs, wanted, lengths)
    found.add_edges_from([(place[need], place[name], length) for need, name, length in every])
    return found


def by_us(needs: Graph, wanted: Iterable[str], lengths: Lengths) -> Answer:
    """Resolve with the functions that the coordinator uses."""
    assert not find_cycle(needs)
    layered = [set(names) for names in layers(needs)]
    return layered, list(closure(wanted, needs)), list(critical_path(needs, lengths))


def by_networkx(graph: nx.DiGraph[str]) -> Answer:
    """Resolve with networkx."""
    assert not networkx_circle(graph)
    layered = [set(names) for names in nx.topological_generations(graph)]
    needed = nx.ancestors(graph, END)
    ordered = [name for name in chain(*layered) if name in needed]
    return layered, ordered, cast("list[str]", nx.dag_longest_path(graph))


def by_rustworkx(graph: Digraph) -> Answer:
    """Resolve with rustworkx, which answers in numbers."""
    assert not rx.digraph_find_cycle(graph)
    numbered = rx.topological_generations(graph)
    needed = rx.ancestors(graph, graph.node_indices()[-1])
    ordered = [graph[number] for number in chain(*numbered) if number in needed]
    path = rx.dag_weighted_longest_path(graph, lambda _source, _target, length: length)
    layered = [{graph[number] for number in numbers} for numbers in numbered]
    return layered, ordered, [graph[number] for number in path]


def networkx_circle(graph: nx.DiGraph[str]) -> list[Any]:
    """Return a circle's edges, or nothing."""
    try:
        return list(nx.find_cycle(graph))
    except nx.NetworkXNoCycle:
        return []


def agree(ours: Answer, theirs: Answer, *, lengths: Lengths) -> bool:
    """Tell whether two answers say the same; of chains only the length must be the same."""
    added = {START, END}

    def length(path: Iterable[str]) -> timedelta:
        return sum((lengths[name] for name in path if name not in added), timedelta(0))

    layered = [names - added for names in theirs[0]]
    return (
        ours[0] == [names for names in layered if names]
        and set(ours[1]) == set(theirs[1]) - added
        and length(ours[2]) == length(theirs[2])
    )


def measure(title: str, works: Mapping[str, Callable[[], object]]) -> None:
    """Do each work by turns, and print how long each took, and the first one's ratio to it."""
    took_ms: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPETITIONS):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            took_ms[name].append((time.perf_counter() - start) * 1000)
    print(title)
    ours = next(iter(took_ms.values()))
    for name, seen in took_ms.items():
        ratios = [one / other for one, other in zip(ours, seen, strict=True)]
        print(
            f"  {name:26} median {median(seen):8.1f} ms   {min(seen):.1f} - {max(seen):.1f}"
            f"   ratio {median(ratios):6.2f}   {min(ratios):.2f} - {max(ratios):.2f}"
        )


def main() -> None:
    """Compare the answers, measure, and print."""
    chance = Random(SEED)
    needs = scenarios(ring=0, chance=chance)
    lengths = {name: timedelta(seconds=chance.randrange(1, 600)) for name in needs}
    wanted = chance.sample(sorted(needs), WANTED)
    ours = by_us(needs, wanted, lengths)
    networkx = in_networkx(needs, wanted, lengths)
    rustworkx = in_rustworkx(needs, wanted, lengths)
    assert agree(ours, by_networkx(networkx), lengths=lengths)
    assert agree(ours, by_rustworkx(rustworkx), lengths=lengths)
    print(f"{len(needs)} scenarios, {sum(map(len, needs.values()))} needs, {len(ours[0])} layers,")
    print(f"{len(ours[1])} needed by {WANTED} wanted, {len(ours[2])} in the longest chain")
    measure(
        "resolve",
        {
            "ours": lambda: by_us(needs, wanted, lengths),
            "networkx": lambda: by_networkx(networkx),
            "rustworkx": lambda: by_rustworkx(rustworkx),
            "networkx, graph made first": lambda: by_networkx(in_networkx(needs, wanted, lengths)),
            "rustworkx, graph made first": lambda: by_rustworkx(
                in_rustworkx(needs, wanted, lengths)
            ),
        },
    )
    ringed = scenarios(ring=RING, chance=chance)
    networkx = in_networkx(ringed, (), lengths)
    rustworkx = in_rustworkx(ringed, (), lengths)
    assert len(find_cycle(ringed)) - 1 == RING
    assert len(networkx_circle(networkx)) == len(rx.digraph_find_cycle(rustworkx)) == RING
    measure(
        f"find the one circle, {RING} long",
        {
            "ours": lambda: find_cycle(ringed),
            "networkx": lambda: networkx_circle(networkx),
            "rustworkx": lambda: rx.digraph_find_cycle(rustworkx),
        },
    )


if __name__ == "__main__":
    main()
