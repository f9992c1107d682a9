"""Steps in the background: what waits for them, and what ends them."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from support.engine_fakes import Hang, failed, shows
from support.engine_plans import (
    ABORT,
    GOOD,
    Bed,
    act,
    after,
    child,
    ended_s,
    expect,
    fault,
    gate,
    outcomes,
    plan,
    retry,
    seconds,
    stop,
    times,
    wait,
)
from support.virtual_time import since, virtual
from test_coordination.domain.events import FaultInjected, Outcome, StepStarted
from test_coordination.domain.execution import FaultStatus
from test_coordination.domain.steps import Mode, Otherwise
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Finding, Verdict

CUT = StepId("cut")


@virtual
async def test_what_needs_a_fault_in_the_background_begins_once_it_bites() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", Hang(seconds=3))

    ended = await bed.run(plan(fault("cut", hold_s=None), wait("w", "cut", for_s=4)))

    assert times(ended, "w") == (3.0, 7.0)
    assert bed.kit.board.times("revert") == [7.0]
    assert outcomes(ended) == dict.fromkeys(["cut", "w"], Outcome.DONE)


@virtual
async def test_what_needs_any_other_step_in_the_background_begins_with_it() -> None:
    bed = Bed()

    ended = await bed.run(plan(act("load", takes_s=9, background=True), wait("w", "load")))

    assert times(ended, "w") == (0.0, 1.0)
    assert times(ended, "load") == (0.0, 9.0)


@virtual
async def test_what_ends_by_itself_is_waited_for_before_the_steps_that_come_after() -> None:
    bed = Bed()
    steady = after(expect("after.well", "cut", "w"))

    ended = await bed.run(plan(fault("cut", hold_s=8, background=True), wait("w", "cut"), steady))

    assert times(ended, "after.well")[0] == 8.0
    assert ended.verdict is Verdict.HELD


@virtual
async def test_what_has_no_end_is_ended_when_every_other_main_step_is_over() -> None:
    bed = Bed()
    always = {"mode": Mode.ALWAYS}

    ended = await bed.run(
        plan(
            act("load", every_s=2, times=None, background=True),
            fault("cut", "load", hold_s=None),
            expect("well", "cut", that=GOOD, checked=always, background=True),
            wait("w", "well", for_s=5),
            after(expect("after.well", "w", "load", "cut", "well")),
        )
    )

    (well, steady) = ended.validations
    assert (well.finding, steady.finding) == (Finding.HELD, Finding.HELD)
    assert bed.kit.board.times("begin") == [0.0, 2.0, 4.0]
    assert bed.kit.board.times("revert") == [5.0]
    assert times(ended, "after.well")[0] >= 5.0
    assert ended.verdict is Verdict.HELD


@virtual
async def test_only_what_is_waited_for_is_ended_while_others_have_yet_to_begin() -> None:
    bed = Bed()
    back = expect("back", "cut", checked={"after_fault": CUT})

    ended = await bed.run(
        plan(
            act("load", every_s=1, times=None, background=True),
            fault("cut", "load", hold_s=None),
            wait("w", "cut", for_s=2),
            replace(back, needs=back.needs | {StepId("w"), StepId("load")}),
            wait("last", "back", for_s=3),
        )
    )

    assert bed.kit.board.times("revert") == [2.0]
    assert times(ended, "last") == (2.0, 5.0)
    assert times(ended, "load")[1] == 5.0


@virtual
async def test_what_only_a_skipped_step_waits_for_goes_on() -> None:
    bed = Bed()
    load = StepId("load")

    ended = await bed.run(
        plan(
            act("load", every_s=1, times=None, background=True),
            fault("cut", hold_s=None),
            gate("gate", until="1 > 2", within_s=3, otherwise=Otherwise.SKIP),
            replace(wait("never", "gate", "load"), ended=frozenset({load})),
            replace(wait("late", "cut", for_s=4), ended=frozenset({CUT})),
        )
    )

    assert outcomes(ended)["never"] is Outcome.SKIPPED
    assert times(ended, "late") == (3.0, 7.0)
    assert times(ended, "load")[1] == 7.0


@virtual
async def test_a_need_that_must_be_over_is_waited_for_also_in_the_background() -> None:
    bed = Bed()
    late = replace(wait("late", "cut"), ended=frozenset({CUT}))

    ended = await bed.run(plan(fault("cut", hold_s=6, background=True), late))

    assert times(ended, "late") == (6.0, 7.0)


@virtual
async def test_a_fault_is_stopped_by_name_and_the_stop_waits_for_its_undo() -> None:
    bed = Bed()
    bed.kit.off.trouble("revert", Hang(seconds=4))

    ended = await bed.run(
        plan(
            fault("cut", hold_s=None),
            wait("w", "cut", for_s=3),
            stop("halt", "w", of=["cut"]),
            wait("on", "halt"),
        )
    )

    assert bed.kit.board.times("revert") == [7.0]
    assert times(ended, "halt") == (3.0, 7.0)
    assert times(ended, "on")[0] == 7.0
    assert outcomes(ended)["cut"] is Outcome.DONE


@virtual
async def test_a_stop_waits_for_what_has_not_begun_and_ends_it_as_it_does() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(
            wait("w", for_s=2),
            fault("cut", "w", hold_s=None),
            stop("halt", of=["cut"]),
        )
    )

    assert bed.kit.board.done("inject") == ["shop"]
    assert times(ended, "halt") == (0.0, 2.0)


@virtual
async def test_what_comes_later_of_what_is_stopped_is_not_begun_any_more() -> None:
    bed = Bed()
    stages = tuple(map(StepId, ("cut.ramp-1", "cut.ramp-2", "cut.full")))

    ended = await bed.run(
        plan(
            fault(stages[0], hold_s=9, background=True),
            fault(stages[1], stages[0], hold_s=9, ended=frozenset(stages[:1]), background=True),
            fault(stages[2], stages[1], hold_s=None, ended=frozenset(stages[1:2]), background=True),
            wait("w", stages[0], for_s=12),
            stop("halt", "w", of=stages),
            expect("back", "halt", checked={"after_fault": CUT}),
            groups={CUT: stages},
        )
    )

    assert bed.kit.board.times("inject") == [0.0, 9.0]
    assert bed.kit.board.times("revert") == [9.0, 12.0]
    assert ended.steps[stages[2]].code == "stopped.before"
    assert ended.validations[0].began_at == ended.faults[stages[1]].reverted_at
    assert ended.verdict is Verdict.HELD


@virtual
async def test_a_fault_that_is_stopped_while_it_is_injected_bites_first_and_is_undone() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", Hang(seconds=5))

    ended = await bed.run(plan(fault("cut", hold_s=None), stop("halt", of=["cut"])))

    state = ended.faults[CUT]
    assert (state.status, state.bitten) == (FaultStatus.REVERTED, True)
    assert bed.kit.board.times("revert") == [5.0]
    assert outcomes(ended) == {"cut": Outcome.DONE, "halt": Outcome.DONE}


@virtual
async def test_an_action_that_is_stopped_is_cut_short_and_one_that_repeats_ends_its_turn() -> None:
    bed = Bed()

    ended = await bed.run(
        plan(
            act("once", takes_s=100, background=True),
            act("again", takes_s=4, every_s=5, times=None, background=True),
            wait("w", for_s=7),
            stop("halt", "w", of=["once", "again"]),
        )
    )

    assert times(ended, "once")[1] == 7.0
    assert ended.steps[StepId("once")].facts == {"stopped": True}
    assert times(ended, "again")[1] == 9.0
    assert ended.steps[StepId("again")].facts["runs"] == 2
    assert outcomes(ended) == dict.fromkeys(["once", "again", "w", "halt"], Outcome.DONE)


@virtual
async def test_a_check_is_judged_during_a_step_and_ends_with_it() -> None:
    bed = Bed()
    during = {"mode": Mode.ALWAYS, "during": CUT}
    bed.kit.off.trouble("inject", Hang(seconds=2))

    ended = await bed.run(
        plan(
            fault("cut", hold_s=4),
            expect("well", that=GOOD, checked=during, beside=["cut"]),
        )
    )

    (well,) = ended.validations
    assert well.finding is Finding.HELD
    assert well.began_at is not None
    assert since(well.began_at) == 2.0
    assert times(ended, "well")[1] >= 6.0


@virtual
async def test_a_check_beside_what_has_no_end_does_not_keep_it_from_ending() -> None:
    bed = Bed()
    during = {"mode": Mode.ALWAYS, "during": CUT}

    ended = await bed.run(
        plan(
            fault("cut", hold_s=None),
            expect("well", that=GOOD, checked=during, beside=["cut"]),
            wait("w", "cut", for_s=3),
        )
    )

    assert bed.kit.board.times("revert") == [3.0]
    assert ended.verdict is Verdict.HELD


@virtual
async def test_several_steps_are_one_to_the_check_that_is_beside_them() -> None:
    bed = Bed()
    during = {"mode": Mode.ALWAYS, "during": StepId("cuts")}
    planned = plan(
        fault("cuts.1", hold_s=2),
        fault("cuts.2", "cuts.1", hold_s=2, service="bank"),
        expect("well", that=GOOD, checked=during, beside=["cuts.1", "cuts.2"]),
        groups={StepId("cuts"): (StepId("cuts.1"), StepId("cuts.2"))},
    )

    ended = await bed.run(planned)

    assert times(ended, "well")[0] == 0.0
    assert times(ended, "well")[1] >= 4.0
    assert ended.verdict is Verdict.HELD


@virtual
async def test_abort_while_a_fault_in_the_background_is_injected_undoes_it() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", Hang(seconds=5))

    async with bed.running(plan(fault("cut", hold_s=None), wait("w", for_s=9))) as recorder:
        await anyio.sleep(2)
        await recorder.record(ABORT)
    ended = recorder.state

    assert ended.verdict is Verdict.STOPPED
    assert ended.outstanding == ()
    assert FaultInjected not in map(type, await bed.events(ended.id))
    assert bed.kit.board.times("revert") == [2.0]


@virtual
async def test_a_fault_in_the_background_that_does_not_bite_stops_the_others() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", failed("injecting"))

    ended = await bed.run(plan(fault("cut", hold_s=None), wait("w", "cut")))

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert "w" not in ended.steps


@virtual
async def test_a_fault_that_is_stopped_before_its_next_try_is_not_tried_again() -> None:
    bed = Bed()
    bed.kit.off.always("inject", failed("injecting"))

    ended = await bed.run(
        plan(
            fault("cut", hold_s=None, retry=retry(5, delay_s=60)),
            wait("w", for_s=3),
            stop("halt", "w", of=["cut"]),
        )
    )

    assert bed.kit.off.tries["inject"] == 1
    assert times(ended, "cut")[1] == 3.0
    assert ended.verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_what_has_no_end_is_not_ended_before_it_bites() -> None:
    bed = Bed()
    bed.kit.off.trouble("inject", Hang(seconds=7))

    ended = await bed.run(plan(fault("cut", hold_s=None), wait("w", for_s=2)))

    assert bed.kit.board.times("revert") == [7.0]
    assert ended.faults[CUT].bitten is True


@pytest.mark.parametrize("needs", [(), ("cut",)])
def test_a_scenario_in_the_background_is_waited_for(needs: tuple[str, ...]) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()

        ended = await bed.run(
            plan(fault("cut", hold_s=None), child("inner", *needs, background=True))
        )

        assert ended_s(ended) == 10.0
        assert bed.kit.board.times("revert") == [10.0]

    story()


@virtual
async def test_a_check_in_the_background_that_is_stopped_is_judged_by_what_was_seen() -> None:
    bed = Bed()
    bed.kit.dial.scripts["p"] = [(0, shows(1)), (2, shows(0))]

    ended = await bed.run(
        plan(
            expect("well", that=GOOD, checked={"mode": Mode.NEVER}, background=True),
            wait("w", "well", for_s=5),
            stop("halt", "w", of=["well"]),
        )
    )

    (well,) = ended.validations
    assert well.finding is Finding.BROKEN


@virtual
async def test_steps_begin_with_their_start_and_not_with_the_end_of_what_is_beside() -> None:
    bed = Bed()
    planned = plan(wait("w", for_s=3), expect("well", beside=["w"], checked={"span": seconds(1)}))

    ended = await bed.run(planned)

    begun = [e.step for e in await bed.events(ended.id) if isinstance(e, StepStarted)]
    assert begun == ["w", "well"]
    assert times(ended, "well")[0] == 0.0
