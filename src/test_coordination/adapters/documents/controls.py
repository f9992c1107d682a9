"""How often, and for what, steps are done: retries, repeats, ramps, and copies for each value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import prod
from typing import Final

from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.forms.form import WORD_EXPECTED, fill, is_word
from test_coordination.adapters.documents.forms.part import RampForm, RepeatForm, RetryForm
from test_coordination.adapters.documents.reading import REFUSED, Reading
from test_coordination.adapters.documents.words import described, shown
from test_coordination.application.capabilities import Fault
from test_coordination.domain.expressions import Expression, Kind
from test_coordination.domain.steps import COPIES_MAX, ForEach, Ramp, Repeat, Retry

ATTEMPTS_LEAST: Final = 2
_NONE: Final = timedelta(0)


def read_retry(reading: Reading, location: Location) -> Retry | None:
    """Return what the step at ``location`` says under ``retry``."""
    if not reading.has(location, "retry"):
        return None
    at = (*location, "retry")
    reading.document.entries(at, "how often it is tried, such as {attempts: 3, delay: 1s},")
    form = fill(RetryForm, reading.document, at)
    return Retry(
        attempts=form.attempts or ATTEMPTS_LEAST,
        delay=reading.moment((*at, "delay"), form.delay) or _NONE,
        backoff=form.backoff,
    )


def read_ramp(reading: Reading, location: Location, kind: Fault | None) -> Ramp | None:
    """Return what the fault at ``location``, of that ``kind``, says under ``ramp``."""
    if not reading.has(location, "ramp"):
        return None
    at = (*location, "ramp")
    reading.document.entries(at, "stages of growing strength, such as {over: 30s, from: 10%},")
    form = fill(RampForm, reading.document, at)
    if not reading.has(location, "hold"):
        text = "'ramp' grows towards a strength that is then held; say with 'hold' how long"
        reading.conflict(at, text)
    if kind is not None and not kind.scalable:
        text = f"{kind.kind} is in force or not, with nothing between; leave 'ramp' out"
        reading.conflict(at, text)
    return Ramp(
        over=reading.moment((*at, "over"), form.over) or REFUSED,
        start=form.start,
        stages=form.stages,
    )


def read_repeat(reading: Reading, location: Location, *, background: bool | None) -> Repeat | None:
    """Return what the step at ``location`` says under ``repeat``.

    An action is in the ``background`` or not; for a fault that does not matter, and it is None.
    """
    if not reading.has(location, "repeat"):
        return None
    at = (*location, "repeat")
    reading.document.entries(at, "how often it is done, such as {times: 3, pause: 5s},")
    form = fill(RepeatForm, reading.document, at)
    if isinstance(reading.document.at(at), Mapping):
        _check_pace(reading, at, form, background=background)
    every = form.every if background is not None else None
    return Repeat(
        times=_times(reading, (*at, "times"), form.times),
        every=reading.moment((*at, "every"), every),
        pause=reading.moment((*at, "pause"), form.pause) or _NONE,
    )


def _check_pace(
    reading: Reading, at: Location, form: RepeatForm, *, background: bool | None
) -> None:
    document = reading.document
    if background is None and not reading.has(at[:-1], "hold"):
        text = "a fault without 'hold' lasts until it is stopped, and so cannot be repeated; say "
        reading.conflict(at, f"{text}with 'hold' how long, or leave 'repeat' out")
    if form.every is not None and background is None:
        text = "a fault is injected again once it is undone; write 'pause' for the time between"
        reading.conflict((*at, "every"), text)
    elif form.every is not None and form.pause is not None:
        text = "'every' counts from begin to begin and 'pause' from end to begin; leave one out"
        reading.conflict((*at, "pause"), text)
    if background is None and isinstance(form.times, int) and form.times > COPIES_MAX:
        text = f"a fault is repeated at most {COPIES_MAX} times, not {form.times}; ask for less"
        document.refuse((*at, "times"), "out_of_range", text)
    if reading.has(at, "times"):
        return
    if background is None or not reading.has(at, "every"):
        text = "repeat needs 'times': how often in all, such as 3"
        document.refuse(at, "missing_key", text)
    elif not background:
        text = "repeat needs 'times', such as 3; only a step with background: true may go on "
        document.refuse(at, "missing_key", f"{text}until it is stopped")


def _times(reading: Reading, location: Location, found: object) -> int | Expression | None:
    if not isinstance(found, str):
        return found if isinstance(found, int) else None
    times = reading.texts.text(location, found, reading.names, kind=Kind.INTEGER)
    if isinstance(times, Expression):
        return times
    text = "'times' must be a whole number, or one expression and nothing around it, "
    reading.document.refuse(location, "wrong_type", f"{text}not {shown(found)}")
    return 1


def read_for_each(reading: Reading, location: Location, found: object) -> ForEach | None:
    """Return what the step at ``location`` says under ``for_each``, which ``found`` is."""
    if found is None:
        return None
    at = (*location, "for_each")
    document = reading.document
    if not found and isinstance(found, Mapping | list):
        text = "'for_each' is empty; name at least one value, or leave it out"
        document.refuse(at, "empty", text)
    places = {"value": at}
    if isinstance(found, Mapping):
        places = {name: (*at, name) for name in found}
        for name in found:
            _check_axis_name(reading, (*at, name))
    axes = {name: _axis(reading, place) for name, place in places.items()}
    count = prod(len(axis) for axis in axes.values() if isinstance(axis, tuple))
    if count > COPIES_MAX:
        text = f"'for_each' asks for {count} copies; at most {COPIES_MAX} are allowed"
        document.refuse(at, "too_many", f"{text}: leave values out")
    return ForEach(axes=axes, mark=document.mark(at))


def _check_axis_name(reading: Reading, location: Location) -> None:
    name = location[-1]
    if name == "index" or not is_word(name):
        hint = ", other than 'index', which counts the copies" if name == "index" else ""
        text = f"{shown(name)} is no name for values; write {WORD_EXPECTED}{hint}"
        reading.document.refuse(location, "bad_name", text, key=True)


def _axis(reading: Reading, location: Location) -> Expression | tuple[object, ...]:
    found = reading.document.at(location)
    if isinstance(found, list):
        if not found and location[-1] != "for_each":
            text = f"{location[-1]!r} is an empty list; name at least one value"
            reading.document.refuse(location, "empty", text)
        values, _ = reading.texts.values(location, reading.names)
        return values if isinstance(values, tuple) else ()
    if isinstance(found, str) and "${{" in found:
        value = reading.texts.text(location, found, reading.names, kind=Kind.LIST)
        if isinstance(value, Expression):
            return value
    text = f"{location[-1]!r} must be a list, or one expression that gives a list and nothing "
    text += f"around it, not {described(found)}"
    reading.document.refuse(location, "wrong_type", text)
    return ()
