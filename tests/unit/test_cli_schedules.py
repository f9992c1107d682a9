"""Schedules on the command line: what is typed, what is refused, and how they are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

from test_coordination.application.timetable import Firing, FiringState, StoredSchedule
from test_coordination.domain.due import Occasion
from test_coordination.domain.schedule import (
    AfterExecution,
    At,
    Blackout,
    Closure,
    Cron,
    Every,
    Misfire,
    MisfirePolicy,
    OnChange,
    OnEvent,
    Overlap,
    Rules,
    Schedule,
    Trigger,
)
from test_coordination.domain.values import ExecutionId, ScheduleId, ScheduleName
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.schedule_options import (
    EPOCH,
    Words,
    schedule_of,
    schedule_options,
)
from test_coordination.interfaces.cli.schedule_text import (
    firing_document,
    firing_rows,
    occasion_document,
    occasion_rows,
    schedule_document,
    schedule_lines,
    schedule_rows,
    when_words,
)

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHTLY = Cron(expression="30 2 * * *", zone="Europe/Berlin")
ZONE = ("--zone", "Europe/Berlin")


def typed(*words: str) -> tuple[Schedule | None, str]:
    """Return what the options say, or what is said of them."""
    found: list[Schedule] = []

    @click.command()
    @schedule_options
    def command(words: Words) -> None:
        found.append(schedule_of(words))

    ended: Any = CliRunner().invoke(command, words)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return (found[0] if found else None), ended.output


@pytest.mark.parametrize(
    ("words", "trigger"),
    [
        (("--cron", "30 2 * * *", *ZONE), NIGHTLY),
        (("--cron", "@daily"), Cron(expression="@daily", zone="UTC")),
        (("--every", "1h30m"), Every(period=1.5 * HOUR, anchor=EPOCH)),
        (("--every", "1h", "--from", "2030-05-01T14:00", *ZONE), Every(period=HOUR, anchor=NOON)),
        (("--at", "2030-05-01T12:00"), At(moment=NOON)),
        (("--at", "2030-05-01T14:00", *ZONE), At(moment=NOON)),
        (("--at", "2030-05-01T15:00+03:00", *ZONE), At(moment=NOON)),
        (("--after", "baseline"), AfterExecution(scenario="baseline")),
        (
            ("--after", "baseline", "--verdict", "held", "--verdict", "broken"),
            AfterExecution(scenario="baseline", verdicts=frozenset({Verdict.HELD, Verdict.BROKEN})),
        ),
        (("--on-event", "deployed"), OnEvent(event="deployed")),
        (
            ("--on-event", "deployed", "--match", "event.data.n == 1"),
            OnEvent(event="deployed", match="event.data.n == 1"),
        ),
        (("--on-change", "till"), OnChange(service="till")),
        (("--on-change", "till", "--deployed"), OnChange(service="till", deployed=True)),
    ],
)
def test_options_say_when(words: tuple[str, ...], trigger: Trigger) -> None:
    assert typed(*words)[0] == Schedule(trigger=trigger)


def test_options_say_what_runs_keep_to() -> None:
    words = (
        *("--cron", "@daily", *ZONE, "--window", "30m", "--grace", "1h", "--misfire", "run_all"),
        *("--overlap", "replace", "--blackout", "30 2 * * * for 1h", "--max-runs", "3"),
        *("--closed", "2030-05-01T14:00/2030-05-01T15:00", "--priority", "-2"),
        *("--label", "zone=eu", "--label", "disk=fast"),
    )

    schedule, _ = typed(*words)

    assert schedule is not None
    assert schedule.rules == Rules(
        misfire=Misfire(grace=HOUR, policy=MisfirePolicy.RUN_ALL),
        overlap=Overlap.REPLACE,
        window=HOUR / 2,
        blackouts=(Blackout(begins=NIGHTLY, length=HOUR),),
        closures=(Closure(since=NOON, until=NOON + HOUR),),
        max_runs=3,
        priority=-2,
        labels=frozenset({"zone=eu", "disk=fast"}),
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say when with one of --cron, --every, --at, --after, --on-event, --on-change"),
        (("--cron", "@daily", "--every", "1h"), "--cron and --every were given"),
        (("--cron", "@daily", "--from", "2030-05-01"), "--from goes with --every"),
        (("--cron", "@daily", "--verdict", "held"), "--verdict goes with --after"),
        (("--cron", "@daily", "--match", "true"), "--match goes with --on-event"),
        (("--cron", "@daily", "--deployed"), "--deployed goes with --on-change"),
        (("--at", "tomorrow"), "expected a time such as"),
        (("--at", "2030-05-01T12:00", "--zone", "Mars"), "expected the name of a time zone"),
        (("--at", "2030-03-31T02:30", *ZONE), "2030-03-31T02:30 does not come at all"),
        (("--at", "2030-10-27T02:30", *ZONE), "2030-10-27T02:30 comes twice"),
        (("--cron", "@daily", "--blackout", "0 0 * * *"), "expected 'FIELDS for LENGTH'"),
        (("--cron", "@daily", "--blackout", "0 0 * * * for ever"), "LENGTH is a duration"),
        (("--cron", "@daily", "--closed", "2030-05-01"), "expected TIME/TIME"),
        (("--cron", "@daily", "--misfire", "never"), "'run_once'"),
        (("--every", "soon"), "a duration such as"),
    ],
)
def test_what_is_typed_wrongly_is_told(words: tuple[str, ...], told: str) -> None:
    schedule, output = typed(*words)

    assert schedule is None
    assert told in " ".join(output.split())


def stored(trigger: Trigger = NIGHTLY, rules: Rules | None = None, **facts: Any) -> StoredSchedule:
    known: dict[str, Any] = {
        "id": ScheduleId(UUID(int=1)),
        "name": ScheduleName("nightly"),
        "scenario": "restart",
        "schedule": Schedule(trigger=trigger, rules=rules or Rules()),
        "system": "shop",
        "seed": 7,
        "created_at": NOON,
        "created_by": "ann",
        "next_due": NOON,
        "next_moment": NOON,
    }
    return StoredSchedule(**{**known, **facts})


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        (NIGHTLY, "30 2 * * * in Europe/Berlin"),
        (Every(period=1.5 * HOUR, anchor=NOON), "every 1h30m"),
        (At(moment=NOON), "once, at 2030-05-01 12:00:00+00:00"),
        (AfterExecution(scenario="baseline"), "after baseline has ended"),
        (
            AfterExecution(scenario="b", verdicts=frozenset({Verdict.HELD, Verdict.BROKEN})),
            "after b has ended as broken or held",
        ),
        (OnEvent(event="deployed"), "on event deployed"),
        (OnEvent(event="deployed", match="event.data.n == 1"), "on event deployed where event"),
        (OnChange(service="till"), "when till has changed"),
        (OnChange(service="till", deployed=True), "when till is deployed"),
    ],
)
def test_when_is_told_in_words(trigger: Trigger, told: str) -> None:
    assert when_words(Schedule(trigger=trigger)).startswith(told)


def test_schedules_stand_below_each_other() -> None:
    paused = stored(version=3, paused_at=NOON)
    over = stored(At(moment=NOON), over_at=NOON, next_moment=None)
    local = "2030-05-01 14:00:00+02:00"

    assert schedule_rows([stored(), paused, over]) == [
        "nightly  active  restart    30 2 * * * in Europe/Berlin         next " + local,
        "nightly  paused  restart@3  30 2 * * * in Europe/Berlin",
        "nightly  over    restart    once, at 2030-05-01 12:00:00+00:00",
    ]
    assert schedule_rows([]) == ["nothing is scheduled; see `tcoord schedules create --help`"]


def test_a_schedule_is_told_with_all_that_is_not_usual() -> None:
    rules = Rules(
        misfire=Misfire(grace=HOUR),
        overlap=Overlap.ALLOW,
        window=HOUR,
        blackouts=(Blackout(begins=NIGHTLY, length=HOUR),),
        closures=(Closure(since=NOON, until=NOON + HOUR),),
        max_runs=3,
        priority=2,
        labels=frozenset({"zone=eu"}),
    )
    told = stored(
        rules=rules, paused_at=NOON, paused_because="audit", runs=1, parameters={"outage": "5s"}
    )

    text = "\n".join(schedule_lines(told, columns=1000))
    plain = "\n".join(schedule_lines(stored(paused_at=NOON, created_by=""), columns=1000))

    for each in (
        "at a moment that chance chooses within 1h; misfire run_once after 1h; overlap allow",
        "blackout 30 2 * * * in Europe/Berlin for 1h",
        "closed 2030-05-01 12:00:00+00:00 to 2030-05-01 13:00:00+00:00",
        "at most 3 runs; priority 2; label zone=eu",
        "paused, 1 run; since 2030-05-01 14:00:00+02:00: audit",
        "outage=5s",
    ):
        assert each in text
    assert "rules" not in plain
    assert "no reason was given" in plain
    assert "by somebody" in plain


def test_runs_to_come_and_runs_that_were_stand_below_each_other() -> None:
    ahead = [
        Occasion(due=NOON, moment=NOON, blackout=True),
        Occasion(due=NOON, moment=NOON + HOUR, blackout=False),
    ]
    firings = [
        Firing(
            schedule=ScheduleId(UUID(int=1)),
            due=NOON,
            state=FiringState.ENDED,
            execution=ExecutionId(UUID(int=2)),
            verdict=Verdict.COULD_NOT_RUN,
        ),
        Firing(
            schedule=ScheduleId(UUID(int=1)),
            due=NOON,
            state=FiringState.SKIPPED,
            cause="event 1",
            why="nothing may begin then",
        ),
    ]

    rows = [click.unstyle(row) for row in firing_rows(firings, stored().schedule)]

    assert occasion_rows(ahead) == [
        "Wed  2030-05-01 12:00:00+00:00  left out: blackout",
        "Wed  2030-05-01 13:00:00+00:00                      due 12:00:00",
    ]
    assert rows[0].split("  ")[1] == "could not run"
    assert rows[1].endswith("event 1; nothing may begin then")
    assert occasion_rows([]) == []
    assert firing_rows([], stored().schedule) == ["it has not asked for a run yet"]
    assert [firing_document(each)["verdict"] for each in firings] == ["could_not_run", None]
    assert occasion_document(ahead[0])["blackout"] is True


def test_a_schedule_as_json_tells_what_comes_next() -> None:
    told = json.loads(json.dumps(schedule_document(stored(next_due=None))))

    assert (told["next_due"], told["next_moment"]) == (None, NOON.isoformat())
    assert (told["state"], told["when"]) == ("active", "30 2 * * * in Europe/Berlin")


def test_a_dry_run_tells_the_next_runs_and_needs_no_server(tmp_path: Path) -> None:
    from test_coordination.__main__ import LaterProgram  # noqa: PLC0415  as the command line does
    from test_coordination.interfaces.cli.app import cli  # noqa: PLC0415

    words = ["schedules", "create", "n", "--scenario", "s", "--dry-run", "--cron", "30 2 * * *"]
    ended = CliRunner(env={"TCOORD_HOME": str(tmp_path)}).invoke(
        cli, [*words, *ZONE], obj=LaterProgram()
    )
    waits = CliRunner(env={"TCOORD_HOME": str(tmp_path)}).invoke(
        cli, [*words[:-2], "--on-event", "e"], obj=LaterProgram()
    )

    assert ended.exit_code == 0, ended.output
    assert len(ended.output.splitlines()) == 5
    assert all("02:30:00+0" in line for line in ended.output.splitlines())
    assert waits.output == "it waits to hear of something\n"
