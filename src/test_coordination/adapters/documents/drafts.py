"""The steps of a scenario as they stand on the page: their kinds, ids and groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from test_coordination.adapters.documents.backgrounds import write_out
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import fill, not_supported
from test_coordination.adapters.documents.forms.step import (
    COMMON_FORMS,
    LATER_STEPS,
    STEP_FORMS,
    StepForm,
)
from test_coordination.adapters.documents.identities import Identities
from test_coordination.adapters.documents.words import alternatives, enumerated, shown
from test_coordination.domain.values import StepId

STEPS_MAX: Final = 1_000
GROUPS: Final = ("parallel", "sequence")

_COMMON: Final = frozenset().union(*(form.known_keys() for form in COMMON_FORMS))
_KEYS: Final = _COMMON.union(*(form.known_keys() for form in STEP_FORMS.values()), LATER_STEPS)
_NO_ID: Final = StepId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One step whose texts have not been looked at yet.

    ``kind`` is None where the author names none that is known. ``is_named`` tells an id that
    was written from one that was made up here.
    """

    location: Location
    kind: str | None
    form: StepForm
    id: StepId
    is_named: bool = False
    inner: tuple[Draft, ...] = ()

    def walk(self) -> Iterator[Draft]:
        """Yield this step and all in it."""
        yield self
        for draft in self.inner:
            yield from draft.walk()


def read_drafts(document: Document, location: Location) -> tuple[Draft, ...]:
    """Return the steps at ``location``; `named` gives them their ids."""
    return _Steps(document).read(location)


def named(drafts: tuple[Draft, ...], identities: Identities) -> tuple[Draft, ...]:
    """Return ``drafts`` with an id for each; those that were written are taken already."""
    places = {draft.location: place for place, draft in enumerate(every(drafts), start=1)}

    def name(draft: Draft) -> Draft:
        found = draft.form.id or identities.made_up(f"step-{places[draft.location]}")
        inner = tuple(map(name, draft.inner))
        return replace(draft, id=StepId(found), is_named=draft.form.id is not None, inner=inner)

    return tuple(map(name, drafts))


def every(drafts: Iterable[Draft]) -> Iterator[Draft]:
    """Yield each step, a group before the steps in it."""
    for draft in drafts:
        yield from draft.walk()


class _Steps:
    """Reads lists of steps, and counts."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def read(self, location: Location) -> tuple[Draft, ...]:
        expected = "a list of steps, such as [{wait: 5s}],"
        found = self._document.items(location, expected)
        if not found and isinstance(self._document.at(location), list):
            text = f"{location[-1]!r} is an empty list; name at least one step"
            self._document.refuse(location, "empty", text)
        drafts = (self._step((*location, place)) for place in range(len(found)))
        return tuple(draft for draft in drafts if draft is not None)

    def _step(self, location: Location) -> Draft | None:
        self._count += 1
        if self._count > STEPS_MAX:
            if self._count == STEPS_MAX + 1:
                text = f"there are more than {STEPS_MAX} steps; split the scenario"
                self._document.refuse(location, "too_many", text)
            return None
        self._document.entries(location, "a step, such as {wait: 5s},")
        write_out(self._document, location)
        content = self._document.at(location)
        if not isinstance(content, Mapping):
            return None
        kind, strange = self._kind(location, content)
        others = frozenset(STEP_FORMS.keys() - {kind})
        form = STEP_FORMS[kind] if kind else StepForm
        skip = others | strange if kind else others | strange | (_KEYS - StepForm.known_keys())
        filled = fill(form, self._document, location, skip=skip)
        inner: tuple[Draft, ...] = ()
        if kind in GROUPS and content[kind] is not None:
            inner = self.read((*location, kind))
        return Draft(location=location, kind=kind, form=filled, id=_NO_ID, inner=inner)

    def _kind(
        self, location: Location, content: Mapping[str, object]
    ) -> tuple[str | None, frozenset[str]]:
        """Return the kind of a step, and the keys that have been refused already."""
        kinds = [key for key in content if key in STEP_FORMS]
        first = kinds[0] if kinds else None
        later = [key for key in content if key in LATER_STEPS]
        for key in later:
            text = not_supported(f"steps of the kind {key!r}")
            self._document.refuse((*location, key), "not_supported", text, key=True)
        for key in kinds[1:]:
            text = f"a step is of one kind, and this one is {first!r} already; "
            text += f"put {key!r} into a step of its own"
            self._document.refuse((*location, key), "two_kinds", text, key=True)
        strange: frozenset[str] = frozenset() if kinds else frozenset(content) - _KEYS
        for key in sorted(strange):
            text = f"a step has no key {shown(key)}; {alternatives(key, _KEYS - LATER_STEPS)}"
            self._document.refuse((*location, key), "unknown_key", text, key=True)
        if first is None and not later and not strange:
            text = f"a step needs the key that says what it does: {enumerated(STEP_FORMS)}"
            self._document.refuse(location, "no_kind", text)
        return first, strange | frozenset(later)
