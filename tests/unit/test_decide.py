"""What is due: a pure function of plan, log and time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.engine_fakes import NumberedIdentities
from support.engine_lab import MARK
from support.virtual_time import at
from test_coordination.application.engine.decide import (
    UNDO_TURN,
    Begin,
    Cancel,
    Conclude,
    Decision,
    Finish,
    Lift,
    Stop,
    decide,
)
from test_coordination.application.engine.verdict import conclusion, judge, remedy
from test_coordination.domain.events import (
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
    FaultReverted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    Plan,
    PlannedCheck,
    PlannedStep,
    Stage,
    WaitWork,
)
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Finding, Phase, Severity, Verdict

NEW = NumberedIdentities()
SELF, ME = ExecutionId(NEW.new()), WorkerId(NEW.new())
A, B, C, SHOP = StepId("a"), StepId("b"), StepId("c"), ServiceName("shop")
HOUR = timedelta(hours=1)
STARTED = ExecutionStarted(worker=ME)
CHECK = PlannedCheck(id=CheckId("well"), expression="1 < 2", mark=MARK)
FAULT = FaultWork(fault="f", service=SHOP, hold=timedelta(seconds=10))


def fault(step: StepId, *needs: StepId) -> PlannedStep:
    return PlannedStep(id=step, timeout=HOUR, fault=FAULT, needs=frozenset(needs))


def wait(step: StepId, *needs: StepId, seconds: float = 5) -> PlannedStep:
    work = WaitWork(duration=timedelta(seconds=seconds))
    return PlannedStep(id=step, timeout=HOUR, wait=work, needs=frozenset(needs))


def expect(step: StepId, *needs: StepId, stage: Stage = Stage.MAIN) -> PlannedStep:
    return PlannedStep(id=step, timeout=HOUR, expect=CHECK, needs=frozenset(needs), stage=stage)


def plan(*steps: PlannedStep) -> Plan:
    return Plan(
        scenario="s",
        topology="t",
        parameters={},
        probes=(),
        watched=(),
        steps=steps,
        timeout=timedelta(minutes=1),
    )


def after(*events: Event) -> Execution:
    """Return the execution after ``events``, of which the first came at 0, one each second."""
    return Execution.of(
        SELF,
        [
            Entry(position=place + 1, at=at(place), event=event)
            for place, event in enumerate(events)
        ],
    )


def armed(step: StepId) -> FaultArmed:
    return FaultArmed(step=step, fault="f", service=SHOP, receipt=Receipt("r"))


def done(step: StepId, outcome: Outcome = Outcome.DONE) -> StepEnded:
    return StepEnded(step=step, outcome=outcome, error="why" * (outcome is Outcome.FAILED))


def judged(
    finding: Finding, *, phase: Phase = Phase.DURING, severity: Severity = Severity.NORMAL
) -> CheckJudged:
    return CheckJudged(
        validation=Validation(
            check=CHECK.id, phase=phase, finding=finding, expression="x", step=C, reason="so",
            severity=severity,
        )
    )  # fmt: skip


def test_whatever_waits_for_nothing_begins_at_once_and_the_rest_when_its_needs_are_over() -> None:
    steps = plan(wait(A), wait(B), wait(C, A, B))

    assert decide(steps, after(STARTED), at(0)).commands == (Begin(step=A), Begin(step=B))
    half = after(STARTED, StepStarted(step=A), StepStarted(step=B), done(A))
    assert decide(steps, half, at(3)).commands == ()
    whole = after(STARTED, StepStarted(step=A), StepStarted(step=B), done(A), done(B))
    assert decide(steps, whole, at(4)).commands == (Begin(step=C),)


def test_a_wait_is_over_by_the_clock_and_the_next_moment_is_known() -> None:
    running = after(STARTED, StepStarted(step=A))

    assert decide(plan(wait(A)), running, at(2)) == Decision(
        commands=(), wake_at=at(6), watching=True
    )
    assert decide(plan(wait(A)), running, at(6)) == Decision(
        commands=(Finish(step=A),), wake_at=at(60), watching=True
    )


def test_a_hold_is_counted_from_the_injection() -> None:
    events = (STARTED, StepStarted(step=A), armed(A))
    steps = plan(fault(A))

    assert decide(steps, after(*events), at(50)).commands == ()
    injected = after(*events, FaultInjected(step=A, evidence={}))
    assert decide(steps, injected, at(12)).wake_at == at(13)
    assert decide(steps, injected, at(13)).commands == (Finish(step=A),)
    assert decide(plan(fault(A), expect(C)), after(STARTED), at(0)).wake_at == at(60)


def test_the_steady_state_is_watched_from_the_first_step_of_the_scenario_to_its_last() -> None:
    steps = plan(expect(B, stage=Stage.BEFORE), wait(A, B), expect(C, A, stage=Stage.AFTER))
    begun: tuple[Event, ...] = (STARTED, StepStarted(step=B), done(B))

    def watching(*more: Event) -> bool:
        return decide(steps, after(*begun, *more), at(1)).watching

    assert watching() is False
    assert watching(StepStarted(step=A)) is True
    assert watching(StepStarted(step=A), done(A)) is False


def test_a_time_that_has_run_out_stops_the_execution() -> None:
    running = after(STARTED, StepStarted(step=A))

    (stop,) = decide(plan(wait(A, seconds=100)), running, at(60)).commands

    assert stop == Stop(reason="the scenario's timeout of 1m has passed")


def test_when_all_is_over_the_end_is_recorded() -> None:
    assert decide(plan(wait(A)), after(STARTED, done(A)), at(1)).commands == (Conclude(),)


ABORT = AbortRequested(reason="enough", by="ann")


def test_a_stop_ends_what_runs_and_undoes_faults_one_by_one_the_newest_first() -> None:
    steps = plan(fault(B), fault(A), wait(C), fault(StepId("d")))
    begun = [StepStarted(step=step.id) for step in steps.steps]
    running: list[Event] = [STARTED, *begun, armed(A), armed(B), ABORT]

    def commands(*more: Event) -> tuple[object, ...]:
        return decide(steps, after(*running, *more), at(9)).commands

    d = StepId("d")
    assert commands() == (Cancel(step=C), Cancel(step=d))
    assert commands(done(C), done(d)) == (Cancel(step=B),)
    assert commands(done(C), done(d), done(B)) == (Cancel(step=A),)
    assert commands(done(C), done(d), done(B), done(A)) == (Conclude(),)


def test_an_undo_that_gets_nowhere_has_the_older_faults_undone_beside_it() -> None:
    steps = plan(fault(B), fault(A))
    begun = [StepStarted(step=step.id) for step in steps.steps]
    state = after(STARTED, *begun, armed(A), armed(B), ABORT)
    assert state.changed_at is not None
    turn_ends = state.changed_at + UNDO_TURN

    first = decide(steps, state, state.changed_at)
    later = decide(steps, state, turn_ends)

    assert (first.commands, first.wake_at) == ((Cancel(step=B),), turn_ends)
    assert (later.commands, later.wake_at) == ((Cancel(step=B), Cancel(step=A)), None)


def test_what_was_taken_over_is_only_ended() -> None:
    taken = ExecutionTakenOver(worker=ME, reason="its worker is dead")
    state = after(STARTED, StepStarted(step=A), ABORT, taken)
    steps = plan(wait(A), expect(C, A))

    cancelled, missed, end = conclusion(steps, state)

    assert cancelled == StepEnded(step=A, outcome=Outcome.CANCELLED, error="its worker is dead")
    assert isinstance(missed, CheckJudged)
    assert missed.validation.finding is Finding.NOT_RUN
    assert end == ExecutionEnded(verdict=Verdict.COULD_NOT_RUN, reason="its worker is dead")


def test_what_is_done_on_failure_is_for_whoever_began_it() -> None:
    mend = replace(wait(A), stage=Stage.FAILURE)
    steps = plan(expect(C), mend)

    assert remedy(steps, after(STARTED, judged(Finding.BROKEN), done(C))) == A
    assert remedy(steps, after(STARTED, judged(Finding.HELD), done(C))) is None
    assert remedy(steps, after(STARTED, judged(Finding.BROKEN), done(C), done(A))) is None
    taken = ExecutionTakenOver(worker=ME, reason="its worker is dead")
    assert remedy(steps, after(STARTED, judged(Finding.BROKEN), done(C), taken)) is None


@pytest.mark.parametrize(
    ("events", "verdict", "reason"),
    [
        ((), Verdict.INCONCLUSIVE, "nothing was checked, so nothing is known"),
        ((judged(Finding.HELD),), Verdict.HELD, "all 1 checks held, and every fault is undone"),
        (
            (judged(Finding.HELD), judged(Finding.BROKEN), judged(Finding.BROKEN)),
            Verdict.BROKEN,
            "check 'well' is broken: so (and 1 more)",
        ),
        (
            (judged(Finding.INCONCLUSIVE), judged(Finding.HELD)),
            Verdict.INCONCLUSIVE,
            "check 'well' is inconclusive: so",
        ),
        (
            (judged(Finding.BROKEN, phase=Phase.BEFORE),),
            Verdict.COULD_NOT_RUN,
            "the system was not in its steady state to begin with: check 'well' is broken (so)",
        ),
        ((done(A, Outcome.FAILED),), Verdict.COULD_NOT_RUN, "step 'a' failed: why"),
        ((judged(Finding.BROKEN), ABORT), Verdict.STOPPED, "ann stopped it: enough"),
        (
            (armed(A), judged(Finding.HELD), ABORT),
            Verdict.RESIDUE,
            "not proven undone: f on 'shop'; run `tcoord undo` to try again",
        ),
        (
            (armed(A), FaultReverted(step=A, evidence={}), judged(Finding.HELD)),
            Verdict.HELD,
            "all 1 checks held, and every fault is undone",
        ),
    ],
)
def test_the_verdict_and_the_sentence_that_says_why(
    events: tuple[Event, ...], verdict: Verdict, reason: str
) -> None:
    assert judge(plan(fault(A)), after(STARTED, *events)) == (verdict, reason)


def test_an_informative_check_has_no_say_in_the_verdict() -> None:
    info = judged(Finding.BROKEN, severity=Severity.INFO)

    assert judge(plan(fault(A)), after(STARTED, info, judged(Finding.HELD)))[0] is Verdict.HELD


def test_each_kind_of_step_is_named_as_in_a_scenario() -> None:
    action = PlannedStep(id=A, timeout=HOUR, action=ActionWork(action="note"))

    assert [step.kind for step in (fault(A), wait(A), expect(A), action)] == [
        "fault", "wait", "expect", "action",
    ]  # fmt: skip
    assert plan(fault(A), expect(C)).checks() == ((expect(C), CHECK),)
    assert plan(fault(A), action).step(A) == fault(A)
    assert replace(action).work == ActionWork(action="note")


PAUSED = ExecutionPaused(reason="look", by="ann")
RESUMED = ExecutionResumed(reason="seen", by="ann")


def test_while_it_is_paused_no_turn_comes_and_what_runs_ends_in_its_time() -> None:
    steps = plan(wait(A), wait(B), wait(C, A, B))
    paused = after(STARTED, StepStarted(step=A), PAUSED)

    assert decide(steps, paused, at(3)) == Decision(commands=(), wake_at=at(6), watching=True)
    assert decide(steps, paused, at(6)).commands == (Finish(step=A),)
    resumed = after(STARTED, StepStarted(step=A), PAUSED, RESUMED)
    assert decide(steps, resumed, at(4)).commands == (Begin(step=B),)


def test_a_pause_does_not_count_for_the_timeout() -> None:
    steps = plan(wait(A, seconds=3600))
    paused = after(STARTED, StepStarted(step=A), PAUSED)
    resumed = after(STARTED, StepStarted(step=A), PAUSED, RESUMED)

    assert decide(steps, paused, at(900)).commands == ()
    assert decide(steps, resumed, at(60)).wake_at == at(61)
    assert isinstance(decide(steps, resumed, at(61)).commands[0], Stop)


def test_a_pause_that_undoes_lifts_the_newest_fault_first_and_those_that_are_gone() -> None:
    steps = plan(fault(A), fault(B), fault(C))
    paused = after(*events_of(steps))

    assert decide(steps, paused, at(8)) == Decision(
        commands=(Lift(step=C),), wake_at=at(17), watching=True
    )
    assert len(decide(steps, paused, at(17)).commands) == 3
    one_gone = after(*events_of(steps), FaultReverted(step=C, evidence={}))
    assert decide(steps, one_gone, at(9)).commands == (Lift(step=C), Lift(step=B))


def events_of(steps: Plan) -> list[Event]:
    """Return a log in which all steps are faults, and are paused and undone."""
    begun = [StepStarted(step=step.id) for step in steps.steps]
    faults = [armed(step.id) for step in steps.steps]
    return [STARTED, *begun, *faults, replace(PAUSED, undo=True)]


def test_a_stop_undoes_the_next_fault_once_the_newest_is_gone_though_its_step_goes_on() -> None:
    steps = plan(fault(A), fault(B))
    begun = (StepStarted(step=A), StepStarted(step=B), armed(A), armed(B))
    gone = FaultReverted(step=B, evidence={})
    stopped = after(STARTED, *begun, AbortRequested(reason="x", by="ann"), gone)

    assert decide(steps, stopped, at(7)).commands == (Cancel(step=B), Cancel(step=A))
