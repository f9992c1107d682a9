"""Inherited parameters: bare values, bounds that are only ever narrowed, what is left open."""

from __future__ import annotations

import pytest

from support.compose_scene import composed, sentences, told, whole

BASE = """\
template: base
version: 1
parameters:
  outage: {type: duration, default: 5s, min: 1s, max: 60s, description: how long}
  rate: {type: integer, required: true}
  size: {type: enum, values: [small, medium, large], default: small}
  region: {type: string, pattern: "[a-z]+", default: eu}
  waits: {type: list<duration>, default: [1s], max: 10s}
  token: {type: secret, default: "env:TOKEN"}
  quick: {type: boolean, default: true}
"""
HEAD = "scenario: main\nversion: 1\nextends: base\nparameters:\n"
OPEN = "template: base\nversion: 1\nparameters:\n  service: {type: service, abstract: true}\n"


def test_a_bare_value_is_the_default_of_an_inherited_parameter() -> None:
    tree = whole(f"{HEAD}  outage: 7s\n  waits: [2s, 3s]\n  quick: false\n", BASE)

    assert tree["parameters"]["outage"] == {
        "type": "duration",
        "default": "7s",
        "min": "1s",
        "max": "60s",
        "description": "how long",
    }
    assert tree["parameters"]["waits"]["default"] == ["2s", "3s"]
    assert tree["parameters"]["quick"]["default"] is False
    assert str(tree["parameters"]["outage"].value_marks["default"]) == "main.yaml:5:11"


def test_a_bare_value_goes_through_a_parent_that_gives_one_as_well() -> None:
    between = "template: between\nversion: 1\nextends: base\nparameters: {outage: 8s}\n"

    tree = whole("scenario: main\nversion: 1\nextends: between\n", between, BASE)

    assert tree["parameters"]["outage"]["default"] == "8s"


def test_the_last_word_on_where_a_value_comes_from_holds() -> None:
    tree = whole(f"{HEAD}  rate: 5\n  outage: {{required: true}}\n", BASE)

    assert tree["parameters"]["rate"] == {"type": "integer", "default": 5}
    assert "default" not in tree["parameters"]["outage"]


def test_what_is_false_is_a_value_too() -> None:
    base = "template: base\nversion: 1\nparameters: {quick: {type: boolean, required: true}}\n"

    tree = whole(f"{HEAD}  quick: false\n", base)

    assert tree["parameters"]["quick"] == {"type": "boolean", "default": False}


def test_a_template_may_leave_open_again_what_its_parent_had_settled() -> None:
    again = "template: main\nversion: 1\nextends: base\nparameters: {outage: {abstract: true}}\n"

    outage = whole(again, BASE)["parameters"]["outage"]

    assert outage["abstract"] is True
    assert "default" not in outage


@pytest.mark.parametrize(
    "said",
    [
        "outage: {min: 2s, max: 59s}",
        "outage: {max: 60s, min: 1s}",
        "size: {values: [large, small]}",
        "region: {pattern: '[a-z]+'}",
        "waits: {max: 9s, min: 1s}",
        "rate: {max: 5}",
        "outage: {replace: true, type: duration, min: 2s, max: 3s}",
        "region: {min: 5}",
    ],
)
def test_bounds_may_be_narrowed(said: str) -> None:
    whole(f"{HEAD}  {said}\n", BASE)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("outage: {min: 500ms}", "5:17"),
        ("outage: {max: 61s}", "5:17"),
        ("outage: {type: string}", "5:18"),
        ("size: {values: [small, huge]}", "5:26"),
        ("region: {pattern: '[a-z]*'}", "5:22"),
        ("waits: {max: 11s}", "5:16"),
        ("waits: {type: list<string>}", "5:17"),
        ("outage: {replace: true, type: duration, min: 1s}", "5:3"),
        ("{remove: [outage], outage: {type: duration, min: 1s}}", "5:22"),
        ("region: {replace: true, type: string}", "5:3"),
    ],
)
def test_bounds_are_never_widened_nor_is_the_type_changed(said: str, where: str) -> None:
    assert told(f"{HEAD}  {said}\n", BASE) == [f"main.yaml:{where} scenario.widened"]


def test_every_ancestor_is_kept_to_not_only_the_nearest() -> None:
    between = "template: between\nversion: 1\nextends: base\nparameters: {outage: {max: 10s}}\n"
    child = "scenario: main\nversion: 1\nextends: between\nparameters: {{outage: {{max: {}}}}}\n"

    (said,) = sentences(child.format("20s"), between, BASE)
    assert said == (
        "parameter 'outage' is inherited ('between' declares it at between.yaml:4): "
        "'max' must not be more than there (10s); narrow it"
    )
    assert len(told(child.format("70s"), between, BASE)) == 2


def test_parents_that_disagree_leave_it_to_the_child_to_be_narrow_enough() -> None:
    other = "template: other\nversion: 1\nparameters: {outage: {type: duration, max: 5m}}\n"
    child = "scenario: main\nversion: 1\nextends: [base, other]\n"

    assert told(child, BASE, other) == ["other.yaml:3:44 scenario.widened"]
    whole(f"{child}parameters: {{outage: {{max: 30s}}}}\n", BASE, other)


def test_a_bound_that_is_gone_is_asked_back() -> None:
    (said,) = sentences(f"{HEAD}  outage: {{replace: true, type: duration, max: 9s}}\n", BASE)

    assert said.endswith("'min' is 1s there and may not be left out; say at least that")


def test_what_a_template_leaves_open_must_be_settled_by_a_scenario() -> None:
    assert told("scenario: main\nversion: 1\nextends: base\n", OPEN) == [
        "main.yaml:3:10 scenario.left_abstract"
    ]
    (said,) = sentences("scenario: main\nversion: 1\nextends: base\n", OPEN)
    assert said == (
        "'base' leaves the parameter 'service' open (at base.yaml:4); give it a value: "
        "'parameters: {service: …}', or 'service: {required: true}'"
    )


def test_what_is_left_open_further_up_is_told_where_it_comes_in() -> None:
    between = "template: between\nversion: 1\nextends: base\n"
    side = "template: side\nversion: 1\n"

    assert told("scenario: main\nversion: 1\nextends: [side, between]\n", OPEN, between, side) == [
        "main.yaml:3:17 scenario.left_abstract"
    ]


@pytest.mark.parametrize("said", ["exchange", "{default: exchange}", "{required: true}"])
def test_a_value_or_the_wish_for_one_settles_what_is_open(said: str) -> None:
    tree = whole(f"{HEAD}  service: {said}\n", OPEN)

    assert "abstract" not in tree["parameters"]["service"]


def test_a_template_may_leave_open_what_its_parent_does() -> None:
    tree = whole("template: main\nversion: 1\nextends: base\n", OPEN)

    assert tree["parameters"]["service"]["abstract"] is True


def test_what_is_told_once_of_an_open_parameter_is_not_told_again_by_the_decoder() -> None:
    tree = composed("scenario: main\nversion: 1\nextends: base\n", OPEN).tree

    assert tree["parameters"]["service"] == {"type": "service"}


def test_broken_declarations_are_left_for_the_decoder_to_refuse() -> None:
    base = "template: base\nversion: 1\nparameters: {a: {type: duration, min: x}, b: 5, c: {}}\n"

    found = whole(f"{HEAD}  a: {{min: y}}\n  b: {{type: integer}}\n  c: {{}}\n  d: null\n", base)

    assert found["parameters"]["d"] is None
