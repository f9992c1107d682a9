"""The services of a topology."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import (
    NAME_EXPECTED,
    WORD_EXPECTED,
    fill,
    is_name,
    is_word,
)
from test_coordination.adapters.documents.forms.topology import HealthForm, ServiceForm, StateForm
from test_coordination.adapters.documents.systems.addresses import Addresses
from test_coordination.adapters.documents.systems.placeholders import Placeholders
from test_coordination.adapters.documents.words import alternatives, enumerated, shown
from test_coordination.domain.graph import find_cycle
from test_coordination.domain.topology import (
    STOP_GRACE_DEFAULT,
    Health,
    Service,
    StateSource,
)
from test_coordination.domain.values import ServiceName, StepId, parse_duration

SERVICES_MAX: Final = 200

_RESERVED: Final = "links"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WAYS: Final = ("http", "tcp", "unix")
_SOURCES: Final = ("http", "sql", "process")


class Services:
    """Reads services; ``stores`` are the names of the databases that there are."""

    def __init__(
        self,
        document: Document,
        *,
        addresses: Addresses,
        placeholders: Placeholders,
        stores: frozenset[str],
    ) -> None:
        self._document = document
        self._addresses = addresses
        self._placeholders = placeholders
        self._stores = stores

    def read(self, location: Location) -> Mapping[ServiceName, Service]:
        """Return the services at ``location`` in the order of the file."""
        entries = self._document.entries(location, "names with their services")
        if len(entries) > SERVICES_MAX:
            text = f"{len(entries)} services; at most {SERVICES_MAX} are allowed"
            self._document.refuse(location, "too_many", text, key=True)
        if not entries and isinstance(self._document.at(location), Mapping):
            text = "'services' is empty; describe at least one service"
            self._document.refuse(location, "empty", text)
        known = frozenset(entries)
        read = {
            ServiceName(name): self._service((*location, name), known)
            for name in [*entries][:SERVICES_MAX]
        }
        self._check_circles(location, read)
        return read

    def _service(self, location: Location, known: frozenset[str]) -> Service:
        name = str(location[-1])
        if not is_name(name) or name == _RESERVED:
            text = f"{shown(name)} is no name of a service; write {NAME_EXPECTED}"
            hint = f", other than {_RESERVED!r}" if name == _RESERVED else ""
            self._document.refuse(location, "bad_name", text + hint, key=True)
        self._document.entries(location, "a service, such as {command: [sleep, '60']},")
        form = fill(ServiceForm, self._document, location)
        filled = self._placeholders.filled
        self._check_dependencies(location, form, known)
        return Service(
            name=ServiceName(name),
            mark=self._document.mark(location, key=True),
            command=self._command(location, form),
            environment=self._environment((*location, "env"), form),
            directory=form.directory and filled((*location, "directory"), form.directory),
            ports=self._addresses.ports.get(name, {}),
            health=self._health((*location, "health"), form),
            depends_on=tuple(ServiceName(needed) for needed in form.depends_on),
            tags=dict(form.tags),
            criticality=form.criticality,
            protect=form.protect,
            stop_grace=parse_duration(form.stop_grace) or STOP_GRACE_DEFAULT,
            stop_signal=form.stop_signal,
            state=self._state((*location, "state"), form),
        )

    def _command(self, location: Location, form: ServiceForm) -> tuple[str, ...]:
        at = (*location, "command")
        if "command" in form.model_fields_set and not (form.command and form.command[0].strip()):
            text = "'command' is empty; write the program and its arguments, such as [sleep, '60']"
            self._document.refuse(at, "empty", text)
        words = enumerate(form.command)
        return tuple(self._placeholders.filled((*at, place), word) for place, word in words)

    def _environment(self, location: Location, form: ServiceForm) -> Mapping[str, str]:
        for name in form.env:
            if not _VARIABLE.fullmatch(name):
                text = f"{shown(name)} is no name of an environment variable; "
                text += "write letters, digits and '_', not beginning with a digit"
                self._document.refuse((*location, name), "bad_name", text, key=True)
        return {
            name: self._placeholders.filled((*location, name), value)
            for name, value in form.env.items()
        }

    def _health(self, location: Location, form: ServiceForm) -> Health:
        if form.health is None:
            return Health()
        content = self._document.entries(location, "a health check, such as {http: /health},")
        health = fill(HealthForm, self._document, location)
        if not isinstance(form.health, Mapping):
            return Health()
        self._check_ways(location, content)
        ports = self._addresses.ports.get(str(location[1]), {})
        if health.http is not None:
            self._check_path((*location, "http"), health.http)
            if "http" not in ports:
                text = "a health check by 'http' needs a port of that name; add it to 'ports'"
                self._document.refuse((*location, "http"), "unknown_port", text, key=True)
        if health.tcp is not None and health.tcp not in ports:
            text = f"no port is named {shown(health.tcp)}; {alternatives(health.tcp, ports)}"
            self._document.refuse((*location, "tcp"), "unknown_port", text)
        unix = health.unix and self._placeholders.filled((*location, "unix"), health.unix)
        timeout = parse_duration(health.timeout)
        assert timeout is not None, "the form has checked it"
        return Health(http=health.http, tcp=health.tcp, unix=unix, timeout=timeout)

    def _check_ways(self, location: Location, content: Mapping[str, object]) -> None:
        ways = [key for key in content if key in _WAYS]
        if not ways:
            text = f"a health check needs the key that says how to look: {enumerated(_WAYS)}"
            self._document.refuse(location, "no_kind", text)
        for key in ways[1:]:
            text = f"a health check looks in one way, and this one has {ways[0]!r}; leave one out"
            self._document.refuse((*location, key), "two_kinds", text, key=True)

    def _check_path(self, location: Location, path: str) -> None:
        if not path.startswith("/"):
            text = f"'http' must be a path such as /health, not {shown(path)}"
            self._document.refuse(location, "bad_path", text)

    def _state(self, location: Location, form: ServiceForm) -> Mapping[str, StateSource]:
        if form.state is None:
            return {}
        entries = self._document.entries(location, "names with the parts of the state")
        sources = {name: self._source((*location, name)) for name in entries}
        return {name: source for name, source in sources.items() if source is not None}

    def _source(self, location: Location) -> StateSource | None:
        name = str(location[-1])
        if not is_word(name):
            text = f"{shown(name)} is no name of a part of the state; write {WORD_EXPECTED}"
            self._document.refuse(location, "bad_name", text, key=True)
        content = self._document.entries(location, "a part of the state, such as {http: /orders},")
        form = fill(StateForm, self._document, location)
        kinds = [key for key in content if key in _SOURCES]
        if not kinds and content:
            text = "a part of the state needs the key that says how to read it: "
            self._document.refuse(location, "no_kind", text + enumerated(_SOURCES))
        for key in kinds[1:]:
            text = f"a part of the state is read in one way, and this one has {kinds[0]!r}; "
            self._document.refuse((*location, key), "two_kinds", text + "leave one out", key=True)
        match kinds[:1]:
            case ["http"] if form.http is not None:
                return self._http(location, form.http)
            case ["sql"] if form.sql is not None:
                return self._sql(location, form.sql, form.query)
            case ["process"] if form.process is not None:
                return StateSource(kind="process", parameters={"service": str(location[1])})
            case _:
                return None

    def _http(self, location: Location, path: str) -> StateSource | None:
        self._check_path((*location, "http"), path)
        address = self._addresses.main(str(location[1]))
        if address is None:
            text = "a part of the state by 'http' needs a port of that name; add it to 'ports'"
            self._document.refuse((*location, "http"), "unknown_port", text, key=True)
            return None
        return StateSource(kind="http", parameters={"request": f"GET http://{address}{path}"})

    def _sql(self, location: Location, store: str, query: str | None) -> StateSource:
        if store not in self._stores:
            text = f"no store is named {shown(store)}; {alternatives(store, self._stores)}"
            self._document.refuse((*location, "sql"), "unknown_store", text)
        if query is None:
            text = "a part of the state by 'sql' needs 'query': what to ask the store"
            self._document.refuse(location, "missing_key", text)
        return StateSource(kind="sql", parameters={"target": store, "query": query or ""})

    def _check_dependencies(
        self, location: Location, form: ServiceForm, known: frozenset[str]
    ) -> None:
        for place, name in enumerate(form.depends_on):
            if name not in known:
                text = f"no service is named {shown(name)}; {alternatives(name, known)}"
                at = (*location, "depends_on", place)
                self._document.refuse(at, "unknown_service", text)

    def _check_circles(self, location: Location, services: Mapping[ServiceName, Service]) -> None:
        needs = {
            StepId(name): frozenset(StepId(needed) for needed in service.depends_on)
            for name, service in services.items()
        }
        while circle := find_cycle(needs):
            text = f"these services depend on each other: {' -> '.join(circle)}; "
            at = (*location, circle[0])
            self._document.refuse(at, "cycle", f"{text}take one of 'depends_on' away", key=True)
            needs = {name: needed for name, needed in needs.items() if name not in circle}
