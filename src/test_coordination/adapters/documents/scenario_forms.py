"""What the parts of a scenario may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field

from test_coordination.adapters.documents.forms import (
    Flag,
    Form,
    Name,
    Words,
    choice,
    moment,
    refusal,
)
from test_coordination.adapters.documents.words import described
from test_coordination.domain.parameters import ParameterType
from test_coordination.domain.scenario import EVERY_MIN
from test_coordination.domain.steps import HOLD_MAX
from test_coordination.domain.verdicts import Severity

LATER_STEPS: Final = frozenset({"probe", "restore", "sequence", "scenario"})
LATER_PARAMETERS: Final = frozenset({"list", "bytes", "secret"})
TIME_MIN: Final = timedelta(milliseconds=1)
EVERY_MAX: Final = timedelta(hours=1)
_NONE: Final = timedelta(0)

LongTime = Annotated[str, moment(_NONE, HOLD_MAX)]
Severities = Annotated[Severity, choice(Severity)]
ParameterTypes = Annotated[ParameterType, choice(ParameterType)]


def _target(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        said = "the name of one service; this release cannot choose among instances yet"
        raise refusal("not_supported", said)
    raise refusal("wrong_type", f"the name of a service, not {described(value)}")


Target = Annotated[str, BeforeValidator(_target)]

_HOW_LONG: Final = "how long, such as 5s"
_CHECK_LATER: Final = frozenset({"always", "never", "weight"})


class ScenarioForm(Form):
    """The document itself."""

    noun: ClassVar[str] = "a scenario"
    required: ClassVar[Mapping[str, str]] = {
        "version": "that of the language, which is 1",
        "steps": "what is to be done, in order",
    }
    later: ClassVar[frozenset[str]] = frozenset(
        {
            "abstract", "blast_radius", "depends_on", "extends", "on_failure", "postconditions",
            "preconditions", "remove", "replace", "resources",
        }
    )  # fmt: skip

    scenario: Name = ""
    version: object = None
    title: Words = ""
    description: Words = ""
    tags: list[Name] = Field(default_factory=list)
    parameters: object = None
    probes: object = None
    steady_state: object = None
    steps: object = None
    timeout: LongTime | None = None


class ParameterForm(Form):
    """One entry of ``parameters``."""

    noun: ClassVar[str] = "a parameter"
    required: ClassVar[Mapping[str, str]] = {"type": "such as string, integer or duration"}
    later: ClassVar[frozenset[str]] = frozenset({"abstract"})

    type: ParameterTypes | None = None
    default: object = None
    required_: Flag | None = Field(default=None, alias="required")
    min: object = None
    max: object = None
    values: list[object] | None = None
    pattern: Words | None = None
    unit: Words = ""
    description: Words = ""


class ProbeForm(Form):
    """One entry of ``probes``, without the key that names its kind."""

    noun: ClassVar[str] = "a probe"

    every: Annotated[str, moment(EVERY_MIN, EVERY_MAX)] = "1s"
    timeout: Annotated[str, moment(TIME_MIN, EVERY_MAX)] | None = None


class CheckForm(Form):
    """One entry of ``steady_state``."""

    noun: ClassVar[str] = "a check"
    required: ClassVar[Mapping[str, str]] = {"expect": "the condition that must be true"}
    later: ClassVar[frozenset[str]] = _CHECK_LATER

    id: Name | None = None
    expect: Words | None = None
    watch: Flag = True
    severity: Severities = Severity.NORMAL
    within: LongTime | None = None
    hold: LongTime | None = None
    title: Words = ""


class StepForm(Form):
    """What every step may have."""

    noun: ClassVar[str] = "a step"
    later: ClassVar[frozenset[str]] = frozenset(
        {"background", "for_each", "if", "on_error", "repeat", "retry", "stop"}
    )

    id: Name | None = None
    title: Words = ""
    needs: list[Words] | None = None
    timeout: LongTime | None = None


class FaultForm(StepForm):
    """A step that breaks something."""

    noun: ClassVar[str] = "a fault step"
    required: ClassVar[Mapping[str, str]] = {
        "target": "the service it is aimed at",
        "hold": _HOW_LONG,
    }
    later: ClassVar[frozenset[str]] = StepForm.later | {"ramp"}

    fault: Words = ""
    target: Target | None = None
    hold: LongTime | None = None
    parameters: object = Field(default=None, alias="with")


class ActionForm(StepForm):
    """A step that does something which is not undone."""

    noun: ClassVar[str] = "an action step"

    action: Words = ""
    parameters: object = Field(default=None, alias="with")


class WaitForm(StepForm):
    """A step that lets time pass."""

    noun: ClassVar[str] = "a wait step"

    wait: LongTime | None = None


class SnapshotForm(StepForm):
    """A step that captures the state of services."""

    noun: ClassVar[str] = "a snapshot step"

    snapshot: list[Words] = Field(default_factory=list)


class ExpectForm(StepForm):
    """A step that judges a condition."""

    noun: ClassVar[str] = "an expect step"
    later: ClassVar[frozenset[str]] = StepForm.later | _CHECK_LATER

    expect: Words | None = None
    within: LongTime | None = None
    hold: LongTime | None = None
    severity: Severities = Severity.NORMAL
    after_fault: Words | None = None


class ParallelForm(StepForm):
    """A step that is several, which do not wait for each other."""

    noun: ClassVar[str] = "a parallel step"

    parallel: object = None


STEP_FORMS: Final[Mapping[str, type[StepForm]]] = {
    "fault": FaultForm,
    "action": ActionForm,
    "wait": WaitForm,
    "snapshot": SnapshotForm,
    "expect": ExpectForm,
    "parallel": ParallelForm,
}
