"""Every way this package says no: one type per refusal, its facts in fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


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


def suggestion(name: str, known: Sequence[str] | frozenset[str], *, most: int = 12) -> str:
    """Return the hint that ends a sentence about an unknown ``name``."""
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    names = sorted(known)
    if not names:
        return "there are none"
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"known: {', '.join(names[:most])}{rest}"


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
