"""``tcoord init``: write a scenario to begin with."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from test_coordination.domain.scenario import Scenario, Suite, Template
from test_coordination.domain.topology import Criticality, Topology
from test_coordination.interfaces.cli.drafting import (
    NAME,
    extending_draft,
    fitting_name,
    free_draft,
)
from test_coordination.interfaces.cli.options import choice, examples, system_options
from test_coordination.interfaces.cli.program import Desk, DocumentType, Program
from test_coordination.interfaces.cli.sources import from_part, unknown


@click.command(
    "init",
    epilog=examples(
        "tcoord init restart.yaml",
        "tcoord init restart.yaml --template service-restart",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@system_options
@click.option("--template", metavar="NAME|FILE", help="Extend this; `tcoord templates` lists them.")
@click.option("--name", help="The name of the scenario; else it is made of the file's.")
@click.option("--force", is_flag=True, help="Write over FILE if it is there.")
@click.pass_obj
def command(
    program: Program,
    file: Path,
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    template: str | None,
    name: str | None,
    *,
    force: bool,
) -> None:
    """Write a scenario to begin with to FILE. No server is needed, and nothing is asked.

    It has no mistake as it is: `tcoord check` says so, and `tcoord plan` shows what it means.
    With a template its parameters are there to be filled in, each with what it may be. With a
    topology one of its services is named.
    """
    desk = program.desk
    if file.exists() and not force:
        message = f"{file} is there already; name another file, or write over it with --force"
        raise click.BadParameter(message, param_hint="FILE")
    schema = _schema(desk, file)
    if template is None:
        chosen = _name(name or fitting_name(file))
        system = desk.topology(choice(topology, variables, port_offset))
        service = _service(system)
        text = free_draft(name=chosen, schema=schema, owner=getpass.getuser(), service=service)
    else:
        parent = _parent(desk, template, file)
        chosen = _name(name or fitting_name(file, beside=parent.name))
        text = extending_draft(parent, name=chosen, schema=schema)
    # What cannot be read is not written: a template may ask for more than parameters.
    desk.read(text, file=str(file), place=file.parent)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise click.UsageError(message) from error
    click.echo(f"written: {file}, the scenario {chosen!r}")
    click.echo(f"next: tcoord check {file}")


def _name(name: str) -> str:
    if NAME.fullmatch(name):
        return name
    message = f"{name!r}: expected small letters, digits and hyphens, such as exchange-restart"
    raise click.BadParameter(message, param_hint="--name")


def _schema(desk: Desk, file: Path) -> str:
    """Return where an editor finds the schema: beside the file, or where it is shipped."""
    shipped = desk.schema_file(DocumentType.DEFINITION)
    if (file.parent / shipped.name).is_file():
        return shipped.name
    return str(shipped)


def _service(topology: Topology | None) -> str | None:
    """Return a service that may be broken, if it is known which services there are.

    One that others need less, and that speaks HTTP, is the kinder one to begin with.
    """
    services = () if topology is None else topology.services.values()
    open_ones = [service for service in services if not service.protect]
    order = [Criticality.LOW, Criticality.NORMAL, Criticality.HIGH]
    kindest = min(
        open_ones,
        key=lambda service: ("http" not in service.ports, order.index(service.criticality)),
        default=None,
    )
    return kindest.name if kindest else None


def _parent(desk: Desk, name: str, file: Path) -> Scenario:
    """Return what the new scenario extends, with all that this extends itself."""
    library = desk.library(file.parent)
    part = library.find(name)
    if part is None:
        raise click.BadParameter(unknown(name, library), param_hint="--template")
    source = from_part(part)
    definition = desk.read(source.text, file=source.file, place=file.parent)
    if isinstance(definition, Suite):
        message = f"{name!r} is a suite, which nothing extends; see `tcoord templates`"
        raise click.BadParameter(message, param_hint="--template")
    return definition.body if isinstance(definition, Template) else definition
