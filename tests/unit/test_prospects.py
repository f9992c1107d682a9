"""How far an execution has come, as people read it while they wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO

import anyio
import pytest
from rich.console import Console

from support.engine_lab import until
from support.engine_plans import act, plan, wait
from support.outlooks import ME, Course
from support.virtual_time import at, virtual
from test_coordination.application.outlook import CurrentStep, Outlook, Remaining, Usual
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.events import (
    Entry,
    Event,
    ExecutionStarted,
    Outcome,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.execution import Execution
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.interfaces.cli.layout import PLAIN
from test_coordination.interfaces.cli.moving import MovingProgress
from test_coordination.interfaces.cli.progress import PlainProgress, shown_to_the_end
from test_coordination.interfaces.cli.prospects import bar, prospect_document, prospect_text

PLAN = plan(wait("a", for_s=60), act("b", "a"))
NEW = Execution(id=ExecutionId(ME))


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def usual(fastest: float, middle: float, slowest: float) -> Usual:
    return Usual(fastest=s(fastest), middle=s(middle), slowest=s(slowest))


def said(
    *,
    least: float = 12,
    most: float | None = 40,
    before: Usual | None = None,
    running: int = 1,
    ending: bool = False,
    paused: bool = False,
) -> str:
    steps = [
        CurrentStep(id=StepId(f"s{number}"), kind="wait", elapsed=s(1)) for number in range(running)
    ]
    left = Remaining(least=s(least), most=None if most is None else s(most), usual=before)
    return prospect_text(
        Outlook(
            percent=42,
            running=tuple(steps),
            ended=1,
            planned=4,
            remaining=left,
            ending=ending,
            paused=paused,
        )
    )


def test_what_is_left_is_told_as_planned_or_better_as_before() -> None:
    assert said() == "42%, 12s to 40s left (s0)"
    assert said(most=12) == "42%, 12s left (s0)"
    assert said(least=0.2, most=0.3) == "42%, 1s left (s0)"
    assert said(least=0, most=0) == "42%, it may end at any moment (s0)"
    assert said(before=usual(8, 14.2, 20)) == "42%, about 14s left, 8s to 20s as before (s0)"
    assert said(before=usual(14, 14, 14)) == "42%, about 14s left (s0)"
    assert said(before=usual(0, 0, 5)) == "42%, it may end at any moment (s0)"


def test_what_ends_early_or_stands_still_has_no_time() -> None:
    assert said(ending=True, most=None, least=0) == "42%, ending (s0)"
    assert said(ending=True, most=None) == "42%, ending, 12s at least (s0)"
    assert said(paused=True, most=None) == "42%, paused (s0)"


def test_of_many_steps_under_way_some_are_named() -> None:
    assert said(running=0).endswith("left")
    assert said(running=3).endswith("(s0, s1 and s2)")
    assert said(running=5).endswith("(s0, s1, s2 and 2 more)")


@pytest.mark.parametrize(
    ("percent", "picture"), [(0, "----------"), (42, "####------"), (100, "##########")]
)
def test_a_bar_is_as_full_as_there_is_done(percent: int, picture: str) -> None:
    assert bar(percent, 10, PLAIN) == picture


def test_as_json_all_times_are_seconds() -> None:
    story = Course(plan=PLAN, past={"b": [2, 4, 6]})
    story.begin()
    story.log(1, StepStarted(step=StepId("a")))

    found = prospect_document(story.outlook(11))
    unknown = prospect_document(Course(plan=PLAN).outlook(0))

    assert found["steps_running"] == [
        {"id": "a", "kind": "wait", "attempt": 1, "elapsed_s": 10, "usual_s": None}
    ]
    assert found["remaining"] == {
        "least_s": 50,
        "most_s": 50,
        "usual_s": {"fastest": 52, "middle": 54, "slowest": 56},
    }
    assert unknown["remaining"] == {"least_s": 60, "most_s": 60, "usual_s": None}


def log(*events: tuple[float, Event]) -> list[Entry]:
    return [
        Entry(position=place + 1, at=at(second), event=event)
        for place, (second, event) in enumerate(events)
    ]


STORY = log(
    (5, ExecutionStarted(worker=ME)),
    (5, StepStarted(step=StepId("a"))),
    (65, StepEnded(step=StepId("a"), outcome=Outcome.DONE)),
)


async def told(entries: list[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        await until((entry.at - at(0)).total_seconds())
        yield entry


@virtual
async def test_who_waits_is_told_every_ten_seconds_how_far_it_has_come(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def prospect(state: Execution) -> Outlook:
        story = Course(plan=PLAN)
        story.state = state
        return story.outlook(anyio.current_time())

    await shown_to_the_end(NEW, told(STORY), PlainProgress(PLAN, prospect))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("00:00.0  story on lab")
    assert lines[1] == "00:00.0  a: waiting for 1m"
    assert lines[2] == "00:10.0  16%, 50s left (a)"
    assert lines[6] == "00:50.0  83%, 10s left (a)"
    assert len(lines) == 7


@virtual
async def test_who_waits_for_one_that_has_not_begun_is_told_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = [Entry(position=1, at=at(25), event=ExecutionStarted(worker=ME))]

    await shown_to_the_end(NEW, told(late), PlainProgress(PLAN), after=1)

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["it waits to begin; `tcoord executions --queued` shows for what"] * 2


@virtual
async def test_without_a_prospect_silence_is_silence(capsys: pytest.CaptureFixture[str]) -> None:
    ended = await shown_to_the_end(NEW, told(STORY), PlainProgress(PLAN), after=2)

    assert ended.position == 3
    assert capsys.readouterr().out == ""


@virtual
async def test_what_cannot_be_followed_is_told_as_it_is() -> None:
    async def broken() -> AsyncIterator[Entry]:
        yield STORY[0]
        raise StoreUnavailableError(store="the log", doing="following")

    with pytest.raises(StoreUnavailableError):
        await shown_to_the_end(NEW, broken(), PlainProgress(PLAN))


def test_the_picture_has_a_bar_below_the_steps() -> None:
    story = Course(plan=PLAN)
    console = Console(width=100, color_system=None, record=True, file=StringIO())
    asked = list[Execution]()

    def prospect(state: Execution) -> Outlook:
        asked.append(state)
        story.state = state
        return story.outlook(35)

    moving, state = MovingProgress(PLAN, console, prospect), NEW
    for entry in STORY[:2]:
        state = state.apply(entry)
        moving.show(entry, state)
    moving.wait(state, s(10))
    console.print(moving.picture())
    console.print(moving.picture())

    text = console.export_text()
    assert text.count(" 49%  30s left") == 2
    assert len(asked) == 1, "it is not found out for every frame"
