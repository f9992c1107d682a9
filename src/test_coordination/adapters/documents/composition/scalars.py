"""Single values as YAML that reads back as they are, here and in readers of YAML 1.1."""

from __future__ import annotations

import json
import math
import re
from typing import Final

import yaml

from test_coordination.adapters.documents.tree import NUMBER_LENGTH_MAX, Plain, plain_value

KEY_LENGTH_MAX: Final = 100
"""Longer keys are written behind a question mark, since parsers look ahead only so far."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][\w./@%+-]*(?: [\w./@%+()-]+)*", re.ASCII)
_ESCAPED: Final = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_BLOCK: Final = re.compile(r"\S(?:.*\S)?(?:\n+[ ]*\S(?:.*\S)?)*\n?")
_STRING_TAG: Final = "tag:yaml.org,2002:str"
_RESOLVER: Final = yaml.resolver.Resolver()
_LONGEST_ESCAPE: Final = 0xFFFF


def scalar(value: Plain) -> str:
    """Return ``value`` on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            text = str(value)
            return text if len(text) <= NUMBER_LENGTH_MAX else hex(value)
        case float():
            return _number(value)
        case _:
            return _text(value)


def block(value: Plain) -> tuple[str, ...]:
    """Return a text of several lines as such, its sign first; nothing if it is none.

    Lines that begin or end in a way that is easily lost are left to `scalar`.
    """
    if not isinstance(value, str) or "\n" not in value.rstrip("\n"):
        return ()
    if not _BLOCK.fullmatch(value) or _ESCAPED.search(value.replace("\n", "")):
        return ()
    lines = value.split("\n")
    return ("|", *lines[:-1]) if value.endswith("\n") else ("|-", *lines)


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    if math.isnan(value):
        return ".nan"
    return ".inf" if value > 0 else "-.inf"


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and plain_value(value) == value and _is_text_elsewhere(value):
        return value
    if _ESCAPED.search(value):
        return _escaped(value)
    if '"' in value or "\\" in value:
        return "'" + value.replace("'", "''") + "'"
    return f'"{value}"'


def _is_text_elsewhere(value: str) -> bool:
    """Tell whether YAML 1.1, too, reads ``value`` as a text, not as a boolean or a date."""
    found = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]  # the stubs leave it open
    return bool(found == _STRING_TAG) and value.lower() not in {"y", "n"}


def _escaped(value: str) -> str:
    return f'"{_ESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False)[1:-1])}"'


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code <= _LONGEST_ESCAPE else f"\\U{code:08x}"
