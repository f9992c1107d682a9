"""Checks: those that stand in lists of their own, and those that are steps."""

from __future__ import annotations

from typing import Final

from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.drafts import Draft
from test_coordination.adapters.documents.forms.form import fill
from test_coordination.adapters.documents.forms.scenario import (
    CheckForm,
    SteadyForm,
    StopRuleForm,
)
from test_coordination.adapters.documents.forms.step import ExpectForm
from test_coordination.adapters.documents.identities import Identities
from test_coordination.adapters.documents.reading import REFUSED, Reading
from test_coordination.domain.scenario import StopCondition
from test_coordination.domain.steps import Check, Mode
from test_coordination.domain.values import CheckId, StepId

CHECKS_MAX: Final = 200


def places(reading: Reading, key: str, expected: str) -> list[Location]:
    """Return where the entries of the list under ``key`` stand; what is no map is refused."""
    if not reading.has((), key):
        return []
    document, at = reading.document, (key,)
    found = document.items(at, expected)
    if len(found) > CHECKS_MAX:
        text = f"{len(found)} entries; at most {CHECKS_MAX} are allowed"
        document.refuse(at, "too_many", text, key=True)
    locations: list[Location] = [(key, place) for place in range(min(len(found), CHECKS_MAX))]
    for location in locations:
        document.entries(location, "keys and values, such as {id: healthy},")
    return locations


def read_checks(
    reading: Reading, key: str, identities: Identities, *, named: str
) -> tuple[Check, ...]:
    """Return the checks under ``key``; one without an id is called ``named`` and its number."""
    kind = SteadyForm if key == "steady_state" else CheckForm
    found = []
    for location in places(reading, key, "a list of checks, such as [{expect: …}],"):
        form = fill(kind, reading.document, location)
        found.append(
            Check(
                id=CheckId(form.id or identities.made_up(f"{named}-{int(location[-1]) + 1}")),
                expression=reading.condition((*location, "expect"), form.expect),
                within=reading.moment((*location, "within"), form.within),
                hold=reading.moment((*location, "hold"), form.hold),
                severity=form.severity,
                weight=form.weight,
                watch=form.watch if isinstance(form, SteadyForm) else True,
                title=form.title,
            )
        )
    return tuple(found)


def read_stop_rules(reading: Reading, identities: Identities) -> tuple[StopCondition, ...]:
    """Return the conditions on which everything is stopped."""
    found = []
    for location in places(reading, "stop_when", "a list of conditions, such as [{when: …}],"):
        form = fill(StopRuleForm, reading.document, location)
        found.append(
            StopCondition(
                id=CheckId(form.id or identities.made_up(f"stop-{int(location[-1]) + 1}")),
                condition=reading.condition((*location, "when"), form.when),
                hold=reading.moment((*location, "hold"), form.hold),
                title=form.title,
            )
        )
    return tuple(found)


def read_expect(reading: Reading, draft: Draft, form: ExpectForm) -> Check:
    """Return the check that a step is."""
    at = draft.location
    _check_modes(reading, at, form)
    mode, span = Mode.EVENTUALLY, None
    if form.never is not None:
        mode, span = Mode.NEVER, form.never
    elif form.always is not None or form.during is not None:
        mode, span = Mode.ALWAYS, form.always
    key = "never" if mode is Mode.NEVER else "always"
    return Check(
        id=CheckId(draft.id),
        expression=reading.condition((*at, "expect"), form.expect),
        mode=mode,
        within=reading.moment((*at, "within"), form.within),
        hold=reading.moment((*at, "hold"), form.hold),
        span=(reading.moment((*at, key), span) or REFUSED) if isinstance(span, str) else None,
        during=StepId(form.during) if form.during else None,
        severity=form.severity,
        weight=form.weight,
        after_fault=StepId(form.after_fault) if form.after_fault else None,
        title=form.title,
    )


def _check_modes(reading: Reading, at: Location, form: ExpectForm) -> None:
    """Refuse keys that do not go together, each of them once."""
    given = [key for key in ("always", "never", "during") if getattr(form, key) is not None]
    if not given:
        return
    first = given[0]
    for key in ("within", "hold"):
        if getattr(form, key) is not None:
            text = f"{key!r} is for a check that becomes true, and {first!r} for one that is true "
            reading.conflict((*at, key), f"{text}at every look; leave one of the two out")
    if "always" in given and "never" in given:
        text = "a check is always true or never, not both; write a step of its own for the other"
        reading.conflict((*at, "never"), text)
    elif form.during is not None:
        _check_during(reading, at, form, mode=first)
    elif getattr(form, first) is True and not form.background:
        text = f"'{first}: true' goes on until the other steps are over; say for how long, such as "
        text += f"'{first}: 30s', or beside which step with 'during', or add 'background: true'"
        reading.conflict((*at, first), text)


def _check_during(reading: Reading, at: Location, form: ExpectForm, *, mode: str) -> None:
    if mode != "during" and getattr(form, mode) is not True:
        text = f"the step that 'during' names says how long; write '{mode}: true'"
        reading.conflict((*at, mode), text)
    if form.after_fault is not None:
        text = "'during' counts with a step and 'after_fault' from the end of one; leave one out"
        reading.conflict((*at, "after_fault"), text)
