"""The page about every command, made from what the commands say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from test_coordination.interfaces.cli.app import cli

WIDTH: Final = 80
HEAD: Final = """\
# The command line

<!-- Made from the code by `make generated`; changes by hand are lost. -->

What each command says when it is asked with `--help`.

"""


def commands_page() -> str:
    """Return the page, in Markdown."""
    top = click.Context(cli, info_name="tcoord", terminal_width=WIDTH, **cli.context_settings)
    parts = [f"{'#' * depth} {path}\n\n```text\n{text}\n```\n" for path, depth, text in _all(top)]
    return HEAD + "\n".join(parts)


def _all(context: click.Context) -> Iterator[tuple[str, int, str]]:
    """Yield each command with the words that call it, how deep it stands, and its help."""
    command = context.command
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, context.command_path.count(" ") + 2, "\n".join(lines).strip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, "it was listed"
            inner = click.Context(found, info_name=name, parent=context, terminal_width=WIDTH)
            yield from _all(inner)
