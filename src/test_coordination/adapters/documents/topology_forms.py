"""What the parts of a topology may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from test_coordination.adapters.documents.forms import (
    Flag,
    Form,
    Name,
    Words,
    choice,
    duration,
)
from test_coordination.domain.topology import Criticality, StopSignal
from test_coordination.domain.verdicts import Severity

GRACE_MAX: Final = timedelta(minutes=10)
HEALTH_TIMEOUT_MAX: Final = timedelta(minutes=30)
_NONE: Final = timedelta(0)


class TopologyForm(Form):
    """The document itself."""

    noun: ClassVar[str] = "a topology"
    required: ClassVar[Mapping[str, str]] = {"services": "the processes to run, by name"}

    topology: Name = ""
    variables: dict[str, Words] = Field(default_factory=dict)
    services: object = None
    links: object = None
    stores: object = None
    invariants: object = None


class ServiceForm(Form):
    """One entry of ``services``."""

    noun: ClassVar[str] = "a service"
    required: ClassVar[Mapping[str, str]] = {
        "command": "the program and its arguments, such as [sleep, '60']"
    }

    command: list[Words] = Field(default_factory=list)
    env: dict[str, Words] = Field(default_factory=dict)
    directory: Words | None = None
    ports: object = None
    health: object = None
    depends_on: list[Words] = Field(default_factory=list)
    tags: dict[str, Words] = Field(default_factory=dict)
    criticality: Annotated[Criticality, choice(Criticality)] = Criticality.NORMAL
    protect: Flag = False
    stop_grace: Annotated[str, duration(_NONE, GRACE_MAX)] = "5s"
    stop_signal: Annotated[StopSignal, choice(StopSignal)] = StopSignal.TERM
    state: object = None


class HealthForm(Form):
    """How a service's health is seen."""

    noun: ClassVar[str] = "a health check"

    http: Words | None = None
    tcp: Words | None = None
    unix: Words | None = None
    timeout: Annotated[str, duration(_NONE, HEALTH_TIMEOUT_MAX)] = "30s"


class StateForm(Form):
    """One part of a service's state."""

    noun: ClassVar[str] = "a part of a service's state"

    http: Words | None = None
    sql: Words | None = None
    query: Words | None = None
    process: Flag | None = None


class LinkForm(Form):
    """One entry of ``links``."""

    noun: ClassVar[str] = "a link"
    required: ClassVar[Mapping[str, str]] = {
        "from": "the service that connects",
        "to": "the service that it connects to",
        "listen": "the port on which the link takes connections",
    }

    source: Words | None = Field(default=None, alias="from")
    to: Words | None = None
    port: Words | None = None
    listen: object = None


class StoreForm(Form):
    """One entry of ``stores``."""

    noun: ClassVar[str] = "a store"
    required: ClassVar[Mapping[str, str]] = {
        "postgres": "its URL, or where that is kept, such as env:DATABASE_URL"
    }

    postgres: Words | None = None


class InvariantForm(Form):
    """One entry of ``invariants``."""

    noun: ClassVar[str] = "an invariant"
    required: ClassVar[Mapping[str, str]] = {
        "id": "its name, such as nothing-lost",
        "expect": "the condition that must be true",
    }

    id: Name | None = None
    expect: Words | None = None
    severity: Annotated[Severity, choice(Severity)] = Severity.NORMAL
