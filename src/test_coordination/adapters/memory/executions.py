"""Executions and their logs in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from test_coordination.adapters.codec import decode_event, decode_plan, encode, kind_of
from test_coordination.adapters.memory.books import Books
from test_coordination.adapters.memory.scenarios import MemoryScenarioStore
from test_coordination.application.fleet import NOBODY
from test_coordination.application.history import PAST_MAX
from test_coordination.application.ports import ExecutionRecord, LogConflictError, NotFoundError
from test_coordination.domain.admission import bounded
from test_coordination.domain.events import Entry, Outcome
from test_coordination.domain.execution import Execution, Status
from test_coordination.domain.plan import PLAN_FORMATS
from test_coordination.domain.values import ExecutionId, StepId, WorkerId


@dataclass(slots=True, kw_only=True)
class _Kept:
    record: ExecutionRecord
    lines: list[tuple[datetime, str, bytes]] = field(default_factory=list)


class MemoryExecutionLog:
    """An `ExecutionLog` that lasts as long as it is referred to.

    Events are kept as the JSON that a database would keep, so that nothing can be read back
    here that could not be there.
    """

    def __init__(self, scenarios: MemoryScenarioStore | None = None) -> None:
        """Refuse executions of scenarios that ``scenarios`` lacks, if it is given."""
        self._scenarios = scenarios
        self._kept: dict[ExecutionId, _Kept] = {}
        self.ended: list[ExecutionRecord] = []
        """Those that have ended, in the order in which they did."""
        self.books = Books()

    async def create(self, record: ExecutionRecord) -> None:
        """See `ExecutionLog.create`."""
        if self._scenarios is not None:
            await self._scenarios.get(record.scenario)
        plan = decode_plan(encode(record.plan))
        if record.id not in self._kept:
            kept = replace(record, plan=plan, priority=bounded(record.priority))
            self._kept[record.id] = _Kept(record=kept)
            self.books.enter(kept)

    async def append(self, entries: Sequence[Entry], *, leading_to: Execution, epoch: int) -> None:
        """See `ExecutionLog.append`."""
        if not entries:
            return
        expected = entries[0].position - 1
        assert leading_to.position == entries[-1].position == expected + len(entries)
        lines = [(entry.at, kind_of(entry.event), encode(entry.event)) for entry in entries]
        kept = self._kept.get(leading_to.id)
        if kept is None or len(kept.lines) != expected or kept.record.epoch != epoch:
            raise LogConflictError(execution=leading_to.id, expected=expected)
        self.books.check(kept.record, [entry.event for entry in entries], leading_to)
        ends = Status.FINISHED is leading_to.status is not kept.record.status
        kept.lines.extend(lines)
        kept.record = replace(
            kept.record,
            status=leading_to.status,
            verdict=leading_to.verdict,
            started_at=leading_to.started_at,
            ended_at=leading_to.ended_at,
            end=leading_to.position,
            outstanding=len(leading_to.outstanding),
        )
        self.books.keep(kept.record, leading_to)
        if ends:
            self.ended.append(kept.record)

    async def read(self, execution: ExecutionId, *, after: int = 0) -> Sequence[Entry]:
        """See `ExecutionLog.read`."""
        kept = self._kept.get(execution)
        if kept is None:
            return []
        return [
            Entry(position=position, at=at, event=decode_event(kind, body))
            for position, (at, kind, body) in enumerate(kept.lines[after:], start=after + 1)
        ]

    async def news(
        self, after: Mapping[ExecutionId, int], *, limit: int
    ) -> Mapping[ExecutionId, Sequence[Entry]]:
        """See `History.news`."""
        found = {each: await self.read(each, after=end) for each, end in after.items()}
        return {each: entries[:limit] for each, entries in found.items() if entries}

    async def durations(
        self, scenario_name: str, *, before: datetime
    ) -> Mapping[StepId, Sequence[timedelta]]:
        """See `History.durations`."""
        ended = [
            (kept.record.ended_at, kept.record.id)
            for kept in self._kept.values()
            if kept.record.scenario_name == scenario_name
            and kept.record.ended_at is not None
            and kept.record.ended_at <= before
        ]
        found = defaultdict[StepId, list[timedelta]](list)
        for _, execution in sorted(ended, reverse=True)[:PAST_MAX]:
            state = Execution.of(execution, await self.read(execution))
            for name, step in state.steps.items():
                if step.ended_at is not None and step.outcome is Outcome.DONE:
                    found[name].append(step.ended_at - step.started_at)
        return found

    async def get(self, execution: ExecutionId) -> ExecutionRecord:
        """See `ExecutionLog.get`."""
        kept = self._kept.get(execution)
        if kept is None:
            raise NotFoundError(kind="execution", identity=str(execution))
        return kept.record

    async def recent(
        self, *, limit: int, before: ExecutionId | None = None, suite: str = ""
    ) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.recent`."""
        older = [i for i in self._kept if before is None or i < before]
        records = (self._kept[i].record for i in sorted(older, reverse=True))
        return [record for record in records if suite in {"", record.suite}][:limit]

    async def latest(
        self, scenario_name: str, *, version: int | None = None
    ) -> ExecutionRecord | None:
        """See `ExecutionLog.latest`."""
        ended = [
            (record.ended_at, record.id)
            for record in (kept.record for kept in self._kept.values())
            if record.ended_at is not None
            and record.scenario_name == scenario_name
            and version in {None, record.scenario_version}
        ]
        return self._kept[max(ended)[1]].record if ended else None

    async def children(self, parent: ExecutionId) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.children`."""
        records = (self._kept[i].record for i in sorted(self._kept))
        return [record for record in records if record.parent == parent]

    async def unsettled(self) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.unsettled`."""
        records = (self._kept[i].record for i in sorted(self._kept))
        known = (r for r in records if r.plan.format in PLAN_FORMATS)
        return [r for r in known if r.status is not Status.FINISHED or r.outstanding]

    async def orphans(self) -> Sequence[ExecutionRecord]:
        """See `ExecutionLog.orphans`."""
        return [
            record
            for record in await self.unsettled()
            if record.worker == NOBODY
            and record.status is not Status.FINISHED
            and record.parent in self._kept
            and self._kept[record.parent].record.status is Status.FINISHED
        ]

    def held_by(self, execution: ExecutionId, *, epoch: int) -> WorkerId | None:
        """Return whose an execution is, if it was last given away under ``epoch``."""
        kept = self._kept.get(execution)
        return kept.record.worker if kept and kept.record.epoch == epoch else None

    def known(self, execution: ExecutionId) -> ExecutionRecord:
        """Return for `MemoryQueue` the record of one that there is."""
        return self._kept[execution].record

    def state(self, execution: ExecutionId) -> Execution:
        """Return for `MemoryQueue` how one stands that there is."""
        lines = enumerate(self._kept[execution].lines, start=1)
        entries = (
            Entry(position=position, at=at, event=decode_event(kind, body))
            for position, (at, kind, body) in lines
        )
        return Execution.of(execution, entries)

    def let_in(self, execution: ExecutionId, *, at: datetime) -> ExecutionRecord:
        """Do for `MemoryQueue` what lets one in that waits; return its record."""
        self.books.let_in(execution, at=at)
        kept = self._kept[execution]
        kept.record = replace(kept.record, admitted_at=at)
        return kept.record

    def hand_over(self, execution: ExecutionId, *, by: WorkerId) -> int:
        """Make ``by`` the worker of an execution that there is; return the new epoch."""
        kept = self._kept[execution]
        kept.record = replace(kept.record, worker=by, epoch=kept.record.epoch + 1)
        return kept.record.epoch
