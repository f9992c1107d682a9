"""Executions whose log is slow at the wrong moment, and steps in any order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import since, virtual
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.domain.events import FaultArmed, Outcome, StepEnded, StepStarted
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict


@pytest.mark.parametrize(
    "work", ["action: note, with: {name: late}", "fault: switch.off, target: shop, hold: 1h"]
)
def test_a_step_whose_start_waits_for_the_pen_when_another_fails_does_nothing(work: str) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        lab.kit.note.error = ActionFailedError(action="note", cause="refused")
        lab.log.slow_s = {"StepStarted": 1}
        text = document(f"""
steps:
  - {{id: good, action: note, with: {{name: good, seconds: 2}}, needs: []}}
  - {{id: bad, action: note, with: {{name: bad, seconds: 2.5, fails: true}}, needs: []}}
  - {{id: late, {work}, needs: [good], if: "true"}}
""")

        ended = await lab.run(text)

        assert ended.verdict is Verdict.COULD_NOT_RUN
        assert ended.reason == "step 'bad' failed: note failed: refused"
        assert lab.kit.board.done("begin") == ["good", "bad"]
        assert lab.kit.board.done("inject") == []
        assert ended.steps[StepId("late")].outcome is Outcome.CANCELLED

    story()


@virtual
async def test_a_new_fault_is_not_injected_while_older_ones_are_being_undone() -> None:
    lab = Lab()
    lab.kit.note.error = ActionFailedError(action="note", cause="refused")
    lab.log.slow_s = {"StepEnded": 1, "CheckJudged": 3}
    text = document(
        PROBE
        + """
steady_state: [{id: well, expect: probes.p.last.ok, severity: critical}]
steps:
  - {id: old, fault: switch.slow, target: bank, hold: 1h, needs: []}
  - {id: good, action: note, with: {seconds: 3}, needs: []}
  - {id: bad, action: note, with: {seconds: 3.5, fails: true}, needs: []}
  - {id: new, fault: switch.off, target: shop, hold: 1h, needs: [good]}
"""
    )

    await lab.run(text)

    assert lab.kit.board.done("inject") == ["bank"]
    assert lab.kit.board.done("revert") == ["bank"]


@virtual
async def test_faults_armed_at_the_same_moment_are_undone_in_the_reverse_order_of_the_log() -> None:
    lab = Lab()
    text = document("""
steps:
  - {id: a, fault: switch.off, target: shop, hold: 1h, needs: []}
  - {id: b, fault: switch.slow, target: bank, hold: 1h, needs: []}
  - {id: w, wait: 1s, needs: []}
""")
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(2)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        await coordinator.execution_result(execution)
    events = await lab.logged(execution)

    armed = [event.service for event in events if isinstance(event, FaultArmed)]
    assert lab.kit.board.done("revert") == armed[::-1]


@virtual
async def test_a_stop_reaches_steps_of_every_kind() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, {"ok": False})]
    lab.kit.dial.slow_s["money"] = 9
    text = document(
        PROBE
        + """
steps:
  - {id: act, action: note, with: {seconds: 1000}, needs: []}
  - {id: look, expect: probes.p.last.ok, within: 1h, needs: []}
  - {id: take, snapshot: [bank], needs: []}
  - {id: rest, wait: 1h, needs: []}
  - {id: never, wait: 1s}
"""
    )
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(5)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        ended = await coordinator.execution_result(execution)

    assert {step: state.outcome for step, state in ended.steps.items()} == dict.fromkeys(
        ["act", "look", "take", "rest"], Outcome.CANCELLED
    )
    assert ended.ended_at is not None
    assert since(ended.ended_at) == 5.0


@virtual
async def test_a_snapshot_waits_for_a_store_that_is_away() -> None:
    lab = Lab()
    lab.evidence.away = True
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document("steps: [{id: take, snapshot: [shop]}]"))
        await until(10)
        lab.evidence.away = False
        ended = await coordinator.execution_result(execution)

    assert ended.steps[StepId("take")].outcome is Outcome.DONE


@st.composite
def plans(draw: st.DrawFn) -> dict[int, list[int]]:
    count = draw(st.integers(1, 9))
    return {
        number: draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True))
        if number
        else []
        for number in range(count)
    }


@given(needs=plans(), seconds=st.lists(st.sampled_from([0, 0.5, 1, 2]), min_size=9, max_size=9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_step_starts_before_its_needs_have_ended_and_all_end(
    needs: dict[int, list[int]], seconds: list[float]
) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        lab.log.slow_s = {"StepStarted": 0.01, "StepEnded": 0.02}
        steps = [
            f"{{id: s{n}, action: note, with: {{name: s{n}, seconds: {seconds[n]}}}, "
            f"needs: [{', '.join(f's{need}' for need in found)}]}}"
            for n, found in needs.items()
        ]

        ended = await lab.run(document(f"steps: [{', '.join(steps)}]"))

        over: set[str] = set()
        for event in await lab.logged(await lab.newest()):
            match event:
                case StepStarted(step=step):
                    assert {f"s{need}" for need in needs[int(step[1:])]} <= over
                case StepEnded(step=step, outcome=Outcome.DONE):
                    over.add(step)
                case _:
                    pass
        assert over == {f"s{n}" for n in needs}
        assert ended.verdict is Verdict.INCONCLUSIVE

    story()
