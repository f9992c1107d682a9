"""Put marks in the place of texts that must not be told, whole or cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from test_coordination.application.engine.disguises import beginning, loosely, plainest

PIECE_LEAST: Final = 12
"""How many characters of a secret that was cut off are told from other text."""

ESCAPED_MAX: Final = 512
"""Up to how many characters a secret is found however often it was escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A text that is looked for, and what is to stand for it.

    ``cut`` parts others at it. ``piece`` says where another has the larger part of it, from start
    to end, which are the same if it has none.
    """

    text: str
    mark: str
    cut: Callable[[str], list[str]]
    piece: Callable[[str], tuple[int, int]]


def literals(marks: Mapping[str, str]) -> list[Search]:
    """Return the searches for texts as they stand, by the marks that are to stand for them."""
    return [
        Search(
            text=text,
            mark=mark,
            cut=partial(_cut, separator=text),
            piece=_nowhere if text == mark else partial(_piece, secret=text),
        )
        for text, mark in marks.items()
    ]


def _cut(text: str, *, separator: str) -> list[str]:
    return text.split(separator)


def loose(secret: str, mark: str) -> list[Search]:
    """Return the search for what was escaped, unless nothing in it ever is, or it is too long."""
    core = plainest(secret)
    if core == secret or len(secret) > ESCAPED_MAX:
        return []
    pattern = loosely(secret)

    def cut(text: str) -> list[str]:
        return pattern.split(text) if core in text else [text]

    least = _least(secret)
    piece = beginning(secret, least) if least < len(secret) else _nowhere
    return [Search(text=secret, mark=mark, cut=cut, piece=piece)]


def in_order(searches: Sequence[Search]) -> Sequence[Search]:
    """Return ``searches`` with longer texts first, for they may hold others."""
    return sorted(searches, key=lambda search: len(search.text), reverse=True)


def hidden(text: str, searches: Sequence[Search], start: int = 0, *, pieces: bool = False) -> str:
    """Return ``text`` with marks for what is looked for, from the search at ``start`` on.

    With ``pieces`` also for what was cut off.
    """
    for place in range(start, len(searches)):
        search = searches[place]
        parts = search.cut(text)
        if len(parts) > 1:
            told = (hidden(part, searches, place + 1, pieces=pieces) for part in parts)
            return search.mark.join(told)
    return _without_pieces(text, searches) if pieces else text


def _without_pieces(text: str, searches: Sequence[Search], start: int = 0) -> str:
    """Return ``text`` with marks for the larger parts of what is looked for."""
    for place in range(start, len(searches)):
        search = searches[place]
        parts = _parted(text, search)
        if len(parts) > 1:
            return search.mark.join(_without_pieces(part, searches, place + 1) for part in parts)
    return text


def _parted(text: str, search: Search) -> list[str]:
    """Return what is beside the pieces of what is looked for; beginnings are found before ends."""
    parts: list[str] = []
    start, end = search.piece(text)
    while start < end:
        parts += _parted(text[:start], search)
        text = text[end:]
        start, end = search.piece(text)
    return [*parts, text]


def _least(secret: str) -> int:
    return max(PIECE_LEAST, len(secret) // 2)


def _nowhere(text: str) -> tuple[int, int]:
    del text
    return 0, 0


def _piece(text: str, *, secret: str) -> tuple[int, int]:
    """Return where ``text`` has the beginning or the end of ``secret``."""
    least = _least(secret)
    if least >= len(secret):
        return 0, 0
    if (start := text.find(secret[:least])) >= 0:
        end = start + least
        while end < len(text) and text[end] == secret[end - start]:
            end += 1
        return start, end
    if (start := text.find(secret[-least:])) >= 0:
        end = start + least
        while start > 0 and text[start - 1] == secret[start - 1 - end]:
            start -= 1
        return start, end
    return 0, 0
