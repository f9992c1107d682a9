"""What the command line says of what happens."""

from __future__ import annotations

from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from support.engine_plans import (
    act,
    before,
    child,
    expect,
    fault,
    gate,
    look,
    plan,
    remedy,
    retry,
    seconds,
    step,
    stop,
    wait,
)
from support.virtual_time import at
from test_coordination.domain.events import (
    Entry,
    Event,
    ExecutionPaused,
    ExecutionReleased,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionTakenOver,
    FaultArmed,
    FaultInjected,
    Outcome,
    StepEnded,
    StepRetried,
    StepStarted,
)
from test_coordination.domain.evidence import Facts
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import PlannedStep, SnapshotWork
from test_coordination.domain.values import (
    ExecutionId,
    Receipt,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.interfaces.cli.moving import MovingProgress
from test_coordination.interfaces.cli.narration import narrate

ME = WorkerId(UUID(int=1))
SHOP = ServiceName("shop")


def said(event: Event, *steps: PlannedStep) -> tuple[str, str] | None:
    line = narrate(event, plan(*steps))
    return None if line is None else (line.text, line.mood)


@pytest.mark.parametrize(
    ("planned", "text"),
    [
        (wait("s", for_s=5), "s: waiting for 5s"),
        (gate("s", until="a ==\n b", within_s=60), "s: waiting, 1m at most, until a == b"),
        (act("s"), "s: note"),
        (act("s", every_s=2, times=None), "s: note every 2s"),
        (act("s", every_s=2, times=9), "s: note every 2s, 9 times"),
        (remedy(act("s")), "s: on failure, note"),
        (look("s"), "s: looking by dial"),
        (stop("s", of=["a", "b"]), "s: ending a, b"),
        (child("s"), "s: running the scenario inner"),
        (expect("s", that="1 <\n2"), "s: expecting 1 < 2"),
        (before(expect("s")), None),
        (fault("s"), None),
        (step("s", snapshot=SnapshotWork(services=(SHOP,))), None),
    ],
)
def test_each_kind_of_step_is_told_as_it_begins(planned: PlannedStep, text: str | None) -> None:
    told = said(StepStarted(step=StepId("s")), planned)

    assert told == (None if text is None else (text, "plain"))


@pytest.mark.parametrize(
    ("planned", "facts", "told"),
    [
        (child("s"), {"execution": "e1", "verdict": "held"}, ("s: was execution e1", "plain")),
        (gate("s"), {"opened": True}, None),
        (
            gate("s"),
            {"opened": False},
            ("s: passed, though its condition was not true", "warn"),
        ),
        (act("s"), {"missed": 0, "runs": 3}, None),
        (
            act("s"),
            {"runs": 3, "missed": 2, "last": {}},
            ("s: repeated (runs 3, missed 2)", "warn"),
        ),
        (wait("s"), {}, None),
        (
            step("s", snapshot=SnapshotWork(services=(SHOP,))),
            {"problems": ["shop.orders: shut"]},
            ("s: not read: ['shop.orders: shut']", "warn"),
        ),
    ],
)
def test_what_is_worth_a_word_at_a_good_end(
    planned: PlannedStep, facts: Facts, told: tuple[str, str] | None
) -> None:
    ended = StepEnded(step=StepId("s"), outcome=Outcome.DONE, facts=facts)

    assert said(ended, planned) == told


def test_a_failure_and_a_skip_are_told_with_their_reasons() -> None:
    for outcome, mood in ((Outcome.FAILED, "bad"), (Outcome.SKIPPED, "warn")):
        ended = StepEnded(step=StepId("s"), outcome=outcome, error="why")

        assert said(ended, wait("s")) == (f"s {outcome}: why", mood)
    unknown = StepEnded(
        step=StepId("s"), outcome=Outcome.FAILED, error="why", code="step.unknown_outcome"
    )

    assert said(unknown, act("s")) == ("s not known: why", "warn")


def test_a_try_that_failed_is_told_with_what_comes_next() -> None:
    planned = act("s", retry=retry(3))
    failed = StepRetried(step=StepId("s"), attempt=1, error="refused", code="x", delay=seconds(2))

    assert said(failed, planned) == ("s: try 1 of 3 failed, again in 2s: refused", "warn")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ExecutionReleased(reason="it left"), "waiting for another worker: it left"),
        (
            ExecutionReleased(reason="given back: it cannot", refused=True),
            "given back: it cannot; another worker is waited for",
        ),
        (
            ExecutionTakenOver(worker=ME, reason="it left", continues=True),
            "carried on by another worker: it left",
        ),
        (ExecutionTakenOver(worker=ME, reason="it left"), "taken over: it left"),
    ],
)
def test_it_is_told_what_becomes_of_an_execution_whose_worker_is_gone(
    event: Event, text: str
) -> None:
    assert said(event) == (text, "warn")


def test_a_fault_without_a_hold_is_in_force_until_it_is_stopped() -> None:
    injected = FaultInjected(step=StepId("s"), evidence={})

    endless, held = said(injected, fault("s", hold_s=None)), said(injected, fault("s"))

    assert endless == ("s: switch.off on shop in force, held until stopped", "fault")
    assert held == ("s: switch.off on shop in force, held for 5s", "fault")


def test_the_picture_shows_the_try_under_way_and_faults_without_a_hold() -> None:
    cut, do = StepId("cut"), StepId("do")
    planned = plan(fault("cut", hold_s=None), act("do"))
    console = Console(width=100, color_system=None, record=True, file=StringIO())
    shown, state = MovingProgress(planned, console), Execution(id=ExecutionId(ME))
    events: list[Event] = [
        ExecutionStarted(worker=ME),
        StepStarted(step=cut),
        FaultArmed(step=cut, fault="switch.off", service=SHOP, receipt=Receipt("r")),
        FaultInjected(step=cut, evidence={}),
        StepStarted(step=do),
        StepRetried(step=do, attempt=1, error="refused", code="x"),
    ]
    for place, event in enumerate(events):
        entry = Entry(position=place + 1, at=at(place), event=event)
        state = state.apply(entry)
        shown.show(entry, state)

    console.print(shown.picture())
    text = console.export_text()

    assert "action (try 2)" in text
    assert "switch.off on shop: " in text
    assert " until stopped" in text


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ExecutionPaused(reason="look", by="ann"),
            ("paused, and faults in force are held on: look (asked by ann)", "warn"),
        ),
        (
            ExecutionPaused(reason="look", by="ann", undo=True),
            ("paused, and faults are undone: look (asked by ann)", "warn"),
        ),
        (ExecutionResumed(reason="seen", by="bob"), ("resumed: seen (asked by bob)", "plain")),
    ],
)
def test_a_pause_and_its_end_are_told_with_who_asked_for_them(
    event: Event, line: tuple[str, str]
) -> None:
    assert said(event) == line
