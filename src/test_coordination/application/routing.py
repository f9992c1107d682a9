"""Where an execution can be carried out: what its plan requires, and what a worker offers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from test_coordination.application.capabilities import Catalogue
from test_coordination.domain.plan import PLAN_FORMATS, Plan
from test_coordination.domain.topology import Topology

NO_WORKER: Final = "no worker is at work; start one with `tcoord worker`"


def required(plan: Plan, labels: Iterable[str] = ()) -> frozenset[str]:
    """Return what a worker must offer to carry out ``plan``, in words that people read.

    These are the format of the plan, the system, each kind of fault, action and probe in it and
    in the plans of its steps, and ``labels`` such as ``zone=eu``. What the snapshots of a system
    look at is a matter of that system.
    """
    return frozenset((*_kinds(plan), *_labels(labels)))


def offered(
    catalogue: Catalogue,
    topology: Topology | None,
    labels: Iterable[str] = (),
    *,
    formats: Iterable[int] = PLAN_FORMATS,
) -> frozenset[str]:
    """Return what a worker offers that has ``catalogue`` and can reach ``topology``."""
    systems = () if topology is None else (f"topology {topology.name}",)
    return frozenset(
        (
            *(f"plan format {number}" for number in formats),
            *systems,
            *(f"fault {kind}" for kind in catalogue.faults),
            *(f"action {kind}" for kind in catalogue.actions),
            *(f"probe {kind}" for kind in catalogue.probes),
            *_labels(labels),
        )
    )


def lacking(requires: Collection[str], workers: Iterable[frozenset[str]]) -> str:
    """Return why none of ``workers``, by what each offers, can carry it out; empty if one can.

    Told is what the nearest one lacks, and whether any other has it.
    """
    offers = tuple(workers)
    if not offers:
        return NO_WORKER
    gaps = [frozenset(requires) - each for each in offers]
    nearest = min(gaps, key=lambda gap: (len(gap), sorted(gap)))
    if not nearest:
        return ""
    nobody = sorted(nearest - frozenset().union(*offers))
    if nobody:
        return f"no worker at work has {_listed(nobody)}"
    return f"no worker at work has all that it requires; the nearest lacks {_listed(nearest)}"


def _kinds(plan: Plan) -> Iterator[str]:
    yield f"plan format {plan.format}"
    yield f"topology {plan.topology}"
    for probe in plan.probes:
        yield f"probe {probe.kind}"
    for step in plan.steps:
        if step.fault is not None:
            yield f"fault {step.fault.fault}"
        if step.action is not None:
            yield f"action {step.action.action}"
        if step.probe is not None:
            yield f"probe {step.probe.kind}"
        if step.scenario is not None:
            yield from _kinds(step.scenario.plan)


def _labels(labels: Iterable[str]) -> Iterator[str]:
    return (f"label {label}" for label in labels)


def _listed(words: Iterable[str]) -> str:
    *others, last = sorted(words)
    return f"{', '.join(others)} and {last}" if others else last
