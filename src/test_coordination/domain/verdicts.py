"""How checks and executions are judged, from good to grave."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """What a broken check means for the whole."""

    CRITICAL = "critical"
    NORMAL = "normal"
    INFO = "info"


class Verdict(StrEnum):
    """How an execution was judged, from good to grave; where verdicts meet, the gravest wins."""

    HELD = "held"
    INCONCLUSIVE = "inconclusive"
    BROKEN = "broken"
    STOPPED = "stopped"
    COULD_NOT_RUN = "could_not_run"
    RESIDUE = "residue"

    @property
    def gravity(self) -> int:
        """Return its place in the order from good to grave."""
        return _GRAVITY[self]

    @classmethod
    def gravest(cls, parts: Iterable[Verdict]) -> Verdict:
        """Return the gravest of ``parts``; where nothing was judged it is inconclusive."""
        return max(parts, key=lambda part: part.gravity, default=cls.INCONCLUSIVE)


_GRAVITY: Final = {verdict: place for place, verdict in enumerate(Verdict)}


class Finding(StrEnum):
    """How one check was judged."""

    HELD = "held"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"


class Phase(StrEnum):
    """When in an execution a check was judged."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


def worst(findings: Iterable[tuple[Finding, Severity]]) -> Verdict:
    """Return the verdict over checks; an informative check has no say.

    A check that was not run, or could not be judged, leaves the whole inconclusive.
    """
    verdicts = {
        Finding.HELD: Verdict.HELD,
        Finding.BROKEN: Verdict.BROKEN,
        Finding.INCONCLUSIVE: Verdict.INCONCLUSIVE,
        Finding.NOT_RUN: Verdict.INCONCLUSIVE,
    }
    return Verdict.gravest(
        verdicts[finding] for finding, severity in findings if severity is not Severity.INFO
    )
