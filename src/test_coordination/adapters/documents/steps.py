"""The steps of a scenario, with all they say checked but what they say of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from test_coordination.adapters.documents.capabilities import read_probe_parameters, read_with
from test_coordination.adapters.documents.checks import read_expect
from test_coordination.adapters.documents.controls import (
    read_for_each,
    read_ramp,
    read_repeat,
    read_retry,
)
from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.drafts import Draft
from test_coordination.adapters.documents.forms.step import (
    ActionForm,
    BackgroundForm,
    ExpectForm,
    FaultForm,
    ParallelForm,
    ProbeStepForm,
    RetriedForm,
    ScenarioStepForm,
    SequenceForm,
    SnapshotForm,
    StepForm,
    StopForm,
    WaitForm,
)
from test_coordination.adapters.documents.gates import read_wait
from test_coordination.adapters.documents.probes import probe_kind
from test_coordination.adapters.documents.reading import REFUSED, Reading
from test_coordination.adapters.documents.selectors import read_target
from test_coordination.adapters.documents.words import described, shown
from test_coordination.domain.errors import Mark
from test_coordination.domain.expressions import Expression
from test_coordination.domain.steps import (
    ActionStep,
    ErrorPolicy,
    ExpectStep,
    FaultStep,
    ForEach,
    Gate,
    GateStep,
    Moment,
    ParallelStep,
    Parameters,
    ProbeStep,
    Retry,
    ScenarioStep,
    SequenceStep,
    SnapshotStep,
    Step,
    StopStep,
    Text,
    WaitStep,
)
from test_coordination.domain.values import StepId


class _Head(TypedDict):
    id: StepId
    mark: Mark
    title: str
    needs: tuple[StepId, ...] | None
    condition: Expression | None
    timeout: Moment | None
    retry: Retry | None
    on_error: ErrorPolicy
    for_each: ForEach | None
    concurrency: int
    background: bool


def read_step(reading: Reading, draft: Draft, *, scenario: str) -> Step | None:
    """Return the step that ``draft`` is, one of ``scenario``; None if it is of no kind."""
    for_each = read_for_each(reading, draft.location, draft.form.for_each)
    if for_each is None and reading.has(draft.location, "concurrency"):
        text = "'concurrency' is how many copies are made at once; say with 'for_each' of what"
        reading.conflict((*draft.location, "concurrency"), text)
    inner = _Step(reading.inside(for_each), draft, for_each, scenario=scenario)
    return inner.read()


class _Step:
    """One step, once it is known what its copies are made for."""

    def __init__(
        self, reading: Reading, draft: Draft, for_each: ForEach | None, *, scenario: str
    ) -> None:
        self._reading = reading
        self._draft = draft
        self._at = draft.location
        self._for_each = for_each
        self._scenario = scenario

    def read(self) -> Step | None:
        match self._draft.form:
            case ParallelForm():
                return ParallelStep(**self._head(), steps=self._inner())
            case SequenceForm():
                return SequenceStep(**self._head(), steps=self._inner())
            case _:
                return self._deed()

    def _deed(self) -> Step | None:
        step: Step | None = None
        match self._draft.form:
            case FaultForm() as form:
                step = self._fault(form)
            case ActionForm() as form:
                step = self._action(form)
            case ProbeStepForm() as form:
                step = self._probe(form)
            case SnapshotForm() as form:
                step = SnapshotStep(**self._head(), services=self._services(form))
            case WaitForm() as form:
                step = self._wait(form)
            case StopForm() as form:
                step = StopStep(**self._head(), step=StepId(form.stop or ""))
            case ExpectForm() as form:
                check = read_expect(self._reading, self._draft, form)
                step = ExpectStep(**self._head(), check=check)
            case ScenarioStepForm() as form:
                step = self._other(form)
            case _:
                pass
        return step

    def _head(self) -> _Head:
        form = self._draft.form
        needs = form.needs
        condition = None
        if form.condition is not None:
            condition = self._reading.condition((*self._at, "if"), form.condition)
        return _Head(
            id=self._draft.id,
            mark=self._reading.document.mark(self._at),
            title=form.title,
            needs=None if needs is None else tuple(StepId(need) for need in needs),
            condition=condition,
            timeout=self._reading.moment((*self._at, "timeout"), form.timeout),
            retry=read_retry(self._reading, self._at) if isinstance(form, RetriedForm) else None,
            on_error=form.on_error,
            for_each=self._for_each,
            concurrency=form.concurrency,
            background=_is_background(form),
        )

    def _inner(self) -> tuple[Step, ...]:
        found = (
            read_step(self._reading, draft, scenario=self._scenario) for draft in self._draft.inner
        )
        return tuple(step for step in found if step is not None)

    def _fault(self, form: FaultForm) -> FaultStep:
        reading, at = self._reading, self._at
        kind = reading.kind(reading.catalogue.faults, (*at, "fault"))
        return FaultStep(
            **self._head(),
            fault=form.fault,
            target=read_target(reading, at, form.target),
            hold=self._hold(form),
            parameters=reading.parameters(at, kind),
            ramp=read_ramp(reading, at, kind),
            repeat=read_repeat(reading, at, background=None),
        )

    def _hold(self, form: FaultForm) -> Moment | None:
        reading, at = self._reading, self._at
        if reading.has(at, "hold"):
            return reading.moment((*at, "hold"), form.hold) or REFUSED
        if _is_background(form):
            return None
        text = "a fault step needs 'hold': how long, such as 5s; it may be left out only with "
        text += "'background: true', for a fault that lasts until it is stopped"
        reading.document.refuse(at, "missing_key", text)
        return REFUSED

    def _action(self, form: ActionForm) -> ActionStep:
        reading, at = self._reading, self._at
        kind = reading.kind(reading.catalogue.actions, (*at, "action"))
        return ActionStep(
            **self._head(),
            action=form.action,
            parameters=reading.parameters(at, kind),
            repeat=read_repeat(reading, at, background=_is_background(form)),
        )

    def _probe(self, form: ProbeStepForm) -> ProbeStep:
        reading, at = self._reading, (*self._at, "probe")
        kinds = reading.catalogue.probes
        kind = ""
        found: Parameters = {}
        if isinstance(form.probe, Mapping):
            kind = probe_kind(reading.document, at, kinds)
            for key in form.probe if kind else ():
                if key not in kinds:
                    text = f"a probe step looks once, and has no key {shown(key)}; leave it out"
                    reading.document.refuse((*at, key), "unknown_key", text, key=True)
        elif form.probe is not None:
            text = "'probe' must say what is looked at, such as {http: GET http://…}, not "
            reading.document.refuse(at, "wrong_type", text + described(form.probe))
        if kind:
            found = read_probe_parameters(
                reading.document,
                (*at, kind),
                kind=kinds[kind],
                texts=reading.texts,
                names=reading.names,
            )
        return ProbeStep(**self._head(), kind=kind, parameters=found)

    def _wait(self, form: WaitForm) -> WaitStep | GateStep:
        found = read_wait(self._reading, self._at, form.wait)
        if isinstance(found, Gate):
            return GateStep(**self._head(), gate=found)
        return WaitStep(**self._head(), duration=found)

    def _other(self, form: ScenarioStepForm) -> ScenarioStep:
        reading, at = self._reading, self._at
        parameters: Parameters = {}
        if reading.has(at, "with"):
            parameters = read_with(
                reading.document,
                (*at, "with"),
                kind=None,
                texts=reading.texts,
                names=reading.names,
                discreet=False,
            )
        if form.scenario is not None and form.scenario.partition("@")[0] == self._scenario:
            text = (
                f"the scenario {self._scenario!r} would run itself, again and again; name another"
            )
            reading.document.refuse((*at, "scenario"), "cycle", text)
        return ScenarioStep(
            **self._head(),
            scenario=form.scenario or "",
            parameters=parameters,
            verdicts=form.verdict,
        )

    def _services(self, form: SnapshotForm) -> tuple[Text, ...]:
        at: Location = (*self._at, "snapshot")
        if self._reading.document.at(at) == []:
            text = "'snapshot' is an empty list; name at least one service"
            self._reading.document.refuse(at, "empty", text)
        places = enumerate(form.snapshot)
        return tuple(self._reading.service((*at, place), name) for place, name in places)


def _is_background(form: StepForm) -> bool:
    return isinstance(form, BackgroundForm) and form.background is True
