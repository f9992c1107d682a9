"""The ways in which a text turns up inside others: quoted, escaped, encoded."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
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
