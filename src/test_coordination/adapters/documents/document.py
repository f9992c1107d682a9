"""One document while it is decoded: its tree, where each part stands, and the mistakes so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from test_coordination.adapters.documents.reader import lines, read
from test_coordination.adapters.documents.tree import TreeMap, locate
from test_coordination.adapters.documents.words import described
from test_coordination.domain.errors import InvalidDocumentError, Mark, Problem
from test_coordination.domain.scenario import Part

PROBLEMS_MAX: Final = 200

Location: TypeAlias = tuple[str | int, ...]
"""The way from the root of a tree to a part of it: keys, and places in lists."""


def plain_text(text: str | bytes) -> str:
    """Return ``text`` without the mark that some editors put before it; bytes must be UTF-8."""
    decoded = text if isinstance(text, str) else text.decode(errors="replace")
    return decoded.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")


class Document:
    """A tree and the mistakes found in it; ``language`` begins the codes of the mistakes.

    ``text`` is what it was read from.
    """

    def __init__(
        self,
        text: str | bytes,
        *,
        file: str,
        language: str,
        merged: TreeMap | None = None,
        parts: Sequence[Part] = (),
    ) -> None:
        """Read ``text``.

        Where it extends others, its ``parts``, ``merged`` is the tree that all have become.

        Raises:
            InvalidDocumentError: it is no YAML that we take.
        """
        self.text = plain_text(text)
        self._tree = read(text, file=file) if merged is None else merged
        self._lines = lines(self.text)
        self._parts = parts
        self._file = file
        self._language = language
        self._problems: list[Problem] = []

    def at(self, location: Location) -> object:
        """Return what stands at ``location``, which exists."""
        found: object = self._tree
        for part in location:
            found = found[part]  # type: ignore[index]  # the way was walked before
        return found

    def mark(self, location: Location, *, key: bool = False) -> Mark:
        """Return the place of the value at ``location``, or that of its key.

        A text's place is that of its first character, behind any quote.
        """
        return locate(self._tree, location, key=key)

    def mark_inside(self, location: Location, offset: int) -> Mark:
        """Return the place of a character of the text at ``location``, which is its own.

        Where the text is not written as it reads, it is the place of its first character.
        """
        mark, text = self.mark(location), str(self.at(location))
        line = self._lines[mark.line - 1]
        if not line[mark.column - 1 :].startswith(text[: offset + 1]):
            return mark
        return replace(mark, column=mark.column + offset)

    def refuse(self, location: Location, rule: str, text: str, *, key: bool = False) -> None:
        """Note that what stands at ``location`` breaks ``rule``; ``text`` tells its author how.

        Raises:
            InvalidDocumentError: there are so many mistakes that nobody would read more.
        """
        self.refuse_at(self.mark(location, key=key), rule, text)

    def refuse_at(self, mark: Mark, rule: str, text: str) -> None:
        """Note a mistake at a place that is known already; see `refuse`."""
        self.add(Problem(mark=mark, code=f"{self._language}.{rule}", text=text))

    def add(self, problem: Problem) -> None:
        """Note a mistake that somebody else found; see `refuse`."""
        if problem not in self._problems:
            self._problems.append(problem)
        if len(self._problems) >= PROBLEMS_MAX:
            text = f"there are more than {PROBLEMS_MAX} mistakes; correct those above first"
            last = max(found.mark for found in self._problems)
            code = f"{self._language}.too_many_problems"
            self._problems.append(Problem(mark=last, code=code, text=text))
            self.settle()

    def settle(self) -> None:
        """End the decoding.

        Raises:
            InvalidDocumentError: there are mistakes.
        """
        if self._problems:
            known = {part.file: lines(part.text) for part in self._parts}
            known[self._file] = self._lines
            placed = [_inside(problem, known) for problem in self._problems]
            found = sorted(dict.fromkeys(placed), key=lambda problem: problem.mark)
            raise InvalidDocumentError(problems=tuple(found))

    def entries(self, location: Location, expected: str) -> Mapping[str, object]:
        """Return the keys and values at ``location``; anything else is refused, and empty."""
        found = self.at(location)
        if isinstance(found, Mapping):
            return found
        self.refuse(location, "wrong_type", f"{expected} was expected, not {described(found)}")
        return {}

    def items(self, location: Location, expected: str) -> Sequence[object]:
        """Return the list at ``location``; anything else is refused, and empty."""
        found = self.at(location)
        if isinstance(found, Sequence) and not isinstance(found, str):
            return found
        self.refuse(location, "wrong_type", f"{expected} was expected, not {described(found)}")
        return ()


def _inside(problem: Problem, known: Mapping[str, Sequence[str]]) -> Problem:
    """Return ``problem`` at the end of its line, if it stands behind it.

    In a text that goes on over several lines only what is on the first can be placed closer.
    """
    mark = problem.mark
    line = known.get(mark.file, ())[mark.line - 1 : mark.line]
    if not line or mark.column <= len(line[0]) + 1:
        return problem
    return replace(problem, mark=replace(mark, column=max(len(line[0]), 1)))
