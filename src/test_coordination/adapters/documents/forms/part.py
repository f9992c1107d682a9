"""What the parts of a step may hold, key by key: repeats, ramps, choices, waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field

from test_coordination.adapters.documents.forms.fields import (
    PERCENT_MAX,
    SHARE,
    FailOrSkip,
    LongTime,
    Seed,
    number,
    percentage,
    whole,
)
from test_coordination.adapters.documents.forms.form import (
    Form,
    Statement,
    Words,
    choice,
    moment,
    refusal,
)
from test_coordination.adapters.documents.words import described
from test_coordination.adapters.shapes import TYPE, admitting, shown_as
from test_coordination.domain.scenario import EVERY_MIN
from test_coordination.domain.steps import HOLD_MAX, Otherwise

ATTEMPTS_MAX: Final = 100
STAGES_MAX: Final = 100
TIMES_MAX: Final = 1_000_000


def _times(value: object) -> object:
    if isinstance(value, str) and "${{" in value:
        return value
    return _COUNT.func(value)  # type: ignore[call-arg]  # ours takes one argument


def _quota(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refusal("wrong_type", f"all, any, a number or a share, not {described(value)}")
    return value


_COUNT: Final = whole(1, TIMES_MAX)
_TIMES: Final = admitting({"type": "integer", "minimum": 1, "maximum": TIMES_MAX})
_QUOTA: Final = {
    "anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}, SHARE],
    TYPE: "all, any, number or share",
}


class RetryForm(Form):
    """What stands under ``retry``."""

    noun: ClassVar[str] = "retry"
    required: ClassVar[Mapping[str, str]] = {"attempts": "how often in all, such as 3"}

    attempts: Annotated[int, whole(2, ATTEMPTS_MAX)] | None = Field(
        default=None, description="how often it is tried, the first time included", examples=[3]
    )
    delay: LongTime | None = Field(
        default=None, description="how long after a failure it is tried again", examples=["1s"]
    )
    backoff: Annotated[float, number(least=1)] = Field(
        default=1.0,
        description="how many times longer each delay is than the one before",
        examples=[2],
    )


class RepeatForm(Form):
    """What stands under ``repeat``."""

    noun: ClassVar[str] = "repeat"

    times: Annotated[object, BeforeValidator(_times, json_schema_input_type=shown_as(_TIMES))] = (
        Field(default=None, description="how often in all", examples=[3, "${{ parameters.times }}"])
    )
    every: Annotated[str, moment(EVERY_MIN, HOLD_MAX)] | None = Field(
        default=None, description="how long from one begin to the next", examples=["1s"]
    )
    pause: LongTime | None = Field(
        default=None, description="how long from one end to the next begin", examples=["5s"]
    )


class RampForm(Form):
    """What stands under ``ramp``."""

    noun: ClassVar[str] = "ramp"
    required: ClassVar[Mapping[str, str]] = {"over": "how long it takes to grow, such as 30s"}

    over: LongTime | None = Field(
        default=None,
        description="how long it takes to reach the full strength",
        examples=["30s"],
    )
    start: Annotated[float, percentage(below=PERCENT_MAX)] = Field(
        default=0.0,
        alias="from",
        description="the strength of the first stage, as a share of the full one",
        examples=["10%"],
    )
    stages: Annotated[int, whole(1, STAGES_MAX)] = Field(
        default=4, description="how many stages there are before the full strength", examples=[4]
    )


class SelectorForm(Form):
    """What stands under ``target`` where services are chosen."""

    noun: ClassVar[str] = "a target"

    service: object = Field(
        default=None,
        description="the service, or a list of those, to choose from; all if only tags are given",
        examples=["exchange", ["exchange", "custodian"]],
    )
    tags: dict[str, Words] = Field(
        default_factory=dict,
        description="tags that a service must have, all of them",
        examples=[{"tier": "backend"}],
    )
    exclude: list[Words] = Field(
        default_factory=list,
        description="services that are never chosen",
        examples=[["ledger-db"]],
    )
    instances: Annotated[
        object, BeforeValidator(_quota, json_schema_input_type=shown_as(_QUOTA))
    ] = Field(
        default="all",
        description="how many are chosen: all, any (one), a number, or a share",
        examples=["any", 2, "50%"],
    )
    none: FailOrSkip = Field(
        default=Otherwise.FAIL,
        description="what happens if there is none to choose: fail, or skip the step",
    )
    seed: Seed | None = Field(
        default=None,
        description="the choice is drawn from it, the same from the same; if left out, from that "
        "of the execution",
        examples=[7],
    )


class BetweenForm(Form):
    """What stands under ``wait`` where the time is drawn by chance."""

    noun: ClassVar[str] = "a wait between two times"
    required: ClassVar[Mapping[str, str]] = {"between": "the least and the most, as [5s, 30s]"}

    between: list[LongTime] | None = Field(
        default=None,
        description="the least and the most that is waited",
        examples=[["5s", "30s"]],
    )
    seed: Seed | None = Field(
        default=None,
        description="the time is drawn from it, the same from the same; if left out, from that of "
        "the execution",
        examples=[7],
    )


class UntilForm(Form):
    """What stands under ``wait`` where a condition is waited for."""

    noun: ClassVar[str] = "a wait for a condition"
    required: ClassVar[Mapping[str, str]] = {
        "until": "the condition that is waited for",
        "within": "how long at most, such as 1m",
    }

    until: Statement | None = Field(
        default=None,
        description="the condition that is waited for",
        examples=["probes.latency.last.status == 200"],
    )
    within: LongTime | None = Field(
        default=None, description="how long it is waited for at most", examples=["1m"]
    )
    hold: LongTime | None = Field(
        default=None, description="how long it must be true without a break", examples=["2s"]
    )
    otherwise: Annotated[Otherwise, choice(Otherwise)] = Field(
        default=Otherwise.FAIL,
        description="what happens if it does not become true: fail, skip the steps that need "
        "this one, or continue as if it had",
    )
