"""What a scenario asks for as a whole: others before it, resources, limits, last actions."""

from __future__ import annotations

from test_coordination.adapters.documents.checks import places
from test_coordination.adapters.documents.controls import read_retry
from test_coordination.adapters.documents.document import Location
from test_coordination.adapters.documents.forms.fields import split_reference
from test_coordination.adapters.documents.forms.form import NAME_EXPECTED, fill, is_name
from test_coordination.adapters.documents.forms.scenario import (
    BlastRadiusForm,
    DependencyForm,
    FailureForm,
    ResourcesForm,
)
from test_coordination.adapters.documents.identities import Identities
from test_coordination.adapters.documents.reading import Reading
from test_coordination.adapters.documents.words import shown
from test_coordination.domain.scenario import BlastRadius, Dependency, Reference, Resources
from test_coordination.domain.steps import ActionStep
from test_coordination.domain.values import StepId


def read_dependencies(reading: Reading, *, scenario: str) -> tuple[Dependency, ...]:
    """Return the scenarios that must have ended before ``scenario``, which reads them."""
    found = []
    for location in places(reading, "depends_on", "a list of scenarios, such as [{scenario: …}],"):
        form = fill(DependencyForm, reading.document, location)
        reference = split_reference(form.scenario) if form.scenario is not None else None
        if reference is None:
            continue
        name, version = reference
        at: Location = (*location, "scenario")
        if name == scenario:
            text = f"the scenario {name!r} would wait for itself; name another, or leave it out"
            reading.document.refuse(at, "cycle", text)
        within = reading.moment((*location, "within"), form.within)
        mark = reading.document.mark(at)
        found.append(
            Dependency(
                scenario=Reference(name=name, mark=mark, version=version),
                verdicts=form.verdict,
                within=within,
            )
        )
    return tuple(found)


def read_resources(reading: Reading) -> Resources:
    """Return what is claimed beside the targets of faults."""
    if not reading.has((), "resources"):
        return Resources()
    at: Location = ("resources",)
    reading.document.entries(at, "what is claimed, such as {exclusive: [database/trading]},")
    form = fill(ResourcesForm, reading.document, at)
    for name in form.pools:
        if not is_name(name):
            text = f"{shown(name)} is no name of a pool; write {NAME_EXPECTED}"
            reading.document.refuse((*at, "pools", name), "bad_name", text, key=True)
    exclusive, shared = enumerate(form.exclusive), enumerate(form.shared)
    return Resources(
        exclusive=tuple(reading.text((*at, "exclusive", place), text) for place, text in exclusive),
        shared=tuple(reading.text((*at, "shared", place), text) for place, text in shared),
        pools=form.pools,
    )


def read_blast_radius(reading: Reading) -> BlastRadius | None:
    """Return the most that all faults may hit."""
    if not reading.has((), "blast_radius"):
        return None
    at: Location = ("blast_radius",)
    content = reading.document.entries(at, "a limit, such as {services: 1, percent: 50%},")
    form = fill(BlastRadiusForm, reading.document, at)
    if not content and reading.document.at(at) == {}:
        text = (
            "a blast radius without a limit limits nothing; write {services: 1} or {percent: 50%}"
        )
        reading.document.refuse(at, "empty", text)
    return BlastRadius(mark=reading.document.mark(at), services=form.services, percent=form.percent)


def read_on_failure(reading: Reading, identities: Identities) -> tuple[ActionStep, ...]:
    """Return the actions that are done once it is known that the execution did not hold."""
    found = []
    for location in places(reading, "on_failure", "a list of actions, such as [{action: …}],"):
        form = fill(FailureForm, reading.document, location)
        kind = None
        if form.action is not None:
            kind = reading.kind(reading.catalogue.actions, (*location, "action"))
        name = form.id or identities.made_up(f"failure-{int(location[-1]) + 1}")
        found.append(
            ActionStep(
                id=StepId(name),
                mark=reading.document.mark(location),
                title=form.title,
                timeout=reading.moment((*location, "timeout"), form.timeout),
                retry=read_retry(reading, location),
                action=form.action or "",
                parameters=reading.parameters(location, kind),
            )
        )
    return tuple(found)
