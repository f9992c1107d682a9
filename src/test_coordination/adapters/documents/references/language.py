"""The page about the scenario language, made of the forms that documents are read by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from test_coordination.adapters.documents.declarations import EXPECTED
from test_coordination.adapters.documents.forms.form import Form
from test_coordination.adapters.documents.forms.parameter import ParameterForm
from test_coordination.adapters.documents.forms.part import (
    BetweenForm,
    RampForm,
    RepeatForm,
    RetryForm,
    SelectorForm,
    UntilForm,
)
from test_coordination.adapters.documents.forms.scenario import (
    BlastRadiusForm,
    CheckForm,
    DependencyForm,
    FailureForm,
    ProbeForm,
    ResourcesForm,
    ScenarioForm,
    StartForm,
    SteadyForm,
    StopRuleForm,
    TemplateForm,
)
from test_coordination.adapters.documents.forms.step import COMMON_FORMS, STEP_FORMS, StepForm
from test_coordination.adapters.documents.forms.suite import SuiteEntryForm, SuiteForm
from test_coordination.adapters.documents.references.pages import MADE
from test_coordination.adapters.documents.references.prose import (
    BACKGROUND,
    CHECKS,
    DOCUMENTS,
    EXPRESSIONS,
    FACTS,
    INHERITANCE,
    INTRODUCTION,
    NAMES,
    PARAMETERS,
    STEPS,
    VALUES,
)
from test_coordination.adapters.documents.references.words import (
    KeyWords,
    contents,
    examples,
    key_words,
    keys_table,
    page,
    table,
)
from test_coordination.adapters.documents.schemas.parts import form_shape
from test_coordination.domain.names import (
    EXECUTION_FACTS,
    FAULT_FACTS,
    PARAMETER_KINDS,
    STEP_FACTS,
)
from test_coordination.domain.parameters import ParameterType

_CHECKS: Final = "list of [checks](#checks)"
_WITH: Final = "map, see [the catalogue](catalogue.md)"
_STEPS: Final = "list of [steps](#steps)"
SAID: Final[Mapping[str, str]] = {
    "version": "`1`",
    "parameters": "map of names to [parameters](#parameters)",
    "extends": "name of a scenario or template, or list of names, see [inheritance](#inheritance)",
    "depends_on": "list of maps, see [depends_on](#depends_on)",
    "resources": "map, see [resources](#resources)",
    "blast_radius": "map, see [blast_radius](#blast_radius)",
    "probes": "map of names to [probes](#probes)",
    "start": "map, see [start](#start)",
    "preconditions": _CHECKS,
    "postconditions": _CHECKS,
    "steady_state": _CHECKS,
    "stop_when": "list of maps, see [stop_when](#stop_when)",
    "on_failure": "list of maps, see [on_failure](#on_failure)",
    "steps": _STEPS,
    "parallel": _STEPS,
    "sequence": _STEPS,
    "retry": "map, see [retry](#retry)",
    "repeat": "map, see [repeat](#repeat)",
    "ramp": "map, see [ramp](#ramp)",
    "background": "true or false, or a step",
    "fault": "name of a [fault](catalogue.md#faults)",
    "action": "name of an [action](catalogue.md#actions)",
    "probe": "a [probe](#probes) without `every` and `timeout`",
    "target": "service, or a map, see [target](#target)",
    "service": "service, or list of services",
    "wait": "duration or an expression, or a map, see [for a condition](#wait-for-a-condition) "
    "and [between two times](#wait-between-two-times)",
    "with": _WITH,
    "scenarios": "list of maps, see [scenarios](#scenarios)",
    "matrix": "map of names to lists, or to expressions for lists",
    "default": "value of its type",
    "min": "value of its type",
    "max": "value of its type",
    "values": "list of texts",
    "type": "see [types](#types)",
}


class Described(Protocol):
    """A function of expressions, as its users see it."""

    @property
    def signatures(self) -> tuple[str, ...]:
        """Return the ways in which it may be called."""
        ...

    @property
    def description(self) -> str:
        """Return what it gives."""
        ...

    @property
    def example(self) -> str:
        """Return a condition that uses it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A section about one form; ``prose`` stands before its table."""

    title: str
    form: type[Form]
    prose: str = ""
    level: int = 3
    but: frozenset[str] = frozenset()

    def lines(self) -> list[str]:
        keys = [one for one in words_of(self.form) if one.key not in self.but]
        text = self.prose or _sentence(self.form)
        return [
            *_heading(self.title, self.level),
            text.strip(),
            *keys_table(keys),
            *examples(keys),
        ]


def words_of(form: type[Form]) -> list[KeyWords]:
    """Return the keys of a form in words."""
    return key_words(form_shape(form), SAID)


def language_page(functions: Iterable[Described]) -> str:
    """Return the page about the language, as Markdown; expressions have these ``functions``."""
    body = [
        *_documents(),
        *_values(),
        *_Part(title="Probes", form=ProbeForm, prose=_PROBES, level=2).lines(),
        *_steps(),
        *_checks(),
        *_inheritance(),
        *_expressions(functions),
    ]
    head = ["# The scenario language", "", MADE, "", INTRODUCTION.strip(), ""]
    return page([*head, *contents(body), "", *body])


_PROBES: Final = """
What is looked at again and again while a scenario runs. The key that says what is looked at is
the name of a [kind of probe](catalogue.md#probes); its parameters stand under it, or, where it
has a short form, a text. Beside it:
"""


def _heading(title: str, level: int) -> list[str]:
    return ["", f"{'#' * level} {title}", ""]


def _noun(form: type[Form]) -> str:
    return form.noun.removeprefix("an ").removeprefix("a ")


def _sentence(form: type[Form]) -> str:
    return (form.__doc__ or "").replace("``", "`").strip()


def _documents() -> list[str]:
    keys = sorted(words_of(ScenarioForm), key=lambda one: one.key != "scenario")
    template = [one for one in words_of(TemplateForm) if one.key == "template"]
    parts = (
        _Part(title="depends_on", form=DependencyForm),
        _Part(title="resources", form=ResourcesForm),
        _Part(title="blast_radius", form=BlastRadiusForm),
        _Part(title="start", form=StartForm),
        _Part(title="stop_when", form=StopRuleForm),
        _Part(title="on_failure", form=FailureForm),
    )
    return [
        *_heading("Documents", 2),
        DOCUMENTS.strip(),
        *_heading("Scenario", 3),
        "A document whose first key is `scenario`.",
        *keys_table(keys),
        *examples(keys),
        *_heading("Template", 3),
        _TEMPLATE,
        *keys_table(template),
        *_Part(title="Suite", form=SuiteForm, prose=_SUITE).lines(),
        *_Part(title="scenarios", form=SuiteEntryForm).lines(),
        *(line for part in parts for line in part.lines()),
    ]


_TEMPLATE: Final = (
    "A document whose first key is `template`. It has the same keys as a scenario, but needs no "
    "`steps`, its parameters may be `abstract`, and it cannot be run."
)
_SUITE: Final = "A document whose first key is `suite`: scenarios that are run together."


def _values() -> list[str]:
    rows = [
        [f"`{_spelled(kind)}`", EXPECTED[kind], str(in_cel)]
        for kind, in_cel in PARAMETER_KINDS.items()
    ]
    return [
        *_heading("Values", 2),
        VALUES.strip(),
        *_Part(title="Parameters", form=ParameterForm, prose=PARAMETERS, level=2).lines(),
        *_heading("Types", 3),
        *table(["type", "value", "in expressions"], rows),
    ]


def _spelled(kind: ParameterType) -> str:
    return "list<T>" if kind is ParameterType.LIST else kind.value


def _steps() -> list[str]:
    common = words_of(StepForm)
    every = {one.key for one in common}
    beyond = {one.key: one for form in COMMON_FORMS for one in words_of(form)}
    some = [one for key, one in beyond.items() if key not in every]
    lines = [
        *_heading("Steps", 2),
        STEPS.strip(),
        *_heading("Keys of every step", 3),
        *keys_table(common),
        *examples(common),
        *_heading("Keys of some steps", 3),
        "Steps that may have these say so below.",
        *keys_table(some),
        BACKGROUND.strip(),
        "",
    ]
    for form in STEP_FORMS.values():
        own = [one for one in words_of(form) if one.key not in beyond]
        may = [f"`{key}`" for key in ("retry", "background") if key in form.known_keys()]
        also = f" It may have {' and '.join(may)}." if may else ""
        lines += [
            *_heading(_noun(form), 3),
            _sentence(form) + also,
            *keys_table(own),
            *examples(own),
        ]
    parts = (
        _Part(title="retry", form=RetryForm),
        _Part(title="repeat", form=RepeatForm),
        _Part(title="ramp", form=RampForm),
        _Part(title="target", form=SelectorForm),
        _Part(title=_noun(UntilForm), form=UntilForm),
        _Part(title=_noun(BetweenForm), form=BetweenForm),
    )
    return [*lines, *(line for part in parts for line in part.lines())]


def _checks() -> list[str]:
    part = _Part(title="Checks", form=SteadyForm, prose=CHECKS, level=2)
    assert SteadyForm.known_keys() - CheckForm.known_keys() == {"watch"}, "the prose says so"
    return part.lines()


def _inheritance() -> list[str]:
    return [*_heading("Inheritance", 2), INHERITANCE.strip(), ""]


def _expressions(functions: Iterable[Described]) -> list[str]:
    facts = {"steps.ID": STEP_FACTS, "faults.ID": FAULT_FACTS, "execution": EXECUTION_FACTS}
    rows = [[f"`{name}`", kind, text] for name, kind, text in NAMES]
    rows += [
        [f"`{group}.{name}`", str(kind), FACTS[f"{group}.{name}"]]
        for group, names in facts.items()
        for name, kind in names.items()
    ]
    called = [
        ["<br>".join(f"`{one}`" for one in each.signatures), each.description, f"`{each.example}`"]
        for each in functions
    ]
    return [
        *_heading("Expressions", 2),
        EXPRESSIONS.strip(),
        *_heading("Names", 3),
        *table(["name", "kind", "what it is"], rows),
        *_heading("Functions", 3),
        "Beside those of CEL itself:",
        *table(["function", "what it gives", "for example"], called),
    ]
