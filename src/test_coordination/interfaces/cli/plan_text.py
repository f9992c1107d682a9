"""A plan as people read it: when what is done, what it touches, and how that is undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

import click

from test_coordination.application.planning.outline import Outline, OutlinedStep
from test_coordination.domain.plan import Choice, Plan, Stage
from test_coordination.domain.values import format_duration
from test_coordination.interfaces.cli.layout import (
    Signs,
    cut,
    fold,
    heading,
    listed,
    said,
    short,
)
from test_coordination.interfaces.cli.narration import purpose

STAGES: Final = {Stage.BEFORE: "before", Stage.MAIN: "steps", Stage.AFTER: "after"}
WIDE: Final = 108
"""From how many columns on it is told what a step does, beside its kind."""

_NAME_MAX: Final = 26
_NAME_MAX_WIDE: Final = 32
_PURPOSE: Final = 34
_TIMES: Final = 7
_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanText:
    """A plan to be printed in ``columns`` columns."""

    plan: Plan
    outline: Outline
    signs: Signs
    columns: int
    title: str = ""

    def lines(self) -> Iterator[str]:
        """Yield the lines, with their colours."""
        yield from self._head()
        for passage in (
            self._touches(),
            self._steps(),
            self._path(),
            self._perhaps(),
            self._claims(),
            self._chances(),
            self._dependencies(),
            self._limits(),
            self._remedies(),
        ):
            lines = list(passage)
            if lines:
                yield ""
                yield from lines

    def _head(self) -> Iterator[str]:
        plan, outline = self.plan, self.outline
        yield f"{click.style(plan.scenario, bold=True)} on {plan.topology}"
        if self.title:
            yield fold(self.title, columns=self.columns)
        usual = f", usually {short(outline.usual)}" if outline.usual is not None else ""
        yield (
            f"takes {short(outline.best)} at best and {short(outline.worst)} at worst{usual}; "
            f"stopped after {short(plan.timeout)}"
        )
        if plan.parameters:
            given = "  ".join(f"{name}={shown(value)}" for name, value in plan.parameters.items())
            yield fold(given, columns=self.columns, first="with ", later="     ")

    def _steps(self) -> Iterator[str]:
        outline = self.outline
        wide = self.columns >= WIDE
        most = _NAME_MAX_WIDE if wide else _NAME_MAX
        name_wide = min(most, max((len(step.id) for step in outline.steps), default=4))
        kind_wide = _PURPOSE if wide else max((len(step.kind) for step in outline.steps), default=4)
        room = self.columns - (2 + name_wide + 2 + kind_wide + 3 * (_TIMES + 1) + 2)
        whole = max((step.worst[1] for step in outline.steps), default=_NO_TIME)
        # Only one that is a step longer than the timeout allows is cut off by it.
        scale = _Scale(signs=self.signs, whole=whole, room=max(room, 8))
        times = "".join(f" {word:>{_TIMES}}" for word in ("begins", "ends", "latest"))
        yield click.style(
            f"  {'step':<{name_wide}}  {'what' if wide else 'kind':<{kind_wide}}{times}  "
            f"{scale.ruler()}",
            dim=True,
        )
        order = list(STAGES)
        steps = sorted(outline.steps, key=lambda step: order.index(step.stage))
        for stage, members in groupby(steps, key=lambda step: step.stage):
            if stage is not Stage.MAIN or len({step.stage for step in steps}) > 1:
                yield click.style(STAGES[stage], dim=True)
            for step in members:
                yield self._row(step, scale, (name_wide, kind_wide))
        sign = self.signs
        legend = f"{sign.solid} at least  {sign.light} at most  {sign.moment} a moment"
        yield click.style(f"  {legend}  * critical path; begins and ends at best", dim=True)

    def _row(self, step: OutlinedStep, scale: _Scale, wide: tuple[int, int]) -> str:
        name_wide, kind_wide = wide
        told = self.columns >= WIDE
        what = purpose(self.plan.step(step.id)) if told else step.kind
        name = f"{cut(step.id, name_wide, self.signs.cut):<{name_wide}}"
        times = "".join(f" {short(time):>{_TIMES}}" for time in (*step.best, step.worst[1]))
        fault = step.kind == "fault"
        text = f"{cut(what, kind_wide, self.signs.cut):<{kind_wide}}"
        return (
            f"{'*' if step.critical else ' '} "
            f"{click.style(name, bold=step.critical)}  "
            f"{click.style(text, fg='magenta' if fault else None)}{times}  "
            f"{scale.bar(step, colour='magenta' if fault else 'blue')}"
        ).rstrip()

    def _path(self) -> Iterator[str]:
        if len(self.outline.critical_path) > 1:
            yield heading("critical path")
            chain = f" {self.signs.arrow} ".join(self.outline.critical_path)
            yield fold(chain, columns=self.columns, first="  ")

    def _perhaps(self) -> Iterator[str]:
        found = [step for step in self.plan.steps if step.condition is not None]
        if found:
            yield heading("only if")
            label = max(len(step.id) for step in found)
            for step in found:
                assert step.condition is not None, "only those with one"
                text = " ".join(step.condition.expression.split())
                yield said(step.id, text, columns=self.columns, label=label)

    def _touches(self) -> Iterator[str]:
        outline = self.outline
        if not outline.hit:
            yield f"{heading('touches')} nothing: no fault is injected"
            return
        share = f"{outline.share_percent:.0f} %"
        count = len(outline.hit)
        services = f"{count} service{'s' if count != 1 else ''}, {share} of the system"
        yield f"{heading('touches')} {listed(outline.hit)}: {services}"
        if (most := self.plan.services_max) is not None:
            text = f"faults wait while {most} of its services are hit, by whichever execution"
            yield fold(text, columns=self.columns, first="  ")
        for touch, steps in self._hits().items():
            fault, service, undo = touch
            what = click.style(f"{fault} on {service}", fg="magenta")
            yield f"  {what}"
            yield fold(f"in {listed(steps)}", columns=self.columns, first="    ")
            yield fold(f"undone: {undo}", columns=self.columns, first="    ")

    def _hits(self) -> Mapping[tuple[str, str, str], Sequence[str]]:
        """Return the steps that hit a service, by the fault, the service, and the undo."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for touch in self.outline.touches:
            key = (touch.fault, touch.service, touch.undo)
            found.setdefault(key, []).append(" > ".join(touch.step))
        return found

    def _claims(self) -> Iterator[str]:
        claims = self.outline.claims
        pools = [
            f"{name} ({count} of {claims.sizes[name]})" for name, count in claims.pools.items()
        ]
        rows = {"alone": claims.exclusive, "shared": claims.shared, "slots of": pools}
        held = {word: names for word, names in rows.items() if names}
        if held:
            yield heading("locks (waited for, and kept until every fault is undone)")
            label = max(map(len, held))
            for word, names in held.items():
                yield said(word, ", ".join(names), columns=self.columns, label=label)

    def _chances(self) -> Iterator[str]:
        choices = self.outline.choices
        if choices:
            again = f"seed {self.plan.seed}; --seed {self.plan.seed} chooses the same again"
            yield f"{heading('left to chance')} ({again})"
            label = max(len(choice.step) for choice in choices)
            for choice in choices:
                text = self._chance(choice)
                yield said(choice.step, text, columns=self.columns, label=label)

    def _chance(self, choice: Choice) -> str:
        chosen = listed(choice.chosen) or "none"
        seed = f" (seed {choice.seed})" if choice.seed != self.plan.seed else ""
        work = {step.id: step.kind for step in self.plan.steps}
        if work.get(choice.step) == "wait":
            return f"{chosen}, between {listed(choice.candidates)}{seed}"
        return f"{chosen}, out of {listed(choice.candidates, 'or') or 'nothing'}{seed}"

    def _dependencies(self) -> Iterator[str]:
        if self.outline.depends_on:
            yield heading("depends on")
            for one in self.outline.depends_on:
                version = "" if one.version is None else f"@{one.version}"
                verdicts = listed((verdict.replace("_", " ") for verdict in one.verdicts), "or")
                young = f", not longer than {format_duration(one.within)} ago" if one.within else ""
                text = f"must have ended as {verdicts}{young}"
                yield said(f"{one.scenario}{version}", text, columns=self.columns)

    def _limits(self) -> Iterator[str]:
        if self.plan.stop_when:
            yield heading("stopped at once when")
            label = max(len(rule.id) for rule in self.plan.stop_when)
            for rule in self.plan.stop_when:
                held = f" for {format_duration(rule.hold)}" if rule.hold else ""
                text = " ".join(rule.condition.expression.split()) + held
                yield said(rule.id, text, columns=self.columns, label=label)

    def _remedies(self) -> Iterator[str]:
        if self.outline.on_failure:
            yield heading("only if it fails")
            label = max(len(name) for name in self.outline.on_failure)
            for name in self.outline.on_failure:
                text = purpose(self.plan.step(name))
                yield said(name, text, columns=self.columns, label=label)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Draws spans of time: ``whole`` takes all of the ``room`` columns."""

    signs: Signs
    whole: timedelta
    room: int

    def ruler(self) -> str:
        end = short(self.whole)
        return f"0{end:>{self.room - 1}}"

    def bar(self, step: OutlinedStep, *, colour: str) -> str:
        """Return when the step runs at worst; what it takes at least is drawn solid."""
        start, end = (self._place(time) for time in step.worst)
        if step.worst[0] == step.worst[1]:
            return " " * min(start, self.room - 1) + click.style(self.signs.moment, fg=colour)
        start = min(start, self.room - 1)
        end = max(end, start + 1)
        least = step.best[1] - step.best[0]
        solid = min(self._place(least), end - start)
        if least == step.worst[1] - step.worst[0]:
            solid = end - start
        if least > _NO_TIME:
            solid = max(solid, 1)
        bar = click.style(self.signs.solid * solid, fg=colour)
        return " " * start + bar + click.style(self.signs.light * (end - start - solid), fg=colour)

    def _place(self, time: timedelta) -> int:
        return round(self.room * (time / self.whole)) if self.whole else 0


def shown(value: object) -> str:  # noqa: PLR0911  a case a type
    """Return a settled value as people write it."""
    match value:
        case None:
            return "(none)"
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case timedelta():
            return format_duration(value)
        case list() | tuple():
            return ",".join(map(shown, value))
        case Mapping():
            inside = ", ".join(f"{name}: {shown(each)}" for name, each in value.items())
            return f"{{{inside}}}"
        case _:
            return str(value)
