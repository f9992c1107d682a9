"""What must have run before: whether it has, and how to run what has not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import ClassVar, Final, TypeAlias

from test_coordination.application.definitions import EMPTY_SHELF
from test_coordination.application.gathering import Gathering, Loaded, Loading
from test_coordination.application.ports import ExecutionRecord, Library
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.turns import in_turn
from test_coordination.application.world import World
from test_coordination.domain.errors import (
    CoordinationError,
    InvalidDocumentError,
    Mark,
)
from test_coordination.domain.graph import layers
from test_coordination.domain.plan import Plan, PlannedDependency
from test_coordination.domain.scenario import Reference
from test_coordination.domain.values import ExecutionId, format_duration
from test_coordination.domain.verdicts import Verdict

CONCURRENCY_MAX: Final = 8
"""How many dependencies are run at once."""


@dataclass(eq=False, kw_only=True)
class DependencyNotMetError(CoordinationError):
    """A scenario depends on one that has not run, did not end as it should, or did so long ago.

    ``verdict``, ``ended_at`` and ``execution`` are those of its latest execution that has
    ended, and ``age`` is the time since; they are None if there is none.
    """

    code: ClassVar[str] = "execution.dependency_not_met"

    mark: Mark
    scenario: str
    dependency: str
    expected: tuple[Verdict, ...]
    within: timedelta | None
    execution: ExecutionId | None = None
    verdict: Verdict | None = None
    ended_at: datetime | None = None
    age: timedelta | None = None

    def __str__(self) -> str:
        wanted = " or ".join(self.expected)
        young = f" not longer than {format_duration(self.within)} ago" if self.within else ""
        return (
            f"{self.mark}: {self.scenario!r} depends on {self.dependency!r}, which must have "
            f"ended as {wanted}{young}, {self._found()}; run {self.dependency!r} first, or start "
            f"{self.scenario!r} with its dependencies"
        )

    def _found(self) -> str:
        if self.verdict is None or self.ended_at is None or self.age is None:
            return "and has never ended"
        # Whole seconds are what a person compares.
        age = format_duration(timedelta(seconds=max(0, int(self.age.total_seconds()))))
        at = self.ended_at.isoformat(sep=" ", timespec="seconds")
        return f"and last ended as {self.verdict} at {at}, {age} ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a dependency stands at a moment; ``latest`` is its last execution that has ended."""

    dependency: PlannedDependency
    latest: ExecutionRecord | None
    at: datetime

    @property
    def age(self) -> timedelta | None:
        """Return the time since it ended; None if it never has."""
        ended = self.latest.ended_at if self.latest is not None else None
        return None if ended is None else self.at - ended

    @property
    def met(self) -> bool:
        """Tell whether the scenario that depends on it may begin."""
        if self.latest is None or self.age is None:
            return False
        within = self.dependency.within
        young = within is None or self.age <= within
        return young and self.latest.verdict in self.dependency.verdicts

    @property
    def name(self) -> str:
        """Return the name of the scenario, with its version if it must be a certain one."""
        version = self.dependency.version
        return self.dependency.scenario + ("" if version is None else f"@{version}")

    def refusal(self, scenario: str) -> DependencyNotMetError:
        """Return the error for ``scenario``, which depends on this one."""
        latest = self.latest
        return DependencyNotMetError(
            mark=self.dependency.mark,
            scenario=scenario,
            dependency=self.name,
            expected=self.dependency.verdicts,
            within=self.dependency.within,
            execution=None if latest is None else latest.id,
            verdict=None if latest is None else latest.verdict,
            ended_at=None if latest is None else latest.ended_at,
            age=self.age,
        )


@dataclass(slots=True, kw_only=True)
class Missing:
    """A scenario that has to be run first: all that is asked of it, by whom, and what it needs."""

    loaded: Loaded
    plan: Plan
    asked: list[tuple[str, PlannedDependency]] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)


Run: TypeAlias = Callable[[Loaded], Awaitable[ExecutionRecord]]
"""Runs a scenario to its end, and returns what is known of its execution then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Scenarios that must have run before others."""

    world: World

    async def standings(self, plan: Plan) -> Sequence[Standing]:
        """Return how each dependency of ``plan`` stands now."""
        return [await self._standing(dependency) for dependency in plan.depends_on]

    async def check(self, plan: Plan) -> None:
        """Refuse what must not begin yet.

        Raises:
            DependencyNotMetError: for the first dependency that is not met.
        """
        for standing in await self.standings(plan):
            if not standing.met:
                raise standing.refusal(plan.scenario)

    async def missing(self, plan: Plan, *, library: Library = EMPTY_SHELF) -> Mapping[str, Missing]:
        """Return the scenarios that have to be run before ``plan``, those that they need first.

        What is met is not looked behind. All of them are planned, so none of them will be
        refused for its definition once the first has begun.

        Raises:
            InvalidDocumentError: a scenario is not found, or cannot be run without parameters.
            DefinitionKindError: what is depended on is no scenario.
            CircularNeedsError: scenarios depend on each other; the circle is named whole.
        """
        loading = Loading(Gathering(world=self.world, given=library))
        found: dict[str, Missing] = {}
        needs: dict[str, set[str]] = {plan.scenario: set()}
        pending = [(plan.scenario, plan)]
        while pending:
            name, asking = pending.pop()
            for standing in await self.standings(asking):
                if standing.met:
                    continue
                needs[name].add(standing.name)
                if standing.name not in needs:
                    missing = found[standing.name] = await self._missing(standing, loading)
                    needs[standing.name] = missing.needs
                    pending.append((standing.name, missing.plan))
                if standing.name in found:
                    found[standing.name].asked.append((asking.scenario, standing.dependency))
        order = chain(*layers(needs))
        return {name: found[name] for name in order if name in found}

    async def run(self, missing: Mapping[str, Missing], run: Run) -> None:
        """Run what is ``missing``, each once, at the same time where they are independent.

        After the first that does not end as it must, none is begun any more.

        Raises:
            DependencyNotMetError: one did not end as those that depend on it need.
            CoordinationError: ``run`` could not begin or end one.
        """

        async def work(name: str) -> None:
            record = await run(missing[name].loaded)
            for asking, dependency in missing[name].asked:
                if record.verdict not in dependency.verdicts:
                    now = self.world.stores.clock.now()
                    raise Standing(dependency=dependency, latest=record, at=now).refusal(asking)

        needs = {name: each.needs for name, each in missing.items()}
        await in_turn(needs, work, concurrency=CONCURRENCY_MAX)

    async def _missing(self, standing: Standing, loading: Loading) -> Missing:
        dependency = standing.dependency
        wanted = Reference(
            name=dependency.scenario, mark=dependency.mark, version=dependency.version
        )
        loaded = await loading.find(wanted)
        if loaded is None:
            raise InvalidDocumentError(problems=(await loading.unknown(wanted),))
        plan = Scenarios(world=self.world).plan(loaded, {})
        return Missing(loaded=loaded, plan=plan)

    async def _standing(self, dependency: PlannedDependency) -> Standing:
        latest = await self.world.stores.log.latest(dependency.scenario, version=dependency.version)
        return Standing(dependency=dependency, latest=latest, at=self.world.stores.clock.now())
