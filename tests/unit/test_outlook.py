"""How far an execution has come, and how long it may take yet."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.engine_plans import ABORT, act, expect, fault, plan, remedy, retry, stop, wait
from support.outlooks import ME, Course
from test_coordination.application.outlook import PERCENT_MAX, Outlook
from test_coordination.domain.events import (
    ExecutionEnded,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    Outcome,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.plan import PlannedStep
from test_coordination.domain.values import Receipt, ServiceName, StepId
from test_coordination.domain.verdicts import Verdict


def begun(step: str) -> StepStarted:
    return StepStarted(step=StepId(step))


def done(step: str, outcome: Outcome = Outcome.DONE) -> StepEnded:
    return StepEnded(step=StepId(step), outcome=outcome)


def course(*steps: PlannedStep, **past: list[float]) -> Course:
    found = Course(plan=plan(*steps), past=past)
    found.begin()
    return found


def left(found: Outlook) -> tuple[float, float | None]:
    most = found.remaining.most
    return found.remaining.least.total_seconds(), None if most is None else most.total_seconds()


def usual(found: Outlook) -> tuple[float, ...]:
    known = found.remaining.usual
    assert known is not None
    return tuple(length.total_seconds() for length in (known.fastest, known.middle, known.slowest))


LADDER = (
    wait("a", for_s=10),
    wait("b", "a", for_s=30),
    expect("c", "b", checked={"within": timedelta(seconds=20)}),
)


def test_before_it_begins_all_is_left() -> None:
    found = Course(plan=plan(*LADDER)).outlook(0)

    assert (found.percent, found.ended, found.planned, found.running) == (0, 0, 3, ())
    assert left(found) == (40, 60)
    assert found.remaining.usual is None
    assert found.remaining.expected == timedelta(seconds=40)


def test_steps_that_are_over_and_the_time_that_one_has_taken_count() -> None:
    story = course(*LADDER)
    story.log(0, begun("a"))
    story.log(10, done("a"), begun("b"))

    found = story.outlook(25)

    assert found.percent == 62
    assert left(found) == (15, 35)
    assert (found.ended, found.planned) == (1, 3)
    (current,) = found.running
    assert (current.id, current.kind, current.attempt) == ("b", "wait", 1)
    assert current.elapsed == timedelta(seconds=15)
    assert current.usual is None


def test_beside_each_other_the_longest_counts() -> None:
    story = course(wait("a", for_s=10), wait("b", for_s=40), wait("c", "a", "b", for_s=10))
    story.log(0, begun("a"), begun("b"))
    story.log(10, done("a"))

    found = story.outlook(20)

    assert found.percent == 40
    assert left(found) == (30, 30)


def test_what_was_before_says_how_long_an_action_will_take() -> None:
    story = course(act("a"), wait("b", "a", for_s=10), a=[30, 10, 20], b=[1, 99])
    story.log(0, begun("a"))

    found = story.outlook(5)

    assert left(found) == (10, 10)
    assert usual(found) == (15, 114, 124)
    assert found.remaining.expected == timedelta(seconds=114)
    assert found.running[0].usual == timedelta(seconds=20)
    assert found.percent == 4


def test_a_step_that_takes_longer_than_ever_is_nearly_done_and_not_more() -> None:
    story = course(act("a"), a=[10])
    story.log(0, begun("a"))

    shown = [story.outlook(second) for second in (0, 5, 10, 1000)]

    assert [found.percent for found in shown] == [0, 50, 95, 95]
    assert usual(shown[-1]) == (0, 0, 0)


def test_the_past_never_says_more_than_a_step_may_take() -> None:
    story = course(act("a", timeout=timedelta(seconds=60)), a=[3600])

    assert usual(story.outlook(0)) == (60, 60, 60)


def test_a_fault_is_held_for_all_its_time_however_long_it_took_to_inject() -> None:
    story = course(fault("f", hold_s=10))
    receipt, service = Receipt("{}"), ServiceName("shop")
    story.log(0, begun("f"))
    before = story.outlook(8)
    armed = FaultArmed(step=StepId("f"), fault="switch.off", service=service, receipt=receipt)
    story.log(8, armed, FaultInjected(step=StepId("f"), evidence={}))

    assert left(before) == (2, 2)
    assert left(story.outlook(9)) == (9, 9)


def test_what_goes_on_until_it_is_stopped_is_as_long_as_what_it_waits_for() -> None:
    story = course(fault("f", hold_s=None), wait("w", for_s=20), stop("s", "w", "f", of=["f"]))
    story.log(0, begun("f"), begun("w"))

    assert left(story.outlook(5)) == (15, 15)
    assert story.outlook(5).percent == pytest.approx(25, abs=1)


def test_a_retry_is_told_and_takes_nothing_back() -> None:
    story = course(act("a", retry=retry(3, delay_s=1)), wait("b", "a", for_s=10), a=[10])
    story.log(0, begun("a"))
    before = story.outlook(8).percent
    story.log(8, StepRetried(step=StepId("a"), attempt=1, error="no", code="x"))

    found = story.outlook(8)

    assert found.percent == before
    assert found.running[0].attempt == 2


def test_an_execution_that_ends_early_has_only_its_remedies_before_it() -> None:
    story = course(*LADDER, remedy(act("mend", every_s=4, times=3)))
    story.log(0, begun("a"))
    story.log(2, ABORT)
    ending = story.outlook(2)
    story.log(3, done("a", Outcome.CANCELLED), begun("mend"))

    assert ending.ending
    assert left(ending) == (8, None)
    assert left(story.outlook(6)) == (5, None)
    assert story.outlook(6).percent == ending.percent == PERCENT_MAX
    assert [current.id for current in story.outlook(6).running] == ["mend"]


def test_remedies_of_what_was_broken_to_its_end_are_the_end_of_it() -> None:
    story = course(wait("a", for_s=1), remedy(act("mend", every_s=4, times=3)))
    story.log(0, begun("a"))
    story.log(1, done("a"), begun("mend"))

    found = story.outlook(2)

    assert found.ending
    assert (found.percent, left(found)) == (PERCENT_MAX, (7, None))


def test_who_took_it_over_only_ends_it() -> None:
    story = course(*LADDER, remedy(act("mend", every_s=4, times=3)))
    story.log(1, ExecutionTakenOver(worker=ME, reason="its worker died"))

    assert left(story.outlook(2)) == (0, None)


def test_how_long_a_pause_lasts_is_not_known() -> None:
    story = course(*LADDER)
    story.log(0, begun("a"))
    story.log(10, done("a"), ExecutionPaused(reason="lunch", by="ann"))
    paused = story.outlook(3000)
    story.log(3500, ExecutionResumed(reason="back", by="ann"), begun("b"))

    assert paused.paused
    assert left(paused) == (30, None)
    assert left(story.outlook(3500)) == (30, 50)
    assert not story.outlook(3500).paused


def test_nothing_is_left_after_the_timeout() -> None:
    story = course(*LADDER)
    story.log(0, begun("a"))

    assert left(story.outlook(3590)) == (10, 10)
    assert left(story.outlook(4000)) == (0, 0)


def test_what_has_ended_is_done() -> None:
    story = course(*LADDER)
    story.log(1, ABORT, ExecutionEnded(verdict=Verdict.STOPPED, reason="asked"))

    found = story.outlook(2)

    assert (found.percent, left(found)) == (100, (0, 0))


def test_a_clock_that_is_behind_takes_nothing_back() -> None:
    story = course(*LADDER)
    story.log(5, begun("a"))

    assert story.outlook(1) == story.outlook(5)


def test_a_plan_without_steps_has_no_share_that_is_done() -> None:
    found = course().outlook(1)

    assert (found.percent, left(found)) == (0, (0, 0))
