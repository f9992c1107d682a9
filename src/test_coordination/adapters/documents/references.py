"""What the steps of a scenario say of each other: needs, faults that checks follow, circles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from test_coordination.adapters.documents.document import Document
from test_coordination.adapters.documents.drafts import Draft, every
from test_coordination.adapters.documents.words import alternatives, shown
from test_coordination.domain.graph import find_cycle
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.steps import needs_of
from test_coordination.domain.values import StepId


def check_references(document: Document, drafts: Sequence[Draft], scenario: Scenario) -> None:
    """Note in ``document`` every reference that leads nowhere, and every circle."""
    steps = [*every(drafts)]
    named = {draft.id: draft for draft in steps if draft.is_named}
    for draft in steps:
        _check_needs(document, draft, named)
        _check_after(document, draft, named)
    if len({draft.id for draft in steps}) == len(steps):
        _check_circles(document, steps, scenario)


def _check_needs(document: Document, draft: Draft, named: Mapping[StepId, Draft]) -> None:
    for place, need in enumerate(draft.form.needs or ()):
        if need not in named:
            text = f"no step has the id {shown(need)}; {_hint(need, named)}"
            document.refuse((*draft.location, "needs", place), "unknown_step", text)


def _check_after(document: Document, draft: Draft, named: Mapping[StepId, Draft]) -> None:
    name = getattr(draft.form, "after_fault", None)
    if name is None:
        return
    location = (*draft.location, "after_fault")
    faults = [step for step, other in named.items() if other.kind == "fault"]
    found = named.get(StepId(name))
    if found is None:
        text = f"no fault step has the id {shown(name)}; {_hint(name, faults)}"
        document.refuse(location, "unknown_step", text)
    elif found.kind != "fault":
        text = f"the step {name!r} is no fault, so nothing can be counted from its end; "
        document.refuse(location, "not_a_fault", text + _hint(name, faults))


def _hint(name: str, known: Collection[str]) -> str:
    if not known:
        return "give the step that is meant an 'id', for none has one so far"
    return alternatives(name, known)


def _check_circles(document: Document, steps: Sequence[Draft], scenario: Scenario) -> None:
    """Refuse each circle once, at its first step; a check waits for the fault that it follows."""
    places = {draft.id: draft.location for draft in steps}
    needs = needs_of(scenario.steps)
    for draft in steps:
        after = getattr(draft.form, "after_fault", None)
        if after in needs and draft.id in needs:
            needs[draft.id] |= {StepId(after)}
    while circle := find_cycle(needs):
        text = f"these steps wait for each other: {' -> '.join(circle)}; take one of the needs away"
        document.refuse(places[circle[0]], "cycle", text)
        needs = {step: waits for step, waits in needs.items() if step not in circle}
