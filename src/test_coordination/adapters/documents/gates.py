"""What is waited for: a time, a time drawn by chance, or a condition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.forms.form import fill
from test_coordination.adapters.documents.forms.part import BetweenForm, UntilForm
from test_coordination.adapters.documents.forms.scenario import StartForm
from test_coordination.adapters.documents.reading import REFUSED, Reading
from test_coordination.adapters.documents.words import alternatives, described, shown
from test_coordination.domain.steps import Between, Gate, Moment

_TWO: Final = 2


def read_wait(reading: Reading, location: Location, found: object) -> Moment | Between | Gate:
    """Return what the step at ``location`` waits for, which ``found`` says."""
    at = (*location, "wait")
    if not isinstance(found, Mapping):
        text = found if isinstance(found, str) else None
        return reading.moment(at, text) or REFUSED
    if "until" in found and "between" in found:
        text = "a wait is for a time or for a condition, not both; put 'between' into its own step"
        reading.conflict((*at, "between"), text)
        return REFUSED
    if "until" in found:
        return _gate(reading, at)
    if "between" in found:
        return _between(reading, at)
    known = UntilForm.known_keys() | BetweenForm.known_keys()
    strange = [key for key in found if key not in known]
    for key in strange:
        text = f"a wait has no key {shown(key)}; {alternatives(key, known)}"
        reading.document.refuse((*at, key), "unknown_key", text, key=True)
    if not strange:
        text = "a wait needs 'until' with a condition, 'between' with two times, or just a time"
        reading.document.refuse(at, "no_kind", text)
    return REFUSED


def read_start(reading: Reading) -> Gate | None:
    """Return what is waited for before anything else is done."""
    if not reading.has((), "start"):
        return None
    at: Location = ("start",)
    reading.document.entries(at, "what is waited for, such as {when: …, within: 2m},")
    form = fill(StartForm, reading.document, at)
    return Gate(
        condition=reading.condition((*at, "when"), form.when),
        within=reading.moment((*at, "within"), form.within) or REFUSED,
        hold=reading.moment((*at, "hold"), form.hold),
        otherwise=form.otherwise,
    )


def _gate(reading: Reading, at: Location) -> Gate:
    form = fill(UntilForm, reading.document, at)
    return Gate(
        condition=reading.condition((*at, "until"), form.until),
        within=reading.moment((*at, "within"), form.within) or REFUSED,
        hold=reading.moment((*at, "hold"), form.hold),
        otherwise=form.otherwise,
    )


def _between(reading: Reading, at: Location) -> Between:
    form = fill(BetweenForm, reading.document, at)
    place = (*at, "between")
    times = [reading.moment((*place, n), text) for n, text in enumerate(form.between or ())]
    if form.between is not None and len(times) != _TWO:
        text = f"'between' must be two times, the least and the most, not {len(times)}; "
        reading.document.refuse(place, "wrong_type", f"{text}write them as in [5s, 30s]")
    least, most = (*times, None, None)[:2]
    if isinstance(least, timedelta) and isinstance(most, timedelta) and least > most:
        text = f"the least is {described(least)}, which is more than the most ({described(most)})"
        reading.document.refuse(place, "out_of_range", f"{text}; correct one of the two")
    return Between(least=least or REFUSED, most=most or REFUSED, seed=form.seed)
