"""Where the services and links of a topology listen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import WORD_EXPECTED, is_word
from test_coordination.adapters.documents.words import described, shown
from test_coordination.domain.topology import Address

HOST: Final = "127.0.0.1"
PORT_MAX: Final = 65_535
_RESERVED: Final = "address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """All addresses by name; what was refused has one, too, so that it is told once."""

    ports: Mapping[str, Mapping[str, Address]]
    links: Mapping[str, Address]

    def main(self, service: str) -> Address | None:
        """Return the port named ``http`` of a service, or its only one."""
        ports = self.ports.get(service, {})
        if "http" in ports:
            return ports["http"]
        return next(iter(ports.values())) if len(ports) == 1 else None

    def placeholders(self) -> Mapping[str, str]:
        """Return what texts may hold in ``${…}``, and what it stands for."""
        found = {f"links.{name}": str(address) for name, address in self.links.items()}
        for service, ports in self.ports.items():
            found |= {f"{service}.{name}": str(address.port) for name, address in ports.items()}
            if (main := self.main(service)) is not None:
                found[f"{service}.{_RESERVED}"] = str(main)
        return found


def read_addresses(document: Document, *, offset: int) -> Addresses:
    """Return the addresses of the topology in ``document``, ``offset`` added to each port."""
    reader = _Ports(document, offset)
    services = {
        name: reader.of_service(("services", name)) for name in _names(document, "services")
    }
    links = {name: reader.of_link(("links", name)) for name in _names(document, "links")}
    return Addresses(
        ports=services,
        links={name: address for name, address in links.items() if address is not None},
    )


def _names(document: Document, group: str) -> Iterator[str]:
    root = document.at(())
    entries = root.get(group) if isinstance(root, Mapping) else None
    return iter(entries) if isinstance(entries, Mapping) else iter(())


class _Ports:
    """Reads ports, and sees which are taken."""

    def __init__(self, document: Document, offset: int) -> None:
        self._document = document
        self._offset = offset
        self._taken: dict[int, Location] = {}

    def of_service(self, location: Location) -> Mapping[str, Address]:
        service = self._document.at(location)
        if not isinstance(service, Mapping) or service.get("ports") is None:
            return {}
        at = (*location, "ports")
        entries = self._document.entries(at, "names with their numbers, such as {http: 8080},")
        for name in entries:
            if not is_word(name) or name == _RESERVED:
                text = f"{shown(name)} is no name of a port; write {WORD_EXPECTED}"
                hint = f", other than {_RESERVED!r}" if name == _RESERVED else ""
                self._document.refuse((*at, name), "bad_name", text + hint, key=True)
        return {name: self._address((*at, name)) for name in entries}

    def of_link(self, location: Location) -> Address | None:
        link = self._document.at(location)
        if not isinstance(link, Mapping) or link.get("listen") is None:
            return None
        return self._address((*location, "listen"))

    def _address(self, location: Location) -> Address:
        found = self._document.at(location)
        if not isinstance(found, int) or isinstance(found, bool):
            text = f"{location[-1]!r} must be the number of a port, not {described(found)}"
            self._document.refuse(location, "wrong_type", text)
            return Address(host=HOST, port=1)
        port = found + self._offset
        if not (1 <= found <= PORT_MAX and 1 <= port <= PORT_MAX):
            more = f", with the offset of {self._offset} that was given" if self._offset else ""
            text = f"{location[-1]!r} is {found}{more}; a port is from 1 to {PORT_MAX}"
            self._document.refuse(location, "out_of_range", text)
        elif (first := self._taken.get(port)) is not None:
            at = self._document.mark(first)
            text = f"the port {found} is taken already (at {at.line}:{at.column}); choose another"
            self._document.refuse(location, "duplicate_port", text)
        self._taken.setdefault(port, location)
        return Address(host=HOST, port=port)
