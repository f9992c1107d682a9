"""The domain API: what callers see, and how it begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.lending import coordinating
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.errors import InvalidDocumentError, StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionTakenOver
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.values import ExecutionId, ScenarioId, WorkerId

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")
SHORT = document("steps: [{id: w, wait: 3s}]")
NOBODY = ExecutionId(WorkerId(Lab().identities.new()))


@virtual
async def test_a_scenario_that_is_stored_again_unchanged_is_the_same_one() -> None:
    async with Lab().coordinator() as coordinator:
        first = await coordinator.create_scenario(SHORT)
        again = await coordinator.create_scenario(SHORT)
        changed = await coordinator.create_scenario(SHORT + "\ntitle: other", file="a.yaml")
        stored = await coordinator.stored_scenario(changed)

    assert first == again != changed
    assert (stored.version, stored.file, stored.name) == (2, "a.yaml", "story")


@virtual
async def test_planning_touches_and_stores_nothing() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        plan = await coordinator.plan_scenario(CUT)
        listed = await coordinator.list_executions()

    assert plan.topology == coordinator.topology.name == "lab"
    assert listed == []
    assert lab.kit.off.tries.total() == 0


@virtual
async def test_an_execution_tells_the_plan_that_it_is_carried_out_by() -> None:
    chance = document("steps: [{id: w, wait: {between: [1ms, 10s]}}]")
    async with Lab().coordinator() as coordinator:
        scenario = await coordinator.create_scenario(chance)
        execution = await coordinator.execute_scenario(scenario, seed=7)
        record = await coordinator.execution_record(execution)
        with pytest.raises(NotFoundError):
            await coordinator.execution_record(NOBODY)

        assert record.plan == await coordinator.plan_scenario(chance, seed=7)
        assert record.plan.steps != (await coordinator.plan_scenario(chance, seed=8)).steps


@virtual
async def test_a_scenario_with_mistakes_is_refused_and_not_stored() -> None:
    async with Lab().coordinator() as coordinator:
        with pytest.raises(InvalidDocumentError):
            await coordinator.create_scenario(document("steps: [{fault: nothing}]"))
        with pytest.raises(NotFoundError):
            await coordinator.execute_scenario(ScenarioId(NOBODY))


@virtual
async def test_without_a_topology_nothing_can_be_planned() -> None:
    lab = Lab()
    world = lab.world()
    bare = type(world)(
        **{name: getattr(world, name) for name in world.__dataclass_fields__ if name != "system"}
    )
    async with coordinating(bare) as coordinator:
        with pytest.raises(NoTopologyError, match="planning 'story' needs a topology"):
            await coordinator.plan_scenario(CUT)
        with pytest.raises(NoTopologyError):
            coordinator.topology  # noqa: B018  asking is the test


@virtual
async def test_parameters_that_do_not_fit_begin_nothing() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        with pytest.raises(InvalidDocumentError):
            await start(coordinator, CUT, {"unknown": 1})

        assert await coordinator.list_executions() == []


@virtual
async def test_a_duration_that_no_text_can_tell_is_used_as_it_was_given() -> None:
    lab = Lab()
    text = document(
        "parameters: {d: {type: duration, min: 500ms}}\n"
        'steps: [{id: w, wait: "${{ parameters.d }}"}]'
    )

    ended = await lab.run(text, {"d": timedelta(microseconds=500_400)})

    assert ended.status is Status.FINISHED


@virtual
async def test_an_execution_is_followed_from_any_place_to_its_end() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, SHORT)
        entries = [entry async for entry in coordinator.follow_execution(execution)]
        rest = [entry async for entry in coordinator.follow_execution(execution, after=2)]
        with pytest.raises(NotFoundError):
            await anext(aiter(coordinator.follow_execution(NOBODY)))

    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert rest == entries[2:]
    assert 3.0 <= anyio.current_time() < 3.1


@virtual
async def test_what_another_coordinator_runs_is_followed_awaited_and_stopped_all_the_same() -> None:
    lab = Lab()
    async with lab.coordinator() as one, lab.coordinator() as other:
        execution = await start(one, CUT)
        await until(5)
        await other.abort_execution(execution, reason="enough", by="bob")
        ended = await other.execution_result(execution)
        await other.abort_execution(execution, reason="too late", by="bob")
        with pytest.raises(NotFoundError):
            await other.abort_execution(NOBODY, reason="", by="bob")

    assert ended.reason == "bob stopped it: enough"
    assert lab.kit.board.times("revert") == [5.0]


@virtual
async def test_following_waits_out_a_store_that_is_away_and_gives_up_in_bounded_time() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError, match="following execution"):
            async for _ in coordinator.follow_execution(execution):
                pass
        gave_up_s = anyio.current_time()
        lab.log.away = False

    assert gave_up_s == pytest.approx(40.0)


@virtual
async def test_following_what_was_taken_over_goes_on_to_the_end_without_spinning() -> None:
    lab, reads = Lab(), 0
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, SHORT.replace("3s", "30s"))
        state = await _taken_over(lab, execution)
        with pytest.raises(LogConflictError):
            await coordinator.execution_result(execution)
        read = lab.log.read

        async def counted(execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
            nonlocal reads
            reads += 1
            return await read(execution, after=after)

        lab.log.read = counted  # type: ignore[method-assign]  # it reads as before, and counts
        assert state.worker is not None
        lab.machine.dead.add(state.worker)
        entries = [entry async for entry in coordinator.follow_execution(execution)]

    assert type(entries[-1].event).__name__ == "ExecutionEnded"
    assert reads < 50


async def _taken_over(lab: Lab, execution: ExecutionId) -> Execution:
    await until(2)
    state = await lab.state(execution)
    assert state.worker is not None
    worker = lab.machine.present(WorkerId(lab.identities.new()))
    await lab.workers.beat(worker, lease=timedelta(hours=1))
    await lab.workers.claim(execution, by=worker.id, epoch=1, from_living=True)
    event = ExecutionTakenOver(worker=worker.id, reason="it was silent")
    entry = Entry(position=state.position + 1, at=lab.clock.now(), event=event)
    after = state.apply(entry)
    await lab.log.append([entry], leading_to=after, epoch=2)
    return after


@virtual
async def test_following_does_not_spin_while_what_it_has_read_is_still_in_doubt() -> None:
    lab, reads = Lab(), 0
    read = lab.log.read

    async def counted(execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
        nonlocal reads
        reads += 1
        return await read(execution, after=after)

    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, SHORT)
        lab.log.read = counted  # type: ignore[method-assign]  # it reads as before, and counts
        lab.log.answer_s = 2
        entries = [entry async for entry in coordinator.follow_execution(execution)]

    assert type(entries[-1].event).__name__ == "ExecutionEnded"
    assert reads < 60


@virtual
async def test_stopping_twice_is_one_wish_and_stopping_at_the_last_moment_is_none() -> None:
    lab = Lab()
    lab.log.slow_s = {"ExecutionEnded": 2}
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, SHORT)
        await until(4)
        await coordinator.abort_execution(execution, reason="late", by="ann")
        ended = await coordinator.execution_result(execution)
        other = await start(coordinator, CUT)
        await anyio.sleep(1)
        for name in ("ann", "bob"):
            await coordinator.abort_execution(other, reason="enough", by=name)
        stopped = await coordinator.execution_result(other)

    assert ended.abort is None
    assert stopped.reason == "ann stopped it: enough"
    assert (await lab.log.events(other)).count("AbortRequested") == 1


@virtual
async def test_a_wish_to_stop_that_cannot_be_recorded_stops_all_the_same() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT)
        await until(10)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await coordinator.abort_execution(execution, reason="now", by="ann")
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)
        undone = lab.kit.board.times("revert")

    assert undone == [10.0]
