"""What a report tells of an execution."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.engine_fakes import NumberedIdentities, failed, shows
from support.engine_lab import PROBE, Lab, document, start, until
from support.virtual_time import at, virtual
from test_coordination.adapters.documents.definitions import DefinitionReader
from test_coordination.application.capabilities import ProbeFailedError
from test_coordination.application.lending import coordinating
from test_coordination.application.ports import Library, NotFoundError
from test_coordination.domain.errors import InvalidDocumentError
from test_coordination.domain.events import Outcome
from test_coordination.domain.evidence import Facts, Sample, Snapshot
from test_coordination.domain.execution import Status
from test_coordination.domain.report import CHANGES_MAX, compare, decimate, series_points
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import ExecutionId, ProbeName, ServiceName, SnapshotId, StepId
from test_coordination.domain.verdicts import Finding, Verdict

NEW = NumberedIdentities()
SHOP, BANK = ServiceName("shop"), ServiceName("bank")
STORY = document(
    "title: A story\n"
    + PROBE
    + """
parameters: {n: {type: integer, default: 3}}
steps:
  - {id: first, snapshot: [shop]}
  - {id: cut, fault: switch.off, target: shop, hold: 3s, title: Off it goes}
  - {id: second, snapshot: [shop]}
  - {id: well, expect: probes.p.last.ok}
"""
)


@virtual
async def test_a_report_tells_everything_that_is_known() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, shows(1)), (1, ProbeFailedError(cause="x")), (2, shows(1))]
    lab.kit.dial.scripts["orders"] = [(0, {"total": 3}), (3, {"total": 4})]
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        ended = await coordinator.execution_result(execution)
        report = await coordinator.generate_test_report(execution)

    (series,), (comparison,) = report.series, report.comparisons
    assert (report.scenario, report.title, report.version) == ("story", "A story", 1)
    assert (report.verdict, report.reason) == (Verdict.HELD, ended.reason)
    assert (report.parameters, report.requested_by, report.topology) == ({"n": 3}, "ann", "lab")
    assert [step.id for step in report.steps] == ["first", "cut", "second", "well"]
    assert [step.outcome for step in report.steps] == [Outcome.DONE] * 4
    assert (report.steps[1].title, report.steps[1].needs) == ("Off it goes", ("first",))
    assert series.points[:4] == ((0.0, 1.0), (1.0, None), (2.0, 1.0), (3.0, 1.0))
    assert (series.samples, series.missing, series.measured) == (4, 1, "value")
    assert [(c.path, c.before, c.after) for c in comparison.changes] == [("orders.total", 3, 4)]
    assert (comparison.first, comparison.second) == ("first", "second")
    assert report.took == timedelta(seconds=3)
    assert report.residue == ()
    assert report.count(Finding.HELD) == 1
    assert report.count(Finding.BROKEN) == 0
    assert report.source == STORY
    assert [entry.position for entry in report.log] == list(range(1, len(report.log) + 1))


@virtual
async def test_an_execution_that_runs_has_a_report_without_a_verdict() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        await until(1)
        report = await coordinator.generate_test_report(execution)
        with pytest.raises(NotFoundError):
            await coordinator.generate_test_report(ExecutionId(NEW.new()))

    well = report.steps[-1]
    assert (report.verdict, report.status, report.took) == (None, Status.RUNNING, None)
    assert (well.started_at, well.outcome, well.facts) == (None, None, None)
    assert len(report.residue) == 1


@virtual
async def test_an_execution_that_was_never_begun_has_a_report() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        record = replace(await lab.log.get(execution), id=ExecutionId(lab.identities.new()))
        await lab.log.create(record)
        report = await coordinator.generate_test_report(record.id)

    assert (report.status, report.started_at) == (Status.PENDING, None)
    assert report.series[0].points == ()


@virtual
async def test_residue_stays_in_the_report() -> None:
    lab = Lab()
    lab.kit.off.always("revert", failed("reverting"))
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        await coordinator.execution_result(execution)
        report = await coordinator.generate_test_report(execution)

    assert [fault.step for fault in report.residue] == ["cut"]


@virtual
async def test_a_scenario_that_cannot_be_read_any_more_is_told_by_what_is_stored() -> None:
    class Older(DefinitionReader):
        def read(
            self,
            text: str | bytes,
            *,
            file: str,
            library: Library | None = None,
            topology: Topology | None = None,
        ) -> Scenario:
            del text, file, library, topology
            raise InvalidDocumentError(problems=())

    lab = Lab()
    older = Older(lab.world().catalogue, lab.world().expressions)
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        await coordinator.execution_result(execution)
    async with coordinating(replace(lab.world(), reader=older)) as later:
        report = await later.generate_test_report(execution)

    assert (report.title, report.scenario) == ("A story", "story")


def snapshot(state: dict[ServiceName, dict[str, object]], *, step: str = "") -> Snapshot:
    return Snapshot(
        id=SnapshotId(NEW.new()),
        taken_at=at(0),
        state=state,
        step=StepId(step) if step else None,
    )


def test_a_comparison_goes_as_deep_as_both_sides_do() -> None:
    before = snapshot({SHOP: {"a": {"b": 1, "c": [1]}, "gone": 1}, BANK: {"x": 1}}, step="one")
    after = snapshot({SHOP: {"a": {"b": 2, "c": [1]}, "new": {"d": 1}}})

    found = compare(before, after)

    assert [(c.service, c.path, c.before, c.after) for c in found.changes] == [
        (BANK, "", {"x": 1}, None),
        (SHOP, "a.b", 1, 2),
        (SHOP, "gone", 1, None),
        (SHOP, "new", None, {"d": 1}),
    ]
    assert (found.first, found.second) == ("one", str(after.id))


def test_a_comparison_that_is_too_long_says_how_much_it_left_out() -> None:
    numbers = {str(n): n for n in range(CHANGES_MAX + 7)}

    found = compare(snapshot({SHOP: {}}), snapshot({SHOP: dict(numbers)}))

    assert (len(found.changes), found.left_out) == (CHANGES_MAX, 7)


def test_points_are_seconds_and_numbers_and_what_is_no_number_is_a_gap() -> None:
    readings: list[tuple[float, Facts]] = [(1, {"ms": 5}), (2.5, {"ms": "?"}), (3, {})]
    samples = [
        Sample(probe=ProbeName("p"), at=at(second), took=timedelta(0), fields=fields)
        for second, fields in readings
    ]

    assert series_points(samples, "ms", at(1)) == [(0.0, 5.0), (1.5, None), (2.0, None)]


VALUES = st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=30, max_size=200)


@given(VALUES, st.sampled_from([10, 25, 1000]))
def test_thinning_keeps_the_extremes_and_the_order_and_bounds_the_number(
    values: list[float | None], most: int
) -> None:
    points = [(float(second), value) for second, value in enumerate(values)]

    kept = decimate(points, most=most)

    numbers = [value for value in values if value is not None]
    left = [value for _, value in kept if value is not None]
    assert len(kept) <= most * 3 / 2 + 3
    assert list(kept) == sorted(set(kept), key=lambda point: point[0])
    assert set(kept) <= set(points)
    assert min(left, default=None) == min(numbers, default=None)
    assert max(left, default=None) == max(numbers, default=None)
    assert (None in values) == any(value is None for _, value in kept)
