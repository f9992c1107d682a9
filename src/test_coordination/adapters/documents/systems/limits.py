"""Reads how much of a system may be hit at a time, and how many slots its pools have."""

from __future__ import annotations

from collections.abc import Mapping

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import NAME_EXPECTED, fill, is_name
from test_coordination.adapters.documents.forms.topology import BudgetForm, TopologyForm
from test_coordination.adapters.documents.words import shown
from test_coordination.domain.scenario import BlastRadius


def read_budget(document: Document, form: TopologyForm) -> BlastRadius | None:
    """Return the most that the faults of all executions together may hit at a time."""
    if form.blast_radius is None:
        return None
    at: Location = ("blast_radius",)
    content = document.entries(at, "a limit, such as {services: 2, percent: 50%},")
    found = fill(BudgetForm, document, at)
    if not content and document.at(at) == {}:
        text = (
            "a blast radius without a limit limits nothing; write {services: 2} or {percent: 50%}"
        )
        document.refuse(at, "empty", text)
    return BlastRadius(mark=document.mark(at), services=found.services, percent=found.percent)


def read_pools(document: Document, form: TopologyForm) -> Mapping[str, int]:
    """Return how many slots each pool has."""
    for name in form.pools:
        if not is_name(name):
            text = f"{shown(name)} is no name of a pool; write {NAME_EXPECTED}"
            document.refuse(("pools", name), "bad_name", text, key=True)
    return form.pools
