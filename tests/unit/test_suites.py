"""Suites before they run: matrices, parameters, and all mistakes before anything begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.engine_lab import Lab, document
from support.virtual_time import virtual
from test_coordination.application.definitions import Shelf
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.suites import ENTRIES_MAX, PlannedEntry, PlannedSuite, Suites
from test_coordination.application.world import World
from test_coordination.domain.errors import InvalidDocumentError, Mark
from test_coordination.domain.graph import CircularNeedsError
from test_coordination.domain.scenario import Part, Reference, SuiteEntry
from test_coordination.domain.values import StepId, Value

SCENARIO = document(
    """
parameters:
  outage: {type: duration, default: 1s, max: 9s}
  target: {type: service, default: shop}
  note: {type: string, default: ""}
  rates: {type: "list<integer>", default: [1]}
  token: {type: secret, default: "env:TOKEN"}
steps: [{wait: "${{ parameters.outage }}"}]
""",
    name="one",
)
OTHER = document("steps: [{wait: 1s}]", name="other")
LIBRARY = Shelf(
    parts=(
        Part(name="one", file="one.yaml", text=SCENARIO),
        Part(name="other", file="other.yaml", text=OTHER),
    )
)


def suite(scenarios: str, head: str = "") -> str:
    return f"suite: nightly\nversion: 1\n{head}\nscenarios:\n{scenarios}"


async def planned(
    text: str, given: dict[str, Value] | None = None, *, world: World | None = None
) -> PlannedSuite:
    place = world or Lab().world()
    loaded = await Scenarios(world=place).read(text, file="s.yaml", library=LIBRARY)
    return Suites(world=place).plan(loaded, given or {})


def by_id(plan: PlannedSuite) -> dict[str, PlannedEntry]:
    return {entry.id: entry for entry in plan.entries}


async def refusal(text: str, given: dict[str, Value] | None = None) -> list[str]:
    with pytest.raises(InvalidDocumentError) as refused:
        await planned(text, given)
    return [f"{each.mark.file}:{each.mark.line} {each.text}" for each in refused.value.problems]


@virtual
async def test_an_entry_without_a_matrix_is_one_and_keeps_its_name() -> None:
    plan = await planned(
        suite(
            "  - {id: a, scenario: one}\n  - {id: b, scenario: other, needs: [a]}",
            "concurrency: 3\nstop_on: [broken, residue]",
        )
    )

    assert [(each.id, each.parameters, each.needs) for each in plan.entries] == [
        ("a", {}, frozenset()),
        ("b", {}, {"a"}),
    ]
    assert (plan.name, plan.concurrency, plan.stop_on) == ("nightly", 3, ("broken", "residue"))


@virtual
async def test_a_matrix_is_every_combination_of_the_suite_s_values_and_the_entry_s() -> None:
    plan = await planned(
        suite(
            """
  - id: a
    scenario: one
    matrix: {target: [shop, bank]}
    with:
      outage: "${{ matrix.outage }}"
      target: "${{ matrix.target }}"
      note: "n ${{ matrix.outage }}"
  - {id: b, scenario: other, needs: [a]}
""",
            "matrix: {outage: [2s, 3s]}",
        )
    )

    entries = by_id(plan)
    assert list(entries) == ["a.1", "a.2", "a.3", "a.4", "b.1", "b.2"]
    assert [(e.parameters["outage"], e.parameters["target"]) for e in plan.entries[:4]] == [
        ("2s", "shop"),
        ("2s", "bank"),
        ("3s", "shop"),
        ("3s", "bank"),
    ]
    assert entries["a.3"].parameters["note"] == "n 3s"
    assert entries["b.1"].needs == entries["b.2"].needs == {"a.1", "a.2", "a.3", "a.4"}


@virtual
async def test_parameters_of_the_suite_are_given_on_with_their_types() -> None:
    text = suite(
        """
  - id: a
    scenario: one
    with:
      outage: "${{ parameters.outage }}"
      rates: ["${{ parameters.rate }}", 7]
      token: "${{ parameters.key }}"
      note: "${{ env.SITE }} ${{ parameters.rate * 2 }}"
""",
        """
parameters:
  outage: {type: duration, default: 2s}
  rate: {type: integer, default: 3}
  key: {type: secret, default: "env:KEY"}
""",
    )
    place = replace(Lab().world(), environment={"SITE": "lab"})
    reader = type(place.reader)(place.catalogue, place.expressions, environment=["SITE"])  # type: ignore[call-arg]  # the real one
    plan = await planned(text, {"outage": "4s"}, world=replace(place, reader=reader))

    assert by_id(plan)["a"].parameters == {
        "outage": timedelta(seconds=4),
        "rates": (3, 7),
        "token": "env:KEY",
        "note": "lab 6",
    }


@virtual
async def test_an_axis_may_be_an_expression_that_gives_a_list() -> None:
    text = suite(
        '  - {id: a, scenario: one, matrix: {s: "${{ parameters.all }}"}, '
        'with: {target: "${{ matrix.s }}"}}',
        'parameters: {all: {type: "list<service>", default: [shop, bank]}}',
    )

    assert [e.parameters for e in (await planned(text)).entries] == [
        {"target": "shop"},
        {"target": "bank"},
    ]
    assert (await planned(text, {"all": ()})).entries == ()


@virtual
async def test_every_mistake_of_every_entry_is_told_before_anything_begins() -> None:
    text = suite(
        """
  - {id: a, scenario: one, matrix: {outage: [1s, 10s, 11s]}, with: {outage: "${{ matrix.outage }}"}}
  - {id: b, scenario: other, with: {nothing: 1}}
"""
    )

    assert await refusal(text) == [
        "one.yaml:5 entry 'a.2': parameter 'outage' is '10s'; expected at most 9s",
        "one.yaml:5 entry 'a.3': parameter 'outage' is '11s'; expected at most 9s",
        "other.yaml:1 entry 'b': no parameter is named 'nothing'; there are none",
    ]


@virtual
async def test_what_does_not_fit_the_suite_s_own_parameters_is_refused() -> None:
    text = suite("  - {id: a, scenario: other}", "parameters: {n: {type: integer, max: 3}}")

    assert await refusal(text, {"n": 4}) == ["s.yaml:3 parameter 'n' is 4; expected at most 3"]


@virtual
async def test_an_expression_that_has_no_value_or_gives_no_list_is_refused_at_its_place() -> None:
    text = suite(
        """
  - {id: a, scenario: one, matrix: {s: "${{ {'x': [1], 'y': 2}['y'] }}"}}
  - {id: b, scenario: one, with: {note: "${{ 1 / (parameters.n - 1) }}"}}
  - {id: c, scenario: one, with: {note: "${{ services.nowhere.address }}"}}
""",
        "parameters: {n: {type: integer, default: 1}}",
    )

    first, second, third = await refusal(text)
    assert first == "s.yaml:6 the axis 's' of a matrix must be a list of values"
    assert second.startswith("s.yaml:7 '1 / (parameters.n - 1)' has no value here")
    assert third.startswith("s.yaml:8 ")
    assert "nowhere" in third


@virtual
async def test_a_matrix_may_not_make_more_entries_than_anybody_would_run() -> None:
    values = ", ".join(map(str, range(ENTRIES_MAX)))
    text = suite(
        "  - {id: a, scenario: other}\n"
        '  - {id: b, scenario: one, matrix: {n: "${{ parameters.all }}"}}',
        f'parameters: {{all: {{type: "list<integer>", default: [{values}]}}}}',
    )

    assert await refusal(text) == [
        f"s.yaml:6 a suite of more than {ENTRIES_MAX} entries; leave some values out"
    ]


@virtual
async def test_what_a_program_builds_may_hold_circles_and_odd_names_and_is_refused_as_well() -> (
    None
):
    place = Lab().world()
    text = suite("  - {id: a, scenario: other}\n  - {id: b, scenario: other, needs: [a]}")
    loaded = await Scenarios(world=place).read(text, file="s.yaml", library=LIBRARY)
    other = Reference(name="other", mark=Mark("s.yaml", 1, 1))
    names = StepId("a"), StepId("b")
    entries = tuple(
        SuiteEntry(id=name, scenario=other, needs=(need,), parameters={"x": {"k": [1]}})
        for name, need in zip(names, reversed(names), strict=True)
    )
    circular = replace(loaded, definition=replace(loaded.suite, entries=entries))

    with pytest.raises(CircularNeedsError, match="a -> b -> a"):
        Suites(world=place).plan(circular, {})
