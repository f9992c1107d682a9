"""Chance that can be had again: what is drawn hangs on a seed and a purpose, and on nothing else.

Every draw is the SHA-256 of the seed, the step, and what is drawn for, read as a whole number. So
it is the same on every machine and in every process, and one step's draw never moves another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

SEED_MAX: Final = 2**63 - 1
"""The largest seed; an expression can hold no larger number."""

_MILLISECOND: Final = timedelta(milliseconds=1)


def number(seed: int, *purpose: str) -> int:
    """Return a whole number of 256 bits, each as likely as any other."""
    # A length before each part, so that no two purposes read the same once they are joined.
    parts = (str(seed), *purpose)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest())


def derived(seed: int, step: str) -> int:
    """Return the seed of what runs as the step ``step`` of something that has ``seed``."""
    return number(seed, "seed", step) % (SEED_MAX + 1)


def chosen(seed: int, step: str, candidates: Iterable[str], *, count: int) -> tuple[str, ...]:
    """Return ``count`` of the candidates, or all where there are fewer, in the order given.

    Each candidate draws a number of its own, and the lowest win: who else is a candidate, and in
    which order, changes nothing between two of them.
    """
    known = tuple(dict.fromkeys(candidates))
    ranked = sorted(known, key=lambda name: (number(seed, "choice", step, name), name))
    winners = frozenset(ranked[:count])
    return tuple(name for name in known if name in winners)


def between(seed: int, step: str, *, least: timedelta, most: timedelta) -> timedelta:
    """Return a duration of ``least`` at least and ``most`` at most, in whole milliseconds from it.

    ``most`` is not less than ``least``. With so many bits the first values are likelier than the
    last by less than one part in 10^60.
    """
    steps = (most - least) // _MILLISECOND
    return least + number(seed, "wait", step) % (steps + 1) * _MILLISECOND
