"""The digest of a plan: all that it says, and nothing of where that was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from test_coordination.domain.errors import Mark
from test_coordination.domain.plan import Plan


def digest(plan: Plan) -> str:
    """Return the same text in every process for plans that mean the same.

    Places do not count, nor the plan's own digest, nor the order in which probes stand, since
    all of them are sampled at the same time.
    """
    probes = tuple(sorted(plan.probes, key=lambda probe: probe.name))
    said = _fields(replace(plan, probes=probes, digest=""))
    text = json.dumps(said, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> object:
    match value:
        case None | str() | int() | float():
            said: object = value
        case Plan():
            said = value.digest
        case timedelta():
            said = f"{value // timedelta(microseconds=1)} us"
        case Mapping():
            said = {str(key): _canonical(inner) for key, inner in value.items()}
        case list() | tuple():
            said = [_canonical(inner) for inner in value]
        case frozenset():
            said = sorted(value)
        case _:
            said = _fields(value) if is_dataclass(value) else value
    return said


@lru_cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _fields(value: object) -> Mapping[str, object]:
    assert is_dataclass(value), f"nothing that has fields: {value!r}"
    assert not isinstance(value, type), f"no value: {value!r}"
    named = ((name, getattr(value, name)) for name in _names(type(value)))
    return {name: _canonical(inner) for name, inner in named if not isinstance(inner, Mark)}
