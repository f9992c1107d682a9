"""Secrets by reference: what stands for one in a plan, and how it is told from other text.

A scenario names where a secret is kept, ``env:NAME`` or ``file:PATH``. Until the last moment a
placeholder stands in its place, in plans, receipts and logs alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from test_coordination.domain.errors import CoordinationError

SECRET_EXPECTED: Final = "a reference to where the secret is kept: env:NAME or file:PATH"  # noqa: S105  words, no secret

_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,254}|file:[^\0\n⟦⟧]{1,1024}")
_PLACEHOLDER: Final = re.compile(r"⟦secret (?P<reference>(?:env|file):[^\0\n⟦⟧]+)⟧")


@dataclass(eq=False, kw_only=True)
class SecretUnavailableError(CoordinationError):
    """A secret cannot be had from where it is said to be kept; the text never holds one."""

    code: ClassVar[str] = "secret.unavailable"

    reference: str
    cause: str

    def __str__(self) -> str:
        return f"the secret {self.reference} is not to be had: {self.cause}"


def is_reference(text: str) -> bool:
    """Tell whether ``text`` says where a secret is kept."""
    return _REFERENCE.fullmatch(text) is not None


def placeholder(reference: str) -> str:
    """Return what stands for the secret that is kept at ``reference``."""
    return f"⟦secret {reference}⟧"


def references(value: object) -> Iterator[str]:
    """Yield the references of all placeholders in ``value``, a JSON-like value."""
    match value:
        case str():
            yield from (found["reference"] for found in _PLACEHOLDER.finditer(value))
        case Mapping():
            for key, inner in value.items():
                yield from references(key)
                yield from references(inner)
        case list() | tuple():
            for inner in value:
                yield from references(inner)
        case _:
            return


def secret_paths(value: object) -> Iterator[tuple[str | int, ...]]:
    """Yield where in ``value``, a JSON-like value, a placeholder stands in a text."""
    match value:
        case str():
            if _PLACEHOLDER.search(value):
                yield ()
        case Mapping():
            for key, inner in value.items():
                yield from ((key, *path) for path in secret_paths(inner))
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from ((index, *path) for path in secret_paths(inner))
        case _:
            return


def replaced(value: object, change: Callable[[str], str]) -> object:
    """Return ``value``, a JSON-like value, with ``change`` applied to each text in it."""
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(str(key)): replaced(inner, change) for key, inner in value.items()}
        case list() | tuple():
            return [replaced(inner, change) for inner in value]
        case _:
            return value


def filled(text: str, secrets: Mapping[str, str]) -> str:
    """Return ``text`` with each placeholder replaced by the secret of its reference."""
    return _PLACEHOLDER.sub(lambda found: secrets[found["reference"]], text)
