"""The steps of a scenario, with all they say checked but what they say of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypedDict

from test_coordination.adapters.documents.capabilities import read_none, read_with
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.drafts import Draft
from test_coordination.adapters.documents.forms import NAME_EXPECTED, is_name
from test_coordination.adapters.documents.scenario_forms import (
    ActionForm,
    CheckForm,
    ExpectForm,
    FaultForm,
    ParallelForm,
    SnapshotForm,
    WaitForm,
)
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import alternatives, shown
from test_coordination.application.capabilities import Catalogue, Parameterised
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression, Kind, Names
from test_coordination.domain.steps import (
    ActionStep,
    Check,
    ExpectStep,
    FaultStep,
    Moment,
    ParallelStep,
    Parameters,
    SnapshotStep,
    Step,
    Text,
    WaitStep,
)
from test_coordination.domain.values import CheckId, StepId

# What stands for a moment that was refused; the document is, too.
_REFUSED: Final = timedelta(seconds=1)


class _Head(TypedDict):
    id: StepId
    mark: Mark
    title: str
    needs: tuple[StepId, ...] | None
    timeout: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What it takes to read the steps and checks of one document.

    ``names`` are those known in any text, ``observed`` those known in conditions; ``services``
    are all that there are, or None where that is not known.
    """

    document: Document
    catalogue: Catalogue
    texts: Texts
    names: Names
    observed: Names
    services: frozenset[str] | None

    def step(self, draft: Draft) -> Step | None:
        """Return the step; None if it is of no kind."""
        head = self._head(draft)
        step: Step | None = None
        match draft.form:
            case FaultForm():
                step = self._fault(draft, draft.form, head)
            case ActionForm():
                kind = self._named(self.catalogue.actions, draft, "action")
                parameters = self._parameters(draft, kind)
                step = ActionStep(**head, action=draft.form.action, parameters=parameters)
            case WaitForm():
                step = WaitStep(**head, duration=self._moment(draft, "wait") or _REFUSED)
            case SnapshotForm():
                step = SnapshotStep(**head, services=self._services(draft, draft.form))
            case ExpectForm():
                step = self._expect(draft, draft.form, head)
            case ParallelForm():
                inner = [self.step(one) for one in draft.inner]
                step = ParallelStep(**head, steps=tuple(one for one in inner if one is not None))
            case _:
                pass
        return step

    def check(self, location: Location, form: CheckForm, identity: CheckId) -> Check:
        """Return one entry of ``steady_state``."""
        return Check(
            id=identity,
            expression=self._condition((*location, "expect"), form.expect),
            within=self._optional((*location, "within"), form.within),
            hold=self._optional((*location, "hold"), form.hold),
            severity=form.severity,
            watch=form.watch,
            title=form.title,
        )

    def _head(self, draft: Draft) -> _Head:
        needs = draft.form.needs
        return _Head(
            id=draft.id,
            mark=self.document.mark(draft.location),
            title=draft.form.title,
            needs=None if needs is None else tuple(StepId(need) for need in needs),
            timeout=self._optional((*draft.location, "timeout"), draft.form.timeout),
        )

    def _fault(self, draft: Draft, form: FaultForm, head: _Head) -> FaultStep:
        kind = self._named(self.catalogue.faults, draft, "fault")
        target: Text = ""
        if form.target is not None:
            target = self._service((*draft.location, "target"), form.target)
        return FaultStep(
            **head,
            fault=form.fault,
            target=target,
            hold=self._moment(draft, "hold") or _REFUSED,
            parameters=self._parameters(draft, kind),
        )

    def _expect(self, draft: Draft, form: ExpectForm, head: _Head) -> ExpectStep:
        at = draft.location
        check = Check(
            id=CheckId(draft.id),
            expression=self._condition((*at, "expect"), form.expect),
            within=self._optional((*at, "within"), form.within),
            hold=self._optional((*at, "hold"), form.hold),
            severity=form.severity,
            after_fault=StepId(form.after_fault) if form.after_fault else None,
            title=form.title,
        )
        return ExpectStep(**head, check=check)

    def _named(
        self, known: Mapping[str, Parameterised], draft: Draft, noun: str
    ) -> Parameterised | None:
        """Return what the key ``noun`` of a step names."""
        location = (*draft.location, noun)
        name = self.document.at(location)
        if not isinstance(name, str) or name in known:
            return known.get(name) if isinstance(name, str) else None
        text = f"no {noun} is named {shown(name)}; {alternatives(name, known)}"
        self.document.refuse(location, f"unknown_{noun}", text)
        return None

    def _parameters(self, draft: Draft, kind: Parameterised | None) -> Parameters:
        location = (*draft.location, "with")
        content = self.document.at(draft.location)
        if isinstance(content, Mapping) and content.get("with") is not None:
            return read_with(self.document, location, kind=kind, texts=self.texts, names=self.names)
        return read_none(self.document, draft.location, kind=kind) if kind else {}

    def _services(self, draft: Draft, form: SnapshotForm) -> tuple[Text, ...]:
        location = (*draft.location, "snapshot")
        if self.document.at(location) == []:
            text = "'snapshot' is an empty list; name at least one service"
            self.document.refuse(location, "empty", text)
        places = enumerate(form.snapshot)
        return tuple(self._service((*location, place), name) for place, name in places)

    def _service(self, location: Location, name: str) -> Text:
        found = self.texts.text(location, name, self.names, kind=Kind.STRING)
        if not isinstance(found, str) or "${{" in name:
            return found
        if not is_name(found):
            text = f"a service was expected, which is {NAME_EXPECTED}, not {shown(found)}"
            self.document.refuse(location, "bad_name", text)
        elif self.services is not None and found not in self.services:
            text = f"no service is named {shown(found)}; {alternatives(found, self.services)}"
            self.document.refuse(location, "unknown_service", text)
        return found

    def _condition(self, location: Location, text: str | None) -> Expression:
        found = None
        if text is not None:
            found = self.texts.condition(location, text, self.observed)
        return found or Expression(text="false", mark=self.document.mark(location))

    def _moment(self, draft: Draft, key: str) -> Moment | None:
        return self._optional((*draft.location, key), getattr(draft.form, key))

    def _optional(self, location: Location, text: str | None) -> Moment | None:
        return None if text is None else self.texts.moment(location, text, self.names)
