"""What it takes to read the parts of a scenario: its document, the catalogue, the names known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, TypeVar

from test_coordination.adapters.documents.capabilities import read_none, read_with
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import NAME_EXPECTED, is_name
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import alternatives, shown
from test_coordination.application.capabilities import Catalogue, Parameterised
from test_coordination.domain.expressions import Expression, Kind, Names
from test_coordination.domain.names import each_names
from test_coordination.domain.steps import ForEach, Moment, Parameters, Text

AXES_MAX: Final = 64
"""In how many ways the names of what steps are copied for may be put together."""

REFUSED: Final = timedelta(seconds=1)
"""What stands for a duration that was refused; the document is, too."""

Known = TypeVar("Known", bound=Parameterised)


class Conditions:
    """Conditions that are judged once everything is known that they may name."""

    def __init__(self) -> None:
        self._found: dict[frozenset[tuple[str, Kind]], list[Expression]] = {}
        self._axes: set[frozenset[str]] = set()

    def copied(self, own: Names) -> bool:
        """Note the names of copies; tell whether there are just now more kinds than allowed."""
        before = len(self._axes)
        self._axes.add(frozenset(own))
        return before == AXES_MAX < len(self._axes)

    def add(self, condition: Expression, own: Names) -> None:
        """Keep a condition for later; ``own`` are the names that it alone may use."""
        self._found.setdefault(frozenset(own.items()), []).append(condition)

    def judge(self, texts: Texts, names: Names) -> None:
        """Check every condition against ``names`` and its own.

        Those with the same names come together, for it takes long to get ready for others.
        """
        for own, conditions in self._found.items():
            known = {**names, **dict(own)}
            for condition in conditions:
                texts.judge(condition, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What it takes to read steps and checks; ``conditions`` gathers those that they state.

    ``names`` are those known in any text, secrets among them, and ``own`` are those of them
    that are known only where a step is copied. ``services`` are all that there are, or None
    where that is not known.
    """

    document: Document
    catalogue: Catalogue
    texts: Texts
    names: Names
    services: frozenset[str] | None
    conditions: Conditions
    own: Names = field(default_factory=dict)

    def inside(self, for_each: ForEach | None) -> Reading:
        """Return what it takes to read a step that is copied, and all that is in it."""
        if for_each is None:
            return self
        known = each_names(for_each)
        own = {**self.own, **known}
        if self.conditions.copied(own):
            text = f"the names under 'for_each' are put together in more than {AXES_MAX} ways; "
            self.document.refuse_at(for_each.mark, "too_many", f"{text}use the same names again")
            self.document.settle()
        return replace(self, names={**self.names, **known}, own=own)

    def moment(self, location: Location, text: str | None) -> Moment | None:
        """Return the duration at ``location``; None where there is none, or it was refused."""
        return None if text is None else self.texts.moment(location, text, self.names)

    def condition(self, location: Location, text: str | None) -> Expression:
        """Return the condition at ``location``; one that was refused is never true."""
        found = None if text is None else self.texts.statement(location, text)
        if found is not None:
            self.conditions.add(found, self.own)
        return found or Expression(text="false", mark=self.document.mark(location))

    def text(self, location: Location, text: str) -> Text:
        """Return the text at ``location``, which may hold expressions."""
        return self.texts.text(location, text, self.names, kind=Kind.STRING)

    def service(self, location: Location, name: str) -> Text:
        """Return the service that is named at ``location``, or what will name it."""
        found = self.text(location, name)
        if not isinstance(found, str) or "${{" in name:
            return found
        if not is_name(found):
            text = f"a service was expected, which is {NAME_EXPECTED}, not {shown(found)}"
            self.document.refuse(location, "bad_name", text)
        elif self.services is not None and found not in self.services:
            text = f"no service is named {shown(found)}; {alternatives(found, self.services)}"
            self.document.refuse(location, "unknown_service", text)
        return found

    def kind(self, known: Mapping[str, Known], location: Location) -> Known | None:
        """Return what is named at ``location``, whose last key says what it is."""
        name, noun = self.document.at(location), location[-1]
        if not isinstance(name, str) or name in known:
            return known.get(name) if isinstance(name, str) else None
        text = f"no {noun} is named {shown(name)}; {alternatives(name, known)}"
        self.document.refuse(location, f"unknown_{noun}", text)
        return None

    def parameters(self, location: Location, kind: Parameterised | None) -> Parameters:
        """Return what is given to ``kind`` by the step at ``location``."""
        if self.has(location, "with"):
            return read_with(
                self.document,
                (*location, "with"),
                kind=kind,
                texts=self.texts,
                names=self.names,
            )
        return read_none(self.document, location, kind=kind) if kind else {}

    def has(self, location: Location, key: str) -> bool:
        """Tell whether what stands at ``location`` has a value for ``key``."""
        content = self.document.at(location)
        return isinstance(content, Mapping) and content.get(key) is not None

    def conflict(self, location: Location, text: str) -> None:
        """Refuse a key that does not go together with others."""
        self.document.refuse(location, "conflict", text, key=True)
