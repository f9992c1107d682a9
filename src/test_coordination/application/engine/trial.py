"""Judge one check from the looks that were had at it: a pure state, one look after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from test_coordination.domain.evidence import Validation, margin
from test_coordination.domain.expressions import Measure, as_text
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.values import StepId, Value, format_duration
from test_coordination.domain.verdicts import Finding, Phase

PATIENCE: Final = timedelta(seconds=10)
"""How long a check that must be true at once waits for something to look at."""

LATE: Final = timedelta(seconds=3)
"""How long after the end of ``within`` a sample that was begun before it may still come in."""

UNSEEN: Final = "nobody looked until another worker went on, so it could not be judged"
"""What is said of a check that would have been judged by looks which nobody had."""

CUT_SHORT: Final = "it was told to end before its time was over, so it could not be judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a check's condition was at one time; ``truth`` is None where a value is missing.

    ``oldest`` is when the probe behind it was looked at that was so the longest ago, where that
    is not ``at``: what it saw may have changed since.
    """

    at: datetime
    truth: bool | None
    measure: Measure | None = None
    reason: str = ""
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A check on its way to a finding.

    ``origin`` is when its time began to count; ``since`` when the present stretch of truth
    began, and ``before`` the look before that. ``first`` is the first look at which there was a
    value. A missing value ends a stretch as a false one does, for truth that was not seen does
    not count; but only what was seen to be false is broken. Nor does a stretch last longer than
    every probe behind it was looked at.

    ``unseen`` tells that nobody looked for a part of its time, for want of a worker: it may have
    been true then, so it is not broken for not having been seen to be.
    """

    check: PlannedCheck
    origin: datetime
    since: datetime | None = None
    before: Look | None = None
    first: Look | None = None
    last: Look | None = None
    unseen: bool = False

    def see(self, look: Look) -> Trial:
        """Return the trial after ``look``; looks come in the order of time."""
        if self._given_up():
            return self
        since = (self.since or look.at) if look.truth else None
        before = self.last if self.since is None else self.before
        first = self.first or (look if look.truth is not None else None)
        return replace(self, since=since, before=before, first=first, last=look)

    def finding(self, now: datetime) -> Finding | None:
        """Return the finding that is certain at ``now``; None while it is open."""
        if self._held():
            return Finding.HELD
        if self._given_up():
            return self._broken(sure=self._was_seen_in_time())
        if self._in_time() or now < self.decided_by():
            return None
        return self._broken(sure=self._was_false())

    def _broken(self, *, sure: bool) -> Finding:
        return Finding.BROKEN if sure and not self.unseen else Finding.INCONCLUSIVE

    def decided_by(self) -> datetime:
        """Return when to ask again even if no further look is had."""
        patience = PATIENCE if self.check.within is None else self.check.within + LATE
        return self.origin + patience

    def _held(self) -> bool:
        if self.since is None or self.last is None or not self._in_time():
            return False
        return (self.last.oldest or self.last.at) - self.since >= self.check.hold

    def _in_time(self) -> bool:
        """Tell whether the present stretch of truth began early enough to count."""
        if self.since is None:
            return False
        return self.check.within is None or self.since <= self.origin + self.check.within

    def _given_up(self) -> bool:
        """Tell whether no later look can save the check."""
        if self.last is None or self.last.truth is not False:
            return False
        if self.check.within is None:
            return True
        return self.last.at > self.origin + self.check.within

    def _was_seen_in_time(self) -> bool:
        assert self.first is not None, "it was seen to be false"
        return self.check.within is None or self.first.at <= self.origin + self.check.within

    def _was_false(self) -> bool:
        """Tell whether the condition was seen to be false last, or just before it came true."""
        seen = self.last if self.since is None else self.before
        return seen is not None and seen.truth is False

    def validation(
        self,
        finding: Finding,
        now: datetime,
        *,
        phase: Phase,
        step: StepId | None,
        early: bool = False,
    ) -> Validation:
        """Return the judgement to be recorded; ``early`` tells that its time was cut short."""
        judgement = Judgement(
            check=self.check, began_at=self.origin, ended_at=now, phase=phase, step=step
        )
        return judgement.validation(
            finding,
            self.last.measure if self.last else None,
            reason=CUT_SHORT if early else self._reason(finding),
            took=self.since - self.origin if finding is Finding.HELD and self.since else None,
        )

    def _reason(self, finding: Finding) -> str:
        measure = self.last.measure if self.last else None
        seen = seen_as(measure) or self.check.expression
        limit = "" if self.check.within is None else f" within {format_duration(self.check.within)}"
        held = f" for {format_duration(self.check.hold)}" if self.check.hold else ""
        if finding is Finding.HELD:
            return f"{seen}{limit}{held}"
        if finding is Finding.BROKEN:
            return f"{seen}{limit}{held}, which was not the case"
        if self.unseen:
            return UNSEEN
        if self.last is None or self.last.truth is not None:
            return f"nothing was sampled{limit or ' in time'}, so it could not be judged"
        return f"{self.last.reason or 'a value was missing'}, so it could not be judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Which check is judged, over what time, and where in the execution."""

    check: PlannedCheck
    began_at: datetime
    ended_at: datetime
    phase: Phase
    step: StepId | None

    def validation(
        self,
        finding: Finding,
        measure: Measure | None,
        *,
        reason: str,
        took: timedelta | None = None,
    ) -> Validation:
        """Return what is to be recorded; ``measure`` is what tells best why."""
        observed = measure.observed if measure else None
        return Validation(
            check=self.check.id,
            phase=self.phase,
            finding=finding,
            expression=self.check.expression,
            severity=self.check.severity,
            weight=self.check.weight,
            step=self.step,
            after_fault=self.check.after_fault,
            observed=plain(observed),
            relation=measure.relation if measure else "",
            limit=plain(measure.limit) if measure else None,
            margin=margin(observed, measure.relation, measure.limit) if measure else None,
            took=took,
            began_at=self.began_at,
            ended_at=self.ended_at,
            reason=reason,
        )


def seen_as(measure: Measure | None) -> str:
    """Return what was observed beside what was expected; empty if it was no comparison."""
    if measure is None or measure.observed is None:
        return ""
    return f"observed {as_text(measure.observed)}, expected {measure.relation} " + as_text(
        measure.limit
    )


def plain(value: Value) -> object:
    """Return ``value`` as a log can carry it: scalars as they are, all else as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return as_text(value)
