"""How a coordinator begins and ends, and what it survives meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from support.engine_fakes import Hang
from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import since, virtual
from test_coordination.application.engine.sweep import Swept
from test_coordination.application.ports import NotFoundError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Entry, Noted, StepStarted
from test_coordination.domain.execution import Status
from test_coordination.domain.values import StepId, WorkerId
from test_coordination.domain.verdicts import Verdict

CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 100s}]")
SHORT = document("steps: [{id: w, wait: 3s}]")


@virtual
async def test_what_was_sampled_until_an_execution_was_cut_off_is_kept() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, CUT + "\n" + PROBE.replace("1s", "100ms"))
        await until(10.2)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await coordinator.abort_execution(execution, reason="now", by="ann")
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)
        kept = await lab.evidence.samples(execution)

    assert [since(sample.at) for sample in kept] == pytest.approx([n / 10 for n in range(403)])


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
async def test_whoever_is_closed_beats_until_all_is_undone_and_is_not_taken_for_dead() -> None:
    lab, closing = Lab(), anyio.CancelScope()
    lab.kit.off.trouble("revert", Hang(seconds=40))

    async def program() -> None:
        with closing:
            async with lab.coordinator() as coordinator:
                await start(coordinator, CUT)
                await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(program)
        async with lab.coordinator():
            await until(5)
            closing.cancel()
            await until(60)

    ended = await lab.state(await lab.newest())
    assert ended.verdict is Verdict.STOPPED
    assert ended.taken_over == ""
    assert lab.kit.off.tries["revert"] == 1


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
        await until(8.5)

    assert beats == [0, 1, 2, 3, 4, 5, 6, 7, 8]


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
        execution = await start(coordinator, CUT)
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)
        lab.log.before = None
        await anyio.sleep(6)
        (record,) = await coordinator.list_executions(limit=5)

    assert record.status is Status.FINISHED
    assert lab.kit.off.tries.total() == 0


@virtual
async def test_an_undo_that_waits_for_what_an_older_fault_took_away_comes_to_its_end() -> None:
    lab = Lab()
    lab.kit.off.trouble("revert", Hang(seconds=12))
    text = document("""
steps:
  - {id: older, fault: switch.off, target: shop, background: true}
  - {id: newer, fault: switch.off, target: bank, hold: 1h}
""")
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(3)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        ended = await coordinator.execution_result(execution)

    assert ended.verdict is Verdict.STOPPED
    assert lab.kit.board.done("revert") == ["shop", "bank"]
    assert lab.kit.board.times("revert") == [13.0, 15.0]


@virtual
async def test_a_part_that_is_being_begun_as_its_whole_is_stopped_is_stopped_with_it() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        await coordinator.create_scenario(CUT)
        whole = await start(coordinator, document("steps: [{scenario: story}]", name="whole"))
        lab.log.create_s = 5
        await anyio.sleep(1)
        await coordinator.abort_execution(whole, reason="enough", by="ann")
        await coordinator.execution_result(whole)
        part, _ = await coordinator.list_executions()
        left = await lab.log.unsettled()

    assert (part.parent, part.verdict, left) == (whole, Verdict.STOPPED, [])
    assert lab.kit.board.done("inject") == []


@virtual
async def test_a_bug_in_the_engine_ends_one_execution_and_not_those_beside_it() -> None:
    lab = Lab()

    async def broken(entries: Sequence[Entry]) -> None:
        if StepStarted(step=StepId("more")) in [entry.event for entry in entries]:
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


@virtual
async def test_a_store_that_is_away_for_a_moment_is_waited_for_before_a_coordinator_is_lent() -> (
    None
):
    lab = Lab()
    lab.log.away = True

    async def comes_back() -> None:
        await anyio.sleep(5)
        lab.log.away = False

    async with anyio.create_task_group() as group:
        group.start_soon(comes_back)
        began = anyio.current_time()
        async with lab.coordinator() as coordinator:
            waited_s = anyio.current_time() - began

    assert not coordinator.swept
    assert waited_s == pytest.approx(5, abs=0.2)
