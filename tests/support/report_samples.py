"""Reports as the trading example would yield them: one for each verdict that matters."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Final
from uuid import UUID

from support.report_story import START, Story, check, judged, sampled, seconds, step
from test_coordination.domain.events import (
    AbortRequested,
    FaultNotInjected,
    FaultRevertFailed,
    Noted,
    Outcome,
    SnapshotTaken,
    SteadyStateLeft,
    SteadyStateRegained,
    StepEnded,
    StepStarted,
)
from test_coordination.domain.evidence import Validation
from test_coordination.domain.plan import ActionWork, FaultWork, PlannedStep, SnapshotWork, WaitWork
from test_coordination.domain.report import Change, Comparison, ReportedSeries, TestReport
from test_coordination.domain.values import CheckId, ServiceName, SnapshotId, StepId
from test_coordination.domain.verdicts import Finding, Phase, Severity, Verdict

SOURCE: Final = """\
# yaml-language-server: $schema=./scenario.schema.json
scenario: exchange-restart-under-load
title: The exchange restarts while orders flow
parameters:
  service: {type: service, default: exchange}
  outage:  {type: duration, default: 5s, min: 1s, max: 60s}
  rate:    {type: integer, default: 100, min: 1, max: 1000}
probes:
  order_latency: {http: "GET http://${{ services.exchange.address }}/health", every: 500ms}
  lost_orders:   {sql: {target: auditor-db, query: "select count(*) from audit.lost_orders"}}
steady_state:
  - {id: healthy,      expect: "probes.order_latency.last.status == 200"}
  - {id: nothing-lost, expect: "probes.lost_orders.last.value == 0", severity: critical}
steps:
  - {id: before, snapshot: [exchange, custodian]}
  - {id: warm-up, wait: 10s}
  - id: restart
    fault: process.kill
    target: "${{ parameters.service }}"
    hold: "${{ parameters.outage }}"
  - id: back
    expect: "probes.order_latency.last.status == 200"
    within: 10s
    hold: 3s
    after_fault: restart
  - {id: after, snapshot: [exchange, custodian]}
"""
HEALTHY: Final = "probes.order_latency.last.status == 200"
FAST: Final = "probes.order_latency.p95_ms < 250.0"
LOST: Final = "probes.lost_orders.last.value == 0"
BALANCED: Final = "snapshots.after.exchange.orders.total >= snapshots.before.exchange.orders.total"
PARAMETERS: Final = {"service": "exchange", "outage": "5s", "rate": 100}
KILLED_S: Final = 14.3
GONE_S: Final = 19.4
BACK_S: Final = 22.1
END_S: Final = 47.6


def exchange_steps() -> tuple[PlannedStep, ...]:
    services = (ServiceName("exchange"), ServiceName("custodian"))
    kill = FaultWork(fault="process.kill", service=services[0], hold=seconds(5))
    return (
        step("before", SnapshotWork(services=services), stage="before", title="State before"),
        step("load", ActionWork(action="load.orders", parameters={"rate": 100}), "before"),
        step("warm-up", WaitWork(duration=seconds(10)), "before"),
        step("restart", kill, "warm-up", title="Kill the exchange, start it again"),
        step("back", check("back", HEALTHY, within=seconds(10)), "restart"),
        step("fast-again", check("fast-again", FAST, within=seconds(20)), "restart"),
        step("after", SnapshotWork(services=services), "back", "fast-again", stage="after"),
        step("conserved", check("conserved", BALANCED), "after", stage="after"),
    )


def latency(lost_from_s: float, back_s: float) -> ReportedSeries:
    chance = random.Random(7)

    def value_at(at_s: float) -> float | None:
        if lost_from_s <= at_s < back_s:
            return None
        after = at_s - back_s
        backlog = 610 * math.exp(-after / 2.2) if after >= 0 else 0
        return round(38 + 9 * chance.random() + backlog + 6 * math.sin(at_s / 3), 2)

    return sampled("order_latency", value_at, every_s=0.5, until_s=END_S)


def lost_orders(*, lost: int) -> ReportedSeries:
    def value_at(at_s: float) -> float | None:
        return float(lost) if at_s > BACK_S + 1 else 0.0

    return sampled(
        "lost_orders",
        value_at,
        every_s=1,
        until_s=END_S,
        kind="sql",
        measured="value",
        unit="orders",
    )


def rate() -> ReportedSeries:
    chance = random.Random(11)

    def value_at(at_s: float) -> float | None:
        down = KILLED_S < at_s < BACK_S
        return 0.0 if down else round(98 + 5 * chance.random(), 1)

    return sampled(
        "acknowledged",
        value_at,
        every_s=0.25,
        until_s=END_S,
        kind="file_lines",
        measured="rate",
        unit="orders/s",
    )


def taken(name: str) -> SnapshotTaken:
    return SnapshotTaken(
        step=StepId(name),
        snapshot=SnapshotId(UUID(int=len(name))),
        services=(ServiceName("exchange"), ServiceName("custodian")),
    )


def ended(name: str, outcome: Outcome, *because: str) -> StepEnded:
    error, code = because or ("", "")
    return StepEnded(step=StepId(name), outcome=outcome, error=error, code=code)


def restart_story() -> Story:
    """Tell what the good run, the bad one and the stopped one have in common."""
    story = Story(
        scenario="exchange-restart-under-load",
        title="The exchange restarts while orders flow",
        steps=exchange_steps(),
        parameters=PARAMETERS,
        source=SOURCE,
    )
    story.begin()
    story.judge(1.2, *steady(Phase.BEFORE, (0.1, 1.2), lost=0))
    story.done("before", 1.25, 2.05, rows=18_204, keys=412)
    story.tell(2.04, taken("before"))
    story.done("warm-up", 2.1, 12.1)
    story.arm(KILLED_S - 0.05, "restart")
    story.inject(KILLED_S, "restart", pid=4711, signal="SIGKILL", gone_after_ms=12)
    story.tell(15.0, SteadyStateLeft(check=CheckId("healthy"), observed=None))
    return story


def recovered(story: Story) -> None:
    """Tell how the exchange came back."""
    story.revert(GONE_S, "restart", pid=4893, listening=True, answered_in_ms=41.7)
    story.tell(BACK_S, SteadyStateRegained(check=CheckId("healthy"), observed=200))
    story.tell(BACK_S + 0.6, Noted(text="Redis was away for 0.4 s; live updates went on later"))
    story.done("load", 2.1, 44.0, sent=4_127, acknowledged=3_391)
    story.done("back", 19.41, 25.2)
    story.done("fast-again", 19.41, 27.4)
    story.judge(
        25.19,
        judged(
            "back",
            Finding.HELD,
            HEALTHY,
            observed=200,
            relation="==",
            limit=200,
            took_s=2.7,
            span_s=(19.41, 25.19),
            step_id="back",
            after="restart",
        ),
    )
    story.done("after", 44.1, 44.9, rows=18_607, keys=398)
    story.tell(44.89, taken("after"))


def fast_again(finding: Finding, p95_ms: float, took_s: float | None) -> Validation:
    return judged(
        "fast-again",
        finding,
        FAST,
        observed=p95_ms,
        relation="<",
        limit=250.0,
        took_s=took_s,
        span_s=(19.41, 27.38),
        step_id="fast-again",
        after="restart",
    )


def steady(phase: Phase, span_s: tuple[float, float], *, lost: int) -> tuple[Validation, ...]:
    return (
        judged(
            "healthy",
            Finding.HELD,
            HEALTHY,
            phase=phase,
            observed=200,
            relation="==",
            limit=200,
            span_s=span_s,
        ),
        judged(
            "nothing-lost",
            Finding.BROKEN if lost else Finding.HELD,
            LOST,
            phase=phase,
            observed=lost,
            relation="==",
            limit=0,
            span_s=span_s,
            severity=Severity.CRITICAL,
            reason=f"{lost} acknowledged orders are not in the exchange's books" if lost else "",
        ),
    )


def finally_judged(lost: int) -> tuple[Validation, ...]:
    span_s = (45.0, 47.4)
    conserved = judged(
        "conserved",
        Finding.HELD,
        BALANCED,
        phase=Phase.AFTER,
        observed=18_607,
        relation=">=",
        limit=18_204,
        span_s=span_s,
        step_id="conserved",
    )
    return (conserved, *steady(Phase.AFTER, span_s, lost=lost))


def comparison(after: int) -> Comparison:
    return Comparison(
        first=StepId("before"),
        second=StepId("after"),
        changes=(
            Change(
                service=ServiceName("exchange"), path="orders.total", before=18_204, after=after
            ),
            Change(service=ServiceName("exchange"), path="process.pid", before=4711, after=4893),
            Change(
                service=ServiceName("custodian"),
                path="balances.BTC",
                before="812.40000000",
                after="811.95000000",
            ),
            Change(
                service=ServiceName("custodian"),
                path="settlements.last",
                before=None,
                after={"external_id": "st-9917", "state": "settled"},
            ),
        ),
    )


def held() -> TestReport:
    story = restart_story()
    recovered(story)
    story.done("conserved", 45.0, 45.3)
    story.judge(27.39, fast_again(Finding.HELD, 212.4, 5.2))
    story.judge(47.5, *finally_judged(0))
    story.end(END_S, Verdict.HELD, "all 7 checks held, and the fault is proven to be undone")
    return story.report(
        series=[latency(KILLED_S + 0.2, KILLED_S + 5.2), rate(), lost_orders(lost=0)],
        comparisons=[comparison(18_607)],
    )


def broken() -> TestReport:
    story = restart_story()
    recovered(story)
    story.done("conserved", 45.0, 45.3)
    story.judge(27.39, fast_again(Finding.INCONCLUSIVE, 301.7, None))
    story.judge(47.5, *finally_judged(17))
    story.end(
        END_S,
        Verdict.BROKEN,
        "nothing-lost is broken: 17 acknowledged orders are not in the exchange's books",
    )
    return story.report(
        series=[latency(KILLED_S + 0.2, BACK_S), rate(), lost_orders(lost=17)],
        comparisons=[comparison(18_590)],
    )


def stopped() -> TestReport:
    story = restart_story()
    story.tell(16.8, AbortRequested(reason="the wrong environment was chosen", by="jonas"))
    story.revert(17.9, "restart", pid=4893, listening=True)
    story.tell(17.95, ended("load", Outcome.CANCELLED), ended("back", Outcome.SKIPPED))
    story.tell(2.1, StepStarted(step=StepId("load")))
    story.judge(
        18.0, judged("back", Finding.NOT_RUN, HEALTHY, step_id="back", reason="stopped before")
    )
    story.end(18.1, Verdict.STOPPED, "stopped by jonas: the wrong environment was chosen")
    cut = latency(KILLED_S + 0.2, 60)
    points = tuple(point for point in cut.points if point[0] <= 18.1)
    return story.report(series=[replace(cut, points=points, samples=37, missing=8)])


def could_not_run() -> TestReport:
    story = Story(
        scenario="exchange-restart-under-load",
        title="The exchange restarts while orders flow",
        steps=exchange_steps(),
        parameters=PARAMETERS,
        source=SOURCE,
    )
    story.begin()
    refusal = "exchange is not reachable at 127.0.0.1:8084: connection refused; is it started?"
    story.tell(0.01, StepStarted(step=StepId("before")))
    story.tell(0.05, ended("before", Outcome.FAILED, refusal, "service.unreachable"))
    story.end(0.06, Verdict.COULD_NOT_RUN, f"step before failed: {refusal}")
    return story.report()


def residue() -> TestReport:
    story = restart_story()
    reason = "pid 4893 does not answer on 127.0.0.1:8084 within 10 s"
    story.tell(
        GONE_S, FaultRevertFailed(step=StepId("restart"), reason=reason, code="fault.unverified")
    )
    story.tell(GONE_S + 0.1, ended("restart", Outcome.FAILED, reason, "fault.unverified"))
    story.tell(2.1, StepStarted(step=StepId("load")))
    story.tell(31.0, ended("load", Outcome.CANCELLED))
    story.judge(
        31.2,
        judged(
            "back",
            Finding.NOT_RUN,
            HEALTHY,
            step_id="back",
            after="restart",
            reason="the fault it follows is not undone",
        ),
    )
    story.end(31.4, Verdict.RESIDUE, "1 fault is not proven to be undone: restart on exchange")
    return story.report(
        series=[replace(latency(KILLED_S + 0.2, 60), points=latency(14.5, 60).points[:63])]
    )


def not_injected() -> TestReport:
    """Report a fault that never bit, which leaves its execution inconclusive."""
    story = restart_story()
    story.log = [each for each in story.log if each.at < START + seconds(KILLED_S)]
    why = "pid 4711 was still running 2 s after SIGKILL"
    story.tell(
        16.3, FaultNotInjected(step=StepId("restart"), reason=why, code="fault.did_not_bite")
    )
    story.revert(16.4, "restart", pid=4711)
    story.end(17.0, Verdict.INCONCLUSIVE, f"restart did not bite: {why}")
    return story.report()


SAMPLES: Final = {
    "held": held,
    "broken": broken,
    "stopped": stopped,
    "could_not_run": could_not_run,
    "residue": residue,
    "not_injected": not_injected,
}
