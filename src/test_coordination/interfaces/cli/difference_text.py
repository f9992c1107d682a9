"""How two versions of a definition differ, as people and programs read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from test_coordination.application.differences import Change, VersionDifference
from test_coordination.domain.errors import Mark
from test_coordination.interfaces.cli.layout import fold, signs

COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def difference_lines(found: VersionDifference, *, columns: int) -> Sequence[str]:
    """Return what changed in what the definition means, with its colours."""
    before, after, count = found.before, found.after, len(found.changes)
    arrow = signs().arrow
    name = click.style(before.name, bold=True)
    changes = f"{count} change{'s' if count != 1 else ''}" if count else "they mean the same"
    lines = [f"{name}: version {before.version} {arrow} {after.version}, {changes}"]
    for change in found.changes:
        lines += _change(change, columns)
    if not count and found.text:
        lines.append("the texts differ: see --source")
    return lines


def _change(change: Change, columns: int) -> Iterator[str]:
    path = ".".join(change.path)
    if change.before is None:
        yield _place("+", path, change.after_at)
    elif change.after is None:
        yield _place("-", path, change.before_at)
    else:
        yield _place("~", path, change.after_at)
    for sign, value in (("-", change.before), ("+", change.after)):
        if value is not None:
            start = f"    {sign} "
            text = fold(_shown(value), columns=columns, first=start, later=" " * len(start))
            yield click.style(text, fg=COLOURS[sign])


def _place(sign: str, path: str, mark: Mark | None) -> str:
    where = click.style(f"  {mark}", dim=True) if mark is not None else ""
    return f"{sign} {click.style(path, bold=True)}{where}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def source_lines(found: VersionDifference) -> Sequence[str]:
    """Return the unified diff of the texts, with its colours."""
    if not found.text:
        return ["the texts are the same"]
    return [
        click.style(line, fg=COLOURS.get(line[:1]), bold=line.startswith(("+++", "---")))
        for line in found.text.splitlines()
    ]


def difference_document(found: VersionDifference) -> dict[str, object]:
    """Return the difference as JSON has it."""
    return {
        "name": found.before.name,
        "before": found.before.version,
        "after": found.after.version,
        "changes": [
            {
                "path": list(change.path),
                "before": change.before,
                "after": change.after,
                "before_at": _mark(change.before_at),
                "after_at": _mark(change.after_at),
            }
            for change in found.changes
        ],
        "text": found.text,
    }


def _mark(mark: Mark | None) -> str | None:
    return None if mark is None else str(mark)
