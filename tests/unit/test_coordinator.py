"""The domain API: what callers see, and how it begins and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import since, virtual
from test_coordination.application.coordinator import coordinating
from test_coordination.application.engine.sweep import Swept
from test_coordination.application.executions import NotRunningHereError
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.errors import InvalidDocumentError, StoreUnavailableError
from test_coordination.domain.events import Entry, ExecutionTakenOver, Noted, StepStarted
from test_coordination.domain.evidence import Verdict
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
        plan = coordinator.plan_scenario(CUT)
        listed = await coordinator.list_executions()

    assert plan.topology == coordinator.topology.name == "lab"
    assert listed == []
    assert lab.kit.off.tries.total() == 0


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
            coordinator.plan_scenario(CUT)
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
    assert anyio.current_time() == 3.0


@virtual
async def test_what_another_coordinator_runs_is_followed_and_awaited_but_not_stopped() -> None:
    lab = Lab()
    async with lab.coordinator() as one, lab.coordinator() as other:
        execution = await start(one, SHORT)
        with pytest.raises(NotRunningHereError, match="is not run by this process"):
            await other.abort_execution(execution, reason="enough", by="bob")
        ended = await other.execution_result(execution)
        await other.abort_execution(execution, reason="too late", by="bob")
        with pytest.raises(NotFoundError):
            await other.abort_execution(NOBODY, reason="", by="bob")

    assert ended.status is Status.FINISHED
    assert ended.abort is None


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
        with pytest.raises(NotRunningHereError):
            await coordinator.abort_execution(execution, reason="", by="ann")
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
    await lab.workers.claim(execution, by=worker.id, held_by=state.worker)
    event = ExecutionTakenOver(worker=worker.id, reason="it was silent")
    entry = Entry(position=state.position + 1, at=lab.clock.now(), event=event)
    after = state.apply(entry)
    await lab.log.append([entry], leading_to=after)
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

    assert undone == [pytest.approx(40.0)]


@virtual
async def test_what_was_sampled_until_an_execution_was_cut_off_is_kept() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT + "\n" + PROBE)
        await until(10.2)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await coordinator.abort_execution(execution, reason="now", by="ann")
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)
        kept = await lab.evidence.samples(execution)

    assert [since(sample.at) for sample in kept] == list(range(41))


@virtual
async def test_closing_with_the_store_away_undoes_everything_and_ends_in_bounded_time() -> None:
    lab = Lab()
    two = CUT.replace("shop", "bank").replace("story", "other").replace("switch.off", "switch.slow")
    async with lab.coordinator() as coordinator:
        await start(coordinator, CUT)
        await start(coordinator, two)
        await until(10)
        lab.log.away = True

    assert lab.kit.board.in_force == []
    assert anyio.current_time() <= 50


@virtual
async def test_what_the_body_raises_comes_out_as_it_is() -> None:
    lab = Lab()

    async def body(error: BaseException) -> None:
        async with lab.coordinator() as coordinator:
            await start(coordinator, CUT)
            await anyio.sleep(1)
            raise error

    for error in (KeyError("mine"), NotFoundError(kind="x", identity="y"), SystemExit(3)):
        with pytest.raises(type(error)) as raised:
            await body(error)

        assert raised.value is error
    assert lab.kit.board.in_force == []
    assert await lab.workers.all() == []


@virtual
async def test_ctrl_c_ends_executions_in_order_and_says_goodbye() -> None:
    lab, lent = Lab(), anyio.Event()

    async def program() -> None:
        async with lab.coordinator() as coordinator:
            await start(coordinator, CUT)
            lent.set()
            await anyio.sleep_forever()

    task = asyncio.create_task(program())
    await lent.wait()
    await anyio.sleep(5)
    task.cancel()  # what asyncio does to the main task at the first Ctrl-C
    with pytest.raises(asyncio.CancelledError):
        await task

    ended = await lab.state(await lab.newest())
    assert ended.verdict is Verdict.STOPPED
    assert ended.outstanding == ()
    assert lab.kit.board.times("revert") == [5.0]
    assert await lab.workers.all() == []


@virtual
async def test_a_worker_beats_while_it_works_and_goes_on_after_the_store_was_away() -> None:
    lab, beats = Lab(), list[float]()
    beat = lab.workers.beat

    async def counted(*args: object, **kwargs: object) -> None:
        beats.append(anyio.current_time())
        if 3 < anyio.current_time() < 7:
            raise StoreUnavailableError(store="the store", doing="beating")
        await beat(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    lab.workers.beat = counted  # type: ignore[method-assign]  # it beats as before, and counts
    async with lab.coordinator():
        await until(9)

    assert beats == [0, 2, 4, 6, 8]


@virtual
async def test_a_store_that_cannot_be_said_goodbye_to_hides_nothing() -> None:
    lab = Lab()

    async def refuse(worker: WorkerId) -> None:
        del worker
        raise StoreUnavailableError(store="the store", doing="leaving")

    lab.workers.leave = refuse  # type: ignore[method-assign]  # a store that is away
    async with lab.coordinator() as coordinator:
        ended = await coordinator.execution_result(await start(coordinator, SHORT))

    assert ended.status is Status.FINISHED


@virtual
async def test_a_store_that_is_away_at_the_start_is_said_in_our_words_and_the_worker_leaves() -> (
    None
):
    lab = Lab()
    lab.log.away = True

    with pytest.raises(StoreUnavailableError):
        async with lab.coordinator():
            pytest.fail("it must not be lent")

    assert await lab.workers.all() == []


@virtual
async def test_an_execution_that_could_not_be_begun_is_ended_by_the_next_sweep() -> None:
    lab = Lab()

    async def refuse(_: Sequence[Entry]) -> None:
        raise StoreUnavailableError(store="the store", doing="beginning")

    lab.log.before = refuse
    async with lab.coordinator() as coordinator:
        with pytest.raises(StoreUnavailableError):
            await start(coordinator, CUT)
        lab.log.before = None
        await anyio.sleep(6)
        (record,) = await coordinator.list_executions(limit=5)

    assert record.status is Status.FINISHED
    assert lab.kit.off.tries.total() == 0


@virtual
async def test_a_bug_in_the_engine_ends_one_execution_and_not_those_beside_it() -> None:
    lab = Lab()

    async def broken(entries: Sequence[Entry]) -> None:
        if isinstance(event := entries[0].event, StepStarted) and event.step == "more":
            raise ZeroDivisionError("ours")

    lab.log.before = broken
    text = CUT.replace("story", "sick").replace(
        "100s}", "100s, needs: []}, {id: w, wait: 1s, needs: []}, {id: more, wait: 1s}"
    )
    async with lab.coordinator() as coordinator:
        sound = await start(coordinator, SHORT)
        sick = await start(coordinator, text)
        with pytest.raises(ZeroDivisionError, match="ours"):
            await coordinator.execution_result(sick)
        undone = lab.kit.board.times("revert")
        ended = await coordinator.execution_result(sound)
        await until(6)
        swept = await lab.state(sick)

    assert undone == [1.0]
    assert ended.verdict is Verdict.INCONCLUSIVE
    assert swept.verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_trouble_of_the_live_view_is_noted_once() -> None:
    lab = Lab()
    lab.live.said = "Redis is away"

    await lab.run(document("steps: [{wait: 1s}, {wait: 1s}]"))

    notes = [e for e in await lab.logged(await lab.newest()) if isinstance(e, Noted)]
    assert [note.text for note in notes] == ["Redis is away"]


@virtual
async def test_each_sweep_that_meets_a_store_away_is_followed_by_the_next() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        lab.log.away = True
        await until(12)
        lab.log.away = False
        swept: Sequence[Swept] = await coordinator.undo_faults()

    assert swept == []
