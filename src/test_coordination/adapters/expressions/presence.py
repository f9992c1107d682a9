"""Where ``has`` is asked about a name: the library would give the name's value for an answer."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from test_coordination.adapters.expressions.tokens import Sort, Token, tokens

_PATH_FROM: Final = 2


def asked_of_a_name(text: str, names: Container[str]) -> tuple[Token, str] | None:
    """Return the first of ``names`` that ``has`` is asked about in ``text``, and its first token.

    Of a key of a map below a name, ``has`` may be asked.
    """
    found = tokens(text)
    for place, token in enumerate(found[:-_PATH_FROM]):
        if token.text != "has" or found[place + 1].text != "(":
            continue
        start = end = place + _PATH_FROM
        while end < len(found) and (found[end].sort is Sort.WORD or found[end].text == "."):
            end += 1
        path = "".join(part.text.strip("`") for part in found[start:end]).removeprefix(".")
        if end < len(found) and found[end].text == ")" and path in names:
            return found[start], path
    return None
