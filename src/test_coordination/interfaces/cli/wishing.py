"""Have executions stopped, paused or resumed from the command line, and say who has heard it."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from test_coordination.application.controls import NAME_MIN, AmbiguousExecutionError, Hearing
from test_coordination.application.ports import NotFoundError
from test_coordination.application.wishes import Desire
from test_coordination.interfaces.cli.exits import EXIT_COULD_NOT_RUN, carried_out
from test_coordination.interfaces.cli.program import Program

Command = TypeVar("Command", bound=Callable[..., Any])

REASON: Final = "asked for at the command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How it is put what becomes of an execution: by its worker, in the queue, or later."""

    heard: str
    later: str


WORDS: Final = {
    Desire.ABORT: Words(
        heard="is being stopped, and its faults are being undone",
        later="will be stopped by whichever worker takes it; if none can, the next sweep undoes it",
    ),
    Desire.PAUSE: Words(
        heard="is paused: nothing further is begun", later="will be held by whichever takes it"
    ),
    Desire.RESUME: Words(heard="goes on", later="will not be held by whichever takes it"),
}


def wish_options(command: Command) -> Command:
    """Add what every command has that makes a wish for one execution."""
    decorators = [
        click.argument("execution"),
        click.option("--reason", default=REASON, help="Why; it is put on record.", metavar="TEXT"),
        output_option,
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def output_option(command: Command) -> Command:
    """Add the choice between text and JSON."""
    choice = click.Choice(["text", "json"])
    return click.option("--output", type=choice, default="text", show_default=True)(command)


def wished(
    program: Program,
    desire: Desire,
    execution: str | None,
    *,
    reason: str,
    output: str,
    undo: bool = False,
) -> None:
    """Make a wish, tell what is known of it, and end the program if that is not enough."""

    async def job() -> Hearing:
        async with program.controls() as controls:
            try:
                meant = None if execution is None else await controls.find(execution)
            except AmbiguousExecutionError as error:
                raise click.BadParameter(str(error), param_hint="EXECUTION") from None
            except NotFoundError:
                raise click.BadParameter(_unknown(execution), param_hint="EXECUTION") from None
            return await controls.wish(
                desire, meant, reason=reason, by=getpass.getuser(), undo=undo
            )

    hearing = carried_out(job)
    if output == "json":
        click.echo(json.dumps(_plain(hearing), indent=2))
    else:
        for line in _lines(hearing, undo=undo):
            click.echo(line)
    for line in _doubts(hearing):
        click.echo(line, err=True)
    if hearing.silent or not (hearing.kept or hearing.heard):
        sys.exit(EXIT_COULD_NOT_RUN)


def _unknown(given: str | None) -> str:
    assert given is not None, "only what is given is looked for"
    if len(given) < NAME_MIN:
        return f"{given!r} is too short; give {NAME_MIN} characters of its begin or end, or more"
    return (
        f"no execution that waits or runs begins or ends with {given!r}; "
        "`tcoord executions` lists them, also those that have ended"
    )


def _lines(hearing: Hearing, *, undo: bool) -> Iterator[str]:
    words = WORDS[hearing.wish.desire]
    also = ", and its faults are being undone" if undo else ""
    for execution in sorted(hearing.heard):
        yield f"{execution} {words.heard}{also}"
    for execution in sorted(hearing.ended):
        yield f"{execution} waited for a worker, and was ended without having begun"
    for execution in sorted(hearing.waiting):
        yield f"{execution} waits for a worker, and {words.later}"
    if hearing.over:
        yield f"{hearing.wish.execution} has ended already"
    elif hearing.kept and not (hearing.heard or hearing.ended or hearing.waiting or hearing.silent):
        yield "nothing is under way, and nothing waits"


def _doubts(hearing: Hearing) -> Iterator[str]:
    """Yield what is not certain."""
    for execution in sorted(hearing.silent):
        yield (
            f"{execution}: no worker has said that it will {hearing.wish.desire} it; if its "
            "worker is dead, `tcoord undo` undoes and ends it"
        )
    for trouble in hearing.troubles:
        yield f"not told by {trouble}"
    if not hearing.kept and hearing.wish.execution is None:
        yield "what else there may be is not known: PostgreSQL has to be asked for that"
    elif not hearing.kept:
        yield "workers that come later may not know of it: PostgreSQL has not kept it"


def _plain(hearing: Hearing) -> dict[str, object]:
    return {
        "desire": hearing.wish.desire,
        "execution": str(hearing.wish.execution) if hearing.wish.execution else None,
        "kept": hearing.kept,
        "over": hearing.over,
        "heard": sorted(map(str, hearing.heard)),
        "ended": sorted(map(str, hearing.ended)),
        "waiting": sorted(map(str, hearing.waiting)),
        "silent": sorted(map(str, hearing.silent)),
        "troubles": list(hearing.troubles),
    }
