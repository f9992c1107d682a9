"""What another worker makes of steps that were under way: each as its kind says."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest

from support.engine_cuts import GONE_S, Life
from support.engine_fakes import Kit, Reading, failed, shows
from support.engine_handing import hand
from support.engine_lab import PROBE, Lab, document, until
from support.engine_plans import (
    GOOD,
    Bed,
    act,
    after,
    child,
    expect,
    fault,
    gate,
    look,
    plan,
    retry,
    rule,
    seconds,
    stop,
    times,
    wait,
)
from support.virtual_time import since, virtual
from test_coordination.application.capabilities import ActionFailedError, ProbeFailedError
from test_coordination.domain.events import (
    Outcome,
    SteadyStateLeft,
    SteadyStateRegained,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.plan import Plan
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Finding, Severity, Verdict

WELL = after(expect("after.well"))


def test_a_wait_ends_when_it_would_have_ended_or_at_once() -> None:
    long, short = (Life.of(plan(wait("w", for_s=s), WELL), Kit.new()) for s in (9, 3))

    assert times(long.after(long.left_at(StepStarted)).ended, "w") == (0, 9)
    assert times(short.after(short.left_at(StepStarted)).ended, "w") == (0, GONE_S)


def test_the_time_of_a_gate_begins_anew_and_only_what_was_seen_since_counts() -> None:
    kit = Kit.new()
    kit.dial.scripts["p"] = [(0, shows(0)), (8, shows(1))]
    life = Life.of(plan(gate("g", within_s=10, hold_s=2), WELL), kit)
    late = Life.of(plan(gate("g", until="1 > 2", within_s=6)), Kit.new())

    cut = life.after(life.left_at(StepStarted))
    assert times(cut.ended, "g") == (0, 10)
    shut = late.after(late.left_at(StepStarted)).ended
    assert times(shut, "g") == (0, GONE_S + 6)
    assert shut.steps[StepId("g")].code == "gate.shut"


def test_tries_are_counted_on_and_the_delay_between_them_is_kept() -> None:
    kit = Kit.new()
    kit.dial.scripts["q"] = lambda: ProbeFailedError(cause="nobody there")
    planned = plan(look("l", dial="q", retry=retry(3, delay_s=5, backoff=2)))
    life = Life.of(planned, kit)
    (first, second) = (life.left_at(StepRetried, count=n) for n in (1, 2))

    one, two = life.after(first).ended, life.after(second).ended
    assert times(life.ended, "l") == (0, 15)
    assert [state.steps[StepId("l")].attempts for state in (one, two)] == [3, 3]
    assert times(one, "l") == (0, 15)
    assert times(two, "l") == (0, 15)


def test_a_step_that_is_told_to_end_before_it_is_tried_again_is_not() -> None:
    kit = Kit.new()
    kit.off.always("arm", failed("arming"))
    planned = plan(
        fault("cut", hold_s=None, retry=retry(2, delay_s=60)),
        wait("w", for_s=3),
        stop("end", "w", of=["cut"], condition=None),
    )
    life = Life.of(planned, kit)

    ended = life.after(life.left_at(StepStarted, count=3)).ended
    assert ended.steps[StepId("cut")].code == "step.not_tried_again"
    assert "told to end before another worker tried it again" in ended.steps[StepId("cut")].error
    assert kit.off.tries["arm"] == 1


def test_what_is_done_until_it_is_stopped_begins_anew_and_says_so() -> None:
    load = act("load", takes_s=0, every_s=1, times=None, background=True)
    life = Life.of(plan(load, wait("w", "load", for_s=7), WELL), Kit.new())

    ended = life.after(life.left_at(StepStarted, count=2)).ended
    facts = ended.steps[StepId("load")].facts
    assert (facts["runs"], facts["begun_anew"]) == (4, True)
    assert "begun_anew" not in life.ended.steps[StepId("load")].facts


@pytest.mark.parametrize(
    ("checked", "bad_from_s", "finding"),
    [
        ({"within": seconds(20), "hold": seconds(3)}, None, Finding.HELD),
        ({"within": seconds(20), "hold": seconds(3)}, 0, Finding.INCONCLUSIVE),
        ({"within": seconds(2)}, 0, Finding.INCONCLUSIVE),
        ({"mode": Mode.ALWAYS, "span": seconds(9)}, None, Finding.INCONCLUSIVE),
        ({"mode": Mode.ALWAYS, "span": seconds(9)}, 6, Finding.BROKEN),
        ({"mode": Mode.NEVER, "span": seconds(9)}, 6, Finding.BROKEN),
    ],
)
def test_a_check_is_judged_only_by_what_somebody_has_seen(
    checked: Mapping[str, object], bad_from_s: float | None, finding: Finding
) -> None:
    kit, wanted = Kit.new(), checked.get("mode") is not Mode.NEVER
    script: list[tuple[float, Reading]] = [(0, shows(wanted))]
    if bad_from_s is not None:
        script.append((bad_from_s, shows(not wanted)))
    kit.dial.scripts["p"] = script
    life = Life.of(plan(expect("e", that=GOOD, checked=checked)), kit)

    (judged,) = life.after(life.left_at(StepStarted)).ended.validations
    assert judged.finding is finding
    unsure = judged.reason.endswith("so it could not be judged")
    assert unsure == (finding is Finding.INCONCLUSIVE)


def watched(severity: Severity) -> Plan:
    check = expect("calm", that=GOOD, checked={"severity": severity}).expect
    assert check is not None
    return plan(wait("w", for_s=9), WELL, watched=(check,))


def test_what_is_watched_is_not_held_if_nobody_watched_for_a_while() -> None:
    life = Life.of(watched(Severity.CRITICAL), Kit.new())
    begun, ending = life.left_at(StepStarted), life.left_at(StepEnded)

    during, late = life.after(begun).ended, life.after(ending).ended
    assert life.ended.verdict is Verdict.HELD
    assert during.verdict is late.verdict is Verdict.INCONCLUSIVE
    assert [v.finding for v in during.validations if v.check == "calm"] == [Finding.INCONCLUSIVE]
    assert [v.finding for v in late.validations if v.check == "calm"] == [Finding.NOT_RUN]
    assert "its worker was gone before it was judged" in late.reason


def test_what_is_seen_to_be_wrong_after_a_while_of_not_watching_breaks_it() -> None:
    kit = Kit.new()
    kit.dial.scripts["p"] = [(0, shows(1)), (6, shows(0))]
    life = Life.of(watched(Severity.CRITICAL), kit)

    assert life.after(life.left_at(StepStarted)).ended.verdict is Verdict.BROKEN


def test_a_time_outside_goes_on_until_another_worker_sees_its_end() -> None:
    kit = Kit.new()
    kit.dial.scripts["p"] = [(0, shows(1)), (2, shows(0)), (8, shows(1))]
    life = Life.of(watched(Severity.NORMAL), kit)

    cut = life.after(life.left_at(SteadyStateLeft))
    kinds = [type(event) for event in cut.events]
    assert (kinds.count(SteadyStateLeft), kinds.count(SteadyStateRegained)) == (1, 1)
    (excursion,) = cut.ended.excursions
    assert [since(at) for at in (excursion.left_at, excursion.regained_at) if at] == [2, 8]


def test_what_runs_as_a_step_is_found_in_whichever_try_it_is_and_stopped_with_what_runs_it() -> (
    None
):
    kit = Kit.new()
    kit.off.trouble("arm", failed("arming"))
    again = child("in", retry=retry(2, delay_s=2))
    enough = (rule("execution.elapsed > duration('5s')"),)
    life = Life.of(plan(again, stop_when=enough), kit)

    found = [life.after(photo) for photo in life.photos]
    for cut in found:
        cut.check()
        assert cut.ended.verdict in {Verdict.STOPPED, Verdict.COULD_NOT_RUN}
    assert len(found) > 15


def test_what_ran_in_a_try_that_failed_is_not_taken_for_the_next_one() -> None:
    kit = Kit.new()
    kit.off.trouble("arm", failed("arming"))
    life = Life.of(plan(child("in", retry=retry(2, delay_s=2)), WELL), kit)

    cut = life.after(life.left_at(StepRetried))
    assert cut.ended.verdict is Verdict.HELD
    assert cut.ended.steps[StepId("in")].attempts == 2


SEEN = document(
    PROBE
    + """
steps:
  - {id: first, snapshot: [shop]}
  - {id: calm, wait: 2s}
  - {id: cut, fault: switch.off, target: shop, hold: 4s}
  - {id: rest, wait: 20s}
  - {id: before, expect: 'probes.p.before("cut").count >= 2'}
  - {id: during, expect: 'probes.p.during("cut").count >= 3'}
  - {id: stock, expect: 'snapshots.first.shop.stock.value == 1.0'}
"""
)


@virtual
async def test_what_was_seen_before_is_known_to_who_goes_on() -> None:
    lab = Lab()
    async with hand(lab) as one, hand(lab, 802) as two:
        await one.order(SEEN)
        execution = await one.order(SEEN)
        async with anyio.create_task_group() as group:
            group.start_soon(one.executions.take, execution)
            await until(10)
            group.cancel_scope.cancel()
        ended = await two.executions.take(execution)

    found = {each.check: each.finding for each in ended.validations}
    assert found == dict.fromkeys(("before", "during", "stock"), Finding.HELD), ended.validations


SECRET = "whisper-8421"
HIDDEN = document(
    "parameters: {key: {type: secret}}\n"
    "steps:\n"
    "  - {id: say, action: note.again, with: {name: '${{ parameters.key }}'}}\n"
    "  - {id: rest, wait: 10s}\n"
    "  - {id: tell, action: note, with: {name: x, fails: true}}\n"
)


@virtual
async def test_secrets_that_were_used_before_are_hidden_by_who_goes_on() -> None:
    lab = Lab(variables={"KEY": SECRET})
    lab.kit.note.error = ActionFailedError(action="note", cause=f"it said {SECRET}")
    async with hand(lab) as one, hand(lab, 802) as two:
        execution = await one.order(HIDDEN, given={"key": "env:KEY"})
        async with anyio.create_task_group() as group:
            group.start_soon(one.executions.take, execution)
            await until(5)
            group.cancel_scope.cancel()
        ended = await two.executions.take(execution)

    assert ended.steps[StepId("tell")].error == "note failed: it said ⟦secret env:KEY⟧"
    assert SECRET in lab.kit.board.done("begin")


@virtual
async def test_a_secret_that_is_not_there_any_more_keeps_nobody_from_going_on() -> None:
    lab = Lab(variables={"KEY": SECRET})
    async with hand(lab) as one, hand(lab, 802) as two:
        execution = await one.order(HIDDEN, given={"key": "env:KEY"})
        async with anyio.create_task_group() as group:
            group.start_soon(one.executions.take, execution)
            await until(5)
            group.cancel_scope.cancel()
        lab.variables.clear()
        ended = await two.executions.take(execution)

    assert ended.steps[StepId("tell")].outcome is Outcome.DONE


@virtual
async def test_what_the_system_does_not_let_us_do_is_told_as_that() -> None:
    bed = Bed()
    bed.kit.note.error = PermissionError(1, "Operation not permitted")

    ended = await bed.run(plan(act("a", fails=True)))

    state = ended.steps[StepId("a")]
    assert state.code == "target.not_privileged"
    assert state.error == "the system does not let us: [Errno 1] Operation not permitted"
