"""Use cases on reports: put together what a run proves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from test_coordination.application.world import World
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import PlannedProbe
from test_coordination.domain.report import (
    Comparison,
    ReportedSeries,
    TestReport,
    compare,
    decimate,
    reported_steps,
    series_points,
)
from test_coordination.domain.values import ExecutionId, ProbeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Everything that is known of an execution, in one value."""

    world: World

    async def generate(self, identity: ExecutionId) -> TestReport:
        """Return the report of an execution as it stands; one that runs has no verdict yet.

        Raises:
            NotFoundError: no execution has that name.
        """
        world = self.world
        record = await world.stores.log.get(identity)
        log = await world.stores.log.read(identity)
        stored = await world.scenarios.get(record.scenario)
        execution = Execution.of(identity, log)
        samples = await world.evidence.samples(identity)
        return TestReport(
            execution=identity,
            scenario=record.scenario_name,
            title=stored.title,
            version=record.scenario_version,
            digest=record.plan.digest,
            topology=record.plan.topology,
            verdict=execution.verdict,
            reason=execution.reason,
            status=execution.status,
            requested_at=record.requested_at,
            requested_by=record.requested_by,
            started_at=execution.started_at,
            ended_at=execution.ended_at,
            parameters=record.plan.parameters,
            steps=reported_steps(record.plan, execution),
            faults=tuple(execution.faults.values()),
            validations=execution.validations,
            excursions=execution.excursions,
            pauses=execution.pauses,
            handovers=execution.handovers,
            series=tuple(self._series(record.plan.probes, execution, samples)),
            comparisons=await self._comparisons(execution),
            notes=execution.notes,
            log=tuple(log),
            source=stored.source,
        )

    def _series(
        self, probes: Sequence[PlannedProbe], execution: Execution, samples: Sequence[Sample]
    ) -> Iterator[ReportedSeries]:
        of_probe: dict[ProbeName, list[Sample]] = defaultdict(list)
        for sample in samples:
            of_probe[sample.probe].append(sample)
        for probe in probes:
            kind, own = self.world.catalogue.probes[probe.kind], of_probe[probe.name]
            start = execution.started_at
            points = series_points(own, kind.measured, start) if start else []
            yield ReportedSeries(
                probe=probe.name,
                kind=probe.kind,
                measured=kind.measured,
                unit=kind.unit,
                points=decimate(points),
                samples=len(own),
                missing=sum(sample.missing for sample in own),
            )

    async def _comparisons(self, execution: Execution) -> tuple[Comparison, ...]:
        taken = [
            await self.world.evidence.snapshot(snapshot)
            for snapshot in execution.snapshots.values()
        ]
        return tuple(compare(first, second) for first, second in pairwise(taken))
