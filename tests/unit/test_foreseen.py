"""What certainly follows the end of a step is durable together with it."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from support.engine_handing import hand, taken
from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import since, virtual
from test_coordination.domain.events import (
    Entry,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

THREE = "steps: [{id: a, wait: 1s}, {id: b, wait: 1s}, {id: c, wait: 1s}]"


def pages(lab: Lab) -> list[list[type[Event]]]:
    """Return the kinds of events that will be written together, as they are."""
    seen: list[list[type[Event]]] = []

    async def see(entries: Sequence[Entry]) -> None:
        seen.append([type(entry.event) for entry in entries])

    lab.log.before = see
    return seen


def outcomes(ended: Execution) -> dict[str, Outcome | None]:
    return {step: state.outcome for step, state in ended.steps.items()}


@virtual
async def test_a_step_begins_in_the_append_in_which_the_one_before_it_ends() -> None:
    lab = Lab()
    written = pages(lab)

    ended = await lab.run(document(THREE))

    assert written == [
        [ExecutionStarted, StepStarted],
        [StepEnded, StepStarted],
        [StepEnded, StepStarted],
        [StepEnded, ExecutionEnded],
    ]
    assert [since(state.started_at) for state in ended.steps.values()] == [0, 1, 2]


@virtual
async def test_nothing_is_done_before_its_begin_is_durable() -> None:
    lab = Lab()
    lab.log.slow_s = {"StepStarted": 2}

    await lab.run(document("steps: [{wait: 1s}, {fault: switch.off, target: shop, hold: 5s}]"))

    # Two seconds for either begin; the wait counts from its own.
    assert lab.kit.board.times("inject") == [4.0]


@virtual
async def test_what_hangs_on_a_condition_is_not_begun_before_that_is_asked() -> None:
    lab = Lab()
    written = pages(lab)
    text = """
steps:
  - {id: a, wait: 1s}
  - {id: b, wait: 1s, if: steps.a.outcome == "failed"}
  - {id: c, wait: 1s}
"""

    ended = await lab.run(document(text))

    assert outcomes(ended) == {"a": Outcome.DONE, "b": Outcome.SKIPPED, "c": Outcome.DONE}
    assert [StepEnded] in written


@virtual
async def test_what_is_watched_is_judged_before_the_end_is_written() -> None:
    lab = Lab()
    written = pages(lab)
    text = PROBE + "steady_state: [{id: well, expect: probes.p.last.ok}]\nsteps: [{wait: 1s}]"

    await lab.run(document(text))

    assert written[-1][-1] is ExecutionEnded
    assert StepEnded not in written[-1]


@virtual
async def test_what_is_left_to_be_done_after_a_failure_comes_before_the_end() -> None:
    lab = Lab()
    text = """
steps: [{id: a, wait: 1s}]
on_failure: [{id: tidy, action: note, with: {name: tidied, seconds: 1}}]
"""

    ended = await lab.run(document(text))

    assert outcomes(ended) == {"a": Outcome.DONE, "tidy": Outcome.DONE}


@virtual
async def test_who_is_stopped_while_the_next_begin_is_written_does_not_do_that_step() -> None:
    lab = Lab()
    text = "steps: [{id: a, wait: 1s}, {id: b, action: note, with: {name: b, seconds: 9}}]"
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document(text))
        await until(0.5)
        lab.log.slow_s = {"StepStarted": 2}
        await until(2)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        ended = await coordinator.execution_result(execution)

    assert ended.verdict is Verdict.STOPPED
    assert outcomes(ended) == {"a": Outcome.DONE, "b": Outcome.CANCELLED}
    assert lab.kit.board.done("begin") == []


@virtual
async def test_who_is_stopped_while_the_end_is_written_has_ended() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document(THREE))
        await until(2.5)
        lab.log.slow_s = {"ExecutionEnded": 5}
        await until(5)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        ended = await coordinator.execution_result(execution)

    assert ended.verdict is Verdict.INCONCLUSIVE


@virtual
async def test_a_timeout_that_passes_while_the_end_is_written_stops_nothing() -> None:
    lab = Lab()
    lab.log.slow_s = {"ExecutionEnded": 5}

    ended = await lab.run(document("timeout: 4s\n" + THREE))

    assert ended.verdict is Verdict.INCONCLUSIVE
    assert ended.abort is None


@virtual
async def test_what_is_let_go_of_while_the_next_begin_is_written_is_carried_on() -> None:
    lab, found = Lab(), list[object]()
    text = document("steps: [{id: w, wait: 3s}, {id: v, wait: 2s}, {id: e, expect: '1 < 2'}]")
    async with hand(lab) as one, hand(lab, 802) as two:
        execution = await one.order(text)
        async with anyio.create_task_group() as group:
            group.start_soon(taken, one, execution, found)
            await until(2)
            lab.log.answer_s = 2
            await until(4)
            group.cancel_scope.cancel()
        lab.log.answer_s = 0
        ended = await two.executions.take(execution)

    assert ended.verdict is Verdict.HELD
    assert set(outcomes(ended).values()) == {Outcome.DONE}


@pytest.mark.parametrize("beside", ["a", "b"])
def test_steps_that_end_at_once_are_followed_by_what_waits_for_both(beside: str) -> None:
    @virtual
    async def story() -> None:
        ended = await Lab().run(
            document(
                "steps: [{id: a, wait: 1s, needs: []}, {id: b, wait: 1s, needs: []}, "
                f"{{id: c, wait: 1s, needs: [{beside}]}}, {{id: d, wait: 1s, needs: [a, b]}}]"
            )
        )
        assert set(outcomes(ended).values()) == {Outcome.DONE}
        assert since(ended.steps[StepId("d")].started_at) == 1

    story()
