"""``tcoord check``: look for mistakes in scenario files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from test_coordination.domain.errors import InvalidDocumentError, Problem
from test_coordination.interfaces.cli.exits import EXIT_INVALID, refuse
from test_coordination.interfaces.cli.options import FILE, choice, system_options
from test_coordination.interfaces.cli.program import Program


@click.command("check")
@click.argument("scenarios", type=FILE, nargs=-1, required=True)
@system_options
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(
    program: Program,
    scenarios: tuple[Path, ...],
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    output: str,
) -> None:
    """Look for mistakes in SCENARIOS; all of them are told at once. No server is needed.

    With a topology the services and links that a scenario names are looked up, too.
    """
    try:
        system = program.topology(choice(topology, variables, port_offset))
    except InvalidDocumentError as error:
        refuse(error)
    problems: list[Problem] = []
    for path in scenarios:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        try:
            program.read_scenario(text, file=str(path), topology=system)
        except InvalidDocumentError as error:
            problems.extend(error.problems)
        else:
            if output == "text":
                click.echo(f"{path}: no mistake found")
    if output == "json":
        click.echo(json.dumps([_plain(problem) for problem in problems], indent=2))
    if not problems:
        return
    if output == "text":
        refuse(InvalidDocumentError(problems=tuple(problems)))
    sys.exit(EXIT_INVALID)


def _plain(problem: Problem) -> dict[str, object]:
    mark = problem.mark
    return {
        "file": mark.file,
        "line": mark.line,
        "column": mark.column,
        "code": problem.code,
        "text": problem.text,
    }
