"""The stores of a topology, whose URLs may be secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import NAME_EXPECTED, fill, is_name
from test_coordination.adapters.documents.forms.topology import StoreForm
from test_coordination.adapters.documents.systems.placeholders import Placeholders
from test_coordination.adapters.documents.words import shown
from test_coordination.domain.topology import Store

_SCHEMES: Final = ("postgresql://", "postgres://")
_FILE_BYTES_MAX: Final = 4096


class Stores:
    """Reads stores; no URL is ever part of a complaint, for it may hold a password."""

    def __init__(
        self,
        document: Document,
        placeholders: Placeholders,
        *,
        environment: Mapping[str, str],
        here: Path,
    ) -> None:
        self._document = document
        self._placeholders = placeholders
        self._environment = environment
        self._here = here

    def read(self, location: Location) -> Mapping[str, Store]:
        """Return the stores at ``location``, references to secrets replaced by them."""
        entries = self._document.entries(location, "names with their stores")
        return {name: self._store((*location, name)) for name in entries}

    def _store(self, location: Location) -> Store:
        name = str(location[-1])
        if not is_name(name):
            text = f"{shown(name)} is no name of a store; write {NAME_EXPECTED}"
            self._document.refuse(location, "bad_name", text, key=True)
        self._document.entries(location, "a store, such as {postgres: env:DATABASE_URL},")
        form = fill(StoreForm, self._document, location)
        mark = self._document.mark(location, key=True)
        if form.postgres is None:
            return Store(name=name, mark=mark, url="")
        at = (*location, "postgres")
        url = self._resolved(at, self._placeholders.filled(at, form.postgres))
        if url is not None and not url.startswith(_SCHEMES):
            text = (
                "'postgres' must be a URL that begins with postgresql://, or env:NAME or file:PATH"
            )
            self._document.refuse(at, "bad_url", f"{text} where one is kept")
        return Store(name=name, mark=mark, url=url or "")

    def _resolved(self, location: Location, text: str) -> str | None:
        scheme, _, rest = text.partition(":")
        if scheme == "env":
            found = self._environment.get(rest)
            if not found:
                said = f"the environment variable {shown(rest)} is not set; set it, "
                self._document.refuse(location, "bad_reference", f"{said}or name another")
            return found or None
        if scheme == "file":
            return self._from_file(location, rest)
        return text

    def _from_file(self, location: Location, path: str) -> str | None:
        try:
            with (self._here / path).open(encoding="utf-8") as file:
                return file.read(_FILE_BYTES_MAX).strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "no text"
            said = f"the file {shown(path)} cannot be read ({why.lower()}); "
            self._document.refuse(location, "bad_reference", f"{said}correct the path")
        return None
