"""What single values of a scenario may be: whole numbers, shares, verdicts, references."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator

from test_coordination.adapters.documents.forms.form import (
    CONDITION,
    choice,
    duration_shape,
    is_name,
    moment,
    refusal,
)
from test_coordination.adapters.documents.words import (
    alternatives,
    described,
    enumerated,
)
from test_coordination.adapters.shapes import (
    BOUNDS,
    TYPE,
    Shape,
    admitting,
    matching,
    shown_as,
)
from test_coordination.domain.steps import HOLD_MAX, Otherwise
from test_coordination.domain.verdicts import Severity, Verdict

TIME_MIN: Final = timedelta(milliseconds=1)
PERCENT_MAX: Final = 100
SEED_MAX: Final = 2**63 - 1
REFERENCE_EXPECTED: Final = "the name of a scenario, such as restart or, of a version, restart@3"

_NONE: Final = timedelta(0)
_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%")
SHARE: Final = matching(
    r"^(?:100(?:\.0{1,9})?|0?[0-9]{1,2}(?:\.[0-9]{1,9})?)%$",
    called="share",
    said="a share such as 50%",
)
_REFERENCE: Final = re.compile(r"(?P<name>[^@]*)(?:@(?P<version>[1-9]\d{0,8}))?")


def share(value: object) -> float | None:
    """Return how many percent ``value`` is, such as ``50%`` or 50; None if it is no share."""
    if isinstance(value, str):
        found = _SHARE.fullmatch(value)
        return float(found[1]) if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def split_reference(text: str) -> tuple[str, int | None] | None:
    """Return the name and the version that ``text`` refers to; None if it is no reference."""
    found = _REFERENCE.fullmatch(text)
    if found is None or not is_name(found["name"]):
        return None
    return found["name"], int(found["version"]) if found["version"] else None


def whole(low: int, high: int) -> BeforeValidator:
    """Return the check for a whole number within bounds."""

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refusal("wrong_type", f"a whole number, not {described(value)}")
        if not low <= value <= high:
            said = f"a whole number from {low} to {high}, not {described(value)}"
            raise refusal("out_of_range", said)
        return value

    shape = {"type": "integer", "minimum": low, "maximum": high}
    return BeforeValidator(check, json_schema_input_type=shown_as(shape))


def percentage(*, above: float | None = None, below: float | None = None) -> BeforeValidator:
    """Return the check for a share from 0 to 100; ``above`` and ``below`` are not allowed."""
    least = f"more than {above:g}%" if above is not None else "at least 0%"
    most = f"less than {below:g}%" if below is not None else f"at most {PERCENT_MAX}%"

    def check(value: object) -> object:
        found = share(value)
        if found is None:
            raise refusal("wrong_type", f"a share such as 50%, not {described(value)}")
        low = found > above if above is not None else found >= 0
        high = found < below if below is not None else found <= PERCENT_MAX
        if not (low and high):
            raise refusal("out_of_range", f"{least} and {most}, not {found:g}%")
        return found

    low = {"minimum": 0} if above is None else {"exclusiveMinimum": above}
    high = {"maximum": PERCENT_MAX} if below is None else {"exclusiveMaximum": below}
    shape = {
        "anyOf": [SHARE, {"type": "number", **low, **high}],
        TYPE: "share",
        BOUNDS: f"{least} and {most}",
    }
    return BeforeValidator(check, json_schema_input_type=shown_as(shape))


def number(*, above: float | None = None, least: float | None = None) -> BeforeValidator:
    """Return the check for a finite number that is more than, or at least, so much."""
    bound = f"more than {above:g}" if above is not None else f"at least {least:g}"

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refusal("wrong_type", f"a number, not {described(value)}")
        fits = value > above if above is not None else least is None or value >= least
        if not fits or not math.isfinite(value):
            raise refusal("out_of_range", f"a number of {bound}, not {described(value)}")
        return float(value)

    low = {"exclusiveMinimum": above} if above is not None else {"minimum": least}
    return BeforeValidator(check, json_schema_input_type=shown_as({"type": "number", **low}))


# What other tools say for a verdict, and what it is called here.
_ELSEWHERE: Final = {
    "passed": "held", "pass": "held", "success": "held",
    "failed": "broken", "fail": "broken", "deviated": "broken",
    "aborted": "stopped",
}  # fmt: skip


def _verdicts(value: object) -> object:
    words = [verdict.value for verdict in Verdict]
    found = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str) or one not in words:
            said = f"{enumerated(words)}, or a list of these, not {described(one)}"
            if isinstance(one, str):
                said += f"; {alternatives(_ELSEWHERE.get(one, one), words)}"
            raise refusal("unknown_value", said)
        found.append(Verdict(one))
    if not found:
        raise refusal("empty", f"one verdict at least, of {enumerated(words)}")
    return tuple(dict.fromkeys(found))


def _reference(value: object) -> object:
    if isinstance(value, str) and split_reference(value) is not None:
        return value
    raise refusal("bad_name", f"{REFERENCE_EXPECTED}, not {described(value)}")


def _title(value: object) -> object:
    if not isinstance(value, str):
        hint = "; put it in quotes" if isinstance(value, int | float) else ""
        raise refusal("wrong_type", f"a text, not {described(value)}{hint}")
    if "${{" in value:
        raise refusal("bad_title", "plain text: expressions are not filled in here; write it out")
    return value


def _condition(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise refusal("wrong_type", f"a condition, such as parameters.quick, not {described(value)}")


def either(text: BeforeValidator, *, called: str, keys: str) -> BeforeValidator:
    """Return the check for what ``text`` checks, or for keys and values, such as ``keys``."""

    def check(value: object) -> object:
        if isinstance(value, Mapping):
            return value
        if value is not None and not isinstance(value, str | int | float):
            said = f"{called}, or keys and values such as {keys}, not {described(value)}"
            raise refusal("wrong_type", said)
        return text.func(value)  # type: ignore[call-arg]  # ours take one argument

    return BeforeValidator(check)


def _true_or_time(value: object) -> object:
    if value is True:
        return value
    if value is False:
        raise refusal("wrong_type", "true, or how long, such as 30s; or leave the key out")
    return _LONG.func(value)  # type: ignore[call-arg]  # ours takes one argument


def _flag_or_keys(value: object) -> object:
    if isinstance(value, bool | Mapping):
        return value
    said = (
        f"true or false, or the step itself, such as {{action: http.post}}, not {described(value)}"
    )
    raise refusal("wrong_type", said)


_LONG: Final = moment(_NONE, HOLD_MAX)
_WORDS: Final = {"enum": [verdict.value for verdict in Verdict]}

TIME: Final = admitting(duration_shape(_NONE, HOLD_MAX))
"""The shape of a `LongTime`."""

VERDICTS: Final[Shape] = {
    "anyOf": [_WORDS, {"type": "array", "items": _WORDS, "minItems": 1}],
    TYPE: "verdict, or list of verdicts",
}
_PLAIN_TEXT: Final = matching(
    r"^(?![\s\S]*\$\{\{)", called="text", said="plain text: expressions are not filled in here"
)
NAMED_SCENARIO: Final = matching(
    r"^[a-z][a-z0-9-]{0,62}(?:@[1-9][0-9]{0,8})?$",
    called="name of a scenario",
    said=REFERENCE_EXPECTED,
)
_TRUE_OR_TIME: Final[Shape] = {"anyOf": [{"const": True}, TIME], TYPE: "true, or duration"}
_BOOLEAN_OR_CONDITION: Final[Shape] = {
    "anyOf": [CONDITION, {"type": "boolean"}],
    TYPE: "condition",
}

LongTime = Annotated[str, _LONG]
"""A duration of more than 0s and at most `HOLD_MAX`, or an expression for one."""
Title = Annotated[str, BeforeValidator(_title, json_schema_input_type=shown_as(_PLAIN_TEXT))]
Condition = Annotated[
    str, BeforeValidator(_condition, json_schema_input_type=shown_as(_BOOLEAN_OR_CONDITION))
]
Severities = Annotated[Severity, choice(Severity)]
Verdicts = Annotated[
    tuple[Verdict, ...], BeforeValidator(_verdicts, json_schema_input_type=shown_as(VERDICTS))
]
ScenarioName = Annotated[
    str, BeforeValidator(_reference, json_schema_input_type=shown_as(NAMED_SCENARIO))
]
Seed = Annotated[int, whole(-SEED_MAX - 1, SEED_MAX)]
TimeOrKeys = Annotated[object, either(_LONG, called="a time", keys="{until: …, within: 1m}")]
TrueOrTime = Annotated[
    object, BeforeValidator(_true_or_time, json_schema_input_type=shown_as(_TRUE_OR_TIME))
]
FlagOrKeys = Annotated[object, BeforeValidator(_flag_or_keys)]
AnyOtherwise = Annotated[Otherwise, choice(Otherwise)]
FailOrSkip = Annotated[Otherwise, choice(Otherwise, but=(Otherwise.CONTINUE,))]
Weight = Annotated[float, number(above=0)]
