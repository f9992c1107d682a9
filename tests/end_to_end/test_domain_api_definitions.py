"""Definitions, suites and dependencies as a program of somebody else uses them, for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from support.e2e_shop import Shop, shop
from test_coordination import (
    DefinitionFilter,
    DefinitionKindError,
    DependencyNotMetError,
    DocumentKind,
    EntryResult,
    Part,
    Settings,
    Shelf,
    Verdict,
    open_coordinator,
)

pytestmark = pytest.mark.timeout(300)

PATIENCE_S = 100.0
PAUSE = """
template: pause
version: 1
owner: shop-keepers
tags: [pause]
parameters:
  target: {type: service, abstract: true}
  outage: {type: duration, default: 200ms, max: 10m}
probes:
  seen: {http: "GET http://${{ services.shop.address }}/health", every: 100ms}
steps:
  - id: break
    fault: service.pause
    target: "${{ parameters.target }}"
    hold: "${{ parameters.outage }}"
  - {id: back, expect: "probes.seen.last.status == 200", within: 20s, after_fault: break}
"""
SHOP = "scenario: pause-shop\nversion: 1\nextends: pause\nparameters: {target: shop}\n"
NEEDY = """
scenario: needy
version: 1
depends_on: [{scenario: pause-shop, within: 1h}]
steps: [{wait: 100ms}, {id: fine, expect: "1 < 2", within: 1s}]
"""
NIGHTLY = """
suite: nightly
version: 1
concurrency: 2
scenarios:
  - id: short
    scenario: pause-shop
    matrix: {outage: [100ms, 300ms]}
    with: {outage: "${{ matrix.outage }}"}
  - {id: after, scenario: needy, needs: [short]}
"""


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


@pytest.fixture
def settings(open_shop: Shop) -> Settings:
    """Settings with a folder of definitions in which there is the template."""
    folder = open_shop.terminal.place / "library"
    folder.mkdir(exist_ok=True)
    (folder / "any-name.yaml").write_text(PAUSE)
    return Settings(home=open_shop.terminal.home, library=(folder,))


def beside(**texts: str) -> Shelf:
    parts = (Part(name=name, file=f"{name}.yaml", text=text) for name, text in texts.items())
    return Shelf(parts=tuple(parts))


async def test_a_suite_runs_its_scenarios_in_order_and_all_of_it_is_there_afterwards(
    open_shop: Shop, settings: Settings
) -> None:
    followed: list[EntryResult] = []
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        library = beside(**{"pause-shop": SHOP, "needy": NEEDY})
        suite = await coordinator.create_suite(NIGHTLY, file="nightly.yaml", library=library)
        run = await coordinator.execute_suite(suite, requested_by="ann")
        with anyio.fail_after(PATIENCE_S):
            followed = [entry async for entry in coordinator.follow_suite(run)]
        result = await coordinator.suite_result(run)
    async with open_coordinator(Settings(home=settings.home)) as later:
        records = await later.list_executions(suite=run)
        suites = await later.list_scenarios(DefinitionFilter(kind=DocumentKind.SUITE))
        of_shop = await later.list_scenarios(
            DefinitionFilter(service="shop", tag="pause", owner="shop-keepers")
        )
        whole = await later.export_scenario(of_shop[0].id, resolved=True)

    assert result.verdict is Verdict.HELD
    assert [entry.id for entry in result.entries] == ["short.1", "short.2", "after"]
    assert len(followed) == 6
    assert {record.id for record in records} == {entry.execution for entry in result.entries}
    assert [each.id for each in suites] == [suite]
    assert [each.name for each in of_shop] == ["pause-shop"]
    assert [part.name for part in of_shop[0].parts] == ["pause"]
    assert "service.pause" in whole
    assert not open_shop.trouble()


async def test_what_must_run_first_is_refused_or_run(open_shop: Shop, tmp_path: Path) -> None:
    settings = Settings(home=open_shop.terminal.home, library=(tmp_path,))
    (tmp_path / "first.yaml").write_text(open_shop.scenario("first").read_text())
    needy = NEEDY.replace("needy", "impatient").replace("pause-shop", "first")
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        identity = await coordinator.create_scenario(needy)
        with pytest.raises(DependencyNotMetError, match=r"'first'.*has never ended"):
            await coordinator.execute_scenario(identity)
        with anyio.fail_after(PATIENCE_S):
            execution = await coordinator.execute_scenario(identity, with_dependencies=True)
            ended = await coordinator.execution_result(execution)
        second, first = await coordinator.list_executions(limit=2)

    assert ended.verdict is Verdict.HELD
    assert (first.scenario_name, first.verdict) == ("first", Verdict.HELD)
    assert (second.id, second.scenario_name) == (execution, "impatient")


async def test_versions_are_compared_deprecated_and_restored(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("changing").read_text()
    async with open_coordinator(settings) as coordinator:
        await coordinator.create_scenario(text)
        await coordinator.create_scenario(text.replace("default: 300ms", "default: 400ms"))
        with pytest.raises(DefinitionKindError):
            await coordinator.create_template(text.replace("scenario:", "template:", 1))
        found = await coordinator.diff_versions("changing", 1, 2)
        await coordinator.deprecate_scenario("changing", reason="replaced by other")
        hidden = await coordinator.list_scenarios(DefinitionFilter(name_part="changing"))
        first, *_ = await coordinator.scenario_versions("changing")
        await coordinator.create_scenario(text)
        shown = await coordinator.list_scenarios(DefinitionFilter(name_part="changing"))

    (change,) = found.changes
    assert str(change) == "parameters.outage.default: '300ms' -> '400ms'"
    assert hidden == []
    assert first.deprecated_because == "replaced by other"
    assert [(each.version, each.deprecated_at) for each in shown] == [(3, None)]


async def test_a_suite_that_is_aborted_leaves_no_fault_behind(
    open_shop: Shop, settings: Settings
) -> None:
    text = NIGHTLY.replace("[100ms, 300ms]", "[5m, 6m]").replace("concurrency: 2\n", "")
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        library = beside(**{"pause-shop": SHOP, "needy": NEEDY})
        suite = await coordinator.create_suite(text, library=library)
        run = await coordinator.execute_suite(suite)
        with anyio.fail_after(PATIENCE_S):
            while not open_shop.trouble():  # noqa: ASYNC110  the fault is in another process
                await anyio.sleep(0.1)
            await coordinator.abort_suite(run, reason="enough", by="ann")
            result = await coordinator.suite_result(run)

    assert result.verdict is Verdict.STOPPED
    assert [entry.verdict for entry in result.entries] == [Verdict.STOPPED, None, None]
    assert [bool(entry.why) for entry in result.entries] == [False, True, True]
    assert not open_shop.trouble()
