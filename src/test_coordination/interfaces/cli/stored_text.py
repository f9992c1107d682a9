"""What the store keeps of definitions, as people and programs read it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from test_coordination.application.definitions import StoredScenario
from test_coordination.domain.scenario import DocumentKind
from test_coordination.interfaces.cli.layout import columns_of, fold

DIGEST_SHOWN = 12


def stored_lines(
    kept: Sequence[StoredScenario], kind: DocumentKind, *, columns: int
) -> Sequence[str]:
    """Return a line about the newest version of each, and why it is deprecated if it is."""
    if not kept:
        return [f"no {kind} is stored; `tcoord {kind}s store FILE` does"]
    rows = [(each.name, f"version {each.version}", _when(each)) for each in kept]
    lines: list[str] = []
    for row, each in zip(columns_of(rows), kept, strict=True):
        lines.append(row)
        facts = [each.title, ", ".join(each.tags), f"owner {each.owner}" if each.owner else ""]
        text = "; ".join(filter(None, facts))
        if text:
            lines.append(click.style(fold(text, columns=columns, first="    "), dim=True))
        if each.deprecated_at is not None:
            text = f"deprecated {each.deprecated_at:%Y-%m-%d}: {each.deprecated_because}"
            lines.append(click.style(fold(text, columns=columns, first="    "), fg="yellow"))
    return lines


def version_lines(kept: Sequence[StoredScenario], *, columns: int) -> Sequence[str]:
    """Return a line about each version of one definition."""
    rows = [
        (f"version {each.version}", _when(each), each.digest[:DIGEST_SHOWN], each.file)
        for each in kept
    ]
    newest = kept[0]
    lines = [f"{click.style(newest.name, bold=True)} ({newest.kind}) {newest.title}".rstrip()]
    if newest.deprecated_at is not None:
        text = f"deprecated {newest.deprecated_at:%Y-%m-%d}: {newest.deprecated_because}"
        lines.append(click.style(fold(text, columns=columns), fg="yellow"))
    return [*lines, *(f"  {row}" for row in columns_of(rows))]


def _when(each: StoredScenario) -> str:
    return f"{each.stored_at.astimezone():%Y-%m-%d %H:%M:%S}"


def stored_document(each: StoredScenario) -> dict[str, object]:
    """Return one stored version as JSON has it."""
    at = each.deprecated_at
    return {
        "name": each.name,
        "kind": each.kind.value,
        "version": each.version,
        "id": str(each.id),
        "digest": each.digest,
        "file": each.file,
        "stored_at": each.stored_at.isoformat(),
        "title": each.title,
        "owner": each.owner,
        "tags": list(each.tags),
        "services": list(each.services),
        "deprecated_at": None if at is None else at.isoformat(),
        "deprecated_because": each.deprecated_because,
    }
