"""Scenarios that are run as steps of others."""

from __future__ import annotations

import anyio
import pytest

from support.engine_fakes import NumberedIdentities
from support.engine_plans import (
    ABORT,
    Bed,
    act,
    child,
    ended_s,
    fault,
    outcomes,
    plan,
    retry,
    seconds,
    stop,
    times,
    wait,
)
from support.virtual_time import virtual
from test_coordination.application.ports import LogConflictError, NotFoundError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import CheckJudged, Outcome
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.domain.verdicts import Finding, Verdict

INNER = StepId("inner")


@pytest.mark.parametrize(
    ("accepted", "verdict", "finding"),
    [
        ((Verdict.HELD,), Verdict.HELD, Finding.HELD),
        ((Verdict.HELD,), Verdict.BROKEN, Finding.BROKEN),
        ((Verdict.HELD,), Verdict.INCONCLUSIVE, Finding.INCONCLUSIVE),
        ((Verdict.BROKEN,), Verdict.BROKEN, Finding.HELD),
        ((Verdict.BROKEN,), Verdict.HELD, Finding.BROKEN),
        ((Verdict.HELD, Verdict.COULD_NOT_RUN), Verdict.COULD_NOT_RUN, Finding.HELD),
    ],
)
def test_the_verdict_of_a_child_is_a_check_of_its_step(
    accepted: tuple[Verdict, ...], verdict: Verdict, finding: Finding
) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        bed.inner.verdicts = [verdict]

        ended = await bed.run(plan(child("inner", verdicts=accepted), wait("w", "inner")))

        (judged,) = ended.validations
        ((_, execution),) = bed.inner.begun
        assert (judged.check, judged.step, judged.finding) == ("inner", "inner", finding)
        assert judged.observed == str(verdict)
        assert judged.reason.endswith(": so it is")
        assert ended.steps[INNER].facts == {"execution": str(execution), "verdict": str(verdict)}
        assert times(ended, "inner") == (0.0, 10.0)
        assert outcomes(ended) == dict.fromkeys(["inner", "w"], Outcome.DONE)

    story()


def test_what_is_asked_of_a_child_is_told_in_words() -> None:
    @virtual
    async def story() -> None:
        bed = Bed()

        ended = await bed.run(plan(child("inner", verdicts=(Verdict.HELD, Verdict.COULD_NOT_RUN))))

        assert ended.validations[0].expression == 'verdict of "inner" is held or could not run'

    story()


@pytest.mark.parametrize("verdict", [Verdict.STOPPED, Verdict.COULD_NOT_RUN])
def test_a_child_that_was_not_judged_is_a_failure_of_its_step(verdict: Verdict) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        bed.inner.verdicts = [verdict]

        ended = await bed.run(plan(child("inner"), wait("w", "inner")))

        ((_, execution),) = bed.inner.begun
        inner, said = ended.steps[INNER], verdict.replace("_", " ")
        assert (inner.outcome, inner.code) == (Outcome.FAILED, "scenario.failed")
        assert inner.error == (
            f"scenario 'inner', which was execution {execution}, ended as {said}: so it is"
        )
        assert inner.facts == {"execution": str(execution), "verdict": str(verdict)}
        assert ended.verdict is Verdict.COULD_NOT_RUN
        assert [v.finding for v in ended.validations] == [Finding.NOT_RUN]

    story()


@pytest.mark.parametrize("on_error", ErrorPolicy)
@pytest.mark.parametrize("timeout_s", [3, 60])
def test_a_child_that_leaves_a_fault_in_force_stops_its_parent_and_is_its_verdict(
    on_error: ErrorPolicy, timeout_s: float
) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        bed.inner.verdicts = [Verdict.RESIDUE]
        inner = child(
            "inner",
            on_error=on_error,
            timeout=seconds(timeout_s),
            retry=retry(3),
            verdicts=(Verdict.HELD, Verdict.RESIDUE),
        )

        ended = await bed.run(plan(inner, fault("cut", "inner")))

        assert ended.steps[INNER].outcome is Outcome.FAILED
        assert ended.steps[INNER].facts["verdict"] == "residue"
        assert ended.verdict is Verdict.RESIDUE
        assert "ended as residue: so it is" in ended.reason
        assert bed.kit.off.tries.total() == 0

    story()


@virtual
async def test_a_child_that_leaves_a_fault_in_force_as_its_parent_is_stopped_is_told() -> None:
    bed = Bed()
    bed.inner.verdicts = [Verdict.RESIDUE]

    async with bed.running(plan(child("inner"), wait("w", for_s=9))) as recorder:
        await anyio.sleep(4)
        await recorder.record(ABORT)
    ended = recorder.state

    assert bed.inner.ended == [4.0]
    assert outcomes(ended) == {"inner": Outcome.FAILED, "w": Outcome.CANCELLED}
    assert ended.verdict is Verdict.RESIDUE


@virtual
async def test_a_child_is_stopped_with_its_parent_which_waits_for_its_undo() -> None:
    bed = Bed()
    bed.inner.undo_s = 7

    async with bed.running(plan(child("inner"), wait("w", "inner"))) as recorder:
        await anyio.sleep(4)
        await recorder.record(ABORT)
    ended = recorder.state

    ((stopped_s, reason),) = bed.inner.aborted
    assert stopped_s == 4.0
    assert reason == f"step 'inner' of execution {ended.id}, which began it, was ended"
    assert bed.inner.ended == [11.0]
    assert (ended_s(ended), ended.verdict) == (11.0, Verdict.STOPPED)
    assert outcomes(ended) == {"inner": Outcome.CANCELLED}


@virtual
async def test_a_child_is_stopped_when_its_step_has_no_time_left() -> None:
    bed = Bed()
    bed.inner.undo_s = 1

    ended = await bed.run(plan(child("inner", timeout=seconds(6))))

    assert bed.inner.ended == [7.0]
    assert ended.steps[INNER].code == "step.timeout"


@virtual
async def test_a_child_is_stopped_by_name_and_its_end_is_what_its_step_comes_to() -> None:
    bed = Bed()
    accepted = (Verdict.HELD, Verdict.STOPPED)

    ended = await bed.run(
        plan(
            child("inner", background=True, verdicts=accepted),
            wait("w", "inner", for_s=3),
            stop("halt", "w", of=["inner"]),
        )
    )

    assert bed.inner.ended == [3.0]
    assert ended.verdict is Verdict.HELD


@virtual
async def test_a_child_that_cannot_be_begun_fails_its_step() -> None:
    refused = NotFoundError(kind="scenario", identity="inner")
    unknown = StoreUnavailableError(store="the store", doing="beginning")
    for error, code, verdict in (
        (refused, "store.not_found", Verdict.COULD_NOT_RUN),
        (unknown, "scenario.lost", Verdict.INCONCLUSIVE),
    ):
        bed = Bed()
        bed.inner.refusal = error

        ended = await bed.run(plan(child("inner")))

        assert ended.steps[INNER].code == code
        assert ended.verdict is verdict


@virtual
async def test_a_child_that_another_worker_has_taken_fails_its_step_and_not_its_parent() -> None:
    bed = Bed()
    taken = ExecutionId(NumberedIdentities().new())
    bed.inner.lost = LogConflictError(execution=taken, expected=3)

    ended = await bed.run(plan(act("a"), child("inner", "a")))

    assert ended.steps[INNER].code == "scenario.lost"
    assert "lost sight of" in ended.steps[INNER].error
    assert ended.verdict is Verdict.INCONCLUSIVE


@virtual
async def test_a_child_that_cannot_be_told_to_stop_is_waited_for_all_the_same() -> None:
    bed = Bed()
    bed.inner.lost = LogConflictError(execution=ExecutionId(NumberedIdentities().new()), expected=3)

    async with bed.running(plan(fault("cut", hold_s=60), child("inner"))) as recorder:
        await anyio.sleep(4)
        await recorder.record(ABORT)
    ended = recorder.state

    assert outcomes(ended)["inner"] is Outcome.CANCELLED
    assert bed.kit.board.in_force == []
    assert CheckJudged not in map(type, (await bed.events(ended.id))[:-2])
