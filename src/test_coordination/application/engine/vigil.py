"""Judge a check that must be true, or must never be, throughout a time: a pure state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from test_coordination.application.engine.observations import Gap
from test_coordination.application.engine.trial import CUT_SHORT, UNSEEN, Judgement, Look, seen_as
from test_coordination.domain.evidence import Validation, margin
from test_coordination.domain.expressions import Measure
from test_coordination.domain.plan import PlannedCheck
from test_coordination.domain.steps import Mode
from test_coordination.domain.values import StepId, format_duration
from test_coordination.domain.verdicts import Finding, Phase

_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """A check with the mode always or never on its way to a finding.

    Its time is from ``origin``, inclusive, to ``end``, exclusive; ``end`` is None while it is not
    known. In that time each look counts:

    * One look that says otherwise breaks the check at once, and is the one that is reported.
    * Without one it is judged at the end. It is inconclusive if there was no look at all, if a
      value was missing at any look, if a probe did not look for longer than three of its
      intervals (see `Observations.gap`), if it was told to end before its time, or if it is
      ``unseen``: nobody looked for a part of its time, for want of a worker.
    * Else it held, and the look with the smallest margin is reported.

    ``early`` tells that ``end`` came before its time. ``trouble`` says, once its time is over,
    why looks that were all good do not suffice.
    """

    check: PlannedCheck
    origin: datetime
    end: datetime | None = None
    looks: int = 0
    last_at: datetime | None = None
    tightest: Look | None = None
    missed: Look | None = None
    breach: Look | None = None
    early: bool = False
    unseen: bool = False
    trouble: str = ""

    def see(self, look: Look) -> Vigil:
        """Return the vigil after ``look``; looks come in the order of time.

        The same samples may be looked at twice; that counts as one look.
        """
        if self.breach is not None or (self.end is not None and look.at >= self.end):
            return self
        fresh = self.last_at is None or look.at > self.last_at
        seen = replace(self, looks=self.looks + fresh, last_at=look.at)
        if look.truth is None:
            return replace(seen, missed=self.missed or look)
        if look.truth is not (self.check.mode is Mode.ALWAYS):
            return replace(seen, breach=look)
        return replace(seen, tightest=self._tighter(look))

    def _tighter(self, look: Look) -> Look:
        """Return which of two good looks was nearer to being bad; a margin is nearer than none."""
        if self.tightest is None:
            return look
        old, new = self._margin(self.tightest), self._margin(look)
        return look if new is not None and (old is None or new < old) else self.tightest

    def closed(self, gap: Gap | None) -> Vigil:
        """Return the vigil once its time is over; in ``gap`` a probe did not look."""
        if gap is not None:
            after = format_duration(gap.start - self.origin)
            trouble = (
                f"probe {gap.probe!r} did not look for {format_duration(gap.length)}, from "
                f"{after} on, so it could not be judged"
            )
            return replace(self, trouble=trouble)
        if self.unseen:
            return replace(self, trouble=UNSEEN)
        return replace(self, trouble=CUT_SHORT if self.early else "")

    def finding(self) -> Finding:
        """Return the finding, if it is broken or closed."""
        if self.breach is not None:
            return Finding.BROKEN
        if self.looks == 0 or self.missed is not None or self.trouble:
            return Finding.INCONCLUSIVE
        return Finding.HELD

    def validation(self, now: datetime, *, phase: Phase, step: StepId | None) -> Validation:
        """Return the judgement to be recorded."""
        judgement = Judgement(
            check=self.check, began_at=self.origin, ended_at=now, phase=phase, step=step
        )
        told = self.breach or self.missed or self.tightest
        measure = self._wanted(told) if told else None
        return judgement.validation(self.finding(), measure, reason=self._reason(measure))

    def _wanted(self, look: Look) -> Measure | None:
        """Return what was observed beside what must be, which is the opposite of never."""
        if look.measure is None or self.check.mode is Mode.ALWAYS:
            return look.measure
        return replace(look.measure, relation=_OPPOSITE[look.measure.relation])

    def _margin(self, look: Look) -> float | None:
        measure = self._wanted(look)
        return margin(measure.observed, measure.relation, measure.limit) if measure else None

    def _reason(self, measure: Measure | None) -> str:
        never = "never " if self.check.mode is Mode.NEVER else ""
        seen = seen_as(measure) or f"{never}{self.check.expression}"
        if self.breach is not None:
            after = format_duration(self.breach.at - self.origin)
            return f"{seen}{self._time()}, which was not the case after {after}"
        if self.missed is not None:
            why = self.missed.reason or "a value was missing"
            return f"{why}, so it could not be judged"
        if self.looks == 0:
            return f"nothing was sampled{self._time()}, so it could not be judged"
        return self.trouble or f"{seen}{self._time()}, at each of {self.looks} looks"

    def _time(self) -> str:
        if self.check.span is not None:
            return f" for {format_duration(self.check.span)}"
        if self.check.during is not None:
            return f" while {self.check.during!r} was under way"
        return " to the end"
