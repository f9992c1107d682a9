"""A report that nobody would want to read: huge, and full of text that attacks its readers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from support.report_samples import held, latency
from support.report_story import START, judged
from test_coordination.domain.events import Entry, Noted, Outcome, StepEnded
from test_coordination.domain.execution import FaultState, FaultStatus
from test_coordination.domain.plan import Stage
from test_coordination.domain.report import Change, Comparison, ReportedStep, TestReport
from test_coordination.domain.values import ProbeName, Receipt, ServiceName, StepId
from test_coordination.domain.verdicts import Finding

HOSTILE: Final = (
    "<script>alert(1)</script>]]>\x1b[31mred\x1b[0m\x00\x0b\u202e\ud800\U0001f480"
    "</title></style></pre>&amp;\"'><img src=x onerror=alert(1)>|`*_[x](javascript:alert(1))\n"
    "<!-- --> {{ 7 * 7 }} \ufffe"
)
LONG: Final = HOSTILE + "x" * 10_000
STEPS: Final = 1_000
LINES: Final = 100_000


def at(value_s: float) -> timedelta:
    return timedelta(seconds=value_s)


def hostile_step(place: int) -> ReportedStep:
    failed = place % 50 == 0
    return ReportedStep(
        id=StepId(f"step-{place}-{HOSTILE}"),
        kind=("wait", "expect", "action", "snapshot", "fault")[place % 5],
        title=HOSTILE if place % 3 else "",
        stage=Stage.MAIN,
        needs=(StepId(f"step-{place - 1}"),) if place else (),
        started_at=START + at(place),
        ended_at=START + at(place + 3),
        outcome=Outcome.FAILED if failed else Outcome.DONE,
        error=LONG if failed else "",
        facts={HOSTILE: LONG, "nan": float("nan"), "nested": {"a": [1, HOSTILE]}},
    )


def hostile_fault(place: int) -> FaultState:
    return FaultState(
        step=StepId(f"step-{place}-{HOSTILE}"),
        fault=HOSTILE,
        service=ServiceName(HOSTILE),
        receipt=Receipt(LONG),
        status=FaultStatus.REVERTED if place % 9 else FaultStatus.REVERT_FAILED,
        armed_at=START + at(place),
        injected_at=START + at(place + 0.5),
        reverted_at=START + at(place + 3) if place % 9 else None,
        evidence={"out": LONG},
        reason=LONG,
    )


def line(place: int) -> Entry:
    text = LONG if place % 100 == 0 else f"line {place} {HOSTILE}"
    when = START + at(place / 100)
    if place % 2:
        return Entry(position=place, at=when, event=Noted(text=text))
    ended = StepEnded(step=StepId("s"), outcome=Outcome.DONE, error=text, facts={"k": HOSTILE})
    return Entry(position=place, at=when, event=ended)


def monster() -> TestReport:
    one = latency(14.5, 19.5)
    change = Change(service=ServiceName(HOSTILE), path=HOSTILE, before=LONG, after=[HOSTILE] * 9)
    return replace(
        held(),
        scenario=HOSTILE,
        title=HOSTILE,
        topology=HOSTILE,
        reason=LONG,
        requested_by=HOSTILE,
        parameters={HOSTILE: LONG, "inf": float("inf")},
        ended_at=START + at(1_003),
        steps=tuple(hostile_step(place) for place in range(STEPS)),
        faults=tuple(hostile_fault(place) for place in range(4, STEPS, 5)),
        validations=tuple(
            judged(f"c{n} {HOSTILE}", list(Finding)[n % 4], LONG, observed=LONG, reason=LONG)
            for n in range(300)
        ),
        series=tuple(
            replace(one, probe=ProbeName(f"{n} {HOSTILE}"), unit="<b>", kind=HOSTILE)
            for n in range(30)
        ),
        comparisons=(
            Comparison(
                first=StepId("a"), second=StepId(HOSTILE), changes=(change,) * 500, left_out=9
            ),
        ),
        notes=(LONG,) * 50,
        log=tuple(line(place) for place in range(1, LINES + 1)),
        source=LONG * 20,
    )
