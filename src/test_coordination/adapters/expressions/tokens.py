"""The tokens of an expression with their places, for what has to be seen before CEL's parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Sort(Enum):
    """What a token is."""

    TEXT = auto()
    WORD = auto()
    NUMBER = auto()
    SIGN = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the offset of its first character."""

    sort: Sort
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset behind its last character."""
        return self.start + len(self.text)


# A text that is not closed becomes signs and words; CEL's parser then tells of it.
_TOKEN: Final = re.compile(
    r'''
      (?P<blank> \s+ | //[^\n]* )
    | (?P<text> [bB]?[rR][bB]? (?: """[\s\S]*?""" | \'\'\'[\s\S]*?\'\'\' | "[^"\n]*" | '[^'\n]*' )
      | [bB]? (?: """(?:[^\\]|\\[\s\S])*?""" | \'\'\'(?:[^\\]|\\[\s\S])*?\'\'\'
        | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' ) )
    | (?P<word> [A-Za-z_]\w* | `[^`\n]*` )
    | (?P<number> 0[xX][0-9a-fA-F]+ [uU]? | (?: \d+\.\d+ | \d+ | \.\d+ ) (?: [eE][+-]?\d+ )? [uU]? )
    | (?P<sign> && | \|\| | [=!<>]= | [\s\S] )
    ''',
    re.VERBOSE,
)
_SORTS: Final = {sort.name.lower(): sort for sort in Sort}


def tokens(text: str) -> list[Token]:
    """Return what ``text`` is made of, but for blanks and comments."""
    return [
        Token(_SORTS[found.lastgroup], found[0], found.start())
        for found in _TOKEN.finditer(text)
        if found.lastgroup and found.lastgroup != "blank"
    ]
