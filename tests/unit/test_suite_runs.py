"""Suites as they run: what begins when, what is not begun and why, and how it all ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import shows
from support.engine_lab import PROBE, Lab, document, until
from support.engine_stores import gone
from support.virtual_time import since, virtual
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import DefinitionFilter, DefinitionKindError, Shelf
from test_coordination.application.suite_runs import (
    EntryResult,
    SuiteNotRunningHereError,
    SuiteResult,
    SuiteRunId,
)
from test_coordination.domain.errors import InvalidDocumentError, StoreUnavailableError
from test_coordination.domain.execution import Status
from test_coordination.domain.scenario import Part
from test_coordination.domain.verdicts import Verdict

CHECK = '{id: good, expect: "probes.p.last.ok", within: 1s}'
PARAMETERS = (
    "parameters: {s: {type: duration, default: 2s}, bad: {type: boolean, default: false}}\n"
)
PLAIN = document(
    PROBE + PARAMETERS + 'steps: [{wait: "${{ parameters.s }}"}, '
    '{id: good, expect: "probes.p.last.ok && !parameters.bad", within: 1s}]',
    name="plain",
)
CUT = document(
    PROBE + f"steps: [{{id: cut, fault: switch.off, target: shop, hold: 50s}}, {CHECK}]", name="cut"
)
PICKY = document("depends_on: [{scenario: nobody}]\nsteps: [{wait: 1s}]", name="picky")
LIBRARY = Shelf(
    parts=tuple(
        Part(name=name, file=f"{name}.yaml", text=text)
        for name, text in {"plain": PLAIN, "cut": CUT, "picky": PICKY}.items()
    )
)


async def begin(coordinator: Coordinator, scenarios: str, head: str = "") -> SuiteRunId:
    text = f"suite: nightly\nversion: 1\n{head}\nscenarios:\n{scenarios}"
    identity = await coordinator.create_suite(text, library=LIBRARY)
    return await coordinator.execute_suite(identity, requested_by="ann")


async def ran(lab: Lab, scenarios: str, head: str = "") -> tuple[SuiteResult, Mapping[str, float]]:
    """Return how a suite ended, and when each of its entries began."""
    async with lab.coordinator() as coordinator:
        run = await begin(coordinator, scenarios, head)
        result = await coordinator.suite_result(run)
    return result, await times(lab, result.entries)


async def times(lab: Lab, entries: tuple[EntryResult, ...]) -> dict[str, float]:
    found = {}
    for entry in entries:
        if entry.execution is not None:
            started = (await lab.log.get(entry.execution)).started_at
            assert started is not None
            found[str(entry.id)] = since(started)
    return found


def told(result: SuiteResult) -> dict[str, tuple[Verdict | None, str]]:
    return {entry.id: (entry.verdict, entry.why) for entry in result.entries}


@virtual
async def test_entries_run_one_after_the_other_in_the_order_of_the_file() -> None:
    lab = Lab()
    entries = "  - {id: a, scenario: plain}\n  - {id: b, scenario: plain, needs: [a]}\n"
    result, began = await ran(lab, entries + "  - {id: c, scenario: plain}")
    records = await lab.log.recent(limit=9, suite=result.id)
    seeds = {each.plan.seed for each in records}

    assert began == {"a": 0, "b": 2, "c": 4}
    assert (result.suite, result.verdict, result.reason) == ("nightly", Verdict.HELD, "")
    assert {each.suite for each in records} == {result.id}
    assert {each.requested_by for each in records} == {"ann"}
    assert [each.id for each in reversed(records)] == [each.execution for each in result.entries]
    assert result.id.startswith("nightly/")
    assert len(seeds) == 3, "each draws its own"


@virtual
async def test_every_entry_draws_from_the_seed_and_waits_with_the_priority_that_are_given() -> None:
    lab = Lab()
    text = "suite: nightly\nversion: 1\nscenarios: [{scenario: plain}, {scenario: plain}]\n"
    async with lab.coordinator() as coordinator:
        identity = await coordinator.create_suite(text, library=LIBRARY)
        run = await coordinator.execute_suite(identity, seed=7, priority=3)
        await coordinator.suite_result(run)

    records = await lab.log.recent(limit=9)
    assert [(each.plan.seed, each.priority) for each in records] == [(7, 3), (7, 3)]


@virtual
async def test_as_many_run_at_once_as_may_and_needs_are_waited_for() -> None:
    result, began = await ran(
        Lab(),
        "  - {id: a, scenario: plain, with: {s: 5s}}\n"
        "  - {id: b, scenario: plain, needs: [a]}\n"
        '  - {id: c, scenario: plain, matrix: {s: [1s, 2s, 3s]}, with: {s: "${{ matrix.s }}"}}\n'
        "  - {id: d, scenario: plain, needs: [c]}",
        "concurrency: 2",
    )

    assert began == {"a": 0, "c.1": 0, "c.2": 1, "c.3": 3, "b": 5, "d": 6}
    assert result.verdict is Verdict.HELD


@virtual
async def test_an_entry_whose_needs_did_not_hold_is_not_begun_nor_are_those_behind_it() -> None:
    result, began = await ran(
        Lab(),
        "  - {id: a, scenario: plain, with: {bad: true}}\n"
        "  - {id: b, scenario: plain, needs: [a]}\n"
        "  - {id: c, scenario: plain, needs: [b]}\n"
        "  - {id: d, scenario: plain}",
    )

    assert told(result) == {
        "a": (Verdict.BROKEN, ""),
        "b": (None, "it needs 'a', which was broken"),
        "c": (None, "it needs 'b', which was not begun"),
        "d": (Verdict.HELD, ""),
    }
    assert list(began) == ["a", "d"]
    assert result.verdict is Verdict.BROKEN


@virtual
async def test_after_a_verdict_that_stops_it_nothing_further_is_begun() -> None:
    result, began = await ran(
        Lab(),
        "  - {id: a, scenario: plain, with: {s: 9s}}\n"
        "  - {id: b, scenario: plain, with: {bad: true}}\n"
        "  - {id: c, scenario: plain, with: {s: 20s, bad: true}}\n"
        "  - {id: d, scenario: plain}",
        "concurrency: 3\nstop_on: [broken]",
    )

    reason = "'b' ended as broken, which stops the suite"
    assert told(result)["d"] == (None, reason)
    assert [told(result)[each][0] for each in "abc"] == ["held", "broken", "broken"]
    assert (result.verdict, result.reason) == (Verdict.BROKEN, reason)
    assert began == {"a": 0, "b": 0, "c": 0}


@virtual
async def test_without_more_said_only_a_fault_that_is_left_stops_the_rest() -> None:
    lab = Lab()
    lab.kit.off.always("revert", gone())
    result, _ = await ran(lab, "  - {id: a, scenario: cut}\n  - {id: b, scenario: plain}")

    assert result.verdict is Verdict.RESIDUE
    assert told(result)["b"] == (None, "'a' ended as residue, which stops the suite")


@virtual
async def test_an_entry_that_could_not_be_begun_counts_as_such_and_the_others_run() -> None:
    result, _ = await ran(Lab(), "  - {id: a, scenario: picky}\n  - {id: b, scenario: plain}")

    verdict, why = told(result)["a"]
    assert verdict is Verdict.COULD_NOT_RUN
    assert "'picky' depends on 'nobody'" in why
    assert result.entries[0].execution is None
    assert (told(result)["b"], result.verdict) == ((Verdict.HELD, ""), Verdict.COULD_NOT_RUN)


@virtual
async def test_planning_a_suite_tells_its_entries_and_stores_and_begins_nothing() -> None:
    lab = Lab()
    text = (
        "suite: nightly\nversion: 1\nparameters: {s: {type: duration, default: 1s}}\n"
        "matrix: {n: [1, 2]}\n"
        'scenarios: [{id: a, scenario: plain, with: {s: "${{ parameters.s }}"}}]'
    )
    async with lab.coordinator() as coordinator:
        plan = await coordinator.plan_suite(text, {"s": "4s"}, library=LIBRARY)
        with pytest.raises(DefinitionKindError, match="a suite was expected"):
            await coordinator.plan_suite(PLAIN)
        stored = await coordinator.list_scenarios(DefinitionFilter())

    entries = {entry.id: entry.parameters for entry in plan.entries}
    assert entries == {name: {"s": timedelta(seconds=4)} for name in ("a.1", "a.2")}
    assert stored == []
    assert await lab.log.recent(limit=1) == []


@virtual
async def test_nothing_begins_where_any_entry_does_not_fit() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        with pytest.raises(InvalidDocumentError, match="entry 'b': no parameter is named 'x'"):
            await begin(
                coordinator,
                "  - {id: a, scenario: plain}\n  - {id: b, scenario: plain, with: {x: 1}}",
            )
        await anyio.sleep(5)

    assert await lab.log.recent(limit=9) == []


@virtual
async def test_a_run_is_followed_entry_by_entry_also_when_it_is_over() -> None:
    lab, live = Lab(), list[tuple[str, float, EntryResult]]()
    entries = "  - {id: a, scenario: plain, with: {bad: true}}\n"
    entries += "  - {id: b, scenario: plain, needs: [a]}\n  - {id: c, scenario: plain}"
    async with lab.coordinator() as coordinator:
        run = await begin(coordinator, entries)
        async for entry in coordinator.follow_suite(run):
            live.append((entry.id, anyio.current_time(), entry))
        again = [entry async for entry in coordinator.follow_suite(run)]
        result = await coordinator.suite_result(run)

    assert [(name, when, e.settled) for name, when, e in live] == [
        ("a", 0, False),
        ("a", 4, True),
        ("b", 4, True),
        ("c", 4, False),
        ("c", 6, True),
    ]
    assert [entry for _, _, entry in live] == again
    assert result.entries == (again[1], again[2], again[4])


@virtual
async def test_a_run_that_is_aborted_stops_what_runs_undoes_it_and_begins_nothing_more() -> None:
    lab = Lab()
    entries = "  - {id: a, scenario: cut}\n  - {id: b, scenario: plain}"
    async with lab.coordinator() as coordinator:
        run = await begin(coordinator, entries)
        await until(3)
        await coordinator.abort_suite(run, reason="enough", by="ann")
        await coordinator.abort_suite(run, reason="again", by="bob")
        result = await coordinator.suite_result(run)
        await coordinator.abort_suite(run, reason="too late", by="bob")

    assert lab.kit.board.times("revert") == [3]
    assert told(result) == {
        "a": (Verdict.STOPPED, ""),
        "b": (None, "the suite was aborted: enough"),
    }
    assert (result.verdict, result.reason) == (Verdict.STOPPED, "the suite was aborted: enough")
    assert result.entries[0].execution is not None
    abort = (await lab.state(result.entries[0].execution)).abort
    assert abort is not None
    assert (abort.reason, abort.by) == ("enough", "ann")


@virtual
async def test_a_run_that_is_aborted_before_it_began_is_stopped_and_one_that_is_over_is_not() -> (
    None
):
    lab = Lab()
    async with lab.coordinator() as coordinator:
        run = await begin(coordinator, "  - {id: a, scenario: plain}")
        await coordinator.abort_suite(run, reason="a mistake", by="ann")
        early = await coordinator.suite_result(run)
        run = await begin(coordinator, "  - {id: a, scenario: plain}")
        await coordinator.suite_result(run)
        await coordinator.abort_suite(run, reason="too late", by="ann")
        late = await coordinator.suite_result(run)

    assert (told(early), early.verdict) == (
        {"a": (None, "the suite was aborted: a mistake")},
        Verdict.STOPPED,
    )
    assert (late.verdict, late.reason) == (Verdict.HELD, "")


@virtual
async def test_a_run_that_is_aborted_between_two_entries_is_stopped() -> None:
    lab = Lab()
    lab.log.answer_s = 1
    async with lab.coordinator() as coordinator:
        run = await begin(coordinator, "  - {id: a, scenario: cut}")
        await until(0.5)
        await coordinator.abort_suite(run, reason="at once", by="ann")
        result = await coordinator.suite_result(run)

    assert result.verdict is Verdict.STOPPED
    assert told(result) == {"a": (Verdict.STOPPED, "")}
    assert lab.kit.board.in_force == []


@virtual
async def test_an_abort_that_cannot_be_recorded_is_told_and_stops_everything_all_the_same() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        entries = "  - {id: a, scenario: cut}\n  - {id: b, scenario: plain, with: {s: 40s}}"
        run = await begin(coordinator, entries, "concurrency: 2")
        await until(3)
        lab.log.away = True
        with pytest.raises(StoreUnavailableError):
            await coordinator.abort_suite(run, reason="enough", by="ann")
        result = await coordinator.suite_result(run)
        lab.log.away = False

    assert lab.kit.board.in_force == []
    assert [entry.verdict for entry in result.entries] == [Verdict.COULD_NOT_RUN] * 2
    assert all(entry.why for entry in result.entries)


@virtual
async def test_a_coordinator_that_is_closed_stops_its_suites_and_begins_nothing_more() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        entries = "  - {id: a, scenario: cut}\n  - {id: b, scenario: plain}"
        await begin(coordinator, entries)
        await until(4)
    (record,) = await lab.log.recent(limit=9)

    assert lab.kit.board.times("revert") == [4]
    assert (record.status, record.verdict) == (Status.FINISHED, Verdict.STOPPED)


@virtual
async def test_a_program_that_is_cancelled_leaves_no_fault_of_a_suite() -> None:
    lab = Lab()
    with anyio.move_on_after(4):
        async with lab.coordinator() as coordinator:
            await begin(coordinator, "  - {id: a, scenario: cut}\n  - {id: b, scenario: plain}")
            await anyio.sleep_forever()
    (record,) = await lab.log.recent(limit=9)

    assert lab.kit.board.in_force == []
    assert record.verdict is Verdict.STOPPED


@virtual
async def test_a_run_of_somebody_else_is_not_known_here() -> None:
    nobody = SuiteRunId("nightly/7")
    async with Lab().coordinator() as coordinator:
        with pytest.raises(SuiteNotRunningHereError, match="'nightly/7'"):
            await coordinator.suite_result(nobody)
        with pytest.raises(SuiteNotRunningHereError):
            await coordinator.abort_suite(nobody, reason="", by="")
        with pytest.raises(SuiteNotRunningHereError):
            [entry async for entry in coordinator.follow_suite(nobody)]


@virtual
async def test_a_dial_that_shows_bad_breaks_an_entry() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, shows(0))]

    result, _ = await ran(lab, "  - {id: a, scenario: plain}")

    assert result.verdict is Verdict.BROKEN
