"""What the parts of a scenario may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from test_coordination.adapters.documents.forms.fields import (
    TIME_MIN,
    LongTime,
    ScenarioName,
    Severities,
    Title,
    Verdicts,
    Weight,
    percentage,
    whole,
)
from test_coordination.adapters.documents.forms.form import (
    Flag,
    Form,
    Name,
    Statement,
    Words,
    choice,
    moment,
)
from test_coordination.domain.scenario import EVERY_MIN
from test_coordination.domain.steps import Otherwise
from test_coordination.domain.verdicts import Severity, Verdict

EVERY_MAX: Final = timedelta(hours=1)
SERVICES_MAX: Final = 100_000

_A_CONDITION: Final[Mapping[str, str]] = {"expect": "the condition that must be true"}


class BodyForm(Form):
    """What scenarios and templates have in common: all but the first key."""

    version: object = Field(default=None, description="that of the language: 1", examples=[1])
    title: Title = Field(
        default="",
        description="what people read instead of the name",
        examples=["The exchange restarts while orders flow"],
    )
    description: Words = Field(
        default="",
        description="what is tried, and what is expected of the system",
        examples=["No acknowledged order may be lost or doubled."],
    )
    owner: Words = Field(
        default="", description="the team or person to be asked about it", examples=["trading"]
    )
    tags: list[Name] = Field(
        default_factory=list,
        description="words by which it is found",
        examples=[["restart", "exchange"]],
    )
    extends: object = Field(
        default=None,
        description="the templates or scenarios that it begins from, the later ones on top",
        examples=["service-restart", ["service-restart", "trading-probes@2"]],
    )
    parameters: object = Field(
        default=None,
        description="what the person who starts it may choose, by name",
        examples=[{"outage": {"type": "duration", "default": "5s", "max": "60s"}}],
    )
    depends_on: object = Field(
        default=None,
        description="scenarios that must have ended well before this one may start",
        examples=[[{"scenario": "baseline-health", "verdict": "held", "within": "24h"}]],
    )
    resources: object = Field(
        default=None,
        description="what it claims beside the targets of its faults, for itself or shared; it "
        "waits until all of it is free, and keeps it until every fault is undone",
        examples=[{"exclusive": ["database/trading"], "pools": {"network": 1}}],
    )
    blast_radius: object = Field(
        default=None,
        description="the most that all of its faults may hit; a plan that exceeds it is refused",
        examples=[{"services": 1, "percent": "50%"}],
    )
    probes: object = Field(
        default=None,
        description="what is looked at again and again for as long as it runs, by name",
        examples=[{"latency": {"http": "GET http://127.0.0.1:8080/health", "every": "500ms"}}],
    )
    start: object = Field(
        default=None,
        description="a condition that is waited for before anything else is done",
        examples=[{"when": "probes.latency.count > 10", "within": "2m", "otherwise": "skip"}],
    )
    preconditions: object = Field(
        default=None,
        description="checks that must hold before anything is injected",
        examples=[[{"expect": "services.exchange.instances >= 1"}]],
    )
    steady_state: object = Field(
        default=None,
        description="checks that must hold before, are watched meanwhile, and must hold after",
        examples=[[{"id": "healthy", "expect": "probes.latency.last.status == 200"}]],
    )
    stop_when: object = Field(
        default=None,
        description="conditions on which everything is stopped and undone at once",
        examples=[[{"when": "probes.lost_orders.last.value > 100.0", "hold": "2s"}]],
    )
    steps: object = Field(
        default=None,
        description="what is to be done, each step after the one above it unless it says",
        examples=[[{"fault": "service.stop", "target": "exchange", "hold": "5s"}]],
    )
    postconditions: object = Field(
        default=None,
        description="checks that must hold once every fault is undone",
        examples=[[{"expect": "probes.lost_orders.last.value == 0.0"}]],
    )
    on_failure: object = Field(
        default=None,
        description="actions that are done if it did not hold, after every fault is undone",
        examples=[[{"action": "http.post", "with": {"url": "http://127.0.0.1:8080/clear"}}]],
    )
    timeout: LongTime | None = Field(
        default=None,
        description="how long all of it may take before it is stopped",
        examples=["5m"],
    )


class ScenarioForm(BodyForm):
    """A document that is a scenario."""

    noun: ClassVar[str] = "a scenario"
    required: ClassVar[Mapping[str, str]] = {
        "version": "that of the language, which is 1",
        "steps": "what is to be done, in order",
    }

    scenario: Name = Field(
        default="", description="its name", examples=["exchange-restart-under-load"]
    )


class TemplateForm(BodyForm):
    """A document that is a template."""

    noun: ClassVar[str] = "a template"
    required: ClassVar[Mapping[str, str]] = {"version": "that of the language, which is 1"}

    template: Name = Field(
        default="",
        description="its name, by which scenarios extend it",
        examples=["service-restart"],
    )


class ProbeForm(Form):
    """One entry of ``probes``, without the key that names its kind."""

    noun: ClassVar[str] = "a probe"

    every: Annotated[str, moment(EVERY_MIN, EVERY_MAX)] = Field(
        default="1s", description="how often it looks, from begin to begin", examples=["500ms"]
    )
    timeout: Annotated[str, moment(TIME_MIN, EVERY_MAX)] | None = Field(
        default=None,
        description="how long one look may take before it counts as missing",
        examples=["2s"],
    )


class CheckForm(Form):
    """One entry of ``preconditions`` or ``postconditions``."""

    noun: ClassVar[str] = "a check"
    required: ClassVar[Mapping[str, str]] = _A_CONDITION

    id: Name | None = Field(
        default=None, description="the name by which it is reported", examples=["healthy"]
    )
    expect: Statement | None = Field(
        default=None,
        description="the condition that must be true",
        examples=["probes.latency.last.status == 200"],
    )
    severity: Severities = Field(
        default=Severity.NORMAL,
        description="what it means if it does not hold; info has no say in the verdict",
    )
    weight: Weight = Field(
        default=1.0, description="how much it counts among the others", examples=[2]
    )
    within: LongTime | None = Field(
        default=None, description="how long it may take to become true", examples=["10s"]
    )
    hold: LongTime | None = Field(
        default=None, description="how long it must then stay true", examples=["3s"]
    )
    title: Title = Field(
        default="", description="what people read instead of the id", examples=["It answers"]
    )


class SteadyForm(CheckForm):
    """One entry of ``steady_state``."""

    watch: Flag = Field(
        default=True,
        description="whether it is looked at meanwhile, too, and not only before and after",
    )


class StopRuleForm(Form):
    """One entry of ``stop_when``."""

    noun: ClassVar[str] = "a stop condition"
    required: ClassVar[Mapping[str, str]] = {
        "when": "the condition on which everything is stopped and undone"
    }

    id: Name | None = Field(
        default=None, description="the name by which it is reported", examples=["too-many-lost"]
    )
    when: Statement | None = Field(
        default=None,
        description="the condition on which everything is stopped and undone",
        examples=["probes.lost_orders.last.value > 100.0"],
    )
    hold: LongTime | None = Field(
        default=None, description="how long it must be true without a break", examples=["2s"]
    )
    title: Title = Field(
        default="", description="what people read instead of the id", examples=["Orders get lost"]
    )


class StartForm(Form):
    """What stands under ``start``."""

    noun: ClassVar[str] = "start"
    required: ClassVar[Mapping[str, str]] = {
        "when": "the condition that is waited for",
        "within": "how long at most, such as 2m",
    }

    when: Statement | None = Field(
        default=None,
        description="the condition that is waited for",
        examples=["probes.latency.count > 10"],
    )
    within: LongTime | None = Field(
        default=None, description="how long it is waited for at most", examples=["2m"]
    )
    hold: LongTime | None = Field(
        default=None, description="how long it must be true without a break", examples=["2s"]
    )
    otherwise: Annotated[Otherwise, choice(Otherwise)] = Field(
        default=Otherwise.FAIL,
        description="what happens if it does not become true: fail, skip everything, or continue "
        "as if it had",
    )


class DependencyForm(Form):
    """One entry of ``depends_on``."""

    noun: ClassVar[str] = "a dependency"
    required: ClassVar[Mapping[str, str]] = {"scenario": "the one that must have ended before"}

    scenario: ScenarioName | None = Field(
        default=None,
        description="the scenario that must have ended before",
        examples=["baseline-health", "baseline-health@2"],
    )
    verdict: Verdicts = Field(
        default=(Verdict.HELD,),
        description="the verdict, or the verdicts, with which it must have ended",
        examples=["held", ["held", "inconclusive"]],
    )
    within: LongTime | None = Field(
        default=None, description="how long ago its end may be at most", examples=["24h"]
    )


class ResourcesForm(Form):
    """What stands under ``resources``."""

    noun: ClassVar[str] = "resources"

    exclusive: list[Words] = Field(
        default_factory=list,
        description="what no other execution of this system may use meanwhile",
        examples=[["service/${{ parameters.service }}"]],
    )
    shared: list[Words] = Field(
        default_factory=list,
        description="what others may use, too, but not for themselves alone",
        examples=[["database/trading"]],
    )
    pools: dict[str, Annotated[int, whole(1, SERVICES_MAX)]] = Field(
        default_factory=dict,
        description="how many slots it takes of pools, whose sizes the topology tells",
        examples=[{"network": 1}],
    )


class BlastRadiusForm(Form):
    """What stands under ``blast_radius``."""

    noun: ClassVar[str] = "a blast radius"

    services: Annotated[int, whole(1, SERVICES_MAX)] | None = Field(
        default=None, description="how many services its faults may hit at most", examples=[1]
    )
    percent: Annotated[float, percentage(above=0)] | None = Field(
        default=None,
        description="what share of all services its faults may hit at most",
        examples=["50%"],
    )


class FailureForm(Form):
    """One entry of ``on_failure``."""

    noun: ClassVar[str] = "an action on failure"
    required: ClassVar[Mapping[str, str]] = {"action": "what is to be done, such as http.post"}

    id: Name | None = Field(
        default=None, description="the name by which it is reported", examples=["clear"]
    )
    title: Title = Field(
        default="", description="what people read instead of the id", examples=["Clear the rest"]
    )
    action: Words | None = Field(
        default=None, description="what is to be done", examples=["http.post"]
    )
    parameters: object = Field(
        default=None,
        alias="with",
        description="the parameters of the action",
        examples=[{"url": "http://${{ services.shop.address }}/clear"}],
    )
    timeout: LongTime | None = Field(
        default=None, description="how long it may take before it fails", examples=["30s"]
    )
    retry: object = Field(
        default=None,
        description="how often it is tried if it fails",
        examples=[{"attempts": 3, "delay": "1s"}],
    )
