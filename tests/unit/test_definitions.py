"""What is known of a definition without running it: its digest, services, parts and changes."""

from __future__ import annotations

from collections.abc import Sequence

from support.engine_lab import Lab, document
from support.virtual_time import virtual
from test_coordination.application.definitions import Shelf, digest_of, heading, services_of
from test_coordination.application.differences import Change, differences
from test_coordination.application.gathering import Gathering, Loading
from test_coordination.domain.scenario import Definition, DocumentKind, Part, Scenario
from test_coordination.domain.steps import ScenarioStep

SCENARIO, TEMPLATE = DocumentKind.SCENARIO, DocumentKind.TEMPLATE


def read(text: str) -> Definition:
    return Lab().world().reader.read(text, file="d.yaml")


def changes(before: str, after: str) -> Sequence[Change]:
    return list(differences(read(before), read(after)))


def part(name: str, text: str = "", version: int | None = None) -> Part:
    return Part(name=name, file=f"{name}.yaml", text=text, version=version)


def test_a_digest_hangs_on_the_kind_the_text_and_what_each_part_says_and_not_on_their_order() -> (
    None
):
    parts = [("a", "1"), ("b", "2")]
    digest = digest_of(SCENARIO, "text", parts)

    assert digest == digest_of(SCENARIO, "text", parts[::-1])
    assert len(digest) == 64
    others = {
        digest_of(TEMPLATE, "text", parts),
        digest_of(SCENARIO, "text2", parts),
        digest_of(SCENARIO, "text", parts[:1]),
        digest_of(SCENARIO, "text", [("a", "1"), ("c", "2")]),
        digest_of(SCENARIO, "text", [("a", "1"), ("b", "3")]),
        digest_of(SCENARIO, "text", [("a", "2"), ("b", "1")]),
    }
    assert len(others | {digest}) == 7


def test_a_shelf_gives_the_file_before_any_version_and_the_newest_of_versions() -> None:
    old, new, file = part("a", "x", 2), part("a", "y", 10), part("a", "z")
    shelf = Shelf(parts=(old, new), known=("b", "a"))

    assert shelf.find("a") == new
    assert Shelf(parts=(old, file, new)).find("a") == file
    assert shelf.find("a", version=2) == old
    assert shelf.find("a", version=3) is None
    assert shelf.find("b") is None
    assert shelf.names() == ("a", "b")


def test_services_are_those_that_are_named_literally_each_once() -> None:
    text = document(
        """
parameters:
  one: {type: service, default: desk}
  some: {type: "list<service>", default: [shop, till]}
  word: {type: string, default: bank}
  open: {type: service, required: true}
steps:
  - {id: a, fault: switch.off, target: shop, hold: 1s}
  - {id: b, fault: switch.off, target: {service: [till, bank]}, hold: 1s}
  - {id: c, fault: switch.off, target: "${{ parameters.one }}", hold: 1s}
  - {id: d, fault: switch.off, target: {tags: {tier: front}}, hold: 1s}
  - {id: e, snapshot: [vault, "${{ parameters.one }}"]}
  - parallel: [{id: f, fault: switch.off, target: kiosk, hold: 1s}]
"""
    )
    suite = (
        "suite: s\nversion: 1\nparameters: {x: {type: service, default: shop}}\n"
        "scenarios: [{scenario: story}]\n"
    )

    assert services_of(read(text)) == ("desk", "shop", "till", "bank", "vault", "kiosk")
    assert services_of(read(text.replace("scenario:", "template:", 1)))[-1] == "kiosk"
    assert services_of(read(suite)) == ("shop",)


def test_the_heading_of_a_template_is_that_of_its_body() -> None:
    template = read("template: t\nversion: 1\ntitle: A title\n")

    assert heading(template).title == "A title"


def test_what_is_added_removed_changed_or_moved_is_told_with_its_place() -> None:
    before = document(
        """
tags: [a]
steps:
  - {id: one, wait: 1s}
  - {id: two, fault: switch.off, target: shop, hold: 2s}
  - {id: gone, expect: "1 < 2", within: 1s, severity: critical}
"""
    )
    after = document(
        """
tags: [a, b]
steps:
  - {id: two, fault: switch.off, target: "${{ 'b' + 'ank' }}", hold: 2s, retry: {attempts: 3}}
  - {id: one, wait: "${{ duration('5s') }}"}
  - {id: new, action: note, with: {name: "a ${{ 1 + 1 }}", list: [1, {deep: true}]}}
"""
    )

    found = {".".join(change.path): change for change in changes(before, after)}
    assert {path: (change.before, change.after) for path, change in found.items()} == {
        "tags": (["a"], ["a", "b"]),
        "steps.one.duration": ("1s", "${{ duration('5s') }}"),
        "steps.two.target": ("shop", "${{ 'b' + 'ank' }}"),
        "steps.two.retry": (None, {"attempts": 3}),
        "steps.gone": (
            {
                "id": "gone",
                "check": {
                    "id": "gone",
                    "expression": "${{ 1 < 2 }}",
                    "within": "1s",
                    "severity": "critical",
                },
            },
            None,
        ),
        "steps.new": (
            None,
            {
                "id": "new",
                "action": "note",
                "parameters": {"name": "a ${{ 1 + 1 }}", "list": [1, {"deep": True}]},
            },
        ),
        "steps.(order)": (["one", "two"], ["two", "one"]),
    }
    places = {path: (change.before_at, change.after_at) for path, change in found.items()}
    assert [at and at.line for at in places["steps.one.duration"]] == [6, 7]
    assert [at and at.line for at in places["steps.new"]] == [None, 8]
    assert str(found["steps.two.target"]) == "steps.two.target: 'shop' -> \"${{ 'b' + 'ank' }}\""
    assert str(found["steps.gone"]).endswith("-> nothing")


def test_how_a_text_is_laid_out_is_no_change_of_what_it_means() -> None:
    x, y = "x: {type: integer, default: 1}", "y: {type: string, default: a}"
    note = "- {action: note, id: b, with"
    before = document(
        f"parameters: {{{x}, {y}}}\nsteps:\n- {{id: a, wait: 60s}}\n"
        f"{note}: {{n: 1, m: []}}}}\n# a remark\n"
    )
    after = document(
        f"title: ''\nparameters: {{{y}, {x}}}\nsteps:\n- wait: 1m\n  id: a\n"
        f"{note}: {{m: [], n: 1}}}}\n"
    )

    assert changes(before, after) == []


def test_entries_of_a_suite_are_compared_by_their_names() -> None:
    suite = "suite: s\nversion: 1\nscenarios: [{id: a, scenario: x}, {id: b, scenario: y@2}]\n"

    assert [str(each) for each in changes(suite, suite.replace("y@2", "y@3"))] == [
        "entries.b.scenario: 'y@2' -> 'y@3'"
    ]


def test_of_lists_without_names_the_whole_is_told() -> None:
    text = "suite: s\nversion: 1\nmatrix: {m: [1, 2]}\nscenarios: [{id: a, scenario: x}]\n"

    assert [str(each) for each in changes(text, text.replace("[1, 2]", "[2, 1]"))] == [
        "matrix.m: [1, 2] -> [2, 1]"
    ]


@virtual
async def test_what_several_extend_or_run_is_read_once() -> None:
    texts = {
        "base": "template: base\nversion: 1\nsteps: [{id: w, wait: 1s}]\n",
        "left": "template: left\nversion: 1\nextends: base\n",
        "right": "template: right\nversion: 1\nextends: base\n",
        "both": "scenario: both\nversion: 1\nextends: [left, right]\n",
        "twice": document("steps: [{scenario: both}, {scenario: both}]", name="twice"),
        "top": document("steps: [{scenario: twice}, {scenario: both}]", name="top"),
    }
    shelf = Shelf(parts=tuple(part(name, text) for name, text in texts.items()))
    loading = Loading(Gathering(world=Lab().world(), given=shelf))

    top = await loading.load(texts["top"], file="top.yaml")

    assert top.members["twice"].members["both"] is top.members["both"]
    assert top.others().keys() == {"twice", "both"}
    assert {each.name for each in top.members["both"].scenario.parts} == {"base", "left", "right"}
    steps = [step for step in top.scenario.every_step() if isinstance(step, ScenarioStep)]
    assert [step.scenario for step in steps] == ["twice", "both"]
    assert isinstance(top.definition, Scenario)
