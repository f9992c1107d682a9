"""Every way this package says no: one type per refusal, its facts in fields."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from heapq import nlargest, nsmallest
from operator import eq
from typing import ClassVar, Final

COMPARED_MAX: Final = 50
"""With how many names an unknown one is compared closely, without a look for the likeliest."""
CLOSELY: Final = 400
"""How many characters are compared closely where there are more names."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; line and column count from 1, columns in code points."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a document: where it is, what was found, what was expected, what to do.

    ``code`` is stable and dotted; ``text`` is for people.
    """

    mark: Mark
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.text}"


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the name that ``name`` was most likely meant to be; None if nothing is like it.

    Of many names only those are compared closely that begin and end most like it: to compare a
    thousand long ones would take half a second.
    """
    if not name:
        return None
    close = known if len(known) <= COMPARED_MAX else _likeliest(name, known)
    return next(iter(get_close_matches(name, close, n=1)), None)


def _likeliest(name: str, known: Collection[str]) -> Sequence[str]:
    backwards = name[::-1]

    def alike(other: str) -> int:
        return _shared(name, other) + _shared(backwards, other[::-1])

    longest = max(map(len, known))
    return nlargest(max(CLOSELY // longest, 1), sorted(known), key=alike)


def _shared(one: str, other: str) -> int:
    """Return with how many of the same characters both begin."""
    return [*map(eq, one, other), False].index(False)


def suggestion(name: str, known: Sequence[str] | frozenset[str], *, most: int = 12) -> str:
    """Return the hint that ends a sentence about an unknown ``name``."""
    if near := nearest(name, known):
        return f"did you mean {str(near)!r}?"  # one of an enum, too, as it is written
    if not known:
        return "there are none"
    rest = f" and {len(known) - most} more" if len(known) > most else ""
    return f"known: {', '.join(nsmallest(most, known))}{rest}"


@dataclass(eq=False, kw_only=True)
class CoordinationError(Exception):
    """Base of every error raised on purpose.

    Programs match on the type, or on ``code`` across a wire; neither ever changes.
    The text is for people and may improve in any release.
    """

    code: ClassVar[str] = "internal"


@dataclass(eq=False, kw_only=True)
class InvalidDocumentError(CoordinationError):
    """A document has mistakes; all that could be found are in ``problems``, in file order."""

    code: ClassVar[str] = "document.invalid"

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


@dataclass(eq=False, kw_only=True)
class StoreUnavailableError(CoordinationError):
    """A store could not be reached, or went away before it answered."""

    code: ClassVar[str] = "store.unavailable"

    store: str
    doing: str
    cause: str = ""

    def __str__(self) -> str:
        why = f" ({self.cause})" if self.cause else ""
        return (
            f"{self.store} went away while {self.doing}{why}; "
            "whether it took effect is not known, and repeating it is safe"
        )
