"""Where an execution can be carried out: what its plan requires, and what a worker offers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from test_coordination.application.capabilities import Catalogue, Parameterised
from test_coordination.domain.plan import PLAN_FORMATS, Plan
from test_coordination.domain.topology import Topology

NO_WORKER: Final = "no worker is at work; start one with `tcoord worker`"
PYTHON: Final = "python"
"""The kind of the words that name what may be called: ``python shop`` covers ``python shop.a``."""

_EVERYTHING: Final = f"{PYTHON} *"
_REMEDIES: Final = {
    PYTHON: "TCOORD_ALLOWED_PYTHON names it",
    "topology": "--topology names its file",
    "label": "--label gives it",
}


def required(plan: Plan, catalogue: Catalogue, labels: Iterable[str] = ()) -> frozenset[str]:
    """Return what a worker must offer to carry out ``plan``, in words that people read.

    These are the format of the plan, the system, each kind of fault, action and probe in it and
    in the plans of its steps, what these must be allowed, and ``labels`` such as ``zone=eu``. What
    the snapshots of a system look at is a matter of that system.
    """
    return frozenset((*_kinds(plan, catalogue), *_labels(labels)))


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
            *(grant for known in _all(catalogue) for grant in known.grants),
            *_labels(labels),
        )
    )


def missing(requires: Iterable[str], offers: frozenset[str]) -> frozenset[str]:
    """Return what of ``requires`` is not among ``offers``.

    A module of Python is offered as well with a package that it is in, and with all of them.
    """
    return frozenset(word for word in requires if offers.isdisjoint(_covering(word)))


def lacking(requires: Collection[str], workers: Iterable[frozenset[str]]) -> str:
    """Return why none of ``workers``, by what each offers, can carry it out; empty if one can.

    Told is what the nearest one lacks, whether any other has it, and what to do.
    """
    offers = tuple(workers)
    if not offers:
        return NO_WORKER
    gaps = [missing(requires, each) for each in offers]
    nearest = min(gaps, key=lambda gap: (len(gap), sorted(gap)))
    if not nearest:
        return ""
    nobody = nearest.intersection(*gaps)
    if nobody:
        return f"no worker at work has {_listed(nobody)}{_remedy(nobody)}"
    lacks = f"no worker at work has all that it requires; the nearest lacks {_listed(nearest)}"
    return f"{lacks}{_remedy(nearest)}"


def _covering(word: str) -> Iterator[str]:
    """Yield ``word`` and all that covers it."""
    yield word
    kind, _, module = word.partition(" ")
    if kind == PYTHON:
        names = module.split(".")
        yield from (f"{PYTHON} {'.'.join(names[:count])}" for count in range(1, len(names)))
        yield _EVERYTHING


def _remedy(words: Collection[str]) -> str:
    kinds = {word.partition(" ")[0] for word in words}
    said = [remedy for kind, remedy in _REMEDIES.items() if kind in kinds]
    return f"; start one where {' and '.join(said)}" if said else ""


def _all(catalogue: Catalogue) -> Iterator[Parameterised]:
    yield from catalogue.faults.values()
    yield from catalogue.actions.values()
    yield from catalogue.probes.values()


def _kinds(plan: Plan, catalogue: Catalogue) -> Iterator[str]:
    yield f"plan format {plan.format}"
    yield f"topology {plan.topology}"
    for probe in plan.probes:
        yield f"probe {probe.kind}"
        yield from catalogue.probes[probe.kind].needs(probe.parameters)
    for step in plan.steps:
        if (fault := step.fault) is not None:
            yield f"fault {fault.fault}"
            yield from catalogue.faults[fault.fault].needs(fault.parameters)
        if (action := step.action) is not None:
            yield f"action {action.action}"
            yield from catalogue.actions[action.action].needs(action.parameters)
        if (look := step.probe) is not None:
            yield f"probe {look.kind}"
            yield from catalogue.probes[look.kind].needs(look.parameters)
        if step.scenario is not None:
            yield from _kinds(step.scenario.plan, catalogue)


def _labels(labels: Iterable[str]) -> Iterator[str]:
    return (f"label {label}" for label in labels)


def _listed(words: Iterable[str]) -> str:
    *others, last = sorted(words)
    return f"{', '.join(others)} and {last}" if others else last
