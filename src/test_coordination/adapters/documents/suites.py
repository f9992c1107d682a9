"""Reads suites: which scenarios are run together, in which order, with which parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Final, TypeAlias

from test_coordination.adapters.documents.composition.compose import LANGUAGE_VERSION
from test_coordination.adapters.documents.declarations import parameter_type, read_parameters
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.fields import split_reference
from test_coordination.adapters.documents.forms.form import WORD_EXPECTED, fill, is_word
from test_coordination.adapters.documents.forms.suite import SuiteEntryForm, SuiteForm
from test_coordination.adapters.documents.identities import Identities
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import alternatives, described, shown
from test_coordination.application.ports import Expressions
from test_coordination.domain.expressions import Expression, Kind, Names
from test_coordination.domain.graph import find_cycle
from test_coordination.domain.names import secret_names, settled_names
from test_coordination.domain.parameters import Parameter
from test_coordination.domain.scenario import Reference, Suite, SuiteEntry
from test_coordination.domain.steps import COPIES_MAX, Parameters
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import StepId

ENTRIES_MAX: Final = 200

_Matrix: TypeAlias = Mapping[str, Expression | tuple[object, ...]]


class SuiteDecoder:
    """Turns documents of version 1 of the language into suites."""

    def __init__(self, expressions: Expressions, *, environment: Iterable[str] = ()) -> None:
        """Decode what may name variables of ``environment``."""
        self._expressions = expressions
        self._environment = frozenset(environment)

    def suite(self, document: Document, topology: Topology | None = None) -> Suite:
        """Return the suite in ``document``; every mistake is noted there.

        The scenarios that it names are not looked up.
        """
        form = fill(SuiteForm, document, ())
        _check_version(document, form)
        parameters: tuple[Parameter, ...] = ()
        if form.parameters is not None:
            parameters = read_parameters(document, ("parameters",))
        known = [each for each in parameters if is_word(each.name)]
        secrets = secret_names(known)
        names = {**settled_names(known, topology, self._environment), **secrets}
        names = {name: kind for name, kind in names.items() if not name.startswith("execution.")}
        names |= _refused_parameters(form.parameters, names)
        texts = Texts(document, self._expressions, secrets=secrets)
        reading = _Reading(document, texts, names)
        matrix = reading.matrix((), form.matrix)
        entries = reading.entries(form.scenarios, matrix)
        return Suite(
            name=form.suite,
            mark=document.mark(("suite",)),
            source=document.text,
            title=form.title,
            description=form.description,
            owner=form.owner,
            tags=tuple(form.tags),
            parameters=parameters,
            matrix=matrix,
            entries=entries,
            concurrency=form.concurrency,
            stop_on=form.stop_on,
        )


def _refused_parameters(declared: object, names: Names) -> Names:
    """Return as known what was refused at its declaration, so that it is told only there."""
    if declared is not None and not isinstance(declared, Mapping):
        return {"parameters": Kind.ANY}
    return {
        f"parameters.{name}": Kind.ANY
        for name, said in (declared or {}).items()
        if f"parameters.{name}" in names and not _has_type(said)
    }


def _has_type(said: object) -> bool:
    return isinstance(said, Mapping) and parameter_type(said.get("type")) is not None


def _check_version(document: Document, form: SuiteForm) -> None:
    found = form.version
    if found is not None and (found != LANGUAGE_VERSION or type(found) is not int):
        text = f"'version' is that of the language and must be {LANGUAGE_VERSION}, "
        document.refuse(("version",), "unsupported_version", f"{text}not {described(found)}")


class _Reading:
    """What it takes to read the entries of one suite."""

    def __init__(self, document: Document, texts: Texts, names: Names) -> None:
        self._document = document
        self._texts = texts
        self._names = names

    def matrix(self, location: Location, found: object) -> _Matrix:
        """Return the axes under ``matrix`` of the suite or of an entry."""
        if found is None:
            return {}
        at = (*location, "matrix")
        axes = self._document.entries(at, "values by name, such as {outage: [1s, 5s]},")
        for name in axes:
            if not is_word(name):
                text = f"{shown(name)} is no name for values; write {WORD_EXPECTED}"
                self._document.refuse((*at, name), "bad_name", text, key=True)
        if not axes and isinstance(found, Mapping):
            text = "'matrix' is empty; name values, such as {outage: [1s, 5s]}, or leave it out"
            self._document.refuse(at, "empty", text)
        return {name: self._axis((*at, name)) for name in axes}

    def _axis(self, at: Location) -> Expression | tuple[object, ...]:
        found = self._document.at(at)
        if isinstance(found, list):
            if not found:
                text = f"{at[-1]!r} is an empty list; name at least one value"
                self._document.refuse(at, "empty", text)
            values, _ = self._texts.values(at, self._names)
            return values if isinstance(values, tuple) else ()
        if isinstance(found, str) and "${{" in found:
            value = self._texts.text(at, found, self._names, kind=Kind.LIST)
            if isinstance(value, Expression):
                return value
        text = f"{at[-1]!r} must be a list, or one expression that gives a list and nothing "
        text += f"around it, not {described(found)}"
        self._document.refuse(at, "wrong_type", text)
        return ()

    def entries(self, found: object, matrix: _Matrix) -> tuple[SuiteEntry, ...]:
        """Return the entries, each with an id; ``matrix`` is that of all of them."""
        if found is None:
            return ()
        at: Location = ("scenarios",)
        items = self._document.items(at, "a list of scenarios, such as [{scenario: …}],")
        if not items and isinstance(found, list):
            text = "'scenarios' is an empty list; name at least one"
            self._document.refuse(at, "empty", text)
        if len(items) > ENTRIES_MAX:
            text = f"{len(items)} entries; at most {ENTRIES_MAX} are allowed: split the suite"
            self._document.refuse(at, "too_many", text, key=True)
        places = [(*at, place) for place in range(min(len(items), ENTRIES_MAX))]
        forms = [self._form(place) for place in places]
        names = self._ids(places, forms)
        read = [
            self._entry(place, form, (name, matrix))
            for place, form, name in zip(places, forms, names, strict=True)
        ]
        self._check_needs(places, read)
        self._check_size(read, matrix)
        return tuple(read)

    def _form(self, location: Location) -> SuiteEntryForm:
        self._document.entries(location, "an entry, such as {scenario: exchange-restart},")
        return fill(SuiteEntryForm, self._document, location)

    def _ids(self, places: Sequence[Location], forms: Sequence[SuiteEntryForm]) -> list[StepId]:
        identities = Identities(self._document)
        for at, form in zip(places, forms, strict=True):
            if form.id is not None:
                identities.take(form.id, (*at, "id"))
        return [StepId(form.id or identities.made_up(_default_id(form))) for form in forms]

    def _entry(
        self, at: Location, form: SuiteEntryForm, given: tuple[StepId, _Matrix]
    ) -> SuiteEntry:
        name, shared = given
        own = self.matrix(at, form.matrix)
        for axis in own.keys() & shared.keys():
            text = f"the suite has values named {axis!r} already; give these another name"
            self._document.refuse((*at, "matrix", axis), "duplicate", text, key=True)
        axes = {f"matrix.{axis}": Kind.ANY for axis in (*shared, *own)}
        scenario, version = split_reference(form.scenario or "") or ("", None)
        return SuiteEntry(
            id=name,
            scenario=Reference(
                name=scenario, version=version, mark=self._document.mark((*at, "scenario"))
            ),
            needs=tuple(StepId(need) for need in form.needs or ()),
            parameters=self._given(at, form, {**self._names, **axes}),
            matrix=own,
        )

    def _given(self, at: Location, form: SuiteEntryForm, names: Names) -> Parameters:
        if form.parameters is None:
            return {}
        inside = (*at, "with")
        self._document.entries(inside, "parameters, such as {outage: 5s},")
        values, _ = self._texts.values(inside, names, discreet=True)
        return values if isinstance(values, dict) else {}

    def _check_needs(self, places: Sequence[Location], entries: Sequence[SuiteEntry]) -> None:
        where = {entry.id: at for at, entry in zip(places, entries, strict=True)}
        for entry in entries:
            for place, need in enumerate(entry.needs):
                if need not in where:
                    text = f"no entry has the id {shown(need)}; {alternatives(need, where)}"
                    at = (*where[entry.id], "needs", place)
                    self._document.refuse(at, "unknown_entry", text)
        needs = {entry.id: frozenset(entry.needs) for entry in entries}
        while circle := find_cycle(needs):
            text = f"these wait for each other: {' -> '.join(circle)}; take one of the needs away"
            self._document.refuse(where[circle[0]], "cycle", text)
            needs = {name: waits for name, waits in needs.items() if name not in circle}

    def _check_size(self, entries: Sequence[SuiteEntry], matrix: _Matrix) -> None:
        copies = sum(_size(matrix) * _size(entry.matrix) for entry in entries)
        if copies > COPIES_MAX:
            text = f"the suite would run {copies} executions; at most {COPIES_MAX} are allowed: "
            text += "leave values or entries out"
            self._document.refuse(("scenarios",), "too_many", text, key=True)


def _default_id(form: SuiteEntryForm) -> str:
    named = split_reference(form.scenario or "")
    return named[0] if named else "entry"


def _size(matrix: _Matrix) -> int:
    return prod(len(axis) for axis in matrix.values() if isinstance(axis, tuple))
