"""Entries that are inherited and moved: beside others, into groups and out of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from support.compose_scene import sentences, told, whole
from test_coordination.adapters.documents.composition.merge import Merger
from test_coordination.adapters.documents.reader import read
from test_coordination.domain.errors import Mark

BASE = """\
    template: base
    version: 1
    steps:
      - {id: a, wait: 1s}
      - {id: b, wait: 2s}
      - id: both
        parallel:
          - {id: left, wait: 3s}
          - {id: right, wait: 4s}
      - {id: c, wait: 5s}
"""
NESTED = """[
    {id: a}, {id: b}, {id: f},
    {id: g, parallel: [{id: c}, {id: h, sequence: [{id: d}, {id: e}]}]},
]"""
HEAD = "scenario: main\nversion: 1\nextends: base\n"


def shape(entries: list[dict[str, Any]]) -> str:
    """Return the ids of a list in their order, those in a group in brackets behind its own."""
    words = []
    for entry in entries:
        inner = entry.get("parallel") or entry.get("sequence")
        words.append(f"{entry['id']}[{shape(inner)}]" if inner else str(entry["id"]))
    return " ".join(words)


def laid(said: str) -> str:
    return shape(whole(f"{HEAD}steps: {said}\n", BASE)["steps"])


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ("[{id: c, after: a}]", "a c b both[left right]"),
        ("[{id: c, before: a}]", "c a b both[left right]"),
        ("[{id: a, after: c}]", "b both[left right] c a"),
        ("[{id: both, before: a}]", "both[left right] a b c"),
        ("[{id: c, after: left}]", "a b both[left c right]"),
        ("[{id: left, after: c}]", "a b both[right] c left"),
        ("[{id: left, after: right}]", "a b both[right left] c"),
        ("[{id: both, parallel: [{id: right, before: left}]}]", "a b both[right left] c"),
        ("[{id: a, after: both}, {id: b, after: a}]", "both[left right] a b c"),
        ("[{id: b, after: a}, {id: a, after: both}]", "both[left right] a b c"),
        ("[{id: b, after: c}, {id: a, after: c}]", "both[left right] c b a"),
        ("[{id: b, before: c}, {id: a, before: c}]", "both[left right] b a c"),
        ("[{id: n, wait: 1s, after: c}, {id: c, before: a}]", "c n a b both[left right]"),
        ("[{id: n, wait: 1s, after: a}, {id: c, after: n}]", "a n c b both[left right]"),
        ("{remove: [b], items: [{id: c, after: a}]}", "a c both[left right]"),
        ("[{id: both, title: x}, {id: left, after: a}]", "a left b both[right] c"),
        ("[{id: left, after: a}, {id: both, title: x}]", "a left b both[right] c"),
        ("[{id: c, after: left}, {id: both, before: a}]", "both[left c right] a b"),
    ],
)  # fmt: skip
def test_an_inherited_entry_is_moved_to_where_it_says(said: str, order: str) -> None:
    assert laid(said) == order


def test_what_is_moved_is_merged_and_the_words_for_it_are_gone() -> None:
    tree = whole(f"{HEAD}steps: [{{id: c, after: a, title: Last}}]\n", BASE)

    assert tree["steps"][1] == {"id": "c", "wait": "5s", "title": "Last"}


def test_what_is_moved_can_become_another_step() -> None:
    tree = whole(
        f"{HEAD}steps:\n"
        "  - {id: c, after: a, replace: true, expect: 'true'}\n"
        "  - {id: b, before: a, fault: x}\n",
        BASE,
    )

    assert tree["steps"][0] == {"id": "b", "fault": "x"}
    assert tree["steps"][2] == {"id": "c", "expect": "true"}


def test_steps_of_two_parents_are_brought_into_one_order() -> None:
    other = "template: other\nversion: 1\nsteps: [{id: x, wait: 1s}, {id: y, wait: 1s}]\n"
    tree = whole(
        "scenario: main\nversion: 1\nextends: [base, other]\n"
        "steps: [{id: x, after: a}, {id: y, after: x}]\n",
        BASE,
        other,
    )

    assert shape(tree["steps"]) == "a x y b both[left right] c"


def test_what_is_moved_keeps_the_places_at_which_it_was_written() -> None:
    steps = whole(f"{HEAD}steps: [{{id: c, after: a, title: Last}}]\n", BASE)["steps"]

    assert steps.marks[1] == Mark("main.yaml", 4, 9)
    assert steps[1].value_marks["title"] == Mark("main.yaml", 4, 34)
    assert steps[1].value_marks["wait"].file == "base.yaml"


def test_what_is_moved_leaves_the_parent_as_it_was() -> None:
    base = read("steps: [{id: a}, {id: g, parallel: [{id: b}]}]", file="base.yaml")
    patch = read("steps: [{id: a, after: b}, {id: g, title: x}]", file="patch.yaml")

    found = Merger().document(base, patch)

    assert shape(found["steps"]) == "g[b a]"
    assert shape(base["steps"]) == "a g[b]"


@pytest.mark.parametrize(
    ("said", "mistakes"),
    [
        ("[{id: a, after: a}]", ["main.yaml:4:24 scenario.bad_word"]),
        ("[{id: a, after: nobody}]", ["main.yaml:4:24 scenario.unknown_id"]),
        ("[{id: a, after: 1}]", ["main.yaml:4:24 scenario.wrong_type"]),
        ("[{id: a, after: b, before: c}]", ["main.yaml:4:27 scenario.bad_word"]),
        ("[{id: a, after: later}, {id: later, wait: 1s}]", ["main.yaml:4:24 scenario.unknown_id"]),
        ("[{id: both, parallel: [{id: left, after: a}]}]", ["main.yaml:4:49 scenario.unknown_id"]),
    ],
)
def test_a_place_that_there_is_not_is_refused(said: str, mistakes: list[str]) -> None:
    assert told(f"{HEAD}steps: {said}\n", BASE) == mistakes


@pytest.mark.parametrize(
    ("said", "circle"),
    [
        ("[{id: a, after: b}, {id: b, after: a}]", "a -> b -> a"),
        ("[{id: both, after: left}]", "both -> both"),
        ("[{id: a, after: left}, {id: both, after: a}]", "a -> both -> a"),
        ("[{id: n, wait: 1s, after: a}, {id: a, after: n}]", "n -> a -> n"),
        ("[{id: n, wait: 1s, after: a}, {id: a, after: b}, {id: b, before: a}]", "a -> b -> a"),
    ],
)
def test_entries_that_are_placed_beside_each_other_are_refused_as_a_circle(
    said: str, circle: str
) -> None:
    (sentence,) = sentences(f"{HEAD}steps: {said}\n", BASE)

    assert f": {circle}; " in sentence


def test_however_entries_are_moved_each_is_there_once_or_the_circle_is_told() -> None:
    chance = random.Random(7)
    for _ in range(2_000):
        tree, problems = _moved(chance)
        names = sorted(_ids(tree))

        assert names == list("abcdefgh")
        assert all(problem.code == "scenario.cycle" for problem in problems)


def _moved(chance: random.Random) -> tuple[Any, Any]:
    moves = []
    for name in chance.sample("abcdefgh", chance.randint(1, 5)):
        anchor = chance.choice([other for other in "abcdefgh" if other != name])
        word = chance.choice(["before", "after", "title"])
        moves.append(f"{{id: {name}, {word}: {anchor}}}")
    merger = Merger()
    patch = read(f"steps: [{', '.join(moves)}]", file="patch.yaml")
    found = merger.document(read(f"steps: {NESTED}", file="base.yaml"), patch)
    return found["steps"], merger.problems


def _ids(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield entry["id"]
        for key in ("parallel", "sequence"):
            yield from _ids(entry.get(key, []))


def test_many_entries_are_moved_in_time_that_grows_with_them() -> None:
    count = 5_000
    base = read(f"steps: [{', '.join(f'{{id: a{n}}}' for n in range(count))}]", file="base.yaml")
    moves = ", ".join(f"{{id: a{n}, after: a{n + 1}}}" for n in range(0, count - 1, 2))
    patch = read(f"steps: [{moves}]", file="patch.yaml")

    began = perf_counter()
    found = Merger().document(base, patch)
    took_s = perf_counter() - began

    assert [entry["id"] for entry in found["steps"][:4]] == ["a1", "a0", "a3", "a2"]
    assert took_s < 2
