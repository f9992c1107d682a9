"""Hypothesis strategies for every value that the stores keep, built from their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
# Beyond 2**53 the digits of a float are not those of its exact value: PostgreSQL keeps the digits.
NUMBERS = st.integers(-(2**62), 2**62) | st.floats(-(2.0**53), 2.0**53)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.datetimes(timezones=st.just(UTC))
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
    object: JSON,
    UUID: st.uuids(),
    timedelta: st.timedeltas(timedelta(days=-999), timedelta(days=999)),
}


@cache
def of(hint: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911  one return a kind of type
    """Return a strategy for values of the type ``hint``."""
    if isinstance(hint, NewType):
        return of(hint.__supertype__)
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if is_dataclass(hint):
        return st.deferred(lambda: _dataclass(hint))  # a plan may hold a plan
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin in {Union, UnionType}:
            return st.one_of(*map(of, arguments))
        case origin if origin is tuple:
            return st.lists(of(arguments[0]), max_size=3).map(tuple)
        case origin if origin is frozenset:
            return st.frozensets(of(arguments[0]), max_size=3)
        case origin if origin is Mapping:
            return st.dictionaries(of(arguments[0]), of(arguments[1]), max_size=3)
        case _ if hint.__name__ == "datetime":
            return MOMENTS
        case _:
            raise NotImplementedError(hint)


def _dataclass(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: of(hints[field.name]) for field in fields(kind)})
