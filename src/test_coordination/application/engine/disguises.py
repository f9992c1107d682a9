"""The ways in which a text turns up inside others: quoted, escaped, encoded.

Those that have a name can be told apart, so that what was written can be written again. Beyond
them a text may be escaped several times over; `loosely` finds that, too.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from html.entities import codepoint2name
from typing import Final
from urllib.parse import quote

# What is left as it is: nothing; in a path by most; in a path by those who quote as little as
# they may; in a query by the same.
_SAFE: Final = {
    "url": "",
    "url-path": "/",
    "url-plain-path": "/:@!$&'()*+,;=",
    "url-query": "/:@!$'()*,?",
}
_ESCAPED: Final = re.compile("%[0-9A-F]{2}")
_ESCAPABLE: Final = re.compile("[^A-Za-z0-9_.~-]")
_BACKSLASH: Final = r"(?>\\|%(?:25)*+5c|&(?:amp;)*+#(?:0*+92|x0*+5c);)"
_BYTES: Final = 256
_LETTERS: Final = {
    "\0": "0", "\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r",
}  # fmt: skip
_URL_SAFE: Final = str.maketrans("+/", "-_")


def disguises(text: str) -> dict[str, str]:
    """Return the ways of writing ``text`` that differ, by their names; its own has none.

    The names, and what is written under each, never change: what was written by one version may
    be read by another.
    """
    found: dict[str, str] = {}
    known: set[str] = set()
    for name, written in _all(text):
        if written not in known:
            known.add(written)
            found[name] = written
    return found


def is_escape(name: str) -> bool:
    """Tell whether a way of writing, by its name, is among those that `loosely` finds."""
    return bool(name) and not name.startswith("base64")


def _all(text: str) -> Iterator[tuple[str, str]]:
    yield "", text
    for name, safe in _SAFE.items():
        quoted = quote(text, safe=safe)
        yield name, quoted
        yield f"{name}-lower", _ESCAPED.sub(lambda found: found[0].lower(), quoted)
        yield f"{name}-plus", quoted.replace("%20", "+")
    within, plain = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
    yield "json", within
    yield "json-ascii", plain
    yield "json-slashes", plain.replace("/", "\\/")
    yield "json-twice", json.dumps(within, ensure_ascii=False)[1:-1]
    yield "json-ascii-twice", json.dumps(plain)[1:-1]
    yield "repr", repr(text)[1:-1]
    yield "repr-quotes", repr('"' + text)[2:-1]
    yield "repr-bytes", repr(text.encode())[2:-1]
    yield "html", html.escape(text)
    yield "html-quotes", html.escape(text, quote=False)
    yield from _base64(text.encode())


def _base64(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield ``data`` in base64 by itself, and what shows of it inside longer data.

    There it begins at the first, second or third byte of a group; characters that it shares with
    what is beside it are left out.
    """
    for name, table in (("base64", {}), ("base64-url", _URL_SAFE)):
        yield name, b64encode(data).decode().rstrip("=").translate(table)
        for shift in range(3):
            whole = b64encode(b"\0" * shift + data).decode().translate(table)
            first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
            yield f"{name}-{shift}", whole[first:last]


def loosely(text: str) -> re.Pattern[str]:
    """Return the expression that finds ``text`` however often it was escaped.

    It knows backslashes, and percent signs or entities around them. No part of it gives back what
    it has taken, nor begins inside of backslashes that another try has taken: searching takes
    time in proportion.
    """
    return re.compile("".join(_ways(text)))


def beginning(text: str, least: int) -> Callable[[str], tuple[int, int]]:
    """Return what finds at least so many characters of ``text``, as `loosely` does.

    It gives where they are, from start to end; the same place twice if they are nowhere. Where
    all of ``text`` may be, it must not be asked.
    """
    ways, core = _ways(text), plainest(text[:least])
    first = re.compile("".join(ways[:least]))
    others = [re.compile(way) for way in ways[least:]]

    def find(within: str) -> tuple[int, int]:
        found = first.search(within) if core in within else None
        if found is None:
            return 0, 0
        end, rest = found.end(), iter(others)
        while (more := next(rest).match(within, end)) is not None:
            end = more.end()
        return found.start(), end

    return find


def _ways(text: str) -> list[str]:
    """Return what finds each character of ``text``.

    What escapes the first one begins where its backslashes do, and those that follow a backslash
    are taken together with it.
    """
    ways, before = [], ""
    for character in text:
        inside = "" if before else r"(?<!\\)(?<!5[cC])"
        least = "*" if before == "\\" else "+"
        ways.append(_loose(character, f"{inside}{_BACKSLASH}{least}+", f"{inside}{_BACKSLASH}*+"))
        before = character
    return ways


def plainest(text: str) -> str:
    """Return the longest part of ``text`` that is written the same wherever it is escaped."""
    return max(_ESCAPABLE.split(text), key=len)


def _loose(character: str, escape: str, perhaps: str) -> str:
    """Return what finds one character, escaped by ``escape`` or ``perhaps`` not at all."""
    if not _ESCAPABLE.fullmatch(character):
        return re.escape(character)
    if character == "\\":
        return f"(?i:{escape})"
    coded = "|".join(_in_strings(character))
    plain = "|".join((*_in_pages(character), *_in_urls(character), re.escape(character)))
    return f"(?i:(?>{escape}(?:{coded})|{perhaps}(?:{plain})))"


def _in_pages(character: str) -> Iterator[str]:
    code = ord(character)
    if character == "&":
        yield "&(?:amp;)++"
    yield f"&(?:amp;)*+#(?:0*+{code}|x0*+{code:x});"
    name = "apos" if character == "'" else codepoint2name.get(code)
    if name is not None:
        yield f"&(?:amp;)*+{name};"


def _in_urls(character: str) -> Iterator[str]:
    if character == "%":
        yield "%(?:25)++"
    yield "".join(f"%(?:25)*+{byte:02x}" for byte in character.encode())
    if character == " ":
        yield r"\+|%(?:25)*+2b"


def _in_strings(character: str) -> Iterator[str]:
    units, code = character.encode("utf-16-be"), ord(character)
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    yield f"{_BACKSLASH}++".join(f"u{pair}" for pair in pairs)
    yield f"U{code:08x}"
    yield f"{_BACKSLASH}++".join(f"x{byte:02x}" for byte in character.encode())
    if code < _BYTES:
        yield f"x{code:02x}"
    if character in _LETTERS:
        yield _LETTERS[character]
