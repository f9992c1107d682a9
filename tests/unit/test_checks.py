"""Checks against what probes see, as it comes in."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from support.engine_bench import Story
from support.engine_fakes import Reading, shows
from support.engine_lab import MARK, PROBE, Lab, document, until
from support.stores_story import new_record, new_scenario
from support.virtual_time import at, since, virtual
from test_coordination.application.capabilities import ActionFailedError, ProbeFailedError
from test_coordination.application.engine.checks import Watch
from test_coordination.application.engine.recorder import Recorder
from test_coordination.domain.events import ExecutionStarted
from test_coordination.domain.evidence import Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.values import CheckId
from test_coordination.domain.verdicts import Finding, Phase, Severity, Verdict

GOOD, BAD = shows(1), shows(0)
MISSING = ProbeFailedError(cause="no route")


async def judged(check: str, *script: tuple[float, Reading], wait: str = "") -> Validation:
    """Return what a check on ``p`` came to, that was begun after ``wait``, if that is given."""
    lab = Lab()
    lab.kit.dial.scripts["p"] = script
    first = f"{{wait: {wait}}}, " if wait else ""
    text = PROBE + f"steps: [{first}{{id: c, {check}}}]"
    (found,) = (await lab.run(document(text))).validations
    return found


@virtual
async def test_a_sample_from_before_a_check_began_does_not_count() -> None:
    found = await judged("expect: probes.p.last.ok", (0, GOOD), (4, BAD), wait="3500ms")

    assert found.finding is Finding.BROKEN
    assert found.ended_at is not None
    assert since(found.ended_at) == 4.0


@virtual
async def test_a_check_that_becomes_true_in_time_holds_at_once() -> None:
    found = await judged("expect: probes.p.last.ok, within: 5s", (0, BAD), (3, GOOD))

    assert found.finding is Finding.HELD
    assert found.ended_at is not None
    assert since(found.ended_at) == 3.0


@virtual
async def test_a_check_whose_probe_reads_nothing_is_inconclusive() -> None:
    found = await judged("expect: probes.p.last.ok, within: 5s", (0, MISSING))

    assert found.finding is Finding.INCONCLUSIVE
    assert "probes.p.last.ok" in found.reason


@virtual
async def test_a_check_that_divides_by_zero_is_inconclusive() -> None:
    found = await judged("expect: 1 / int(probes.p.last.value) == 1", (0, BAD))

    assert found.finding is Finding.INCONCLUSIVE
    assert "divides by zero" in found.reason


@virtual
async def test_a_stretch_that_breaks_and_begins_again_in_time_holds() -> None:
    found = await judged(
        "expect: probes.p.last.ok, within: 8s, hold: 3s",
        (0, BAD), (2, GOOD), (4, BAD), (6, GOOD),
    )  # fmt: skip

    assert found.finding is Finding.HELD
    assert found.took is not None
    assert found.took.total_seconds() == 6


@virtual
async def test_a_look_that_was_begun_in_time_counts_though_it_comes_late() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, BAD), (3, GOOD)]
    lab.kit.dial.slow_s["p"] = 1.5
    text = PROBE.replace("every: 1s", "every: 3s") + (
        "steps: [{id: c, expect: probes.p.last.ok, within: 4s}]"
    )

    (found,) = (await lab.run(document(text))).validations

    assert found.finding is Finding.HELD
    assert found.took is not None
    assert found.took.total_seconds() == 3
    assert found.ended_at is not None
    assert since(found.ended_at) == 4.5


@virtual
async def test_what_never_changes_is_judged_by_the_time_alone() -> None:
    text = document("steps: [{id: c, expect: 1 < 2, hold: 3s}]")

    (found,) = (await Lab().run(text)).validations

    assert found.finding is Finding.HELD
    assert found.ended_at is not None
    assert since(found.ended_at) == 3.0


@virtual
async def test_figures_of_a_steady_state_afterwards_leave_out_what_was_before() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, shows(1)), (3, shows(100)), (6, shows(1))]
    text = PROBE + (
        "steady_state: [{id: low, expect: probes.p.max < 50.0, within: 3s, watch: false}]\n"
        "steps: [{wait: 8s}, {id: whole, expect: probes.p.max < 50.0}]"
    )

    ended = await lab.run(document(text))

    assert [(v.check, v.phase, v.finding) for v in ended.validations] == [
        ("low", Phase.BEFORE, Finding.HELD),
        ("whole", Phase.DURING, Finding.BROKEN),
        ("low", Phase.AFTER, Finding.HELD),
    ]


async def watched(
    severity: str, script: Sequence[tuple[float, Reading]], *, slow_s: float = 0
) -> Execution:
    """Return an execution of 10 s whose steady state was watched with a slow log."""
    lab = Lab()
    lab.kit.dial.scripts["p"] = script
    lab.log.slow_s = {"SteadyStateLeft": slow_s}
    text = PROBE + (
        f"steady_state: [{{id: well, expect: probes.p.last.ok, severity: {severity}}}]\n"
        "steps: [{wait: 10s}]"
    )
    return await lab.run(document(text))


def during(ended: Execution) -> list[Finding]:
    return [v.finding for v in ended.validations if v.phase is Phase.DURING]


@virtual
async def test_a_critical_condition_that_was_broken_once_is_broken_though_it_comes_back() -> None:
    ended = await watched("critical", [(0, GOOD), (4, BAD), (6, GOOD)])

    assert during(ended) == [Finding.BROKEN]
    assert ended.verdict is Verdict.BROKEN
    (excursion,) = ended.excursions
    assert excursion.regained_at is not None
    assert (since(excursion.left_at), since(excursion.regained_at)) == (4.0, 6.0)


@virtual
async def test_a_normal_condition_that_was_broken_is_an_excursion_and_no_more() -> None:
    ended = await watched("normal", [(0, GOOD), (4, BAD), (6, GOOD)])

    assert during(ended) == []
    assert ended.verdict is Verdict.HELD
    assert len(ended.excursions) == 1


@pytest.mark.parametrize("slow_s", [2.5, 20])
def test_a_moment_outside_is_seen_while_the_log_is_slow(slow_s: float) -> None:
    @virtual
    async def story() -> None:
        script: list[tuple[float, Reading]] = [
            (0, GOOD),
            (2, MISSING),
            (3, GOOD),
            (4, BAD),
            (5, GOOD),
        ]
        ended = await watched("critical", script, slow_s=slow_s)

        assert during(ended) == [Finding.BROKEN]
        assert len(ended.excursions) == 2
        assert all(excursion.regained_at for excursion in ended.excursions)

    story()


@virtual
async def test_a_break_that_is_being_recorded_when_the_watch_ends_counts() -> None:
    ended = await watched("critical", [(0, GOOD), (9, BAD), (10, GOOD)], slow_s=3)

    assert during(ended) == [Finding.BROKEN]
    assert len(ended.excursions) == 1


@virtual
async def test_the_first_break_is_the_one_that_is_told() -> None:
    lab = Lab()
    lab.kit.dial.scripts["p"] = [(0, shows(1)), (3, shows(7)), (5, shows(1)), (6, shows(8))]
    text = PROBE + (
        "steady_state: [{id: well, expect: probes.p.last.value < 5.0, severity: critical}]\n"
        "steps: [{wait: 10s}]"
    )

    ended = await lab.run(document(text))

    assert [v.observed for v in ended.validations if v.phase is Phase.DURING] == [7]


@virtual
async def test_what_was_seen_at_the_very_end_of_a_watch_counts() -> None:
    lab, record = Lab(), new_record(new_scenario())
    await lab.log.create(record)
    recorder = Recorder(lab.world().stores, record, Execution(id=record.id))
    await recorder.record(ExecutionStarted(worker=record.worker))
    story = Story()
    check = PlannedCheck(
        id=CheckId("well"),
        expression="probes.p.last.ok",
        mark=MARK,
        severity=Severity.CRITICAL,
    )
    watch = Watch(story.bench, check, recorder)

    story.see(1, 0)
    await watch.conclude()

    assert await lab.log.events(record.id) == ["ExecutionStarted", "SteadyStateLeft", "CheckJudged"]
    assert during(recorder.state) == [Finding.BROKEN]


@virtual
async def test_a_watch_that_ends_as_its_turn_comes_tells_everything_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab, record = Lab(), new_record(new_scenario())
    await lab.log.create(record)
    recorder = Recorder(lab.world().stores, record, Execution(id=record.id))
    await recorder.record(ExecutionStarted(worker=record.worker))
    story, its_turn = Story(), anyio.Event()
    check = PlannedCheck(id=CheckId("well"), expression="probes.p.last.ok", mark=MARK)
    watch = Watch(story.bench, check, recorder)
    monkeypatch.setattr(recorder, "turn", its_turn.wait)
    story.see(1, 0)

    async with anyio.create_task_group() as group:
        group.start_soon(watch.look)
        group.start_soon(watch.tell)
        await until(2)
        its_turn.set()
        await watch.conclude()

    assert await lab.log.events(record.id) == ["ExecutionStarted", "SteadyStateLeft"]


@virtual
async def test_a_critical_condition_that_was_true_throughout_holds() -> None:
    ended = await watched("critical", [(0, GOOD)])

    assert during(ended) == [Finding.HELD]
    assert ended.excursions == ()
    assert ended.verdict is Verdict.HELD


UNSEEN: list[Sequence[tuple[float, Reading]]] = [
    [(0, GOOD), (8, MISSING), (10.5, GOOD)],
    [(0, GOOD), (3, MISSING), (4.5, GOOD)],
]


@pytest.mark.parametrize("script", UNSEEN)
def test_a_critical_condition_that_could_not_be_seen_for_a_while_is_inconclusive(
    script: Sequence[tuple[float, Reading]],
) -> None:
    @virtual
    async def story() -> None:
        ended = await watched("critical", script)

        assert during(ended) == [Finding.INCONCLUSIVE]
        assert ended.validations[1].reason.endswith(", so it could not be judged")
        assert ended.verdict is Verdict.INCONCLUSIVE

    story()


@virtual
async def test_a_critical_condition_that_was_broken_is_so_though_it_was_also_not_seen() -> None:
    ended = await watched("critical", [(0, GOOD), (3, MISSING), (5, BAD), (6, GOOD)])

    assert during(ended) == [Finding.BROKEN]


@virtual
async def test_a_watch_is_judged_before_the_end_also_when_a_step_fails_with_nothing_beside_it() -> (
    None
):
    lab = Lab()
    lab.kit.note.error = ActionFailedError(action="note", cause="refused")
    text = PROBE + (
        "steady_state: [{id: well, expect: probes.p.last.ok, severity: critical}]\n"
        "steps: [{id: bad, action: note, with: {seconds: 3, fails: true}}]"
    )

    ended = await lab.run(document(text))

    assert during(ended) == [Finding.HELD]
    assert ended.verdict is Verdict.COULD_NOT_RUN


@virtual
async def test_a_watch_too_short_for_a_single_look_is_inconclusive() -> None:
    lab = Lab()
    lab.kit.dial.slow_s["p"] = 0.5
    text = PROBE + (
        "steady_state: [{id: well, expect: probes.p.last.ok, severity: critical}]\n"
        "steps: [{wait: 100ms}]"
    )

    ended = await lab.run(document(text))

    assert during(ended) == [Finding.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("bad_from_s", "finding", "ended_s"), [(5, Finding.BROKEN, 50.0), (51, Finding.HELD, 50.0)]
)
def test_a_stretch_is_not_longer_than_the_slowest_of_its_probes_has_looked(
    bad_from_s: float, finding: Finding, ended_s: float
) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        lab.kit.dial.scripts |= {"a": [(0, GOOD)], "b": [(0, GOOD), (bad_from_s, BAD)]}
        text = """
probes: {a: {dial: {dial: a}, every: 1s}, b: {dial: {dial: b}, every: 50s}}
steps: [{id: x, expect: probes.a.last.ok && probes.b.last.ok, within: 1s, hold: 30s}]
"""

        ended = await lab.run(document(text))

        (found,) = ended.validations
        assert found.finding is finding
        assert found.ended_at == at(ended_s)

    story()


@virtual
async def test_a_probe_that_is_slower_than_another_is_not_overlooked() -> None:
    lab = Lab()
    lab.kit.dial.scripts |= {"a": [(0, GOOD)], "b": [(0, GOOD), (3, BAD), (4, GOOD)]}
    lab.kit.dial.slow_s["b"] = 0.5
    text = """
probes: {a: {dial: {dial: a}, every: 3100ms}, b: {dial: {dial: b}, every: 1s}}
steady_state: [{id: well, expect: probes.a.last.ok && probes.b.last.ok, severity: critical}]
steps: [{wait: 10s}]
"""

    ended = await lab.run(document(text))

    assert during(ended) == [Finding.BROKEN]
