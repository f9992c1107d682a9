"""Reads a scenario from text, and tells all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from test_coordination.adapters.documents.checks import read_checks, read_stop_rules
from test_coordination.adapters.documents.claims import (
    read_blast_radius,
    read_dependencies,
    read_on_failure,
    read_resources,
)
from test_coordination.adapters.documents.composition.compose import LANGUAGE_VERSION, open_document
from test_coordination.adapters.documents.declarations import parameter_type, read_parameters
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.drafts import Draft, every, named, read_drafts
from test_coordination.adapters.documents.forms.form import fill, is_name, is_word
from test_coordination.adapters.documents.forms.scenario import (
    BodyForm,
    ScenarioForm,
    TemplateForm,
)
from test_coordination.adapters.documents.gates import read_start
from test_coordination.adapters.documents.identities import Identities
from test_coordination.adapters.documents.probes import read_probes
from test_coordination.adapters.documents.reading import Conditions, Reading
from test_coordination.adapters.documents.relations import check_references
from test_coordination.adapters.documents.steps import read_step
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import described, shown
from test_coordination.application.capabilities import Catalogue
from test_coordination.application.ports import Expressions, Library
from test_coordination.domain.expressions import Kind, Names
from test_coordination.domain.names import (
    ProbeShape,
    live_names,
    secret_names,
    settled_names,
    step_names,
)
from test_coordination.domain.scenario import (
    DocumentKind,
    ProbeSpec,
    Scenario,
    Template,
)
from test_coordination.domain.steps import ProbeStep
from test_coordination.domain.topology import Topology

_FORMS: Final[Mapping[DocumentKind, type[BodyForm]]] = {
    DocumentKind.SCENARIO: ScenarioForm,
    DocumentKind.TEMPLATE: TemplateForm,
}
_LISTS: Final = ("preconditions", "steady_state", "stop_when", "postconditions", "on_failure")
_OTHER_KINDS: Final[Mapping[str, str]] = {
    "template": "this is a template, which cannot be run; give a scenario that extends it",
    "suite": "this is a suite, not a scenario; give it where a suite is asked for",
    "topology": "this is a topology, not a scenario; give it where a topology is asked for",
}


class ScenarioDecoder:
    """Turns documents of version 1 of the language into scenarios and templates."""

    def __init__(
        self, catalogue: Catalogue, expressions: Expressions, *, environment: Iterable[str] = ()
    ) -> None:
        """Decode what may ask for all in ``catalogue``, and name variables of ``environment``."""
        self._catalogue = catalogue
        self._expressions = expressions
        self._environment = frozenset(environment)

    def scenario(self, document: Document, topology: Topology | None = None) -> Scenario:
        """Return the scenario in ``document``; every mistake is noted there.

        Without a ``topology`` any service and link may be named; with one, only its own.
        """
        return self._decoding(document, DocumentKind.SCENARIO, topology).body()

    def template(self, document: Document, topology: Topology | None = None) -> Template:
        """Return the template in ``document``; see `scenario`."""
        return Template(body=self._decoding(document, DocumentKind.TEMPLATE, topology).body())

    def _decoding(
        self, document: Document, kind: DocumentKind, topology: Topology | None
    ) -> _Decoding:
        decoding = _Decoding(document, self._catalogue, kind=kind, topology=topology)
        decoding.prepare(self._expressions, self._environment)
        return decoding


class ScenarioReader:
    """Reads scenarios of version 1 of the language."""

    def __init__(
        self, catalogue: Catalogue, expressions: Expressions, *, environment: Iterable[str] = ()
    ) -> None:
        """Read scenarios that may ask for what is in ``catalogue``; see `ScenarioDecoder`."""
        self._decoder = ScenarioDecoder(catalogue, expressions, environment=environment)

    def read(
        self,
        text: str | bytes,
        *,
        file: str,
        topology: Topology | None = None,
        library: Library | None = None,
    ) -> Scenario:
        """Return the scenario that ``text`` is; ``file`` is only named in places.

        Without a ``topology`` any service and link may be named; with one, only its own. What it
        extends is looked up in ``library``.

        Raises:
            InvalidDocumentError: there are mistakes; as many as can be found at once.
        """
        document, composed = open_document(text, file=file, library=library)
        _check_kind(document)
        scenario = self._decoder.scenario(document, topology)
        document.settle()
        return replace(
            scenario, source=document.text, parts=composed.parts, extends=composed.extends
        )


class _Decoding:
    """The way of one document to a scenario, or to the body of a template."""

    def __init__(
        self,
        document: Document,
        catalogue: Catalogue,
        *,
        kind: DocumentKind,
        topology: Topology | None,
    ) -> None:
        self._document = document
        self._catalogue = catalogue
        self._kind = kind
        self._topology = topology
        self._form = fill(_FORMS[kind], document, ())
        self._content = document.entries((), f"a {kind}")
        self._name = str(getattr(self._form, kind))

    def prepare(self, expressions: Expressions, environment: Iterable[str]) -> None:
        """Read all that the steps and checks refer to."""
        document = self._document
        self._check_version()
        self._parameters = (
            read_parameters(document, ("parameters",)) if self._has("parameters") else ()
        )
        known = [each for each in self._parameters if is_word(each.name)]
        secrets = secret_names(known)
        names = {**settled_names(known, self._topology, environment), **secrets}
        self._names: Names = {**names, **self._refused_parameters(names)}
        self._texts = Texts(document, expressions, secrets=secrets)
        self._probes = self._read_probes()
        drafts = read_drafts(document, ("steps",)) if self._has("steps") else ()
        self._identities = Identities(document)
        self._take_ids(drafts)
        self._drafts = named(drafts, self._identities)

    def body(self) -> Scenario:
        """Return everything; see `prepare`."""
        document, form, ids = self._document, self._form, self._identities
        early, late = self._reading(), self._reading()
        scenario = Scenario(
            name=self._name,
            mark=document.mark((str(self._kind),)),
            source="",
            title=form.title,
            description=form.description,
            owner=form.owner,
            tags=tuple(form.tags),
            parameters=self._parameters,
            depends_on=read_dependencies(early, scenario=self._name),
            resources=read_resources(early),
            blast_radius=read_blast_radius(early),
            probes=self._probes,
            start=read_start(early),
            preconditions=read_checks(early, "preconditions", ids, named="precondition"),
            steady_state=read_checks(early, "steady_state", ids, named="steady"),
            stop_when=read_stop_rules(late, ids),
            steps=tuple(
                step
                for draft in self._drafts
                if (step := read_step(late, draft, scenario=self._name)) is not None
            ),
            postconditions=read_checks(late, "postconditions", ids, named="postcondition"),
            on_failure=read_on_failure(late, ids),
            timeout=late.moment(("timeout",), form.timeout),
        )
        observed = {**self._names, **self._live(scenario)}
        early.conditions.judge(self._texts, observed)
        late.conditions.judge(self._texts, {**observed, **self._step_names(scenario)})
        check_references(document, self._drafts, scenario)
        return scenario

    def _has(self, key: str) -> bool:
        return self._content.get(key) is not None

    def _check_version(self) -> None:
        found = self._form.version
        if not self._has("version") or (found == LANGUAGE_VERSION and type(found) is int):
            return
        rule = "unsupported_version" if type(found) is int else "wrong_type"
        hint = "; leave the quotes out" if found == str(LANGUAGE_VERSION) else ""
        text = f"'version' is that of the language and must be {LANGUAGE_VERSION}, "
        self._document.refuse(("version",), rule, f"{text}not {described(found)}{hint}")

    def _refused_parameters(self, names: Names) -> Names:
        """Return as known what was refused at its declaration, so that it is told only there."""
        declared = self._content.get("parameters")
        if declared is None:
            return {}
        if not isinstance(declared, Mapping):
            return {"parameters": Kind.ANY}
        return {
            f"parameters.{name}": Kind.ANY
            for name, content in declared.items()
            if f"parameters.{name}" in names and not _has_type(content)
        }

    def _read_probes(self) -> tuple[ProbeSpec, ...]:
        if not self._has("probes"):
            return ()
        return read_probes(
            self._document,
            ("probes",),
            kinds=self._catalogue.probes,
            texts=self._texts,
            names=self._names,
        )

    def _take_ids(self, drafts: tuple[Draft, ...]) -> None:
        """Take every id that is written, in the order of the page."""
        found: list[tuple[str, Location]] = [
            (draft.form.id, (*draft.location, "id"))
            for draft in every(drafts)
            if draft.form.id is not None
        ]
        for key in _LISTS:
            entries = self._content.get(key)
            for place, entry in enumerate(entries if isinstance(entries, list) else ()):
                name = entry.get("id") if isinstance(entry, Mapping) else None
                if isinstance(name, str) and is_name(name):
                    found.append((name, (key, place, "id")))
        for name, location in sorted(found, key=lambda taken: self._document.mark(taken[1])):
            self._identities.take(name, location)

    def _reading(self) -> Reading:
        return Reading(
            document=self._document,
            catalogue=self._catalogue,
            texts=self._texts,
            names=self._names,
            services=frozenset(self._topology.services) if self._topology else None,
            conditions=Conditions(),
        )

    def _live(self, scenario: Scenario) -> Names:
        """Return what can be seen before the first step."""
        kinds = self._catalogue.probes
        probes = [probe for probe in scenario.probes if is_word(probe.name)]
        shapes = {
            probe.name: ProbeShape(fields=kind.fields, measured=kind.measured, unit=kind.unit)
            for probe in probes
            if (kind := kinds.get(probe.kind)) is not None
        }
        unclear = {f"probes.{each.name}": Kind.ANY for each in probes if each.name not in shapes}
        if self._has("probes") and not isinstance(self._content["probes"], Mapping):
            unclear = {"probes": Kind.ANY}
        return {**live_names(replace(scenario, steps=()), shapes, {}), **unclear}

    def _step_names(self, scenario: Scenario) -> Names:
        """Return what is known of the steps that have names of their own."""
        kinds = self._catalogue.probes
        own = {draft.id for draft in every(self._drafts) if draft.is_named}
        names: dict[str, Kind] = {}
        for step in scenario.every_step():
            if step.id in own:
                kind = kinds.get(step.kind) if isinstance(step, ProbeStep) else None
                names |= step_names(step, kind.fields if kind else {})
        return names


def _check_kind(document: Document) -> None:
    """Refuse what is no scenario at all.

    Raises:
        InvalidDocumentError: it is none, and nothing else about it is of use.
    """
    content = document.entries((), "a scenario")
    first = next(iter(content))
    if first == "scenario":
        return
    if first in _OTHER_KINDS:
        document.refuse((first,), "wrong_document", _OTHER_KINDS[first], key=True)
    elif "scenario" in content:
        text = "'scenario' must be the first key of the document, for it says what it is; move it"
        document.refuse(("scenario",), "wrong_document", text, key=True)
        return
    else:
        text = "the first key must be 'scenario' with the name of the scenario, "
        document.refuse((first,), "wrong_document", f"{text}not {shown(first)}", key=True)
    document.settle()


def _has_type(declaration: object) -> bool:
    found = declaration.get("type") if isinstance(declaration, Mapping) else None
    return parameter_type(found) is not None
