"""The ids of all that has one in a scenario: steps, checks, stop conditions, last actions."""

from __future__ import annotations

from test_coordination.adapters.documents.document import Document, Location


class Identities:
    """Gives an id to all that its author gave none, and refuses those that are given twice."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._taken: dict[str, Location] = {}

    def take(self, name: str, location: Location) -> None:
        """Note that ``name`` was written at ``location``; it may be written only once."""
        first = self._taken.get(name)
        if first is None:
            self._taken[name] = location
            return
        at = self._document.mark(first)
        is_near = at.file == self._document.mark(location).file
        place = f"{at.line}:{at.column}" if is_near else str(at)
        text = f"the id {name!r} is taken already (at {place}); give this one its own"
        self._document.refuse(location, "duplicate_id", text)

    def made_up(self, name: str) -> str:
        """Return ``name``, or something like it that nobody has taken.

        What authors have written goes first, and so is to be taken before.
        """
        while name in self._taken:
            name += "-again"
        self._taken[name] = ()
        return name
