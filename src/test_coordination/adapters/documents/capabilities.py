"""What a document asks of the catalogue: kinds by name, and the parameters given to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import described
from test_coordination.application.capabilities import Parameterised, ParameterProblem
from test_coordination.domain.expressions import Names
from test_coordination.domain.steps import Parameters

# Of the kinds that may be given a single text: the parameter that it is.
SHORT_FORMS: Final[Mapping[str, str]] = {
    "http": "request",
    "process": "service",
    "python": "call",
}


def read_with(
    document: Document,
    location: Location,
    *,
    kind: Parameterised | None,
    texts: Texts,
    names: Names,
    discreet: bool = True,
) -> Parameters:
    """Return the parameters at ``location``, a map, after ``kind`` has judged them.

    Where they are ``discreet`` they may hold secrets.
    """
    document.entries(location, "parameters, such as {grace: 2s},")
    found, unknown = texts.values(location, names, discreet=discreet)
    if not isinstance(found, dict):
        return {}
    for problem in kind.problems(found, unknown=unknown) if kind else ():
        _refuse(document, location, problem)
    return found


def read_none(document: Document, location: Location, *, kind: Parameterised) -> Parameters:
    """Judge that no parameters are given to ``kind`` at ``location``, a step without ``with``."""
    for problem in kind.problems({}):
        text = f"{problem.text}; parameters stand under 'with'"
        document.refuse(location, _rule(problem), text)
    return {}


def read_probe_parameters(
    document: Document,
    location: Location,
    *,
    kind: Parameterised,
    texts: Texts,
    names: Names,
) -> Parameters:
    """Return the parameters at ``location``: a map, or the short form that some kinds have."""
    name, given = str(location[-1]), document.at(location)
    if isinstance(given, Mapping):
        return read_with(document, location, kind=kind, texts=texts, names=names)
    if name not in SHORT_FORMS or not isinstance(given, str):
        short = ", or a text" if name in SHORT_FORMS else ""
        text = f"{name!r} must be keys and values{short}, not {described(given)}"
        document.refuse(location, "wrong_type", text)
        return {}
    found, unknown = texts.values(location, names, discreet=True)
    key = SHORT_FORMS[name]
    parameters = {key: found}
    for problem in kind.problems(parameters, unknown=frozenset((key, *path) for path in unknown)):
        document.refuse(location, _rule(problem), problem.text)
    return parameters


def _refuse(document: Document, location: Location, problem: ParameterProblem) -> None:
    rule = _rule(problem)
    place = (*location, *problem.path)
    document.refuse(place, rule, problem.text, key=rule == "unknown_parameter" or not problem.path)


def _rule(problem: ParameterProblem) -> str:
    if problem.missing:
        return "missing_parameter"
    # What `adapters.parameters` says about a key that is not among the fields.
    if problem.text.startswith("no parameter is named"):
        return "unknown_parameter"
    return "bad_parameter"
