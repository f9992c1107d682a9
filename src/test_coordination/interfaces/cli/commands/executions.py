"""``tcoord executions``: list what was run, or what waits to be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

import click

from test_coordination.application.fleet import Waiting
from test_coordination.application.outlook import Outlook
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.execution import Status
from test_coordination.domain.values import ExecutionId, format_duration
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.layout import width
from test_coordination.interfaces.cli.program import Program
from test_coordination.interfaces.cli.prospects import prospect_document, prospect_text
from test_coordination.interfaces.cli.queue_text import queue_document, queue_lines


@click.command("executions")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option(
    "--queued", is_flag=True, help="Show what waits: for what, who has it, and its place."
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(program: Program, *, limit: int, queued: bool, output: str) -> None:
    """List what was run, newest first, and how far that has come which runs."""
    if queued:
        _show_queue(program, limit=limit, output=output)
        return

    async def job() -> tuple[Sequence[ExecutionRecord], Mapping[ExecutionId, Outlook]]:
        async with program.coordinator(None) as coordinator:
            records = await coordinator.list_executions(limit=limit)
            running = [record.id for record in records if record.status is Status.RUNNING]
            return records, {each: await coordinator.execution_progress(each) for each in running}

    records, outlooks = carried_out(job)
    if output == "json":
        listed = [_plain(record, outlooks.get(record.id)) for record in records]
        click.echo(json.dumps(listed, indent=2))
        return
    if not records:
        click.echo("nothing was run yet; begin with `tcoord demo`")
    for record in records:
        click.echo(_line(record))
        if (outlook := outlooks.get(record.id)) is not None:
            click.echo(click.style(f"    {prospect_text(outlook)}", dim=True))


def _show_queue(program: Program, *, limit: int, output: str) -> None:
    """List what waits in the order in which it comes in if what it needs is free."""

    async def job() -> Sequence[Waiting]:
        async with program.coordinator(None) as coordinator:
            return await coordinator.waiting_executions(limit=limit)

    waiting = carried_out(job)
    if output == "json":
        click.echo(json.dumps([queue_document(each) for each in waiting], indent=2))
        return
    if not waiting:
        click.echo("nothing waits; `tcoord executions` shows what runs")
    for line in queue_lines(waiting, columns=width()):
        click.echo(line)
    if len(waiting) == limit:
        click.echo(f"there may be more: --limit {min(1000, 10 * limit)} shows them")


def _line(record: ExecutionRecord) -> str:
    verdict = (record.verdict or record.status).replace("_", " ")
    started = f"{record.requested_at:%Y-%m-%d %H:%M:%S}"
    residue = f"  {record.outstanding} not undone" if record.outstanding else ""
    name = f"{record.scenario_name} (version {record.scenario_version})"
    return f"{record.id}  {started}  {_took(record):>8}  {verdict:<13} {name}{residue}"


def _took(record: ExecutionRecord) -> str:
    if record.started_at is None or record.ended_at is None:
        return "-"
    took = record.ended_at - record.started_at
    if took < timedelta(minutes=1):
        return f"{took.total_seconds():.1f} s"
    return format_duration(timedelta(seconds=round(took.total_seconds())))


def _plain(record: ExecutionRecord, outlook: Outlook | None) -> dict[str, object]:
    return {
        "id": str(record.id),
        "scenario": record.scenario_name,
        "version": record.scenario_version,
        "status": record.status,
        "verdict": record.verdict,
        "requested_at": record.requested_at.isoformat(),
        "requested_by": record.requested_by,
        "started_at": record.started_at.isoformat() if record.started_at else None,
        "ended_at": record.ended_at.isoformat() if record.ended_at else None,
        "faults_outstanding": record.outstanding,
        "progress": None if outlook is None else prospect_document(outlook),
    }
