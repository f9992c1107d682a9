"""A document laid over what it extends: maps by key, lists by id, everything with its place."""

from __future__ import annotations

from textwrap import dedent
from time import perf_counter

import pytest

from support.compose_scene import composed, sentences, told, whole
from test_coordination.adapters.documents.composition.explain import explain
from test_coordination.adapters.documents.composition.merge import Merger
from test_coordination.adapters.documents.reader import read
from test_coordination.domain.errors import Mark

BASE = """\
    template: base
    version: 1
    title: A service restarts
    tags: [restart, slow]
    probes:
      latency: {http: "GET http://a/", every: 1s}
      lost: {sql: {target: db, query: select 1}}
    steps:
      - id: load
        action: http.post
        with: {url: http://a/, json: {rate: 5, mode: fast}}
      - id: both
        parallel:
          - {id: left, wait: 1s}
          - {id: right, wait: 2s}
      - wait: 3s
    timeout: 1m
"""
HEAD = "scenario: main\nversion: 1\nextends: base\n"


def ids(entries: list[dict[str, object]]) -> list[object]:
    return [entry.get("id") for entry in entries]


def test_what_the_child_leaves_out_is_inherited_and_what_it_says_wins() -> None:
    tree = whole(f"{HEAD}timeout: 2m\nowner: trading\n", BASE)

    assert list(tree)[:2] == ["scenario", "version"]
    assert (tree["title"], tree["timeout"], tree["owner"]) == (
        "A service restarts",
        "2m",
        "trading",
    )
    assert "extends" not in tree
    assert "template" not in tree


def test_maps_merge_by_key_down_to_the_last_one() -> None:
    tree = whole(f"{HEAD}steps:\n  - {{id: load, with: {{json: {{rate: 9}}}}}}\n", BASE)

    assert tree["steps"][0]["with"] == {"url": "http://a/", "json": {"rate": 9, "mode": "fast"}}
    assert tree["steps"][0]["action"] == "http.post"


def test_replace_leaves_nothing_of_what_the_parent_has_in_a_map() -> None:
    tree = whole(
        f"{HEAD}steps:\n  - {{id: load, with: {{json: {{replace: true, rate: 9}}}}}}\n", BASE
    )

    assert tree["steps"][0]["with"] == {"url": "http://a/", "json": {"rate": 9}}


def test_replace_leaves_nothing_of_an_entry_but_its_place() -> None:
    tree = whole(f"{HEAD}steps:\n  - {{id: load, replace: true, wait: 9s}}\n", BASE)

    assert tree["steps"][0] == {"id": "load", "wait": "9s"}


def test_where_there_is_nothing_to_replace_the_word_is_the_authors() -> None:
    tree = whole(f"{HEAD}steps:\n  - {{action: a.b, with: {{json: {{replace: true}}}}}}\n", BASE)

    assert tree["steps"][-1]["with"] == {"json": {"replace": True}}


def test_an_entry_is_merged_in_its_place_and_a_new_one_is_appended() -> None:
    tree = whole(
        f"{HEAD}steps:\n  - {{id: new, wait: 9s}}\n  - {{id: load, title: Load}}\n  - wait: 8s\n",
        BASE,
    )

    assert ids(tree["steps"]) == ["load", "both", None, "new", None]
    assert tree["steps"][0]["title"] == "Load"


def test_an_entry_that_names_another_kind_takes_the_place_of_the_whole() -> None:
    tree = whole(f"{HEAD}steps:\n  - {{id: load, fault: service.stop, target: a}}\n", BASE)

    assert tree["steps"][0] == {"id": "load", "fault": "service.stop", "target": "a"}


def test_a_step_in_the_background_is_of_the_kind_that_it_holds() -> None:
    same = whole(
        f"{HEAD}steps:\n  - {{id: load, background: {{action: a.b, with: {{x: 1}}}}}}\n", BASE
    )
    other = whole(f"{HEAD}steps:\n  - {{id: load, background: {{probe: {{http: x}}}}}}\n", BASE)

    assert same["steps"][0] == {
        "id": "load",
        "action": "a.b",
        "with": {"url": "http://a/", "json": {"rate": 5, "mode": "fast"}, "x": 1},
        "background": True,
    }
    assert other["steps"][0] == {"id": "load", "background": True, "probe": {"http": "x"}}


def test_two_steps_in_the_background_merge_as_they_are_written() -> None:
    base = (
        "template: b\nversion: 1\nsteps: [{id: x, background: {action: a, with: {p: 1, q: 2}}}]\n"
    )

    tree = whole(
        "scenario: main\nversion: 1\nextends: b\nsteps: [{id: x, background: {with: {q: 3}}}]\n",
        base,
    )

    assert tree["steps"] == [{"id": "x", "background": {"action": "a", "with": {"p": 1, "q": 3}}}]


def test_the_lists_of_groups_merge_by_id_too() -> None:
    tree = whole(
        f"{HEAD}steps:\n"
        "  - id: both\n"
        "    parallel: [{id: right, wait: 5s}, {id: third, wait: 6s}]\n",
        BASE,
    )

    assert [(step["id"], step["wait"]) for step in tree["steps"][1]["parallel"]] == [
        ("left", "1s"),
        ("right", "5s"),
        ("third", "6s"),
    ]


def test_a_step_inside_a_group_is_reached_by_its_id_alone() -> None:
    tree = whole(
        f"{HEAD}steps:\n"
        "  - {id: left, wait: 7s}\n"
        "  - {id: first, wait: 8s, before: left}\n"
        "  - {id: last, wait: 9s, after: right}\n",
        BASE,
    )

    assert ids(tree["steps"]) == ["load", "both", None]
    assert ids(tree["steps"][1]["parallel"]) == ["first", "left", "right", "last"]
    assert tree["steps"][1]["parallel"][1]["wait"] == "7s"


def test_new_entries_are_placed_beside_others_in_the_order_in_which_they_are_written() -> None:
    tree = whole(
        f"{HEAD}steps:\n"
        "  - {id: a, wait: 1s, before: load}\n"
        "  - {id: b, wait: 1s, before: load}\n"
        "  - {id: c, wait: 1s, after: load}\n"
        "  - {id: d, wait: 1s, after: load}\n"
        "  - {id: e, wait: 1s, after: c}\n",
        BASE,
    )

    assert ids(tree["steps"]) == ["a", "b", "load", "c", "e", "d", "both", None]
    assert all("before" not in step and "after" not in step for step in tree["steps"])


def test_a_list_is_pruned_and_prolonged_by_a_map() -> None:
    tree = whole(
        f"{HEAD}steps: {{remove: [load, left], items: [{{id: new, wait: 1s, before: both}}]}}\n",
        BASE,
    )

    assert ids(tree["steps"]) == ["new", "both", None]
    assert ids(tree["steps"][1]["parallel"]) == ["right"]


def test_a_list_is_replaced_by_a_map_that_says_so() -> None:
    tree = whole(f"{HEAD}steps: {{replace: true, items: [{{id: load, wait: 1s}}]}}\n", BASE)

    assert tree["steps"] == [{"id": "load", "wait": "1s"}]


def test_the_list_of_a_group_is_replaced_and_pruned_the_same_way() -> None:
    pruned = whole(f"{HEAD}steps: [{{id: both, parallel: {{remove: [left]}}}}]\n", BASE)
    replaced = whole(
        f"{HEAD}steps: [{{id: both, parallel: {{replace: true, items: [{{wait: 1s}}]}}}}]\n", BASE
    )

    assert ids(pruned["steps"][1]["parallel"]) == ["right"]
    assert replaced["steps"][1]["parallel"] == [{"wait": "1s"}]


@pytest.mark.parametrize(
    "key", ["steady_state", "preconditions", "postconditions", "stop_when", "on_failure"]
)
def test_every_list_of_things_with_ids_merges_by_them(key: str) -> None:
    base = f"template: base\nversion: 1\n{key}: [{{id: a, title: A, hold: 1s}}, {{id: b}}]\n"

    tree = whole(f"{HEAD}{key}: [{{id: c}}, {{id: a, hold: 2s}}]\n", base)

    assert tree[key] == [{"id": "a", "title": "A", "hold": "2s"}, {"id": "b"}, {"id": "c"}]


def test_probes_merge_by_name_and_are_removed_by_it() -> None:
    tree = whole(f"{HEAD}probes: {{remove: [lost], latency: {{every: 5s}}, new: {{p: q}}}}\n", BASE)

    assert tree["probes"] == {
        "latency": {"http": "GET http://a/", "every": "5s"},
        "new": {"p": "q"},
    }


def test_a_probe_of_another_kind_is_another_probe() -> None:
    tree = whole(f"{HEAD}probes: {{latency: {{process: exchange}}}}\n", BASE)

    assert tree["probes"]["latency"] == {"process": "exchange"}


def test_all_probes_are_replaced_at_once_where_that_is_said() -> None:
    tree = whole(f"{HEAD}probes: {{replace: true, new: {{p: q}}}}\n", BASE)

    assert tree["probes"] == {"new": {"p": "q"}}


def test_other_lists_are_replaced_as_a_whole() -> None:
    base = "template: base\nversion: 1\ndepends_on: [{scenario: a}]\nresources: {shared: [a, b]}\n"

    tree = whole(f"{HEAD}depends_on: [{{scenario: b}}]\nresources: {{shared: [c]}}\n", base)

    assert tree["depends_on"] == [{"scenario": "b"}]
    assert tree["resources"] == {"shared": ["c"]}


def test_tags_are_united_parents_first_and_none_twice() -> None:
    assert whole(f"{HEAD}tags: [trading, slow]\n", BASE)["tags"] == ["restart", "slow", "trading"]


def test_what_is_merged_leaves_its_sources_as_they_were() -> None:
    base = read(dedent(BASE), file="base.yaml")
    patch = read(
        f"{HEAD}steps: {{remove: [left, load], items: [{{id: right, wait: 9s}}]}}\n"
        "probes: {remove: [lost], latency: {every: 9s}}\ntags: [x]\n",
        file="main.yaml",
    )
    before = explain(base), explain(patch)

    tree = Merger().document(base, patch)

    assert tree["steps"][0]["parallel"] == [{"id": "right", "wait": "9s"}]
    assert (explain(base), explain(patch)) == before


def test_one_document_may_speak_of_a_group_and_of_steps_inside_it() -> None:
    tree = whole(
        f"{HEAD}steps:\n"
        "  - {id: new, wait: 4s, before: left}\n"
        "  - {id: left, wait: 5s}\n"
        "  - {id: both, parallel: [{id: right, wait: 6s}, {id: third, wait: 7s}]}\n"
        "  - {id: last, wait: 8s, after: third}\n",
        BASE,
    )

    assert [(step["id"], step["wait"]) for step in tree["steps"][1]["parallel"]] == [
        ("new", "4s"),
        ("left", "5s"),
        ("right", "6s"),
        ("third", "7s"),
        ("last", "8s"),
    ]


def test_what_was_put_into_a_group_is_in_it_once_though_the_group_is_changed_later() -> None:
    said = "[{id: new, wait: 4s, before: left}, {id: both, title: Both}]"

    tree = whole(f"{HEAD}steps: {said}\n", BASE)

    assert ids(tree["steps"][1]["parallel"]) == ["new", "left", "right"]


@pytest.mark.parametrize(
    "said",
    [
        "{remove: [both], items: [{wait: 1s, after: left}]}",
        "[{id: both, replace: true, wait: 1s}, {wait: 1s, after: left}]",
        "[{id: both, wait: 1s}, {wait: 1s, after: left}]",
    ],
)
def test_what_was_inside_a_group_that_is_gone_is_gone_too(said: str) -> None:
    (mistake,) = told(f"{HEAD}steps: {said}\n", BASE)

    assert mistake.endswith("scenario.unknown_id")


def test_an_id_that_went_with_its_group_is_free_for_a_new_entry() -> None:
    tree = whole(f"{HEAD}steps: [{{id: both, wait: 1s}}, {{id: left, wait: 2s}}]\n", BASE)

    assert ids(tree["steps"]) == ["load", "both", None, "left"]


def test_every_value_keeps_the_place_at_which_it_was_written() -> None:
    tree = whole(f"{HEAD}timeout: 2m\nsteps: [{{id: left, wait: 7s}}]\n", BASE)

    left = tree["steps"][1]["parallel"][0]
    assert tree.value_marks["title"] == Mark("base.yaml", 3, 8)
    assert tree.value_marks["timeout"] == Mark("main.yaml", 4, 10)
    assert left.value_marks["wait"] == Mark("main.yaml", 5, 26)
    assert left.mark == Mark("main.yaml", 5, 9)
    assert tree["steps"][0].value_marks["action"] == Mark("base.yaml", 10, 13)


def test_a_document_that_extends_nothing_stays_what_it_is() -> None:
    found = composed(BASE)

    assert list(found.tree) == [
        "template",
        "version",
        "title",
        "tags",
        "probes",
        "steps",
        "timeout",
    ]
    assert (found.parts, found.extends, found.problems) == ((), (), ())


@pytest.mark.parametrize(
    ("said", "mistakes"),
    [
        ("steps: {remove: [lod]}", ["main.yaml:4:18 scenario.unknown_id"]),
        ("steps: {remove: load}", ["main.yaml:4:17 scenario.wrong_type"]),
        ("steps: {remove: [1]}", ["main.yaml:4:17 scenario.wrong_type"]),
        ("steps: {replace: 1, items: []}", ["main.yaml:4:18 scenario.wrong_type"]),
        ("steps: {items: 1}", ["main.yaml:4:16 scenario.wrong_type"]),
        ("steps: {items: [], more: 1}", ["main.yaml:4:20 scenario.unknown_key"]),
        ("steps: {replace: true, remove: [load]}", ["main.yaml:4:24 scenario.bad_word"]),
        ("steps: [{id: lod, replace: true, wait: 1s}]", ["main.yaml:4:19 scenario.unknown_id"]),
        ("steps: [{id: load, replace: 1}]", ["main.yaml:4:29 scenario.wrong_type"]),
        ("steps: [{wait: 1s, after: bot}]", ["main.yaml:4:27 scenario.unknown_id"]),
        ("steps: [{wait: 1s, after: 1}]", ["main.yaml:4:27 scenario.wrong_type"]),
        ("steps: [{wait: 1s, after: load, before: load}]", ["main.yaml:4:33 scenario.bad_word"]),
        ("probes: {remove: [lots]}", ["main.yaml:4:19 scenario.unknown_id"]),
        ("probes: {remove: {http: x}}", ["main.yaml:4:18 scenario.wrong_type"]),
        ("probes: {replace: {http: x}}", ["main.yaml:4:19 scenario.wrong_type"]),
        ("parameters: {remove: [rate]}", ["main.yaml:4:23 scenario.unknown_id"]),
    ],
)  # fmt: skip
def test_words_of_inheritance_that_make_no_sense_are_refused(
    said: str, mistakes: list[str]
) -> None:
    assert told(f"{HEAD}{said}\n", BASE) == mistakes


def test_who_misspells_an_id_is_told_the_one_that_is_near() -> None:
    (said,) = sentences(f"{HEAD}steps: {{remove: [lod]}}\n", BASE)

    assert said.endswith("no entry 'lod' to be removed; did you mean 'load'?")


def test_the_same_id_twice_in_one_document_is_left_for_the_decoder_to_refuse() -> None:
    tree = whole(f"{HEAD}steps: [{{id: load, wait: 1s}}, {{id: load, wait: 2s}}]\n", BASE)

    assert ids(tree["steps"]) == ["load", "both", None, "load"]


def test_what_is_no_list_of_entries_is_left_for_the_decoder_to_refuse() -> None:
    tree = whole(f"{HEAD}steps: 5\nprobes: x\ntags: y\npreconditions: [z]\n", BASE)

    assert (tree["steps"], tree["probes"], tree["tags"]) == (5, "x", "y")
    assert tree["preconditions"] == ["z"]


def test_long_lists_are_merged_in_time_that_grows_with_them() -> None:
    count = 10_000
    base = ", ".join(f"{{id: a{n}}}" for n in range(count))
    patch = ", ".join(f"{{id: b{n}, before: a{n}}}" for n in range(count // 4))
    root = f"template: base\nversion: 1\nsteps: [{base}]\n"
    sources = [read(text, file="x.yaml") for text in (root, f"{HEAD}steps: [{patch}]\n")]
    began = perf_counter()

    tree = Merger().document(*sources)

    assert perf_counter() - began < 5
    assert ids(tree["steps"])[:4] == ["b0", "a0", "b1", "a1"]
