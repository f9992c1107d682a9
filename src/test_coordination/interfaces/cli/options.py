"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from test_coordination.domain.values import (
    BYTES_EXPECTED,
    DURATION_EXPECTED,
    parse_bytes,
    parse_duration,
)
from test_coordination.interfaces.cli.program import SystemChoice

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def system_options(command: Command) -> Command:
    """Add the options that choose the system under test."""
    decorators = [
        click.option("--topology", type=FILE, help="What services there are (YAML)."),
        click.option(
            "--var",
            "variables",
            multiple=True,
            metavar="NAME=VALUE",
            help="Set a variable of the topology; may be repeated.",
        ),
        click.option(
            "--port-offset",
            type=click.IntRange(0, 60000),
            default=0,
            help="Add this to every port of the topology.",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the duration that somebody typed."""
        found = value if isinstance(value, timedelta) else parse_duration(str(value))
        if found is None:
            self.fail(f"expected {DURATION_EXPECTED}, got {value!r}", param, ctx)
        return found


class _Size(click.ParamType[int]):
    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number of bytes that somebody typed."""
        found = value if isinstance(value, int) else parse_bytes(str(value))
        if found is None:
            self.fail(f"expected {BYTES_EXPECTED}, got {value!r}", param, ctx)
        return found


DURATION: Final = _Duration()
SIZE: Final = _Size()


def choice(topology: Path | None, variables: tuple[str, ...], port_offset: int) -> SystemChoice:
    """Return what `system_options` gave."""
    given = pairs(variables, option="--var")
    return SystemChoice(file=topology, variables=given, port_offset=port_offset)


def pairs(texts: tuple[str, ...], *, option: str) -> Mapping[str, str]:
    """Return the NAME=VALUE pairs that ``option`` gave."""
    found: dict[str, str] = {}
    for number, text in enumerate(texts, start=1):
        name, separator, value = text.partition("=")
        if not separator or not name:
            # What was given is not repeated: it may be a secret.
            message = f"expected NAME=VALUE (it is number {number} of them that is not)"
            raise click.BadParameter(message, param_hint=option)
        found[name] = value
    return found


def examples(*lines: str) -> str:
    """Return what ends the help of a command: how it is typed."""
    # The sign at the beginning keeps click from folding the lines that follow.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
