"""The commands about definitions of one kind: what the library has, and what the store keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Final, TypeVar

import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import (
    DefinitionFilter,
    DefinitionKindError,
    StoredScenario,
)
from test_coordination.application.differences import VersionDifference
from test_coordination.application.ports import Library, NotFoundError
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.values import ScenarioId
from test_coordination.interfaces.cli.difference_text import (
    difference_document,
    difference_lines,
    source_lines,
)
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.layout import width
from test_coordination.interfaces.cli.options import examples
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.shelf_text import (
    listed_lines,
    shelf_document,
    shown_lines,
)
from test_coordination.interfaces.cli.shelved import Selection, one, selected
from test_coordination.interfaces.cli.sources import Source, from_file, versioned
from test_coordination.interfaces.cli.stored_text import (
    stored_document,
    stored_lines,
    version_lines,
)

PAGE: Final = 100
"""How many stored definitions are asked for at once."""

Result = TypeVar("Result")


class ShelfGroup(click.Group):
    """The commands about ``kind``; without one it lists, and a name alone is shown."""

    kind: DocumentKind

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the command that is left out."""
        first = args[0] if args else ""
        if first in ctx.help_option_names:
            return super().parse_args(ctx, args)
        if not first or first.startswith("-"):
            args = ["list", *args]
        elif first not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


def shelf(kind: DocumentKind) -> click.Group:
    """Return the group of commands about definitions of ``kind``."""
    word = f"{kind}s"
    group = ShelfGroup(
        word,
        help=(
            f"List, store, compare and export {word}.\n\nWithout a command, those of the library "
            f"are listed: the files of this folder, of those of TCOORD_LIBRARY, and what is "
            f"shipped; `tcoord {word} list --help` tells how to choose among them. The name of a "
            f"{kind} alone shows it. What is stored has versions, and needs a server."
        ),
        epilog=examples(
            f"tcoord {word} --tag restart",
            f"tcoord {word} NAME",
            f"tcoord {word} store FILE",
            f"tcoord {word} --stored",
            f"tcoord {word} diff NAME 1 2",
        ),
    )
    group.kind = kind
    for command in (
        list_command,
        show_command,
        store_command,
        versions_command,
        diff_command,
        export_command,
        deprecate_command,
        restore_command,
    ):
        group.add_command(command)
    return group


def _kind(ctx: click.Context) -> DocumentKind:
    assert ctx.parent is not None
    assert isinstance(ctx.parent.command, ShelfGroup)
    return ctx.parent.command.kind


def _stored(
    ctx: click.Context, job: Callable[[Coordinator], Coroutine[None, None, Result]]
) -> Result:
    """Return what ``job`` makes of a coordinator that needs to know no system."""
    program: Program = ctx.obj

    async def lent() -> Result:
        async with program.coordinator(None) as coordinator:
            return await job(coordinator)

    return carried_out(lent)


OUTPUT: Final = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)


@click.command("list")
@click.option("--tag", default="", help="Only those with this tag.")
@click.option("--owner", default="", help="Only those of this owner.")
@click.option("--service", default="", help="Only those that name this service.")
@click.option("--stored", is_flag=True, help="Those of the store, and not those in files.")
@click.option("--all", "every", is_flag=True, help="Those of the store, deprecated ones as well.")
@OUTPUT
@click.pass_context
def list_command(
    ctx: click.Context,
    *,
    tag: str,
    owner: str,
    service: str,
    stored: bool,
    every: bool,
    output: str,
) -> None:
    """List what there is; this is what is done without a command."""
    kind = _kind(ctx)
    if stored or every:
        wanted = DefinitionFilter(
            kind=kind, tag=tag, owner=owner, service=service, deprecated=None if every else False
        )
        kept = _stored(ctx, lambda coordinator: _every(coordinator, wanted))
        if output == "json":
            click.echo(json.dumps([stored_document(each) for each in kept], indent=2))
            return
        _say(stored_lines(kept, kind, columns=width()))
        return
    choice = Selection(kind=kind, tag=tag, owner=owner, service=service)
    found = selected(ctx.obj.desk, choice)
    if output == "json":
        click.echo(json.dumps([shelf_document(each) for each in found], indent=2))
        return
    _say(listed_lines(found, kind, columns=width()))


async def _every(coordinator: Coordinator, wanted: DefinitionFilter) -> Sequence[StoredScenario]:
    found: list[StoredScenario] = []
    after = ""
    while page := await coordinator.list_scenarios(wanted, limit=PAGE, after=after):
        found += page
        after = page[-1].name
    return found


@click.command("show")
@click.argument("name")
@OUTPUT
@click.pass_context
def show_command(ctx: click.Context, name: str, output: str) -> None:
    """Show what NAME is for, and its parameters; the name alone does, too."""
    found = one(ctx.obj.desk, name, _kind(ctx))
    if output == "json":
        click.echo(json.dumps(shelf_document(found), indent=2))
        return
    _say(shown_lines(found, columns=width()))


@click.command("store")
@click.argument(
    "files",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    nargs=-1,
    required=True,
)
@click.pass_context
def store_command(ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Store FILES; what is changed becomes the next version of its name.

    What they extend or run is looked for beside them first, and kept with them.
    """
    kind, program = _kind(ctx), ctx.obj
    sources = [from_file(path) for path in files]

    async def job(coordinator: Coordinator) -> None:
        for source in sources:
            beside = program.desk.beside(source.place)
            kept = await _create(coordinator, kind, source, library=beside)
            click.echo(f"{source.file}: {kept}")

    _stored(ctx, job)


async def _create(
    coordinator: Coordinator, kind: DocumentKind, source: Source, *, library: Library
) -> str:
    """Store a definition and return what became of it, in words."""
    create: dict[DocumentKind, Callable[..., Coroutine[None, None, ScenarioId]]] = {
        DocumentKind.SCENARIO: coordinator.create_scenario,
        DocumentKind.TEMPLATE: coordinator.create_template,
        DocumentKind.SUITE: coordinator.create_suite,
    }
    before = await _newest(coordinator)
    try:
        identity = await create[kind](source.text, file=source.file, library=library)
    except DefinitionKindError as error:
        raise _other_kind(error) from None
    kept = await coordinator.stored_scenario(identity)
    if before.get(kept.name) == kept.version:
        return f"{kept.name} version {kept.version} is the same already"
    return f"stored as {kept.name} version {kept.version}"


async def _newest(coordinator: Coordinator) -> dict[str, int]:
    wanted = DefinitionFilter(deprecated=None)
    return {each.name: each.version for each in await _every(coordinator, wanted)}


@click.command("versions")
@click.argument("name")
@OUTPUT
@click.pass_context
def versions_command(ctx: click.Context, name: str, output: str) -> None:
    """List the stored versions of NAME, newest first."""
    kind = _kind(ctx)
    kept = _stored(ctx, lambda coordinator: _versions(coordinator, name, kind))
    if output == "json":
        click.echo(json.dumps([stored_document(each) for each in kept], indent=2))
        return
    _say(version_lines(kept, columns=width()))


async def _versions(
    coordinator: Coordinator, name: str, kind: DocumentKind
) -> Sequence[StoredScenario]:
    """Return the versions of a definition of that kind.

    Raises:
        NotFoundError: nothing has that name.
        DefinitionKindError: it is of another kind.
    """
    kept = await coordinator.scenario_versions(name)
    if kept[0].kind is not kind:
        raise _other_kind(DefinitionKindError(name=name, kind=kept[0].kind, expected=kind))
    return kept


@click.command("diff")
@click.argument("name")
@click.argument("before", type=click.IntRange(min=1), required=False)
@click.argument("after", type=click.IntRange(min=1), required=False)
@click.option("--source", is_flag=True, help="Compare the texts, not what they mean.")
@OUTPUT
@click.pass_context
def diff_command(
    ctx: click.Context,
    *,
    name: str,
    before: int | None,
    after: int | None,
    source: bool,
    output: str,
) -> None:
    """Show how version BEFORE of NAME differs from version AFTER.

    Compared is what they mean, with all that they extend merged in. Without AFTER it is the
    newest version, without BEFORE the one before that.
    """
    kind = _kind(ctx)

    async def job(coordinator: Coordinator) -> VersionDifference:
        newest = (await _versions(coordinator, name, kind))[0].version
        last = after or newest
        return await coordinator.diff_versions(name, before or max(last - 1, 1), last)

    found = _stored(ctx, job)
    if output == "json":
        click.echo(json.dumps(difference_document(found), indent=2))
        return
    _say(source_lines(found) if source else difference_lines(found, columns=width()))


@click.command("export")
@click.argument("name", metavar="NAME[@VERSION]")
@click.option("--resolved", is_flag=True, help="With all that it extends merged in.")
@click.pass_context
def export_command(ctx: click.Context, name: str, *, resolved: bool) -> None:
    """Print a stored version of NAME, the newest unless another is named."""
    kind = _kind(ctx)
    wanted, version = versioned(name)

    async def job(coordinator: Coordinator) -> str:
        kept = await _versions(coordinator, wanted, kind)
        chosen = next((each for each in kept if version in {None, each.version}), None)
        if chosen is None:
            raise NotFoundError(kind=kind, identity=name)
        return await coordinator.export_scenario(chosen.id, resolved=resolved)

    click.echo(_stored(ctx, job), nl=False)


@click.command("deprecate")
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why, and what to use instead.")
@click.pass_context
def deprecate_command(ctx: click.Context, name: str, reason: str) -> None:
    """Note that NAME should not be used any more; it still can be."""
    kind = _kind(ctx)

    async def job(coordinator: Coordinator) -> None:
        await _versions(coordinator, name, kind)
        await coordinator.deprecate_scenario(name, reason=reason)

    _stored(ctx, job)
    click.echo(f"{name} is deprecated: {reason}")


@click.command("restore")
@click.argument("name")
@click.pass_context
def restore_command(ctx: click.Context, name: str) -> None:
    """Take back that NAME should not be used."""
    kind = _kind(ctx)

    async def job(coordinator: Coordinator) -> None:
        await _versions(coordinator, name, kind)
        await coordinator.restore_scenario(name)

    _stored(ctx, job)
    click.echo(f"{name} is not deprecated")


def _other_kind(error: DefinitionKindError) -> DefinitionKindError:
    """Return ``error`` with the commands that are about what was found."""
    error.add_note(f"`tcoord {error.kind}s` is about {error.kind}s")
    return error


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
