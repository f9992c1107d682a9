"""``tcoord check``: look for mistakes in files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import click

from test_coordination.application.planning.lint import lint
from test_coordination.application.scenarios import Scenarios
from test_coordination.domain.errors import InvalidDocumentError, Problem
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.topology import Topology
from test_coordination.interfaces.cli.exits import EXIT_INVALID
from test_coordination.interfaces.cli.options import choice, examples, system_options
from test_coordination.interfaces.cli.problems import Gravity, Remark, counted, remarks, say
from test_coordination.interfaces.cli.program import (
    Desk,
    DocumentType,
    Program,
    SystemChoice,
)
from test_coordination.interfaces.cli.sources import Source, from_file

UNKNOWN: Final = frozenset(
    {"scenario.unknown_parent", "definition.unknown", "suite.unknown_scenario"}
)
"""The codes of mistakes that may be none where there is a store."""


@click.command(
    "check",
    epilog=examples(
        "tcoord check chaos/*.yaml --strict --topology shop.yaml",
        "generate-scenario | tcoord check -",
    ),
)
@click.argument(
    "files",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    nargs=-1,
    required=True,
)
@system_options
@click.option(
    "--strict", is_flag=True, help="Warn of what makes a scenario weaker than it could be."
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="The form of what is found; github annotates a pull request.",
)
@click.pass_obj
def command(
    program: Program,
    files: tuple[Path, ...],
    topology: Path | None,
    variables: tuple[str, ...],
    port_offset: int,
    *,
    strict: bool,
    output: str,
) -> None:
    """Look for mistakes in FILES; all of them are told at once. No server is needed.

    FILES are scenarios, templates, suites or topologies, as their first keys say; - is standard
    input. What they extend or run is looked for beside them, in the folders of TCOORD_LIBRARY,
    and among what is shipped. With a topology the services and links that they name are looked
    up, and scenarios are planned on it with the defaults of their parameters.

    Exits with 2 if there is a mistake, or, with --strict, a warning.
    """
    chosen = choice(topology, variables, port_offset)
    system = program.desk.topology(chosen)
    checking = _Checking(desk=program.desk, chosen=chosen, system=system, strict=strict)
    found: list[Remark] = []
    for path in files:
        mine = checking.look_at(from_file(path))
        if not mine and output == "text":
            click.echo(f"{path}: no mistake found")
        found += [remark for remark in mine if remark not in found]
    say(found, output)
    if not found:
        return
    if output == "text":
        _say_end(found)
    sys.exit(EXIT_INVALID)


def _say_end(found: list[Remark]) -> None:
    if any(remark.problem.code in UNKNOWN for remark in found):
        click.echo(
            "names are looked for beside the file, in TCOORD_LIBRARY and in what is shipped; "
            "what is only stored is not seen here",
            err=True,
        )
    click.echo(counted(found), err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checking:
    desk: Desk
    chosen: SystemChoice
    system: Topology | None
    strict: bool

    def look_at(self, source: Source) -> list[Remark]:
        """Return all that is to be said of one document."""
        try:
            return remarks(self._warnings(source), Gravity.WARNING)
        except InvalidDocumentError as error:
            return remarks(error.problems, Gravity.ERROR)

    def _warnings(self, source: Source) -> tuple[Problem, ...]:
        """Return what could be better in a document that has no mistakes."""
        if self.desk.headline(source.text)[0] == DocumentType.TOPOLOGY:
            self.desk.check_topology(source.text, file=source.file, choice=self.chosen)
            return ()
        definition = self.desk.read(
            source.text, file=source.file, place=source.place, topology=self.system
        )
        if not isinstance(definition, Scenario):
            return ()
        plan = self._plan(definition, source)
        return lint(definition, plan, topology=self.system) if self.strict else ()

    def _plan(self, scenario: Scenario, source: Source) -> Plan | None:
        """Return what the scenario means here, if it can be told without giving parameters."""
        if self.system is None or any(each.required for each in scenario.parameters):
            return None
        scenarios = Scenarios(world=self.desk.world(self.system))

        async def job() -> Plan:
            beside = self.desk.beside(source.place)
            loaded = await scenarios.read(source.text, file=source.file, library=beside)
            return scenarios.plan(loaded, {})

        return anyio.run(job)
