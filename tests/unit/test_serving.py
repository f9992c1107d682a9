"""Workers of the fleet: what they take, what keeps them from it, and how they end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import anyio

from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.fleet import NOBODY, Advert, Handled, Service
from test_coordination.application.lending import coordinating
from test_coordination.application.routing import offered
from test_coordination.application.serving import (
    HELD_PATIENCE,
    FleetWorker,
    Load,
    Machinery,
    Terms,
)
from test_coordination.domain.events import Entry, ExecutionStarted
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId
from test_coordination.domain.verdicts import Verdict

SHORT = document("steps: [{id: w, wait: 3s}]")
Value = TypeVar("Value")

LONG = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]", name="long")


@dataclass(slots=True)
class Heard:
    """What a worker told, in short."""

    lines: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    taken_at: list[float] = field(default_factory=list)
    verdicts: list[Verdict | None] = field(default_factory=list)

    def taken(self, execution: ExecutionId, scenario: str) -> None:
        del execution
        self.lines.append(f"taken {scenario}")
        self.taken_at.append(anyio.current_time())

    def ended(self, execution: ExecutionId, scenario: str, end: Execution) -> None:
        del execution
        self.lines.append(f"ended {scenario}")
        self.verdicts.append(end.verdict)

    def given_back(self, execution: ExecutionId, scenario: str, reason: str) -> None:
        del execution
        self.lines.append(f"back {scenario}".strip())
        self.reasons.append(reason)

    def draining(self, executions: int, limit: timedelta) -> None:
        self.lines.append(f"draining {executions} {limit.total_seconds():g}")


@dataclass(slots=True)
class Hired:
    """A worker at work; what it is told, and what it tells."""

    worker: FleetWorker
    coordinator: Coordinator
    heard: Heard
    stopping: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)


def until_then(moment_s: float, before: Value, after: Value) -> Callable[[], Value]:
    """Return what gives ``before`` until that second of the test, and then ``after``."""
    return lambda: before if anyio.current_time() < moment_s else after


@asynccontextmanager
async def hired(
    lab: Lab,
    load: Load | None = None,
    *,
    memory: Callable[[], int] = lambda: 1,
    behind: Callable[[], timedelta] = timedelta,
) -> AsyncGenerator[Hired]:
    world = lab.world()
    load = load or Load()
    async with coordinating(world) as coordinator, anyio.create_task_group() as group:
        terms = Terms(
            program="1", offers=offered(world.catalogue, world.system, load.labels), load=load
        )
        machinery = Machinery(
            log=lab.log,
            executions=coordinator.work.executions,
            dispatch=world.dispatch,
            memory=memory,
            behind=behind,
        )
        heard = Heard()
        worker = FleetWorker(
            me=coordinator.work.me, terms=terms, machinery=machinery, witness=heard
        )
        found = Hired(worker, coordinator, heard)

        async def serve() -> None:
            await worker.serve(found.stopping)
            found.over.set()

        group.start_soon(serve)
        yield found
        group.cancel_scope.cancel()


async def ordered(
    coordinator: Coordinator, text: str = SHORT, *, labels: tuple[str, ...] = ()
) -> ExecutionId:
    scenario = await coordinator.create_scenario(text)
    return await coordinator.execute_scenario(scenario, detached=True, labels=labels)


@virtual
async def test_a_worker_carries_out_what_others_ordered() -> None:
    lab = Lab()
    async with lab.coordinator() as client, hired(lab) as one:
        execution = await ordered(client)
        end = await client.execution_result(execution)
        await until(6)

    assert (end.verdict, one.heard.verdicts) == (Verdict.INCONCLUSIVE, [Verdict.INCONCLUSIVE])
    assert one.heard.lines == ["taken story", "ended story"]
    assert one.heard.taken_at[0] < 1


@virtual
async def test_an_execution_waits_for_a_worker_with_its_labels() -> None:
    lab = Lab()
    async with lab.coordinator() as client, hired(lab) as plain:
        await ordered(client, labels=("zone=eu",))
        await until(10)
        [waiting] = await lab.queue.waiting(limit=9)
        async with hired(lab, Load(labels=("zone=eu",))) as able:
            await until(20)

    assert waiting.admitted_at is None
    assert waiting.lacks.startswith("no worker at work has label zone=eu; start one")
    assert plain.heard.lines == []
    assert able.heard.lines == ["taken story", "ended story"]


@virtual
async def test_a_worker_is_at_no_more_than_it_may_be() -> None:
    lab = Lab()
    async with lab.coordinator() as client, hired(lab, Load(executions_max=2)) as one:
        for _ in range(5):
            await ordered(client)
        await until(20)

    assert [round(at_s) for at_s in one.heard.taken_at] == [0, 0, 3, 3, 6]


@virtual
async def test_a_worker_short_of_memory_takes_no_more_until_it_has_some_again() -> None:
    lab = Lab()
    load = Load(memory_max=1000)
    short = until_then(10, 1001, 1000)
    async with lab.coordinator() as client, hired(lab, load, memory=short) as one:
        await ordered(client)
        await until(20)

    assert 10 <= one.heard.taken_at[0] < 11


@virtual
async def test_a_worker_whose_probes_are_behind_their_time_takes_no_more() -> None:
    lab = Lab()
    late = until_then(10, timedelta(seconds=2), timedelta(seconds=1))
    async with lab.coordinator() as client, hired(lab, behind=late) as one:
        await ordered(client)
        await until(20)

    assert 10 <= one.heard.taken_at[0] < 11


@virtual
async def test_a_worker_that_is_told_to_end_and_is_at_nothing_ends_at_once() -> None:
    lab = Lab()
    async with hired(lab) as one:
        one.stopping.set()
        with anyio.fail_after(0.1):
            await one.over.wait()

    assert one.heard.lines == ["draining 0 30"]


@virtual
async def test_a_worker_that_is_told_to_end_ends_what_it_is_at_and_takes_nothing_new() -> None:
    lab = Lab()
    async with lab.coordinator() as client, hired(lab) as one:
        await ordered(client)
        await until(1)
        one.stopping.set()
        await anyio.sleep(0.1)
        [shown] = [each for each in await client.workers() if each.worker.id == one.worker.me]
        late = await ordered(client)
        # So it is with what was given to it just before it said that it takes no more.
        assert await one.worker._handle(late) is Handled.AGAIN
        await one.over.wait()
        ended_s = anyio.current_time()

    assert one.heard.lines == ["taken story", "draining 1 30", "ended story"]
    assert 3 <= ended_s < 4
    assert shown.advert.draining
    assert shown.advert.executions == 1


@virtual
async def test_what_does_not_end_in_time_is_undone_and_carried_on_by_another_worker() -> None:
    lab = Lab()
    async with lab.coordinator() as client:
        async with hired(lab, Load(drain=timedelta(seconds=5))) as one:
            execution = await ordered(client, LONG)
            await until(2)
            assert lab.kit.board.in_force == ["shop"]
            one.stopping.set()
            await one.over.wait()
            left_s = anyio.current_time()
            assert lab.kit.board.in_force == []
        assert one.heard.lines == ["taken long", "draining 1 5", "back long"]
        assert 7 <= left_s < 8
        async with hired(lab) as other:
            end = await client.execution_result(execution)
            await anyio.sleep(1)

    assert other.heard.lines == ["taken long", "ended long"]
    assert end.status is Status.FINISHED
    assert end.verdict is not Verdict.HELD, "a fault was lost on the way"


async def held_by(lab: Lab, client: Coordinator, text: str) -> ExecutionId:
    """Return an execution that ``client`` is at, and that is given to others all the same."""
    execution = await ordered(client, text)
    await client.work.executions.bring_in(execution)
    lab.jobs.enqueue(await lab.log.get(execution))
    return execution


@virtual
async def test_an_execution_whose_worker_leaves_in_time_is_carried_on_without_a_word() -> None:
    lab = Lab()
    async with lab.coordinator() as onlooker, lab.coordinator() as client:
        execution = await held_by(lab, client, LONG)
        async with hired(lab) as one:
            await until(3)
            assert one.heard.lines == ["taken long"]
            await client.work.executions.let_go(execution)
            await onlooker.execution_result(execution)
            await anyio.sleep(1)

    assert one.heard.lines == ["taken long", "ended long"]


@virtual
async def test_an_execution_whose_worker_is_alive_is_left_to_it_and_looked_at_again() -> None:
    lab = Lab()
    slow = SHORT.replace("3s", "20s")
    async with lab.coordinator() as client:
        await held_by(lab, client, slow)
        async with hired(lab) as one:
            await until(HELD_PATIENCE.total_seconds() + 1)
            assert one.heard.lines == ["taken story", "back story", "taken story"]
            await until(40)

    assert "may be alive" in one.heard.reasons[0]
    assert "ended story" not in one.heard.lines
    assert one.heard.taken_at[-1] < 20


@virtual
async def test_jobs_of_what_is_unknown_attached_or_over_are_done_without_a_word() -> None:
    lab = Lab()
    async with lab.coordinator() as client:
        over = await start(client, SHORT)
        await client.execution_result(over)
        ended = await lab.log.get(over)
        attached = await lab.log.get(await start(client, SHORT.replace("3s", "9s")))
        unknown = replace(ended, id=ExecutionId(lab.identities.new()))
        for record in (ended, attached, unknown):
            lab.jobs.enqueue(record)
        async with hired(lab) as one:
            await anyio.sleep(2)
            waiting = await lab.jobs.take(service_of(one), most=9)

    assert one.heard.lines == []
    assert waiting == []


def service_of(one: Hired) -> Service:
    async def handle(execution: ExecutionId) -> Handled:
        raise AssertionError(execution)

    return Service(worker=NOBODY, offers=one.worker.terms.offers, most=lambda: 9, handle=handle)


@virtual
async def test_what_breaks_is_told_and_tried_again_and_harms_no_other() -> None:
    lab = Lab()
    broken: list[float] = []

    async def break_once(entries: Sequence[Entry]) -> None:
        if isinstance(entries[0].event, ExecutionStarted) and not broken:
            broken.append(anyio.current_time())
            raise ZeroDivisionError("by chance")

    async with lab.coordinator() as client, hired(lab) as one:
        lab.log.before = break_once
        first = await ordered(client)
        await until(2)
        second = await ordered(client)
        ends = [await client.execution_result(each) for each in (first, second)]
        await anyio.sleep(1)

    assert [end.verdict for end in ends] == [Verdict.INCONCLUSIVE] * 2
    assert one.heard.reasons == ["a bug of ours: ZeroDivisionError: by chance"]


@virtual
async def test_a_worker_says_again_and_again_how_it_fares_also_after_the_store_was_away() -> None:
    lab = Lab()
    load = Load(labels=("zone=eu",), executions_max=7, memory_max=99)
    async with lab.coordinator() as client, hired(lab, load, memory=lambda: 42) as one:
        await ordered(client)
        await until(2)
        found = {each.worker.id: each.advert for each in await client.workers()}

    assert found[client.work.me].offers is None
    assert found[one.worker.me] == Advert(
        program="1",
        offers=one.worker.terms.offers,
        executions=1,
        executions_max=7,
        memory=42,
        memory_max=99,
    )
