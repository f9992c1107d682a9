"""What a fault is aimed at: one service by name, or services chosen by names and tags."""

from __future__ import annotations

from typing import Final

from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.forms.fields import PERCENT_MAX, share
from test_coordination.adapters.documents.forms.form import fill
from test_coordination.adapters.documents.forms.part import SelectorForm
from test_coordination.adapters.documents.reading import Reading
from test_coordination.adapters.documents.words import described
from test_coordination.domain.steps import Quota, Selector, Text

_QUOTA: Final = "all, any, a whole number of at least 1, or a share such as 50%"


def read_target(reading: Reading, location: Location, found: object) -> Text | Selector:
    """Return what the fault at ``location`` is aimed at, which ``found`` says."""
    at = (*location, "target")
    if found is None:
        return ""
    if isinstance(found, str):
        return reading.service(at, found)
    form = fill(SelectorForm, reading.document, at)
    if not (reading.has(at, "service") or form.tags):
        text = "a target needs 'service' or 'tags' to choose from, such as {tags: {tier: backend}}"
        reading.document.refuse(at, "missing_key", text)
    excluded = enumerate(form.exclude)
    return Selector(
        mark=reading.document.mark(at),
        services=_services(reading, (*at, "service"), form.service),
        tags=form.tags,
        exclude=tuple(reading.service((*at, "exclude", place), name) for place, name in excluded),
        quota=_quota(reading, (*at, "instances"), form.instances),
        none=form.none,
        seed=form.seed,
    )


def _services(reading: Reading, location: Location, found: object) -> tuple[Text, ...]:
    if found is None:
        return ()
    if isinstance(found, str):
        return (reading.service(location, found),)
    document = reading.document
    names = document.items(location, "the name of a service, or a list of names,")
    if not names and isinstance(found, list):
        text = "'service' is an empty list; name at least one service, or leave it out"
        document.refuse(location, "empty", text)
    services: list[Text] = []
    for place, name in enumerate(names):
        at = (*location, place)
        if isinstance(name, str):
            services.append(reading.service(at, name))
        else:
            text = f"each of 'service' must be the name of a service, not {described(name)}"
            document.refuse(at, "wrong_type", text)
    return tuple(services)


def _quota(reading: Reading, location: Location, found: object) -> Quota:
    if found == "all":
        return Quota()
    if found == "any":
        return Quota(count=1)
    if isinstance(found, int) and found > 0:
        return Quota(count=found)
    percent = share(found) if isinstance(found, str) else None
    if percent is not None and 0 < percent <= PERCENT_MAX:
        return Quota(percent=percent)
    rule = "out_of_range" if percent is not None or isinstance(found, int) else "unknown_value"
    text = f"'instances' must be {_QUOTA}, not {described(found)}"
    reading.document.refuse(location, rule, text)
    return Quota()
