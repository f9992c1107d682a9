"""What the steps of a scenario may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field

from test_coordination.adapters.documents.forms.fields import (
    Condition,
    FlagOrKeys,
    LongTime,
    ScenarioName,
    Severities,
    TimeOrKeys,
    Title,
    TrueOrTime,
    Verdicts,
    Weight,
    either,
    whole,
)
from test_coordination.adapters.documents.forms.form import (
    Form,
    Name,
    Statement,
    Words,
    choice,
    refusal,
)
from test_coordination.adapters.documents.words import described
from test_coordination.adapters.shapes import OPENED, TYPE, WHOLE, Shape, shown_as
from test_coordination.domain.steps import COPIES_MAX, ErrorPolicy
from test_coordination.domain.verdicts import Severity, Verdict

LATER_STEPS: Final = frozenset({"restore"})

_GROUP: Final = "it only holds other steps; give the key to those in it"
_NOT_TRIED_AGAIN: Final = "only steps that do something are tried again"
_NOT_BESIDE: Final = "it has nothing to go on with beside the steps that follow"


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    raise refusal("wrong_type", f"the name of a service, not {described(value)}")


def _axes(value: object) -> object:
    if isinstance(value, list | Mapping) or (isinstance(value, str) and "${{" in value):
        return value
    said = "a list, keys with a list each, or an expression that gives a list, "
    raise refusal("wrong_type", f"{said}not {described(value)}")


_AXIS: Final[Shape] = {
    "anyOf": [{"type": "array", "minItems": 1}, {"type": "string", "pattern": WHOLE}]
}
_AXES: Final[Shape] = {
    "anyOf": [
        *_AXIS["anyOf"],
        {
            "type": "object",
            "propertyNames": {"pattern": "^(?!index$)[a-z][a-z0-9_]{0,62}$"},
            "additionalProperties": _AXIS,
            "minProperties": 1,
        },
    ],
    TYPE: "list, or map of lists",
    OPENED: "or an expression",
}
_SERVICE: Final = either(
    BeforeValidator(_text),
    called="the name of a service",
    keys="{service: exchange, instances: any}",
)

Targets = Annotated[object, _SERVICE]


class StepForm(Form):
    """What every step may have."""

    noun: ClassVar[str] = "a step"

    id: Name | None = Field(
        default=None,
        description="the name by which other steps and expressions know it",
        examples=["restart"],
    )
    title: Title = Field(
        default="", description="what people read instead of the id", examples=["Orders flow"]
    )
    needs: list[Words] | None = Field(
        default=None,
        description="the ids of steps that must be over first; without it the step above, "
        "and with an empty list none",
        examples=[["before"], []],
    )
    condition: Condition | None = Field(
        default=None,
        alias="if",
        description="a condition that is looked at when the step's turn comes; where it is false "
        "the step is skipped",
        examples=["parameters.quick", "steps.load.outcome == 'done'"],
    )
    timeout: LongTime | None = Field(
        default=None, description="how long it may take before it fails", examples=["30s"]
    )
    on_error: Annotated[ErrorPolicy, choice(ErrorPolicy)] = Field(
        default=ErrorPolicy.FAIL,
        description="what its failure means: fail stops the execution, continue lets the other "
        "steps go on, ignore only notes it; that a fault did not bite is never ignored",
    )
    for_each: Annotated[object, BeforeValidator(_axes, json_schema_input_type=shown_as(_AXES))] = (
        Field(
            default=None,
            description="one copy of the step for each value of a list, or for each combination of "
            "several lists; each.value, or each.NAME, and each.index are known inside",
            examples=[
                ["exchange", "custodian"],
                {"service": ["exchange", "custodian"], "outage": ["1s", "5s"]},
                "${{ parameters.services }}",
            ],
        )
    )
    concurrency: Annotated[int, whole(1, COPIES_MAX)] = Field(
        default=1, description="how many of the copies are under way at once", examples=[2]
    )


class RetriedForm(StepForm):
    """What a step that may be tried again may have."""

    retry: object = Field(
        default=None,
        description="how often it is tried if it fails",
        examples=[{"attempts": 3, "delay": "1s", "backoff": 2}],
    )


class BackgroundForm(StepForm):
    """What a step that the next one need not wait for may have."""

    background: FlagOrKeys = Field(
        default=False,
        description="whether the next step goes on as soon as this one has begun; the step itself "
        "may stand here, too",
        examples=[True, {"action": "load.orders", "with": {"rate": 100}}],
    )


class FaultForm(RetriedForm, BackgroundForm):
    """A step that breaks something."""

    noun: ClassVar[str] = "a fault step"
    required: ClassVar[Mapping[str, str]] = {"target": "the service it is aimed at"}

    fault: Words = Field(
        default="", description="the fault to be injected", examples=["service.stop"]
    )
    target: Targets = Field(
        default=None,
        description="the service it is aimed at, or how services are chosen",
        examples=["exchange", {"tags": {"tier": "backend"}, "instances": "50%"}],
    )
    hold: LongTime | None = Field(
        default=None,
        description="how long it lasts, from its confirmed injection; only in the background may "
        "it be left out, for a fault that lasts until it is stopped",
        examples=["5s", "${{ parameters.outage }}"],
    )
    parameters: object = Field(
        default=None,
        alias="with",
        description="the parameters of the fault",
        examples=[{"grace": "2s"}],
    )
    ramp: object = Field(
        default=None,
        description="stages of growing strength before the full one",
        examples=[{"over": "30s", "from": "10%", "stages": 4}],
    )
    repeat: object = Field(
        default=None,
        description="how often it is injected, one after the other",
        examples=[{"times": 3, "pause": "5s"}],
    )


class ActionForm(RetriedForm, BackgroundForm):
    """A step that does something which is not undone."""

    noun: ClassVar[str] = "an action step"

    action: Words = Field(default="", description="what is to be done", examples=["http.post"])
    parameters: object = Field(
        default=None,
        alias="with",
        description="the parameters of the action",
        examples=[{"url": "http://${{ services.shop.address }}/start"}],
    )
    repeat: object = Field(
        default=None,
        description="how often it is done; without times only in the background, until it is "
        "stopped",
        examples=[{"every": "1s", "times": 60}, {"times": 3, "pause": "5s"}],
    )


class ProbeStepForm(RetriedForm, BackgroundForm):
    """A step that looks at something once."""

    noun: ClassVar[str] = "a probe step"

    probe: object = Field(
        default=None,
        description="what is looked at, once; what is seen is steps.ID.result",
        examples=[{"http": "GET http://${{ services.shop.address }}/health"}],
    )


class SnapshotForm(RetriedForm):
    """A step that captures the state of services."""

    noun: ClassVar[str] = "a snapshot step"
    barred: ClassVar[Mapping[str, str]] = {"background": _NOT_BESIDE}

    snapshot: list[Words] = Field(
        default_factory=list,
        description="the services whose state is captured",
        examples=[["exchange", "custodian"]],
    )


class WaitForm(StepForm):
    """A step that lets time pass, or waits until something is true."""

    noun: ClassVar[str] = "a wait step"
    barred: ClassVar[Mapping[str, str]] = {"retry": _NOT_TRIED_AGAIN, "background": _NOT_BESIDE}

    wait: TimeOrKeys = Field(
        default=None,
        description="how long; or a time drawn by chance; or a condition that is waited for",
        examples=[
            "5s",
            {"between": ["5s", "30s"], "seed": 7},
            {"until": "probes.latency.last.status == 200", "within": "1m", "hold": "2s"},
        ],
    )


class StopForm(StepForm):
    """A step that ends another one, which runs in the background."""

    noun: ClassVar[str] = "a stop step"
    barred: ClassVar[Mapping[str, str]] = {"retry": _NOT_TRIED_AGAIN, "background": _NOT_BESIDE}

    stop: Words | None = Field(
        default=None,
        description="the id of the step in the background that is ended",
        examples=["load"],
    )


class ExpectForm(BackgroundForm):
    """A step that judges a condition."""

    noun: ClassVar[str] = "an expect step"
    barred: ClassVar[Mapping[str, str]] = {
        "retry": "a check is judged once; say with 'within' how long it may take to become true"
    }

    expect: Statement | None = Field(
        default=None,
        description="the condition that must be true",
        examples=["probes.latency.last.status == 200"],
    )
    within: LongTime | None = Field(
        default=None,
        description="how long it may take to become true, from the step's start or from the end "
        "of 'after_fault'",
        examples=["10s"],
    )
    hold: LongTime | None = Field(
        default=None, description="how long it must then stay true", examples=["3s"]
    )
    always: TrueOrTime = Field(
        default=None,
        description="for how long it must be true at every look; true: as long as 'during' lasts, "
        "or in the background until the other steps are over",
        examples=["30s", True],
    )
    never: TrueOrTime = Field(
        default=None,
        description="for how long it must not be true at any look; true: as for 'always'",
        examples=["30s", True],
    )
    during: Words | None = Field(
        default=None,
        description="the id of the step beside which it must always, or never, be true",
        examples=["restart"],
    )
    after_fault: Words | None = Field(
        default=None,
        description="the id of the fault from whose verified end its times count",
        examples=["restart"],
    )
    severity: Severities = Field(
        default=Severity.NORMAL,
        description="what it means if it does not hold; info has no say in the verdict",
    )
    weight: Weight = Field(
        default=1.0, description="how much it counts among the others", examples=[2]
    )


class ScenarioStepForm(RetriedForm, BackgroundForm):
    """A step that runs another scenario."""

    noun: ClassVar[str] = "a scenario step"

    scenario: ScenarioName | None = Field(
        default=None,
        description="the scenario that is run as an execution of its own",
        examples=["baseline-health", "baseline-health@2"],
    )
    parameters: object = Field(
        default=None,
        alias="with",
        description="the parameters that it is given",
        examples=[{"rate": "${{ parameters.rate }}"}],
    )
    verdict: Verdicts = Field(
        default=(Verdict.HELD,),
        description="the verdict, or the verdicts, with which this step holds",
        examples=["held", ["held", "inconclusive"]],
    )


class ParallelForm(StepForm):
    """A step that is several, which do not wait for each other."""

    noun: ClassVar[str] = "a parallel step"
    barred: ClassVar[Mapping[str, str]] = {"retry": _GROUP, "background": _GROUP}

    parallel: object = Field(
        default=None,
        description="steps that do not wait for each other",
        examples=[[{"wait": "5s"}]],
    )


class SequenceForm(StepForm):
    """A step that is several, one after the other."""

    noun: ClassVar[str] = "a sequence step"
    barred: ClassVar[Mapping[str, str]] = {"retry": _GROUP, "background": _GROUP}

    sequence: object = Field(
        default=None, description="steps one after the other, as one", examples=[[{"wait": "5s"}]]
    )


STEP_FORMS: Final[Mapping[str, type[StepForm]]] = {
    "fault": FaultForm,
    "action": ActionForm,
    "probe": ProbeStepForm,
    "snapshot": SnapshotForm,
    "wait": WaitForm,
    "stop": StopForm,
    "expect": ExpectForm,
    "parallel": ParallelForm,
    "sequence": SequenceForm,
    "scenario": ScenarioStepForm,
}
COMMON_FORMS: Final[tuple[type[StepForm], ...]] = (StepForm, RetriedForm, BackgroundForm)
