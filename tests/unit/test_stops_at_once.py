"""A wish to stop acts at once, however long the log takes to hear of it."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from support.engine_fakes import Hang, shows
from support.engine_lab import Lab, document, start, until
from support.engine_plans import ABORT, GOOD, Bed, act, fault, plan, remedy, rule, seconds, wait
from support.virtual_time import virtual
from test_coordination.application.engine.recorder import Recorder
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import AbortRequested, Noted
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict


async def abort(recorder: Recorder) -> None:
    """Stop an execution as whoever hears of such a wish does; the log need not hear it."""
    recorder.wish(ABORT)
    with suppress(StoreUnavailableError):
        await recorder.record(ABORT)


@virtual
async def test_faults_are_undone_one_after_the_other_though_nothing_can_be_written_down() -> None:
    bed = Bed()
    bed.kit.off.trouble("revert", Hang(seconds=2), Hang(seconds=3))
    steps = (
        fault("old", hold_s=600),
        wait("w", for_s=1),
        fault("new", "w", hold_s=600, service="bank"),
        act("busy", "w", takes_s=600),
    )
    async with bed.running(plan(*steps)) as recorder:
        await until(10)
        bed.log.answer_s = 20
        await abort(recorder)
        bed.log.answer_s = 0
    ended = recorder.state

    assert bed.kit.board.done("revert") == ["bank", "shop"]
    assert bed.kit.board.times("revert") == [12.0, 15.0]
    assert ended.verdict is Verdict.STOPPED
    assert ended.abort == ABORT
    assert [type(event).__name__ for event in await bed.events(ended.id)].count(
        "FaultReverted"
    ) == 2


@virtual
async def test_a_fault_that_bites_and_is_only_being_written_down_is_undone_at_once() -> None:
    bed = Bed()
    bed.log.slow_s = {"FaultInjected": 20}
    async with bed.running(plan(fault("cut", hold_s=600))) as recorder:
        await until(5)
        await abort(recorder)
    log = [type(event).__name__ for event in await bed.events(recorder.state.id)]

    assert bed.kit.board.times("revert") == [5.0]
    assert log.index("FaultInjected") < log.index("FaultReverted")
    assert recorder.state.outstanding == ()


@virtual
async def test_a_fault_that_does_not_bite_yet_never_does() -> None:
    bed = Bed()
    bed.log.slow_s = {"FaultArmed": 20}
    async with bed.running(plan(fault("cut", hold_s=600))) as recorder:
        await until(5)
        await abort(recorder)

    assert bed.kit.board.times("inject") == []
    assert recorder.state.verdict is Verdict.STOPPED


@virtual
async def test_what_is_being_done_is_cut_off_at_once_and_nothing_else_begins() -> None:
    bed = Bed()
    steps = (act("busy", takes_s=600), wait("w", for_s=12), act("later", "w"))
    async with bed.running(plan(*steps)) as recorder:
        await until(10)
        bed.log.slow_s = {"AbortRequested": 20}
        await abort(recorder)
    ended = recorder.state

    assert bed.kit.board.done("begin") == ["busy"]
    assert ended.steps[StepId("busy")].error == "the execution was stopped"
    assert StepId("later") not in ended.steps


@virtual
async def test_what_the_engine_itself_finds_to_be_stopped_is_undone_before_it_is_written() -> None:
    for more in ({"timeout": seconds(10)}, {"stop_when": (rule(f"!{GOOD}"),)}):
        bed = Bed()
        bed.kit.dial.scripts["p"] = [(0, shows(1)), (10, shows(0))]
        bed.log.slow_s = {"AbortRequested": 15}
        began = anyio.current_time()
        bed.kit.dial.scripts["p"] = [(0, shows(1)), (began + 10, shows(0))]
        async with bed.running(plan(fault("cut", hold_s=600), **more)) as recorder:
            pass

        assert bed.kit.board.times("revert") == [began + 10.0]
        assert recorder.state.verdict is Verdict.STOPPED


@virtual
async def test_what_is_done_on_failure_waits_until_the_log_knows_why() -> None:
    bed = Bed()
    steps = (fault("cut", hold_s=600), remedy(act("mend")))
    async with bed.running(plan(*steps)) as recorder:
        await until(10)
        bed.log.slow_s = {"AbortRequested": 15}
        await abort(recorder)

    assert bed.kit.board.times("revert") == [10.0]
    assert bed.kit.board.times("begin") == [25.0]


@virtual
async def test_trouble_that_is_told_slowly_keeps_no_fault_in_force() -> None:
    bed = Bed()
    bed.log.slow_s = {"Noted": 20}
    async with bed.running(plan(fault("cut", hold_s=600), wait("w", for_s=3))) as recorder:
        await until(1)
        bed.live.said = "Redis is away"
        await until(5)
        await abort(recorder)
    noted = [each for each in await bed.events(recorder.state.id) if isinstance(each, Noted)]

    assert bed.kit.board.times("revert") == [5.0]
    assert len(noted) == 1


@virtual
async def test_a_wish_that_comes_after_the_end_changes_nothing() -> None:
    bed = Bed()
    async with bed.running(plan(wait("w"))) as recorder:
        await until(5)
        recorder.wish(ABORT)

    assert recorder.wanted is recorder.state
    assert recorder.state.abort is None


@virtual
async def test_an_abort_while_the_store_is_away_undoes_everything_newest_first_and_at_once() -> (
    None
):
    lab = Lab()
    text = document("""
steps:
  - {id: older, fault: switch.off, target: shop, background: true}
  - {id: newer, fault: switch.off, target: bank, hold: 1h}
""")
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(10)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await coordinator.abort_execution(execution, reason="now", by="ann")
        gave_up_s = anyio.current_time()

    assert lab.kit.board.done("revert") == ["bank", "shop"]
    assert lab.kit.board.times("revert") == [10.0, 10.0]
    assert gave_up_s == pytest.approx(40.0)


@virtual
async def test_the_first_wish_is_the_one_that_is_told_also_if_both_are_slow_to_be_written() -> None:
    bed = Bed()
    second = AbortRequested(reason="too", by="bob")
    async with bed.running(plan(fault("cut", hold_s=600))) as recorder:
        await until(5)
        bed.log.slow_s = {"AbortRequested": 3}
        async with anyio.create_task_group() as group:
            group.start_soon(abort, recorder)
            await anyio.sleep(1)
            recorder.wish(second)
            await recorder.record(second)

    assert recorder.state.abort == ABORT
    assert recorder.state.reason == "ann stopped it: enough"
