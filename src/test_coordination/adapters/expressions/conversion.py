"""Values on their way into CEL and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]  # no stubs
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]  # no stubs

from test_coordination.domain.expressions import Fact, Kind
from test_coordination.domain.values import Value

ITEMS_MAX: Final = 1_000
NODES_MAX: Final = 10_000
TEXT_LENGTH_MAX: Final = 65_536
TEXT_LENGTH_MAX_IN_LOOPS: Final = 4_096

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


class UnfitValueError(Exception):
    """A value cannot pass into CEL or out of it; never leaves this package."""


def encode(fact: Fact, *, kind: Kind, text_length_max: int) -> object:
    """Return ``fact``, declared to be of ``kind``, as CEL takes it.

    Raises:
        UnfitValueError: it is larger than an expression may handle.
    """
    if kind in (Kind.DURATION, Kind.TIMESTAMP) or type(fact) in (bool, int, float):
        return fact
    return _Encoder(text_length_max).encode(fact)


class _Encoder:
    """One value's way into CEL; counts what it holds in all."""

    def __init__(self, text_length_max: int) -> None:
        self._text_length_max = text_length_max
        self._left = NODES_MAX

    def encode(self, fact: Fact) -> object:
        self._left -= 1
        if self._left < 0:
            text = f"it holds more than {NODES_MAX} values; an expression can handle no more"
            raise UnfitValueError(text)
        match fact:
            case str() if len(fact) > self._text_length_max:
                text = (
                    f"it holds a text of {len(fact)} characters; "
                    f"this expression can handle {self._text_length_max}"
                )
                raise UnfitValueError(text)
            case Mapping():
                _check_items(len(fact))
                if any("\0" in key for key in fact):
                    text = "it holds a map with U+0000 in a key, where the library would cut it"
                    raise UnfitValueError(text)
                return {key: self.encode(value) for key, value in fact.items()}
            case tuple() | list():
                _check_items(len(fact))
                return [self.encode(value) for value in fact]
            case timedelta() | datetime():
                return _message(fact)
            case _:
                return fact


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
            more than ``NODES_MAX`` values.
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
        self._left = NODES_MAX

    def decode(self, value: Any) -> Value:
        self._left -= 1
        if self._left < 0:
            text = f"the result holds more than {NODES_MAX} values"
            raise UnfitValueError(text)
        match value:
            case None | bool() | int() | float() | str() | timedelta():
                return value
            case datetime():
                return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
            case list():
                return tuple(self.decode(item.value()) for item in value)
            case dict():
                return {_key(key): self.decode(item.value()) for key, item in value.items()}
            case _:
                text = "the result holds bytes or a type; turn it into text with string(…)"
                raise UnfitValueError(text)


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    text = f"the result holds a map with the key {key!r}; keys must be texts"
    raise UnfitValueError(text)
