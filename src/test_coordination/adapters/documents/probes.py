"""The probes of a scenario: what is to be looked at, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from test_coordination.adapters.documents.capabilities import read_probe_parameters
from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import WORD_EXPECTED, fill, is_word
from test_coordination.adapters.documents.forms.scenario import ProbeForm
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import alternatives, enumerated, shown
from test_coordination.application.capabilities import ProbeKind
from test_coordination.domain.expressions import Names
from test_coordination.domain.scenario import ProbeSpec
from test_coordination.domain.values import ProbeName

PROBES_MAX: Final = 200
EVERY_DEFAULT: Final = timedelta(seconds=1)


def read_probes(
    document: Document,
    location: Location,
    *,
    kinds: Mapping[str, ProbeKind],
    texts: Texts,
    names: Names,
) -> tuple[ProbeSpec, ...]:
    """Return the probes at ``location``; one whose kind is not known has an empty kind."""
    entries = document.entries(location, "names with their probes")
    if len(entries) > PROBES_MAX:
        text = f"{len(entries)} probes; at most {PROBES_MAX} are allowed"
        document.refuse(location, "too_many", text, key=True)
    reader = _Probes(document, kinds, texts=texts, names=names)
    return tuple(reader.read((*location, name)) for name in [*entries][:PROBES_MAX])


class _Probes:
    """Reads one probe after the other."""

    def __init__(
        self,
        document: Document,
        kinds: Mapping[str, ProbeKind],
        *,
        texts: Texts,
        names: Names,
    ) -> None:
        self._document = document
        self._kinds = kinds
        self._texts = texts
        self._names = names

    def read(self, location: Location) -> ProbeSpec:
        name = str(location[-1])
        if not is_word(name):
            text = f"{shown(name)} is no name of a probe; write {WORD_EXPECTED}"
            self._document.refuse(location, "bad_name", text, key=True)
        content = self._document.entries(location, "a probe, such as {http: GET http://…},")
        beside = ProbeForm.known_keys()
        is_probe = isinstance(self._document.at(location), Mapping)
        kind = probe_kind(self._document, location, self._kinds, beside=beside) if is_probe else ""
        strange = content.keys() - self._kinds.keys() - beside
        skip = frozenset(content.keys() & self._kinds.keys()) | (frozenset() if kind else strange)
        form = fill(ProbeForm, self._document, location, skip=skip)
        every = self._texts.moment((*location, "every"), form.every, self._names)
        timeout = form.timeout and self._texts.moment(
            (*location, "timeout"), form.timeout, self._names
        )
        parameters = kind and read_probe_parameters(
            self._document,
            (*location, kind),
            kind=self._kinds[kind],
            texts=self._texts,
            names=self._names,
        )
        return ProbeSpec(
            name=ProbeName(name),
            kind=kind,
            parameters=parameters or {},
            every=every or EVERY_DEFAULT,
            mark=self._document.mark(location, key=True),
            timeout=timeout or None,
        )


def probe_kind(
    document: Document,
    location: Location,
    kinds: Mapping[str, ProbeKind],
    *,
    beside: frozenset[str] = frozenset(),
) -> str:
    """Return the kind of the probe at ``location``, a map; empty if it is of none that is known.

    The keys that may stand ``beside`` that of the kind are somebody else's to judge.
    """
    content = document.at(location)
    assert isinstance(content, Mapping), "what is no map is refused before"
    first, *more = [str(key) for key in content if key in kinds] or [""]
    strange = [key for key in content if key not in kinds and key not in beside]
    if not first and strange:
        text = f"no kind of probe is named {shown(strange[0])}; "
        hint = alternatives(strange[0], [*kinds, *beside])
        document.refuse((*location, strange[0]), "unknown_probe", text + hint, key=True)
    elif not first:
        known = enumerated(sorted(kinds)) if kinds else "which there are none of"
        text = f"a probe needs the key that says what it looks at: {known}"
        document.refuse(location, "no_kind", text)
    for key in more:
        text = f"a probe is of one kind, and this one is {first!r} already; "
        text += f"put {key!r} into a probe of its own"
        document.refuse((*location, key), "two_kinds", text, key=True)
    return first
