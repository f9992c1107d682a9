"""Who waits for whom, as a graph: circles, layers, the longest chain, and lanes to draw it in.

A graph is a mapping from each name to the names that it needs, ``needs[a] == {b}`` saying that a
waits for b. Its keys are all that it has: a needed name that is no key is passed over as though it
were not mentioned, and appears in no result. Whoever must refuse unknown names does so before.

Every answer hangs on the mapping alone, and on its order only where that is said; the order in
which a set happens to yield its members never shows. All functions here take time in proportion to
the names and needs, but for sorting, and none is limited by how deep the graph is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import chain
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from test_coordination.domain.errors import CoordinationError


class Name(Hashable, Protocol):
    """What may stand for a node: a text, a number, or a tuple of such."""

    def __lt__(self, other: Any, /) -> bool:
        """Tell which of two names comes first."""
        ...


N = TypeVar("N", bound=Name)
Span: TypeAlias = tuple[timedelta, timedelta]
"""Start and end, both counted from the moment at which the first name starts."""


@dataclass(eq=False, kw_only=True)
class CircularNeedsError(CoordinationError):
    """Names wait for each other; ``circle`` is one such circle, its first name repeated at the end.

    It is the circle that `find_cycle` finds.
    """

    code: ClassVar[str] = "graph.circle"

    circle: tuple[Name, ...]

    def __str__(self) -> str:
        whole = " -> ".join(str(name) for name in self.circle)
        return f"these wait for each other: {whole}; take one of the needs away"


def find_cycle(needs: Mapping[N, AbstractSet[N]]) -> tuple[N, ...]:
    """Return one circle in the order in which its names wait, or nothing if there is none.

    The circle begins with the smallest of its names, which is repeated at the end:
    ``a -> b -> a`` says that a waits for b. Of several circles it is the first that is met on the
    way from the smallest name through smaller needs before larger ones.
    """
    done: set[N] = set()
    for start in sorted(needs):
        if start in done:
            continue
        path = {start: iter(_sorted_needs(start, needs))}
        while path:
            for need in path[next(reversed(path))]:
                if need in path:
                    return _circle(path, need)
                if need not in done:
                    path[need] = iter(_sorted_needs(need, needs))
                    break
            else:
                done.add(path.popitem()[0])
    return ()


def _sorted_needs(name: N, needs: Mapping[N, AbstractSet[N]]) -> list[N]:
    return sorted(need for need in needs[name] if need in needs)


def _circle(path: Iterable[N], closing: N) -> tuple[N, ...]:
    names = tuple(path)
    circle = names[names.index(closing) :]
    first = circle.index(min(circle))
    return (*circle[first:], *circle[: first + 1])


def layers(needs: Mapping[N, AbstractSet[N]]) -> tuple[tuple[N, ...], ...]:
    """Return the names in layers: a name stands one layer after the last of those that it needs.

    So the names of a layer may run at the same time, and there are as few layers as can be. Inside
    a layer names keep the order of the mapping.

    Raises:
        CircularNeedsError: names wait for each other.
    """
    sorter = TopologicalSorter({name: needs[name] & needs.keys() for name in needs})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = find_cycle(needs)
        raise CircularNeedsError(circle=circle) from error
    place = {name: ordinal for ordinal, name in enumerate(needs)}
    found = []
    while ready := sorter.get_ready():
        found.append(tuple(sorted(ready, key=place.__getitem__)))
        sorter.done(*ready)
    return tuple(found)


def closure(wanted: Iterable[N], needs: Mapping[N, AbstractSet[N]]) -> tuple[N, ...]:
    """Return ``wanted`` and all that they need, however far, each name after those that it needs.

    The order is that of `layers`, one after the other. It is the same whatever is wanted: of two
    closures that hold the same two names, both hold them in the same order.

    Raises:
        CircularNeedsError: some of these names wait for each other; circles elsewhere do not count.
    """
    reached: set[N] = set()
    rest = [name for name in wanted if name in needs]
    while rest:
        name = rest.pop()
        if name not in reached:
            reached.add(name)
            rest.extend(needs[name] & needs.keys())
    return tuple(chain(*layers({name: needs[name] for name in needs if name in reached})))


def schedule(needs: Mapping[N, AbstractSet[N]], lengths: Mapping[N, timedelta]) -> Mapping[N, Span]:
    """Return when each name starts and ends at the earliest, in the order of ``needs``.

    A name starts when the last of those that it needs ends, at zero if it needs none. Lengths are
    never negative; a name without one takes no time.

    Raises:
        CircularNeedsError: names wait for each other.
    """
    ends: dict[N, timedelta] = {}
    spans: dict[N, Span] = {}
    for name in chain(*layers(needs)):
        start = max((ends[need] for need in needs[name] if need in ends), default=timedelta(0))
        ends[name] = start + lengths.get(name, timedelta(0))
        spans[name] = start, ends[name]
    return {name: spans[name] for name in needs}


def critical_path(
    needs: Mapping[N, AbstractSet[N]], lengths: Mapping[N, timedelta]
) -> tuple[N, ...]:
    """Return a longest chain in the order in which it runs, from a name that needs no other.

    Its lengths add up to the end of the whole `schedule`. Of names that would do as well as each
    other the first in the mapping is taken, beginning with the last of the chain.

    Raises:
        CircularNeedsError: names wait for each other.
    """
    spans = schedule(needs, lengths)
    place = {name: ordinal for ordinal, name in enumerate(needs)}

    def latest(names: Iterable[N]) -> N | None:
        return min(names, key=lambda name: (-spans[name][1], place[name]), default=None)

    path: list[N] = []
    last = latest(needs)
    while last is not None:
        path.append(last)
        last = latest(needs[last] & needs.keys())
    return tuple(reversed(path))


def lanes(spans: Mapping[N, Span]) -> Mapping[N, int]:
    """Return a lane for each name, counted from 0, so that no two that overlap share one.

    There are as few lanes as can be. One name may start in a lane at the moment at which another
    ends there, but two that start together never share one, even if they take no time. Names take
    the lowest free lane in the order in which they start, then in the order of the mapping, which
    the result keeps.
    """
    found: dict[N, int] = {}
    free: list[int] = []
    busy: list[tuple[timedelta, bool, int]] = []
    for name, (start, end) in sorted(spans.items(), key=lambda item: item[1][0]):
        while busy and busy[0][:2] <= (start, False):
            heappush(free, heappop(busy)[2])
        found[name] = heappop(free) if free else len(busy)
        heappush(busy, (end, end == start, found[name]))
    return {name: found[name] for name in spans}
