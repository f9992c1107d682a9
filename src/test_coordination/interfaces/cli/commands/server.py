"""``tcoord server``: run one of the embedded database servers by itself."""

from __future__ import annotations

from pathlib import Path

import click

from test_coordination.domain.errors import CoordinationError
from test_coordination.interfaces.cli.exits import refuse
from test_coordination.interfaces.cli.program import Program


@click.command("server")
@click.argument("kind", type=click.Choice(["postgres", "valkey"]))
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where its data and its socket are; it may be new.",
)
@click.pass_obj
def command(program: Program, kind: str, directory: Path) -> None:
    """Become a PostgreSQL or Valkey server in the foreground, on a unix socket.

    It is a database to be broken: a service of a topology whose process may be killed and
    started again at any time.
    """
    try:
        program.serve_database(kind, directory)
    except CoordinationError as error:
        refuse(error)
