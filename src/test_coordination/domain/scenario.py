"""What an author asks for: scenarios, the templates that they extend, and suites of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression
from test_coordination.domain.parameters import Parameter
from test_coordination.domain.steps import (
    ActionStep,
    Check,
    Gate,
    Moment,
    Parameters,
    Step,
    Text,
    flatten,
)
from test_coordination.domain.values import CheckId, ProbeName, StepId
from test_coordination.domain.verdicts import Verdict

EVERY_MIN: Final = timedelta(milliseconds=50)
TIMEOUT_DEFAULT: Final = timedelta(minutes=10)


class DocumentKind(StrEnum):
    """What a definition is; the first key of its document says so."""

    SCENARIO = "scenario"
    TEMPLATE = "template"
    SUITE = "suite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Another definition that one is made of, by name; without a version the newest."""

    name: str
    mark: Mark
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The text of another definition that one is made of; ``version`` where it was stored."""

    name: str
    file: str
    text: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """Something to be sampled for as long as the execution lasts."""

    name: ProbeName
    kind: str
    parameters: Parameters
    every: Moment
    mark: Mark
    timeout: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Another scenario that must have ended with one of ``verdicts``, at most ``within`` ago.

    Ages count from its end to the start of the one that depends on it.
    """

    scenario: Reference
    verdicts: tuple[Verdict, ...] = (Verdict.HELD,)
    within: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What an execution claims beside the targets of its faults."""

    exclusive: tuple[Text, ...] = ()
    shared: tuple[Text, ...] = ()
    pools: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """The most that faults may hit.

    In a scenario these are all faults of an execution, and a plan that exceeds it is refused. In
    a topology they are the faults of all executions at a time, and one that exceeds it waits.
    """

    mark: Mark
    services: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCondition:
    """When this has been true for ``hold``, everything is stopped and undone."""

    id: CheckId
    condition: Expression
    hold: Moment | None = None
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One definition with all that it extends merged in; immutable once stored.

    ``source`` is its own text and ``parts`` are the texts of all else that it is made of. Without
    a ``timeout`` it is ``TIMEOUT_DEFAULT``.
    """

    name: str
    mark: Mark
    source: str
    parts: tuple[Part, ...] = ()
    title: str = ""
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    extends: tuple[Reference, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    resources: Resources = Resources()
    blast_radius: BlastRadius | None = None
    probes: tuple[ProbeSpec, ...] = ()
    start: Gate | None = None
    preconditions: tuple[Check, ...] = ()
    steady_state: tuple[Check, ...] = ()
    stop_when: tuple[StopCondition, ...] = ()
    steps: tuple[Step, ...] = ()
    postconditions: tuple[Check, ...] = ()
    on_failure: tuple[ActionStep, ...] = ()
    timeout: Moment | None = None

    def every_step(self) -> Iterator[Step]:
        """Yield each step, a group before the steps in it."""
        return flatten(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A part of scenarios that cannot be run by itself; ``body`` may lack steps and defaults."""

    body: Scenario

    @property
    def name(self) -> str:
        """Return the name by which scenarios extend it."""
        return self.body.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEntry:
    """One scenario of a suite, or one for each combination of its ``matrix``."""

    id: StepId
    scenario: Reference
    needs: tuple[StepId, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    matrix: Mapping[str, Expression | tuple[object, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Scenarios that are run together; entries that need nothing may run at the same time.

    ``concurrency`` is how many run at once. After one of the verdicts in ``stop_on`` no further
    one begins. ``matrix`` is that of every entry.
    """

    name: str
    mark: Mark
    source: str
    parts: tuple[Part, ...] = ()
    title: str = ""
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    matrix: Mapping[str, Expression | tuple[object, ...]] = field(default_factory=dict)
    entries: tuple[SuiteEntry, ...] = ()
    concurrency: int = 1
    stop_on: tuple[Verdict, ...] = (Verdict.RESIDUE,)


Definition: TypeAlias = Scenario | Template | Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLine:
    """One line of a definition that was made of several documents, written as one.

    ``path`` leads to what it writes, and ``mark`` is where that was found; it is None on lines
    that only open or continue something.
    """

    path: tuple[str | int, ...]
    text: str
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A definition with all that it extends merged in, as YAML that reads as the same one.

    ``annotated`` is the ``text`` with the file and line of each value behind it, as a comment.
    """

    lines: tuple[WrittenLine, ...]
    text: str
    annotated: str
