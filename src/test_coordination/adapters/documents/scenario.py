"""Reads a scenario from text, and tells all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from test_coordination.adapters.documents.declarations import read_parameters
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.drafts import Draft, every, read_drafts
from test_coordination.adapters.documents.forms import fill, is_word
from test_coordination.adapters.documents.probes import read_probes
from test_coordination.adapters.documents.references import check_references
from test_coordination.adapters.documents.scenario_forms import CheckForm, ScenarioForm
from test_coordination.adapters.documents.steps import Reading
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import described, shown
from test_coordination.application.capabilities import Catalogue
from test_coordination.application.ports import Expressions
from test_coordination.domain.expressions import Kind, Names
from test_coordination.domain.names import settled_names, word
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.scenario import TIMEOUT_DEFAULT, ProbeSpec, Scenario
from test_coordination.domain.series import figures
from test_coordination.domain.steps import Check
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import CheckId, StepId

LANGUAGE_VERSION: Final = 1
CHECKS_MAX: Final = 200

_OTHER_KINDS: Final[Mapping[str, str]] = {
    "template": "this is a template, and this release does not know templates yet; "
    "write a scenario",
    "suite": "this is a suite, and this release does not know suites yet; "
    "write a scenario for each of its parts",
    "topology": "this is a topology, not a scenario; give it where a topology is asked for",
}


class ScenarioReader:
    """Reads scenarios of version 1 of the language."""

    def __init__(self, catalogue: Catalogue, expressions: Expressions) -> None:
        """Read scenarios that may ask for what is in ``catalogue``."""
        self._catalogue = catalogue
        self._expressions = expressions

    def read(self, text: str | bytes, *, file: str, topology: Topology | None = None) -> Scenario:
        """Return the scenario that ``text`` is; ``file`` is only named in places.

        Without a ``topology`` any service and link may be named; with one, only its own.

        Raises:
            InvalidDocumentError: there are mistakes; as many as can be found at once.
        """
        document = Document(text, file=file, language="scenario")
        _check_kind(document)
        scenario = _Decoding(document, self._catalogue, self._expressions).scenario(topology)
        document.settle()
        return replace(scenario, source=document.text)


class _Decoding:
    """The way of one document to a scenario."""

    def __init__(self, document: Document, catalogue: Catalogue, expressions: Expressions) -> None:
        self._document = document
        self._catalogue = catalogue
        self._expressions = expressions
        self._form = fill(ScenarioForm, document, ())
        self._content = document.entries((), "a scenario")

    def scenario(self, topology: Topology | None) -> Scenario:
        document, form = self._document, self._form
        self._check_version()
        texts = Texts(document, self._expressions)
        parameters = read_parameters(document, ("parameters",)) if self._has("parameters") else ()
        names = self._names(parameters, topology)
        probes = self._probes(texts, names)
        drafts = read_drafts(document, ("steps",)) if self._has("steps") else ()
        before = Reading(
            document=document,
            catalogue=self._catalogue,
            texts=texts,
            names=names,
            observed={**names, **self._probe_names(probes)},
            services=frozenset(topology.services) if topology else None,
        )
        within = replace(before, observed={**before.observed, **_step_names(drafts)})
        timeout = form.timeout and texts.moment(("timeout",), form.timeout, names)
        scenario = Scenario(
            name=form.scenario,
            mark=document.mark(("scenario",)),
            source="",
            title=form.title,
            description=form.description,
            tags=tuple(form.tags),
            parameters=parameters,
            probes=probes,
            steady_state=self._steady_state(before, {draft.id for draft in every(drafts)}),
            steps=tuple(filter(None, (within.step(draft) for draft in drafts))),
            timeout=timeout or TIMEOUT_DEFAULT,
        )
        check_references(document, drafts, scenario)
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

    def _probes(self, texts: Texts, names: Names) -> tuple[ProbeSpec, ...]:
        if not self._has("probes"):
            return ()
        kinds = self._catalogue.probes
        return read_probes(self._document, ("probes",), kinds=kinds, texts=texts, names=names)

    def _names(self, parameters: tuple[Parameter, ...], topology: Topology | None) -> Names:
        """Return what every text may name; what was refused is known, so that it is told once."""
        names = dict(settled_names((one for one in parameters if is_word(one.name)), topology))
        if not self._has("parameters"):
            return names
        declared = self._content["parameters"]
        if not isinstance(declared, Mapping):
            return {**names, "parameters": Kind.ANY}
        for name in declared:
            if f"parameters.{name}" in names and not _has_type(declared[name]):
                names[f"parameters.{name}"] = Kind.ANY
        return names

    def _probe_names(self, probes: tuple[ProbeSpec, ...]) -> Names:
        names: dict[str, Kind] = {}
        if self._has("probes") and not isinstance(self._content["probes"], Mapping):
            names["probes"] = Kind.ANY
        for probe in probes:
            kind = self._catalogue.probes.get(probe.kind)
            if not is_word(probe.name):
                continue
            if kind is None:
                names[f"probes.{probe.name}"] = Kind.ANY
                continue
            for figure, gives in figures(kind.fields, kind.unit).items():
                names[f"probes.{probe.name}.{figure}"] = gives
        return names

    def _steady_state(self, reading: Reading, taken: set[StepId]) -> tuple[Check, ...]:
        if not self._has("steady_state"):
            return ()
        document, at = self._document, ("steady_state",)
        found = document.items(at, "a list of checks, such as [{expect: …}],")
        if len(found) > CHECKS_MAX:
            text = f"{len(found)} checks; at most {CHECKS_MAX} are allowed"
            document.refuse(at, "too_many", text, key=True)
        checks: list[Check] = []
        ids = {str(name) for name in taken}
        for place in range(min(len(found), CHECKS_MAX)):
            location: Location = (*at, place)
            document.entries(location, "a check, such as {expect: …},")
            form = fill(CheckForm, document, location)
            if form.id in ids:
                text = f"a step or check has the id {form.id!r} already; give this one its own"
                document.refuse((*location, "id"), "duplicate_id", text)
            identity = form.id or f"steady-{place + 1}"
            ids.add(identity)
            checks.append(reading.check(location, form, CheckId(identity)))
        return tuple(checks)


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
    kind = declaration.get("type") if isinstance(declaration, Mapping) else None
    return isinstance(kind, str) and kind in [known.value for known in ParameterType]


def _step_names(drafts: Sequence[Draft]) -> Names:
    names: dict[str, Kind] = {}
    for draft in every(drafts):
        if not draft.is_named:
            continue
        names[f"steps.{word(draft.id)}.outcome"] = Kind.STRING
        if draft.kind == "snapshot":
            names[f"snapshots.{word(draft.id)}"] = Kind.MAP
    return names
