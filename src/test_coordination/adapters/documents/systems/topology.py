"""Reads a topology from text, and tells all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import (
    NAME_EXPECTED,
    WORD_EXPECTED,
    fill,
    is_name,
    is_word,
)
from test_coordination.adapters.documents.forms.topology import (
    InvariantForm,
    LinkForm,
    TopologyForm,
)
from test_coordination.adapters.documents.systems.addresses import Addresses, read_addresses
from test_coordination.adapters.documents.systems.limits import read_budget, read_pools
from test_coordination.adapters.documents.systems.placeholders import Placeholders
from test_coordination.adapters.documents.systems.services import Services
from test_coordination.adapters.documents.systems.stores import Stores
from test_coordination.adapters.documents.texts import Texts
from test_coordination.adapters.documents.words import alternatives, shown
from test_coordination.application.ports import Expressions
from test_coordination.domain.expressions import Kind, Names
from test_coordination.domain.names import word
from test_coordination.domain.topology import (
    Address,
    Invariant,
    Link,
    Service,
    Store,
    Topology,
)
from test_coordination.domain.values import CheckId, ServiceName

NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})
BUILT_IN: Final = ("python", "here", "state")

_NOWHERE: Final = Address(host="127.0.0.1", port=1)


class TopologyReader:
    """Reads topologies."""

    def __init__(
        self, expressions: Expressions, *, python: str, environment: Mapping[str, str]
    ) -> None:
        """Read topologies in which ``${python}`` stands for ``python``.

        The stores' references ``env:NAME`` are looked up in ``environment``.
        """
        self._expressions = expressions
        self._python = python
        self._environment = environment

    def read(
        self,
        text: str | bytes,
        *,
        file: str,
        state_directory: Path,
        variables: Mapping[str, str] = NO_VARIABLES,
        port_offset: int = 0,
    ) -> Topology:
        """Return the topology that ``text`` is.

        ``${here}`` is the folder of ``file``, ``${state}`` the ``state_directory``; ``variables``
        replace those that the document declares; ``port_offset`` is added to every port, so that
        one system can stand beside another. Files that stores refer to are read.

        Raises:
            InvalidDocumentError: there are mistakes; as many as can be found at once.
        """
        document = Document(text, file=file, language="topology")
        _check_kind(document)
        here = Path(file).resolve().parent
        form = fill(TopologyForm, document, ())
        addresses = read_addresses(document, offset=port_offset)
        built_in = (self._python, str(here), str(state_directory))
        placeholders = Placeholders(
            document,
            {
                **_variables(document, form, variables),
                **addresses.placeholders(),
                **dict(zip(BUILT_IN, built_in, strict=True)),
            },
        )
        stores: Mapping[str, Store] = {}
        if form.stores is not None:
            reader = Stores(document, placeholders, environment=self._environment, here=here)
            stores = reader.read(("stores",))
        services: Mapping[ServiceName, Service] = {}
        if form.services is not None:
            services = Services(
                document,
                addresses=addresses,
                placeholders=placeholders,
                stores=frozenset(stores),
            ).read(("services",))
        topology = Topology(
            name=form.topology,
            file=file,
            directory=str(state_directory),
            services=services,
            links=_links(document, form, addresses),
            stores=stores,
            invariants=self._invariants(document, form, services),
            blast_radius=read_budget(document, form),
            pools=read_pools(document, form),
        )
        document.settle()
        return topology

    def _invariants(
        self, document: Document, form: TopologyForm, services: Mapping[ServiceName, Service]
    ) -> tuple[Invariant, ...]:
        if form.invariants is None:
            return ()
        names: Names = {
            f"services.{word(service.name)}.{part}": Kind.ANY
            for service in services.values()
            for part in service.state
        }
        texts = Texts(document, self._expressions)
        at: Location = ("invariants",)
        places = range(
            len(document.items(at, "a list of conditions, such as [{id: …, expect: …}],"))
        )
        found: dict[str, Invariant] = {}
        for place in places:
            location = (*at, place)
            document.entries(location, "an invariant, such as {id: …, expect: …},")
            one = fill(InvariantForm, document, location)
            if one.id in found:
                text = f"another invariant has the id {one.id!r} already; give this one its own"
                document.refuse((*location, "id"), "duplicate_id", text)
            condition = one.expect is not None and texts.condition(
                (*location, "expect"), one.expect, names
            )
            if one.id is not None and condition:
                found[one.id] = Invariant(
                    id=CheckId(one.id), expression=condition, severity=one.severity
                )
        return tuple(found.values())


def _check_kind(document: Document) -> None:
    """Refuse what is no topology at all.

    Raises:
        InvalidDocumentError: it is none, and nothing else about it is of use.
    """
    content = document.entries((), "a topology")
    first = next(iter(content))
    if first == "topology":
        return
    if first in ("scenario", "template", "suite"):
        text = f"this is a {first}, not a topology; give it where a scenario is asked for"
    else:
        text = f"the first key must be 'topology' with the name of the system, not {shown(first)}"
    document.refuse((first,), "wrong_document", text, key=True)
    if "topology" not in content:
        document.settle()


def _variables(
    document: Document, form: TopologyForm, given: Mapping[str, str]
) -> Mapping[str, str]:
    for name in form.variables:
        if not is_word(name) or name in BUILT_IN:
            text = f"{shown(name)} is no name of a variable; write {WORD_EXPECTED}"
            hint = ", other than those that are always there" if name in BUILT_IN else ""
            document.refuse(("variables", name), "bad_name", text + hint, key=True)
    written = document.entries((), "").get("variables")
    declared: Mapping[str, object] = written if isinstance(written, Mapping) else {}
    for name in given:
        if name not in declared:
            text = f"a value is given for {shown(name)}, but the topology declares no such variable"
            hint = alternatives(name, declared)
            document.refuse(("variables",), "unknown_variable", f"{text}; {hint}", key=True)
    return {**dict.fromkeys(declared, ""), **form.variables, **given}


def _links(document: Document, form: TopologyForm, addresses: Addresses) -> Mapping[str, Link]:
    if form.links is None:
        return {}
    entries = document.entries(("links",), "names with their links")
    return {name: _link(document, ("links", name), addresses) for name in entries}


def _link(document: Document, location: Location, addresses: Addresses) -> Link:
    name = str(location[-1])
    if not is_name(name):
        text = f"{shown(name)} is no name of a link; write {NAME_EXPECTED}"
        document.refuse(location, "bad_name", text, key=True)
    document.entries(location, "a link, such as {from: shop, to: bank, listen: 18080},")
    form = fill(LinkForm, document, location)
    for key, service in (("from", form.source), ("to", form.to)):
        if service is not None and service not in addresses.ports:
            text = f"no service is named {shown(service)}; {alternatives(service, addresses.ports)}"
            document.refuse((*location, key), "unknown_service", text)
    return Link(
        name=name,
        mark=document.mark(location, key=True),
        source=ServiceName(form.source or ""),
        target=ServiceName(form.to or ""),
        listen=addresses.links.get(name, _NOWHERE),
        upstream=_upstream(document, location, form, addresses=addresses) or _NOWHERE,
    )


def _upstream(
    document: Document, location: Location, form: LinkForm, *, addresses: Addresses
) -> Address | None:
    """Return where a link leads to; None if that was refused."""
    ports = addresses.ports.get(form.to or "")
    if ports is None:
        return None
    if form.port is not None:
        if form.port not in ports:
            text = f"{form.to!r} has no port named {shown(form.port)}; "
            hint = alternatives(form.port, ports)
            document.refuse((*location, "port"), "unknown_port", text + hint)
        return ports.get(form.port)
    main = addresses.main(form.to or "")
    if main is None:
        text = f"a link to {form.to!r} needs 'port': one of {', '.join(sorted(ports)) or 'none'}"
        document.refuse(location, "missing_key", text)
    return main
