"""A failure that ends everything undoes faults before it is durable, as a wish does."""

from __future__ import annotations

import pytest

from support.engine_lab import Lab, document, start, until
from support.virtual_time import virtual
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import Outcome
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

CUT = "{id: cut, fault: switch.off, target: shop, background: true}"
BAD = "{id: bad, action: note, with: {name: bad, seconds: 5, fails: true}"
LATER = "{id: later, action: note, with: {name: later}}"


def failing(policy: str) -> tuple[Lab, str]:
    """Return a lab, and a scenario in which a step fails after five seconds of a fault."""
    lab = Lab()
    lab.kit.note.error = ActionFailedError(action="note", cause="it would not")
    return lab, document(
        f"steps: [{CUT}, {BAD}, on_error: {policy}}}, {LATER}, {{id: s, stop: cut}}]"
    )


@virtual
async def test_faults_are_undone_at_once_however_slow_the_log_is() -> None:
    lab, text = failing("fail")

    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(4)
        lab.log.answer_s = 10
        await until(6)
        undone = lab.kit.board.times("revert")
        ended = await coordinator.execution_result(execution)

    assert undone == [5.0]
    assert (ended.verdict, ended.reason) == (
        Verdict.COULD_NOT_RUN,
        "step 'bad' failed: note failed: it would not",
    )
    assert ended.steps[StepId("cut")].outcome is Outcome.CANCELLED
    assert "later" not in lab.kit.board.done("begin")


@virtual
async def test_faults_are_undone_at_once_also_while_the_store_is_away() -> None:
    lab, text = failing("fail")

    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(4)
        lab.log.away = True
        await until(6)
        undone = lab.kit.board.times("revert")
        with pytest.raises(StoreUnavailableError):
            await coordinator.execution_result(execution)
        lab.log.away = False

    assert undone == [5.0]


@virtual
async def test_a_failure_that_others_go_on_after_waits_for_the_log() -> None:
    lab, text = failing("continue")

    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(4)
        lab.log.answer_s = 10
        await until(6)
        early = lab.kit.board.done("begin")
        ended = await coordinator.execution_result(execution)

    assert early == ["bad"], "nothing begins by what is not durable"
    assert ended.steps[StepId("later")].outcome is Outcome.DONE
