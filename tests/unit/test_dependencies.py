"""What must have run before: whether it has, and that it is run first where that is wanted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import shows
from support.engine_lab import PROBE, Lab, document
from support.virtual_time import at, virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import DefinitionKindError, Shelf
from test_coordination.application.dependencies import DependencyNotMetError
from test_coordination.application.turns import in_turn
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.events import ExecutionEnded, ExecutionStarted
from test_coordination.domain.graph import CircularNeedsError
from test_coordination.domain.scenario import Part
from test_coordination.domain.values import ScenarioId
from test_coordination.domain.verdicts import Verdict


def scenario(name: str, *needs: str, seconds: int = 2, dial: str = "") -> str:
    """Return a scenario that holds, if ``dial`` shows good, after ``seconds``."""
    probe = PROBE.replace("dial: p", f"dial: {dial or name}")
    check = '{id: good, expect: "probes.p.last.ok", within: 1s}'
    body = f"{probe}steps: [{{wait: {seconds}s}}, {check}]\n"
    return document(body + (f"depends_on: [{', '.join(needs)}]" if needs else ""), name=name)


def need(name: str, rest: str = "") -> str:
    return f"{{scenario: {name}{', ' + rest if rest else ''}}}"


def shelf(*texts: str) -> Shelf:
    names = [text.split(":", 1)[1].split()[0] for text in texts]
    pairs = zip(names, texts, strict=True)
    return Shelf(parts=tuple(Part(name=name, file=f"{name}.yaml", text=t) for name, t in pairs))


@asynccontextmanager
async def lab_and_coordinator(*bad: str) -> AsyncGenerator[tuple[Lab, Coordinator]]:
    """Lend a coordinator in a world in which the dials of the scenarios named ``bad`` are off."""
    lab = Lab()
    lab.kit.dial.scripts.update({name: [(0, shows(0))] for name in bad})
    async with lab.coordinator() as coordinator:
        yield lab, coordinator


async def run(coordinator: Coordinator, text: str) -> ScenarioId:
    """Run a scenario to its end."""
    identity = await coordinator.create_scenario(text)
    await coordinator.execution_result(await coordinator.execute_scenario(identity))
    return identity


async def runs(lab: Lab) -> dict[str, tuple[float, float]]:
    """Return from when to when each scenario ran, in the order in which they began."""
    found = {}
    for record in reversed(await lab.log.recent(limit=99)):
        entries = await lab.log.read(record.id)
        (begin,) = [entry.at for entry in entries if isinstance(entry.event, ExecutionStarted)]
        (end,) = [entry.at for entry in entries if isinstance(entry.event, ExecutionEnded)]
        assert record.scenario_name not in found, "it ran twice"
        found[record.scenario_name] = tuple((each - at(0)).total_seconds() for each in (begin, end))
    return found  # type: ignore[return-value]  # pairs


@virtual
async def test_a_scenario_whose_dependency_never_ran_does_not_begin() -> None:
    async with lab_and_coordinator() as (lab, coordinator):
        top = await coordinator.create_scenario(scenario("top", need("base")), file="t.yaml")
        with pytest.raises(DependencyNotMetError) as refused:
            await coordinator.execute_scenario(top)

        assert await lab.log.recent(limit=9) == []
    error = refused.value
    assert (error.dependency, error.scenario, error.execution) == ("base", "top", None)
    assert error.mark.file == "t.yaml"
    assert str(error).endswith(
        "'top' depends on 'base', which must have ended as held, and has never ended; "
        "run 'base' first, or start 'top' with its dependencies"
    )


@virtual
async def test_it_begins_once_its_dependency_has_held_at_any_time_before() -> None:
    async with lab_and_coordinator() as (lab, coordinator):
        await run(coordinator, scenario("base"))
        await anyio.sleep(7200)
        await run(coordinator, scenario("top", need("base")))

    assert [*await runs(lab)] == ["base", "top"]


@virtual
async def test_a_dependency_that_ended_too_long_ago_is_told_with_its_age() -> None:
    async with lab_and_coordinator() as (_, coordinator):
        await run(coordinator, scenario("base"))
        top = await coordinator.create_scenario(scenario("top", need("base", "within: 1m")))
        await anyio.sleep(60)
        execution = await coordinator.execute_scenario(top)
        await coordinator.execution_result(execution)
        await anyio.sleep(30)
        with pytest.raises(DependencyNotMetError) as refused:
            await coordinator.execute_scenario(top)

    error = refused.value
    assert (error.verdict, error.within) == (Verdict.HELD, timedelta(minutes=1))
    assert error.age is not None
    assert error.age > timedelta(seconds=90)
    assert "must have ended as held not longer than 1m ago, and last ended as held at" in str(error)
    assert "2030-01-01 00:00:02+00:00, 1m32s ago" in str(error)


@virtual
async def test_the_latest_end_counts_and_only_with_a_verdict_that_is_accepted() -> None:
    async with lab_and_coordinator("off") as (_, coordinator):
        await run(coordinator, scenario("base"))
        await run(coordinator, scenario("base", dial="off"))
        strict = await coordinator.create_scenario(scenario("top", need("base")))
        with pytest.raises(DependencyNotMetError, match="last ended as broken") as refused:
            await coordinator.execute_scenario(strict)
        mild = scenario("mild", need("base", "verdict: [held, broken]"))
        await run(coordinator, mild)
        plan = await coordinator.plan_scenario(mild)
        (standing,) = await coordinator.dependencies(plan)
        pinned = scenario("pinned", need("base@1"))
        await run(coordinator, pinned)
        other = await coordinator.create_scenario(scenario("other", need("base@2")))
        with pytest.raises(DependencyNotMetError, match="depends on 'base@2'"):
            await coordinator.execute_scenario(other)

    assert refused.value.verdict is Verdict.BROKEN
    assert standing.met
    assert standing.latest is not None
    assert standing.latest.id == refused.value.execution


@virtual
async def test_missing_dependencies_are_run_first_each_once_and_together_where_they_can() -> None:
    base, left = scenario("base"), scenario("left", need("base"))
    right = scenario("right", need("base"), need("met"), seconds=5)
    top = scenario("top", need("right"), need("left"), need("base"))
    async with lab_and_coordinator() as (lab, coordinator):
        await run(coordinator, scenario("met"))
        identity = await coordinator.create_scenario(top)
        library = shelf(base, left, right)
        execution = await coordinator.execute_scenario(
            identity, requested_by="ann", with_dependencies=True, library=library
        )
        await coordinator.execution_result(execution)
        asked = {each.requested_by for each in await lab.log.recent(limit=4)}

    times = await runs(lab)
    assert {name: begin for name, (begin, _) in times.items()} == {
        "met": 0, "base": 2, "left": 4, "right": 4, "top": 9,
    }  # fmt: skip
    assert asked == {"ann"}


@virtual
async def test_after_the_first_that_is_not_accepted_nothing_further_begins() -> None:
    parts = [scenario("bad", seconds=1), scenario("slow", seconds=9)]
    middle = scenario("middle", need("slow"))
    top = scenario("top", need("bad"), need("middle"))
    async with lab_and_coordinator("bad") as (lab, coordinator):
        identity = await coordinator.create_scenario(top)
        with pytest.raises(DependencyNotMetError, match="'bad', which must have ended as held"):
            await coordinator.execute_scenario(
                identity, with_dependencies=True, library=shelf(*parts, middle)
            )

    assert [*await runs(lab)] == ["bad", "slow"]
    assert (await runs(lab))["slow"] == (0, 9), "what is under way comes to its end"


@virtual
async def test_what_is_met_is_not_run_again() -> None:
    async with lab_and_coordinator() as (lab, coordinator):
        await run(coordinator, scenario("base"))
        top = await coordinator.create_scenario(scenario("top", need("base")))
        execution = await coordinator.execute_scenario(top, with_dependencies=True)
        await coordinator.execution_result(execution)

    assert [*await runs(lab)] == ["base", "top"]


@virtual
async def test_scenarios_that_depend_on_each_other_are_refused_with_the_whole_circle() -> None:
    one, two = scenario("one", need("two")), scenario("two", need("three"))
    three = scenario("three", need("one"))
    async with lab_and_coordinator() as (lab, coordinator):
        identity = await coordinator.create_scenario(one)
        with pytest.raises(CircularNeedsError, match="one -> two -> three -> one"):
            await coordinator.execute_scenario(
                identity, with_dependencies=True, library=shelf(one, two, three)
            )

        assert await lab.log.recent(limit=9) == []


@virtual
async def test_a_dependency_that_cannot_be_run_is_refused_before_the_first_begins() -> None:
    fine = scenario("fine")
    demanding = document(
        "parameters: {x: {type: integer, required: true}}\nsteps: [{wait: 1s}]", name="demanding"
    )
    template = "template: base\nversion: 1\n"

    async def refused(needed: str, error: type[Exception], match: str) -> None:
        async with lab_and_coordinator() as (lab, coordinator):
            text = scenario("top", need("fine"), need(needed))
            top = await coordinator.create_scenario(text)
            with pytest.raises(error, match=match):
                await coordinator.execute_scenario(
                    top, with_dependencies=True, library=shelf(fine, demanding, template)
                )
            assert await lab.log.recent(limit=9) == []

    await refused("fien", InvalidDocumentError, r"no scenario is named 'fien'; did you mean 'fine'")
    await refused("demanding", InvalidDocumentError, "parameter 'x' is required")
    await refused("base", DefinitionKindError, "'base' is a template")


@virtual
async def test_a_scenario_that_is_run_as_a_step_waits_for_its_own_dependencies() -> None:
    inner = scenario("inner", need("base"))
    outer = document("steps: [{id: in, scenario: inner}]", name="outer")
    async with lab_and_coordinator() as (lab, coordinator):
        identity = await coordinator.create_scenario(outer, library=shelf(inner))
        execution = await coordinator.execute_scenario(identity)
        ended = await coordinator.execution_result(execution)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert [*await runs(lab)] == ["outer"]
    (step,) = ended.steps.values()
    assert step.code == "execution.dependency_not_met"


@virtual
async def test_nothing_begins_of_what_waits_for_each_other() -> None:
    done: list[str] = []

    async def work(name: str) -> None:
        await anyio.sleep(1)
        done.append(name)

    with pytest.raises(CircularNeedsError, match="a -> b -> a"):
        await in_turn({"free": set(), "a": {"b"}, "b": {"a"}}, work, concurrency=9)

    assert done == []


@virtual
async def test_an_error_in_the_middle_lets_what_is_under_way_end_and_comes_out_as_it_is() -> None:
    done: list[str] = []

    async def work(name: str) -> None:
        await anyio.sleep(2 if name == "slow" else 1)
        if name == "bad":
            raise ZeroDivisionError
        done.append(name)

    needs = {"first": {"gone"}, "bad": {"first"}, "slow": {"first"}, "late": {"slow"}, "next": {""}}
    with pytest.raises(ZeroDivisionError):
        await in_turn(needs, work, concurrency=2)

    assert done == ["first", "next", "slow"]
