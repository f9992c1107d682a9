"""Where an execution stands, and which events cannot follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.engine_fakes import NumberedIdentities
from test_coordination.domain.events import (
    EVENTS,
    AbortRequested,
    CheckJudged,
    Entry,
    Event,
    ExecutionEnded,
    ExecutionPaused,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    FaultNotInjected,
    FaultReverted,
    FaultRevertFailed,
    Noted,
    Outcome,
    SnapshotTaken,
    SteadyStateLeft,
    SteadyStateRegained,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import (
    Execution,
    FaultStatus,
    IllegalTransitionError,
    Status,
)
from test_coordination.domain.stretches import Pause
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    Receipt,
    ServiceName,
    SnapshotId,
    StepId,
    WishId,
    WorkerId,
)
from test_coordination.domain.verdicts import Finding, Phase, Verdict

NEW = NumberedIdentities()
SELF, ME, OTHER = ExecutionId(NEW.new()), WorkerId(NEW.new()), WorkerId(NEW.new())
A, B, SHOP, WELL = StepId("a"), StepId("b"), ServiceName("shop"), CheckId("well")
START = datetime(2030, 1, 1, tzinfo=UTC)
STARTED = ExecutionStarted(worker=ME)
TAKEN = ExecutionTakenOver(worker=OTHER, reason="dead")
ENDED = ExecutionEnded(verdict=Verdict.HELD, reason="well")
ABORT = AbortRequested(reason="enough", by="ann")
PAUSED = ExecutionPaused(reason="look", by="ann")
RESUMED = ExecutionResumed(reason="seen", by="ann")
NOTED = Noted(text="so")
JUDGED = CheckJudged(
    validation=Validation(check=WELL, phase=Phase.DURING, finding=Finding.HELD, expression="x")
)
LEFT, REGAINED = SteadyStateLeft(check=WELL), SteadyStateRegained(check=WELL)


def armed(step: StepId) -> FaultArmed:
    return FaultArmed(step=step, fault="f", service=SHOP, receipt=Receipt("r"))


def injected(step: StepId) -> FaultInjected:
    return FaultInjected(step=step, evidence={"off": 1})


def reverted(step: StepId) -> FaultReverted:
    return FaultReverted(step=step, evidence={"on": 1})


def not_injected(step: StepId) -> FaultNotInjected:
    return FaultNotInjected(step=step, reason="no bite", code="fault.failed")


def stuck(step: StepId) -> FaultRevertFailed:
    return FaultRevertFailed(step=step, reason="stuck", code="fault.failed")


def ended(step: StepId) -> StepEnded:
    return StepEnded(step=step, outcome=Outcome.DONE, facts={"n": 1})


def retried(step: StepId, attempt: int = 1) -> StepRetried:
    return StepRetried(
        step=step, attempt=attempt, error="no bite", code="fault.failed", delay=timedelta(seconds=2)
    )


def taken(step: StepId) -> SnapshotTaken:
    return SnapshotTaken(step=step, snapshot=SnapshotId(SELF), services=(SHOP,))


def after(*events: Event) -> Execution:
    """Return the execution after ``events``, one a second."""
    return Execution.of(SELF, entries(events))


def entries(events: Sequence[Event]) -> list[Entry]:
    return [
        Entry(position=place, at=START + timedelta(seconds=place), event=event)
        for place, event in enumerate(events, start=1)
    ]


def second(count: int) -> datetime:
    return START + timedelta(seconds=count)


def test_a_new_execution_is_pending() -> None:
    state = after()

    assert (state.status, state.position, state.worker, state.outstanding) == (
        Status.PENDING, 0, None, (),
    )  # fmt: skip


def test_a_story_is_folded_into_what_is_known_of_each_part() -> None:
    state = after(
        STARTED, StepStarted(step=A), armed(A), injected(A), LEFT, reverted(A), ended(A),
        REGAINED, taken(B), JUDGED, NOTED, ENDED,
    )  # fmt: skip

    fault, step = state.faults[A], state.steps[A]
    (excursion,) = state.excursions
    assert (state.status, state.verdict, state.reason) == (Status.FINISHED, Verdict.HELD, "well")
    assert (state.worker, state.started_at, state.ended_at) == (ME, second(1), second(12))
    assert (fault.status, fault.armed_at, fault.injected_at, fault.reverted_at) == (
        FaultStatus.REVERTED, second(3), second(4), second(6),
    )  # fmt: skip
    assert (fault.evidence, fault.restored, fault.bitten) == ({"off": 1}, {"on": 1}, True)
    assert (step.started_at, step.ended_at, step.facts) == (second(2), second(7), {"n": 1})
    assert (excursion.left_at, excursion.regained_at) == (second(5), second(8))
    assert state.snapshots == {B: SELF}
    assert state.validations == (JUDGED.validation,)
    assert state.notes == ("so",)


def test_only_what_is_proven_undone_is_not_outstanding() -> None:
    unproven: list[tuple[Event, ...]] = [
        (),
        (injected(A),),
        (not_injected(A),),
        (stuck(A),),
        (injected(A), stuck(A)),
    ]

    for events in unproven:
        assert len(after(STARTED, armed(A), *events).outstanding) == 1
        assert after(STARTED, armed(A), *events, reverted(A)).outstanding == ()


def test_outstanding_faults_stand_in_the_order_in_which_they_were_armed() -> None:
    state = after(STARTED, armed(B), armed(A), stuck(B))

    assert [fault.step for fault in state.outstanding] == [B, A]


def test_a_fault_that_never_bit_says_so_also_once_it_is_undone() -> None:
    fault = after(STARTED, armed(A), not_injected(A), reverted(A)).faults[A]

    assert (fault.bitten, fault.reason, fault.status) == (False, "no bite", FaultStatus.REVERTED)


def test_a_fault_may_be_armed_again_once_it_is_undone_and_is_then_the_newest() -> None:
    tried = (STARTED, armed(A), not_injected(A), reverted(A), armed(B))

    again = after(*tried, armed(A), injected(A))

    assert list(again.faults) == [B, A]
    assert again.faults[A].bitten is True
    assert (again.faults[A].armed_at, again.faults[A].injected_at) == (second(6), second(7))
    assert [fault.step for fault in again.outstanding] == [B, A]


def test_the_tries_of_a_step_are_counted() -> None:
    begun = (STARTED, StepStarted(step=A))

    assert after(*begun).steps[A].attempts == 1
    twice = after(*begun, retried(A), retried(A, 2), ended(A))
    assert (twice.steps[A].attempts, twice.steps[A].started_at) == (3, second(2))


def test_residue_may_be_undone_after_the_end_and_the_verdict_stays() -> None:
    residue = replace(ENDED, verdict=Verdict.RESIDUE)
    state = after(STARTED, armed(A), stuck(A), residue, stuck(A), reverted(A), NOTED)

    assert state.outstanding == ()
    assert (state.status, state.verdict, state.notes) == (Status.FINISHED, Verdict.RESIDUE, ("so",))


@pytest.mark.parametrize("before", [(), (STARTED,)])
def test_whoever_takes_over_has_the_execution(before: tuple[Event, ...]) -> None:
    state = after(*before, TAKEN)

    assert (state.status, state.worker, state.taken_over) == (Status.RUNNING, OTHER, "dead")
    assert state.started_at == second(1)


def test_the_first_wish_to_stop_is_the_one_that_counts() -> None:
    assert after(STARTED, ABORT, replace(ABORT, by="bob")).abort == ABORT


def test_what_is_stopped_in_the_queue_ends_without_having_begun() -> None:
    stopped = replace(ENDED, verdict=Verdict.STOPPED)
    state = after(ABORT, JUDGED, stopped)

    assert (state.status, state.verdict, state.abort) == (Status.FINISHED, Verdict.STOPPED, ABORT)
    assert (state.started_at, state.ended_at) == (None, second(3))
    assert len(state.validations) == 1


def test_an_execution_is_paused_until_it_is_resumed_and_the_time_is_counted() -> None:
    paused = after(STARTED, PAUSED)
    twice = after(STARTED, PAUSED, RESUMED, PAUSED, NOTED, RESUMED)

    assert paused.pause == Pause(paused_at=second(2), reason="look", by="ann")
    assert paused.paused_for(second(9)) == timedelta(seconds=7)
    assert twice.pause is None
    assert [pause.resumed_at for pause in twice.pauses] == [second(3), second(6)]
    assert twice.paused_for(second(99)) == timedelta(seconds=3)


def test_a_pause_in_the_queue_counts_from_when_it_was_begun() -> None:
    begun = after(PAUSED, RESUMED, PAUSED, STARTED, NOTED, RESUMED)

    assert [pause.resumed_at for pause in begun.pauses] == [second(2), second(6)]
    assert begun.paused_for(second(9)) == timedelta(seconds=2)
    assert after(PAUSED).paused_for(second(9)) == timedelta(0)


def test_whoever_asks_for_what_is_so_already_changes_nothing_but_that_faults_are_undone() -> None:
    undoing = replace(PAUSED, undo=True, by="bob")

    assert after(STARTED, RESUMED).pauses == ()
    for story in ([PAUSED, PAUSED], [PAUSED, replace(PAUSED, by="bob")]):
        assert after(STARTED, *story).pause == after(STARTED, PAUSED).pause
    for story in ([PAUSED, undoing], [PAUSED, undoing, PAUSED]):
        (pause,) = after(STARTED, *story).pauses
        assert (pause.undo, pause.by, pause.paused_at) == (True, "ann", second(2))


def test_the_last_wish_that_came_through_a_store_is_known() -> None:
    first, last = WishId(UUID(int=7)), WishId(UUID(int=8))
    through = (replace(PAUSED, wish=first), replace(RESUMED, wish=last))

    assert after(STARTED, *through).heeded == last
    assert after(STARTED, *through, PAUSED).heeded == last


def test_a_step_may_end_that_was_never_begun() -> None:
    assert after(STARTED, ended(A)).steps[A].outcome is Outcome.DONE


def test_only_the_excursion_that_is_open_is_ended() -> None:
    state = after(STARTED, LEFT, REGAINED, SteadyStateLeft(check=CheckId("x")), LEFT, REGAINED)

    assert [(e.check, e.regained_at) for e in state.excursions] == [
        (WELL, second(3)), ("x", None), (WELL, second(6)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "story",
    [
        (ENDED,),
        (armed(A),),
        (reverted(A),),
        (stuck(A),),
        (JUDGED,),
        (ABORT, ENDED, STARTED),
        (STARTED, ENDED, PAUSED),
        (STARTED, ENDED, RESUMED),
        (STARTED, STARTED),
        (STARTED, ENDED, STARTED),
        (STARTED, ENDED, ENDED),
        (STARTED, ENDED, TAKEN),
        (STARTED, ENDED, ABORT),
        (STARTED, ENDED, StepStarted(step=A)),
        (STARTED, ENDED, armed(A)),
        (STARTED, ENDED, JUDGED),
        (STARTED, armed(A), ENDED, injected(A)),
        (STARTED, StepStarted(step=A), StepStarted(step=A)),
        (STARTED, ended(A), ended(A)),
        (STARTED, ended(A), StepStarted(step=A)),
        (STARTED, retried(A)),
        (STARTED, ended(A), retried(A)),
        (STARTED, armed(A), not_injected(A), armed(A)),
        (STARTED, armed(A), stuck(A), armed(A)),
        (STARTED, injected(A)),
        (STARTED, not_injected(A)),
        (STARTED, reverted(A)),
        (STARTED, armed(A), armed(A)),
        (STARTED, armed(A), injected(A), injected(A)),
        (STARTED, armed(A), injected(A), not_injected(A)),
        (STARTED, armed(A), reverted(A), reverted(A)),
        (STARTED, armed(A), reverted(A), stuck(A)),
        (STARTED, armed(A), reverted(A), injected(A)),
    ],
)
def test_an_event_that_cannot_follow_is_refused(story: tuple[Event, ...]) -> None:
    before = after(*story[:-1])

    with pytest.raises(IllegalTransitionError) as refused:
        before.apply(entries(story)[-1])

    assert f"{type(story[-1]).__name__} at position {len(story)} cannot follow" in str(
        refused.value
    )


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_log_has_no_gap_and_no_entry_twice(position: int) -> None:
    with pytest.raises(IllegalTransitionError):
        after(STARTED).apply(Entry(position=position, at=START, event=NOTED))


SOME_STEP = st.sampled_from([A, B])
SOME_EVENT = st.one_of(
    st.sampled_from([STARTED, TAKEN, ENDED, ABORT, PAUSED, RESUMED, NOTED, JUDGED, LEFT, REGAINED]),
    st.builds(armed, SOME_STEP),
    st.builds(injected, SOME_STEP),
    st.builds(not_injected, SOME_STEP),
    st.builds(reverted, SOME_STEP),
    st.builds(stuck, SOME_STEP),
    st.builds(StepStarted, step=SOME_STEP),
    st.builds(retried, SOME_STEP),
    st.builds(ended, SOME_STEP),
    st.builds(taken, SOME_STEP),
)


@given(st.lists(SOME_EVENT, max_size=40))
def test_whatever_comes_what_is_accepted_leaves_a_sound_state(events: list[Event]) -> None:
    state, accepted = after(), list[Event]()
    for event in [STARTED, *events]:
        entry = Entry(position=state.position + 1, at=START, event=event)
        try:
            found = state.apply(entry)
        except IllegalTransitionError:
            continue
        assert found.position == state.position + 1
        assert state.status is not Status.FINISHED or found.status is Status.FINISHED
        state, accepted = found, [*accepted, event]

    last: dict[StepId, Event] = {}
    for event in accepted:
        if isinstance(event, FaultArmed):
            last.pop(event.step, None)
        if isinstance(event, FaultArmed | FaultReverted):
            last[event.step] = event
    assert list(state.faults) == list(last)
    assert [fault.step for fault in state.outstanding] == [
        step for step, event in last.items() if isinstance(event, FaultArmed)
    ]
    assert (state.verdict is not None) == (state.status is Status.FINISHED) == (ENDED in accepted)
    assert all((s.outcome is None) == (s.ended_at is None) for s in state.steps.values())


def test_every_event_has_its_own_name() -> None:
    assert len(EVENTS) == 21
    assert all(EVENTS[name].__name__ == name for name in EVENTS)
