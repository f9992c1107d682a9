"""Suites before they run: their matrices made into entries, each with its parameters settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

from test_coordination.application.gathering import Loaded
from test_coordination.application.scenarios import Scenarios
from test_coordination.application.world import World
from test_coordination.domain.arguments import bind
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError, Mark, Problem
from test_coordination.domain.expressions import (
    Expression,
    Fact,
    Interpolation,
    InvalidExpressionError,
    Kind,
    Names,
    as_text,
)
from test_coordination.domain.graph import layers
from test_coordination.domain.names import secret_names, settled_names, settled_values
from test_coordination.domain.scenario import Suite, SuiteEntry
from test_coordination.domain.values import StepId, Value
from test_coordination.domain.verdicts import Verdict

ENTRIES_MAX: Final = 1_000
"""How many entries a suite may have, once all copies are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """One execution of a suite: what it runs and with which parameters; ``needs`` are entries."""

    id: StepId
    scenario: Loaded
    parameters: Mapping[str, Value]
    needs: frozenset[StepId]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSuite:
    """A suite with nothing left to settle; see `Suite` for what its fields mean."""

    name: str
    entries: tuple[PlannedEntry, ...]
    concurrency: int
    stop_on: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suites:
    """Suites, from what is stored to what would be run."""

    world: World

    def plan(self, loaded: Loaded, given: Mapping[str, Value], *, seed: int = 0) -> PlannedSuite:
        """Return what running a suite means; each of its entries has been planned by itself.

        What is left to chance in them is drawn from ``seed``.

        Raises:
            DefinitionKindError: it is no suite.
            NoTopologyError: there is no system under test.
            CircularNeedsError: entries need each other.
            InvalidDocumentError: parameters do not fit those of the suite, or of one of its
                scenarios; all mistakes of all entries are said.
        """
        suite = loaded.suite
        entries = self._expanded(loaded, given)
        layers({entry.id: entry.needs for entry in entries})
        problems: list[Problem] = []
        for entry in entries:
            try:
                Scenarios(world=self.world).plan(entry.scenario, entry.parameters, seed=seed)
            except InvalidDocumentError as error:
                for problem in error.problems:
                    text = f"entry {entry.id!r}: {problem.text}"
                    problems.append(replace(problem, text=text))
        _settle(problems)
        return PlannedSuite(
            name=suite.name,
            entries=entries,
            concurrency=suite.concurrency,
            stop_on=suite.stop_on,
        )

    def _expanded(self, loaded: Loaded, given: Mapping[str, Value]) -> tuple[PlannedEntry, ...]:
        suite = loaded.suite
        topology = self.world.topology(doing=f"planning {suite.name!r}")
        services = frozenset(topology.services)
        bound = bind(suite.parameters, given, mark=suite.mark, services=services)
        arguments = {name: value for name, value in bound.items() if value is not None}
        # A secret is passed on as the reference that it is, for a scenario to look it up.
        references = {f"parameters.{name}": value for name, value in arguments.items()}
        environment = self.world.environment
        settler = _Settler(
            world=self.world,
            names={
                **settled_names(suite.parameters, topology, environment),
                **secret_names(suite.parameters),
            },
            values={
                **settled_values(suite.parameters, arguments, topology, environment),
                **references,
            },
        )
        copies = {entry.id: settler.copies(entry, suite) for entry in suite.entries}
        _settle(settler.problems)
        return tuple(
            PlannedEntry(
                id=name,
                scenario=loaded.members[str(entry.scenario)],
                parameters=parameters,
                needs=frozenset(need for needed in entry.needs for need in copies[needed]),
            )
            for entry in suite.entries
            for name, parameters in copies[entry.id].items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settler:
    """Settles the entries of a suite; what is wrong is collected in ``problems``."""

    world: World
    names: Names
    values: Mapping[str, Fact]
    problems: list[Problem] = field(default_factory=list)
    made: list[StepId] = field(default_factory=list)

    def copies(self, entry: SuiteEntry, suite: Suite) -> Mapping[StepId, Mapping[str, Value]]:
        """Return the parameters of each copy of ``entry``, by its name."""
        mark = entry.scenario.mark
        axes = {**suite.matrix, **entry.matrix}
        names = {**self.names, **{f"matrix.{axis}": Kind.ANY for axis in axes}}
        found: dict[StepId, Mapping[str, Value]] = {}
        for number, values in enumerate(self._combinations(axes, mark), start=1):
            if len(self.made) >= ENTRIES_MAX:
                text = f"a suite of more than {ENTRIES_MAX} entries; leave some values out"
                self.problems.append(Problem(mark=mark, code="suite.too_many", text=text))
                break
            one = replace(self, names=names, values={**self.values, **values})
            name = StepId(f"{entry.id}.{number}") if axes else entry.id
            found[name] = {key: one.settled(each) for key, each in entry.parameters.items()}
            self.made.append(name)
        return found

    def _combinations(
        self, axes: Mapping[str, Expression | tuple[object, ...]], mark: Mark
    ) -> Iterator[Mapping[str, Value]]:
        lists = []
        for axis, found in axes.items():
            values = self.settled(found)
            if not isinstance(values, tuple):
                text = f"the axis {axis!r} of a matrix must be a list of values"
                self.problems.append(Problem(mark=mark, code="suite.matrix", text=text))
                values = ()
            lists.append(values)
        for combination in product(*lists):
            yield {f"matrix.{axis}": value for axis, value in zip(axes, combination, strict=True)}

    def settled(self, found: object) -> Value:
        """Return ``found`` with each expression in it replaced by what it stands for."""
        match found:
            case Expression():
                return self._value(found)
            case Interpolation(parts=parts):
                return "".join(as_text(self.settled(part)) for part in parts)
            case Mapping():
                return {str(key): self.settled(inner) for key, inner in found.items()}
            case list() | tuple():
                return tuple(self.settled(inner) for inner in found)
            case _:
                return found  # type: ignore[return-value]  # a scalar of the document

    def _value(self, expression: Expression) -> Value:
        try:
            program = self.world.expressions.compile(expression, self.names, expected=Kind.ANY)
            return program.evaluate(self.values)
        except InvalidExpressionError as error:
            self.problems.append(error.problem)
        except CoordinationError as error:
            text = f"{expression.text!r} has no value here: {error}"
            self.problems.append(Problem(mark=expression.mark, code=error.code, text=text))
        return None


def _settle(problems: list[Problem]) -> None:
    if problems:
        found = sorted(set(problems), key=lambda problem: (problem.mark, problem.text))
        raise InvalidDocumentError(problems=tuple(found))
