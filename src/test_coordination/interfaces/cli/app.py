"""The command line: arguments in, use cases called, text and an exit status out."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from typing import Final

import click

COMMANDS: Final = {
    "abort": "Stop an execution, whoever runs it.",
    "check": "Look for mistakes in files.",
    "demo": "Break a small trading system and watch it recover.",
    "doctor": "See whether everything is ready, and undo what was left behind.",
    "executions": "List what was run.",
    "explain": "See what a file means, or how a fault or a probe is used.",
    "follow": "Show an execution while it runs, to its end.",
    "init": "Write a scenario to begin with.",
    "pause": "Have nothing further begun in an execution.",
    "plan": "See what running a scenario would mean.",
    "report": "Write the report of an execution.",
    "resume": "Let an execution go on that was paused.",
    "run": "Run a scenario to its end.",
    "scenarios": "List, store, compare and export scenarios.",
    "schedules": "Let scenarios run by themselves.",
    "schema": "Print the JSON Schema of documents, for editors.",
    "server": "Run one of the embedded database servers by itself.",
    "services": "See, start and stop the services of a system.",
    "stop-all": "Stop every execution that there is.",
    "suites": "List, store, compare and export suites.",
    "templates": "List, store, compare and export templates.",
    "undo": "Undo what was left in force, and say what was.",
    "worker": "Carry out what others ordered, until told to end.",
    "workers": "List the workers, what they offer and what they are at.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called: start-up is part of the job."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import and return the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(
            f"test_coordination.interfaces.cli.commands.{cmd_name.replace('-', '_')}"
        )
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; errors end the program with their text and the status they have."""
        from test_coordination.interfaces.cli.exits import told  # noqa: PLC0415  it knows all errors, and help needs none

        with told():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  click's signature
    if wanted and not ctx.resilient_parsing:
        click.echo(f"tcoord {version('test-coordinator-data-adapter')}")
        ctx.exit()


HELP: Final = """Break your services on purpose, undo every fault, prove that they recovered.

\b
Exit status:
  0  held          1  broken             2  usage, or an invalid file
  3  stopped       4  could not run      5  inconclusive
  6  an undo is not verified             130  interrupted, all undone
"""


@click.group(cls=LazyGroup, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Begin; the help is `HELP`."""
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        ctx.color = False
