"""Filling a form, a pydantic model, from a part of a document, with every mistake told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.words import (
    SHOWN_LENGTH_MAX,
    alternatives,
    described,
    enumerated,
    shown,
)
from test_coordination.adapters.shapes import (
    BOUNDS,
    DURATION,
    Shape,
    admitting,
    matching,
    shown_as,
    span,
)
from test_coordination.domain.errors import nearest
from test_coordination.domain.values import DURATION_EXPECTED, format_duration, parse_duration

NAME_EXPECTED: Final = (
    "a name of at most 63 small letters, digits and '-' that begins with a letter"
)
WORD_EXPECTED: Final = (
    "a name of at most 63 small letters, digits and '_' that begins with a letter"
)
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

Check = Callable[[object], object]
"""Returns a value as it is to be kept, or raises what `refusal` returns."""


class Form(BaseModel):
    """What a part of a document may hold; every field has a default, so that any may be left out.

    ``noun`` names the part in sentences; ``required`` says of each key that must be there what
    it is for; ``barred`` says of keys that parts like this one have why this one has not. Each
    field has a description for authors, and examples where they help.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    noun: ClassVar[str]
    required: ClassVar[Mapping[str, str]] = {}
    barred: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def known_keys(cls) -> frozenset[str]:
        """Return the keys that may be filled in, as an author writes them."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())


Filled = TypeVar("Filled", bound=Form)


def fill(
    form: type[Filled],
    document: Document,
    location: Location,
    *,
    skip: frozenset[str] = frozenset(),
) -> Filled:
    """Return ``form`` with all that could be read; what could not is refused and left out.

    Keys in ``skip`` are somebody else's, and so is the complaint if there are no keys at all.
    """
    content = document.at(location)
    if not isinstance(content, Mapping):
        return form()
    good = {key: value for key, value in content.items() if key not in skip}
    known = form.known_keys()
    for key in [key for key, value in good.items() if key not in known or value is None]:
        _refuse_key(form, document, (*location, key))
        del good[key]
    for key, purpose in form.required.items():
        if key not in content:
            document.refuse(location, "missing_key", f"{form.noun} needs {key!r}: {purpose}")
    try:
        return form.model_validate(good)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=True):
            _refuse_value(document, location, detail)
            _drop(good, detail["loc"])
    return form.model_validate(good)


def _drop(good: dict[str, object], place: Location) -> None:
    """Take what was refused out of ``good``: an entry of a map, or the whole value of a key."""
    key, *rest = place
    found = good.get(str(key))
    if rest and isinstance(found, Mapping):
        good[str(key)] = {name: value for name, value in found.items() if name != rest[0]}
    else:
        good.pop(str(key), None)


def _refuse_key(form: type[Form], document: Document, location: Location) -> None:
    key = location[-1]
    if key in form.known_keys():
        text = f"{key!r} has no value; write one, or leave the key out"
        document.refuse(location, "wrong_type", text, key=True)
    elif key in form.barred:
        text = f"{form.noun} has no {key!r}: {form.barred[str(key)]}"
        document.refuse(location, "misplaced_key", text, key=True)
    else:
        text = f"{form.noun} has no key {shown(key)}; {alternatives(str(key), form.known_keys())}"
        document.refuse(location, "unknown_key", text, key=True)


def not_supported(what: str) -> str:
    """Return the sentence about something that the next release will know."""
    return f"this release does not know {what} yet; leave it out until a later release does"


def _refuse_value(document: Document, location: Location, detail: ErrorDetails) -> None:
    place = (*location, *detail["loc"])
    last = place[-1]
    subject = f"each of {place[-2]!r}" if isinstance(last, int) else f"{last!r}"
    context = detail.get("ctx", {})
    if "said" in context:
        document.refuse(place, detail["type"], f"{subject} must be {context['said']}")
        return
    expected = _PLAIN.get(detail["type"], "something else")
    text = f"{subject} must be {expected}, not {described(detail['input'])}"
    document.refuse(place, "wrong_type", text)


_PLAIN: Final = {
    "list_type": "a list, such as [a, b]",
    "dict_type": "keys and values, such as {a: 1}",
}


def refusal(rule: str, said: str) -> PydanticCustomError:
    """Return the error of a check; ``said`` completes "it must be"."""
    return PydanticCustomError(rule, "{said}", {"said": said})


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    hint = "; put it in quotes" if isinstance(value, int | float) else ""
    raise refusal("wrong_type", f"a text, not {described(value)}{hint}")


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise refusal("wrong_type", f"true or false, not {described(value)}")


def _matching(pattern: re.Pattern[str], expected: str) -> Check:
    def check(value: object) -> object:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise refusal("bad_name", f"{expected}, not {described(value)}")

    return check


def choice(kinds: type[StrEnum], *, but: Collection[StrEnum] = ()) -> BeforeValidator:
    """Return the check for one of a few words, some of which may not be said here."""
    words = [kind.value for kind in kinds if kind not in but]

    def check(value: object) -> object:
        if isinstance(value, str) and value in words:
            return kinds(value)
        near = nearest(value[:SHOWN_LENGTH_MAX], words) if isinstance(value, str) else None
        hint = f"; did you mean {near!r}?" if near else ""
        said = f"{enumerated(words)}, not {described(value)}{hint}"
        raise refusal("unknown_value", said)

    return BeforeValidator(check, json_schema_input_type=shown_as({"enum": words}))


def duration_problem(value: timedelta, low: timedelta, high: timedelta) -> str | None:
    """Return what a duration must be, if it is not that; a ``low`` of 0s is not allowed itself."""
    least = "more than 0s" if not low else f"at least {format_duration(low)}"
    if (low < value or (low and low == value)) and value <= high:
        return None
    return f"{least} and at most {format_duration(high)}, not {format_duration(value)}"


def duration(low: timedelta, high: timedelta) -> BeforeValidator:
    """Return the check for a duration within bounds, see `duration_problem`; it stays text."""

    def check(value: object) -> object:
        found = parse_duration(value) if isinstance(value, str) else None
        if found is None:
            hint = "; write its unit" if isinstance(value, int | float) else ""
            raise refusal("bad_duration", f"{DURATION_EXPECTED}, not {described(value)}{hint}")
        if said := duration_problem(found, low, high):
            raise refusal("out_of_range", said)
        return value

    return BeforeValidator(check, json_schema_input_type=shown_as(duration_shape(low, high)))


def duration_shape(low: timedelta, high: timedelta) -> Shape:
    """Return the shape of a duration within bounds, see `duration_problem`."""
    return {**DURATION, BOUNDS: span(above=None if low else low, least=low or None, most=high)}


def moment(low: timedelta, high: timedelta) -> BeforeValidator:
    """Return the check for a duration, or for text that holds the expression for one."""
    plain = duration(low, high)

    def check(value: object) -> object:
        if isinstance(value, str) and "${{" in value:
            return value
        return plain.func(value)  # type: ignore[call-arg]  # ours takes one argument

    shape = admitting(duration_shape(low, high))
    return BeforeValidator(check, json_schema_input_type=shown_as(shape))


NAME_SHAPE: Final = matching(f"^{_NAME.pattern}$", called="name", said=NAME_EXPECTED)
WORD_SHAPE: Final = matching(f"^{_WORD.pattern}$", called="name", said=WORD_EXPECTED)
CONDITION: Final = matching(
    r"^(?!\s*\$\{\{)[\s\S]*\S",
    called="condition",
    said="a condition, which is an expression already and has no '${{' around it",
)

Words = Annotated[str, BeforeValidator(_text)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Name = Annotated[
    str,
    BeforeValidator(_matching(_NAME, NAME_EXPECTED), json_schema_input_type=shown_as(NAME_SHAPE)),
]
Word = Annotated[
    str,
    BeforeValidator(_matching(_WORD, WORD_EXPECTED), json_schema_input_type=shown_as(WORD_SHAPE)),
]
Statement = Annotated[str, BeforeValidator(_text, json_schema_input_type=shown_as(CONDITION))]
"""What must be true, or is waited for; it is judged apart, once all names are known."""


def is_name(text: object) -> bool:
    """Whether ``text`` may name a service, a step or a scenario."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_word(text: object) -> bool:
    """Whether ``text`` may name what expressions refer to: a probe, a parameter."""
    return isinstance(text, str) and _WORD.fullmatch(text) is not None
