"""Values on their way into CEL and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]  # no stubs
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]  # no stubs

from test_coordination.domain.expressions import Fact, Kind
from test_coordination.domain.values import Value

ITEMS_MAX: Final = 1_000
RESULT_NODES_MAX: Final = 10_000
RESULT_TEXT_MAX: Final = 1_048_576

NOUNS: Final[Mapping[Kind, str]] = {
    Kind.BOOLEAN: "a boolean (true or false)",
    Kind.INTEGER: "an integer",
    Kind.NUMBER: "a number",
    Kind.STRING: "a text",
    Kind.DURATION: "a duration",
    Kind.TIMESTAMP: "a timestamp",
    Kind.LIST: "a list",
    Kind.MAP: "a map",
    Kind.ANY: "anything",
}

_PLAIN: Final = frozenset({bool, int, float, timedelta, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many values a value may hold in all, and how many characters a text in it may have.

    ``nodes_in_all`` and ``text_in_all`` are for all values together that an evaluation is given.
    """

    nodes: int
    text_length: int
    nodes_in_all: int
    text_in_all: int


class UnfitValueError(Exception):
    """A value cannot pass into CEL or out of it; never leaves this package."""


class Encoder:
    """The way into CEL of all the values that one evaluation is given."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._nodes = 0
        self._characters = 0

    def encode(self, fact: Fact, *, kind: Kind) -> object:
        """Return ``fact``, declared to be of ``kind``, as CEL takes it.

        Raises:
            UnfitValueError: it is larger than an expression may handle, or all are together.
        """
        if kind in (Kind.DURATION, Kind.TIMESTAMP) or type(fact) in (bool, int, float):
            return fact
        self._left = self._limits.nodes
        return self._encoded(fact)

    def _encoded(self, fact: Fact) -> object:
        self._count()
        match fact:
            case str():
                self._check_text(fact)
                return fact
            case Mapping():
                _check_items(len(fact))
                for key in fact:
                    self._check_text(key)
                return {key: self._encoded(value) for key, value in fact.items()}
            case tuple() | list():
                _check_items(len(fact))
                return [self._encoded(value) for value in fact]
            case timedelta() | datetime():
                return _message(fact)
            case _:
                return fact

    def _count(self) -> None:
        self._left -= 1
        self._nodes += 1
        if self._left < 0:
            text = (
                f"it holds more than {self._limits.nodes} values; this expression cannot handle it"
            )
            raise UnfitValueError(text)
        if self._nodes > self._limits.nodes_in_all:
            text = (
                f"together with the others it holds more than {self._limits.nodes_in_all} values; "
                "split the expression"
            )
            raise UnfitValueError(text)

    def _check_text(self, text: str) -> None:
        self._characters += len(text)
        if len(text) > self._limits.text_length:
            said = (
                f"it holds a text of {len(text)} characters; "
                f"this expression can handle {self._limits.text_length}"
            )
            raise UnfitValueError(said)
        if self._characters > self._limits.text_in_all:
            said = (
                f"the texts in it and in the others have more than {self._limits.text_in_all} "
                "characters in all; this expression cannot handle them"
            )
            raise UnfitValueError(said)
        if "\0" in text:
            said = "it holds a text with U+0000, where the library would cut it"
            raise UnfitValueError(said)


def _message(fact: timedelta | datetime) -> object:
    """Return ``fact`` as CEL takes it where no type is declared; there it refuses Python's own."""
    if isinstance(fact, timedelta):
        duration = Duration()
        duration.FromTimedelta(fact)
        return duration
    timestamp = Timestamp()
    timestamp.FromDatetime(fact)
    return timestamp


def _check_items(count: int) -> None:
    if count > ITEMS_MAX:
        text = (
            f"it holds {count} items; an expression can handle {ITEMS_MAX}: "
            "let the probe or the query count, filter or add up"
        )
        raise UnfitValueError(text)


def decode(value: Any, *, expected: Kind) -> Value:
    """Return what ``Value.value()`` of CEL gave as a value of the domain.

    A timestamp becomes RFC 3339 text, as a document would spell it.

    Raises:
        UnfitValueError: it is not of the ``expected`` kind, not a value of the domain, or holds
            more than ``RESULT_NODES_MAX`` values or texts of ``RESULT_TEXT_MAX`` characters.
    """
    kind = _kind_of(value)
    if not is_fit(kind, expected):
        found = NOUNS[kind] if kind else "null" if value is None else "bytes or a type"
        text = f"the result is {found}; {NOUNS[expected]} was expected"
        raise UnfitValueError(text)
    if type(value) in _PLAIN or type(value) is str:
        return value  # type: ignore[no-any-return]  # the sets above hold values of the domain only
    return _Decoder().decode(value)


def is_fit(kind: Kind | None, expected: Kind) -> bool:
    """Whether a value of ``kind`` (None: of none of the kinds) may stand for one ``expected``."""
    if expected is Kind.ANY or kind is expected:
        return True
    return kind is Kind.INTEGER and expected is Kind.NUMBER


def _kind_of(value: object) -> Kind | None:
    return _KINDS.get(type(value))


_KINDS: Final[Mapping[type, Kind]] = {
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    timedelta: Kind.DURATION,
    datetime: Kind.TIMESTAMP,
    list: Kind.LIST,
    dict: Kind.MAP,
}


class _Decoder:
    """One value's way out of CEL; counts, since CEL may share what we would copy."""

    def __init__(self) -> None:
        self._values_left = RESULT_NODES_MAX
        self._text_left = RESULT_TEXT_MAX

    def decode(self, value: Any) -> Value:
        self._values_left -= 1
        if self._values_left < 0:
            text = f"the result holds more than {RESULT_NODES_MAX} values"
            raise UnfitValueError(text)
        match value:
            case None | bool() | int() | float() | timedelta():
                return value
            case str():
                return self._text(value)
            case datetime():
                return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            case list():
                return tuple(self.decode(item.value()) for item in value)
            case dict():
                return {
                    self._text(_key(key)): self.decode(item.value()) for key, item in value.items()
                }
            case _:
                text = "the result holds bytes or a type; turn it into text with string(…)"
                raise UnfitValueError(text)

    def _text(self, text: str) -> str:
        self._text_left -= len(text)
        if self._text_left < 0:
            said = f"the texts in the result have more than {RESULT_TEXT_MAX} characters in all"
            raise UnfitValueError(said)
        return text


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    text = f"the result holds a map with the key {key!r}; keys must be texts"
    raise UnfitValueError(text)
