"""Plans made on this machine alone, for commands that need no server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from test_coordination.application.planning.lint import lint
from test_coordination.application.planning.outline import Outline, outline
from test_coordination.application.ports import Library
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.suites import PlannedEntry, PlannedSuite, Suites
from test_coordination.application.world import World
from test_coordination.domain.graph import layers
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Scenario, Suite
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import StepId
from test_coordination.interfaces.cli.problems import Gravity, Remark, remarks
from test_coordination.interfaces.cli.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to be planned: what is beside it, and what it is given."""

    world: World
    topology: Topology
    source: Source
    library: Library
    given: Mapping[str, str]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A scenario's plan, its outline, and what makes the scenario weaker than it could be."""

    plan: Plan
    outline: Outline
    warnings: tuple[Remark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOutline:
    """One entry of a suite; ``layer`` counts from 1."""

    entry: PlannedEntry
    layer: int
    plan: Plan
    outline: Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntries:
    """A suite's entries in the order in which they may begin, and how long the whole takes."""

    suite: Suite
    plan: PlannedSuite
    topology: Topology
    seed: int
    entries: tuple[EntryOutline, ...]
    best: timedelta
    worst: timedelta


async def planned_scenario(wish: Wish, scenario: Scenario) -> Planned:
    """Return the plan of ``scenario``, which was read from the wish's source.

    Raises:
        InvalidDocumentError: parameters or targets do not fit.
    """
    scenarios = Scenarios(world=wish.world)
    loaded = await scenarios.read(wish.source.text, file=wish.source.file, library=wish.library)
    plan = scenarios.plan(loaded, wish.given, seed=wish.seed)
    warnings = lint(scenario, plan, topology=wish.topology)
    return Planned(
        plan=plan,
        outline=outline(plan, wish.topology, wish.world.catalogue),
        warnings=tuple(remarks(warnings, Gravity.WARNING)),
    )


async def planned_suite(wish: Wish) -> PlannedEntries:
    """Return the plans of all entries of the suite in the wish's source.

    Raises:
        InvalidDocumentError: parameters or targets of any entry do not fit.
        CircularNeedsError: entries need each other.
    """
    scenarios = Scenarios(world=wish.world)
    loaded = await scenarios.read(wish.source.text, file=wish.source.file, library=wish.library)
    plan = Suites(world=wish.world).plan(loaded, wish.given, seed=wish.seed)
    found = {entry.id: entry for entry in plan.entries}
    order = layers({entry.id: entry.needs for entry in plan.entries})
    entries = []
    for number, layer in enumerate(order, start=1):
        for name in layer:
            entry = found[name]
            inner = scenarios.plan(entry.scenario, entry.parameters, seed=wish.seed)
            outlined = outline(inner, wish.topology, wish.world.catalogue)
            entries.append(EntryOutline(entry=entry, layer=number, plan=inner, outline=outlined))
    best = {one.entry.id: one.outline.best for one in entries}
    worst = {one.entry.id: one.outline.worst for one in entries}
    return PlannedEntries(
        suite=loaded.suite,
        plan=plan,
        topology=wish.topology,
        seed=wish.seed,
        entries=tuple(entries),
        best=taken(plan, best),
        worst=taken(plan, worst),
    )


def taken(plan: PlannedSuite, lengths: Mapping[StepId, timedelta]) -> timedelta:
    """Return how long a suite takes if its entries take ``lengths``.

    Each begins as soon as what it needs is over and fewer than ``concurrency`` run; of several
    that may, the first in the suite does.
    """
    waiting = {entry.id: entry.needs for entry in plan.entries}
    ends: dict[StepId, timedelta] = {}
    now, running = timedelta(0), set[StepId]()
    while waiting or running:
        over = {name for name in running if ends[name] <= now}
        running -= over
        for name, needs in list(waiting.items()):
            ready = all(ends.get(need, timedelta.max) <= now for need in needs)
            if ready and len(running) < plan.concurrency:
                ends[name] = now + lengths[name]
                running.add(name)
                del waiting[name]
        now = min((ends[name] for name in running), default=now)
    return max(ends.values(), default=now)
