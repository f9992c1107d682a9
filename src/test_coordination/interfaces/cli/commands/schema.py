"""``tcoord schema``: print the JSON Schema of documents, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import DocumentType, Program


@click.command(
    "schema",
    epilog=examples(
        "tcoord schema --output scenario.schema.json",
        "tcoord schema topology",
        "",
        "With this first line in a scenario, editors check it while it is written:",
        "  # yaml-language-server: $schema=scenario.schema.json",
    ),
)
@click.argument(
    "document",
    type=click.Choice([document.value for document in DocumentType]),
    default=DocumentType.DEFINITION.value,
)
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that it is written to, in place of standard output.",
)
@click.pass_obj
def command(program: Program, document: str, file: Path | None) -> None:
    """Print the JSON Schema of documents, for editors. No server is needed.

    That of a scenario holds for templates and suites as well.
    """
    text = program.desk.schema(DocumentType(document))
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise click.UsageError(message) from error
    click.echo(f"written: {file}")
