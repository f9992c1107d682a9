"""What a document is, told from its first lines alone."""

from __future__ import annotations

from typing import Final

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs forget it
from yaml.events import (
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from test_coordination.domain.scenario import DocumentKind

WORDS: Final = 2
"""The first key and what it says."""


def heading(text: str) -> tuple[DocumentKind | None, str | None]:
    """Return what ``text`` begins: the kind and the name that its first key says.

    What is certainly something else has no kind and an empty name; where it cannot be told, as
    in a file that is empty or broken, both are None. What follows the first key does not matter,
    nor where ``text`` ends.
    """
    try:
        words = _first_words(text)
    except (yaml.YAMLError, UnicodeError):
        return None, None
    if words is None:
        return None, None
    first, *rest = words
    kind = next((kind for kind in DocumentKind if kind == first), None)
    return (kind, rest[0]) if kind is not None and rest else (None, "")


def _first_words(text: str) -> list[str] | None:
    """Return the first key and what it says, as far as these are texts; None if there is none."""
    parser = CParser(text)
    words: list[str] = []
    try:
        while isinstance(event := parser.get_event(), StreamStartEvent | DocumentStartEvent):
            pass
        if not isinstance(event, MappingStartEvent):
            return None if event is None or isinstance(event, StreamEndEvent) else [""]
        while len(words) < WORDS and isinstance(event := parser.get_event(), ScalarEvent):
            words.append(event.value)
    finally:
        parser.dispose()
    return words or [""]
