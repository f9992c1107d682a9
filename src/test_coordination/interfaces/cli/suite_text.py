"""A suite as people read it before it runs: its entries in layers, and how long each takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import click

from test_coordination.interfaces.cli.layout import cut, fold, heading, listed, short, signs
from test_coordination.interfaces.cli.plan_text import shown
from test_coordination.interfaces.cli.planning import EntryOutline, PlannedEntries

NAME_MAX = 26


def suite_lines(planned: PlannedEntries, *, columns: int) -> Iterator[str]:
    """Yield the lines, with their colours."""
    suite, plan = planned.suite, planned.plan
    count = len(planned.entries)
    at_once = "one after the other" if plan.concurrency == 1 else f"{plan.concurrency} at once"
    yield f"{click.style(suite.name, bold=True)} on {planned.topology.name} (suite)"
    if suite.title:
        yield fold(suite.title, columns=columns)
    yield (
        f"{count} execution{'s' if count != 1 else ''}, {at_once}; takes "
        f"{short(planned.best)} at best and {short(planned.worst)} at worst"
    )
    verdicts = listed((verdict.replace("_", " ") for verdict in plan.stop_on), "or")
    yield f"nothing further is begun after {verdicts}" if plan.stop_on else "runs to its end"
    label = min(NAME_MAX, max((len(one.entry.id) for one in planned.entries), default=0))
    for layer, members in groupby(planned.entries, key=lambda one: one.layer):
        yield ""
        yield heading(f"layer {layer}") if layer > 1 else heading("layer 1, which needs nothing")
        for one in members:
            yield from _entry(one, label, columns)
    yield ""
    yield click.style(
        fold(
            "times are at best and at worst; `tcoord plan` shows the steps of a scenario",
            columns=columns,
        ),
        dim=True,
    )


def _entry(one: EntryOutline, label: int, columns: int) -> Iterator[str]:
    entry, outline = one.entry, one.outline
    name = f"{cut(entry.id, label, signs().cut):<{label}}"
    times = f"{short(outline.best):>7} {short(outline.worst):>7}"
    hit = f"  hits {listed(outline.hit)}" if outline.hit else ""
    yield f"  {click.style(name, bold=True)} {times}  {entry.scenario.definition.name}"
    start = " " * (label + 20)
    given = [f"{name}={shown(value)}" for name, value in entry.parameters.items()]
    facts = [hit.strip(), " ".join(given)]
    if entry.needs:
        facts.append(f"after {listed(sorted(entry.needs))}")
    text = "; ".join(filter(None, facts))
    if text:
        yield click.style(fold(text, columns=columns, first=start), dim=True)
