"""What stops an execution by itself, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import failed, shows
from support.engine_plans import (
    ABORT,
    GOOD,
    MARK,
    Bed,
    act,
    after,
    before,
    child,
    ended_s,
    expect,
    fault,
    outcomes,
    plan,
    remedy,
    rule,
    seconds,
    step,
    times,
    wait,
)
from support.virtual_time import since, virtual
from test_coordination.application.capabilities import ActionFailedError, ProbeFailedError
from test_coordination.domain.events import (
    AbortRequested,
    CheckJudged,
    ExecutionEnded,
    FaultReverted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.plan import PlannedCheck, PlannedRetry, SnapshotWork
from test_coordination.domain.values import CheckId, ServiceName, StepId
from test_coordination.domain.verdicts import Severity, Verdict

DARK = ProbeFailedError(cause="dark")
REFUSED = ActionFailedError(action="note", cause="refused")
WELL = PlannedCheck(id=CheckId("well"), expression=GOOD, mark=MARK, severity=Severity.CRITICAL)
BAD = f"!{GOOD}"
MEND = remedy(act("mend", takes_s=2))


@virtual
async def test_a_condition_to_stop_undoes_everything_once_it_was_true_for_long_enough() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [
        (0, shows(1)), (3, shows(0)), (4, shows(1)), (6, DARK), (7, shows(0)),
    ]  # fmt: skip

    ended = await bed.run(plan(fault("cut", hold_s=60), stop_when=(rule(BAD, hold_s=2),)))

    assert ended.verdict is Verdict.STOPPED
    assert ended.reason == f"stop condition 'enough' stopped it: {BAD}: true for 2s"
    assert bed.kit.board.times("revert") == [9.0]
    assert ended.abort is not None
    assert ended.abort.by == "stop condition 'enough'"


@virtual
async def test_a_condition_to_stop_is_watched_from_the_first_main_step_to_the_last() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(0)), (3, shows(1)), (6, shows(0))]

    ended = await bed.run(
        plan(
            before(wait("start", for_s=3.5)),
            wait("w", "start", for_s=2),
            after(wait("after.w", "w", for_s=5)),
            after(expect("after.well", "after.w")),
            stop_when=(rule(BAD),),
        )
    )

    assert ended.verdict is Verdict.HELD
    assert ended_s(ended) == 10.5


@virtual
async def test_a_condition_to_stop_is_told_by_its_title() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(wait("w", for_s=9), stop_when=(rule("1 < 2", title="too many orders are late"),))
    )

    assert ended.reason == "stop condition 'enough' stopped it: too many orders are late: true"


@virtual
async def test_a_wish_to_stop_that_is_written_while_the_last_step_ends_counts() -> None:
    bed = Bed()
    bed.log.slow_s = {"AbortRequested": 5}
    bed.kit.dial.scripts["p"] = [(0, shows(1)), (2, shows(0))]

    ended = await bed.run(plan(wait("w", for_s=2.5), MEND, stop_when=(rule(BAD),), watched=(WELL,)))

    events = await bed.events(ended.id)
    assert ended.verdict is Verdict.STOPPED
    assert [type(e) for e in events].count(AbortRequested) == 1
    assert isinstance(events[-1], ExecutionEnded)
    assert outcomes(ended)["mend"] is Outcome.DONE


@virtual
async def test_a_condition_to_stop_that_comes_true_as_the_last_step_ends_may_stop_it() -> None:
    bed = Bed()

    ended = await bed.run(plan(wait("w", for_s=2), stop_when=(rule("steps.w.outcome == 'done'"),)))

    assert ended.verdict in {Verdict.STOPPED, Verdict.INCONCLUSIVE}
    assert ended_s(ended) == 2.0


@virtual
async def test_of_two_that_stop_it_at_once_the_first_is_told() -> None:
    bed = Bed()
    rules = (rule("1 < 2"), replace(rule("1 < 2"), id=CheckId("other")))

    ended = await bed.run(plan(fault("cut", hold_s=60), stop_when=rules))

    assert ended.reason.startswith("stop condition 'enough' stopped it")
    assert bed.kit.board.in_force == []


@virtual
async def test_what_is_done_on_failure_comes_one_after_the_other_after_every_undo() -> None:
    bed = Bed()
    text = plan(
        fault("cut", hold_s=60),
        MEND,
        remedy(act("tell", takes_s=1)),
    )

    async with bed.running(text) as recorder:
        await anyio.sleep(5)
        await recorder.record(ABORT)
    ended = recorder.state

    assert (ended.verdict, ended.reason) == (Verdict.STOPPED, "ann stopped it: enough")
    assert bed.kit.board.times("revert") == [5.0]
    assert (times(ended, "mend"), times(ended, "tell")) == ((5.0, 7.0), (7.0, 8.0))
    events = [type(e) for e in await bed.events(ended.id)]
    assert events.index(FaultReverted) < len(events) - 1 - events[::-1].index(StepStarted)


@virtual
async def test_nothing_is_done_on_failure_where_all_held() -> None:
    bed = Bed()

    ended = await bed.run(plan(wait("w", for_s=2.5), MEND, watched=(WELL,)))

    assert (ended.verdict, ended.notes) == (Verdict.HELD, ())
    assert "mend" not in ended.steps


@virtual
async def test_what_the_watch_finds_at_its_end_is_known_before_it_is_judged() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(1)), (2, shows(0)), (3, shows(1))]

    ended = await bed.run(plan(wait("w", for_s=5.5), MEND, watched=(WELL,)))

    assert ended.verdict is Verdict.BROKEN
    assert outcomes(ended)["mend"] is Outcome.DONE
    kinds = [type(e) for e in await bed.events(ended.id)]
    assert kinds.index(CheckJudged) < len(kinds) - 1 - kinds[::-1].index(StepStarted)


@pytest.mark.parametrize("that", ["1 > 2", f"{GOOD} == false || 1 > 2"])
def test_what_is_done_on_failure_never_changes_the_verdict(that: str) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        bed.kit.note.error = REFUSED

        ended = await bed.run(
            plan(
                expect("c", that=that),
                remedy(act("mend", fails=True)),
                remedy(act("hang", takes_s=9999, timeout=seconds(3))),
                remedy(act("last")),
                timeout=seconds(1),
            )
        )

        assert ended.verdict is Verdict.BROKEN
        assert ended.notes == (
            "step 'mend' of on_failure failed: note failed: refused",
            "step 'hang' of on_failure failed: it was not done within its timeout of 3s",
        )
        assert outcomes(ended)["last"] is Outcome.DONE
        assert ended_s(ended) == 3.0

    story()


@virtual
async def test_a_failure_a_precondition_and_residue_call_for_what_is_done_on_failure() -> None:
    for planned in (
        plan(act("do", fails=True), MEND),
        plan(before(expect("pre.a", that="1 > 2")), wait("w", "pre.a"), MEND),
        plan(fault("cut", hold_s=1), MEND),
        plan(wait("w"), MEND),
    ):
        bed = Bed()
        bed.kit.note.error = REFUSED
        bed.kit.off.always("revert", failed("reverting"))

        ended = await bed.run(planned)

        assert outcomes(ended)["mend"] is Outcome.DONE
        assert ended.verdict is not Verdict.HELD


@virtual
async def test_abort_while_something_is_done_on_failure_does_not_cut_it_short() -> None:
    bed = Bed()

    async with bed.running(plan(expect("c", that="1 > 2"), MEND, remedy(act("last")))) as recorder:
        await anyio.sleep(1)
        await recorder.record(ABORT)
    ended = recorder.state

    assert times(ended, "mend") == (0.0, 2.0)
    assert outcomes(ended)["last"] is Outcome.DONE


@virtual
async def test_a_remedy_is_not_held_back_by_what_is_written_before_its_start() -> None:
    bed = Bed()
    bed.log.slow_s = {"StepEnded": 1, "AbortRequested": 1, "StepStarted": 0.5}

    async with bed.running(plan(expect("c", that="1 > 2"), MEND)) as recorder:
        await anyio.sleep(1)
        await recorder.record(ABORT)
    ended = recorder.state

    begun = [e for e in await bed.events(ended.id) if e == StepStarted(step=StepId("mend"))]
    assert len(begun) == 1
    assert outcomes(ended)["mend"] is Outcome.DONE


@virtual
async def test_a_remedy_may_be_tried_again() -> None:
    bed = Bed()
    bed.kit.note.error = REFUSED
    mend = remedy(
        act("mend", fails=True, retry=PlannedRetry(attempts=2, delay=timedelta(seconds=1)))
    )

    ended = await bed.run(plan(expect("c", that="1 > 2"), mend))

    assert bed.kit.board.times("begin") == [0.0, 1.0]
    assert ended.verdict is Verdict.BROKEN


@virtual
async def test_what_was_judged_by_no_one_is_told_with_the_reason_of_its_step() -> None:
    bed = Bed()
    shot = SnapshotWork(services=(ServiceName("shop"),))

    ended = await bed.run(
        plan(
            step("shot", snapshot=shot),
            expect("slow", that="1 > 2", checked={"within": seconds(60)}, timeout=seconds(2)),
            expect("never", "slow"),
            child("inner", "slow"),
        )
    )

    assert [(v.check, v.reason) for v in ended.validations] == [
        (
            "slow",
            "its step did not come to its end: it was not done within its timeout of 2s",
        ),
        ("never", "the execution ended before its turn came"),
        ("inner", "the execution ended before its turn came"),
    ]
    assert ended.validations[2].expression == 'verdict of "inner" is held'


@virtual
async def test_an_end_at_the_very_timeout_is_an_end() -> None:
    bed = Bed()

    ended = await bed.run(plan(wait("w", for_s=3), expect("c", "w"), timeout=seconds(3)))

    assert ended.verdict in {Verdict.HELD, Verdict.STOPPED}
    assert ended.started_at is not None
    assert since(ended.started_at) == 0.0
    assert StepEnded in map(type, await bed.events(ended.id))
