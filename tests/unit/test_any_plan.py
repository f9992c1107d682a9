"""Whatever a plan asks for, and whenever it is disturbed: it ends, and nothing is left in force."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import anyio
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from support.engine_any import plans
from support.engine_fakes import Hang, Trouble, failed, shows
from support.engine_plans import ABORT, HOUR, Bed, ended_s
from support.outlooks import percents
from support.virtual_time import virtual
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.application.engine.readiness import SUBJECT_SKIPPED
from test_coordination.domain.events import (
    Event,
    FaultArmed,
    FaultInjected,
    FaultReverted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.execution import Execution, IllegalTransitionError
from test_coordination.domain.plan import Plan, Stage
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

TROUBLES: st.SearchStrategy[list[Trouble]] = st.lists(
    st.sampled_from([failed("trying"), Hang(seconds=3), Hang(seconds=0)]), max_size=3
)


@st.composite
def beds(draw: st.DrawFn) -> Bed:
    bed = Bed()
    bed.kit.note.error = ActionFailedError(action="note", cause="refused")
    for kind in (bed.kit.off, bed.kit.slow):
        kind.trouble("arm", *draw(TROUBLES))
        kind.trouble("inject", *draw(TROUBLES))
    script = draw(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=6))
    bed.kit.dial.scripts["p"] = [(2.0 * n, shows(value)) for n, value in enumerate(script)]
    bed.inner.takes_s = draw(st.sampled_from([0, 5]))
    verdicts = st.lists(st.sampled_from([Verdict.HELD, Verdict.COULD_NOT_RUN]), max_size=3)
    bed.inner.verdicts = draw(verdicts)
    bed.log.slow_s = draw(
        st.dictionaries(
            st.sampled_from(["StepStarted", "StepEnded", "FaultArmed", "CheckJudged"]),
            st.sampled_from([0.1, 1.5]),
        )
    )
    return bed


def check_order(planned: Plan, ended: Execution, log: Sequence[Event]) -> None:
    over: set[StepId] = set()
    bites: set[StepId] = set()
    known = {one.id: one for one in planned.steps}
    main = {one.id for one in planned.steps if one.stage is Stage.MAIN}
    for event in log:
        match event:
            case StepStarted(step=step):
                begun = {need for need in known[step].needs if known[need].background}
                assert known[step].needs - begun <= over
                assert {n for n in begun if known[n].fault is not None} - bites <= over
                if known[step].stage is Stage.AFTER:
                    assert main <= over
                if known[step].stage is Stage.FAILURE:
                    assert over >= ended.steps.keys() - {step}
            case StepEnded(step=step):
                over.add(step)
            case FaultInjected(step=step):
                bites.add(step)
            case _:
                pass


def check_ledger(log: Sequence[Event]) -> None:
    armed: set[StepId] = set()
    for event in log:
        if isinstance(event, FaultArmed):
            assert event.step not in armed
            armed.add(event.step)
        if isinstance(event, FaultReverted):
            armed.remove(event.step)
    assert armed == set()


@given(planned=plans(), bed=beds(), abort_s=st.sampled_from([None, 0.0, 0.5, 1.0, 2.5, 4.0]))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_plan_ends_with_nothing_in_force(
    planned: Plan, bed: Bed, abort_s: float | None
) -> None:
    @virtual
    async def story() -> None:
        async with bed.running(planned) as recorder:
            if abort_s is not None:
                await anyio.sleep(abort_s)
                with suppress(IllegalTransitionError):
                    await recorder.record(ABORT)
        ended, log = recorder.state, await bed.events(recorder.state.id)
        note("\n".join(map(str, log)))

        assert bed.kit.board.in_force == []
        assert ended.outstanding == ()
        assert ended.verdict is not None
        assert ended_s(ended) < HOUR.total_seconds() / 2, "it waited for its timeout"
        assert "internal" not in {state.code for state in ended.steps.values()}
        assert {state.outcome for state in ended.steps.values()} <= set(Outcome)
        if ended.verdict in {Verdict.HELD, Verdict.BROKEN, Verdict.INCONCLUSIVE}:
            main = [one.id for one in planned.steps if one.stage is not Stage.FAILURE]
            assert ended.steps.keys() >= set(main)
            asked = {one.id for one in planned.steps if one.expect or one.scenario}
            silent = {name for name, state in ended.steps.items() if state.code == SUBJECT_SKIPPED}
            assert {v.step for v in ended.validations} <= asked - silent
        assert ("mend" in ended.steps) == (ended.verdict is not Verdict.HELD)
        check_order(planned, ended, log)
        check_ledger(log)
        shown = percents(planned, await bed.log.read(ended.id))
        assert shown == sorted(shown), "it went back"
        assert shown[-1] == 100

    story()
