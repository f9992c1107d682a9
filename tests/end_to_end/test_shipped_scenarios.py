"""The shipped library on the real trading system: what must hold holds, what must break breaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from support.e2e_terminal import ROOT
from support.e2e_trading import Trading, trading_system
from test_coordination import Coordinator, Finding, Settings, Verdict, open_coordinator

pytestmark = pytest.mark.timeout(300)

SHIPPED = ROOT / "scenarios"
SUITE = SHIPPED / "trading-day.yaml"
# What makes each of them short; a scenario is given those of its own.
QUICKLY = {
    "audit_every": "250ms",
    "back_for": "100ms",
    "lasting": "300ms",
    "outage": "300ms",
    "pause": "100ms",
    "rate": "20",
    "rise": "400ms",
    "settle": "100ms",
    "stay": "100ms",
    "warm_up": "100ms",
}
BY_THE_SUITE = {
    "baseline",
    "database-stopped",
    "exchange-killed-under-load",
    "exchange-restart-under-load",
    "redis-killed",
}
ALONE = sorted(path.stem for path in SHIPPED.glob("*.yaml") if path != SUITE)
TEMPLATES: Mapping[str, Mapping[str, object]] = {
    "crash-loop": {"service": "risk-monitor", "times": 2},
    "rolling-restart": {"services": ["auditor", "risk-monitor"], "between": "100ms"},
    "service-kill": {"service": "custodian"},
    "service-pause": {"service": "trading-engine"},
    "service-restart": {"service": "auditor"},
    "service-stop": {"service": "load-generator"},
    "slow-link": {"service": "exchange", "client": "load-generator"},
    "slow-link-ramp": {"service": "custodian", "client": "trading-engine"},
    "trading-under-load": {},
}
# What the fragile build breaks at, and the check that finds it. An order that is lost stays so,
# and nothing begins on a system that has lost one: that comes last.
BREAKING = {
    "exchange-slow-for-clients": ("none-doubled", {"outage": "4s"}),
    "exchange-killed-under-load": ("none-lost", {"outage": "1s"}),
}
HARD = {"rate": "100", "settle": "2s", "patience": "1s"}


@pytest.fixture(scope="module")
def trading() -> Iterator[Trading]:
    with trading_system() as lent:
        yield lent


@pytest.fixture(scope="module")
async def coordinator(trading: Trading) -> AsyncIterator[Coordinator]:
    settings = Settings(home=trading.terminal.home)
    async with open_coordinator(settings, topology=trading.topology) as lent:
        yield lent


async def _trouble(
    coordinator: Coordinator, text: str, *, given: Mapping[str, str] | None = None
) -> list[str]:
    """Run a scenario as quickly as it can be; return what did not hold."""
    scenario = await coordinator.create_scenario(text, file="shipped.yaml")
    known = (await coordinator.plan_scenario(text)).parameters
    quick = {name: value for name, value in QUICKLY.items() if name in known}
    execution = await coordinator.execute_scenario(scenario, quick | dict(given or {}))
    ended = await coordinator.execution_result(execution)
    report = await coordinator.generate_test_report(execution)
    assert not report.residue
    if ended.verdict is Verdict.HELD:
        return []
    bad = (each.check for each in report.validations if each.finding is not Finding.HELD)
    return [str(ended.verdict), *bad]


def _shipped(name: str) -> str:
    return (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in ALONE if name not in BY_THE_SUITE])
async def test_a_shipped_scenario_holds_on_the_careful_build(
    coordinator: Coordinator, name: str
) -> None:
    assert await _trouble(coordinator, _shipped(name)) == []


async def test_two_shipped_scenarios_that_hit_the_same_service_wait_for_each_other(
    coordinator: Coordinator,
) -> None:
    executions = []
    for name in ("exchange-pause-under-load", "exchange-slow-for-clients"):
        text = _shipped(name)
        scenario = await coordinator.create_scenario(text, file=f"{name}.yaml")
        known = (await coordinator.plan_scenario(text)).parameters
        quick = {name: value for name, value in QUICKLY.items() if name in known}
        executions.append(await coordinator.execute_scenario(scenario, quick))

    ends = [await coordinator.execution_result(each) for each in executions]

    assert [end.verdict for end in ends] == [Verdict.HELD, Verdict.HELD]
    first, second = ends
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at <= second.started_at


async def test_the_shipped_suite_holds_on_the_careful_build(coordinator: Coordinator) -> None:
    text = SUITE.read_text(encoding="utf-8")
    suite = await coordinator.create_suite(text, file=str(SUITE))
    run = await coordinator.execute_suite(
        suite,
        {"rate": "20", "calm": "100ms", "restarts": ("200ms", "300ms"), "outage": "300ms"},
    )
    result = await coordinator.suite_result(run)

    assert {entry.scenario for entry in result.entries} == BY_THE_SUITE
    assert result.verdict is Verdict.HELD, result


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("templates/*.yaml")))
async def test_a_scenario_that_extends_a_shipped_template_holds(
    coordinator: Coordinator, name: str
) -> None:
    own = json.dumps(TEMPLATES[name])
    text = f"scenario: by-{name}\nversion: 1\nextends: {name}\nparameters: {own}\n"

    assert await _trouble(coordinator, text) == []


async def test_the_fragile_build_breaks_where_it_is_said_to() -> None:
    with trading_system(build="fragile") as trading:
        settings = Settings(home=trading.terminal.home)
        async with open_coordinator(settings, topology=trading.topology) as coordinator:
            for name, (check, given) in BREAKING.items():
                trouble = await _trouble(coordinator, _shipped(name), given=given | HARD)

                assert trouble[:1] == ["broken"], (name, trouble)
                assert check in trouble, (name, trouble)
