"""Steps that stand under their own ``background``, written out as if it were a flag."""

from __future__ import annotations

from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.tree import TreeMap

KEY: Final = "background"


def write_out(document: Document, location: Location) -> None:
    """Put the keys of the map under ``background``, if it is one, beside those of the step.

    So ``background: {action: load}`` becomes ``background: true`` with ``action: load`` beside
    it. Each key keeps its place. One that stands in both is refused.
    """
    step, nested = document.at(location), _nested(document, location)
    if not isinstance(step, TreeMap) or nested is None:
        return
    for key in nested:
        if key in step:
            text = f"{key!r} stands beside 'background', too; leave one of the two out"
            document.refuse((*location, KEY, key), "conflict", text, key=True)
    written = step.copied()
    for key in nested:
        written.take(nested, key)
    written[KEY] = True
    siblings = document.at(location[:-1])
    assert isinstance(siblings, list), "steps stand in lists"
    siblings[int(location[-1])] = written


def _nested(document: Document, location: Location) -> TreeMap | None:
    step = document.at(location)
    found = step.get(KEY) if isinstance(step, TreeMap) else None
    return found if isinstance(found, TreeMap) else None
