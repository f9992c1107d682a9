"""Regular expressions that authors write: which ones are short and can not run away."""

from __future__ import annotations

import re
from typing import Final

PATTERN_LENGTH_MAX: Final = 200
TEXT_LENGTH_MAX: Final = 256
"""The longest text that a pattern is tried on."""

ENDLESS_MAX: Final = 3
REPEAT_MAX: Final = 256

_TOKEN: Final = re.compile(
    r"""
      \\(?P<back>[1-9])
    | \\.
    | \[\^?\]?(?:\\.|[^\]\\])*\]
    | (?P<open>\((?:\?:|(?P<special>\?))?)
    | (?P<close>\))
    | (?P<repeat>[*+?]|\{(?=[\d,])(?P<low>\d*)(?P<comma>,)?(?P<high>\d*)\})
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def pattern_problem(pattern: str) -> str | None:
    """Return what ``pattern`` does wrong, after "the pattern", or None if it is safe to use.

    A pattern that backtracks without end would stop the whole process. So repeats may not stand
    inside repeats, groups that are repeated have no alternatives, there are at most
    ``ENDLESS_MAX`` repeats without an end, and nothing refers back or looks around. On texts
    of at most ``TEXT_LENGTH_MAX`` characters what is left takes a fraction of a second.
    """
    if len(pattern) > PATTERN_LENGTH_MAX:
        return f"has {len(pattern)} characters; at most {PATTERN_LENGTH_MAX} are allowed"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return _Scan(pattern).problem()


class _Scan:
    """One pass over a pattern; ``simple`` says of each open group whether it may be repeated."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._simple: list[bool] = []
        self._last_is_simple = True
        self._endless = 0

    def problem(self) -> str | None:
        for token in _TOKEN.finditer(self._pattern):
            if (said := self._refused(token)) is not None:
                return said
        return None

    def _refused(self, token: re.Match[str]) -> str | None:
        if token["special"]:
            return "holds '(?', which is not allowed here but for '(?:'; use plain groups"
        if token["back"]:
            return "refers back to a group, which can take for ever; write it out"
        if token["repeat"]:
            return self._repeated(token)
        if token["close"]:
            self._last_is_simple = self._simple.pop()
            self._spoil(unless=self._last_is_simple)
            return None
        if token["open"]:
            self._simple.append(True)
        self._spoil(unless=token["other"] != "|")
        self._last_is_simple = True
        return None

    def _spoil(self, *, unless: bool) -> None:
        if self._simple and not unless:
            self._simple[-1] = False

    def _repeated(self, token: re.Match[str]) -> str | None:
        if not self._last_is_simple and token["repeat"] != "?":
            return "repeats a group with repeats or alternatives in it; simplify it"
        self._spoil(unless=False)
        self._endless += token["repeat"] in "*+" or bool(token["comma"] and not token["high"])
        if self._endless > ENDLESS_MAX:
            return f"has more than {ENDLESS_MAX} repeats without an end; simplify it"
        if max(int(token["low"] or 0), int(token["high"] or 0)) > REPEAT_MAX:
            return f"repeats more than {REPEAT_MAX} times; ask for less"
        return None
