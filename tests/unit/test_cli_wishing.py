"""What is said of an execution that cannot be stopped, paused or resumed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner

from support.engine_lab import Lab
from test_coordination.application.controls import Controls
from test_coordination.interfaces.cli.commands import abort, pause, resume


class Idle:
    """The part of the program that the commands need; nothing waits, and nothing runs."""

    @asynccontextmanager
    async def controls(self) -> AsyncGenerator[Controls]:
        yield Lab().controls()


@pytest.mark.parametrize("command", [abort.command, pause.command, resume.command])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("9c1d02", "begins or ends with '9c1d02'; `tcoord executions` lists them"),
        ("9c1", "'9c1' is too short; give 4 characters of its begin or end, or more"),
    ],
)
def test_a_part_that_names_nothing_is_refused_with_what_to_give(
    command: object, given: str, said: str
) -> None:
    result = CliRunner().invoke(command, [given], obj=Idle())  # type: ignore[arg-type]

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
