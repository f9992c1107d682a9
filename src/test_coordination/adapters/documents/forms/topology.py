"""What the parts of a topology may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field

from test_coordination.adapters.documents.forms.fields import percentage, whole
from test_coordination.adapters.documents.forms.form import (
    Flag,
    Form,
    Name,
    Statement,
    Words,
    choice,
    duration,
)
from test_coordination.domain.topology import Criticality, StopSignal
from test_coordination.domain.verdicts import Severity

SLOTS_MAX: Final = 100_000
GRACE_MAX: Final = timedelta(minutes=10)
HEALTH_TIMEOUT_MAX: Final = timedelta(minutes=30)
_NONE: Final = timedelta(0)


class TopologyForm(Form):
    """The document itself."""

    noun: ClassVar[str] = "a topology"
    required: ClassVar[Mapping[str, str]] = {"services": "the processes to run, by name"}

    topology: Name = Field(default="", description="the name of the system", examples=["shop"])
    variables: dict[str, Words] = Field(
        default_factory=dict,
        description="texts that ${NAME} stands for, which may be given another value at the start",
        examples=[{"region": "eu"}],
    )
    services: object = Field(
        default=None,
        description="the processes to run, by name",
        examples=[{"shop": {"command": ["python", "shop.py"], "ports": {"http": 8080}}}],
    )
    links: object = Field(
        default=None,
        description="connections between services that go through a proxy, by name",
        examples=[{"shop-bank": {"from": "shop", "to": "bank", "listen": 18080}}],
    )
    stores: object = Field(
        default=None,
        description="databases that probes may ask, by name",
        examples=[{"books": {"postgres": "env:BOOKS_URL"}}],
    )
    invariants: object = Field(
        default=None,
        description="what must always be true of the state of the services",
        examples=[[{"id": "balanced", "expect": "services.bank.books.total == 0.0"}]],
    )
    blast_radius: object = Field(
        default=None,
        description="the most that the faults of all executions together may hit at a time; one "
        "that would hit more waits until another is undone",
        examples=[{"services": 2, "percent": "50%"}],
    )
    pools: dict[str, Annotated[int, whole(1, SLOTS_MAX)]] = Field(
        default_factory=dict,
        description="how many slots each pool has, which executions take as their resources",
        examples=[{"network": 2}],
    )


class ServiceForm(Form):
    """One entry of ``services``."""

    noun: ClassVar[str] = "a service"
    required: ClassVar[Mapping[str, str]] = {
        "command": "the program and its arguments, such as [sleep, '60']"
    }

    command: list[Words] = Field(
        default_factory=list,
        description="the program and its arguments; no shell sees them",
        examples=[["${python}", "${here}/shop.py", "--port", "${shop.http}"]],
    )
    env: dict[str, Words] = Field(
        default_factory=dict,
        description="variables of its environment, beside those of the coordinator",
        examples=[{"BANK_URL": "http://${links.shop-bank}"}],
    )
    directory: Words | None = Field(
        default=None, description="the folder in which it is started", examples=["${here}"]
    )
    ports: object = Field(
        default=None,
        description="the ports on which it listens at 127.0.0.1, by name",
        examples=[{"http": 8080}],
    )
    health: object = Field(
        default=None,
        description="how it is seen to be healthy; without it, it is as soon as it runs",
        examples=[{"http": "/health", "timeout": "10s"}],
    )
    depends_on: list[Words] = Field(
        default_factory=list,
        description="the services that are healthy before it is started",
        examples=[["bank"]],
    )
    tags: dict[str, Words] = Field(
        default_factory=dict,
        description="words and values by which faults choose it",
        examples=[{"tier": "backend"}],
    )
    criticality: Annotated[Criticality, choice(Criticality)] = Field(
        default=Criticality.NORMAL, description="how bad it is for people if it is gone"
    )
    protect: Flag = Field(
        default=False, description="whether faults and actions that end it are refused"
    )
    stop_grace: Annotated[str, duration(_NONE, GRACE_MAX)] = Field(
        default="5s",
        description="how long it may take to end by itself before it is killed",
        examples=["10s"],
    )
    stop_signal: Annotated[StopSignal, choice(StopSignal)] = Field(
        default=StopSignal.TERM, description="the signal by which it is asked to end"
    )
    state: object = Field(
        default=None,
        description="what a snapshot captures of it, part by part",
        examples=[{"orders": {"http": "/orders"}}],
    )


class HealthForm(Form):
    """How a service's health is seen."""

    noun: ClassVar[str] = "a health check"

    http: Words | None = Field(
        default=None,
        description="the path of a page at its port named http that answers with 2xx",
        examples=["/health"],
    )
    tcp: Words | None = Field(
        default=None, description="the name of a port that takes connections", examples=["main"]
    )
    unix: Words | None = Field(
        default=None,
        description="the path of a socket that takes connections",
        examples=["${state}/shop.sock"],
    )
    timeout: Annotated[str, duration(_NONE, HEALTH_TIMEOUT_MAX)] = Field(
        default="30s",
        description="how long it may take to become healthy after its start",
        examples=["1m"],
    )


class StateForm(Form):
    """One part of a service's state."""

    noun: ClassVar[str] = "a part of a service's state"

    http: Words | None = Field(
        default=None,
        description="the path of a page whose document is captured",
        examples=["/orders"],
    )
    sql: Words | None = Field(
        default=None, description="the store that is asked 'query'", examples=["books"]
    )
    query: Words | None = Field(
        default=None,
        description="what the store is asked; all rows are captured",
        examples=["select id, total from orders"],
    )
    process: Flag | None = Field(
        default=None, description="true: what is known of its processes", examples=[True]
    )


class BudgetForm(Form):
    """What stands under ``blast_radius`` of a topology."""

    noun: ClassVar[str] = "a blast radius"

    services: Annotated[int, whole(1, SLOTS_MAX)] | None = Field(
        default=None, description="how many services may be hit at a time", examples=[2]
    )
    percent: Annotated[float, percentage(above=0)] | None = Field(
        default=None,
        description="what share of all services may be hit at a time",
        examples=["50%"],
    )


class LinkForm(Form):
    """One entry of ``links``."""

    noun: ClassVar[str] = "a link"
    required: ClassVar[Mapping[str, str]] = {
        "from": "the service that connects",
        "to": "the service that it connects to",
        "listen": "the port on which the link takes connections",
    }

    source: Words | None = Field(
        default=None, alias="from", description="the service that connects", examples=["shop"]
    )
    to: Words | None = Field(
        default=None, description="the service that it connects to", examples=["bank"]
    )
    port: Words | None = Field(
        default=None,
        description="the name of the port that it leads to; if left out, that named http, or the "
        "only one",
        examples=["http"],
    )
    listen: object = Field(
        default=None,
        description="the port at 127.0.0.1 on which the link takes connections",
        examples=[18080],
    )


class StoreForm(Form):
    """One entry of ``stores``."""

    noun: ClassVar[str] = "a store"
    required: ClassVar[Mapping[str, str]] = {
        "postgres": "its URL, or where that is kept, such as env:DATABASE_URL"
    }

    postgres: Words | None = Field(
        default=None,
        description="its URL, or where that is kept: env:NAME or file:PATH",
        examples=["env:BOOKS_URL", "postgresql://reader@127.0.0.1/books"],
    )


class InvariantForm(Form):
    """One entry of ``invariants``."""

    noun: ClassVar[str] = "an invariant"
    required: ClassVar[Mapping[str, str]] = {
        "id": "its name, such as nothing-lost",
        "expect": "the condition that must be true",
    }

    id: Name | None = Field(default=None, description="its name", examples=["balanced"])
    expect: Statement | None = Field(
        default=None,
        description="the condition that must be true",
        examples=["services.bank.books.total == 0.0"],
    )
    severity: Annotated[Severity, choice(Severity)] = Field(
        default=Severity.NORMAL, description="what it means if it is not true"
    )
