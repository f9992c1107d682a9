"""What the exit status says, and how errors are told."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn, TypeVar

import click

from test_coordination.application.definitions import DefinitionKindError
from test_coordination.application.holders import NotEndedError
from test_coordination.application.ports import NotFoundError
from test_coordination.application.timetable import ScheduleExistsError
from test_coordination.application.world import NoTopologyError
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError
from test_coordination.domain.expressions import InvalidExpressionError
from test_coordination.domain.graph import CircularNeedsError
from test_coordination.domain.schedule import InvalidScheduleError
from test_coordination.domain.topology import UnknownServiceError
from test_coordination.domain.verdicts import Verdict
from test_coordination.interfaces.cli.interruptions import ENDING, run_stoppable

EXIT_STATUS: Final = {
    Verdict.HELD: 0,
    Verdict.BROKEN: 1,
    Verdict.STOPPED: 3,
    Verdict.COULD_NOT_RUN: 4,
    Verdict.INCONCLUSIVE: 5,
    Verdict.RESIDUE: 6,
}
EXIT_INVALID: Final = 2
EXIT_COULD_NOT_RUN: Final = 4
EXIT_INTERRUPTED: Final = 130

MISUSE: Final = (
    CircularNeedsError,
    DefinitionKindError,
    InvalidExpressionError,
    InvalidScheduleError,
    NoTopologyError,
    NotEndedError,
    NotFoundError,
    ScheduleExistsError,
    UnknownServiceError,
)
"""What is wrong with what was asked for, and not with what was to be done."""

Result = TypeVar("Result")


def carried_out(job: Callable[[], Coroutine[None, None, Result]]) -> Result:
    """Run ``job`` to its end and return its result; errors end the program with their text.

    Who ends the program from outside cancels ``job``, which then cleans up.
    """
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them on purpose
            signal.signal(number, _like_ctrl_c)
    # It warns, with a traceback, of each connection that breaks; we tell of that ourselves.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    with told():
        return run_stoppable(job)


@contextmanager
def told() -> Iterator[None]:
    """End the program with the text and the status of what goes wrong in the body."""
    try:
        yield
    except CoordinationError as error:
        refuse(error)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:  # nobody reads any more: there is nobody to tell
        # What is left in the buffer would be tried once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_COULD_NOT_RUN)
    except Exception:  # noqa: BLE001  the border of main: Python's own status 1 would say "broken"
        traceback.print_exc()
        click.echo("error: this is a bug of ours; please report it with the lines above", err=True)
        sys.exit(EXIT_COULD_NOT_RUN)


def _like_ctrl_c(number: int, frame: object) -> None:
    del number, frame
    signal.raise_signal(signal.SIGINT)


def refuse(error: CoordinationError) -> NoReturn:
    """Print what was refused, and end the program with the status that belongs to it.

    Notes of the error say what to do on this command line.
    """
    if isinstance(error, InvalidDocumentError):
        for problem in error.problems:
            click.echo(f"{problem} [{problem.code}]", err=True)
        count = len(error.problems)
        click.echo(f"{count} mistake{'s' if count != 1 else ''}; nothing was done", err=True)
        sys.exit(EXIT_INVALID)
    click.echo(f"error: {error} [{error.code}]", err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(note, err=True)
    sys.exit(EXIT_INVALID if isinstance(error, MISUSE) else EXIT_COULD_NOT_RUN)
