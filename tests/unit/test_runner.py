"""Whole executions, from a document to a verdict, on virtual time."""

from __future__ import annotations

import anyio
import pytest

from support.engine_fakes import Hang, failed, shows
from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import since, virtual
from test_coordination.application.capabilities import ActionFailedError, ProbeFailedError
from test_coordination.domain.events import Outcome
from test_coordination.domain.execution import Execution, FaultStatus, Status
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Finding, Verdict

OUTAGE = document(
    PROBE
    + """
steady_state: [{id: well, expect: probes.p.last.ok, severity: critical}]
steps:
  - {id: cut, fault: switch.off, target: shop, hold: 5s}
  - {id: back, expect: probes.p.last.ok, within: 10s, hold: 2s, after_fault: cut}
"""
)
CUT = document("steps: [{id: cut, fault: switch.off, target: shop, hold: 5s}]")


def outcomes(ended: Execution) -> dict[str, Outcome | None]:
    return {step: state.outcome for step, state in ended.steps.items()}


@virtual
async def test_a_system_that_recovers_in_time_holds() -> None:
    lab = Lab()
    text = OUTAGE.replace("severity: critical", "severity: normal")
    lab.kit.dial.scripts["p"] = lambda: shows(0 if lab.kit.board.in_force else 1)

    ended = await lab.run(text)

    assert ended.verdict is Verdict.HELD
    assert ended.reason == "all 3 checks held, and every fault is undone"
    assert lab.kit.board.in_force == []
    assert [since(e.left_at) for e in ended.excursions] == [1.0]


@virtual
async def test_recovery_is_timed_from_the_end_of_the_fault_to_the_start_of_what_held() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, shows(1)), (1, shows(0)), (9, shows(1))]
    text = document(
        PROBE
        + "steps: [{id: cut, fault: switch.off, target: shop, hold: 5500ms}, "
        + "{id: back, expect: probes.p.last.ok, within: 10s, hold: 2s, after_fault: cut}]"
    )

    ended = await lab.run(text)

    (back,) = ended.validations
    assert back.finding is Finding.HELD
    assert back.began_at is not None
    assert back.ended_at is not None
    assert back.took is not None
    assert (since(back.began_at), since(back.ended_at)) == (5.5, 11.0)
    assert back.took.total_seconds() == 3.5


@virtual
async def test_a_fault_is_in_force_for_as_long_as_it_is_to_be_held() -> None:
    lab = Lab()

    ended = await lab.run(CUT)

    board, fault = lab.kit.board, ended.faults[StepId("cut")]
    assert (board.times("inject"), board.times("revert")) == ([0.0], [5.0])
    assert fault.status is FaultStatus.REVERTED
    assert fault.evidence == {"off": "shop"}
    assert fault.restored == {"on": "shop"}
    assert ended.verdict is Verdict.INCONCLUSIVE
    assert ended.reason == "nothing was checked, so nothing is known"


@virtual
async def test_the_hold_counts_from_the_confirmed_injection() -> None:
    lab = Lab()
    lab.kit.off.trouble("inject", Hang(seconds=3))

    await lab.run(CUT)

    assert lab.kit.board.times("revert") == [8.0]


@virtual
async def test_nothing_is_injected_into_a_system_that_is_not_in_its_steady_state() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, shows(0))]

    ended = await lab.run(OUTAGE)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert "not in its steady state to begin with: check 'well' is broken" in ended.reason
    assert lab.kit.off.tries.total() == 0
    assert {v.finding for v in ended.validations[1:]} == {Finding.NOT_RUN}
    assert ended.steps.keys() == {"before.well"}


@virtual
async def test_a_system_of_which_nothing_can_be_seen_is_left_alone() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, ProbeFailedError(cause="no route"))]

    ended = await lab.run(OUTAGE)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert "check 'well' is inconclusive" in ended.reason
    assert lab.kit.off.tries.total() == 0


@virtual
async def test_a_fault_that_does_not_bite_cannot_pass_and_is_undone() -> None:
    lab = Lab()
    lab.kit.off.trouble("inject", failed("injecting", "it does not bite"))

    ended = await lab.run(OUTAGE.replace("severity: critical", "severity: normal"))

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert "it does not bite" in ended.reason
    assert ended.faults[StepId("cut")].bitten is False
    assert ended.outstanding == ()
    assert lab.kit.board.done("revert") == ["shop"]


@virtual
async def test_a_fault_that_cannot_be_armed_leaves_nothing_behind() -> None:
    lab = Lab()
    lab.kit.off.trouble("arm", failed("arming"))

    ended = await lab.run(CUT)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.faults == {}
    assert lab.kit.off.tries == {"arm": 1}


@virtual
async def test_after_a_step_has_failed_no_other_is_begun_and_faults_are_undone() -> None:
    lab = Lab()
    lab.kit.note.error = ActionFailedError(action="note", cause="refused")
    text = document("""
probes: {p: {dial: {dial: p}, every: 1s}}
steps:
  - {id: cut, fault: switch.off, target: shop, hold: 1h, needs: []}
  - {id: bad, action: note, with: {name: bad, seconds: 2, fails: true}, needs: []}
  - {id: late, action: note, with: {name: late}, needs: [bad]}
  - {id: check, expect: probes.p.last.ok, needs: [late]}
""")

    ended = await lab.run(text)

    assert ended.verdict is Verdict.COULD_NOT_RUN
    assert ended.reason == "step 'bad' failed: note failed: refused"
    assert outcomes(ended) == {"cut": Outcome.CANCELLED, "bad": Outcome.FAILED}
    assert lab.kit.board.times("revert") == [2.0]
    assert lab.kit.board.done("begin") == ["bad"]
    assert [v.finding for v in ended.validations] == [Finding.NOT_RUN]


@virtual
async def test_a_bug_in_one_step_is_its_failure_and_undoes_the_faults_of_the_others() -> None:
    lab = Lab()
    lab.kit.note.error = ExceptionGroup("tasks", [ExceptionGroup("more", [KeyError("pid")])])
    text = document("""
steps:
  - {id: cut, fault: switch.off, target: shop, hold: 1h, needs: []}
  - {id: bad, action: note, with: {seconds: 2, fails: true}, needs: []}
""")

    ended = await lab.run(text)

    bad = ended.steps[StepId("bad")]
    assert (bad.code, bad.error) == ("internal", "a bug of ours: KeyError: 'pid'")
    assert lab.kit.board.times("revert") == [2.0]


@virtual
async def test_a_step_that_raises_a_timeout_of_its_own_has_not_used_up_its_time() -> None:
    lab = Lab()
    lab.kit.note.error = TimeoutError("socket")

    ended = await lab.run(document("steps: [{id: bad, action: note, with: {fails: true}}]"))

    assert ended.steps[StepId("bad")].code == "internal"


@pytest.mark.parametrize("doing", ["arm", "inject"])
def test_a_fault_that_hangs_is_undone_when_its_step_times_out(doing: str) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        lab.kit.off.trouble(doing, Hang())

        ended = await lab.run(CUT.replace("hold: 5s", "hold: 5s, timeout: 7s"))

        cut = ended.steps[StepId("cut")]
        assert (cut.outcome, cut.code) == (Outcome.FAILED, "step.timeout")
        assert cut.error == "it was not done within its timeout of 7s"
        assert ended.verdict is Verdict.COULD_NOT_RUN
        assert lab.kit.board.in_force == []
        assert lab.kit.board.times("revert") == ([7.0] if doing == "inject" else [])

    story()


@virtual
async def test_an_execution_that_takes_too_long_is_stopped_and_its_faults_undone() -> None:
    lab = Lab()

    ended = await lab.run(CUT.replace("hold: 5s", "hold: 1h") + "\ntimeout: 30s")

    assert ended.verdict is Verdict.STOPPED
    assert ended.reason == ("the coordinator stopped it: the scenario's timeout of 30s has passed")
    assert lab.kit.board.times("revert") == [30.0]


@virtual
async def test_stopping_undoes_the_newest_fault_first_and_one_after_the_other() -> None:
    lab = Lab()
    lab.kit.off.always("revert", Hang(seconds=2))
    lab.kit.slow.always("revert", Hang(seconds=2))
    text = document("""
steps:
  - {id: b, fault: switch.off, target: shop, hold: 1h, needs: []}
  - {id: a, fault: switch.off, target: bank, hold: 1h, needs: []}
  - {id: w, wait: 1s, needs: []}
  - {id: c, fault: switch.slow, target: shop, hold: 1h, needs: [w]}
""")
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, text)
        await until(3)
        await coordinator.abort_execution(execution, reason="enough", by="ann")
        ended = await coordinator.execution_result(execution)

    assert ended.verdict is Verdict.STOPPED
    assert ended.reason == "ann stopped it: enough"
    assert [since(at) for f in ended.faults.values() if (at := f.reverted_at)] == [9.0, 7.0, 5.0]
    assert list(ended.faults) == ["b", "a", "c"]


@virtual
async def test_a_fault_that_cannot_be_undone_is_residue_whatever_else_held() -> None:
    lab = Lab()
    lab.kit.off.always("revert", failed("reverting"))
    text = OUTAGE.replace("severity: critical", "severity: normal")

    ended = await lab.run(text)

    assert ended.verdict is Verdict.RESIDUE
    assert ended.reason == (
        "not proven undone: switch.off on 'shop'; run `tcoord undo` to try again"
    )
    assert [fault.status for fault in ended.outstanding] == [FaultStatus.REVERT_FAILED]
    assert ended.steps[StepId("cut")].code == "fault.residue"
    assert lab.kit.off.tries["revert"] > 100


@virtual
async def test_an_undo_that_fails_at_first_is_tried_again_until_it_is_done() -> None:
    lab = Lab()
    lab.kit.off.trouble("revert", *[failed("reverting")] * 20)

    ended = await lab.run(CUT)

    assert ended.outstanding == ()
    assert lab.kit.off.tries["revert"] == 21


@virtual
async def test_an_undo_that_hangs_is_given_up_in_bounded_time_and_on_record() -> None:
    lab = Lab()
    lab.kit.off.always("revert", Hang())

    ended = await lab.run(CUT)

    fault = ended.faults[StepId("cut")]
    assert "did not finish within 60 s" in fault.reason
    assert ended.ended_at is not None
    assert since(ended.ended_at) == 65.0
    assert ended.verdict is Verdict.RESIDUE


@virtual
async def test_an_undo_that_breaks_off_on_a_bug_once_is_done_by_the_next_try() -> None:
    lab = Lab()
    lab.kit.off.trouble("revert", KeyError("pid"))

    ended = await lab.run(CUT)

    assert lab.kit.board.times("revert") == [5.5]
    assert ended.outstanding == ()
    assert ended.faults[StepId("cut")].reason == ""


@virtual
async def test_an_undo_with_a_bug_is_tried_until_its_limit_and_is_residue_then() -> None:
    lab = Lab()
    lab.kit.off.always("revert", KeyError("pid"))

    ended = await lab.run(CUT)

    assert ended.verdict is Verdict.RESIDUE
    assert "a bug of ours: KeyError: 'pid'" in ended.faults[StepId("cut")].reason
    assert ended.ended_at is not None
    assert since(ended.ended_at) == 65.0


@virtual
async def test_steps_that_do_not_wait_for_each_other_overlap() -> None:
    lab = Lab()
    text = document("""
steps:
  - id: both
    parallel:
      - {id: a, action: note, with: {name: a, seconds: 3}}
      - {id: b, action: note, with: {name: b, seconds: 2}}
  - {id: c, action: note, with: {name: c, seconds: 1}}
  - {id: d, wait: 1s}
""")

    ended = await lab.run(text)

    assert lab.kit.board.times("begin") == [0.0, 0.0, 3.0]
    assert lab.kit.board.done("end") == ["b", "a", "c"]
    assert ended.ended_at is not None
    assert since(ended.ended_at) == 5.0


@virtual
async def test_snapshots_and_outcomes_are_known_to_the_checks_that_follow() -> None:
    lab = Lab()
    lab.kit.dial.scripts["orders"] = [(0, {"total": 3}), (1, {"total": 4})]
    lab.kit.dial.scripts["stock"] = [(0, ProbeFailedError(cause="shut"))]
    text = document("""
steps:
  - {id: first, snapshot: [shop, bank]}
  - {id: w, wait: 1s}
  - {id: second, snapshot: [shop]}
  - {id: more, expect: snapshots.second.shop.orders.total > snapshots.first.shop.orders.total}
  - {id: done, expect: steps.second.outcome == 'done'}
""")

    ended = await lab.run(text)

    assert [v.finding for v in ended.validations] == [Finding.HELD] * 2
    assert [v.observed for v in ended.validations] == [4, "done"]
    assert ended.snapshots.keys() == {"first", "second"}
    assert ended.steps[StepId("first")].facts == {"problems": ["shop.stock: shut"]}


@virtual
async def test_a_check_may_wait_for_the_outcome_of_a_step_beside_it() -> None:
    lab = Lab()
    text = document("""
steps:
  - {id: work, action: note, with: {seconds: 4}, needs: []}
  - {id: done, expect: steps.work.outcome == 'done', within: 10s, needs: []}
""")

    ended = await lab.run(text)

    (done,) = ended.validations
    assert done.finding is Finding.HELD
    assert done.took is not None
    assert done.took.total_seconds() == 4


@virtual
async def test_many_executions_at_once_do_not_wait_for_each_other() -> None:
    lab = Lab()
    endings: list[Execution] = []
    async with lab.coordinator() as coordinator:

        async def one(number: int) -> None:
            execution = await start(
                coordinator,
                document(f"steps: [{{id: w, wait: {number}s}}]", name=f"story-{number}"),
            )
            endings.append(await coordinator.execution_result(execution))

        async with anyio.create_task_group() as group:
            for number in range(1, 9):
                group.start_soon(one, number)

    assert [since(e.ended_at) for e in endings if e.ended_at] == list(range(1, 9))
    assert {e.status for e in endings} == {Status.FINISHED}
