"""What faults, actions and probes there are, each explained: as data, and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from test_coordination.adapters.documents.capabilities import SHORT_FORMS
from test_coordination.adapters.documents.references.words import (
    KeyWords,
    contents,
    key_words,
    keys_table,
    page,
    table,
    yaml_line,
)
from test_coordination.adapters.documents.schemas.catalogue import example
from test_coordination.application.capabilities import (
    Action,
    Catalogue,
    Fault,
    Parameterised,
    ProbeKind,
)
from test_coordination.domain.errors import CoordinationError, suggestion
from test_coordination.domain.series import figures

MADE: Final = "<!-- Made from the code by `make generated`; changes by hand are lost. -->"

_INTRODUCTION: Final = """
What a scenario may do to a system and see of it. `tcoord explain NAME` tells the same of one of
them. Values under `with:`, and those of probes, may hold expressions; see
[the scenario language](scenario-language.md).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One fault, action or probe in words.

    ``noun`` is which of these; ``facts`` are further things to know, by what they are called;
    ``example`` is YAML as it stands in a scenario.
    """

    noun: str
    name: str
    summary: str
    parameters: tuple[KeyWords, ...]
    facts: Mapping[str, str]
    example: str


@dataclass(eq=False, kw_only=True)
class UnknownKindError(CoordinationError):
    """No fault, action or probe has the name that was asked for."""

    code: ClassVar[str] = "catalogue.unknown"

    name: str
    known: frozenset[str]

    def __str__(self) -> str:
        hint = suggestion(self.name, self.known)
        return f"no fault, action or probe is named {self.name!r}; {hint}"


def explain(name: str, catalogue: Catalogue) -> tuple[Explained, ...]:
    """Return what there is to know of ``name``; a fault and an action may share one.

    Raises:
        UnknownKindError: nothing has that name.
    """
    found = tuple(one for one in explained(catalogue) if one.name == name)
    if not found:
        known = frozenset((*catalogue.faults, *catalogue.actions, *catalogue.probes))
        raise UnknownKindError(name=name, known=known)
    return found


def explained(catalogue: Catalogue) -> Iterator[Explained]:
    """Yield all that there is: faults, then actions, then probes."""
    for fault in catalogue.faults.values():
        yield _explained("fault", fault, facts=_fault_facts(fault), shown=_step(fault, "fault"))
    for action in catalogue.actions.values():
        yield _explained("action", action, facts={}, shown=_step(action, "action"))
    for probe in catalogue.probes.values():
        yield _explained("probe", probe, facts=_probe_facts(probe), shown=_probe(probe))


def catalogue_page(catalogue: Catalogue) -> str:
    """Return the page about all that is in ``catalogue``, as Markdown."""
    body: list[str] = []
    titles = {"fault": "Faults", "action": "Actions", "probe": "Probes"}
    for noun, title in titles.items():
        body += ["", f"## {title}", ""]
        for one in explained(catalogue):
            if one.noun == noun:
                body += _section(one)
    head = ["# Faults, actions and probes", "", MADE, _INTRODUCTION, *_overview(catalogue)]
    return page([*head, *contents(body), *body])


def _overview(catalogue: Catalogue) -> list[str]:
    rows = [[one.noun, f"`{one.name}`", one.summary] for one in explained(catalogue)]
    return table(["", "name", "what it does"], rows)


def _section(one: Explained) -> list[str]:
    summary = f"{one.summary[:1].upper()}{one.summary[1:]}."
    parts = [f"### {one.noun} `{one.name}`", "", summary, ""]
    parts += [f"- {name}: {text}" for name, text in one.facts.items()]
    parts += keys_table(one.parameters) if one.parameters else ["", "It has no parameters.", ""]
    return [*parts, "```yaml", one.example, "```", ""]


def _explained(
    noun: str, kind: Parameterised, *, facts: Mapping[str, str], shown: str
) -> Explained:
    return Explained(
        noun=noun,
        name=kind.kind,
        summary=kind.summary,
        parameters=tuple(key_words(kind.schema())),
        facts=facts,
        example=shown,
    )


def _fault_facts(fault: Fault) -> Mapping[str, str]:
    grows = ", ".join(f"`{name}`" for name in sorted(fault.scalable))
    return {
        "family": fault.family,
        "how it is undone": fault.undo,
        "can grow by `ramp`": f"yes, by {grows}" if grows else "no, it is in force or not",
    }


def _probe_facts(probe: ProbeKind) -> Mapping[str, str]:
    fields = ", ".join(f"`{name}` ({kind})" for name, kind in probe.fields.items())
    known = ", ".join(f"`{name}`" for name in figures({}, probe.unit))
    facts = {"a reading has": fields, f"figures, made of `{probe.measured}`": known}
    if probe.kind in SHORT_FORMS:
        facts["short form"] = f"a text alone is its `{SHORT_FORMS[probe.kind]}`"
    return facts


def _step(kind: Fault | Action, noun: str) -> str:
    lines = [f"- {noun}: {kind.kind}"]
    if noun == "fault":
        lines += ["  target: exchange", "  hold: 5s"]
    given = example(kind.schema())
    return "\n".join([*lines, f"  with: {yaml_line(given)}"] if given else lines)


def _probe(probe: ProbeKind) -> str:
    given = example(probe.schema())
    short = SHORT_FORMS.get(probe.kind)
    value = given[short] if short and list(given) == [short] else given
    return f"probes:\n  seen: {yaml_line({probe.kind: value, 'every': '1s'})}"
