"""What the person who starts a scenario may choose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from test_coordination.domain.errors import Mark
from test_coordination.domain.values import Value


class ParameterType(StrEnum):
    """The types that a scenario's parameter may have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    PERCENT = "percent"
    BYTES = "bytes"
    SERVICE = "service"
    ENUM = "enum"
    LIST = "list"
    SECRET = "secret"  # noqa: S105  the name of a type


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that the person who starts the scenario may choose.

    ``items`` is the type of a list's items, for which bounds, values and pattern then hold.
    One that is ``abstract`` has to be made concrete by whatever extends its template. The value
    of a secret is a reference to where it is kept, never the secret itself.
    """

    name: str
    type: ParameterType
    mark: Mark
    items: ParameterType | None = None
    default: Value = None
    required: bool = False
    abstract: bool = False
    minimum: Value = None
    maximum: Value = None
    values: tuple[Value, ...] = ()
    pattern: str | None = None
    unit: str = ""
    description: str = ""
