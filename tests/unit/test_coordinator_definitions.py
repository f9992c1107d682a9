"""Definitions by way of the domain API: stored with all that they are made of, and compared."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from support.engine_lab import Lab, document, start
from support.virtual_time import at, virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    Shelf,
)
from test_coordination.application.lending import coordinating
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.graph import CircularNeedsError
from test_coordination.domain.plan import Plan, ScenarioWork
from test_coordination.domain.scenario import DocumentKind, Part
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

BASE = """
template: base
version: 1
title: One switch
owner: team-a
tags: [slow]
parameters: {target: {type: service, default: shop}, outage: {type: duration, default: 2s}}
steps:
  - id: cut
    fault: switch.off
    target: "${{ parameters.target }}"
    hold: "${{ parameters.outage }}"
"""
CHILD = """
scenario: child
version: 1
extends: base
tags: [quick]
steps: [{id: rest, wait: 1s}]
"""
SUITE = """
suite: nightly
version: 1
scenarios: [{id: one, scenario: child}, {id: two, scenario: child, with: {outage: 1s}}]
"""
RUNS = document("steps: [{id: inner, scenario: child}]", name="outer")


def shelf(*texts: str) -> Shelf:
    """Return the definitions in ``texts`` as files that lie beside a document."""
    parts = []
    for text in texts:
        name = text.split(":", 1)[1].split()[0]
        parts.append(Part(name=name, file=f"{name}.yaml", text=text))
    return Shelf(parts=tuple(parts))


def scenarios_of(plan: Plan) -> dict[str, ScenarioWork]:
    """Return what the steps of ``plan`` run, by the names under which they do."""
    return {step.scenario.scenario: step.scenario for step in plan.steps if step.scenario}


@asynccontextmanager
async def coordinator(
    lab: Lab, *, library: Shelf | None = None, shipped: Shelf | None = None
) -> AsyncGenerator[Coordinator]:
    world = replace(lab.world(), library=library or Shelf(), shipped=shipped or Shelf())
    async with coordinating(world) as lent:
        yield lent


@virtual
async def test_what_a_stored_scenario_extends_is_kept_with_it() -> None:
    lab = Lab()
    async with coordinator(lab) as lent:
        identity = await lent.create_scenario(CHILD, file="c.yaml", library=shelf(BASE))
        stored = await lent.stored_scenario(identity)
        execution = await lent.execute_scenario(identity)
        await lent.execution_result(execution)

    assert stored.kind is DocumentKind.SCENARIO
    assert (stored.title, stored.owner, stored.tags) == ("One switch", "team-a", ("slow", "quick"))
    assert stored.services == ("shop",)
    assert [(part.name, part.file, part.version) for part in stored.parts] == [
        ("base", "base.yaml", None)
    ]
    assert lab.kit.board.done("inject") == ["shop"]


@virtual
async def test_a_change_of_what_a_scenario_extends_is_a_new_version_of_it() -> None:
    async with coordinator(Lab()) as lent:
        first = await lent.create_scenario(CHILD, library=shelf(BASE))
        again = await lent.create_scenario(CHILD, library=shelf(BASE))
        slower = BASE.replace("default: 2s", "default: 9s")
        second = await lent.create_scenario(CHILD, library=shelf(slower))
        versions = await lent.scenario_versions("child")

    assert first == again
    assert [each.id for each in versions] == [second, first]


@virtual
async def test_the_first_place_that_has_a_name_wins() -> None:
    lab = Lab()
    titles = {}
    places = [shelf(BASE.replace("One switch", place)) for place in ("given", "folder", "shipped")]
    async with coordinator(lab, shipped=places[2]) as lent:
        plain = await lent.create_scenario(CHILD)
        titles["shipped"] = (await lent.stored_scenario(plain)).title
        await lent.create_template(BASE.replace("One switch", "stored"))
        kept = await lent.create_scenario(CHILD)
        titles["stored"] = (await lent.stored_scenario(kept)).title
    async with coordinator(lab, library=places[1], shipped=places[2]) as lent:
        beside = await lent.create_scenario(CHILD)
        titles["folder"] = (await lent.stored_scenario(beside)).title
        given = await lent.create_scenario(CHILD, library=places[0])
        titles["given"] = (await lent.stored_scenario(given)).title
        version = (await lent.stored_scenario(kept)).parts[0].version

    assert titles == {name: name for name in ("shipped", "stored", "folder", "given")}
    assert version == 1


@virtual
async def test_a_certain_version_is_extended_where_it_is_named() -> None:
    async with coordinator(Lab()) as lent:
        await lent.create_template(BASE)
        await lent.create_template(BASE.replace("One switch", "Another"))
        old = await lent.create_scenario(CHILD.replace("extends: base", "extends: base@1"))
        stored = await lent.stored_scenario(old)

    assert stored.title == "One switch"
    assert stored.parts[0].version == 1


@virtual
async def test_what_a_stored_template_was_made_of_is_found_when_it_is_nowhere_else() -> None:
    middle = "template: middle\nversion: 1\nextends: base\ntitle: Between\n"
    async with coordinator(Lab()) as lent:
        await lent.create_template(middle, library=shelf(BASE))
        child = await lent.create_scenario(CHILD.replace("base", "middle"))
        stored = await lent.stored_scenario(child)

    assert {part.name for part in stored.parts} == {"middle", "base"}
    assert (stored.title, stored.owner) == ("Between", "team-a")


@virtual
async def test_a_parent_that_is_nowhere_is_refused_with_the_nearest_name() -> None:
    async with coordinator(Lab(), library=shelf(CHILD)) as lent:
        await lent.create_template(BASE)
        with pytest.raises(InvalidDocumentError, match="did you mean 'base'") as refused:
            await lent.create_scenario(CHILD.replace("extends: base", "extends: bsae"))

    assert refused.value.problems[0].mark.line == 4


@virtual
async def test_templates_that_extend_each_other_are_refused_with_the_whole_circle() -> None:
    one = "template: one\nversion: 1\nextends: two\n"
    two = "template: two\nversion: 1\nextends: one\n"
    async with coordinator(Lab()) as lent:
        with pytest.raises(
            InvalidDocumentError, match=r"one \(<text>\) -> two \(two.yaml\) -> one"
        ):
            await lent.create_template(one, library=shelf(one, two))


@virtual
async def test_a_definition_of_another_kind_is_refused_and_not_stored() -> None:
    async with coordinator(Lab()) as lent:
        with pytest.raises(DefinitionKindError, match="'base' is a template, and a scenario"):
            await lent.create_scenario(BASE)
        with pytest.raises(DefinitionKindError, match="a suite was expected"):
            await lent.create_suite(document("steps: [{wait: 1s}]"))
        everything = await lent.list_scenarios(DefinitionFilter())
        template = await lent.create_template(BASE)
        with pytest.raises(DefinitionKindError):
            await lent.execute_scenario(template)
        with pytest.raises(DefinitionKindError, match="'base' is a template"):
            await lent.plan_scenario(BASE)
        with pytest.raises(DefinitionKindError, match="a suite was expected"):
            await lent.execute_suite(template)

    assert everything == []


@virtual
async def test_scenarios_that_are_run_as_steps_are_stored_with_what_runs_them() -> None:
    lab = Lab()
    async with coordinator(lab) as lent:
        outer = await lent.create_scenario(RUNS, library=shelf(CHILD, BASE))
        listed = [each.name for each in await lent.list_scenarios()]
        stored = await lent.stored_scenario(outer)
        changed = CHILD.replace("wait: 1s", "wait: 3s")
        await lent.create_scenario(changed, library=shelf(BASE))
        execution = await lent.execute_scenario(outer)
        ended = await lent.execution_result(execution)
        child, parent = await lent.list_executions()

    assert listed == ["child", "outer"]
    assert [(part.name, part.version) for part in stored.parts] == [("child", 1)]
    assert (child.parent, parent.id) == (execution, execution)
    assert (child.scenario_name, child.scenario_version) == ("child", 1)
    assert ended.verdict is not None
    assert lab.kit.board.done("inject") == ["shop"]


@virtual
async def test_a_change_of_what_a_step_runs_is_a_new_version_of_what_runs_it() -> None:
    async with coordinator(Lab()) as lent:
        first = await lent.create_scenario(RUNS, library=shelf(CHILD, BASE))
        slower = BASE.replace("default: 2s", "default: 9s")
        second = await lent.create_scenario(RUNS, library=shelf(CHILD, slower))
        pinned = await lent.create_scenario(RUNS.replace("scenario: child", "scenario: child@1"))
        stored = await lent.stored_scenario(pinned)
        steps = "steps: [{scenario: outer@1}, {parallel: [{scenario: child}]}, {scenario: child@1}]"
        deep = document(steps, name="deep")
        whole = await lent.create_scenario(deep)
        execution = await lent.execute_scenario(whole)
        await lent.execution_result(execution)
        ran = await lent.list_executions()

    works = {name: work.plan for name, work in scenarios_of(ran[-1].plan).items()}
    (inner,) = scenarios_of(works.pop("outer@1")).values()
    faults = {name: plan.step(StepId("cut")).fault for name, plan in works.items()}
    faults["inner"] = inner.plan.step(StepId("cut")).fault
    assert {name: fault and fault.hold for name, fault in faults.items()} == {
        "child@2": timedelta(seconds=9),
        "child@1": timedelta(seconds=2),
        "inner": timedelta(seconds=2),
    }
    assert [(each.scenario_name, each.scenario_version) for each in reversed(ran)] == [
        ("deep", 1), ("outer", 1), ("child", 1), ("child", 2), ("child", 1),
    ]  # fmt: skip
    assert first != second
    assert [(part.name, part.version) for part in stored.parts] == [("child", 1)]


@virtual
async def test_planning_sees_what_is_run_as_a_step_and_stores_nothing() -> None:
    deep = document("steps: [{id: a, scenario: outer}, {id: b, scenario: outer}]", name="deep")
    async with coordinator(Lab()) as lent:
        plan = await lent.plan_scenario(deep, library=shelf(RUNS, CHILD, BASE))
        names = await lent.list_scenarios(DefinitionFilter())

    work = plan.step(StepId("a")).scenario
    assert work is not None
    inner = work.plan.step(StepId("inner")).scenario
    assert inner is not None
    assert [step.id for step in inner.plan.steps] == ["cut", "rest"]
    assert names == []


@virtual
async def test_a_scenario_that_runs_itself_by_way_of_another_is_refused_with_the_whole_circle() -> (
    None
):
    there = document("steps: [{scenario: back}]", name="there")
    back = document("steps: [{scenario: there}]", name="back")
    async with coordinator(Lab()) as lent:
        with pytest.raises(CircularNeedsError, match="there -> back -> there"):
            await lent.create_scenario(there, library=shelf(there, back))
        assert await lent.list_scenarios(DefinitionFilter()) == []


@virtual
async def test_a_step_that_runs_what_is_not_there_or_no_scenario_is_refused_all_at_once() -> None:
    text = document("steps:\n  - {scenario: chidl}\n  - {scenario: base}", name="outer")
    async with coordinator(Lab()) as lent:
        with pytest.raises(InvalidDocumentError) as refused:
            await lent.create_scenario(text, library=shelf(CHILD, BASE))

    told = [(each.code, each.mark.line) for each in refused.value.problems]
    assert told == [("definition.unknown", 4), ("definition.kind", 5)]
    assert "did you mean 'child'?" in str(refused.value)
    assert "'base' is a template" in str(refused.value)


@virtual
async def test_a_suite_is_stored_with_its_scenarios() -> None:
    async with coordinator(Lab()) as lent:
        suite = await lent.create_suite(SUITE, library=shelf(CHILD, BASE))
        stored = await lent.stored_scenario(suite)
        suites = await lent.list_scenarios(DefinitionFilter(kind=DocumentKind.SUITE))
        scenarios = await lent.list_scenarios()

    assert (stored.kind, suites) == (DocumentKind.SUITE, [stored])
    assert [each.name for each in scenarios] == ["child"]
    assert stored.parts == (scenarios[0].as_part(),)


@virtual
async def test_two_who_store_at_once_get_a_version_each_and_the_same_text_only_one() -> None:
    texts = [document(f"steps: [{{wait: {n}s}}]") for n in (1, 2, 2, 3)]
    async with coordinator(Lab()) as lent:
        async with anyio.create_task_group() as group:
            for text in texts:
                group.start_soon(lent.create_scenario, text)
        versions = await lent.scenario_versions("story")

    assert [each.version for each in versions] == [3, 2, 1]
    assert {each.source for each in versions} == set(texts)


@virtual
async def test_what_is_deprecated_is_not_listed_until_it_is_restored_or_changed() -> None:
    lab = Lab()
    async with coordinator(lab) as lent:
        text = document("steps: [{wait: 1s}]")
        identity = await lent.create_scenario(text)
        await anyio.sleep(5)
        await lent.deprecate_scenario("story", reason="see other")
        stored = await lent.stored_scenario(identity)
        listed = await lent.list_scenarios()
        execution = await start(lent, text)
        ended = await lent.execution_result(execution)
        await lent.restore_scenario("story")
        again = await lent.list_scenarios()
        with pytest.raises(NotFoundError):
            await lent.deprecate_scenario("nobody", reason="of nothing")

    assert (stored.deprecated_at, stored.deprecated_because) == (at(5), "see other")
    assert listed == []
    assert ended.verdict is Verdict.INCONCLUSIVE
    assert [each.id for each in again] == [identity]


@virtual
async def test_versions_are_compared_in_what_they_mean_and_in_how_they_are_written() -> None:
    async with coordinator(Lab()) as lent:
        await lent.create_scenario(CHILD, file="c.yaml", library=shelf(BASE))
        longer = CHILD.replace("wait: 1s", "wait: 4s")
        slower = BASE.replace("default: 2s", "default: 9s")
        await lent.create_scenario(longer, file="c.yaml", library=shelf(slower))
        found = await lent.diff_versions("child", 1, 2)
        nothing = await lent.diff_versions("child", 2, 2)
        with pytest.raises(NotFoundError):
            await lent.diff_versions("child", 1, 3)

    assert [str(change) for change in found.changes] == [
        "parameters.outage.default: '2s' -> '9s'",
        "steps.rest.duration: '1s' -> '4s'",
    ]
    places = [(change.before_at, change.after_at) for change in found.changes]
    assert [str(at and at.file) for pair in places for at in pair] == [
        "base.yaml", "base.yaml", "c.yaml", "c.yaml",
    ]  # fmt: skip
    assert found.text.splitlines()[:2] == ["--- child@1", "+++ child@2"]
    assert "+steps: [{id: rest, wait: 4s}]" in found.text
    assert (nothing.changes, nothing.text) == ((), "")


@virtual
async def test_a_definition_is_exported_as_it_was_written_or_as_one_that_extends_nothing() -> None:
    async with coordinator(Lab()) as lent:
        identity = await lent.create_scenario(CHILD, library=shelf(BASE))
        plain = await lent.export_scenario(identity)
        whole = await lent.export_scenario(identity, resolved=True)
        alone = await lent.create_scenario(whole)
        changes = (await lent.diff_versions("child", 1, 2)).changes
        stored = await lent.stored_scenario(alone)

    assert plain == CHILD
    assert "extends" not in whole
    assert stored.parts == ()
    assert [".".join(change.path) for change in changes] == ["extends"]
