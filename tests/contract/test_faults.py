"""What every fault promises, each on a real service with a real client beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from support.target_faults import fault_of
from support.target_systems import answers, link, server, system
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.adapters.targets.system import ProcessSystem
from test_coordination.application.capabilities import (
    Fault,
    FaultFailedError,
    ServiceState,
    ServiceStatus,
    TargetGoneError,
)
from test_coordination.domain.topology import Service, Topology
from test_coordination.domain.values import Receipt, ServiceName

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EXCHANGE = ServiceName("exchange")
PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "service.stop": {"grace": "2s"},
    "service.kill": {},
    "service.pause": {},
    "service.restart": {"grace": "2s"},
    "latency": {"delay": "300ms"},
}
ON_PROCESSES = ("service.stop", "service.kill", "service.pause", "service.restart")
DELAYED_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A running exchange behind a link, and the fault to be put on it."""

    fault: Fault
    topology: Topology
    exchange: Service
    services: ProcessServices
    before: ServiceState

    @property
    def handle(self) -> str:
        return self.services.locate(self.topology, EXCHANGE)

    async def arm(self) -> Receipt:
        return await self.fault.arm(self.topology, EXCHANGE, PARAMETERS[self.fault.kind])

    async def observe(self) -> ServiceState:
        return await self.services.observe(self.handle)

    def served_well(self) -> bool:
        """Tell whether a client on the far side of the link is served, and soon."""
        began = time.monotonic()
        served = answers(self.topology.links["to-exchange"].listen)
        return served and time.monotonic() - began < DELAYED_S


@pytest.fixture(params=PARAMETERS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Bench]:
    exchange = server("exchange", "--children", "1")
    topology = system(tmp_path, exchange, links=(link("to-exchange", "engine", exchange),))
    services = ProcessServices()
    world = ProcessSystem(services)
    await world.up(topology)
    try:
        async with LinkKeeper().opened() as links:
            yield Bench(
                fault=fault_of(request.param, links),
                topology=topology,
                exchange=exchange,
                services=services,
                before=await services.observe(services.locate(topology, EXCHANGE)),
            )
    finally:
        await world.down(topology)


async def in_a_task_of_its_own(do: Callable[[], Coroutine[object, object, None]]) -> None:
    """Do it as the engine does: the task that injects is over before another one reverts."""
    async with anyio.create_task_group() as group:
        group.start_soon(do)


def revert_elsewhere(kind: str, receipt: Receipt) -> str:
    program = ROOT / "tests/support/target_revert.py"
    done = subprocess.run(
        [sys.executable, str(program), kind, receipt],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_arming_changes_nothing_and_gives_a_receipt_of_json(bench: Bench) -> None:
    receipt = await bench.arm()

    assert json.dumps(json.loads(receipt)) == receipt
    assert await bench.observe() == bench.before
    assert bench.served_well()


async def test_a_client_sees_the_fault_bite_and_sees_it_gone(bench: Bench) -> None:
    receipt = await bench.arm()

    injected: dict[str, object] = {}
    reverted: dict[str, object] = {}

    async def inject() -> None:
        injected.update(await bench.fault.inject(receipt))

    async def revert() -> None:
        reverted.update(await bench.fault.revert(receipt))

    await in_a_task_of_its_own(inject)
    during = bench.served_well()
    await in_a_task_of_its_own(revert)

    # A restart is over when it is injected: it shows in the process, not in the service.
    if bench.fault.kind == "service.restart":
        assert injected["pid"] == bench.before.pid != injected["pid_after"]
    else:
        assert not during
    assert bench.served_well()
    assert json.loads(json.dumps([injected, reverted])) == [injected, reverted]


async def test_reverting_twice_is_reverting_once(bench: Bench) -> None:
    receipt = await bench.arm()
    await bench.fault.inject(receipt)

    await bench.fault.revert(receipt)
    once = await bench.observe()
    await bench.fault.revert(receipt)

    assert await bench.observe() == once
    assert bench.served_well()


async def test_reverting_what_was_never_injected_changes_nothing(bench: Bench) -> None:
    receipt = await bench.arm()

    await bench.fault.revert(receipt)

    assert await bench.observe() == bench.before
    assert bench.served_well()


async def test_another_process_can_revert_it(bench: Bench) -> None:
    receipt = await bench.arm()
    await bench.fault.inject(receipt)

    revert_elsewhere(bench.fault.kind, receipt)

    assert bench.served_well()
    assert (await bench.observe()).healthy


async def test_it_can_be_injected_again_after_it_was_reverted(bench: Bench) -> None:
    for _ in range(2):
        receipt = await bench.arm()
        await bench.fault.inject(receipt)
        await bench.fault.revert(receipt)

    assert bench.served_well()


async def test_a_wrong_parameter_is_a_problem_before_and_an_error_when_armed(
    bench: Bench,
) -> None:
    wrong = {**PARAMETERS[bench.fault.kind], "dely": "5s"}

    problems = bench.fault.problems(wrong)
    with pytest.raises(FaultFailedError, match="no parameter is named 'dely'"):
        await bench.fault.arm(bench.topology, EXCHANGE, wrong)

    assert bench.fault.problems(PARAMETERS[bench.fault.kind]) == []
    assert [problem.path for problem in problems] == [("dely",)]


@pytest.mark.parametrize("bench", ON_PROCESSES, indirect=True)
async def test_a_service_that_does_not_run_cannot_be_armed(bench: Bench) -> None:
    await bench.services.kill(bench.handle)

    with pytest.raises(TargetGoneError):
        await bench.arm()

    assert (await bench.observe()).status is ServiceStatus.STOPPED


@pytest.mark.parametrize("bench", ON_PROCESSES, indirect=True)
async def test_a_process_that_only_has_the_armed_pid_is_never_touched(bench: Bench) -> None:
    facts = json.loads(await bench.arm())
    boot, ticks = facts["born"].split(":")
    another = Receipt(json.dumps({**facts, "born": f"{boot}:{int(ticks) - 1}"}))

    with pytest.raises(TargetGoneError):
        await bench.fault.inject(another)
    await bench.fault.revert(another)

    assert await bench.observe() == bench.before


@pytest.mark.parametrize("bench", ON_PROCESSES, indirect=True)
async def test_a_service_that_somebody_else_restarted_meanwhile_is_left_alone(
    bench: Bench,
) -> None:
    receipt = await bench.arm()
    await bench.fault.inject(receipt)
    await bench.services.stop(bench.handle, grace=timedelta(seconds=2))
    theirs = await bench.services.start(bench.handle)

    facts = await bench.fault.revert(receipt)

    assert await bench.observe() == theirs
    assert facts["replaced"] is True


@pytest.mark.parametrize("bench", ["service.pause"], indirect=True)
async def test_a_pause_that_broke_off_half_way_is_undone(bench: Bench) -> None:
    receipt = await bench.arm()
    await bench.fault.inject(receipt)
    assert bench.before.pid is not None
    os.kill(bench.before.pid, signal.SIGCONT)
    await anyio.sleep(0.05)

    await bench.fault.revert(receipt)

    children = Path(f"/proc/{bench.before.pid}/task/{bench.before.pid}/children").read_text()
    states = [Path(f"/proc/{pid}/stat").read_text().split()[2] for pid in children.split()]
    assert states == ["S"]


@pytest.mark.parametrize("bench", ["service.stop", "service.kill"], indirect=True)
async def test_a_service_that_does_not_come_back_is_told_and_can_be_tried_again(
    bench: Bench,
) -> None:
    receipt = await bench.arm()
    await bench.fault.inject(receipt)
    record = json.loads(Path(bench.handle).read_text())
    command = record["specification"]["command"]
    broken = {**record, "specification": {**record["specification"], "command": ["/bin/false"]}}
    Path(bench.handle).write_text(json.dumps(broken))

    with pytest.raises(FaultFailedError, match="it ended with 1"):
        await bench.fault.revert(receipt)
    launched = json.loads(Path(bench.handle).read_text())
    launched["specification"]["command"] = command
    Path(bench.handle).write_text(json.dumps(launched))
    await bench.fault.revert(receipt)

    assert bench.served_well()


@pytest.mark.parametrize("bench", ["latency"], indirect=True)
async def test_what_goes_over_the_link_is_late_both_ways_and_other_ways_are_not(
    bench: Bench,
) -> None:
    receipt = await bench.arm()
    await bench.fault.inject(receipt)

    began = time.monotonic()
    through = answers(bench.topology.links["to-exchange"].listen, limit_s=5)
    took_s = time.monotonic() - began
    began = time.monotonic()
    direct = answers(bench.exchange.ports["http"])

    assert through
    assert took_s >= 2 * DELAYED_S
    assert direct
    assert time.monotonic() - began < DELAYED_S


@pytest.mark.parametrize("bench", ["latency"], indirect=True)
@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ({"link": "to-exchnge"}, "did you mean 'to-exchange'?"),
        ({"from": "custodian"}, "no link leads to it from 'custodian'"),
    ],
)
async def test_a_link_that_is_not_there_is_named(
    bench: Bench, chosen: Mapping[str, object], complaint: str
) -> None:
    with pytest.raises(FaultFailedError) as refused:
        await bench.fault.arm(bench.topology, EXCHANGE, {"delay": "1s", **chosen})

    assert complaint in str(refused.value)


@pytest.mark.parametrize("bench", ["latency"], indirect=True)
async def test_links_that_do_not_run_are_told_when_injected_and_clean_when_reverted(
    bench: Bench,
) -> None:
    receipt = await bench.arm()
    await ProcessSystem(bench.services).down(bench.topology)

    with pytest.raises(FaultFailedError, match="no answer from the links"):
        await bench.fault.inject(receipt)
    await bench.fault.revert(receipt)
