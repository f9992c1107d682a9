"""The digest of a plan: all that it says, and nothing of where that was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta

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
        case Plan():
            said: object = value.digest
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


def _fields(value: object) -> Mapping[str, object]:
    assert is_dataclass(value), f"nothing that has fields: {value!r}"
    named = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: _canonical(inner) for name, inner in named.items() if not isinstance(inner, Mark)}
