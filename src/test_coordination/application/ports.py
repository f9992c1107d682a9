"""What the application needs from the world to keep and to show: stores, clock, documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from test_coordination.application.history import History
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import Entry
from test_coordination.domain.evidence import Sample, Snapshot
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.expressions import Expression, Fact, Kind, Measure, Names
from test_coordination.domain.plan import Plan
from test_coordination.domain.scenario import Definition, Explanation, Part, Reference, Scenario
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import (
    ExecutionId,
    ScenarioId,
    SnapshotId,
    StepId,
    Value,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict


@dataclass(eq=False, kw_only=True)
class LogConflictError(CoordinationError):
    """Another worker wrote to the same execution first."""

    code: ClassVar[str] = "execution.log_conflict"

    execution: ExecutionId
    expected: int

    def __str__(self) -> str:
        return (
            f"execution {self.execution} is not ours to write to after {self.expected}: "
            "another worker has taken it over; reload it and decide again"
        )


@dataclass(eq=False, kw_only=True)
class NotFoundError(CoordinationError):
    """Something was asked for by an identity that nothing stored has."""

    code: ClassVar[str] = "store.not_found"

    kind: str
    identity: str

    def __str__(self) -> str:
        return f"no {self.kind} is stored under {self.identity!r}; list them to see which there are"


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the time in UTC.

        It is anchored once and then counted by the monotonic clock, so that differences are
        true durations even when the machine's clock is set while we run.
        """
        ...


class Identities(Protocol):
    """Where new names come from."""

    def new(self) -> UUID:
        """Return an identity that was never given before; later ones sort after earlier ones."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRecord:
    """What is known of an execution before, and without reading, its log.

    ``end`` is the position of the last entry. ``outstanding`` counts the faults that may be in
    force. Both, and the status and verdict, are kept in step with the log by whoever appends.
    ``parent`` is the execution of which this one is a step, ``suite`` the run of a suite that it
    belongs to, as ``name/identity``. ``epoch`` is the fencing token: it counts how often the
    execution was given to a worker, and only who has the newest one may write.

    It waits in the queue, before others of a lower ``priority``, until ``admitted_at``, by the
    store's clock; one with a parent never waits, and ``parent_step`` is the step of its parent
    that it is. One that is ``detached`` belongs to no process: workers that have all that it
    ``requires`` carry it out.
    """

    id: ExecutionId
    scenario: ScenarioId
    scenario_name: str
    scenario_version: int
    plan: Plan
    requested_at: datetime
    requested_by: str
    worker: WorkerId
    status: Status = Status.PENDING
    verdict: Verdict | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end: int = 0
    outstanding: int = 0
    parent: ExecutionId | None = None
    suite: str = ""
    epoch: int = 1
    priority: int = 0
    requires: frozenset[str] = frozenset()
    detached: bool = False
    admitted_at: datetime | None = None
    parent_step: StepId | None = None


class ExecutionLog(History, Protocol):
    """The append-only record of what executions did: the one source of truth about them."""

    async def create(self, record: ExecutionRecord) -> None:
        """Keep a new execution whose log is empty; repeating the very same call is safe.

        Unless it has a parent it waits from now on: see `Queue`. Its priority is kept within
        ``PRIORITY_MAX``.

        Raises:
            NotFoundError: its scenario is not stored.
        """
        ...

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        """Append ``entries`` if the log still ends just before the first of them.

        ``leading_to`` is the execution as it stands after the last one; what its record says is
        taken from there. ``epoch`` is the one under which the caller was given the execution.
        All of the entries are written or none is, and they are durable when this returns. Calls
        that meet are written together, so many cost little more than one.

        Raises:
            LogConflictError: the log has moved on, or the execution was given to another worker
                since; nothing was written.
            BudgetExceededError: a fault would hit more services of its system, beside those of
                all other executions, than the plan allows; nothing was written.
            StoreUnavailableError: whether anything was written is not known. Repeating the very
                same call is safe: if the first attempt landed, the second one conflicts.
        """
        ...

    async def read(self, execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
        """Return the entries past position ``after``, oldest first; empty if there is none."""
        ...

    async def get(self, execution: ExecutionId) -> ExecutionRecord:
        """Return the record of one execution.

        Raises:
            NotFoundError: no execution has that identity.
        """
        ...

    async def recent(
        self, *, limit: int, before: ExecutionId | None = None, suite: str = ""
    ) -> Sequence[ExecutionRecord]:
        """Return at most ``limit`` records, newest first, older than ``before`` if it is given.

        With a ``suite`` only those are returned that belong to that run of one.
        """
        ...

    async def latest(
        self, scenario_name: str, *, version: int | None = None
    ) -> ExecutionRecord | None:
        """Return the execution of that scenario, or of that version, that was the last to end."""
        ...

    async def children(self, parent: ExecutionId) -> Sequence[ExecutionRecord]:
        """Return the executions that are steps of ``parent``, oldest first."""
        ...

    async def unsettled(self) -> Sequence[ExecutionRecord]:
        """Return those unfinished or not undone, of plans that this program knows; oldest first."""
        ...

    async def orphans(self) -> Sequence[ExecutionRecord]:
        """Return of those what has no worker, and is a step of what has ended; oldest first."""
        ...


class Evidence(Protocol):
    """What was observed: samples by the thousand, and snapshots."""

    async def add_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """Keep ``samples``; a sample that is already kept is kept once."""
        ...

    async def samples(self, execution: ExecutionId) -> Sequence[Sample]:
        """Return the samples of one execution in the order of time."""
        ...

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        """Keep ``snapshot``; repeating the very same call is safe."""
        ...

    async def snapshot(self, snapshot: SnapshotId) -> Snapshot:
        """Return one snapshot.

        Raises:
            NotFoundError: nothing is stored under that identity.
        """
        ...


class Library(Protocol):
    """Where the definitions are found that others name."""

    def find(self, name: str, *, version: int | None = None) -> Part | None:
        """Return the definition of that name, the newest one unless a version is asked for."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all that can be found, for whoever has misspelt one."""
        ...


class ScenarioReader(Protocol):
    """Reads scenarios as people write them."""

    def read(self, text: str, *, file: str) -> Scenario:
        """Return the scenario in ``text``; ``file`` is what its places are named after.

        Raises:
            InvalidDocumentError: it has mistakes; all of them are said.
        """
        ...


class DefinitionReader(Protocol):
    """Reads scenarios, templates and suites, made of one text or of several."""

    def read(
        self,
        text: str,
        *,
        file: str,
        library: Library | None = None,
        topology: Topology | None = None,
    ) -> Definition:
        """Return the definition in ``text``, with all that it extends merged in.

        What it extends is looked up in ``library``, where whoever calls has gathered what
        `mentions` says; its ``parts`` are those that were used. Scenarios that it runs or
        depends on are not looked up. Without a ``topology`` any service may be named.

        Raises:
            InvalidDocumentError: it has mistakes; all of them are said.
        """
        ...

    def mentions(self, text: str, *, file: str) -> Sequence[Reference]:
        """Return the definitions that the one in ``text`` extends, each once.

        Where the text is no YAML, or anything else is amiss, only what could be read is
        returned: `read` tells the mistakes.
        """
        ...

    def resolved(self, text: str, *, file: str, library: Library | None = None) -> str:
        """Return ``text`` as a document of its own, with all that it extends merged in.

        Reading it gives the same definition, places apart.

        Raises:
            InvalidDocumentError: it has mistakes.
        """
        ...

    def explained(self, text: str, *, file: str, library: Library | None = None) -> Explanation:
        """Return what `resolved` does, and where each value in it comes from.

        Raises:
            InvalidDocumentError: it has mistakes.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """The fold of an execution as it is shown while it runs."""

    execution: ExecutionId
    scenario: str
    status: Status
    position: int
    facts: Mapping[str, str] = field(default_factory=dict)


class Heard(StrEnum):
    """What a live view has heard of executions."""

    NEWS = "news"
    NOTHING = "nothing"
    DEAF = "deaf"


class LiveView(Protocol):
    """What is shown while it happens; it may be emptied or absent at any time.

    No method raises or waits for long: what cannot be shown is dropped, and the whole comes
    back from the fold as soon as the store does.
    """

    def publish(self, record: ExecutionRecord, state: Execution, entries: Sequence[Entry]) -> None:
        """Show ``entries`` and the state after them; returns at once."""
        ...

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        """Show ``samples``; returns at once."""
        ...

    async def state(self, execution: ExecutionId) -> LiveState | None:
        """Return what is shown of an execution; None if nothing is, or nothing can be read."""
        ...

    async def news(self, after: Mapping[ExecutionId, int], *, limit: timedelta) -> Heard:
        """Return when something past one of these positions is shown, at the latest at ``limit``.

        Where that cannot be told it returns sooner, and says so.
        """
        ...

    def trouble(self) -> str:
        """Return why nothing can be shown at present; empty if all is well."""
        ...


class Secrets(Protocol):
    """Where secrets are kept."""

    def reveal(self, reference: str) -> str:
        """Return the secret at ``reference``, ``env:NAME`` or ``file:PATH``, as it is now.

        It has 4 to 65,536 characters once one newline at its end is cut; to hide a shorter one
        would garble every text.

        Raises:
            SecretUnavailableError: there is none, or it is no such text; its value is not told.
        """
        ...


class Program(Protocol):
    """One expression, checked and ready."""

    @property
    def names(self) -> frozenset[str]:
        """Return the dotted names that it refers to."""
        ...

    def evaluate(self, values: Mapping[str, Fact], /) -> Value:
        """Return its value; a name that ``values`` lacks is missing.

        Raises:
            MissingValueError: it hangs on a name that is missing.
            ExpressionFailedError: it broke off.
        """
        ...

    def measure(self, values: Mapping[str, Fact], /) -> Measure | None:
        """Return the two sides, where it is a comparison."""
        ...


class Expressions(Protocol):
    """The language of conditions."""

    def compile(self, expression: Expression, names: Names, *, expected: Kind) -> Program:
        """Check ``expression`` against the names that it may use and the kind it must give.

        Raises:
            InvalidExpressionError: it is malformed, uses an unknown name, or gives another kind.
        """
        ...
