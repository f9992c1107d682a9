"""From what somebody typed to what is to be run: a file, or a definition by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import (
    EMPTY_SHELF,
    DefinitionFilter,
    StoredScenario,
)
from test_coordination.application.ports import Library, NotFoundError
from test_coordination.domain.errors import suggestion
from test_coordination.domain.scenario import DocumentKind, Part
from test_coordination.interfaces.cli.program import Desk
from test_coordination.interfaces.cli.running import Order
from test_coordination.interfaces.cli.sources import (
    Source,
    from_part,
    template_refused,
    versioned,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How somebody wants something to be run; see `Order`."""

    parameters: Mapping[str, str]
    seed: int | None
    with_dependencies: bool
    priority: int = 0
    labels: tuple[str, ...] = ()
    detached: bool = False


def order_of(source: Source, desk: Desk, terms: Terms) -> Order:
    """Return the order to run a file; what is beside it is its library.

    Raises:
        click.UsageError: it is a template.
    """
    first, name = desk.headline(source.text)
    if first == DocumentKind.TEMPLATE:
        raise click.UsageError(template_refused(name))
    # What is nothing at all is refused as a scenario, with all of its mistakes.
    kind = DocumentKind.SUITE if first == DocumentKind.SUITE else DocumentKind.SCENARIO
    return Order(
        kind=kind,
        text=source.text,
        file=source.file,
        library=desk.beside(source.place),
        parameters=terms.parameters,
        seed=terms.seed,
        with_dependencies=terms.with_dependencies,
        priority=terms.priority,
        labels=terms.labels,
        detached=terms.detached,
    )


async def named_order(what: str, coordinator: Coordinator, *, desk: Desk, terms: Terms) -> Order:
    """Return the order to run a definition by its name, or one version of it.

    It is looked for in this folder, in those of TCOORD_LIBRARY, in the store, and among what is
    shipped; only what is stored has versions.

    Raises:
        click.UsageError: there is none, or it is a template.
    """
    name, version = versioned(what)
    world = desk.world(None)
    ours, theirs = (desk.beside(Path()), world.library), (world.shipped,)
    if (part := _found(ours, name, version)) is not None:
        return order_of(from_part(part), desk, terms)
    try:
        kept = await coordinator.scenario_versions(name)
    except NotFoundError:
        kept = ()
    stored = next((each for each in kept if version in {None, each.version}), None)
    if stored is not None:
        return _of_stored(stored, terms)
    if (part := _found(theirs, name, version)) is not None:
        return order_of(from_part(part), desk, terms)
    raise click.BadParameter(await _unknown(what, coordinator, desk), param_hint="NAME")


def _found(libraries: Iterable[Library], name: str, version: int | None) -> Part | None:
    found = (library.find(name, version=version) for library in libraries)
    return next((part for part in found if part is not None), None)


def _of_stored(stored: StoredScenario, terms: Terms) -> Order:
    if stored.kind is DocumentKind.TEMPLATE:
        raise click.UsageError(template_refused(stored.name))
    return Order(
        kind=stored.kind,
        text=stored.source,
        file=stored.file,
        library=EMPTY_SHELF,
        parameters=terms.parameters,
        stored=stored,
        seed=terms.seed,
        with_dependencies=terms.with_dependencies,
        priority=terms.priority,
        labels=terms.labels,
        detached=terms.detached,
    )


async def _unknown(what: str, coordinator: Coordinator, desk: Desk) -> str:
    name, version = versioned(what)
    stored = await coordinator.list_scenarios(DefinitionFilter(deprecated=None), limit=1000)
    known = {each.name: each.version for each in stored}
    if version is not None and name in known:
        return f"{name!r} has no version {version}; the newest one that is stored is {known[name]}"
    names = frozenset((*known, *desk.library(Path()).names())) - {name}
    return f"no scenario or suite is named {what!r}; {suggestion(name, names)}"
