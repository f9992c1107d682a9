"""One execution out of control: what it writes is bounded, and nobody else waits for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from uuid import UUID

import anyio
import pytest

from support.engine_fakes import shows
from support.engine_plans import MARK, PROBE, Bed, act, ended_s, fault, plan, retry, wait
from support.virtual_time import at, since, virtual
from test_coordination.application.capabilities import ActionFailedError
from test_coordination.application.engine import flow
from test_coordination.application.engine.flow import (
    ASIDES_MAX,
    ASIDES_PER_S,
    EVENT_CHARACTERS_MAX,
    SAMPLE_CHARACTERS_MAX,
    Flow,
    fitting,
    fitting_sample,
)
from test_coordination.domain.events import (
    CheckJudged,
    Entry,
    FaultArmed,
    Noted,
    Outcome,
    SteadyStateLeft,
    SteadyStateRegained,
    StepEnded,
    StepRetried,
)
from test_coordination.domain.evidence import Sample, Validation
from test_coordination.domain.execution import Execution
from test_coordination.domain.plan import Plan, PlannedCheck
from test_coordination.domain.steps import ErrorPolicy
from test_coordination.domain.stretches import Excursion
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    Receipt,
    ServiceName,
    StepId,
)
from test_coordination.domain.verdicts import Finding, Phase, Severity, Verdict

NEW = Execution(id=ExecutionId(UUID(int=1)))
PROBE_AT = at(0)
MOMENT = timedelta(milliseconds=50)
ASIDES = (StepRetried, SteadyStateLeft, SteadyStateRegained, Noted)


def restless(*, checks: int = 1, lasts_s: float) -> Plan:
    """Return a plan that watches conditions which change with every look."""
    watched = tuple(
        PlannedCheck(
            id=CheckId(f"c{number}"),
            expression="probes.p.last.ok",
            mark=MARK,
            severity=Severity.CRITICAL,
        )
        for number in range(checks)
    )
    probe = replace(PROBE, every=MOMENT)
    return plan(wait("w", for_s=lasts_s), watched=watched, probes=(probe,))


def restless_bed() -> Bed:
    bed = Bed()
    turns = cycle([0, 1])
    bed.kit.dial.scripts["p"] = lambda: shows(next(turns))
    return bed


def stubborn(*, steps: int = 1) -> Plan:
    """Return a plan of steps that fail at once and are tried again at once, a hundred times."""
    ignore = ErrorPolicy.IGNORE
    return plan(
        *(
            act(f"s{number}", fails=True, retry=retry(100), on_error=ignore)
            for number in range(steps)
        )
    )


def stubborn_bed() -> Bed:
    bed = Bed()
    bed.kit.note.error = ActionFailedError(action="note", cause="refused")
    return bed


async def log_of(bed: Bed, ended: Execution) -> Sequence[Entry]:
    return await bed.log.read(ended.id)


def busiest(entries: Sequence[Entry], *, span_s: float) -> int:
    """Return how many asides were written in the busiest time of that length."""
    times = [since(entry.at) for entry in entries if isinstance(entry.event, ASIDES)]
    return max(sum(begin <= other < begin + span_s for other in times) for begin in times)


@virtual
async def test_tries_without_a_pause_are_recorded_at_a_walking_pace() -> None:
    bed = stubborn_bed()

    ended = await bed.run(stubborn(steps=5))

    log = await log_of(bed, ended)
    assert {step.attempts for step in ended.steps.values()} == {100}
    assert busiest(log, span_s=10) <= 11 * ASIDES_PER_S
    assert ended_s(ended) == pytest.approx(5 * 99 / ASIDES_PER_S, abs=2)


def test_a_steady_state_that_changes_all_the_time_fills_no_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flow, "ASIDES_MAX", 100)

    @virtual
    async def story() -> None:
        bed = restless_bed()

        ended = await bed.run(restless(lasts_s=30))

        log = await log_of(bed, ended)
        assert busiest(log, span_s=5) <= 6 * ASIDES_PER_S
        assert len(log) < 100 + 10
        assert sum("from here on they are not recorded" in note for note in ended.notes) == 1
        assert ended.verdict is Verdict.BROKEN, "each look counts, recorded or not"
        assert ended_s(ended) == pytest.approx(30, abs=0.1)

    story()


@virtual
async def test_what_is_told_of_a_steady_state_is_told_by_turns() -> None:
    bed = restless_bed()

    ended = await bed.run(restless(checks=3, lasts_s=15))

    for check in ("c0", "c1", "c2"):
        told = [
            type(entry.event)
            for entry in await log_of(bed, ended)
            if isinstance(entry.event, SteadyStateLeft | SteadyStateRegained)
            and entry.event.check == check
        ]
        assert len(told) > 40
        assert set(told[::2]) == {SteadyStateLeft}
        assert set(told[1::2]) == {SteadyStateRegained}
        said = f"check '{check}' changed to and fro"
        assert sum(note.startswith(said) for note in ended.notes) == 1


async def timed(*, beside: bool) -> tuple[float, int]:
    """Return how long a hundred durable steps take on a store that writes one page at a time.

    ``beside`` it an execution floods the same store. Also return how many pages that one wrote.
    """
    bed, turn = stubborn_bed(), anyio.Lock()

    async def write(entries: Sequence[Entry]) -> None:
        del entries
        async with turn:
            await anyio.sleep(0.02)

    bed.log.before = write
    steps = [act(f"s{number}", *([f"s{number - 1}"] if number else [])) for number in range(100)]
    async with anyio.create_task_group() as group:
        if beside:
            group.start_soon(bed.run, stubborn(steps=20))
            await anyio.sleep(5)
        before, began = bed.log.appends, anyio.current_time()
        ended = await bed.run(plan(*steps))
        took_s, written = anyio.current_time() - began, bed.log.appends - before
        group.cancel_scope.cancel()
    return took_s, written - len(ended.steps) - 2


@virtual
async def test_a_neighbour_of_one_that_floods_the_store_hardly_waits() -> None:
    alone_s, _ = await timed(beside=False)
    beside_s, flood = await timed(beside=True)

    assert alone_s == pytest.approx(2, abs=0.2)
    assert beside_s < 1.35 * alone_s
    assert flood < 1.5 * beside_s * ASIDES_PER_S


@virtual
async def test_large_facts_are_cut_and_what_undoes_a_fault_is_not() -> None:
    bed = Bed()
    large = "x" * 1_000_000
    doing = act(large[:3], takes_s=0)
    assert doing.action is not None
    work = replace(doing.action, parameters={"name": large, "seconds": 0})

    ended = await bed.run(plan(replace(doing, action=work), fault("f", hold_s=1)))

    facts = ended.steps[StepId("xxx")].facts
    assert str(facts["name"]).startswith("xxx")
    assert str(facts["name"]).endswith("… (998,000 more characters)")
    assert ended.outstanding == ()


def test_a_receipt_of_any_length_is_kept() -> None:
    receipt, service = Receipt("r" * 1_000_000), ServiceName("shop")
    armed = FaultArmed(step=StepId("f"), fault="x" * 100_000, service=service, receipt=receipt)

    found = fitting(armed)

    assert isinstance(found, FaultArmed)
    assert (found.receipt, found.service, found.step) == (receipt, service, "f")


def test_what_was_observed_is_cut_inside_a_judgement_too() -> None:
    validation = Validation(
        check=CheckId("c"),
        phase=Phase.DURING,
        finding=Finding.BROKEN,
        expression="true",
        observed=["y" * 90_000, {"deep": ["z" * 90_000] * 9}],
    )
    event = StepEnded(step=StepId("s"), outcome=Outcome.DONE, facts={"v": [1] * 90_000, "w": 1})
    judged = CheckJudged(validation=validation)

    assert "88,000 more" in str(fitting(judged))
    assert "more are left out" in str(fitting(event))
    assert len(str(fitting(event))) < 4 * EVENT_CHARACTERS_MAX


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"status": 200, "ms": 3.5, "ok": True, "none": None},
        {"body": {"items": [1, 2, {"deep": ["text"] * 100}]}, "": ()},
        {"text": "ö" * 60_000},
        {"numbers": list(range(8_000))},
    ],
)
def test_what_is_small_stays_as_it_is(facts: dict[str, object]) -> None:
    event = StepEnded(step=StepId("s"), outcome=Outcome.DONE, facts=facts)

    assert fitting(event) is event


@pytest.mark.parametrize("texts", [0, 21, 22, 500])
@pytest.mark.parametrize("numbers", [0, 8_191, 100_000])
def test_whatever_it_is_it_fits(texts: int, numbers: int) -> None:
    facts = {"texts": ["t" * 3000] * texts, "numbers": list(range(numbers)), "last": {"a": {}}}
    event = StepEnded(step=StepId("s"), outcome=Outcome.DONE, facts=facts)

    found = fitting(event)

    assert isinstance(found, StepEnded)
    assert len(json.dumps(found.facts)) < 1.5 * EVENT_CHARACTERS_MAX
    assert (found is event) == (texts < 22 and numbers == 0)


def test_a_sample_is_smaller_still() -> None:
    sample = Sample(
        probe=ProbeName("p"),
        at=PROBE_AT,
        took=MOMENT,
        fields={"value": "v" * 20_000, "ok": True},
        error="e" * 20_000,
    )
    small = replace(sample, fields={"value": 1, "ok": True}, error="no")

    found = fitting_sample(sample)

    assert len(str(found.fields["value"])) + len(found.error) < SAMPLE_CHARACTERS_MAX
    assert found.at == sample.at
    assert fitting_sample(small) is small


def test_what_an_execution_cannot_do_without_is_always_admitted() -> None:
    asides, state, note = Flow(NEW), NEW, Noted(text="n")
    ended = StepEnded(step=StepId("s"), outcome=Outcome.FAILED)

    admitted = sum(len(asides.admitted([note], state)) for _ in range(ASIDES_MAX + 100))

    assert admitted == ASIDES_MAX + 1
    assert list(asides.admitted([ended, note], state)) == [ended, note]
    assert list(asides.admitted([ended], state)) == [ended]
    assert list(asides.admitted([note], state)) == []


def test_that_a_steady_state_is_back_is_told_where_it_was_told_that_it_was_left() -> None:
    check = CheckId("c")
    left, back = SteadyStateLeft(check=check), SteadyStateRegained(check=check)
    away = replace(NEW, excursions=(Excursion(check=check, left_at=PROBE_AT),))
    asides = Flow(NEW)
    asides.admitted([Noted(text="n")] * (ASIDES_MAX + 1), NEW)

    assert list(asides.admitted([back], away)) == [back]
    assert list(asides.admitted([back, left], NEW)) == []


def test_asides_of_the_worker_before_count() -> None:
    notes = replace(NEW, notes=("n",) * (ASIDES_MAX - 1))
    asides = Flow(notes)

    first, second = (asides.admitted([Noted(text="n")], notes) for _ in range(2))

    assert len(first) == 1
    assert [event.text for event in second if isinstance(event, Noted)] != ["n"]
