"""The digest of a plan: all that it says, and nothing of where that was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from test_coordination.domain.errors import Mark
from test_coordination.domain.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a plan says, but for its seed: the digests of plans that differ in that are soon had."""

    said: Mapping[str, object]

    @classmethod
    def of(cls, plan: Plan) -> Wording:
        """Return what ``plan`` says."""
        probes = tuple(sorted(plan.probes, key=lambda probe: probe.name))
        return cls(said=_fields(replace(plan, probes=probes, digest="")))

    def digest(self, seed: int) -> str:
        """Return the `digest` of a plan that says the same and has that seed."""
        text = json.dumps({**self.said, "seed": seed}, sort_keys=True, ensure_ascii=False)
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
