"""A plan as programs read it; every time is a number of seconds from the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from test_coordination.application.planning.outline import Outline, OutlinedStep
from test_coordination.domain.graph import Span
from test_coordination.domain.plan import Plan
from test_coordination.interfaces.cli.narration import purpose
from test_coordination.interfaces.cli.planning import PlannedEntries
from test_coordination.interfaces.cli.problems import Remark


def plan_document(
    plan: Plan, outline: Outline, warnings: Iterable[Remark] = ()
) -> dict[str, object]:
    """Return ``plan`` and its ``outline`` as JSON has them."""
    return {
        "scenario": plan.scenario,
        "topology": plan.topology,
        "digest": plan.digest,
        "seed": plan.seed,
        "parameters": plain(plan.parameters),
        "best_s": outline.best.total_seconds(),
        "worst_s": outline.worst.total_seconds(),
        "usual_s": None if outline.usual is None else outline.usual.total_seconds(),
        "timeout_s": plan.timeout.total_seconds(),
        "steps": [_step(plan, step) for step in outline.steps],
        "on_failure": list(outline.on_failure),
        "critical_path": list(outline.critical_path),
        "touches": [
            {
                "step": list(touch.step),
                "fault": touch.fault,
                "family": touch.family,
                "service": touch.service,
                "undo": touch.undo,
            }
            for touch in outline.touches
        ],
        "blast_radius": {
            "services": list(outline.hit),
            "percent": round(outline.share_percent, 1),
            "services_max": plan.services_max,
        },
        "claims": {
            "exclusive": list(outline.claims.exclusive),
            "shared": list(outline.claims.shared),
            "pools": dict(outline.claims.pools),
            "pool_sizes": dict(outline.claims.sizes),
        },
        "choices": [
            {
                "step": choice.step,
                "seed": choice.seed,
                "candidates": list(choice.candidates),
                "chosen": list(choice.chosen),
            }
            for choice in outline.choices
        ],
        "depends_on": [
            {
                "scenario": one.scenario,
                "version": one.version,
                "verdicts": [verdict.value for verdict in one.verdicts],
                "within_s": None if one.within is None else one.within.total_seconds(),
            }
            for one in outline.depends_on
        ],
        "warnings": [warning.as_json() for warning in warnings],
    }


def _step(plan: Plan, step: OutlinedStep) -> dict[str, object]:
    condition = plan.step(step.id).condition
    return {
        "id": step.id,
        "kind": step.kind,
        "stage": step.stage.value,
        "title": step.title,
        "does": purpose(plan.step(step.id)),
        "if": None if condition is None else condition.expression,
        "needs": list(step.needs),
        "background": step.background,
        "best": _span(step.best),
        "worst": _span(step.worst),
        "lane": step.lane,
        "critical": step.critical,
    }


def _span(span: Span) -> dict[str, float]:
    start, end = span
    return {"start_s": start.total_seconds(), "end_s": end.total_seconds()}


def plain(value: object) -> object:
    """Return ``value`` as JSON has it; a duration is its number of seconds."""
    match value:
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _:
            return value


def suite_document(planned: PlannedEntries) -> dict[str, object]:
    """Return a suite and the plan of each of its entries as JSON has them."""
    return {
        "suite": planned.suite.name,
        "topology": planned.topology.name,
        "seed": planned.seed,
        "concurrency": planned.plan.concurrency,
        "stop_on": [verdict.value for verdict in planned.plan.stop_on],
        "best_s": planned.best.total_seconds(),
        "worst_s": planned.worst.total_seconds(),
        "entries": [
            {
                "id": one.entry.id,
                "layer": one.layer,
                "needs": sorted(one.entry.needs),
                "given": plain(one.entry.parameters),
                "plan": plan_document(one.plan, one.outline),
            }
            for one in planned.entries
        ],
    }
