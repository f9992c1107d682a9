"""Texts of a topology in which `${name}` stands for something that is known when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.words import alternatives, shown

_MARKED: Final = re.compile(r"\$\$|\$\{(?P<name>[^{}\n]*)\}|\$\{")


class Placeholders:
    """Replaces what stands in ``${…}``; ``$$`` stands for a literal ``$``."""

    def __init__(self, document: Document, values: Mapping[str, str]) -> None:
        self._document = document
        self._values = values

    def filled(self, location: Location, text: str) -> str:
        """Return ``text``, found at ``location``, with every name replaced."""
        return _MARKED.sub(lambda found: self._value(location, found), text)

    def _value(self, location: Location, found: re.Match[str]) -> str:
        name = found["name"]
        if found[0] == "$$":
            return "$"
        mark = self._document.mark_inside(location, found.start())
        if name is None:
            text = "'${' is not closed; write '${name}', or '$${' if none is meant"
            self._document.refuse_at(mark, "unknown_variable", text)
        elif name not in self._values:
            text = f"nothing is named {shown(name)}; {alternatives(name, self._values)}"
            self._document.refuse_at(mark, "unknown_variable", text)
        return self._values.get(name or "", "")
