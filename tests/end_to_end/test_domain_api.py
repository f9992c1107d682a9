"""The domain API as a program of somebody else uses it, on real servers and services."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import anyio
import pytest

from support.e2e_log import is_gapless
from support.e2e_shop import BROKEN, Shop, shop
from test_coordination import (
    Coordinator,
    ExecutionId,
    Finding,
    InvalidDocumentError,
    Settings,
    SnapshotId,
    Verdict,
    open_coordinator,
)
from test_coordination.application.ports import NotFoundError
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.errors import Mark
from test_coordination.domain.events import Entry, ExecutionEnded, ExecutionStarted, FaultInjected
from test_coordination.domain.execution import Status
from test_coordination.domain.expressions import Expression
from test_coordination.domain.topology import Invariant, UnknownServiceError
from test_coordination.domain.values import CheckId, ScenarioId

pytestmark = pytest.mark.timeout(300)

PATIENCE_S = 100.0
NOBODY = UUID(int=7)


@pytest.fixture(scope="module")
def open_shop() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


@pytest.fixture
def settings(open_shop: Shop) -> Settings:
    return Settings(home=open_shop.terminal.home)


async def _followed(coordinator: Coordinator, execution: ExecutionId, after: int) -> list[Entry]:
    with anyio.fail_after(PATIENCE_S):
        return [entry async for entry in coordinator.follow_execution(execution, after=after)]


async def test_a_program_runs_a_scenario_watches_it_and_reads_its_report(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("api").read_text()
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        scenario = await coordinator.create_scenario(text)
        execution = await coordinator.execute_scenario(scenario, {"outage": "200ms"})
        entries = await _followed(coordinator, execution, 0)
        report = await coordinator.generate_test_report(execution)

    assert isinstance(entries[0].event, ExecutionStarted)
    assert isinstance(entries[-1].event, ExecutionEnded)
    assert is_gapless(entries)
    assert report.log == tuple(entries)
    assert (report.verdict, report.residue) == (Verdict.HELD, ())
    assert report.parameters["outage"]
    assert report.source == text


async def test_an_execution_is_followed_from_any_position_also_when_it_has_ended(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("followed").read_text()
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        scenario = await coordinator.create_scenario(text)
        execution = await coordinator.execute_scenario(scenario)
        live = await _followed(coordinator, execution, 3)
        again = await _followed(coordinator, execution, 0)
        ended = await coordinator.execution_result(execution)

    assert [entry.position for entry in live] == list(range(4, len(again) + 1))
    assert live == again[3:]
    assert (ended.status, ended.verdict, ended.outstanding) == (Status.FINISHED, Verdict.HELD, ())


async def test_the_same_text_is_the_same_scenario_and_a_changed_one_its_next_version(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("versions").read_text()
    changed = open_shop.scenario("versions", expect=BROKEN).read_text()
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        first = await coordinator.create_scenario(text)
        again = await coordinator.create_scenario(text)
        second = await coordinator.create_scenario(changed)
        stored = [await coordinator.stored_scenario(each) for each in (first, second)]

    assert first == again != second
    assert [each.version for each in stored] == [1, 2]
    assert {each.name for each in stored} == {"versions"}


async def test_three_executions_at_once_each_come_to_a_verdict_of_their_own(
    open_shop: Shop, settings: Settings
) -> None:
    texts = [
        open_shop.scenario("one").read_text(),
        open_shop.scenario("two", target="till").read_text(),
        open_shop.scenario(
            "three", target="desk", fault="service.kill", expect=BROKEN, within="1s"
        ).read_text(),
    ]
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        scenarios = [await coordinator.create_scenario(text) for text in texts]
        executions = [await coordinator.execute_scenario(each) for each in scenarios]
        ended = [await coordinator.execution_result(each) for each in executions]

    assert len(set(executions)) == 3
    assert [each.verdict for each in ended] == [Verdict.HELD, Verdict.HELD, Verdict.BROKEN]
    assert not any(each.outstanding for each in ended)
    assert not open_shop.trouble()
    assert not open_shop.trouble("till")


async def test_a_snapshot_is_judged_by_the_invariants_and_by_what_is_expected_of_it(
    open_shop: Shop, settings: Settings
) -> None:
    sold_out = Invariant(
        id=CheckId("sold-out"),
        expression=Expression(text="services.shop.stock.items == 0", mark=Mark("<test>", 1, 1)),
    )
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        snapshot = await coordinator.capture_system_state(["shop"])
        held = await coordinator.validate_system_state(snapshot)
        broken = await coordinator.validate_system_state(snapshot, [sold_out])
        whole = await coordinator.capture_system_state()
        of_all = await coordinator.validate_system_state(whole)

    assert (held.snapshot, held.verdict) == (snapshot, Verdict.HELD)
    assert [each.check for each in held.validations] == ["in-stock"]
    assert broken.verdict is Verdict.BROKEN
    assert [each.finding for each in broken.validations] == [Finding.BROKEN]
    assert "observed 7" in broken.validations[0].reason
    assert of_all.verdict is Verdict.HELD


async def test_mistakes_come_as_they_are_and_not_in_groups(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("mistakes").read_text()
    async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
        with pytest.raises(InvalidDocumentError) as invalid:
            await coordinator.create_scenario(text.replace("service.pause", "service.puase"))
        scenario = await coordinator.create_scenario(text)
        with pytest.raises(InvalidDocumentError):
            await coordinator.execute_scenario(scenario, {"outgae": "1s"})
        with pytest.raises(UnknownServiceError):
            await coordinator.capture_system_state(["shpo"])
        with pytest.raises(NotFoundError):
            await coordinator.execute_scenario(ScenarioId(NOBODY))
        with pytest.raises(NotFoundError):
            await coordinator.generate_test_report(ExecutionId(NOBODY))
        with pytest.raises(NotFoundError):
            await coordinator.validate_system_state(SnapshotId(NOBODY))
        with pytest.raises(NotFoundError):
            await _followed(coordinator, ExecutionId(NOBODY), 0)

    assert "did you mean 'service.pause'?" in str(invalid.value)


async def test_an_error_of_the_program_itself_comes_through_and_leaves_no_fault(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("left").read_text()
    executions: list[ExecutionId] = []

    async def break_off() -> None:
        async with open_coordinator(settings, topology=open_shop.topology) as coordinator:
            scenario = await coordinator.create_scenario(text)
            executions.append(await coordinator.execute_scenario(scenario, {"outage": "5m"}))
            async for entry in coordinator.follow_execution(executions[0]):
                assert not isinstance(entry.event, FaultInjected), "on purpose"

    with pytest.raises(AssertionError, match="on purpose"):
        await break_off()
    trouble = open_shop.trouble()
    async with open_coordinator(settings) as coordinator:
        ended = await coordinator.execution_result(executions[0])

    assert not trouble
    assert (ended.verdict, ended.outstanding) == (Verdict.STOPPED, ())
    assert coordinator.swept == []


async def test_without_a_system_under_test_what_was_run_can_be_read_and_nothing_broken(
    open_shop: Shop, settings: Settings
) -> None:
    text = open_shop.scenario("read").read_text()
    async with open_coordinator(settings) as coordinator:
        scenario = await coordinator.create_scenario(text)
        with pytest.raises(NoTopologyError):
            await coordinator.execute_scenario(scenario)
        with pytest.raises(NoTopologyError):
            await coordinator.capture_system_state()
        records = await coordinator.list_executions(limit=1)

    assert len(records) == 1
