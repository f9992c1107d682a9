"""What the steps of a scenario say of each other: needs, faults that checks follow, stops."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.drafts import Draft, every
from test_coordination.adapters.documents.forms.step import ExpectForm, StopForm
from test_coordination.adapters.documents.order import Order, goes_on
from test_coordination.adapters.documents.words import alternatives, shown
from test_coordination.domain.scenario import Scenario
from test_coordination.domain.steps import Step
from test_coordination.domain.values import StepId


def check_references(document: Document, drafts: Sequence[Draft], scenario: Scenario) -> None:
    """Note in ``document`` every reference that leads nowhere, and every circle."""
    steps = [*every(drafts)]
    references = _References(document, steps, {step.id: step for step in scenario.every_step()})
    for draft in steps:
        references.check(draft)
    if len({draft.id for draft in steps}) == len(steps):
        _check_order(document, steps, scenario)


class _References:
    """Looks at what each step names."""

    def __init__(
        self, document: Document, drafts: Sequence[Draft], steps: Mapping[StepId, Step]
    ) -> None:
        self._document = document
        self._named = {draft.id: draft for draft in drafts if draft.is_named}
        self._faults = [
            name
            for name, draft in self._named.items()
            if any(inner.kind == "fault" for inner in draft.walk())
        ]
        self._stoppable = [name for name in self._named if name in steps and goes_on(steps[name])]

    def check(self, draft: Draft) -> None:
        """Note every name of another step that ``draft`` gives in vain."""
        for place, need in enumerate(draft.form.needs or ()):
            self._check_known(need, (*draft.location, "needs", place))
        if isinstance(draft.form, ExpectForm):
            self._check_after(draft, draft.form)
            self._check_during(draft, draft.form)
        if isinstance(draft.form, StopForm):
            self._check_stop(draft, draft.form)

    def _check_known(self, name: str, location: Location) -> Draft | None:
        found = self._named.get(StepId(name))
        if found is None:
            text = f"no step has the id {shown(name)}; {_hint(name, self._named)}"
            self._document.refuse(location, "unknown_step", text)
        return found

    def _check_after(self, draft: Draft, form: ExpectForm) -> None:
        name = form.after_fault
        if name is None or name in self._faults:
            return
        location = (*draft.location, "after_fault")
        if name not in self._named:
            text = f"no fault step has the id {shown(name)}; {_hint(name, self._faults)}"
            self._document.refuse(location, "unknown_step", text)
            return
        text = f"the step {name!r} is no fault, so nothing can be counted from its end; "
        self._document.refuse(location, "not_a_fault", text + _hint(name, self._faults))

    def _check_during(self, draft: Draft, form: ExpectForm) -> None:
        if form.during is None:
            return
        location = (*draft.location, "during")
        found = self._check_known(form.during, location)
        if found is None or draft.location not in {inner.location for inner in found.walk()}:
            return
        inside = "the check itself" if found.location == draft.location else "around the check"
        text = f"the step {form.during!r} is {inside}; name one beside which it can be judged"
        self._document.refuse(location, "cycle", text)

    def _check_stop(self, draft: Draft, form: StopForm) -> None:
        if form.stop is None or form.stop in self._stoppable:
            return
        location = (*draft.location, "stop")
        if self._check_known(form.stop, location) is not None:
            text = f"the step {form.stop!r} ends by itself, or is not in the background; "
            hint = "none here goes on until it is stopped, so leave this step out"
            if self._stoppable:
                hint = alternatives(form.stop, self._stoppable)
            self._document.refuse(location, "not_stoppable", text + hint)


def _hint(name: str, known: Collection[str]) -> str:
    if not known:
        return "give the step that is meant an 'id', for none has one so far"
    return alternatives(name, known)


def _check_order(document: Document, drafts: Sequence[Draft], scenario: Scenario) -> None:
    """Refuse each circle once, at its first step, and stops of what may not have begun."""
    places = {draft.id: draft.location for draft in drafts}
    order = Order(scenario.steps)
    circles = order.circles()
    for circle, advice in circles:
        text = f"these steps wait for each other: {' -> '.join(circle)}; {advice}"
        document.refuse(places[circle[0]], "cycle", text)
    for stop in [] if circles else order.hasty_stops():
        text = f"the step {stop.step!r} may not have begun when this one does; let this step need "
        text += "it, or stand below it"
        document.refuse((*places[stop.id], "stop"), "not_begun", text)
