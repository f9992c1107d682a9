"""Typed parameters of faults, actions and probes, and mistakes in them told in our own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from test_coordination.adapters.shapes import (
    BOUNDS,
    DURATION,
    TYPE,
    Shape,
    model_shape,
    shown_as,
    span,
)
from test_coordination.application.capabilities import ParameterProblem
from test_coordination.domain.errors import CoordinationError, suggestion
from test_coordination.domain.topology import Topology
from test_coordination.domain.values import DURATION_EXPECTED, format_duration, parse_duration

Trail: TypeAlias = tuple[str | int, ...]
FOUND_CHARACTERS_MAX: Final = 60
PORT_DEFAULT: Final = 80
# Strict on purpose: what this admits, every parser of URLs reads in the same way.
_URL: Final = re.compile(
    r"http://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d{1,5}))?(?:[/?][!-\[\]-~]*)?"
)
URL_SHAPE: Final[Shape] = {
    "type": "string",
    "pattern": f"^{re.sub('[?]P<[a-z]+>', '', _URL.pattern)}$",
    TYPE: "URL",
}
_STATUSES: Final = re.compile(r"([1-5]\d\d)(?:\.\.([1-5]\d\d))?")
_STATUS_SHAPE: Final[Shape] = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": r"^[1-5][0-9]{2}(?:\.\.[1-5][0-9]{2})?$"},
    ],
    TYPE: "status, or range of these",
}
_EXPECTED: Final[Mapping[str, str]] = {
    "bool": "true or false",
    "dict": "a map",
    "float": "a number",
    "finite_number": "a finite number",
    "int": "a whole number",
    "list": "a list",
    "string": "text",
    "time_delta": DURATION_EXPECTED,
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


class Parameters(BaseModel):
    """Parameters of one kind; a key that is not among the fields is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Typed:
    """What takes the parameters of a ``model``; the base of faults, actions and probes."""

    model: ClassVar[type[Parameters]]

    def problems(
        self, parameters: Mapping[str, object], *, unknown: frozenset[Trail] = frozenset()
    ) -> Sequence[ParameterProblem]:
        """See `Parameterised.problems`."""
        return problems(self.model, parameters, unknown)

    def schema(self) -> Mapping[str, object]:
        """See `Parameterised.schema`."""
        return model_shape(self.model)

    @property
    def grants(self) -> frozenset[str]:
        """See `Parameterised.grants`: most things take no leave."""
        return frozenset()

    def needs(self, parameters: Mapping[str, object]) -> frozenset[str]:
        """See `Parameterised.needs`."""
        del parameters
        return frozenset()


P = TypeVar("P", bound=Parameters)


@dataclass(eq=False, kw_only=True)
class InvalidParametersError(CoordinationError):
    """Parameters turned out wrong when they were to be used: a value was not known before."""

    code: ClassVar[str] = "parameters.invalid"

    problems: tuple[ParameterProblem, ...]

    def __str__(self) -> str:
        return "; ".join(problem.text for problem in self.problems)


def _duration(value: object) -> object:
    read = parse_duration(value) if isinstance(value, str) else value
    if not isinstance(read, timedelta):
        raise PydanticCustomError("expected", "{expected}", {"expected": DURATION_EXPECTED})
    return read


Duration: TypeAlias = Annotated[
    timedelta, BeforeValidator(_duration, json_schema_input_type=shown_as(DURATION))
]
"""A length of time, written as the product writes it; `bounds` narrows it."""


@dataclass(frozen=True, slots=True)
class Bounded(AfterValidator):
    """A check that says in words what it admits."""

    words: str

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core), BOUNDS: self.words}


def bounds(
    *,
    above: timedelta | None = None,
    least: timedelta | None = None,
    most: timedelta | None = None,
) -> Bounded:
    """Return the annotation that keeps a `Duration` above, at least, or at most so long."""

    def check(value: timedelta) -> timedelta:
        expected = ""
        if above is not None and value <= above:
            expected = f"more than {format_duration(above)}"
        if least is not None and value < least:
            expected = f"at least {format_duration(least)}"
        if most is not None and value > most:
            expected = f"at most {format_duration(most)}"
        if expected:
            raise PydanticCustomError("expected", "{expected}", {"expected": expected})
        return value

    return Bounded(check, span(above=above, least=least, most=most))


def _statuses(value: object) -> object:
    text = _STATUSES.fullmatch(str(value)) if isinstance(value, str | int) else None
    if text is None or int(text[2] or text[1]) < int(text[1]):
        expected = "a status such as 200, or a range such as 200..299"
        raise PydanticCustomError("expected", "{expected}", {"expected": expected})
    return f"{text[1]}..{text[2] or text[1]}"


Statuses: TypeAlias = Annotated[
    str,
    BeforeValidator(_statuses, json_schema_input_type=shown_as(_STATUS_SHAPE)),
    Field(validate_default=True),
]
"""Statuses of HTTP that are well; `is_among` reads it."""


def is_among(status: int, statuses: str) -> bool:
    """Tell whether ``status`` is in a range that `Statuses` has admitted."""
    first, _, last = statuses.partition("..")
    return int(first) <= status <= int(last)


def plain(value: object) -> object:
    """Return ``value`` with tuples as lists and every mapping as a dict."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value


def parse(model: type[P], parameters: Mapping[str, object]) -> P:
    """Return ``parameters`` as ``model`` types them.

    Raises:
        InvalidParametersError: some are wrong; all mistakes are named.
    """
    if mistakes := problems(model, parameters, frozenset()):
        raise InvalidParametersError(problems=tuple(mistakes))
    return model.model_validate(plain(parameters))


def problems(
    model: type[Parameters], parameters: Mapping[str, object], unknown: frozenset[Trail]
) -> Sequence[ParameterProblem]:
    """Return every mistake in ``parameters``; what hangs on ``unknown`` paths is let pass.

    A mistake of several parameters together counts only when all of them are known.
    """
    try:
        model.model_validate(plain(parameters))
    except ValidationError as error:
        details = error.errors(include_url=False)
        return [_problem(model, found) for found in details if not _hidden(found, unknown)]
    return []


def _hidden(found: ErrorDetails, unknown: frozenset[Trail]) -> bool:
    path = found["loc"]
    # A key that nothing has is a mistake whatever its value will be.
    above = path[:-1] if found["type"] == "extra_forbidden" else path
    return any(above[: len(value)] == value for value in unknown) or (not path and bool(unknown))


def _problem(model: type[Parameters], found: ErrorDetails) -> ParameterProblem:
    path = found["loc"]
    name = ".".join(map(str, path)) or "these parameters"
    match found["type"]:
        case "missing":
            text = f"{name!r} is missing; give it a value"
            return ParameterProblem(path=path, text=text, missing=True)
        case "extra_forbidden":
            hint = suggestion(str(path[-1]), _names_of(model)) if len(path) == 1 else "leave it out"
            return ParameterProblem(path=path, text=f"no parameter is named {name!r}; {hint}")
        case "value_error":
            return ParameterProblem(path=path, text=str(found["ctx"]["error"]))
        case _:
            text = f"{name!r} is {_shown(found['input'])}, expected {_expected(found)}"
            return ParameterProblem(path=path, text=text)


def _names_of(model: type[Parameters]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def _expected(found: ErrorDetails) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind in {"expected", "literal_error"}:
        return ("" if kind == "expected" else "one of ") + str(context["expected"])
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]:g}"
    if kind == "string_too_short":
        return f"at least {context['min_length']} characters"
    known = kind.removesuffix("_type").removesuffix("_parsing")
    return _EXPECTED.get(known, found["msg"][:1].lower() + found["msg"][1:])


def _shown(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case timedelta():
            return format_duration(value)
        case Mapping():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            text = repr(value)
            short = len(text) <= FOUND_CHARACTERS_MAX
            return text if short else f"{text[:FOUND_CHARACTERS_MAX]}…"


def forbidden_url(topology: Topology, url: str) -> str:
    """Return why ``url`` may not be asked, or nothing if it leads into the system under test."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return url_problem(url)
    host, port = parts["host"].strip("[]"), int(parts["port"] or PORT_DEFAULT)
    own = topology.addresses()
    names = {host} | ({"127.0.0.1"} if host == "localhost" else set())
    if any(f"{name}:{port}" in own for name in names):
        return ""
    return (
        f"'{host}:{port}' is no address of system {topology.name!r}, and no other may be asked; "
        f"{suggestion(f'{host}:{port}', own)}"
    )


def url_problem(url: str) -> str:
    """Return what is wrong with ``url`` before any topology is known, or nothing."""
    if _URL.fullmatch(url):
        return ""
    return f"{url!r} is no plain URL, expected one such as http://127.0.0.1:8084/health"
